"""A design as values: every published family is one setting of these slots."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from groundup.config import Config
from groundup.model.head_config import (
    Activation,
    CausalLMHead,
    ClassificationHead,
    Head,
    HeadTransform,
    MaskedLMHead,
    NextSentenceHead,
    PermutedLMHead,
    Pooling,
    Probability,
    SpanHead,
    TokenHead,
)
from groundup.model.position_config import (
    LearnedPositions,
    LinearScaling,
    Llama3Scaling,
    NoPositions,
    Position,
    RelativeBias,
    RelativePositions,
    RotaryPositions,
    RotaryScaling,
    SinusoidalPositions,
    Window,
)

__all__ = [
    "Activation",
    "CausalLMHead",
    "ClassificationHead",
    "Design",
    "Dropout",
    "Encoder",
    "FeedForwardConfig",
    "GatedFeedForward",
    "Head",
    "HeadTransform",
    "LayerNormConfig",
    "LearnedPositions",
    "LinearScaling",
    "Llama3Scaling",
    "MaskedLMHead",
    "ModelConfig",
    "NextSentenceHead",
    "NoPositions",
    "Norm",
    "NormPlace",
    "OutputInit",
    "PermutedLMHead",
    "PlainFeedForward",
    "Pooling",
    "Position",
    "Probability",
    "RMSNormConfig",
    "RelativeBias",
    "RelativePositions",
    "RotaryPositions",
    "RotaryScaling",
    "SinusoidalPositions",
    "SpanHead",
    "TokenHead",
    "Window",
]

OutputInit = Literal["normal", "scaled", "zero"]


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


class Design(Config):
    """The design of one stack of Transformer blocks and its heads, whatever the vocabulary."""

    hidden_size: PositiveInt = 256
    """The width of the residual stream."""
    num_layers: int = Field(4, gt=0, le=10_000)
    """Blocks, each attention then feed-forward."""
    num_heads: PositiveInt = 4
    """Query heads; `hidden_size` must divide by it unless `head_dim` is given."""
    num_kv_heads: PositiveInt | None = None
    """Key and value heads, shared by groups of query heads; None means `num_heads`."""
    head_dim: PositiveInt | None = None
    """The width of one head; None means `hidden_size / num_heads`."""
    shifted_kv_heads: int = Field(0, ge=0)
    """Key heads, the first ones, in which each token stands under the key of the token before it: whoever looks for a
    token finds what came after it, so that one layer can copy, which two plain ones must learn (Olsson et al. 2022)."""
    intermediate_size: PositiveInt = 1024
    """The inner width of the feed-forward."""
    max_length: PositiveInt = 128
    """The most tokens of one sequence; the rows of learned positions."""
    num_token_types: int = Field(2, ge=0)
    """Rows of the token-type embedding; 0 for none."""
    causal: bool = False
    """True: a decoder stack, where a token attends to itself and what came before. False: an encoder stack."""
    encoder: Encoder | None = None
    """An encoder beside the decoder, whose blocks attend to it between their two branches (Vaswani et al. 2017); null
    for none. All other values are the decoder's."""
    window: Window | None = None
    """A bound on how far a token sees; null for none."""
    attention_scale: float | None = Field(None, gt=0.0)
    """What scores are multiplied by before the softmax; null for 1 / sqrt(head_dim)."""
    position: Position = LearnedPositions()
    """How the model knows where a token stands."""
    query_stream: bool = False
    """Whether a second stream can be asked for, which knows where a token stands but not which one it is (Yang et al.
    2019, section 2.3)."""
    norm: Norm = LayerNormConfig()
    """The norm at every place of `norm_places`."""
    norm_places: tuple[NormPlace, ...] = ("embedding", "residual")
    """Post-norm with an embedding norm by default, as in BERT; pre-norm is `[input, final]`."""
    first_input_norm: bool = True
    """Whether the first branch of the stack has its input norm; ModernBERT, whose embedding has one, leaves it out."""
    qk_norm: bool = False
    """The norm, over the width of a head, on queries and keys before they are rotated (Henry et al. 2020, Qwen3)."""
    feed_forward: FeedForwardConfig = PlainFeedForward()
    """The second branch of every block."""
    attention_bias: bool = True
    """Biases on q, k, v and o."""
    attention_output_bias: bool | None = None
    """A bias on o; null for the same as on q, k and v. Qwen2 has none there."""
    feed_forward_bias: bool = True
    """Biases in the feed-forward."""
    dropout: Dropout = Dropout()
    """Dropout by place."""
    tie_embeddings: bool = True
    """Whether a language-model head shares the token embedding's weight."""
    initializer_range: float = Field(0.02, gt=0.0)
    """The standard deviation of fresh weights."""
    output_init: OutputInit = "normal"
    """How fresh matrices start that write into the residual stream: like all others, divided by the root of the number
    of branches (Radford et al. 2019), or zero, so that every block starts as the identity."""
    padding_id: int | None = Field(0, ge=0)
    """The embedding row that never trains, as Hugging Face's configs name it; no batch of ours holds padding."""
    pooled: Literal["first", "last"] = "first"
    """The token that stands for its sequence: the first (BERT) or the last (XLNet)."""
    pooler: bool = False
    """Keep the tanh layer on the pooled token even where no head needs it, as folders of BERT's bare stack do."""
    heads: tuple[Head, ...] = ()
    """What stands on top of the stack, at most one of a kind."""

    @property
    def resolved_head_dim(self) -> int:
        """The width of one head."""
        return self.head_dim or self.hidden_size // self.num_heads

    @property
    def resolved_num_kv_heads(self) -> int:
        """Key and value heads."""
        return self.num_kv_heads or self.num_heads

    @property
    def of_encoder(self) -> Self:
        """The design of the encoder's stack alone; only for designs that have one."""
        differing = {name: value for name, value in (self.encoder or Encoder()) if value is not None}
        own = {"encoder": None, "causal": False, "heads": (), "pooler": False}
        return self.model_copy(update={**own, **differing})

    def window_of(self, layer: int) -> int | None:
        """The furthest distance that a token of this layer sees, counted from 0; None for any."""
        if self.window is None or (self.window.layers is not None and layer not in self.window.layers):
            return None
        return self.window.size

    @property
    def resolved_attention_output_bias(self) -> bool:
        """Whether o has a bias."""
        return self.attention_bias if self.attention_output_bias is None else self.attention_output_bias

    @property
    def reads_token_types(self) -> bool:
        """Whether the types of tokens change anything."""
        return self.num_token_types > 0 or (self.position.kind == "relative" and self.position.segments)

    @property
    def has_pooler(self) -> bool:
        """Whether a token is pooled: because a head needs it, or because the design says so."""
        return self.pooler or any(
            head.kind == "next_sentence" or (head.kind == "classification" and head.pooling == "pooler")
            for head in self.heads
        )

    @model_validator(mode="after")
    def _check_design(self) -> Self:
        if self.head_dim is None and self.hidden_size % self.num_heads:
            raise ValueError(f"num_heads: must divide hidden_size {self.hidden_size}, got {self.num_heads}")
        if self.num_heads % self.resolved_num_kv_heads:
            raise ValueError(f"num_kv_heads: must divide num_heads {self.num_heads}, got {self.num_kv_heads}")
        if self.shifted_kv_heads > self.resolved_num_kv_heads:
            raise ValueError(
                f"shifted_kv_heads: must be at most the {self.resolved_num_kv_heads} key heads, got "
                f"{self.shifted_kv_heads}"
            )
        if self.position.kind == "rotary" and self.resolved_head_dim % 2:
            raise ValueError(f"position: rotary needs an even head width, got {self.resolved_head_dim}")
        if self.position.kind == "relative":
            _check_relative(self)
        elif self.query_stream:
            raise ValueError(
                f"query_stream: needs positions that stand in no token, got {self.position.kind!r}; choose relative"
            )
        if self.window is not None:
            _check_window(self.window, self.num_layers, self.position.kind)
        if self.encoder is not None:
            _check_encoder(self)
        if self.position.kind == "none" and not self.causal:
            raise ValueError(
                "position: an encoder without positions is blind to word order, got 'none'; choose learned"
            )
        if len(set(self.norm_places)) != len(self.norm_places):
            raise ValueError(f"norm_places: a place is named twice, got {self.norm_places}")
        if not self.first_input_norm and "input" not in self.norm_places:
            raise ValueError("first_input_norm: there are no input norms, got False; leave it out")
        kinds = [head.kind for head in self.heads]
        if len(set(kinds)) != len(kinds):
            raise ValueError(f"heads: at most one of a kind, got {kinds}")
        return self


def _check_relative(design: Design) -> None:
    """Distances are scored among all tokens of a sequence, by one key a head."""
    others = {
        "causal": design.causal,
        "num_kv_heads": design.resolved_num_kv_heads != design.num_heads,
        "shifted_kv_heads": design.shifted_kv_heads > 0,
        "qk_norm": design.qk_norm,
        "window": design.window is not None,
    }
    if wrong := next((name for name, is_asked in others.items() if is_asked), None):
        raise ValueError(f"{wrong}: does not go with relative positions, got {getattr(design, wrong)}; leave it out")
    if design.hidden_size % 2:
        raise ValueError(f"position: relative needs an even hidden_size, got {design.hidden_size}")


def _check_encoder(design: Design) -> None:
    if not design.causal:
        raise ValueError("encoder: goes with a decoder, got causal False; set causal: true, or leave the encoder out")
    if design.position.kind == "none":
        raise ValueError("position: an encoder without positions is blind to word order, got 'none'; choose sinusoidal")
    if others := [head.kind for head in design.heads if head.kind != "causal_lm"]:
        raise ValueError(f"heads: on an encoder-decoder only causal_lm is supported, got {others}")
    encoder = design.of_encoder
    if encoder.head_dim is None and encoder.hidden_size % encoder.num_heads:
        raise ValueError(f"encoder.num_heads: must divide hidden_size {encoder.hidden_size}, got {encoder.num_heads}")
    if encoder.num_heads % encoder.resolved_num_kv_heads:
        raise ValueError(f"num_kv_heads: must divide encoder.num_heads {encoder.num_heads}, got {design.num_kv_heads}")
    if design.window is not None:
        _check_window(design.window, encoder.num_layers, design.position.kind)


def _check_window(window: Window, num_layers: int, position: str) -> None:
    layers = window.layers
    if layers is not None and (
        list(layers) != sorted(set(layers)) or not layers or not 0 <= layers[0] <= layers[-1] < num_layers
    ):
        raise ValueError(f"window.layers: must be different layers of 0 to {num_layers - 1} in order, got {layers}")
    if window.base is not None and position != "rotary":
        raise ValueError(f"window.base: is for rotary positions, got {window.base:g} with {position!r}; leave it out")


class ModelConfig(Design):
    """A design with its vocabulary: all that decides the tensors of a model."""

    vocab_size: PositiveInt
    """Rows of the token embedding."""

    @model_validator(mode="after")
    def _check_padding(self) -> Self:
        if self.padding_id is not None and self.padding_id >= self.vocab_size:
            raise ValueError(f"padding_id: must be below vocab_size {self.vocab_size}, got {self.padding_id}")
        return self
