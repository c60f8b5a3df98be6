"""Whether one system is better than another on the same items: paired bootstrap and approximate randomisation.

The bootstrap (Koehn 2004) draws the items again, the same for both, and gives the interval of the difference. The
randomisation test (Noreen 1989) asks how often systems that are alike would differ as much: it exchanges their answers
to each item by the toss of a coin. It holds where the bootstrap's p-value is too small (Riezler and Maxwell 2005).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TypeVar

import numpy as np

from groundup.errors import DataError
from groundup.figures import format_figure
from groundup.metrics.interval import CONFIDENCE, NUM_RESAMPLES, percentile_interval
from groundup.metrics.tally import Tally, draw_weights

NUM_SHUFFLES = 10_000
_SHUFFLES_AT_ONCE = 1 << 20
_ROUNDING = 1e-12
"""Exchanged answers sum in another order: what differs by less is no difference."""

Answer = TypeVar("Answer")
Reference = TypeVar("Reference")


@dataclass(frozen=True)
class Comparison:
    """One metric of two systems on the same items."""

    name: str
    first: float
    second: float
    difference: float
    """first - second."""
    low: float
    high: float
    """Of the difference, by the paired bootstrap."""
    p_value: float
    """How often systems that are alike would differ as much or more, by approximate randomisation."""
    count: int
    signature: str

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        return asdict(self)

    def __str__(self) -> str:
        first, second, difference, low, high = map(
            format_figure, (self.first, self.second, self.difference, self.low, self.high)
        )
        return (
            f"{self.name} {first} - {second} = {difference} [{low}, {high}], p = {self.p_value:.4f} "
            f"(n={self.count}; {self.signature})"
        )


def compare(
    tallies_of: Callable[[list[Answer], list[Reference]], Mapping[str, Tally]],
    first: Sequence[Answer],
    second: Sequence[Answer],
    references: Sequence[Reference],
    *,
    num_resamples: int = NUM_RESAMPLES,
    num_shuffles: int = NUM_SHUFFLES,
    seed: int = 0,
) -> dict[str, Comparison]:
    """Every metric of `tallies_of(answers, references)` for two systems that answered the same items.

    Raises:
        DataError: the answers are not as many as the references.
    """
    if not len(first) == len(second) == len(references):
        counts = (len(first), len(second), len(references))
        raise DataError("compare", "both systems must answer every item once", got=counts)
    if not references:
        raise DataError("compare", "there is no item to compare on")
    # Both systems' answers are items of one tally, so that a mixture of them is a choice of weights.
    tallies = tallies_of([*first, *second], [*references, *references])
    one, none = np.ones((1, len(references))), np.zeros((1, len(references)))
    values = {name: [_figure(tally, *part) for part in ((one, none), (none, one))] for name, tally in tallies.items()}
    drawn: dict[str, list[np.ndarray]] = {name: [] for name in tallies}
    for weights in draw_weights(len(references), num_resamples, seed):
        nothing = np.zeros_like(weights)
        for name, tally in tallies.items():
            drawn[name].append(_figure(tally, weights, nothing) - _figure(tally, nothing, weights))
    as_far = _count_as_far(tallies, values, len(references), num_shuffles, seed)
    settings = (num_resamples, num_shuffles, seed)
    return {
        name: _compare(tally, values[name], np.concatenate(drawn[name]), as_far[name], *settings)
        for name, tally in tallies.items()
    }


def _figure(both: Tally, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The metric where the answers of the two systems count so often."""
    return both.figure(np.hstack([first, second]))


def _compare(
    both: Tally,
    values: Sequence[np.ndarray],
    differences: np.ndarray,
    as_far: int,
    num_resamples: int,
    num_shuffles: int,
    seed: int,
) -> Comparison:
    count, (first, second) = both.count // 2, (float(each[0]) for each in values)
    low, high = percentile_interval(differences[np.isfinite(differences)])
    signature = (
        f"{both.signature}|n={count}|interval=paired percentile bootstrap over {both.unit}, {CONFIDENCE:.0%}"
        f"|resamples={num_resamples}|p=approximate randomisation, two-sided|shuffles={num_shuffles}|seed={seed}|v1"
    )
    p_value = (as_far + 1) / (num_shuffles + 1)
    return Comparison(both.name, first, second, first - second, low, high, p_value, count, signature)


def _count_as_far(
    tallies: Mapping[str, Tally],
    values: Mapping[str, Sequence[np.ndarray]],
    count: int,
    num_shuffles: int,
    seed: int,
) -> dict[str, int]:
    """Of so many exchanges, those after which the systems differ by at least as much as they do, for each metric."""
    distances = {name: abs(float(first[0]) - float(second[0])) for name, (first, second) in values.items()}
    generator = np.random.Generator(np.random.PCG64([seed, 1]))
    at_once = max(1, _SHUFFLES_AT_ONCE // count)
    found = dict.fromkeys(tallies, 0)
    for start in range(0, num_shuffles, at_once):
        stays = generator.integers(0, 2, size=(min(at_once, num_shuffles - start), count)).astype(np.float64)
        leaves = 1.0 - stays
        for name, both in tallies.items():
            apart, distance = _figure(both, stays, leaves) - _figure(both, leaves, stays), distances[name]
            # An exchange that leaves no figure (an AUC of one class) counts as far: it is no evidence.
            found[name] += int((~(np.abs(apart) < distance - _ROUNDING * max(1.0, distance))).sum())
    return found
