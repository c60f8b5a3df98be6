"""Precision, recall and F1 of entities: an entity is right where its bounds and its type are.

Two readings of tags are in use. Strict: an entity counts only where it is written as the scheme wants it. conlleval's,
of the script by which CoNLL-2000 and 2003 were scored: where an entity breaks off or changes its type, another begins.
On tags without fault they are one. Spans by characters, nested ones too, need no reading.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float

from groundup.errors import DataError
from groundup.language.tags import Scheme, Span, read_spans, read_spans_loosely
from groundup.metrics.tally import Tally, divide, sums_tally

Reading = Literal["strict", "conlleval"]

_FIELDS = ("precision", "recall", "f1")


def span_tallies(
    predictions: Sequence[Sequence[Span]],
    references: Sequence[Sequence[Span]],
    *,
    how: str = "exact spans",
    unit: str = "sentences",
) -> dict[str, Tally]:
    """`precision`, `recall`, `f1` of all entities, `macro_f1`, and the three of every type as `f1[type]`.

    Args:
        predictions: the entities of each text, which may overlap; one that is said twice counts once.
        references: the true ones.
        how: where the spans came from, for the signature.
        unit: what a text is, in the plural.

    Raises:
        DataError: predictions and references are not as many.
    """
    _check_number(predictions, references)
    found, true = ([frozenset(spans) for spans in side] for side in (predictions, references))
    types = sorted({span.type for side in (found, true) for spans in side for span in spans})
    parts = np.zeros((len(true), 3, len(types)))
    column_of = {kind: number for number, kind in enumerate(types)}
    for row, (ours, theirs) in enumerate(zip(found, true, strict=True)):
        for place, spans in enumerate((ours & theirs, ours, theirs)):
            for span in spans:
                parts[row, place, column_of[span.type]] += 1
    flat = parts.reshape(len(true), 3 * len(types))
    signature = f"entities, {how}|zero_division=0"
    tallies = {
        field: sums_tally(field, unit, flat, _overall(field), f"{signature}|average=micro", 1.0) for field in _FIELDS
    }
    tallies["macro_f1"] = sums_tally("macro_f1", unit, flat, _mean_of_types, f"{signature}|average=macro", 1.0)
    for number, kind in enumerate(types):
        for field in _FIELDS:
            name = f"{field}[{kind}]"
            tallies[name] = sums_tally(name, unit, flat, _of_type(field, number), f"{signature}|type({kind})", 1.0)
    return tallies


def tag_tallies(
    predictions: Sequence[Sequence[str]],
    references: Sequence[Sequence[str]],
    scheme: Scheme,
    *,
    reading: Reading = "strict",
    unit: str = "sentences",
) -> dict[str, Tally]:
    """`span_tallies` of entities written as tags, and `tag_accuracy`, the share of right tags.

    Raises:
        DataError: predictions and references differ in number, or a text has not as many tags in both.
    """
    _check_number(predictions, references)
    for row, (ours, theirs) in enumerate(zip(predictions, references, strict=True)):
        if len(ours) != len(theirs):
            got = (len(ours), len(theirs))
            raise DataError("metrics", f"text {row} has not as many predicted tags as true ones", got=got)

    def read(tags: Sequence[str]) -> list[Span]:
        return read_spans(tags, scheme) if reading == "strict" else read_spans_loosely(tags)

    how = f"{scheme}, strict" if reading == "strict" else "conlleval"
    spans = [[read(tags) for tags in side] for side in (predictions, references)]
    return span_tallies(*spans, how=how, unit=unit) | accuracy_tallies(predictions, references, unit=unit)


def accuracy_tallies(
    predictions: Sequence[Sequence[str]], references: Sequence[Sequence[str]], *, unit: str = "sentences"
) -> dict[str, Tally]:
    """`tag_accuracy`, the share of right tags; each text has as many in both."""
    right = [
        [sum(a == b for a, b in zip(*both, strict=True)), len(both[0])]
        for both in zip(predictions, references, strict=True)
    ]
    counts = np.array(right, dtype=np.float64).reshape(len(right), 2)
    accuracy = sums_tally(
        "tag_accuracy", unit, counts, lambda sums: divide(sums[:, 0], sums[:, 1]), "share of right tags", 1.0
    )
    return {"tag_accuracy": accuracy}


def _check_number(predictions: Sequence[object], references: Sequence[object]) -> None:
    if len(predictions) != len(references):
        got = (len(predictions), len(references))
        raise DataError("metrics", "predictions and references differ in number", got=got)


def _scores(sums: np.ndarray, field: str) -> Float[np.ndarray, "resamples types"]:
    right, predicted, actual = np.moveaxis(sums.reshape(len(sums), 3, -1), 1, 0)
    return _score(right, predicted, actual, field)


def _score(right: np.ndarray, predicted: np.ndarray, actual: np.ndarray, field: str) -> np.ndarray:
    if field == "f1":
        return divide(2 * right, predicted + actual)
    return divide(right, predicted if field == "precision" else actual)


def _overall(field: str) -> Callable[[np.ndarray], np.ndarray]:
    def figure(sums: np.ndarray) -> np.ndarray:
        right, predicted, actual = np.moveaxis(sums.reshape(len(sums), 3, -1).sum(axis=2), 1, 0)
        return _score(right, predicted, actual, field)

    return figure


def _of_type(field: str, number: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda sums: _scores(sums, field)[:, number]


def _mean_of_types(sums: np.ndarray) -> np.ndarray:
    """Over the types that occur, predicted or true."""
    occurs = sums.reshape(len(sums), 3, -1)[:, 1:].sum(axis=1) > 0
    return divide((_scores(sums, "f1") * occurs).sum(axis=1), occurs.sum(axis=1))
