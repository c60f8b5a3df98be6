"""How sure a figure is: percentile bootstrap over items, Student's t over seeds, and differences of pairs.

The bootstrap (Efron 1979) draws the items of a data set again, with replacement, many times, and reads the interval off
the spread of the figure. Here it draws counts or weighted sums for all resamples at once. A share of 0 or 1 leaves it
blind, because all resamples agree: there the interval is Wilson's (1927). Every function is one of its arguments alone:
the same items and seed give the same interval.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from groundup.errors import DataError

CONFIDENCE = 0.95
NUM_RESAMPLES = 1000
_MAX_DRAWS = 1 << 18
"""Item draws held at a time (2 MiB, which a cache holds): it bounds memory and does not change the result."""


class Interval(NamedTuple):
    """A figure and the bounds within which it would fall again with the stated confidence."""

    value: float
    low: float
    high: float

    def scale(self, factor: float) -> Interval:
        """The same in another unit; `factor` is positive."""
        return Interval(self.value * factor, self.low * factor, self.high * factor)


def percentile_interval(values: Float[np.ndarray, " resamples"], confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The bounds that leave the same share of the resampled figures outside on either side."""
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(values, [tail, 1.0 - tail])
    return float(low), float(high)


def describe_interval(
    unit: str,
    *,
    is_share: bool = False,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
    confidence: float = CONFIDENCE,
) -> str:
    """How an interval over such items was drawn, for the signature of a metric."""
    how = f"interval=percentile bootstrap over {unit}, {confidence:.0%}|resamples={num_resamples}|seed={seed}"
    return f"edges=wilson|{how}" if is_share else how


def wilson_interval(share: float, count: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The interval of a share of `count` items (Wilson 1927), which has a width at 0 and at 1 too."""
    if not 0.0 <= share <= 1.0 or count < 1:
        raise ValueError(f"share, count: must lie between 0 and 1, and be at least 1, got {share}, {count}")
    squared = NormalDist().inv_cdf(0.5 + confidence / 2.0) ** 2 / count
    middle = share + squared / 2.0
    half = math.sqrt(squared * (share * (1.0 - share) + squared / 4.0))
    # Rounding must not leave the share itself outside.
    low, high = (middle - half) / (1.0 + squared), (middle + half) / (1.0 + squared)
    return max(0.0, min(low, share)), min(1.0, max(high, share))


def share_interval(
    share: float, count: int, values: Float[np.ndarray, " resamples"], confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """That of the resampled shares; Wilson's of `count` items where the share is 0 or 1."""
    return wilson_interval(share, count, confidence) if share in (0.0, 1.0) else percentile_interval(values, confidence)


def draw_items(num_items: int, num_resamples: int, seed: int) -> Iterator[Int[np.ndarray, "resamples items"]]:
    """The items of each resample by their numbers, some resamples at a time."""
    generator = np.random.Generator(np.random.PCG64(seed))
    at_once = max(1, _MAX_DRAWS // num_items)
    for start in range(0, num_resamples, at_once):
        yield generator.integers(num_items, size=(min(at_once, num_resamples - start), num_items))


def resample_counts(
    counts: Int[np.ndarray, "*cells"], num_resamples: int = NUM_RESAMPLES, seed: int = 0
) -> Int[np.ndarray, "resamples ..."]:
    """Tables of counts as bootstrap resamples of the counted items would give them.

    Items in the same cell are alike, so drawing n items with replacement is one multinomial draw over the cells: the
    cost is that of the cells, not of the items.
    """
    total = int(counts.sum())
    if total == 0:
        raise DataError("metrics", "there is no item to resample", cure="check that the data has labels")
    generator = np.random.Generator(np.random.PCG64(seed))
    drawn = generator.multinomial(total, counts.reshape(-1) / total, size=num_resamples)
    return drawn.reshape(num_resamples, *counts.shape)


def bootstrap_counts(
    counts: Int[np.ndarray, "*cells"],
    figure: Callable[[np.ndarray], np.ndarray],
    *,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
    confidence: float = CONFIDENCE,
) -> Interval:
    """The interval of any figure of a table of counts; `figure` must accept leading axes."""
    low, high = percentile_interval(figure(resample_counts(counts, num_resamples, seed)), confidence)
    return Interval(float(figure(counts)), low, high)


def bootstrap_ratio(
    numerators: Float[np.ndarray, " items"],
    denominators: Float[np.ndarray, " items"],
    *,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
    confidence: float = CONFIDENCE,
) -> Interval:
    """The interval of sum(numerators) / sum(denominators), each item drawn with both of its numbers.

    For means over parts of items (tokens of sentences), where parts of one item are alike and must be drawn together.
    """
    columns = [np.asarray(each, dtype=np.float64) for each in (numerators, denominators)]
    top, bottom = (float(column.sum()) for column in columns)
    if bottom == 0:
        raise DataError("metrics", "there is nothing to divide by", got=bottom)
    draws = draw_items(len(columns[0]), num_resamples, seed)
    drawn = [[column.take(chosen).sum(axis=1) for column in columns] for chosen in draws]
    tops, bottoms = np.concatenate(drawn, axis=1)
    kept = bottoms != 0
    return Interval(top / bottom, *percentile_interval(tops[kept] / bottoms[kept], confidence))


def bootstrap_share(
    numerators: Float[np.ndarray, " items"] | Bool[np.ndarray, " items"],
    denominators: Float[np.ndarray, " others"] | None = None,
    *,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
    confidence: float = CONFIDENCE,
) -> Interval:
    """`bootstrap_ratio` of parts by wholes: at 0 and 1, where all resamples agree, Wilson's interval of the items.

    Args:
        numerators: of each item what is right in it.
        denominators: of each item how much there is of it; None where it is one thing.
        num_resamples: how often the items are drawn again.
        seed: of the draws.
        confidence: of the interval.
    """
    draws = {"num_resamples": num_resamples, "seed": seed, "confidence": confidence}
    numerators = np.asarray(numerators, dtype=np.float64)
    if denominators is None and len(numerators) and np.isin(numerators, (0.0, 1.0)).all():
        counts = np.array([(numerators == 0).sum(), (numerators == 1).sum()])
        found = bootstrap_counts(counts, lambda drawn: drawn[..., 1] / drawn.sum(axis=-1), **draws)
    else:
        found = bootstrap_ratio(numerators, np.ones_like(numerators) if denominators is None else denominators, **draws)
    if found.value not in (0.0, 1.0):
        return found
    items = len(numerators) if denominators is None else int((np.asarray(denominators) != 0).sum())
    return Interval(found.value, *wilson_interval(found.value, items, confidence))


def bootstrap_mean(
    values: Float[np.ndarray, " items"],
    *,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
    confidence: float = CONFIDENCE,
) -> Interval:
    """The interval of the mean over items."""
    values = np.asarray(values, dtype=np.float64)
    return bootstrap_ratio(values, np.ones_like(values), num_resamples=num_resamples, seed=seed, confidence=confidence)


def bootstrap_difference(
    first: Float[np.ndarray, " items"],
    second: Float[np.ndarray, " others"],
    *,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
    confidence: float = CONFIDENCE,
) -> Interval:
    """The interval of mean(first) - mean(second) where two systems answered the same items (a paired bootstrap).

    A DataError where they are not as many.
    """
    return bootstrap_mean(_differences(first, second), num_resamples=num_resamples, seed=seed, confidence=confidence)


def mean_interval(values: Float[np.ndarray, " runs"], confidence: float = CONFIDENCE) -> Interval:
    """The mean over runs (seeds) with the interval of Student's t, which is honest about there being few of them."""
    values = np.asarray(values, dtype=np.float64)
    if len(values) < 2:
        raise DataError("metrics", "an interval over runs needs at least 2 of them", got=len(values))
    mean = float(values.mean())
    half = (
        student_t_quantile(0.5 + confidence / 2.0, len(values) - 1) * float(values.std(ddof=1)) / math.sqrt(len(values))
    )
    return Interval(mean, mean - half, mean + half)


def difference_interval(
    first: Float[np.ndarray, " runs"], second: Float[np.ndarray, " others"], confidence: float = CONFIDENCE
) -> Interval:
    """The mean of first - second over runs that share a seed, with the interval of Student's t.

    A DataError where they are not as many.
    """
    return mean_interval(_differences(first, second), confidence)


def student_t_quantile(probability: float, degrees: int) -> float:
    """The t below which a Student's t of `degrees` degrees of freedom falls with `probability`, to 1e-9 or better.

    The distribution function of whole degrees is a finite sum (Abramowitz and Stegun 1964, 26.7.3 and 26.7.4) of the
    angle atan(t / sqrt(degrees)); the angle is found by bisection.
    """
    if not 0.0 < probability < 1.0:
        raise ValueError(f"probability: must lie between 0 and 1, got {probability}")
    if degrees < 1:
        raise ValueError(f"degrees: must be at least 1, got {degrees}")
    inside = abs(2.0 * probability - 1.0)
    weights = _series_weights(degrees)
    low, high = 0.0, math.pi / 2.0
    for _ in range(64):
        middle = (low + high) / 2.0
        low, high = (middle, high) if _inside(middle, degrees, weights) < inside else (low, middle)
    return math.copysign(math.tan((low + high) / 2.0) * math.sqrt(degrees), probability - 0.5)


def student_t_tails(t: float, degrees: int) -> float:
    """The probability that a Student's t of `degrees` degrees of freedom lies as far from 0 as `t` or farther."""
    return 1.0 - _inside(math.atan(abs(t) / math.sqrt(degrees)), degrees, _series_weights(degrees))


def _inside(angle: float, degrees: int, weights: Float[np.ndarray, " terms"]) -> float:
    """The probability that |t| stays below tan(angle) * sqrt(degrees)."""
    cosine = math.cos(angle)
    total = float((weights * cosine ** (2.0 * np.arange(len(weights)))).sum()) * math.sin(angle)
    return 2.0 / math.pi * (angle + total * cosine) if degrees % 2 else total


def _series_weights(degrees: int) -> Float[np.ndarray, " terms"]:
    """1, 2/3, 2*4/(3*5) ... for odd degrees; 1, 1/2, 1*3/(2*4) ... for even ones."""
    num_terms = (degrees - 1) // 2 if degrees % 2 else degrees // 2
    steps = np.arange(1.0, max(num_terms, 1))
    ratios = 2.0 * steps / (2.0 * steps + 1.0) if degrees % 2 else (2.0 * steps - 1.0) / (2.0 * steps)
    return np.cumprod(np.concatenate([[1.0], ratios]))[:num_terms]


def _differences(first: np.ndarray, second: np.ndarray) -> Float[np.ndarray, " items"]:
    first, second = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if first.shape != second.shape:
        raise DataError(
            "metrics", "a paired comparison needs as many of the one as of the other", got=(len(first), len(second))
        )
    return first - second
