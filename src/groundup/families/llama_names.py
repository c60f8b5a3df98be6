"""The tensor names of Llama's folders, which Mistral's and Qwen's share."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial
from typing import Final

import torch
from torch import Tensor

from groundup.families.decoder_heads import RULES
from groundup.families.keymap import Constant, Copy, Rename, Rule
from groundup.model.config import RotaryPositions
from groundup.model.position import frequencies

PREFIX: Final = "model."
"""What stands before the names of a stack with a head."""


def find_prefix(names: Collection[str]) -> str:
    """What a folder puts before the names of the stack: a stack alone has no prefix."""
    return PREFIX if any(name.startswith(PREFIX) for name in names) else ""


def is_backbone(name: str) -> bool:
    """Whether a tensor belongs to the stack itself."""
    return name.removeprefix(PREFIX).startswith(("embed_tokens.", "layers.", "norm."))


def build_rules(prefix: str, is_tied: bool) -> tuple[Rule, ...]:
    """The rules of one folder; `is_tied` where the head's decoder is the token embedding."""
    theirs, ours = f"{prefix}layers.{{i}}.", "blocks.{i}."
    return (
        Rename(f"{prefix}embed_tokens.weight", "embedding.token.weight"),
        Rename(f"{theirs}input_layernorm.weight", f"{ours}attention_norms.input.weight"),
        *_linears(f"{theirs}self_attn.", f"{ours}attention.", ("q", "k", "v", "o")),
        *(
            Rename(f"{theirs}self_attn.{name}.weight", f"{ours}attention.{name}.weight")
            for name in ("q_norm", "k_norm")
        ),
        Rename(f"{theirs}post_attention_layernorm.weight", f"{ours}feed_forward_norms.input.weight"),
        *_linears(f"{theirs}mlp.", f"{ours}feed_forward.", ("gate", "up", "down")),
        Rename(f"{prefix}norm.weight", "final_norm.weight"),
        Copy("lm_head.weight", "embedding.token.weight")
        if is_tied
        else Rename("lm_head.weight", "heads.causal_lm.decoder.weight"),
        *RULES,
    )


def build_rotation_rule(prefix: str, position: RotaryPositions) -> Rule:
    """Older releases stored the frequencies of the rotation, which must be those that the model computes with."""
    return Constant(f"{prefix}layers.{{i}}.self_attn.rotary_emb.inv_freq", partial(_are_frequencies, position))


def _linears(theirs: str, ours: str, names: Sequence[str]) -> list[Rule]:
    parts = [(name, part) for name in names for part in ("weight", "bias")]
    return [Rename(f"{theirs}{name}_proj.{part}", f"{ours}{name}.{part}") for name, part in parts]


def _are_frequencies(position: RotaryPositions, stored: Tensor) -> bool:
    """They were computed in float32 and rounded to the precision of the weights."""
    if stored.dim() != 1 or not stored.is_floating_point():
        return False
    expected = torch.from_numpy(frequencies(2 * len(stored), position.base, position.scaling))
    limits = torch.finfo(stored.dtype)
    return torch.allclose(stored.double(), expected, rtol=4 * limits.eps, atol=limits.smallest_normal * limits.eps)
