"""A metric as a function of how often each item counts, from which its value, interval and comparison follow.

Counted once each, the items give the value; drawn again with replacement, the bootstrap (Efron 1979); taken from one
system or the other, a paired test. So a metric over a whole data set (BLEU, entity F1, an AUC) needs one function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Shaped

from groundup.errors import DataError
from groundup.metrics.interval import (
    NUM_RESAMPLES,
    describe_interval,
    draw_items,
    percentile_interval,
    share_interval,
)
from groundup.metrics.metric import Metric

Weights = Float[np.ndarray, "resamples items"]
Values = Float[np.ndarray, " resamples"]


@dataclass(frozen=True)
class Tally:
    """What one metric makes of its items."""

    name: str
    unit: str
    """What an item is, in the plural: rows, sentences, questions."""
    count: int
    """Items."""
    figure: Callable[[np.ndarray], np.ndarray]
    """From how often each item counts (`Weights`) to the metric (`Values`)."""
    signature: str
    """How it is computed, without its interval."""
    full: float | None = None
    """The value when all is right, where 0 and it are the edges of a share: the bootstrap is blind there."""
    support: int | None = None
    """Items that the figure is over, where it is not all."""


def sums_tally(
    name: str,
    unit: str,
    parts: Shaped[np.ndarray, "items columns"],
    figure: Callable[[np.ndarray], np.ndarray],
    signature: str,
    full: float | None = None,
) -> Tally:
    """A metric of sums over items; `figure` takes sums `[resamples columns]`."""
    columns = np.asarray(parts, dtype=np.float64)
    return Tally(name, unit, len(columns), lambda weights: figure(weights @ columns), signature, full)


def mean_tally(
    name: str,
    unit: str,
    values: Shaped[np.ndarray, " items"],
    signature: str,
    *,
    full: float | None = 1.0,
    of: Bool[np.ndarray, " items"] | None = None,
) -> Tally:
    """The mean over items, or over a part `of` them, times `full` where it is a share in other units (100: percent)."""
    is_counted = np.ones(len(values)) if of is None else np.asarray(of, dtype=np.float64)
    columns = np.stack([np.asarray(values, dtype=np.float64) * is_counted, is_counted], axis=1)
    scale = 1.0 if full is None else full

    def figure(weights: Weights) -> Values:
        top, bottom = (weights @ columns).T
        # Of no item there is no mean.
        return np.divide(scale * top, bottom, out=np.full(len(weights), np.nan), where=bottom > 0)

    return Tally(name, unit, len(values), figure, signature, full, None if of is None else int(is_counted.sum()))


def measure(tallies: Mapping[str, Tally], *, num_resamples: int = NUM_RESAMPLES, seed: int = 0) -> dict[str, Metric]:
    """Every metric with its interval, all over the same resamples of the same items.

    Raises:
        DataError: there is no item, or the tallies are not of one set of items.
    """
    counts = {tally.count for tally in tallies.values()}
    if len(counts) > 1:
        raise DataError("metrics", "are over different numbers of items", got=sorted(counts))
    if not counts or 0 in counts:
        raise DataError("metrics", "there is no item to score", cure="check that the data has references")
    drawn: dict[str, list[np.ndarray]] = {name: [] for name in tallies}
    for weights in draw_weights(counts.pop(), num_resamples, seed):
        for name, tally in tallies.items():
            drawn[name].append(tally.figure(weights))
    return {name: _metric(tally, np.concatenate(drawn[name]), num_resamples, seed) for name, tally in tallies.items()}


def value_of(tally: Tally) -> float:
    """The metric of all items, each counted once."""
    return float(tally.figure(np.ones((1, tally.count)))[0])


def draw_weights(num_items: int, num_resamples: int, seed: int) -> Iterator[Weights]:
    """How often each item is in each resample, some resamples at a time."""
    for chosen in draw_items(num_items, num_resamples, seed):
        rows = np.arange(len(chosen))[:, None] * num_items
        counts = np.bincount((chosen + rows).reshape(-1), minlength=len(chosen) * num_items)
        yield counts.reshape(len(chosen), num_items).astype(np.float64)


def divide(top: np.ndarray, bottom: np.ndarray) -> Float[np.ndarray, "*shape"]:
    """top / bottom, and 0 where bottom is 0."""
    top, bottom = np.broadcast_arrays(np.asarray(top, dtype=np.float64), np.asarray(bottom, dtype=np.float64))
    return np.divide(top, bottom, out=np.zeros(top.shape), where=bottom != 0)


def _metric(tally: Tally, values: np.ndarray, num_resamples: int, seed: int) -> Metric:
    value, count = value_of(tally), tally.count if tally.support is None else tally.support
    # A resample without any item of a class has no AUC: it says nothing of the spread.
    known = values[np.isfinite(values)]
    if not len(known):
        low = high = None
    elif tally.full is None:
        low, high = percentile_interval(known)
    else:
        low, high = (tally.full * edge for edge in share_interval(value / tally.full, count, known / tally.full))
    how = describe_interval(tally.unit, is_share=tally.full is not None, num_resamples=num_resamples, seed=seed)
    return Metric(tally.name, value, count, f"{tally.signature}|n={count}|{how}|v1", low, high)
