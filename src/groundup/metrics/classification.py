"""Accuracy, precision, recall and F1 from one table of counts, each with its bootstrap interval.

With TP, FP, FN and TN of a class: precision = TP / (TP + FP), recall = TP / (TP + FN), F1 = 2 P R / (P + R), accuracy =
(TP + TN) / all, which over several classes is the share of the diagonal. A quotient by zero is 0.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from groundup.errors import DataError
from groundup.metrics.interval import CONFIDENCE, NUM_RESAMPLES, percentile_interval, resample_counts
from groundup.metrics.metric import Metric

Average = Literal["binary", "macro", "micro", "weighted"]
"""binary: the second of two classes. macro: the mean over classes. micro: from the summed counts of all classes.
weighted: the mean over classes by their number of rows."""

Numbers = np.ndarray | np.generic
"""A reduction over all axes gives a scalar."""

_VERSION = 1


class Scores(NamedTuple):
    """Precision, recall and F1, all of one shape."""

    precision: Float[np.ndarray, "*shape"]
    recall: Float[np.ndarray, "*shape"]
    f1: Float[np.ndarray, "*shape"]


def confusion_matrix(
    labels: Int[np.ndarray, " rows"], predictions: Int[np.ndarray, " answers"], num_classes: int
) -> Int[np.ndarray, "label prediction"]:
    """How often each class (row) was predicted as each class (column)."""
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    if labels.shape != predictions.shape:
        raise DataError("metrics", "labels and predictions differ in number", got=(len(labels), len(predictions)))
    both = np.concatenate([labels, predictions])
    if len(both) and not (both.min() >= 0 and both.max() < num_classes):
        raise DataError("metrics", f"a class is outside 0 to {num_classes - 1}", got=(int(both.min()), int(both.max())))
    cells = np.bincount(labels.astype(np.int64) * num_classes + predictions, minlength=num_classes**2)
    return cells.reshape(num_classes, num_classes)


def accuracy(confusion: Int[np.ndarray, "*resamples label prediction"]) -> Float[np.ndarray, "*resamples"]:
    """The share of rows on the diagonal."""
    return _divide(np.trace(confusion, axis1=-2, axis2=-1), confusion.sum(axis=(-2, -1)))


def class_scores(confusion: Int[np.ndarray, "*resamples label prediction"]) -> Scores:
    """Precision, recall and F1 of each class against all others."""
    right = np.diagonal(confusion, axis1=-2, axis2=-1)
    return _scores(right, confusion.sum(axis=-2), confusion.sum(axis=-1))


def average_scores(confusion: Int[np.ndarray, "*resamples label prediction"], average: Average) -> Scores:
    """Precision, recall and F1 of all classes together; F1 is averaged, not recomputed from averages."""
    scores = class_scores(confusion)
    if average == "macro":
        return Scores(*(np.asarray(score.mean(axis=-1)) for score in scores))
    if average == "weighted":
        support = confusion.sum(axis=-1)
        return Scores(*(_divide((score * support).sum(axis=-1), support.sum(axis=-1)) for score in scores))
    if average == "micro":
        total = confusion.sum(axis=(-2, -1))
        return _scores(np.trace(confusion, axis1=-2, axis2=-1), total, total)
    if confusion.shape[-1] != 2:
        raise DataError("average", "'binary' needs two classes", got=confusion.shape[-1], cure="choose macro")
    return Scores(*(np.asarray(score[..., 1]) for score in scores))


def classification_metrics(
    labels: Int[np.ndarray, " rows"],
    predictions: Int[np.ndarray, " answers"],
    names: Sequence[str],
    *,
    average: Average | None = None,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
) -> dict[str, Metric]:
    """`accuracy`, `precision`, `recall`, `f1`, and `macro_f1` where `average` is not macro.

    Args:
        labels: the true class of each row.
        predictions: the predicted class of each row; a DataError where they are not as many.
        names: of the classes, in the order of their numbers.
        average: None means binary for two classes and macro for more.
        num_resamples: of the bootstrap over rows.
        seed: of the bootstrap.
    """
    average = average or ("binary" if len(names) == 2 else "macro")
    meaning = f"binary(positive={names[1]})" if average == "binary" and len(names) == 2 else average
    figures: dict[str, tuple[Callable[[np.ndarray], np.ndarray], str]] = {"accuracy": (accuracy, "none")}
    for field in Scores._fields:
        figures[field] = (_average_figure(average, field), meaning)
    if average != "macro":
        figures["macro_f1"] = (_average_figure("macro", "f1"), "macro")
    return _measure(confusion_matrix(labels, predictions, len(names)), figures, num_resamples, seed)


def class_metrics(
    labels: Int[np.ndarray, " rows"],
    predictions: Int[np.ndarray, " answers"],
    names: Sequence[str],
    *,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
) -> dict[str, Metric]:
    """`precision[name]`, `recall[name]` and `f1[name]` of every class, for reports."""
    figures = {
        f"{field}[{name}]": (_class_figure(number, field), f"class({name})")
        for number, name in enumerate(names)
        for field in Scores._fields
    }
    return _measure(confusion_matrix(labels, predictions, len(names)), figures, num_resamples, seed)


def format_confusion(confusion: Int[np.ndarray, "label prediction"], names: Sequence[str]) -> str:
    """The table as aligned text, a row per true class and a column per predicted one; Chinese aligns too."""
    cells = [
        ["true \\ predicted", *names],
        *([name, *map(str, row)] for name, row in zip(names, confusion, strict=True)),
    ]
    widths = [max(_display_width(row[column]) for row in cells) for column in range(len(names) + 1)]
    lines = []
    for row in cells:
        padded = [" " * (width - _display_width(cell)) + cell for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join([row[0] + " " * (widths[0] - _display_width(row[0])), *padded]))
    return "\n".join(lines)


def _average_figure(average: Average, field: str) -> Callable[[np.ndarray], np.ndarray]:
    return lambda confusion: getattr(average_scores(confusion, average), field)


def _class_figure(number: int, field: str) -> Callable[[np.ndarray], np.ndarray]:
    return lambda confusion: getattr(class_scores(confusion), field)[..., number]


def _measure(
    confusion: Int[np.ndarray, "label prediction"],
    figures: dict[str, tuple[Callable[[np.ndarray], np.ndarray], str]],
    num_resamples: int,
    seed: int,
) -> dict[str, Metric]:
    """Every figure of one table, all over the same resamples."""
    count = int(confusion.sum())
    drawn = resample_counts(confusion, num_resamples, seed)
    metrics = {}
    for name, (figure, meaning) in figures.items():
        low, high = percentile_interval(figure(drawn))
        signature = (
            f"average={meaning}|zero_division=0|n={count}"
            f"|interval=percentile bootstrap over rows, {CONFIDENCE:.0%}|resamples={num_resamples}|seed={seed}"
            f"|v{_VERSION}"
        )
        metrics[name] = Metric(name, float(figure(confusion)), count, signature, low, high)
    return metrics


def _scores(right: Numbers, predicted: Numbers, actual: Numbers) -> Scores:
    """From TP, TP + FP and TP + FN. 2 P R / (P + R) is 2 TP / (TP + FP + TP + FN), one division instead of three."""
    return Scores(_divide(right, predicted), _divide(right, actual), _divide(2 * right, predicted + actual))


def _divide(top: Numbers, bottom: Numbers) -> Float[np.ndarray, "*shape"]:
    """top / bottom, and 0 where bottom is 0."""
    return np.divide(top, bottom, out=np.zeros(np.broadcast(top, bottom).shape), where=np.asarray(bottom) != 0)


def _display_width(text: str) -> int:
    """Terminal columns: East Asian wide and full-width characters take two."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)
