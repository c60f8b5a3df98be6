"""What the published encoder-decoders have in common."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from groundup.families.keymap import Rename
from groundup.families.values import Values, read_causal_head
from groundup.model.config import CausalLMHead, Head


def refuse_other_stacks(values: Values) -> None:
    """A folder of this family's model type may hold one half of it, which is another design."""
    values.names("architectures")
    values.require("is_decoder", (False,), "a decoder without its encoder is not supported")
    values.require("is_encoder_decoder", (True,), "half of an encoder-decoder is not supported")
    values.require("quantization_config", (), "quantised weights are not supported")


def read_heads(
    values: Values, names: Collection[str], architectures: Mapping[str, bool], own: Mapping[str, Any]
) -> tuple[Head, ...]:
    """The head of a folder, where it has one, with the values of its family's."""
    return adapt_heads(read_causal_head(values, names, architectures), own)


def adapt_heads(heads: Sequence[Head], own: Mapping[str, Any]) -> tuple[Head, ...]:
    """A causal head takes what the folder's weights were trained with, unless it says otherwise."""
    return tuple(
        head.model_copy(update={key: value for key, value in own.items() if key not in head.model_fields_set})
        if isinstance(head, CausalLMHead)
        else head
        for head in heads
    )


def rename_linears(
    theirs: str, ours: str, names: Iterable[str | tuple[str, str]], parts: Sequence[str] = ("weight",)
) -> list[Rename]:
    """Matrices under these two beginnings; a name that differs is a pair of theirs and ours."""
    pairs = [(name, name) if isinstance(name, str) else name for name in names]
    return [Rename(f"{theirs}{their}.{part}", f"{ours}{our}.{part}") for their, our in pairs for part in parts]
