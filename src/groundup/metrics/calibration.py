"""Whether a classifier's probabilities mean what they say (Guo et al. 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from groundup.errors import DataError
from groundup.metrics.tally import Tally, sums_tally

NUM_BINS = 10


class CalibrationBin(NamedTuple):
    """Answers whose probability lies above `low` and not above `high`."""

    low: float
    high: float
    count: int
    confidence: float | None
    """Their mean probability; None where there are none."""
    accuracy: float | None
    """The share of them that is right."""


def calibration_bins(
    confidences: Float[np.ndarray, " rows"], is_right: Bool[np.ndarray, " answers"], num_bins: int = NUM_BINS
) -> list[CalibrationBin]:
    """Answers by their probability, in bins of equal width from 0 to 1. A DataError where the two are not as many."""
    confidences, is_right = np.asarray(confidences, dtype=np.float64), np.asarray(is_right, dtype=bool)
    _check_numbers(confidences, is_right)
    places = _places(confidences, num_bins)
    counts = np.bincount(places, minlength=num_bins)
    sums = np.bincount(places, weights=confidences, minlength=num_bins)
    rights = np.bincount(places, weights=is_right, minlength=num_bins)
    return [
        CalibrationBin(
            place / num_bins,
            (place + 1) / num_bins,
            int(count),
            float(total / count) if count else None,
            float(right / count) if count else None,
        )
        for place, (count, total, right) in enumerate(zip(counts, sums, rights, strict=True))
    ]


def calibration_tally(
    confidences: Float[np.ndarray, " rows"], is_right: Bool[np.ndarray, " answers"], num_bins: int = NUM_BINS
) -> Tally:
    """The expected calibration error as a metric with an interval. The bootstrap sees noise as error: it leans high."""
    confidences, is_right = np.asarray(confidences, dtype=np.float64), np.asarray(is_right, dtype=bool)
    _check_numbers(confidences, is_right)
    in_bin = np.eye(num_bins)[_places(confidences, num_bins)]
    apart = in_bin * (confidences - is_right)[:, None]

    def figure(sums: Float[np.ndarray, "resamples columns"]) -> Float[np.ndarray, " resamples"]:
        return np.abs(sums[:, :num_bins]).sum(axis=1) / sums[:, num_bins]

    signature = f"expected calibration error, {num_bins} bins of equal width"
    parts = np.column_stack([apart, np.ones(len(confidences))])
    return sums_tally("calibration_error", "rows", parts, figure, signature)


def calibration_error(bins: Sequence[CalibrationBin]) -> float:
    """The expected calibration error: how far accuracy and mean probability lie apart, averaged over the answers."""
    total = sum(each.count for each in bins)
    apart = sum(each.count * abs(each.confidence - each.accuracy) for each in bins if each.count)  # type: ignore[operator]
    return apart / total if total else 0.0


def _check_numbers(confidences: np.ndarray, is_right: np.ndarray) -> None:
    if confidences.shape != is_right.shape:
        raise DataError("metrics", "probabilities and answers differ in number", got=(len(confidences), len(is_right)))


def _places(confidences: np.ndarray, num_bins: int) -> Int[np.ndarray, " rows"]:
    """The bin of each probability."""
    return np.clip(np.ceil(confidences * num_bins).astype(np.int64) - 1, 0, num_bins - 1)
