"""What Llama, Mistral and Qwen have in common: pre-norm decoders with a gate, which turn their queries and keys."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from groundup.errors import ConfigError
from groundup.families.decoder_heads import DROPOUT, DecoderClasses
from groundup.families.family import canonical
from groundup.families.keymap import KeyMap
from groundup.families.llama_names import PREFIX, build_rotation_rule, build_rules, find_prefix, is_backbone
from groundup.families.rotation import ROTATION_SETTINGS, read_rotation, write_rotation
from groundup.families.values import ACTIVATIONS, OUTPUT_INITS, Values, name_activation
from groundup.families.windows import NO_WINDOW, Windows
from groundup.model.config import Dropout, GatedFeedForward, Head, ModelConfig, RMSNormConfig

_OURS: Final = ("embedding_dropout", "output_init", "residual_dropout")
"""What these families have no word for and no need of: it matters while training alone, so these keys of ours are
beside their own. Each is written only where it is not what they do."""
_DEFAULTS: Final = {
    "vocab_size": 32000,
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": None,
    "head_dim": None,
    "max_position_embeddings": 2048,
}
"""What absent sizes mean to Llama; None for what follows from others."""
_SETTINGS: Final = frozenset(
    {
        *_OURS,
        *_DEFAULTS,
        *ROTATION_SETTINGS,
        "add_cross_attention",
        "architectures",
        "attention_dropout",
        DROPOUT,
        "hidden_act",
        "id2label",
        "initializer_range",
        "is_causal",
        "is_encoder_decoder",
        "label2id",
        "model_type",
        "num_labels",
        "pad_token_id",
        "per_layer_config",
        "quantization_config",
        "rms_norm_eps",
        "tie_word_embeddings",
    }
)


@dataclass(frozen=True)
class LlamaLike:
    """A family, by what it does otherwise than Llama."""

    model_type: str
    name: str
    """The first part of the names of its classes in transformers."""
    defaults: Mapping[str, int | None] = field(default_factory=dict)
    """What absent sizes mean, where that is not what they mean to Llama."""
    design: Mapping[str, Any] = field(default_factory=dict)
    """Values of the design that no key of config.json names."""
    biases: Mapping[str, str] = field(default_factory=dict)
    """The design's biases that a key of config.json turns on, and that key. There are no others."""
    windows: Windows = NO_WINDOW
    """How config.json says how far its layers see."""
    always: Mapping[str, object] = field(default_factory=dict)
    """Keys of config.json that have one value here, which is written."""
    is_strict: bool = False
    """Whether transformers refuses a width that the heads do not divide even where head_dim is given."""

    def to_config(
        self, config: Mapping[str, Any], names: Collection[str], heads: Sequence[Head] | None, where: str
    ) -> ModelConfig:
        """The design of a folder. Absent keys mean what they mean to the family's class of settings in transformers."""
        values = Values(config, where)
        values.check_spelling(self.settings().union(("bos_token_id", "eos_token_id")))
        self._refuse_other_arithmetic(values)
        size = {key: self._count(values, key) for key in _DEFAULTS}
        hidden_size, num_heads = size["hidden_size"], size["num_attention_heads"]
        if hidden_size % num_heads and (self.is_strict or size["head_dim"] is None):
            raise values.error("num_attention_heads", f"must divide hidden_size {hidden_size}")
        num_kv_heads, head_dim = size["num_key_value_heads"] or num_heads, size["head_dim"] or hidden_size // num_heads
        if num_heads % num_kv_heads:
            raise values.error("num_key_value_heads", f"must divide num_attention_heads {num_heads}")
        if head_dim % 2:
            raise values.error("head_dim", f"a rotation turns pairs, so the width of a head, {head_dim}, must be even")
        biases = {"attention_bias": False, "feed_forward_bias": False, **self.design}
        biases |= {ours: values.flag(theirs, False) for ours, theirs in self.biases.items()}
        return ModelConfig(
            vocab_size=size["vocab_size"],
            hidden_size=hidden_size,
            num_layers=size["num_hidden_layers"],
            num_heads=num_heads,
            num_kv_heads=None if num_kv_heads == num_heads else num_kv_heads,
            head_dim=None if head_dim * num_heads == hidden_size else head_dim,
            intermediate_size=size["intermediate_size"],
            max_length=size["max_position_embeddings"],
            num_token_types=0,
            causal=True,
            window=self.windows.read(values, size["num_hidden_layers"]),
            position=read_rotation(values, size["max_position_embeddings"]),
            norm=RMSNormConfig(eps=values.number("rms_norm_eps", 1e-6, above=0.0)),
            norm_places=("input", "final"),
            feed_forward=GatedFeedForward(activation=values.choice("hidden_act", "silu", ACTIVATIONS)),
            dropout=Dropout(
                embedding=values.number("embedding_dropout", 0.0),
                attention=values.number("attention_dropout", 0.0),
                residual=values.number("residual_dropout", 0.0),
            ),
            tie_embeddings=values.flag("tie_word_embeddings", False),
            initializer_range=_read_range(values),
            output_init=values.choice("output_init", "normal", OUTPUT_INITS),
            padding_id=_read_padding(values, size["vocab_size"]),
            heads=self._classes.read(values, names, heads),
            **biases,
        )

    def from_config(self, config: ModelConfig) -> dict[str, Any] | None:
        """The config.json of a design; None unless reading it again gives the same design.

        What begins and ends a document is the tokenizer's to say: null, unless a folder that is kept says more.
        """
        of_heads = self._classes.write(config)
        if config.position.kind != "rotary" or of_heads is None:
            return None
        dropout = config.dropout
        written = {
            "model_type": self.model_type,
            **of_heads,
            "vocab_size": config.vocab_size,
            "hidden_size": config.hidden_size,
            "intermediate_size": config.intermediate_size,
            "num_hidden_layers": config.num_layers,
            "num_attention_heads": config.num_heads,
            "num_key_value_heads": config.resolved_num_kv_heads,
            "head_dim": config.resolved_head_dim,
            "hidden_act": name_activation(config.feed_forward.activation),
            "max_position_embeddings": config.max_length,
            **self.windows.write(config.window, config.num_layers),
            **write_rotation(config.position),
            "rms_norm_eps": config.norm.eps,
            **{theirs: getattr(config, ours) for ours, theirs in self.biases.items()},
            "attention_dropout": dropout.attention,
            "initializer_range": config.initializer_range,
            **self.always,
            "tie_word_embeddings": config.tie_embeddings,
            "bos_token_id": None,
            "eos_token_id": None,
            "pad_token_id": config.padding_id,
        }
        ours = {"embedding_dropout": dropout.embedding, "residual_dropout": dropout.residual}
        written |= {key: value for key, value in ours.items() if value}
        if config.output_init != "normal":
            written["output_init"] = config.output_init
        try:
            again = self.to_config(written, (), None, "design")
        except ConfigError:
            return None
        return written if canonical(again) == canonical(config) else None

    def read_map(self, config: Mapping[str, Any], names: Collection[str]) -> KeyMap:
        """The rules for a folder, whether its names carry `model.` or not."""
        prefix, values = find_prefix(names), Values(config, "config.json")
        position = read_rotation(values, self._count(values, "max_position_embeddings"))
        rules = build_rules(prefix, config.get("tie_word_embeddings", False))
        return KeyMap((*rules, build_rotation_rule(prefix, position)))

    def write_map(self, config: ModelConfig) -> KeyMap:
        """The rules of a design: a stack alone has no prefix, as Hugging Face writes it."""
        return KeyMap(build_rules(PREFIX if config.heads else "", config.tie_embeddings))

    def is_backbone(self, name: str) -> bool:
        """Whether a tensor belongs to the stack itself."""
        return is_backbone(name)

    def settings(self) -> frozenset[str]:
        """The keys of config.json that decide about arithmetic or heads."""
        return _SETTINGS.union(self.biases.values(), self.windows.settings, self.always)

    @property
    def _classes(self) -> DecoderClasses:
        return DecoderClasses(*(f"{self.name}{end}" for end in ("Model", "ForCausalLM", "ForSequenceClassification")))

    def _count(self, values: Values, key: str) -> int | None:
        """A size; None where it follows from others."""
        if key not in values.config:
            return {**_DEFAULTS, **self.defaults}[key]
        is_derived = values.config[key] is None and _DEFAULTS[key] is None
        return None if is_derived else values.count(key, 1)

    def _refuse_other_arithmetic(self, values: Values) -> None:
        values.names("architectures")
        for key, value in self.always.items():
            values.require(key, (value,), f"only {value!r} is supported")
        values.require("per_layer_config", ({},), "layers that differ from each other are not supported")
        values.require("add_cross_attention", (False,), "cross-attention is not supported")
        values.require("is_encoder_decoder", (False,), "an encoder-decoder is not supported")
        values.require("is_causal", (True,), "attention to both sides is not supported")
        values.require("quantization_config", (), "quantised weights are not supported")


def _read_range(values: Values) -> float:
    found = values.number("initializer_range", 0.02, above=0.0)
    if found > 1:
        raise values.error("initializer_range", "must be at most 1, or transformers does not open it")
    return found


def _read_padding(values: Values, vocab_size: int) -> int | None:
    """The row that never trains, as in transformers: even one that also ends a document."""
    if values.config.get("pad_token_id") is None:
        return None
    padding_id = values.count("pad_token_id", 0, least=0)
    if padding_id >= vocab_size:
        raise values.error("pad_token_id", f"must be below vocab_size {vocab_size}")
    return padding_id
