"""Files of a classifier's predictions, as `predict` writes them, with the true label in a column beside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from jaxtyping import Float

from groundup.errors import DataError
from groundup.metrics.class_tallies import class_tallies
from groundup.metrics.tally import Tally
from groundup.readers.records import Layout, Row, iterate_rows
from groundup.readers.source import AnExample
from groundup.readers.table import Example, take_field
from groundup.tasks.classification import Prediction
from groundup.verbs.evaluate import Evaluated

SUFFIXES: Final = (".jsonl", ".ndjson", ".csv", ".tsv")
_PROBABILITY: Final = "probabilities."
_OTHER_ANSWERS: Final = ("labels", "number", "choice", "entities", "candidates")
"""Columns by which answers of other tasks are told."""


class GoldRow(NamedTuple):
    """What both systems answered, and what is right."""

    text: object
    pair: object
    label: str


@dataclass(frozen=True)
class WrittenLabels:
    """The comparison of what two classifiers wrote (implements Comparable)."""

    labels: tuple[str, ...]
    has_probabilities: bool

    def tallies(self, predictions: Sequence[Prediction], examples: Sequence[GoldRow]) -> dict[str, Tally]:
        """As those of the task `classification`."""
        number_of = {label: number for number, label in enumerate(self.labels)}
        shares = [[each.probabilities.get(label, 0.0) for label in self.labels] for each in predictions]
        return class_tallies(
            np.array([number_of[example.label] for example in examples]),
            np.array([number_of[each.label] for each in predictions]),
            self.labels,
            probabilities=np.array(shares) if self.has_probabilities else None,
        )

    def find_errors(
        self, predictions: Sequence[Prediction], examples: Sequence[GoldRow]
    ) -> Float[np.ndarray, " examples"]:
        """1 for another label than the true one."""
        pairs = zip(predictions, examples, strict=True)
        return np.array([float(each.label != example.label) for each, example in pairs])


def is_prediction_file(target: str | Path) -> bool:
    """Whether a target is a file of rows, rather than a model or a recipe."""
    return Path(target).suffix.lower() in SUFFIXES and not Path(target).is_dir()


def read_predictions(
    first: Path, second: Path, gold: str
) -> tuple[WrittenLabels, list[GoldRow], list[list[Prediction]]]:
    """The rows of two files with what each says of them.

    Raises:
        DataError: a column is missing, or the two are not of the same rows.
    """
    rows, answers = zip(*(_read(path, gold) for path in (first, second)), strict=True)
    check_same_rows(str(first), str(second), *rows)
    has_probabilities = all(each.probabilities for answered in answers for each in answered)
    names = {row.label for row in rows[0]} | {each.label for answered in answers for each in answered}
    known = list(answers[0][0].probabilities)
    # The order in which a model wrote its classes says which of two is the positive one.
    labels = tuple(known) if names <= set(known) else tuple(sorted(names))
    return WrittenLabels(labels, has_probabilities), rows[0], list(answers)


def check_same_rows(first: str, second: str, one: Sequence[object], other: Sequence[object]) -> None:
    """DataError where rows of two sources differ."""
    cure = "both must answer the same rows in the same order; of models, name one file: data.validation=FILE"
    if len(one) != len(other):
        raise DataError("rows", f"are {len(one)} of {first}, but {len(other)} of {second}", cure=cure)
    for number, (row, same) in enumerate(zip(one, other, strict=True), start=1):
        if row != same:
            raise DataError(f"row {number}", f"of {first} is not that of {second}", got=(row, same), cure=cure)


def check_same_examples(one: Evaluated, other: Evaluated) -> None:
    """DataError where two models were not measured on the same rows with the same labels, or on the same tokens."""
    if not one.samples.examples and one.samples.digest != other.samples.digest:
        cure = "name one file for both: data.validation=FILE; losses compare within one tokenizer and one objective"
        what = "is not the same tokens for both models, so their losses are of different things"
        raise DataError("data.validation", what, got=[one.data, other.data], cure=cure)
    check_same_rows(one.data, other.data, *([_bare(each) for each in found.samples.examples] for found in (one, other)))


def _bare(example: AnExample) -> AnExample:
    """An example wherever it stands."""
    return example._replace(line=0) if isinstance(example, Example) else replace(example, line=0)  # type: ignore[type-var]


def _read(path: Path, gold: str) -> tuple[list[GoldRow], list[Prediction]]:
    rows: list[GoldRow] = []
    answers: list[Prediction] = []
    for row in iterate_rows(path, Layout()):
        other = next((name for name in _OTHER_ANSWERS if name in row.fields and "label" not in row.fields), None)
        if other is not None:
            cure = "compare the models themselves: groundup compare RUN RUN data.validation=FILE"
            raise DataError(str(path), "holds other answers than one label a row", got=other, cure=cure)
        label, true = (str(take_field(row, column, column, path, "")) for column in ("label", gold))
        rows.append(GoldRow(row.fields.get("text"), row.fields.get("pair"), true))
        answers.append(Prediction(label, _read_probabilities(row, path)))
    if not rows:
        raise DataError(str(path), "holds no row", cure="check the file")
    return rows, answers


def _read_probabilities(row: Row, path: Path) -> dict[str, float]:
    """Those of a JSON object, or of the columns `probabilities.LABEL`; none where there are none."""
    found: Any = row.fields.get("probabilities")
    if found is None:
        named = ((str(name), value) for name, value in row.fields.items())
        found = {name.removeprefix(_PROBABILITY): value for name, value in named if name.startswith(_PROBABILITY)}
    try:
        return {str(name): float(value) for name, value in found.items()}
    except (AttributeError, TypeError, ValueError):
        raise DataError(f"{path}:{row.line}", "has probabilities that are no numbers by label", got=found) from None
