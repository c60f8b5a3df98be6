"""Who scores whom at which distance: what relative attention needs to know of a pass, the same in every block.

Neighbouring sequences of one length, with histories of one length, are computed together. Their rows are the tokens
themselves and, behind them, those that the query stream is asked for; their keys are what is remembered and the tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from groundup.errors import DataError
from groundup.model.packed import Group, Packed

_FIRST: Final = -(1 << 62)
"""The order of what is remembered: everyone sees it."""


class Part(NamedTuple):
    """Some sequences of one shape."""

    tokens: Group
    past: Group
    """Their remembered tokens, in the run of all of them."""
    rows: Int[Tensor, "sequences rows"]
    """Of the tokens and then the query stream, end to end. A sequence with fewer than others repeats some row."""
    waves: slice
    """The distances that occur."""
    distances: Int[Tensor, "sequences 1 rows keys"]
    """Which of those distances each row has to each key."""
    is_visible: Bool[Tensor, "sequences 1 rows keys"] | None
    """Whether a row may see a key; None where all may."""
    is_other: Bool[Tensor, "sequences 1 rows keys"] | None
    """Whether row and key are of different token types; None where that does not matter."""


class Relation(NamedTuple):
    """A pass, for relative attention."""

    waves: Float[Tensor, "distances hidden"]
    """The waves of every distance from query to key, from the furthest key before to the furthest one behind."""
    parts: tuple[Part, ...]
    places: Int[Tensor, " rows"]
    """Where each token and then each row of the query stream stands among the rows of all parts; filler behind them."""


def distance_waves(reach: int, size: int, base: float, clamp: int | None) -> Float[Tensor, "distances size"]:
    """Sines, then cosines, of the distances from `reach` down to `-reach`, in float64 and rounded to float32 once."""
    table = _all_waves(1 << max(4, reach.bit_length()), size, base, clamp)
    middle = len(table) // 2
    return table[middle - reach : middle + reach + 1]


@lru_cache(maxsize=8)
def _all_waves(reach: int, size: int, base: float, clamp: int | None) -> Float[Tensor, "distances size"]:
    distances = np.arange(reach, -reach - 1, -1)
    if clamp is not None:
        distances = distances.clip(-clamp, clamp)
    angles = distances[:, None] * base ** -(np.arange(0, size, 2) / size)
    with torch.inference_mode(False):
        return torch.from_numpy(np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32))


def relate(
    packed: Packed,
    pasts: Sequence[int],
    queries: Int[Tensor, " queries"] | None,
    waves: Float[Tensor, "distances hidden"],
    *,
    has_segments: bool,
) -> Relation:
    """The relation of a pass.

    Args:
        packed: the tokens. The query stream needs their order: it sees those strictly below its own.
        pasts: of each sequence, the tokens that are remembered.
        queries: the tokens whose query stream is asked for; None for none.
        waves: of the distances from `find_reach(packed, pasts)` down to minus that.
        has_segments: whether token types matter.
    """
    if queries is not None and packed.order is None:
        raise DataError("packed.order", "is missing, and the query stream sees what is below its own", cure="give it")
    device, num_tokens = packed.input_ids.device, len(packed.input_ids)
    starts = np.cumsum([0, *packed.lengths])
    asked = np.zeros(0, dtype=np.int64) if queries is None else queries.cpu().numpy()
    owners = np.searchsorted(starts, asked, side="right") - 1
    places = np.zeros(num_tokens + len(asked), dtype=np.int64)
    parts, done = list[Part](), 0
    for first, tokens, past in _find_groups(packed.lengths, pasts):
        inside = np.flatnonzero((owners >= first) & (owners < first + tokens.count))
        inside = inside[np.argsort(owners[inside], kind="stable")]
        mine = owners[inside] - first
        counts = np.bincount(mine, minlength=tokens.count)
        columns = tokens.length + np.arange(len(inside)) - np.repeat(np.cumsum(counts) - counts, counts)
        rows = np.full((tokens.count, tokens.length + int(counts.max())), tokens.start)
        rows[:, : tokens.length] = tokens.start + np.arange(tokens.count * tokens.length).reshape(tokens.count, -1)
        rows[mine, columns] = num_tokens + inside
        offsets = np.zeros_like(rows)
        offsets[:, : tokens.length] = np.arange(tokens.length)
        offsets[mine, columns] = asked[inside] - starts[owners[inside]]
        numbers = done + np.arange(rows.size).reshape(rows.shape)
        places[rows[:, : tokens.length]] = numbers[:, : tokens.length]
        places[num_tokens + inside] = numbers[mine, columns]
        done += rows.size
        here = (torch.from_numpy(rows).to(device), torch.from_numpy(offsets).to(device))
        parts.append(_relate(packed, tokens, past, *here, reach=len(waves) // 2, has_segments=has_segments))
    places[starts[-1] : num_tokens] = done
    return Relation(waves, tuple(parts), torch.from_numpy(places).to(device))


def find_reach(packed: Packed, pasts: Sequence[int]) -> int:
    """The furthest distance of any token to any other that it may see."""
    return max((length + past for length, past in zip(packed.lengths, pasts, strict=True)), default=1) - 1


def _find_groups(lengths: Sequence[int], pasts: Sequence[int]) -> Iterator[tuple[int, Group, Group]]:
    """The number of the first sequence of each part, its tokens, and what is remembered of them."""
    first, start, past_start = 0, 0, 0
    for number, shape in enumerate(zip(lengths, pasts, strict=True), start=1):
        if number < len(lengths) and (lengths[number], pasts[number]) == shape:
            continue
        count, (length, past) = number - first, shape
        yield first, Group(start, count, length), Group(past_start, count, past)
        first, start, past_start = number, start + count * length, past_start + count * past


def _relate(
    packed: Packed,
    tokens: Group,
    past: Group,
    rows: Int[Tensor, "sequences rows"],
    offsets: Int[Tensor, "sequences rows"],
    *,
    reach: int,
    has_segments: bool,
) -> Part:
    """One part: its rows, and the place of each in its sequence."""
    keys = torch.arange(past.length + tokens.length, device=rows.device)
    distances = (tokens.length - 1 - offsets)[:, :, None] + keys
    is_visible = is_other = None
    if packed.order is not None:
        order, of_rows = _spread(packed.order, tokens, past, _FIRST, offsets)
        # A token sees those up to its own order; the query stream, whose rows lie behind, those below it.
        limits = of_rows + (torch.arange(rows.shape[1], device=rows.device) < tokens.length)
        is_visible = (order[:, None, :] < limits[:, :, None])[:, None]
    if has_segments:
        types, of_rows = _spread(packed.token_type_ids, tokens, past, 0, offsets)
        is_other = (types[:, None, :] != of_rows[:, :, None])[:, None]
    waves = slice(reach - past.length - tokens.length + 1, reach + tokens.length)
    return Part(tokens, past, rows, waves, distances[:, None], is_visible, is_other)


def _spread(
    values: Int[Tensor, " tokens"], tokens: Group, past: Group, remembered: int, offsets: Int[Tensor, "sequences rows"]
) -> tuple[Int[Tensor, "sequences keys"], Int[Tensor, "sequences rows"]]:
    """A number of each token, for the keys (`remembered` for those before) and for the rows of a part."""
    own = values[tokens.start : tokens.start + tokens.count * tokens.length].view(tokens.count, tokens.length)
    before = own.new_full((tokens.count, past.length), remembered)
    return torch.cat([before, own], dim=1), own.gather(1, offsets)
