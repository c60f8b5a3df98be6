"""Accuracy, precision, recall, F1 and Matthews' coefficient from one table of counts, with bootstrap intervals.

With TP, FP, FN and TN of a class: precision = TP / (TP + FP), recall = TP / (TP + FN), F1 = 2 P R / (P + R), accuracy =
(TP + TN) / all, which over several classes is the share of the diagonal. A quotient by zero is 0. Where a share is 0 or
1, its interval is Wilson's of the rows behind it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int, Num

from groundup.errors import DataError
from groundup.metrics.interval import (
    NUM_RESAMPLES,
    describe_interval,
    percentile_interval,
    resample_counts,
    share_interval,
)
from groundup.metrics.metric import Metric

Average = Literal["binary", "macro", "micro", "weighted"]
"""binary: the second of two classes. macro: the mean over classes. micro: from the summed counts of all classes.
weighted: the mean over classes by their number of rows."""

Numbers = np.ndarray | np.generic
"""A reduction over all axes gives a scalar."""

_VERSION = 1


class _Sums(NamedTuple):
    """What the figures need of a table, by class; for 1,000 classes a thousandth of it."""

    right: Int[np.ndarray, "resamples label"]
    predicted: Int[np.ndarray, "resamples label"]
    actual: Int[np.ndarray, "resamples label"]


class _Figure(NamedTuple):
    compute: Callable[[_Sums], np.ndarray]
    meaning: str
    """How classes are averaged."""
    rows: int | None
    """Those behind the share; None for what is no share."""


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
    right = np.diagonal(confusion, axis1=-2, axis2=-1)
    return average_sums(right, confusion.sum(axis=-2), confusion.sum(axis=-1), average)


def average_sums(
    right: Num[np.ndarray, "*resamples label"],
    predicted: Num[np.ndarray, "*resamples label"],
    actual: Num[np.ndarray, "*resamples label"],
    average: Average,
) -> Scores:
    """`average_scores` from what it needs of the table: of each class the rows that are right, predicted and actual."""
    scores = _scores(right, predicted, actual)
    if average == "macro":
        return Scores(*(np.asarray(score.mean(axis=-1)) for score in scores))
    if average == "weighted":
        return Scores(*(_divide((score * actual).sum(axis=-1), actual.sum(axis=-1)) for score in scores))
    if average == "micro":
        total = actual.sum(axis=-1)
        return _scores(right.sum(axis=-1), total, total)
    if actual.shape[-1] != 2:
        raise DataError("average", "'binary' needs two classes", got=actual.shape[-1], cure="choose macro")
    return Scores(*(np.asarray(score[..., 1]) for score in scores))


def matthews(confusion: Int[np.ndarray, "*resamples label prediction"]) -> Float[np.ndarray, "*resamples"]:
    """Matthews' coefficient (1975) of any number of classes (Gorodkin 2004): 1 perfect, 0 chance, -1 all wrong."""
    table = np.asarray(confusion, dtype=np.float64)
    return matthews_of_sums(np.diagonal(table, axis1=-2, axis2=-1), table.sum(axis=-2), table.sum(axis=-1))


def matthews_of_sums(
    right: Num[np.ndarray, "*resamples label"],
    predicted: Num[np.ndarray, "*resamples label"],
    actual: Num[np.ndarray, "*resamples label"],
) -> Float[np.ndarray, "*resamples"]:
    """`matthews` from what it needs of the table."""
    total, right = actual.sum(axis=-1), right.sum(axis=-1)
    top = right * total - (actual * predicted).sum(axis=-1)
    bottom = (total**2 - (actual**2).sum(axis=-1)) * (total**2 - (predicted**2).sum(axis=-1))
    return _divide(top, np.sqrt(bottom))


def classification_metrics(
    labels: Int[np.ndarray, " rows"],
    predictions: Int[np.ndarray, " answers"],
    names: Sequence[str],
    *,
    average: Average | None = None,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
) -> dict[str, Metric]:
    """`accuracy`, `precision`, `recall`, `f1`, and `macro_f1` and `weighted_f1` where `average` is another.

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
    confusion = confusion_matrix(labels, predictions, len(names))
    total = int(confusion.sum())
    figures = {"accuracy": _Figure(_accuracy_of_sums, "none", total)}
    for field in Scores._fields:
        rows = _rows_behind(confusion, 1, field) if average == "binary" and len(names) == 2 else total
        figures[field] = _Figure(_average_figure(average, field), meaning, rows)
    others: tuple[Average, ...] = ("macro", "weighted")
    for other in others:
        if average != other:
            figures[f"{other}_f1"] = _Figure(_average_figure(other, "f1"), other, total)
    return _measure(confusion, figures, num_resamples, seed)


def class_metrics(
    labels: Int[np.ndarray, " rows"],
    predictions: Int[np.ndarray, " answers"],
    names: Sequence[str],
    *,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
) -> dict[str, Metric]:
    """`precision[name]`, `recall[name]` and `f1[name]` of every class, for reports."""
    confusion = confusion_matrix(labels, predictions, len(names))
    figures = {
        f"{field}[{name}]": _Figure(
            _class_figure(number, field), f"class({name})", _rows_behind(confusion, number, field)
        )
        for number, name in enumerate(names)
        for field in Scores._fields
    }
    return _measure(confusion, figures, num_resamples, seed)


def matthews_metric(
    labels: Int[np.ndarray, " rows"],
    predictions: Int[np.ndarray, " answers"],
    num_classes: int,
    *,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
) -> Metric:
    """Matthews' coefficient with its interval: the official metric of CoLA."""
    confusion = confusion_matrix(labels, predictions, num_classes)
    figures = {"matthews": _Figure(lambda sums: matthews_of_sums(*sums), "none", None)}
    return _measure(confusion, figures, num_resamples, seed)["matthews"]


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


def format_confusions(confusion: Int[np.ndarray, "label prediction"], names: Sequence[str], most: int) -> str:
    """The commonest mistakes, a line each, where there are too many classes for a table."""
    wrong = np.where(np.eye(len(names), dtype=bool), 0, confusion)
    rows, columns = np.nonzero(wrong)
    order = np.argsort(-wrong[rows, columns], kind="stable")[:most]
    lines = [f"{wrong.sum():,} of {confusion.sum():,} rows wrong{', most often' if len(order) else ''}"]
    for row, column in zip(rows[order], columns[order], strict=True):
        lines.append(f"  {wrong[row, column]:,} x {names[row]!r} taken for {names[column]!r}")
    return "\n".join(lines)


def _accuracy_of_sums(sums: _Sums) -> Float[np.ndarray, " resamples"]:
    return _divide(sums.right.sum(axis=-1), sums.actual.sum(axis=-1))


def _average_figure(average: Average, field: str) -> Callable[[_Sums], np.ndarray]:
    return lambda sums: getattr(average_sums(*sums, average), field)


def _class_figure(number: int, field: str) -> Callable[[_Sums], np.ndarray]:
    return lambda sums: getattr(_scores(*(each[:, number] for each in sums)), field)


def _rows_behind(confusion: Int[np.ndarray, "label prediction"], number: int, field: str) -> int:
    """Those that a class's precision, recall or F1 divides by; F1 = TP / (mean of predicted and actual)."""
    predicted, actual = int(confusion[:, number].sum()), int(confusion[number].sum())
    return {"precision": predicted, "recall": actual, "f1": (predicted + actual) // 2}[field]


def _measure(
    confusion: Int[np.ndarray, "label prediction"], figures: dict[str, _Figure], num_resamples: int, seed: int
) -> dict[str, Metric]:
    """Every figure of one table, all over the same resamples."""
    count = int(confusion.sum())
    rows, columns = np.nonzero(confusion)
    cells = confusion[rows, columns]
    whole, drawn = (
        _sum_cells(counts, rows, columns, len(confusion))
        for counts in (cells[None], resample_counts(cells, num_resamples, seed))
    )
    metrics = {}
    for name, (compute, meaning, behind) in figures.items():
        value, values = compute(whole).item(), compute(drawn)
        interval = percentile_interval(values) if behind is None else share_interval(value, max(behind, 1), values)
        how = describe_interval("rows", is_share=behind is not None, num_resamples=num_resamples, seed=seed)
        signature = f"average={meaning}|zero_division=0|n={count}|{how}|v{_VERSION}"
        metrics[name] = Metric(name, value, count, signature, *interval)
    return metrics


def _sum_cells(
    counts: Int[np.ndarray, "resamples cells"],
    rows: Int[np.ndarray, " cells"],
    columns: Int[np.ndarray, " cells"],
    num_classes: int,
) -> _Sums:
    """Of tables given by their cells that are not empty: a table of 1,000 classes has a million, few of them filled."""
    right, predicted, actual = np.zeros((3, num_classes, len(counts)), dtype=np.int64)
    for row, column, drawn in zip(rows, columns, counts.T, strict=True):
        actual[row] += drawn
        predicted[column] += drawn
        if row == column:
            right[row] += drawn
    return _Sums(right.T, predicted.T, actual.T)


def _scores(right: Numbers, predicted: Numbers, actual: Numbers) -> Scores:
    """From TP, TP + FP and TP + FN. 2 P R / (P + R) is 2 TP / (TP + FP + TP + FN), one division instead of three."""
    return Scores(_divide(right, predicted), _divide(right, actual), _divide(2 * right, predicted + actual))


def _divide(top: Numbers, bottom: Numbers) -> Float[np.ndarray, "*shape"]:
    """top / bottom, and 0 where bottom is 0."""
    return np.divide(top, bottom, out=np.zeros(np.broadcast(top, bottom).shape), where=np.asarray(bottom) != 0)


def _display_width(text: str) -> int:
    """Terminal columns: East Asian wide and full-width characters take two."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)
