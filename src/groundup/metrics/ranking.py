"""Whether scores put what is right above what is wrong: the area under the ROC curve.

Its value is the chance that a row of the class gets a higher score than one of another, ties counted half (Hanley and
McNeil 1982): the Mann-Whitney statistic.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int, Num

from groundup.errors import DataError
from groundup.metrics.tally import Tally, Values, Weights


def auc_tally(is_positive: Bool[np.ndarray, " rows"], scores: Num[np.ndarray, " answers"], name: str = "auc") -> Tally:
    """The AUC of one class against all else.

    Raises:
        DataError: the scores are not as many as the rows, not finite, or all rows are of one class.
    """
    is_positive, scores = np.asarray(is_positive, dtype=bool), np.asarray(scores, dtype=np.float64)
    _check(is_positive, scores)
    if is_positive.all() or not is_positive.any():
        cure = "score data in which both occur"
        raise DataError("metrics", f"{name} needs rows of the class and rows of another", cure=cure)
    return Tally(name, "rows", len(scores), _auc_figure(is_positive, scores), "auc, ties count half")


def one_vs_rest_tallies(
    labels: Int[np.ndarray, " rows"], scores: Float[np.ndarray, "answers classes"], names: Sequence[str]
) -> dict[str, Tally]:
    """`auc[name]` of every class against the rest, and `auc`, their plain mean (macro).

    Raises:
        DataError: a class has no row, or rows and scores do not fit.
    """
    labels, scores = np.asarray(labels), np.asarray(scores, dtype=np.float64)
    if scores.ndim != 2 or scores.shape[1] != len(names):
        raise DataError("metrics", f"auc needs a score for each of the {len(names)} classes", got=scores.shape)
    tallies = {
        f"auc[{name}]": auc_tally(labels == number, scores[:, number], f"auc[{name}]")
        for number, name in enumerate(names)
    }
    figures = [tally.figure for tally in tallies.values()]

    def mean(weights: Weights) -> Values:
        return np.mean([figure(weights) for figure in figures], axis=0)

    how = "auc, one class against the rest, average=macro, ties count half"
    return {"auc": Tally("auc", "rows", len(labels), mean, how)} | tallies


def _auc_figure(is_positive: np.ndarray, scores: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """All rows are summed by where they lie among the scores of the class: for one class of many that is a few sums."""
    own = np.flatnonzero(is_positive)
    levels, level = np.unique(scores[own], return_inverse=True)
    # Even numbers between two levels, odd ones at a level.
    place = 2 * np.searchsorted(levels, scores) + np.isin(scores, levels)
    order = np.argsort(place, kind="stable")
    places, starts = np.unique(place[order], return_index=True)
    at = np.searchsorted(places, 2 * level + 1)

    def figure(weights: Weights) -> Values:
        sums = np.add.reduceat(np.take(weights, order, axis=1), starts, axis=1)
        below = np.cumsum(sums, axis=1) - sums / 2.0
        wanted = np.take(weights, own, axis=1)
        count = wanted.sum(axis=1)
        # Of the pairs within the class one half lies below, whatever its scores.
        above = (wanted * np.take(below, at, axis=1)).sum(axis=1) - count**2 / 2.0
        pairs = count * (sums.sum(axis=1) - count)
        # Without a row of either kind there is nothing to rank.
        return np.divide(above, pairs, out=np.full(len(weights), np.nan), where=pairs > 0)

    return figure


def _check(is_positive: np.ndarray, scores: np.ndarray) -> None:
    if is_positive.shape != scores.shape:
        raise DataError("metrics", "labels and scores differ in number", got=(len(is_positive), len(scores)))
    if not np.isfinite(scores).all():
        raise DataError("metrics", "a score is not finite", got=float(scores[~np.isfinite(scores)][0]))
