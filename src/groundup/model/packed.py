"""The packed batch: a flat run of tokens and the boundaries of its sequences. Nothing is padded.

Sequences of equal length that stand side by side form a group, and a group of `count` sequences of `length` tokens is a
plain view `[count, length, ...]` of the flat run, so an attention backend needs no copy and no mask.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor


class Group(NamedTuple):
    """Neighbouring sequences of one length: tokens `start` to `start + count * length` of the flat run."""

    start: int
    count: int
    length: int


@dataclass(frozen=True)
class Packed:
    """A batch of sequences laid end to end. Tokens after the last sequence are filler and belong to none."""

    input_ids: Int[Tensor, " tokens"]
    token_type_ids: Int[Tensor, " tokens"]
    position_ids: Int[Tensor, " tokens"]
    lengths: tuple[int, ...]
    """Tokens in each sequence, in the order of the run."""
    order: Int[Tensor, " tokens"] | None = None
    """A token sees those of its sequence whose order is not above its own, whatever the design says; None: as it says.
    A prefix that sees itself whole has the order of its last token."""

    @classmethod
    def from_sequences(
        cls,
        input_ids: Sequence[np.ndarray],
        token_type_ids: Sequence[np.ndarray] | None = None,
        *,
        filler: int = 0,
    ) -> Packed:
        """Lay arrays of ids end to end (int64 on CPU), followed by `filler` tokens of id 0 outside every sequence."""
        lengths = tuple(len(ids) for ids in input_ids)
        gap = [np.zeros(filler, dtype=np.int64)]
        flat = np.concatenate([np.asarray(ids, dtype=np.int64) for ids in input_ids] + gap)
        positions = np.concatenate([np.arange(length, dtype=np.int64) for length in lengths] + gap)
        if token_type_ids is None:
            types = np.zeros(len(flat), dtype=np.int64)
        else:
            types = np.concatenate([np.asarray(ids, dtype=np.int64) for ids in token_type_ids] + gap)
        return cls(torch.from_numpy(flat), torch.from_numpy(types), torch.from_numpy(positions), lengths)

    @property
    def num_tokens(self) -> int:
        """Tokens inside sequences, filler not counted."""
        return sum(self.lengths)

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """Runs of neighbouring sequences of equal length, in order."""
        return pair_groups(self.lengths, self.lengths)[0]

    @cached_property
    def boundaries(self) -> Int[Tensor, " boundaries"]:
        """Where each sequence starts, and where the last one ends (int32, on the device of the ids)."""
        ends = np.concatenate([[0], np.cumsum(self.lengths)]).astype(np.int32)
        return torch.from_numpy(ends).to(self.input_ids.device, non_blocking=True)

    @cached_property
    def starts(self) -> Int[Tensor, " sequences"]:
        """The index of the first token of each sequence (int64)."""
        return self.boundaries[:-1].long()

    @cached_property
    def ends(self) -> Int[Tensor, " sequences"]:
        """The index of the last token of each sequence (int64)."""
        return self.boundaries[1:].long() - 1

    @cached_property
    def previous(self) -> Int[Tensor, " tokens"]:
        """The index of the token before each one in its sequence; of the first one, its own (int64)."""
        index = np.arange(len(self.input_ids)) - 1
        starts = np.cumsum([0, *self.lengths])[:-1]
        index[starts] = starts
        return torch.from_numpy(index.clip(0)).to(self.input_ids.device, non_blocking=True)

    def take_one(self, rows: Int[Tensor, " sequences"]) -> Packed:
        """One token of each sequence, as sequences of their own."""
        taken = (each.index_select(0, rows) for each in (self.input_ids, self.token_type_ids, self.position_ids))
        return Packed(*taken, lengths=(1,) * len(self.lengths))

    def split(self) -> tuple[Int[Tensor, " length"], ...]:
        """The ids of each sequence alone."""
        return self.input_ids[: self.num_tokens].split(list(self.lengths))

    def with_prefixes(self, prefixes: Sequence[int]) -> Packed:
        """The same tokens in order, of which the first so many of each sequence see each other."""
        limits = torch.zeros_like(self.position_ids)
        limits[: self.num_tokens] = torch.tensor(prefixes).repeat_interleave(torch.tensor(self.lengths))
        return replace(self, order=torch.where(self.position_ids < limits, limits - 1, self.position_ids))

    def to(self, device: torch.device | str) -> Packed:
        """The same batch on another device."""
        return replace(
            self,
            input_ids=self.input_ids.to(device, non_blocking=True),
            token_type_ids=self.token_type_ids.to(device, non_blocking=True),
            position_ids=self.position_ids.to(device, non_blocking=True),
            order=None if self.order is None else self.order.to(device, non_blocking=True),
        )


@dataclass(frozen=True)
class Memory:
    """What a decoder attends to beside itself: the encoder's hidden states, one source for each of its sequences."""

    hidden: Float[Tensor, "tokens hidden"]
    packed: Packed
    """The sources, in the order of the decoder's sequences."""


@lru_cache(maxsize=16)
def pair_groups(lengths: tuple[int, ...], others: tuple[int, ...]) -> tuple[tuple[Group, ...], tuple[Group, ...]]:
    """Neighbours of equal length on both sides: the groups of one run, and those of the other that belong to them."""
    pairs: list[tuple[Group, Group]] = []
    start = other_start = 0
    for length, other in zip(lengths, others, strict=True):
        if pairs and (pairs[-1][0].length, pairs[-1][1].length) == (length, other):
            pairs[-1] = tuple(group._replace(count=group.count + 1) for group in pairs[-1])
        else:
            pairs.append((Group(start, 1, length), Group(other_start, 1, other)))
        start, other_start = start + length, other_start + other
    return tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs)
