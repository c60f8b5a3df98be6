"""BART (Lewis et al. 2020) as Hugging Face stores it: a post-norm encoder-decoder with learned positions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from torch import Tensor

from groundup.errors import ConfigError
from groundup.families.encoder_decoder import adapt_heads, read_heads, refuse_other_stacks, rename_linears
from groundup.families.family import canonical
from groundup.families.keymap import Constant, Copy, KeyMap, Rename, Rule
from groundup.families.values import ACTIVATIONS, OUTPUT_INITS, Values, name_activation
from groundup.model.config import (
    Dropout,
    Encoder,
    Head,
    LayerNormConfig,
    LearnedPositions,
    ModelConfig,
    NormPlace,
    PlainFeedForward,
    SinusoidalPositions,
)

_PREFIX: Final = "model."
_BIAS: Final = "final_logits_bias"
_OURS: Final = ("embedding_dropout", "output_init")
"""What BART has no word for, beside its own keys: it matters while training alone, so each is written only where it is
not what BART does."""
_SETTINGS: Final = frozenset(
    {
        *_OURS,
        "activation_dropout",
        "activation_function",
        "add_bias_logits",
        "add_final_layer_norm",
        "architectures",
        "attention_dropout",
        "d_model",
        "decoder_attention_heads",
        "decoder_ffn_dim",
        "decoder_layerdrop",
        "decoder_layers",
        "decoder_vocab_size",
        "dropout",
        "encoder_attention_heads",
        "encoder_ffn_dim",
        "encoder_layerdrop",
        "encoder_layers",
        "id2label",
        "init_std",
        "is_decoder",
        "is_encoder_decoder",
        "label2id",
        "max_position_embeddings",
        "model_type",
        "normalize_before",
        "normalize_embedding",
        "num_labels",
        "pad_token_id",
        "quantization_config",
        "scale_embedding",
        "share_encoder_decoder_embeddings",
        "static_position_embeddings",
        "tie_word_embeddings",
        "vocab_size",
    }
)
_SIDES: Final = {"num_layers": "layers", "num_heads": "attention_heads", "intermediate_size": "ffn_dim"}
"""Our values, and how their keys end that say them for each side."""


@dataclass(frozen=True)
class BartLike:
    """The families `bart` and `marian`: they differ in their positions and the norm of the embedding."""

    model_type: str
    architectures: Mapping[str, bool]
    """Those that are supported, and whether each has the head."""
    vocab_size: int
    pad_token_id: int
    """With `vocab_size`: what absent keys mean."""
    has_embedding_norm: bool
    position: LearnedPositions | SinusoidalPositions
    """All of it but whether the embedding is scaled."""
    is_table: Callable[[Tensor], bool] | None = None
    """Whether a tensor holds the positions that are computed; None for those that are trained."""
    own_keys: Mapping[str, Any] = field(default_factory=dict)
    """Further keys of its config.json."""

    def to_config(
        self, config: Mapping[str, Any], names: Collection[str], heads: Sequence[Head] | None, where: str
    ) -> ModelConfig:
        """The design of a folder. Absent keys mean what they mean to Hugging Face's config of this family."""
        values = Values(config, where)
        values.check_spelling(_SETTINGS)
        self._refuse_other_arithmetic(values)
        vocab_size, hidden_size = values.count("vocab_size", self.vocab_size), values.count("d_model", 1024)
        values.require("decoder_vocab_size", (vocab_size,), "a vocabulary of its own for the decoder is not supported")
        padding_id = None
        if config.get("pad_token_id", self.pad_token_id) is not None:
            padding_id = values.count("pad_token_id", self.pad_token_id, least=0)
            if padding_id >= vocab_size:
                raise values.error("pad_token_id", f"must be below vocab_size {vocab_size}")
        sides = {side: _read_side(values, side, hidden_size) for side in ("encoder", "decoder")}
        differing = {name: each for name, each in sides["encoder"].items() if each != sides["decoder"][name]}
        dropout = values.number("dropout", 0.1)
        own = {"bias": _BIAS in names}
        return ModelConfig(
            vocab_size=vocab_size,
            hidden_size=hidden_size,
            **sides["decoder"],
            max_length=values.count("max_position_embeddings", 1024),
            num_token_types=0,
            causal=True,
            encoder=Encoder(**differing),
            position=self.position.model_copy(update={"scale_embedding": values.flag("scale_embedding", False)}),
            norm=LayerNormConfig(eps=1e-5),
            norm_places=self._norm_places,
            feed_forward=PlainFeedForward(activation=values.choice("activation_function", "gelu", ACTIVATIONS)),
            dropout=Dropout(
                embedding=values.number("embedding_dropout", dropout),
                attention=values.number("attention_dropout", 0.0),
                residual=dropout,
                feed_forward=values.number("activation_dropout", 0.0),
            ),
            tie_embeddings=values.flag("tie_word_embeddings", True),
            initializer_range=values.number("init_std", 0.02, above=0.0),
            output_init=values.choice("output_init", "normal", OUTPUT_INITS),
            padding_id=padding_id,
            heads=read_heads(values, names, self.architectures, own) if heads is None else adapt_heads(heads, own),
        )

    def from_config(self, config: ModelConfig) -> dict[str, Any] | None:
        """The config.json of a design; None unless reading it again gives the same design.

        What begins and ends a text is the tokenizer's to say: null, unless a folder that is kept says more.
        """
        if config.encoder is None or config.position.kind != self.position.kind:
            return None
        sides = {"encoder": config.of_encoder, "decoder": config}
        written = {
            "model_type": self.model_type,
            "architectures": [name for name, has_head in self.architectures.items() if has_head == bool(config.heads)],
            "vocab_size": config.vocab_size,
            "d_model": config.hidden_size,
            **{
                f"{side}_{theirs}": getattr(design, ours)
                for side, design in sides.items()
                for ours, theirs in _SIDES.items()
            },
            "max_position_embeddings": config.max_length,
            "activation_function": name_activation(config.feed_forward.activation),
            "dropout": config.dropout.residual,
            "attention_dropout": config.dropout.attention,
            "activation_dropout": config.dropout.feed_forward,
            "init_std": config.initializer_range,
            "scale_embedding": config.position.scale_embedding,
            "tie_word_embeddings": config.tie_embeddings,
            "is_encoder_decoder": True,
            "bos_token_id": None,
            "eos_token_id": None,
            "forced_eos_token_id": None,
            "pad_token_id": config.padding_id,
            "decoder_start_token_id": config.padding_id or 0,
            **self.own_keys,
        }
        if config.dropout.embedding != config.dropout.residual:
            written["embedding_dropout"] = config.dropout.embedding
        if config.output_init != "normal":
            written["output_init"] = config.output_init
        names = (_BIAS,) if any(head.bias for head in config.heads) else ()
        try:
            again = self.to_config(written, names, None, "design")
        except ConfigError:
            return None
        return written if canonical(again) == canonical(config) else None

    def read_map(self, config: Mapping[str, Any], names: Collection[str]) -> KeyMap:
        """The rules for a folder, whether its names carry `model.` or not."""
        prefix = _PREFIX if any(name.startswith(_PREFIX) for name in names) else ""
        return KeyMap(self._build_rules(prefix, config.get("tie_word_embeddings", True)))

    def write_map(self, config: ModelConfig) -> KeyMap:
        """The rules of a design: the stacks alone have no prefix, as Hugging Face writes them."""
        return KeyMap(self._build_rules(_PREFIX if config.heads else "", config.tie_embeddings))

    def is_backbone(self, name: str) -> bool:
        """Whether a tensor belongs to the stacks themselves."""
        return name.removeprefix(_PREFIX).startswith(("shared.", "encoder.", "decoder."))

    def settings(self) -> frozenset[str]:
        """The keys of config.json that decide about arithmetic or heads."""
        return _SETTINGS

    @property
    def _norm_places(self) -> tuple[NormPlace, ...]:
        return ("embedding", "residual") if self.has_embedding_norm else ("residual",)

    def _refuse_other_arithmetic(self, values: Values) -> None:
        refuse_other_stacks(values)
        for side in ("encoder", "decoder"):
            values.require(f"{side}_layerdrop", (0, 0.0), "blocks that are left out in training are not supported")
        values.require("share_encoder_decoder_embeddings", (True,), "two embeddings are not supported")
        # Of other models that were stored under this name; transformers 5 computes as if they were not there.
        values.require("normalize_before", (False,), "norms before the branches are another model type, 'mbart'")
        values.require("add_final_layer_norm", (False,), "a norm after the stacks is another model type, 'mbart'")
        values.require("add_bias_logits", (False,), "is not supported")
        values.require("normalize_embedding", (self.has_embedding_norm,), "is not what this model type computes")
        is_static = self.is_table is not None
        values.require("static_position_embeddings", (is_static,), "is not what this model type computes")

    def _build_rules(self, prefix: str, is_tied: bool) -> tuple[Rule, ...]:
        rules: list[Rule] = [Rename(f"{prefix}shared.weight", "embedding.token.weight")]
        for side, ours in (("encoder", "encoder."), ("decoder", "")):
            theirs = f"{prefix}{side}."
            positions = f"{theirs}embed_positions.weight"
            rules += [
                # Where the head is not tied, transformers 5 ties no embedding either.
                Copy(
                    f"{theirs}embed_tokens.weight",
                    "embedding.token.weight",
                    is_written=not is_tied,
                    cure="encoder and decoder share one embedding here; those that were trained apart have no slot",
                ),
                Rename(positions, f"{ours}embedding.position.weight")
                if self.is_table is None
                else Constant(positions, self.is_table),
                *_rename(f"{theirs}layernorm_embedding", f"{ours}embedding.norm"),
                *_rename_block(f"{theirs}layers.{{i}}.", f"{ours}blocks.{{i}}.", has_memory=side == "decoder"),
                Constant(f"{theirs}version", lambda version: version.numel() == 1),
            ]
        rules += [
            Rename(_BIAS, "heads.causal_lm.bias", is_row=True),
            Copy("lm_head.weight", "embedding.token.weight")
            if is_tied
            else Rename("lm_head.weight", "heads.causal_lm.decoder.weight"),
        ]
        return tuple(rules)


BART: Final = BartLike(
    model_type="bart",
    architectures={"BartModel": False, "BartForConditionalGeneration": True},
    vocab_size=50265,
    pad_token_id=1,
    has_embedding_norm=True,
    position=LearnedPositions(offset=2),
)


def _read_side(values: Values, side: str, hidden_size: int) -> dict[str, int]:
    """The values that a side has of its own."""
    defaults = {"num_layers": 12, "num_heads": 16, "intermediate_size": 4096}
    found = {ours: values.count(f"{side}_{theirs}", defaults[ours]) for ours, theirs in _SIDES.items()}
    if hidden_size % found["num_heads"]:
        raise values.error(f"{side}_attention_heads", f"must divide d_model {hidden_size}")
    return found


def _rename_block(theirs: str, ours: str, *, has_memory: bool) -> list[Rule]:
    attentions = [("self_attn", "attention"), *([("encoder_attn", "cross_attention")] if has_memory else [])]
    projections = [("q_proj", "q"), ("k_proj", "k"), ("v_proj", "v"), ("out_proj", "o")]
    rules: list[Rule] = []
    for name, own in attentions:
        rules += rename_linears(f"{theirs}{name}.", f"{ours}{own}.", projections, ("weight", "bias"))
        rules += _rename(f"{theirs}{name}_layer_norm", f"{ours}{own}_norms.residual")
    inner = [("fc1", "up"), ("fc2", "down")]
    rules += rename_linears(theirs, f"{ours}feed_forward.", inner, ("weight", "bias"))
    return [*rules, *_rename(f"{theirs}final_layer_norm", f"{ours}feed_forward_norms.residual")]


def _rename(theirs: str, ours: str) -> list[Rename]:
    return [Rename(f"{theirs}.{part}", f"{ours}.{part}") for part in ("weight", "bias")]
