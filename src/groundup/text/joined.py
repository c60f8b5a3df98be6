"""Several sets of samples as one: sources mixed by weight, and windows that grow while a run goes on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property, lru_cache
from typing import final

import numpy as np
from jaxtyping import Float64, Int32, Int64

from groundup.randomness import draw_permutation, make_key
from groundup.text.pack import Planner, StepPlan, cut_by_tokens
from groundup.text.sample import Sample, Samples


@final
class Joined:
    """Samples numbered through, one set after the other (implements Samples)."""

    examples: Sequence[object] = ()

    def __init__(self, parts: Sequence[Samples]) -> None:
        """Join sets of samples, in this order."""
        self.parts = tuple(parts)
        self.starts: Int64[np.ndarray, " parts"] = np.cumsum([0, *(len(part) for part in self.parts)])[:-1]
        """The number of the first sample of each set."""

    @cached_property
    def lengths(self) -> Int32[np.ndarray, " samples"]:
        """Tokens in each sample."""
        return np.concatenate([part.lengths for part in self.parts])

    @cached_property
    def digest(self) -> str:
        """A hash of the sets' hashes."""
        return hashlib.sha256(repr([part.digest for part in self.parts]).encode()).hexdigest()

    def __len__(self) -> int:
        return sum(len(part) for part in self.parts)

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < len(self):
            raise IndexError(index)
        part = int(np.searchsorted(self.starts, index, side="right")) - 1
        return replace(self.parts[part][index - int(self.starts[part])], index=int(index))


class Mixed:
    """Deals sources to steps by weight (implements Planner). A source that is used up starts again in a fresh order.

    The sources take turns as evenly as whole samples allow: a source of rate r gives its j-th sample when (j + 1/2) / r
    comes up (the divisor method of Webster). So how many each has given before a step follows from the number of the
    step alone, and no step is without a source that has a sample's worth of weight in it.
    """

    def __init__(
        self,
        lengths: Sequence[Int32[np.ndarray, " _samples"]],
        weights: Sequence[float],
        *,
        seed: int,
        batch_size: int,
        micro_batch_tokens: int,
        num_ranks: int = 1,
    ) -> None:
        """Plan over sources whose samples are numbered through.

        Args:
            lengths: tokens of each sample of every source.
            weights: the share of all tokens that each source is to give; the first one counts the epochs.
            seed: the seed of the run.
            batch_size: samples of a step.
            micro_batch_tokens: the most tokens of a micro-batch.
            num_ranks: the number of micro-batches of a step is a multiple of it.
        """
        self.lengths = np.concatenate(lengths)
        self._sizes = [len(each) for each in lengths]
        self._starts = np.cumsum([0, *self._sizes])
        rates = np.array([weight / each.mean() for weight, each in zip(weights, lengths, strict=True)])
        self.rates: Float64[np.ndarray, " sources"] = rates / rates.sum()
        """The share of all samples that each source gives: its share of tokens by the length of its samples."""
        self.seed, self.batch_size = seed, batch_size
        self.micro_batch_tokens, self.num_ranks = micro_batch_tokens, num_ranks
        self._order = lru_cache(maxsize=2 * len(lengths))(self._draw_order)

    @property
    def steps_per_epoch(self) -> int:
        """Steps until every sample of the first source was seen once."""
        return max(1, -(-self._sizes[0] // max(1, round(self.batch_size * self.rates[0]))))

    def plan(self, step: int) -> StepPlan:
        """The plan of step `step`, counted from 0."""
        given, then = (self.count_given(number * self.batch_size) for number in (step, step + 1))
        chosen = [
            self._take(source, int(first), int(last))
            for source, (first, last) in enumerate(zip(given, then, strict=True))
        ]
        micro_batches = cut_by_tokens(np.concatenate(chosen), self.lengths, self.micro_batch_tokens, self.num_ranks)
        return StepPlan(step, step // self.steps_per_epoch, micro_batches, draw=step)

    def count_given(self, total: int) -> Int64[np.ndarray, " sources"]:
        """How many of the first `total` samples come from each source."""
        # A source is never more than one sample from its share for each other source, so the turns start there.
        given = np.maximum(0, np.floor(total * self.rates).astype(np.int64) - len(self.rates))
        for _ in range(total - int(given.sum())):
            given[int(((given + 0.5) / self.rates).argmin())] += 1
        return given

    def _take(self, source: int, first: int, last: int) -> Int64[np.ndarray, " _samples"]:
        """The samples `first` to `last` that a source gives, over all its passes."""
        size, parts = self._sizes[source], []
        while first < last:
            epoch, place = divmod(first, size)
            end = min(size, place + last - first)
            parts.append(self._order(source, epoch)[place:end])
            first += end - place
        return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)

    def _draw_order(self, source: int, epoch: int) -> Int64[np.ndarray, " _samples"]:
        key = make_key(self.seed, epoch, source, "order")
        return int(self._starts[source]) + draw_permutation(key, self._sizes[source])


class Staged:
    """One planner after the other, each over samples of its own (implements Planner)."""

    def __init__(self, planners: Sequence[Planner], ends: Sequence[int], starts: Sequence[int]) -> None:
        """Plan in stages.

        Args:
            planners: one a stage; each counts its steps and its samples from 0.
            ends: the step at which each stage ends; the last one goes on.
            starts: the number of the first sample of each stage.
        """
        self._planners, self._ends, self._starts = tuple(planners), tuple(ends), tuple(starts)

    @property
    def steps_per_epoch(self) -> int:
        """Steps of one pass in the last stage."""
        return self._planners[-1].steps_per_epoch

    def stage(self, step: int) -> int:
        """The stage that a step belongs to, counted from 0."""
        return min(int(np.searchsorted(self._ends, step, side="right")), len(self._planners) - 1)

    def plan(self, step: int) -> StepPlan:
        """The plan of step `step`, counted from 0."""
        stage = self.stage(step)
        plan = self._planners[stage].plan(step - (self._ends[stage - 1] if stage else 0))
        micro_batches = tuple(each + self._starts[stage] for each in plan.micro_batches)
        return replace(plan, step=step, epoch=step // self.steps_per_epoch, micro_batches=micro_batches)
