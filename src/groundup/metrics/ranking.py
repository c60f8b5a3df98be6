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
    order = np.argsort(scores, kind="stable")
    _, starts = np.unique(scores[order], return_index=True)
    positive = is_positive[order]

    def figure(weights: Weights) -> Values:
        ordered = weights[:, order]
        wanted = np.add.reduceat(ordered * positive, starts, axis=1)
        other = np.add.reduceat(ordered * ~positive, starts, axis=1)
        above = np.cumsum(other, axis=1) - other / 2.0
        pairs = wanted.sum(axis=1) * other.sum(axis=1)
        # Without a row of either kind there is nothing to rank.
        return np.divide((wanted * above).sum(axis=1), pairs, out=np.full(len(weights), np.nan), where=pairs > 0)

    return figure


def _check(is_positive: np.ndarray, scores: np.ndarray) -> None:
    if is_positive.shape != scores.shape:
        raise DataError("metrics", "labels and scores differ in number", got=(len(is_positive), len(scores)))
    if not np.isfinite(scores).all():
        raise DataError("metrics", "a score is not finite", got=float(scores[~np.isfinite(scores)][0]))
