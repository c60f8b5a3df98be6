"""Steps of equal size in tokens: sequences packed so that each micro-batch is as good as full.

Which lengths share a micro-batch depends on how many samples there are of each length alone (longest-pack-first over
their histogram: Krell et al. 2021, "Efficient sequence packing without cross-contamination"), so it is worked out once
and every epoch has as many steps as the first; which samples of these lengths they are is drawn in every epoch anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Int32, Int64

from groundup.errors import ConfigError, DataError
from groundup.randomness import draw_bits, draw_permutation, make_key
from groundup.text.pack import StepPlan


class Pattern(NamedTuple):
    """Lengths that fill a micro-batch together, longest first, and how many micro-batches are filled so."""

    lengths: tuple[int, ...]
    times: int


def find_patterns(counts: Int64[np.ndarray, " lengths"], capacity: int) -> list[Pattern]:
    """Pack `counts[n]` sequences of every length n into as few runs of `capacity` tokens as greed finds.

    Each run takes the longest sequence that is left, then again the longest that still fits. A run that has been found
    is used as often as its lengths last, so the work depends on how many lengths there are, not on how many sequences.
    """
    left = np.asarray(counts, dtype=np.int64).copy()
    patterns = []
    while left.any():
        used = np.zeros_like(left)
        room = capacity
        while True:
            fitting = np.flatnonzero((left - used)[: room + 1])
            if not len(fitting):
                break
            length = int(fitting[-1])
            # All that fit of it at once: greed would come back to it anyway.
            number = min(int(left[length] - used[length]), room // length)
            used[length] += number
            room -= number * length
        chosen = np.flatnonzero(used)
        times = int((left[chosen] // used[chosen]).min())
        lengths = np.repeat(chosen, used[chosen])[::-1]
        patterns.append(Pattern(tuple(lengths.tolist()), times))
        left -= times * used
    return patterns


class BestFit:
    """Deals the samples of each epoch to steps of `batch_tokens` (implements Planner)."""

    def __init__(
        self, lengths: Int32[np.ndarray, " samples"], *, seed: int, batch_tokens: int, micro_batch_tokens: int
    ) -> None:
        """Plan over samples of these lengths.

        Args:
            lengths: tokens of each sample.
            seed: the seed of the run.
            batch_tokens: tokens that a step has room for.
            micro_batch_tokens: tokens that each of its micro-batches has room for.

        Raises:
            ConfigError: a step is no whole number of micro-batches, or a sample is longer than one.
        """
        if len(lengths) == 0:
            raise DataError("data.train", "holds no sample to train on", cure="check the file and its columns")
        self.lengths, self.seed = np.asarray(lengths), seed
        self.capacity = min(batch_tokens, micro_batch_tokens)
        if batch_tokens % self.capacity:
            what = f"must be a multiple of train.micro_batch_tokens {micro_batch_tokens}"
            raise ConfigError("train.batch_tokens", what, got=batch_tokens)
        if (longest := int(self.lengths.max())) > self.capacity:
            what = f"a sample of {longest} tokens has no room in a micro-batch"
            raise ConfigError("train.micro_batch_tokens", what, got=self.capacity, cure=f"raise it to {longest}")
        self._packs_per_step = batch_tokens // self.capacity
        self._patterns = find_patterns(np.bincount(self.lengths), self.capacity)
        self._pack = lru_cache(maxsize=2)(self._draw_packs)

    @property
    def num_packs(self) -> int:
        """Micro-batches of an epoch."""
        return sum(pattern.times for pattern in self._patterns)

    @property
    def fill(self) -> float:
        """The share of the room that an epoch's tokens take."""
        return int(self.lengths.sum(dtype=np.int64)) / (self.capacity * self.num_packs)

    @property
    def steps_per_epoch(self) -> int:
        """Steps until every sample was seen once; the last one may be smaller."""
        return -(-self.num_packs // self._packs_per_step)

    def plan(self, step: int) -> StepPlan:
        """The plan of step `step`, counted from 0."""
        epoch, place = divmod(step, self.steps_per_epoch)
        packs = self._pack(epoch)[place * self._packs_per_step : (place + 1) * self._packs_per_step]
        return StepPlan(step, epoch, tuple(packs), draw=epoch, capacity=self.capacity)

    def _draw_packs(self, epoch: int) -> Sequence[Int64[np.ndarray, " _samples"]]:
        """The micro-batches of an epoch: a fresh order of them, and of the samples of each length."""
        drawn = draw_bits(make_key(self.seed, epoch, "order"), np.arange(len(self.lengths)))
        by_length = np.lexsort((drawn, self.lengths))
        ends = np.cumsum(np.bincount(self.lengths))
        taken = np.zeros(len(ends), dtype=np.int64)
        packs = []
        for lengths, times in self._patterns:
            sizes, counts = np.unique(lengths, return_counts=True)
            columns = []
            for size, count in zip(sizes[::-1].tolist(), counts[::-1].tolist(), strict=True):
                last = int(ends[size]) - int(taken[size])
                columns.append(by_length[last - times * count : last].reshape(times, count))
                taken[size] += times * count
            packs.extend(np.concatenate(columns, axis=1))
        order = draw_permutation(make_key(self.seed, epoch, "packs"), len(packs))
        return [packs[number] for number in order]
