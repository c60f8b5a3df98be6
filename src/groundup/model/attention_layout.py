"""How sequences stand side by side for products of matrices: those of about one length in one group, padded to it.

A group costs about the same however small it is, so that sequences of nearly one length are better off together. The
rows of each head are gathered once for all groups and put back once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from groundup.model.packed import pair_groups

SPARE: Final = 4096
"""What one more group costs, in the time that a score takes (12 or 2 heads of 32 or 64, two threads)."""
ROW: Final = 16
"""What a row costs that is gathered and put back, in that of a score."""


class Extent(NamedTuple):
    """`count` neighbouring sequences as if each had `length` queries and `key_length` keys."""

    count: int
    length: int
    key_length: int

    @property
    def area(self) -> int:
        """Scores of one head."""
        return self.count * self.length * self.key_length

    def cost(self, num_heads: int, num_kv_heads: int) -> int:
        """In the time that a score takes."""
        return num_heads * self.area + ROW * self.count * (num_heads * self.length + num_kv_heads * self.key_length)

    def join(self, other: Extent) -> Extent:
        """Both, as long as the longer one."""
        longest = max(self.length, other.length), max(self.key_length, other.key_length)
        return Extent(self.count + other.count, *longest)


@dataclass(frozen=True)
class HeadRows:
    """The rows of a flat run `[tokens, heads, head_dim]` in the order [group, sequence, head, position]."""

    taken: Int[Tensor, " rows"]
    """Of each row, its number in the run; a row of padding is the first one of its sequence and head."""
    places: Int[Tensor, " run_rows"]
    """Of each row of the run, where it went; filler went nowhere."""
    padding: Int[Tensor, " padding"]
    """The rows that are padding."""
    shapes: tuple[tuple[int, int], ...]
    """Of each group, its matrices and the rows of each."""

    @classmethod
    def of(cls, lengths: Sequence[int], groups: Sequence[tuple[int, int]], num_heads: int, share: int = 1) -> HeadRows:
        """Of sequences of so many tokens; a group has a count and the length to which that many next ones are padded.

        The rows of `share` neighbouring heads make one matrix.
        """
        real = np.array(lengths, dtype=np.int64)
        counts, longest = np.array(groups, dtype=np.int64).reshape(-1, 2).T
        padded = np.repeat(longest, counts)
        sizes = padded * num_heads
        owner = np.repeat(np.arange(len(real)), sizes)
        head, position = np.divmod(np.arange(len(owner)) - (np.cumsum(sizes) - sizes)[owner], padded[owner])
        is_real = position < real[owner]
        taken = ((np.cumsum(real) - real)[owner] + position * is_real) * num_heads + head
        places = np.empty(real.sum() * num_heads, dtype=np.int64)
        places[taken[is_real]] = np.flatnonzero(is_real)
        indices = (torch.from_numpy(each) for each in (taken, places, np.flatnonzero(~is_real)))
        return cls(*indices, shapes=tuple((count * num_heads // share, length * share) for count, length in groups))

    def gather(self, run: Float[Tensor, "tokens heads head_dim"]) -> Float[Tensor, "rows head_dim"]:
        """The rows in this order, padding included."""
        return run.reshape(-1, run.shape[-1]).index_select(0, self.taken)

    def cut(self, rows: Float[Tensor, "rows head_dim"]) -> list[Float[Tensor, "_matrices _rows head_dim"]]:
        """The matrices of each group, views."""
        parts = rows.split([matrices * each for matrices, each in self.shapes])
        return [part.view(*shape, rows.shape[1]) for part, shape in zip(parts, self.shapes, strict=True)]

    def put_back(
        self, rows: Float[Tensor, "rows head_dim"], shape: torch.Size
    ) -> Float[Tensor, "tokens heads head_dim"]:
        """The run of this shape that the rows come from; its filler is zero."""
        run = rows.new_empty(shape)
        flat = run.view(-1, shape[-1])
        torch.index_select(rows, 0, self.places, out=flat[: len(self.places)])
        flat[len(self.places) :].zero_()
        return run


@dataclass(frozen=True)
class AttentionLayout:
    """The groups of a batch, and where the rows of its queries and of the keys they attend to go."""

    extents: tuple[Extent, ...]
    queries: HeadRows
    keys: HeadRows
    padded_keys: tuple[Bool[Tensor, "_count 1 1 _key_length"] | None, ...]
    """Of each group the keys that are padding; None where there are none."""


@lru_cache(maxsize=8)
def lay_out(
    lengths: tuple[int, ...], key_lengths: tuple[int, ...], num_heads: int, num_kv_heads: int, spare: int = SPARE
) -> AttentionLayout:
    """Neighbouring sequences share a group as long as padding costs no more than `spare`; with 0 nothing is padded.

    Sequences are those of queries; each attends to the one of keys at its place.
    """
    extents: list[Extent] = []
    for group, keys in zip(*pair_groups(lengths, key_lengths), strict=True):
        extent = Extent(group.count, group.length, keys.length)
        joined = extents[-1].join(extent) if extents else None
        if joined and 0 not in (*extents[-1], *extent):
            whole, *parts = (each.cost(num_heads, num_kv_heads) for each in (joined, extents[-1], extent))
            if whole - sum(parts) <= spare:
                extents[-1] = joined
                continue
        extents.append(extent)
    share = num_heads // num_kv_heads
    with torch.inference_mode(False):  # what is remembered may be of use in training
        queries = HeadRows.of(lengths, [(each.count, each.length) for each in extents], num_heads, share)
        keys = queries
        if lengths != key_lengths or share > 1:
            keys = HeadRows.of(key_lengths, [(each.count, each.key_length) for each in extents], num_kv_heads)
        return AttentionLayout(tuple(extents), queries, keys, tuple(_padded_keys(extents, key_lengths)))


def _padded_keys(extents: Sequence[Extent], key_lengths: Sequence[int]) -> Iterator[Tensor | None]:
    start = 0
    for extent in extents:
        real = np.array(key_lengths[start : start + extent.count])
        start += extent.count
        hidden = np.arange(extent.key_length) >= real[:, None, None, None]
        yield torch.from_numpy(hidden) if hidden.any() else None
