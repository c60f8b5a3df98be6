"""The parts of a stack as values: norms, feed-forward, dropout, blocks that are shared, an encoder beside it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from groundup.config import Config
from groundup.model.head_config import Activation, Probability


class LayerNormConfig(Config):
    """(x - mean) / sqrt(variance + eps) * weight + bias (Ba et al. 2016)."""

    kind: Literal["layer_norm"] = "layer_norm"
    eps: float = Field(1e-12, gt=0.0)
    """Added to the variance."""
    bias: bool = True
    """Whether a trained bias is added."""


class RMSNormConfig(Config):
    """x / sqrt(mean(x^2) + eps) * weight (Zhang and Sennrich 2019)."""

    kind: Literal["rms_norm"] = "rms_norm"
    eps: float = Field(1e-6, gt=0.0)
    """Added to the mean square."""


Norm = Annotated[LayerNormConfig | RMSNormConfig, Field(discriminator="kind")]

NormPlace = Literal["embedding", "input", "output", "residual", "final"]
"""After the embedding; in each branch `x -> N_residual(x + N_output(f(N_input(x))))`; after the stack."""


class PlainFeedForward(Config):
    """down(activation(up(x)))."""

    kind: Literal["plain"] = "plain"
    activation: Activation = "gelu"
    """`gelu` is the exact one, `gelu_tanh` its approximation by tanh (GPT-2)."""


class GatedFeedForward(Config):
    """down(activation(gate(x)) * up(x)) (Shazeer 2020)."""

    kind: Literal["gated"] = "gated"
    activation: Activation = "silu"
    """The function on the gate."""


FeedForwardConfig = Annotated[PlainFeedForward | GatedFeedForward, Field(discriminator="kind")]


class Dropout(Config):
    """The probability of dropping a value, by place."""

    embedding: Probability = 0.1
    """After the embedding and its norm."""
    attention: Probability = 0.1
    """On attention probabilities."""
    residual: Probability = 0.1
    """On the output of each branch, before it is added."""
    feed_forward: Probability = 0.0
    """Inside the feed-forward, on what its last matrix reads (T5, BART)."""
    final: Probability = 0.0
    """After the stack and its norm (T5)."""
    attention_output: Probability | None = None
    """On the output of the attention branch; null for the same as `residual`."""

    @property
    def resolved_attention_output(self) -> float:
        """On the output of the attention branch."""
        return self.residual if self.attention_output is None else self.attention_output


class Sharing(Config):
    """Blocks that a token passes several times, so that fewer are stored (Lan et al. 2020, section 3.1)."""

    num_groups: PositiveInt = 1
    """Different groups of blocks; each is passed again and again until it is the next one's turn."""
    group_size: PositiveInt = 1
    """Blocks in a group, passed one after the other."""


class Encoder(Config):
    """Where the encoder of an encoder-decoder differs from its decoder: what is null is the same in both.

    The token embedding is one for both; positions and norms are each stack's own.
    """

    num_layers: Annotated[int, Field(gt=0, le=10_000)] | None = None
    """Blocks, each attention then feed-forward."""
    num_heads: PositiveInt | None = None
    """Query heads."""
    intermediate_size: PositiveInt | None = None
    """The inner width of the feed-forward."""
