"""Whether a classifier's probabilities mean what they say (Guo et al. 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from groundup.errors import DataError

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
    if confidences.shape != is_right.shape:
        raise DataError("metrics", "probabilities and answers differ in number", got=(len(confidences), len(is_right)))
    places = np.clip(np.ceil(confidences * num_bins).astype(np.int64) - 1, 0, num_bins - 1)
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


def calibration_error(bins: Sequence[CalibrationBin]) -> float:
    """The expected calibration error: how far accuracy and mean probability lie apart, averaged over the answers."""
    total = sum(each.count for each in bins)
    apart = sum(each.count * abs(each.confidence - each.accuracy) for each in bins if each.count)  # type: ignore[operator]
    return apart / total if total else 0.0
