"""From which score on the answer is yes: the threshold at which F1 is largest on data that is known."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Num

from groundup.errors import DataError

EVEN = 0.5
"""Where nothing speaks for another one."""


def best_threshold(scores: Num[np.ndarray, " items"], is_positive: Bool[np.ndarray, " others"]) -> float:
    """The threshold above 0 at which F1 is largest: what is at or above it counts as yes.

    It lies in the middle between two scores, where it is as far from both as it can be. Of several that are as good,
    the one nearest to 0.5 is taken; without a positive item above 0 it is 0.5, as nothing is known.

    Raises:
        DataError: scores and items differ in number, or a score is not a probability.
    """
    scores, is_positive = np.asarray(scores, dtype=np.float64), np.asarray(is_positive, dtype=bool)
    if scores.shape != is_positive.shape:
        raise DataError("metrics", "scores and items differ in number", got=(len(scores), len(is_positive)))
    if not ((scores >= 0) & (scores <= 1)).all():
        raise DataError("metrics", "a score is no probability", got=float(scores[~((scores >= 0) & (scores <= 1))][0]))
    if not (is_positive & (scores > 0)).any():
        return EVEN
    order = np.argsort(-scores, kind="stable")
    ordered, right = scores[order], np.cumsum(is_positive[order])
    # After the last of equal scores: they are all on one side of any threshold.
    ends = np.flatnonzero(np.append(ordered[:-1] > ordered[1:], True) & (ordered > 0))
    f1 = 2 * right[ends] / (ends + 1 + int(is_positive.sum()))
    below = np.append(ordered[1:], 0.0)[ends]
    middles = (ordered[ends] + below) / 2.0
    middles = np.where(middles > below, middles, ordered[ends])  # two scores may have no number between them
    good = middles[f1 == f1.max()]
    return float(good[np.argmin(np.abs(good - EVEN))])
