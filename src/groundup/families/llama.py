"""Llama (Touvron et al. 2023) as Hugging Face stores it: a pre-norm decoder that turns its queries and keys."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any, Final

import torch
from torch import Tensor

from groundup.errors import ConfigError
from groundup.families.family import canonical
from groundup.families.keymap import Constant, Copy, KeyMap, Rename, Rule
from groundup.families.values import ACTIVATIONS, OUTPUT_INITS, Values, name_activation, read_causal_head
from groundup.model.config import (
    Dropout,
    GatedFeedForward,
    Head,
    ModelConfig,
    RMSNormConfig,
    RotaryPositions,
)

_PREFIX: Final = "model."
_HAS_HEAD: Final = {"LlamaModel": False, "LlamaForCausalLM": True}
_ROTATIONS: Final = ("rope_parameters", "rope_scaling")
"""Where transformers 5 and earlier releases describe a rotation; before both, `rope_theta` alone did."""
_ROTATION_SETTINGS: Final = frozenset({"partial_rotary_factor", "rope_theta", "rope_type", "type"})
_OURS: Final = ("embedding_dropout", "output_init", "residual_dropout")
"""What Llama has no word for and no need of: it matters while training alone, so these keys of ours are beside its own.
Each is written only where it is not what Llama does."""
_SETTINGS: Final = frozenset(
    {
        *_ROTATIONS,
        *_OURS,
        "add_cross_attention",
        "architectures",
        "attention_bias",
        "attention_chunk_size",
        "attention_dropout",
        "head_dim",
        "hidden_act",
        "hidden_size",
        "id2label",
        "initializer_range",
        "intermediate_size",
        "is_causal",
        "is_encoder_decoder",
        "label2id",
        "layer_types",
        "max_position_embeddings",
        "mlp_bias",
        "model_type",
        "num_attention_heads",
        "num_hidden_layers",
        "num_key_value_heads",
        "num_labels",
        "pad_token_id",
        "partial_rotary_factor",
        "per_layer_config",
        "pretraining_tp",
        "quantization_config",
        "rms_norm_eps",
        "rope_theta",
        "sliding_window",
        "tie_word_embeddings",
        "vocab_size",
    }
)


class Llama:
    """The family `llama`."""

    model_type = "llama"

    def to_config(
        self, config: Mapping[str, Any], names: Collection[str], heads: Sequence[Head] | None, where: str
    ) -> ModelConfig:
        """The design of a folder. Absent keys mean what they mean to Hugging Face's LlamaConfig."""
        values = Values(config, where)
        values.check_spelling(_SETTINGS.union(("bos_token_id", "eos_token_id")))
        _refuse_other_arithmetic(values)
        hidden_size, num_heads = values.count("hidden_size", 4096), values.count("num_attention_heads", 32)
        if hidden_size % num_heads:  # transformers insists, even where head_dim is given
            raise values.error("num_attention_heads", f"must divide hidden_size {hidden_size}")
        num_kv_heads = _count_or(values, "num_key_value_heads", num_heads)
        if num_heads % num_kv_heads:
            raise values.error("num_key_value_heads", f"must divide num_attention_heads {num_heads}")
        head_dim = _count_or(values, "head_dim", hidden_size // num_heads)
        if head_dim % 2:
            raise values.error("head_dim", f"a rotation turns pairs, so the width of a head, {head_dim}, must be even")
        vocab_size = values.count("vocab_size", 32000)
        return ModelConfig(
            vocab_size=vocab_size,
            hidden_size=hidden_size,
            num_layers=values.count("num_hidden_layers", 32),
            num_heads=num_heads,
            num_kv_heads=None if num_kv_heads == num_heads else num_kv_heads,
            head_dim=None if head_dim * num_heads == hidden_size else head_dim,
            intermediate_size=values.count("intermediate_size", 11008),
            max_length=values.count("max_position_embeddings", 2048),
            num_token_types=0,
            causal=True,
            position=RotaryPositions(base=_read_base(values)),
            norm=RMSNormConfig(eps=values.number("rms_norm_eps", 1e-6, above=0.0)),
            norm_places=("input", "final"),
            feed_forward=GatedFeedForward(activation=values.choice("hidden_act", "silu", ACTIVATIONS)),
            attention_bias=values.flag("attention_bias", False),
            feed_forward_bias=values.flag("mlp_bias", False),
            dropout=Dropout(
                embedding=values.number("embedding_dropout", 0.0),
                attention=values.number("attention_dropout", 0.0),
                residual=values.number("residual_dropout", 0.0),
            ),
            tie_embeddings=values.flag("tie_word_embeddings", False),
            initializer_range=_read_range(values),
            output_init=values.choice("output_init", "normal", OUTPUT_INITS),
            padding_id=_read_padding(values, vocab_size),
            heads=read_causal_head(values, names, _HAS_HEAD) if heads is None else tuple(heads),
        )

    def from_config(self, config: ModelConfig) -> dict[str, Any] | None:
        """The config.json of a design; None unless reading it again gives the same design.

        What begins and ends a document is the tokenizer's to say: null, unless a folder that is kept says more.
        """
        if config.position.kind != "rotary" or any(head.kind != "causal_lm" for head in config.heads):
            return None
        base = config.position.base
        written = {
            "model_type": self.model_type,
            "architectures": ["LlamaForCausalLM" if config.heads else "LlamaModel"],
            "vocab_size": config.vocab_size,
            "hidden_size": config.hidden_size,
            "intermediate_size": config.intermediate_size,
            "num_hidden_layers": config.num_layers,
            "num_attention_heads": config.num_heads,
            "num_key_value_heads": config.resolved_num_kv_heads,
            "head_dim": config.resolved_head_dim,
            "hidden_act": name_activation(config.feed_forward.activation),
            "max_position_embeddings": config.max_length,
            "rope_theta": base,
            # Releases before 5 and other readers know the first place alone, transformers 5 writes the second alone.
            "rope_parameters": {"rope_theta": base, "rope_type": "default"},
            "rms_norm_eps": config.norm.eps,
            "attention_bias": config.attention_bias,
            "mlp_bias": config.feed_forward_bias,
            "attention_dropout": config.dropout.attention,
            "initializer_range": config.initializer_range,
            "pretraining_tp": 1,
            "tie_word_embeddings": config.tie_embeddings,
            "bos_token_id": None,
            "eos_token_id": None,
            "pad_token_id": config.padding_id,
        }
        dropout = config.dropout
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
        prefix = _PREFIX if any(name.startswith(_PREFIX) for name in names) else ""
        frequencies = partial(_are_frequencies, _read_base(Values(config, "config.json")))
        rotations = Constant(f"{prefix}layers.{{i}}.self_attn.rotary_emb.inv_freq", frequencies)
        return KeyMap((*_build_rules(prefix, config.get("tie_word_embeddings", False)), rotations))

    def write_map(self, config: ModelConfig) -> KeyMap:
        """The rules of a design: a stack alone has no prefix, as Hugging Face writes it."""
        return KeyMap(_build_rules(_PREFIX if config.heads else "", config.tie_embeddings))

    def is_backbone(self, name: str) -> bool:
        """Whether a tensor belongs to the stack itself."""
        return name.removeprefix(_PREFIX).startswith(("embed_tokens.", "layers.", "norm."))

    def settings(self) -> frozenset[str]:
        """The keys of config.json that decide about arithmetic or heads."""
        return _SETTINGS


LLAMA: Final = Llama()


def _count_or(values: Values, key: str, default: int) -> int:
    """A whole number; the default also where it is null."""
    return default if values.config.get(key) is None else values.count(key, default)


def _refuse_other_arithmetic(values: Values) -> None:
    values.names("architectures")
    values.require("pretraining_tp", (1,), "sums cut into as many parts are not supported; 1 computes them whole")
    _refuse_part_of_a_head(values)
    for key in ("sliding_window", "attention_chunk_size"):
        values.require(key, (), "attention to a window is not supported")
    if any(kind != "full_attention" for kind in values.names("layer_types")):
        raise values.error("layer_types", "only layers of 'full_attention' are supported")
    values.require("per_layer_config", ({},), "layers that differ from each other are not supported")
    values.require("add_cross_attention", (False,), "cross-attention is not supported")
    values.require("is_encoder_decoder", (False,), "an encoder-decoder is not supported")
    values.require("is_causal", (True,), "attention to both sides is not supported")
    values.require("quantization_config", (), "quantised weights are not supported")


def _refuse_part_of_a_head(values: Values) -> None:
    values.require("partial_rotary_factor", (1, 1.0), "a rotation of a part of each head is not supported")


def _read_base(values: Values) -> float:
    """The base of the rotation, from wherever it stands. A rotation that is scaled is refused.

    Releases of transformers differ in which place they believe where two disagree, so that is refused too.
    """
    found = {"rope_theta": values.number("rope_theta", 1e4, above=1.0)} if "rope_theta" in values.config else {}
    for key in _ROTATIONS:
        parameters = values.config.get(key)
        if parameters is None:
            continue
        if not isinstance(parameters, Mapping):
            raise values.error(key, "must be a mapping, or null")
        inner = Values(parameters, f"{values.where}: {key}")
        for name in ("rope_type", "type"):
            inner.require(name, ("default",), "a scaled rotation is not supported; only 'default' is")
        if unknown := sorted(parameters.keys() - _ROTATION_SETTINGS):
            raise inner.error(unknown[0], "belongs to a scaled rotation, which is not supported")
        _refuse_part_of_a_head(inner)
        if "rope_theta" in parameters:
            found[key] = inner.number("rope_theta", 1e4, above=1.0)
    if len(set(found.values())) > 1:
        stated = " and ".join(f"{base:g} in {key}" for key, base in found.items())
        raise ConfigError(f"{values.where}: {next(iter(found))}", f"the base is {stated}", cure="say it once")
    one, other = (values.config.get(key) or {} for key in _ROTATIONS)
    if one and other and one != other:
        raise values.error(_ROTATIONS[1], f"contradicts {_ROTATIONS[0]}", "remove one of the two")
    return next(iter(found.values()), 1e4)


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


def _build_rules(prefix: str, is_tied: bool) -> tuple[Rule, ...]:
    theirs, ours = f"{prefix}layers.{{i}}.", "blocks.{i}."
    return (
        Rename(f"{prefix}embed_tokens.weight", "embedding.token.weight"),
        Rename(f"{theirs}input_layernorm.weight", f"{ours}attention_norms.input.weight"),
        *_linears(f"{theirs}self_attn.", f"{ours}attention.", ("q", "k", "v", "o")),
        Rename(f"{theirs}post_attention_layernorm.weight", f"{ours}feed_forward_norms.input.weight"),
        *_linears(f"{theirs}mlp.", f"{ours}feed_forward.", ("gate", "up", "down")),
        Rename(f"{prefix}norm.weight", "final_norm.weight"),
        Copy("lm_head.weight", "embedding.token.weight")
        if is_tied
        else Rename("lm_head.weight", "heads.causal_lm.decoder.weight"),
    )


def _linears(theirs: str, ours: str, names: Sequence[str]) -> list[Rule]:
    parts = [(name, part) for name in names for part in ("weight", "bias")]
    return [Rename(f"{theirs}{name}_proj.{part}", f"{ours}{name}.{part}") for name, part in parts]


def _are_frequencies(base: float, stored: Tensor) -> bool:
    """Older releases stored base^(-2i/size), computed in float32 and rounded to the precision of the weights."""
    if stored.dim() != 1 or not stored.is_floating_point():
        return False
    size = 2 * len(stored)
    expected = base ** -(torch.arange(0, size, 2, dtype=torch.float64) / size)
    limits = torch.finfo(stored.dtype)
    return torch.allclose(stored.double(), expected, rtol=4 * limits.eps, atol=limits.smallest_normal * limits.eps)
