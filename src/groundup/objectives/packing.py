"""Samples laid end to end, as every objective starts, and such a run written for people, as every one ends."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from groundup.model.packed import Packed
from groundup.text.sample import Sample

BORDER_MARK = "‖"
"""Stands, for people, between the two segments of a pair."""


def pack_samples(samples: Sequence[Sample]) -> Packed:
    """A packed copy of the samples, in their order. Those without token types have type 0 throughout."""
    types = [
        np.zeros(len(sample.input_ids), dtype=np.int32) if sample.token_type_ids is None else sample.token_type_ids
        for sample in samples
    ]
    return Packed.from_sequences([sample.input_ids for sample in samples], types)


def join_tokens(packed: Packed, tokens: Sequence[str]) -> list[str]:
    """The tokens of each sequence in one line, `‖` before its second segment; an empty token is left out."""
    types = packed.token_type_ids.tolist()
    lines: list[str] = []
    start = 0
    for length in packed.lengths:
        parts: list[str] = []
        for place in range(start, start + length):
            if place > start and types[place] != types[place - 1]:
                parts.append(BORDER_MARK)
            if tokens[place]:
                parts.append(tokens[place])
        lines.append(" ".join(parts))
        start += length
    return lines
