"""The metrics of a classifier as tallies, so that two classifiers can be compared row by row.

The figures are those of `classification`; each needs three sums a class: rows that are right, predicted and actual.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float, Int

from groundup.metrics.calibration import calibration_tally
from groundup.metrics.classification import Average, average_sums, matthews_of_sums
from groundup.metrics.ranking import auc_tally
from groundup.metrics.tally import Tally, divide, mean_tally, sums_tally

Sums = Float[np.ndarray, "*resamples label"]
_LEAST_SHARE = 1e-12
"""A probability that was written as 0 has a loss all the same."""


def class_tallies(
    labels: Int[np.ndarray, " rows"],
    predictions: Int[np.ndarray, " answers"],
    names: Sequence[str],
    *,
    average: Average | None = None,
    probabilities: Float[np.ndarray, "answers classes"] | None = None,
) -> dict[str, Tally]:
    """`accuracy`, `precision`, `recall`, `f1`, `macro_f1`, `weighted_f1`, `matthews`; `loss` and more by probabilities.

    Args:
        labels: the true class of each row.
        predictions: the class that each is taken for.
        names: of the classes, in the order of their numbers.
        average: None means binary for two classes and macro for more.
        probabilities: of every class; None where they are not known.
    """
    average = average or ("binary" if len(names) == 2 else "macro")
    classes = np.eye(len(names))
    is_right = labels == predictions
    parts = np.hstack([classes[labels] * is_right[:, None], classes[predictions], classes[labels]])

    def tally(name: str, how: str, figure: Callable[[Sums, Sums, Sums], np.ndarray], full: float | None) -> Tally:
        signature = f"average={how}|zero_division=0"
        return sums_tally(name, "rows", parts, lambda sums: figure(*np.split(sums, 3, axis=-1)), signature, full)

    def of_average(name: str, field: str, average: Average) -> Tally:
        how = f"binary(positive={names[1]})" if average == "binary" and len(names) == 2 else average
        return tally(name, how, lambda *sums: getattr(average_sums(*sums, average), field), 1.0)

    tallies = {"accuracy": tally("accuracy", "none", _accuracy, 1.0)}
    tallies |= {field: of_average(field, field, average) for field in ("precision", "recall", "f1")}
    tallies |= {f"{each}_f1": of_average(f"{each}_f1", "f1", each) for each in ("macro", "weighted") if each != average}
    tallies["matthews"] = tally("matthews", "none", matthews_of_sums, None)
    if probabilities is not None:
        if len(names) == 2 and len(set(labels.tolist())) == 2:
            tallies["auc"] = auc_tally(labels == 1, probabilities[:, 1])
        tallies["calibration_error"] = calibration_tally(probabilities.max(axis=1), is_right)
        losses = -np.log(np.maximum(probabilities[np.arange(len(labels)), labels], _LEAST_SHARE))
        tallies["loss"] = mean_tally("loss", "rows", losses, "cross-entropy, mean over rows", full=None)
    return tallies


def _accuracy(right: Sums, predicted: Sums, actual: Sums) -> np.ndarray:
    return divide(right.sum(axis=-1), actual.sum(axis=-1))
