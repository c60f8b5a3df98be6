"""Rows with any number of labels each: precision, recall and F1 by label and over all, and rows wholly right."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Bool, Float

from groundup.errors import DataError
from groundup.metrics.tally import Tally, divide, mean_tally, sums_tally

_FIELDS = ("precision", "recall", "f1")


def multilabel_tallies(
    predictions: Bool[np.ndarray, "answers labels"], references: Bool[np.ndarray, "rows names"], names: Sequence[str]
) -> dict[str, Tally]:
    """`precision`, `recall`, `f1`, `macro_f1`, `samples_f1`, `exact_match`, `hamming_loss`; `f1[name]` ... by label.

    The first three are micro: over all pairs of row and label. macro: the mean over labels. samples: the mean over
    rows; one without any label, rightly seen as such, counts 0, as every quotient by zero does.

    Raises:
        DataError: the tables differ in shape, or from the number of names.
    """
    predictions, references = (np.asarray(each, dtype=bool) for each in (predictions, references))
    if predictions.shape != references.shape or references.shape[1:] != (len(names),):
        got = (predictions.shape, references.shape, len(names))
        raise DataError("metrics", "predictions, references and label names differ in number", got=got)
    right = predictions & references
    parts = np.hstack([right, predictions, references]).astype(np.float64)
    tallies = {
        field: sums_tally(field, "rows", parts, _micro(field), "multi-label, average=micro|zero_division=0", 1.0)
        for field in _FIELDS
    }
    macro = "multi-label, average=macro|zero_division=0"
    tallies["macro_f1"] = sums_tally(
        "macro_f1", "rows", parts, lambda sums: _of_label(sums, "f1").mean(axis=1), macro, 1.0
    )
    of_row = divide(2 * right.sum(axis=1), predictions.sum(axis=1) + references.sum(axis=1))
    samples = "multi-label, average=samples|zero_division=0"
    tallies["samples_f1"] = mean_tally("samples_f1", "rows", of_row, samples)
    exact = (predictions == references).all(axis=1)
    tallies["exact_match"] = mean_tally("exact_match", "rows", exact, "multi-label, rows with all labels right")
    wrong = (predictions != references).mean(axis=1)
    tallies["hamming_loss"] = mean_tally("hamming_loss", "rows", wrong, "multi-label, share of wrong pairs")
    for number, name in enumerate(names):
        for field in _FIELDS:
            key, how = f"{field}[{name}]", f"multi-label, label({name})|zero_division=0"
            tallies[key] = sums_tally(key, "rows", parts, _of_one(number, field), how, 1.0)
    return tallies


def _micro(field: str) -> Callable[[np.ndarray], np.ndarray]:
    return lambda sums: _score(*(part.sum(axis=1) for part in _split(sums)), field)


def _of_one(number: int, field: str) -> Callable[[np.ndarray], np.ndarray]:
    return lambda sums: _score(*(part[:, number] for part in _split(sums)), field)


def _of_label(sums: np.ndarray, field: str) -> Float[np.ndarray, "resamples labels"]:
    return _score(*_split(sums), field)


def _split(sums: np.ndarray) -> list[np.ndarray]:
    return np.split(sums, 3, axis=1)


def _score(right: np.ndarray, predicted: np.ndarray, actual: np.ndarray, field: str) -> np.ndarray:
    if field == "f1":
        return divide(2 * right, predicted + actual)
    return divide(right, predicted if field == "precision" else actual)
