"""A design as values: every published family is one setting of these slots."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, PositiveInt, model_validator

from groundup.config import Config
from groundup.model.head_config import (
    Activation,
    BiaffineHead,
    CausalLMHead,
    ClassificationHead,
    GeneratorHead,
    Head,
    HeadTransform,
    MaskedLMHead,
    MultipleChoiceHead,
    NextSentenceHead,
    PermutedLMHead,
    Pooling,
    Probability,
    ReplacedHead,
    SentenceOrderHead,
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
from groundup.model.stack_config import (
    Dropout,
    Encoder,
    FeedForwardConfig,
    GatedFeedForward,
    LayerNormConfig,
    Norm,
    NormPlace,
    PlainFeedForward,
    RMSNormConfig,
    Sharing,
)

__all__ = [
    "Activation",
    "BiaffineHead",
    "CausalLMHead",
    "ClassificationHead",
    "Design",
    "Dropout",
    "Encoder",
    "FeedForwardConfig",
    "GatedFeedForward",
    "GeneratorHead",
    "Head",
    "HeadTransform",
    "LayerNormConfig",
    "LearnedPositions",
    "LinearScaling",
    "Llama3Scaling",
    "MaskedLMHead",
    "ModelConfig",
    "MultipleChoiceHead",
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
    "ReplacedHead",
    "RotaryPositions",
    "RotaryScaling",
    "SentenceOrderHead",
    "Sharing",
    "SinusoidalPositions",
    "SpanHead",
    "TokenHead",
    "Window",
]

OutputInit = Literal["normal", "scaled", "zero"]


class Design(Config):
    """The design of one stack of Transformer blocks and its heads, whatever the vocabulary."""

    hidden_size: PositiveInt = 256
    """The width of the residual stream."""
    num_layers: int = Field(4, gt=0, le=10_000)
    """Blocks that a token passes, each attention then feed-forward."""
    sharing: Sharing | None = None
    """Which of them are the same block; null: each is one of its own."""
    embedding_size: PositiveInt | None = None
    """The width of the embedding, from which a linear map leads to `hidden_size` (ALBERT); null: the same, no map."""
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

    @property
    def resolved_embedding_size(self) -> int:
        """The width of the embedding."""
        return self.embedding_size or self.hidden_size

    @property
    def num_blocks(self) -> int:
        """Blocks that are stored."""
        return self.num_layers if self.sharing is None else self.sharing.num_groups * self.sharing.group_size

    def block_of(self, layer: int) -> int:
        """Which of the stored blocks is passed at this place of the stack, both counted from 0."""
        if self.sharing is None:
            return layer
        group_size, num_groups = self.sharing.group_size, self.sharing.num_groups
        # In floats, as the published models are: 9 / (18 / 14) rounds to below 7.
        group = int(layer // group_size / (self.num_layers // group_size / num_groups))
        return group * group_size + layer % group_size

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
        return self.pooler or any(getattr(head, "pooling", None) == "pooler" for head in self.heads)

    @property
    def has_prefix(self) -> bool:
        """Whether a decoder reads what it goes on from in both directions."""
        return any(head.kind == "causal_lm" and head.prefix for head in self.heads)

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
        if self.sharing is not None:
            _check_sharing(self, self.sharing)
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
        plain = next((kind for kind in kinds if kind in ("causal_lm", "permuted_lm")), None)
        if plain is not None and self.tie_embeddings and self.resolved_embedding_size != self.hidden_size:
            raise ValueError(
                f"tie_embeddings: {plain} reads hidden states of {self.hidden_size} and cannot share an embedding of "
                f"{self.embedding_size}, got True"
            )
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
    if design.sharing is not None:
        _check_sharing(encoder, design.sharing)


def _check_sharing(design: Design, sharing: Sharing) -> None:
    rounds, rest = divmod(design.num_layers, sharing.group_size)
    if rest:
        raise ValueError(f"sharing.group_size: must divide num_layers {design.num_layers}, got {sharing.group_size}")
    if sharing.num_groups > rounds:
        raise ValueError(
            f"sharing.num_groups: must be at most {rounds}, as often as groups are passed, got {sharing.num_groups}"
        )
    if design.window is not None and design.window.layers is not None:
        raise ValueError(
            f"window.layers: a block that is passed several times is everywhere the same, got {design.window.layers}"
        )
    if not design.first_input_norm:
        raise ValueError("first_input_norm: a block that is passed several times is everywhere the same, got False")


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
