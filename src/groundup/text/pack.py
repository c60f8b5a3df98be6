"""The plan of a step: which samples, in which micro-batches, computed for all ranks before any of them starts.

A plan depends on the lengths of the samples, the seed and the number of the step alone, so it is the same on every rank
and after every resume.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int32, Int64

from groundup.errors import DataError
from groundup.randomness import draw_permutation, make_key


@dataclass(frozen=True)
class StepPlan:
    """The samples of one optimizer step, longest first, cut into micro-batches."""

    step: int
    epoch: int
    micro_batches: tuple[Int64[np.ndarray, " _samples"], ...]
    draw: int
    """What corruption is drawn by, beside the seed: different wherever a sample comes back."""
    capacity: int | None = None
    """The tokens that each micro-batch has room for, where they are packed to fill it; None where nothing is wasted."""

    def of(self, rank: int, num_ranks: int) -> tuple[Int64[np.ndarray, " _samples"], ...]:
        """The micro-batches of one rank: every `num_ranks`-th, so that long and short ones are dealt out evenly."""
        return self.micro_batches[rank::num_ranks]


@runtime_checkable
class Planner(Protocol):
    """Deals samples to steps."""

    @property
    def steps_per_epoch(self) -> int:
        """Steps of one pass over the data."""
        ...

    def plan(self, step: int) -> StepPlan:
        """The plan of step `step`, counted from 0."""
        ...


class Shuffled:
    """Deals the samples of each epoch, in a fresh order, to steps of `batch_size` (implements Planner)."""

    def __init__(
        self,
        lengths: Int32[np.ndarray, " samples"],
        *,
        seed: int,
        batch_size: int,
        micro_batch_tokens: int,
        num_ranks: int = 1,
    ) -> None:
        """Plan over samples of these lengths.

        Args:
            lengths: tokens of each sample.
            seed: the seed of the run.
            batch_size: samples of a step, over all micro-batches and ranks.
            micro_batch_tokens: the most tokens of a micro-batch (one sample may exceed it alone).
            num_ranks: the number of micro-batches of a step is a multiple of it where there are samples enough.
        """
        if len(lengths) == 0:
            raise DataError("data.train", "holds no sample to train on", cure="check the file and its columns")
        self.lengths = np.asarray(lengths)
        self.seed, self.batch_size = seed, batch_size
        self.micro_batch_tokens, self.num_ranks = micro_batch_tokens, num_ranks
        self._order = lru_cache(maxsize=2)(self._draw_order)

    @property
    def steps_per_epoch(self) -> int:
        """Steps until every sample was seen once; the last one may be smaller."""
        return -(-len(self.lengths) // self.batch_size)

    def plan(self, step: int) -> StepPlan:
        """The plan of step `step`, counted from 0."""
        epoch, batch = divmod(step, self.steps_per_epoch)
        chosen = self._order(epoch)[batch * self.batch_size : (batch + 1) * self.batch_size]
        micro_batches = cut_by_tokens(chosen, self.lengths, self.micro_batch_tokens, self.num_ranks)
        return StepPlan(step, epoch, micro_batches, draw=epoch)

    def _draw_order(self, epoch: int) -> Int64[np.ndarray, " samples"]:
        return draw_permutation(make_key(self.seed, epoch, "order"), len(self.lengths))


def cut_by_tokens(
    chosen: Int64[np.ndarray, " samples"],
    lengths: Int32[np.ndarray, " all_samples"],
    max_tokens: int,
    num_ranks: int = 1,
) -> tuple[Int64[np.ndarray, " _samples"], ...]:
    """Sort samples by length (longest first, then by number) and cut them into runs of nearly equal token counts.

    Each run holds at most `max_tokens` tokens, unless a single sample is longer.
    """
    if len(chosen) == 0:
        return ()
    ordered = chosen[np.lexsort((chosen, -lengths[chosen].astype(np.int64)))]
    sizes = lengths[ordered].astype(np.int64)
    num_runs = -(-int(sizes.sum()) // max_tokens)
    while True:
        num_runs = min(-(-num_runs // num_ranks) * num_ranks, len(ordered))
        runs = _cut_evenly(ordered, sizes, num_runs)
        too_large = any(len(run) > 1 and int(lengths[run].sum()) > max_tokens for run in runs)
        if not too_large or num_runs == len(ordered):
            return runs
        num_runs += 1


def _cut_evenly(ordered: np.ndarray, sizes: np.ndarray, num_runs: int) -> tuple[np.ndarray, ...]:
    """Cut into `num_runs` runs, none empty, whose token counts are as even as whole samples allow."""
    middles = np.cumsum(sizes) - sizes / 2
    run_of = np.minimum((middles * num_runs / sizes.sum()).astype(np.int64), num_runs - 1)
    starts = np.searchsorted(run_of, np.arange(1, num_runs))
    earliest = np.arange(1, num_runs)
    latest = len(ordered) - num_runs + earliest
    starts = np.clip(np.maximum.accumulate(np.maximum(starts, earliest) - earliest) + earliest, earliest, latest)
    return tuple(np.split(ordered, starts))
