"""Runs of words that are hidden together (SpanBERT, Joshi et al. 2020, section 3.1).

Every sequence is cut into spans from its first word to its last, each as long as a draw says; which of them are hidden
is decided in `words`. So spans never overlap and the share of hidden tokens is the asked one. The paper draws places
until a budget is spent, and spans may then overlap; the lengths of those that do not are the same.
"""

from __future__ import annotations

from typing import Annotated, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float64, Int64
from pydantic import Field, PositiveInt

from groundup.config import Config
from groundup.randomness import draw_uniform, make_key


@runtime_checkable
class Lengths(Protocol):
    """A distribution of the lengths of spans."""

    @property
    def shares(self) -> Float64[np.ndarray, " longest"]:
        """The probability of each length from 1 up."""
        ...


class SpanLengths(Config):
    """Lengths from the geometric distribution, those above the longest left out: P(n) ~ p * (1 - p) ** (n - 1)."""

    p: Annotated[float, Field(gt=0.0, le=1.0)] = 0.2
    """The probability that a span ends after a word, were there no longest one."""
    longest: PositiveInt = 10
    """The most words of a span."""

    @property
    def shares(self) -> Float64[np.ndarray, " longest"]:
        """The probability of each length from 1 up."""
        weights = (1.0 - self.p) ** np.arange(self.longest)
        return weights / weights.sum()

    @property
    def mean(self) -> float:
        """Words of a span on average: 3.8 as the paper has it."""
        return float(self.shares @ np.arange(1, self.longest + 1))


def cut_spans(
    sequences: Int64[np.ndarray, " words"],
    numbers: Int64[np.ndarray, " words"],
    positions: Int64[np.ndarray, " words"],
    lengths: Lengths,
    seed: int,
    epoch: int,
) -> Bool[np.ndarray, " words"]:
    """Whether each word is the first of its span. The last span of a sequence ends with it, however short.

    Args:
        sequences: of each word the sequence it is in, rising.
        numbers: of each word the number of its sample.
        positions: of each word the position of its first token.
        lengths: how long spans are.
        seed: of the run.
        epoch: of the data.
    """
    draws = draw_uniform(make_key(seed, epoch, "span lengths"), numbers, positions)
    drawn = 1 + np.searchsorted(np.cumsum(lengths.shares)[:-1], draws, side="right")
    is_first = np.zeros(len(sequences), dtype=bool)
    starts = np.flatnonzero(np.diff(sequences, prepend=-1))
    ends = np.append(starts[1:], len(sequences))
    while len(starts):  # one turn for all sequences' first spans, one for all second ones
        is_first[starts] = True
        starts = starts + drawn[starts]
        is_inside = starts < ends
        starts, ends = starts[is_inside], ends[is_inside]
    return is_first
