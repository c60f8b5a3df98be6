"""GPT-2 (Radford et al. 2019) as Hugging Face stores it: a pre-norm decoder with learned positions."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import torch
from torch import Tensor

from groundup.errors import ConfigError
from groundup.families.decoder_heads import DROPOUT, RULES, DecoderClasses
from groundup.families.family import canonical
from groundup.families.keymap import Constant, Copy, KeyMap, Rename, Rule, Split
from groundup.families.values import ACTIVATIONS, OUTPUT_INITS, Values, name_activation
from groundup.model.config import (
    Dropout,
    Head,
    LayerNormConfig,
    LearnedPositions,
    ModelConfig,
    PlainFeedForward,
)

_PREFIX: Final = "transformer."
_CLASSES: Final = DecoderClasses("GPT2Model", "GPT2LMHeadModel", "GPT2ForSequenceClassification")
_ALIASES: Final = {
    "n_embd": "hidden_size",
    "n_layer": "num_hidden_layers",
    "n_head": "num_attention_heads",
    "n_positions": "max_position_embeddings",
}
"""Hugging Face reads these keys under either name."""
_ENDS: Final = ("bos_token_id", "eos_token_id")
_SETTINGS: Final = frozenset(
    {
        *_ALIASES,
        *_ALIASES.values(),
        "activation_function",
        "add_cross_attention",
        "architectures",
        "attn_pdrop",
        DROPOUT,
        "embd_pdrop",
        "id2label",
        "initializer_range",
        "is_causal",
        "is_encoder_decoder",
        "label2id",
        "layer_norm_epsilon",
        "model_type",
        "n_ctx",
        "n_inner",
        "num_labels",
        "output_init",
        "pad_token_id",
        "pruned_heads",
        "quantization_config",
        "reorder_and_upcast_attn",
        "resid_pdrop",
        "scale_attn_by_inverse_layer_idx",
        "scale_attn_weights",
        "tie_word_embeddings",
        "vocab_size",
    }
)


class Gpt2:
    """The family `gpt2`."""

    model_type = "gpt2"

    def to_config(
        self, config: Mapping[str, Any], names: Collection[str], heads: Sequence[Head] | None, where: str
    ) -> ModelConfig:
        """The design of a folder. Absent keys mean what they mean to Hugging Face's GPT2Config."""
        values = Values(config, where)
        values.check_spelling(_SETTINGS.union(_ENDS))
        _refuse_other_arithmetic(values)
        vocab_size, hidden_size = values.count("vocab_size", 50257), _size(values, "n_embd", 768)
        num_heads, max_length = _size(values, "n_head", 12), _size(values, "n_positions", 1024)
        if hidden_size % num_heads:
            raise values.error("n_head", f"{num_heads} heads do not divide n_embd {hidden_size}")
        values.require("n_ctx", (max_length,), f"contradicts n_positions, which is {max_length}")
        has_inner = config.get("n_inner") is not None
        return ModelConfig(
            vocab_size=vocab_size,
            hidden_size=hidden_size,
            num_layers=_size(values, "n_layer", 12),
            num_heads=num_heads,
            intermediate_size=values.count("n_inner", 1) if has_inner else 4 * hidden_size,
            max_length=max_length,
            num_token_types=0,
            causal=True,
            attention_scale=None if values.flag("scale_attn_weights", True) else 1.0,
            position=LearnedPositions(),
            norm=LayerNormConfig(eps=values.number("layer_norm_epsilon", 1e-5, above=0.0)),
            norm_places=("input", "final"),
            feed_forward=PlainFeedForward(activation=values.choice("activation_function", "gelu_new", ACTIVATIONS)),
            dropout=Dropout(
                embedding=values.number("embd_pdrop", 0.1),
                attention=values.number("attn_pdrop", 0.1),
                residual=values.number("resid_pdrop", 0.1),
            ),
            tie_embeddings=values.flag("tie_word_embeddings", True),
            initializer_range=values.number("initializer_range", 0.02, above=0.0),
            # Only here a key of ours: a design with another start is the same GPT-2 once it is trained.
            output_init=values.choice("output_init", "scaled", OUTPUT_INITS),
            padding_id=_read_padding(values, vocab_size),
            heads=_CLASSES.read(values, names, heads),
        )

    def from_config(self, config: ModelConfig) -> dict[str, Any] | None:
        """The config.json of a design; None unless reading it again gives the same design.

        What begins and ends a document is the tokenizer's to say: null, unless a folder that is kept says more.
        """
        of_heads = _CLASSES.write(config)
        if of_heads is None:
            return None
        written = {
            "model_type": self.model_type,
            **of_heads,
            "vocab_size": config.vocab_size,
            "n_positions": config.max_length,
            "n_embd": config.hidden_size,
            "n_layer": config.num_layers,
            "n_head": config.num_heads,
            "n_inner": None if config.intermediate_size == 4 * config.hidden_size else config.intermediate_size,
            "activation_function": name_activation(config.feed_forward.activation),
            "embd_pdrop": config.dropout.embedding,
            "attn_pdrop": config.dropout.attention,
            "resid_pdrop": config.dropout.residual,
            "layer_norm_epsilon": config.norm.eps,
            "scale_attn_weights": canonical(config).attention_scale is None,
            "initializer_range": config.initializer_range,
            "tie_word_embeddings": config.tie_embeddings,
            "bos_token_id": None,
            "eos_token_id": None,
            "pad_token_id": config.padding_id,
        }
        if config.output_init != "scaled":
            written["output_init"] = config.output_init
        try:
            again = self.to_config(written, (), None, "design")
        except ConfigError:
            return None
        return written if canonical(again) == canonical(config) else None

    def read_map(self, config: Mapping[str, Any], names: Collection[str]) -> KeyMap:
        """The rules for a folder, whether its names carry `transformer.` or not: OpenAI's own do not."""
        prefix = _PREFIX if any(name.startswith(_PREFIX) for name in names) else ""
        return KeyMap(_build_rules(prefix, config.get("tie_word_embeddings", True)))

    def write_map(self, config: ModelConfig) -> KeyMap:
        """The rules of a design: a stack alone has no prefix, as Hugging Face writes it."""
        return KeyMap(_build_rules(_PREFIX if config.heads else "", config.tie_embeddings))

    def is_backbone(self, name: str) -> bool:
        """Whether a tensor belongs to the stack itself."""
        return name.removeprefix(_PREFIX).startswith(("wte.", "wpe.", "h.", "ln_f."))

    def settings(self) -> frozenset[str]:
        """The keys of config.json that decide about arithmetic or heads."""
        return _SETTINGS


GPT2: Final = Gpt2()


def _size(values: Values, key: str, default: int) -> int:
    """A whole number under its own name or its alias."""
    alias = _ALIASES[key]
    if alias not in values.config:
        return values.count(key, default)
    found = values.count(alias, default)
    if key in values.config and found != values.count(key, default):
        raise values.error(alias, f"contradicts {key}, which is {values.config[key]}", "remove one of the two")
    return found


def _refuse_other_arithmetic(values: Values) -> None:
    values.names("architectures")
    values.require("scale_attn_by_inverse_layer_idx", (False,), "attention divided by the layer is not supported")
    # The same products in another order, and in float32 where others are narrower: ours are as exact as their inputs.
    values.flag("reorder_and_upcast_attn", False)
    values.require("add_cross_attention", (False,), "cross-attention is not supported")
    values.require("is_encoder_decoder", (False,), "an encoder-decoder is not supported")
    values.require("is_causal", (True,), "attention to both sides is not supported")
    values.require("pruned_heads", ({}, []), "single heads of attention cannot be missing")
    values.require("quantization_config", (), "quantised weights are not supported")


def _read_padding(values: Values, vocab_size: int) -> int | None:
    """The row that never trains. What begins or ends a document is often named as padding too, but trains."""
    ends = set[int]()
    for key in _ENDS:
        found = values.config.get(key, 50256)
        listed = found if isinstance(found, list | tuple) else () if found is None else (found,)
        if not all(isinstance(index, int) and not isinstance(index, bool) and index >= 0 for index in listed):
            raise values.error(key, "must be an id, a list of ids, or null")
        ends.update(listed)
    if values.config.get("pad_token_id") is None:
        return None
    padding_id = values.count("pad_token_id", 0, least=0)
    if padding_id >= vocab_size:
        raise values.error("pad_token_id", f"must be below vocab_size {vocab_size}")
    return None if padding_id in ends else padding_id


def _build_rules(prefix: str, is_tied: bool) -> tuple[Rule, ...]:
    theirs, ours = f"{prefix}h.{{i}}.", "blocks.{i}."
    qkv = tuple(f"{ours}attention.{name}" for name in ("q", "k", "v"))
    return (
        Rename(f"{prefix}wte.weight", "embedding.token.weight"),
        Rename(f"{prefix}wpe.weight", "embedding.position.weight"),
        *_norm(f"{theirs}ln_1", f"{ours}attention_norms.input"),
        Split(f"{theirs}attn.c_attn.weight", tuple(f"{name}.weight" for name in qkv), is_transposed=True),
        Split(f"{theirs}attn.c_attn.bias", tuple(f"{name}.bias" for name in qkv)),
        *_conv1d(f"{theirs}attn.c_proj", f"{ours}attention.o"),
        *_norm(f"{theirs}ln_2", f"{ours}feed_forward_norms.input"),
        *_conv1d(f"{theirs}mlp.c_fc", f"{ours}feed_forward.up"),
        *_conv1d(f"{theirs}mlp.c_proj", f"{ours}feed_forward.down"),
        *_norm(f"{prefix}ln_f", "final_norm"),
        Copy("lm_head.weight", "embedding.token.weight")
        if is_tied
        else Rename("lm_head.weight", "heads.causal_lm.decoder.weight"),
        *RULES,
        Constant(f"{theirs}attn.bias", _is_triangle),
        Constant(f"{theirs}attn.masked_bias", _hides),
    )


def _norm(theirs: str, ours: str) -> tuple[Rule, ...]:
    return tuple(Rename(f"{theirs}.{part}", f"{ours}.{part}") for part in ("weight", "bias"))


def _conv1d(theirs: str, ours: str) -> tuple[Rule, ...]:
    return (
        Rename(f"{theirs}.weight", f"{ours}.weight", is_transposed=True),
        Rename(f"{theirs}.bias", f"{ours}.bias"),
    )


def _is_triangle(mask: Tensor) -> bool:
    """Older releases stored who may attend to whom: each position to itself and those before."""
    return mask.dim() >= 2 and torch.equal(mask, torch.ones_like(mask).tril())


def _hides(score: Tensor) -> bool:
    """And the score of what is hidden: -10,000, which bfloat16 rounds to -9,984; exp of either is zero."""
    return score.numel() == 1 and float(score) < -9_000
