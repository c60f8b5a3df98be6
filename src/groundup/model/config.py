"""A design as values: every published family is one setting of these slots."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from groundup.config import Config

Probability = Annotated[float, Field(ge=0.0, lt=1.0)]
Activation = Literal["gelu", "gelu_tanh", "relu", "silu", "tanh"]
OutputInit = Literal["normal", "scaled", "zero"]


class LearnedPositions(Config):
    """One trained vector per position, added to the embedding (BERT, GPT-2)."""

    kind: Literal["learned"] = "learned"
    offset: int = Field(0, ge=0)
    """Rows before that of the first position, which no token uses (RoBERTa, BART: 2)."""
    scale_embedding: bool = False
    """Multiply token embeddings by sqrt(hidden_size) before the sum."""


class SinusoidalPositions(Config):
    """sin and cos of geometrically spaced wavelengths, added to the embedding (Vaswani et al. 2017, section 3.5)."""

    kind: Literal["sinusoidal"] = "sinusoidal"
    base: float = Field(10000.0, gt=1.0)
    """The ratio between the longest and the shortest wavelength."""
    scale_embedding: bool = True
    """Multiply token embeddings by sqrt(hidden_size) before the sum, as the paper does."""
    layout: Literal["interleaved", "halves"] = "interleaved"
    """sin and cos in turns, as in the paper, or all of sin and then all of cos (Marian)."""


class RotaryPositions(Config):
    """Queries and keys rotated by an angle that grows with their position (Su et al. 2021)."""

    kind: Literal["rotary"] = "rotary"
    base: float = Field(10000.0, gt=1.0)
    """The ratio between the longest and the shortest wavelength."""


class RelativeBias(Config):
    """A trained number per head and range of distances, added to the scores of every block (Raffel et al. 2020)."""

    kind: Literal["relative_bias"] = "relative_bias"
    num_buckets: int = Field(32, ge=4)
    """Ranges of distances: half of them single distances, the others ever wider. An encoder has as many to the left as
    to the right."""
    max_distance: PositiveInt = 128
    """The distance from which all share one range."""

    @model_validator(mode="after")
    def _check_buckets(self) -> Self:
        if self.num_buckets % 2:
            raise ValueError(f"num_buckets: must be even, got {self.num_buckets}")
        if self.max_distance <= self.num_buckets // 2:
            raise ValueError(
                f"max_distance: must be above the {self.num_buckets // 2} distances that have a bucket of their own, "
                f"got {self.max_distance}"
            )
        return self


class NoPositions(Config):
    """No position information: only for causal stacks, which can count."""

    kind: Literal["none"] = "none"


Position = Annotated[
    LearnedPositions | SinusoidalPositions | RotaryPositions | RelativeBias | NoPositions, Field(discriminator="kind")
]


class Window(Config):
    """Attention to the neighbourhood alone, in all layers or in some (Beltagy et al. 2020)."""

    size: int = Field(ge=0)
    """The furthest distance that a token sees, to either side; itself aside."""
    layers: tuple[int, ...] | None = None
    """The layers that see no further, counted from 0; null for all."""
    base: float | None = Field(None, gt=1.0)
    """The base of rotary positions in these layers; null for that of the others."""


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


class MaskedLMHead(Config):
    """Logits over the vocabulary for masked tokens: transform, norm, tied or own decoder (BERT)."""

    kind: Literal["masked_lm"] = "masked_lm"
    activation: Activation = "gelu"
    """The function after the head's dense transform."""
    bias: bool = True
    """Whether the decoder adds a bias per vocabulary entry."""


class CausalLMHead(Config):
    """Logits over the vocabulary for the next token: the tied or own decoder alone (GPT-2)."""

    kind: Literal["causal_lm"] = "causal_lm"
    bias: bool = False
    """Whether the decoder adds a bias per vocabulary entry."""
    scale_hidden: bool = False
    """Divide hidden states by sqrt(hidden_size) first, as T5 does because its embedding has entries of size 1."""


class NextSentenceHead(Config):
    """Two logits on the pooled first token: 0 = B follows A, 1 = B is random (BERT)."""

    kind: Literal["next_sentence"] = "next_sentence"


class ClassificationHead(Config):
    """One logit per class on the pooled first token (tanh pooler, dropout, linear: BERT)."""

    kind: Literal["classification"] = "classification"
    num_labels: PositiveInt
    """The number of classes."""
    dropout: Probability = 0.1
    """On the pooled vector."""


class TokenHead(Config):
    """One logit per class for every token."""

    kind: Literal["token"] = "token"
    num_labels: PositiveInt
    """The number of classes."""
    dropout: Probability = 0.1
    """On the hidden states."""


class SpanHead(Config):
    """A start and an end logit for every token (extractive question answering)."""

    kind: Literal["span"] = "span"


Head = Annotated[
    MaskedLMHead | CausalLMHead | NextSentenceHead | ClassificationHead | TokenHead | SpanHead,
    Field(discriminator="kind"),
]


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
    window: Window | None = None
    """A bound on how far a token sees; null for none."""
    attention_scale: float | None = Field(None, gt=0.0)
    """What scores are multiplied by before the softmax; null for 1 / sqrt(head_dim)."""
    position: Position = LearnedPositions()
    """How the model knows where a token stands."""
    norm: Norm = LayerNormConfig()
    """The norm at every place of `norm_places`."""
    norm_places: tuple[NormPlace, ...] = ("embedding", "residual")
    """Post-norm with an embedding norm by default, as in BERT; pre-norm is `[input, final]`."""
    feed_forward: FeedForwardConfig = PlainFeedForward()
    """The second branch of every block."""
    attention_bias: bool = True
    """Biases on q, k, v and o."""
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
    pooler: bool = False
    """Keep the tanh layer on the first token even where no head needs it, as folders of BERT's bare stack do."""
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

    def window_of(self, layer: int) -> int | None:
        """The furthest distance that a token of this layer sees, counted from 0; None for any."""
        if self.window is None or (self.window.layers is not None and layer not in self.window.layers):
            return None
        return self.window.size

    @property
    def has_pooler(self) -> bool:
        """Whether the first token is pooled: because a head needs it, or because the design says so."""
        return self.pooler or any(head.kind in ("classification", "next_sentence") for head in self.heads)

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
        if self.window is not None:
            _check_window(self.window, self.num_layers, self.position.kind)
        if self.position.kind == "none" and not self.causal:
            raise ValueError(
                "position: an encoder without positions is blind to word order, got 'none'; choose learned"
            )
        if len(set(self.norm_places)) != len(self.norm_places):
            raise ValueError(f"norm_places: a place is named twice, got {self.norm_places}")
        kinds = [head.kind for head in self.heads]
        if len(set(kinds)) != len(kinds):
            raise ValueError(f"heads: at most one of a kind, got {kinds}")
        return self


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
