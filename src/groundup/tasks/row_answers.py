"""What is said of a text or a pair: one label, any number of labels, or a number; written, read back, and compared."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
from jaxtyping import Bool, Float

from groundup.errors import DataError
from groundup.metrics.class_tallies import class_tallies
from groundup.metrics.classification import Average
from groundup.metrics.multilabel import multilabel_tallies
from groundup.metrics.regression import regression_tallies
from groundup.metrics.tally import Tally
from groundup.readers.labels import read_several
from groundup.readers.table import Example, read_label, sort_labels
from groundup.tasks.rows import SEPARATORS, quote_row, read_number, read_numbers
from groundup.tasks.written import Answered, WrittenRow, check_labels

_CURE_LABELS = 'write ["a", "b"], in quotes where the file has them'


@dataclass(frozen=True)
class Prediction:
    """What the model says of one row."""

    label: str
    probabilities: dict[str, float]
    """Of every label; they sum to 1."""


@dataclass(frozen=True)
class LabelsPrediction:
    """What the model says of one row that may have several labels."""

    labels: tuple[str, ...]
    """Those whose probability is at least their threshold."""
    probabilities: dict[str, float]
    """Of every label, each between 0 and 1."""


@dataclass(frozen=True)
class LabelAnswers:
    """One label a row."""

    columns: ClassVar[tuple[str, ...]] = ("label",)
    labels: tuple[str, ...]
    """The classes in order. Of two, the second is the positive one."""
    average: Average | None = None
    has_probabilities: bool = True
    """Whether they are known of every row; files may hold labels alone."""

    def write(self, example: Example, prediction: Prediction) -> dict[str, object]:
        """The text, the label, all probabilities."""
        return quote_row(example) | {"label": prediction.label, "probabilities": prediction.probabilities}

    @classmethod
    def read(cls, rows: Sequence[WrittenRow]) -> Answered:
        """What `write` wrote, or the labels alone."""
        shares = _take_shares(rows)
        predictions = [Prediction(_take_label(row, "label"), each) for row, each in zip(rows, shares, strict=True)]
        examples = [_read_example(row, label=_take_label(row, row.gold)) for row in rows]
        given, true = {each.label for each in predictions}, {each.label or "" for each in examples}
        _check_writing(given, true.difference(*shares), str(rows[0].file))
        labels, has_probabilities = _find_labels(shares, given | true)
        return Answered(cls(labels, None, has_probabilities), examples, predictions)

    def join(self, other: Self) -> Self:
        """By the labels of both, which must be the same where they are known by their probabilities."""
        labels, has_probabilities = _join_labels(self, other)
        return replace(self, labels=labels, has_probabilities=has_probabilities)

    def tallies(self, predictions: Sequence[Prediction], examples: Sequence[Example]) -> dict[str, Tally]:
        """The figures of a classifier; the `loss` is plain cross-entropy, whatever loss a model was trained with."""
        number_of = {label: number for number, label in enumerate(self.labels)}
        shares = [[each.probabilities.get(label, 0.0) for label in self.labels] for each in predictions]
        return class_tallies(
            np.array([number_of[example.label or ""] for example in examples]),
            np.array([number_of[each.label] for each in predictions]),
            self.labels,
            average=self.average,
            probabilities=np.array(shares) if self.has_probabilities else None,
        )

    def find_errors(
        self, predictions: Sequence[Prediction], examples: Sequence[Example]
    ) -> Float[np.ndarray, " examples"]:
        """1 for another label than the true one."""
        pairs = zip(predictions, examples, strict=True)
        return np.array([float(each.label != example.label) for each, example in pairs])


@dataclass(frozen=True)
class LabelsAnswers:
    """Any number of labels a row."""

    columns: ClassVar[tuple[str, ...]] = ("labels",)
    labels: tuple[str, ...]
    has_probabilities: bool = True
    """Whether they are known of every row; files may hold labels alone."""

    def write(self, example: Example, prediction: LabelsPrediction) -> dict[str, object]:
        """The text, the labels, all probabilities."""
        return quote_row(example) | {"labels": list(prediction.labels), "probabilities": prediction.probabilities}

    @classmethod
    def read(cls, rows: Sequence[WrittenRow]) -> Answered:
        """What `write` wrote, or the labels alone; the true ones as a list, or with one sign between them."""
        shares = _take_shares(rows)
        pairs = list(zip(rows, shares, strict=True))
        predictions = [LabelsPrediction(_take_labels(row, "labels", each), each) for row, each in pairs]
        examples = [_read_example(row, labels=tuple(sorted(_take_labels(row, row.gold, each)))) for row, each in pairs]
        given, true = ({label for each in side for label in each.labels or ()} for side in (predictions, examples))
        _check_writing(given, true.difference(*shares), str(rows[0].file))
        labels, has_probabilities = _find_labels(shares, given | true)
        if not labels:
            cure = "compare files of which a row has a label, or is given one"
            raise DataError(str(rows[0].file), "names no label in any row", cure=cure)
        return Answered(cls(labels, has_probabilities), examples, predictions)

    def join(self, other: Self) -> Self:
        """By the labels of both, which must be the same where they are known by their probabilities."""
        labels, has_probabilities = _join_labels(self, other)
        return replace(self, labels=labels, has_probabilities=has_probabilities)

    def tallies(self, predictions: Sequence[LabelsPrediction], examples: Sequence[Example]) -> dict[str, Tally]:
        """The figures of all labels; what a threshold is belongs to the model."""
        tallies = multilabel_tallies(*self._mark(predictions, examples), self.labels)
        return {name: tally for name, tally in tallies.items() if "[" not in name}

    def find_errors(
        self, predictions: Sequence[LabelsPrediction], examples: Sequence[Example]
    ) -> Float[np.ndarray, " examples"]:
        """The share of labels that are wrong."""
        given, true = self._mark(predictions, examples)
        return (given != true).mean(axis=1)

    def _mark(
        self, predictions: Sequence[LabelsPrediction], examples: Sequence[Example]
    ) -> tuple[Bool[np.ndarray, "rows labels"], Bool[np.ndarray, "others labels"]]:
        """Which labels each row is given, and which it has."""
        rows = [each.labels for each in predictions], [example.label_names or () for example in examples]
        given, true = ([[label in names for label in self.labels] for names in side] for side in rows)
        return np.array(given, dtype=bool), np.array(true, dtype=bool)


@dataclass(frozen=True)
class NumberAnswers:
    """A number a row."""

    columns: ClassVar[tuple[str, ...]] = ("number",)

    def write(self, example: Example, prediction: float) -> dict[str, object]:
        """The text and the number."""
        return quote_row(example) | {"number": prediction}

    @classmethod
    def read(cls, rows: Sequence[WrittenRow]) -> Answered:
        """What `write` wrote; of two ways to write a true number, as 1 and 1.0, both are the same."""
        examples = [_read_example(row, label=str(_take_number(row, row.gold))) for row in rows]
        return Answered(cls(), examples, [_take_number(row, "number") for row in rows])

    def join(self, other: Self) -> Self:
        """Any two numbers compare."""
        return self

    def tallies(self, predictions: Sequence[float], examples: Sequence[Example]) -> dict[str, Tally]:
        """Correlations and errors in the unit of the file."""
        return regression_tallies(np.array(predictions), read_numbers(examples, "data"))

    def find_errors(self, predictions: Sequence[float], examples: Sequence[Example]) -> Float[np.ndarray, " examples"]:
        """How far each number lies from the true one."""
        return np.abs(np.array(predictions) - read_numbers(examples, "data"))


def _read_example(row: WrittenRow, *, label: str | None = None, labels: tuple[str, ...] | None = None) -> Example:
    pair = row.fields.get("pair")
    return Example(row.take_text("text"), None if pair is None else str(pair), label, row.line, labels)


def _take_shares(rows: Sequence[WrittenRow]) -> list[dict[str, float]]:
    """The probabilities of each row, none where it has none. DataError for those of other labels than elsewhere."""
    shares = [row.take_shares() for row in rows]
    known = next(filter(None, shares), {})
    for row, each in zip(rows, shares, strict=True):
        if each and each.keys() != known.keys():
            got, cure = [list(each), list(known)], "write those of every label in every row, or leave all of them out"
            raise DataError(
                row.here, "has probabilities of other labels than the rows in front of it", got=got, cure=cure
            )
    return shares


def _check_writing(given: set[str], true: set[str], where: str) -> None:
    """DataError where an answer is written otherwise than a true label, as 1.0 for 1: it would never be right."""
    ways = {_simplify(label): label for label in sorted(true)}
    pair = next(((each, ways[_simplify(each)]) for each in sorted(given - true) if _simplify(each) in ways), None)
    if pair is not None:
        raise DataError(where, "writes a label in two ways", got=pair, cure="write the answers as what is right is")


def _simplify(label: str) -> str:
    """What ways of writing a label have in common: of a number its value, of a word its letters."""
    text = unicodedata.normalize("NFC", label).casefold()
    return text.removesuffix(".0") if text.removesuffix(".0").isdecimal() else text


def _take_label(row: WrittenRow, column: str) -> str:
    return read_label(row.take(column), column, row.here) or ""


def _take_number(row: WrittenRow, column: str) -> float:
    return read_number(_take_label(row, column), row.here)


def _take_labels(row: WrittenRow, column: str, known: dict[str, float]) -> tuple[str, ...]:
    """A list of labels, JSON in a csv, or a text of labels with one sign between them."""
    value = row.take(column)
    text = value.strip() if isinstance(value, str) else "["
    if text.startswith("["):
        found = read_several(value, "json", column, row.here)
    else:
        found = (text,) if text in known else _split_labels(text, column, known, row.here)
    return tuple(dict.fromkeys(found))


def _split_labels(value: str, column: str, known: dict[str, float], here: str) -> tuple[str, ...]:
    """The labels between which one sign stands: the only one by which all of them are known ones."""
    if not value:
        return ()
    if not known and not any(mark in value for mark in SEPARATORS):
        return (value,)
    ways = {read_several(value, mark, column, here) for mark in value if not mark.isalnum()}
    ways = {way for way in ways if set(way) <= set(known)}
    if len(ways) != 1:
        what = f"column {column!r} holds no list of known labels"
        names = f"; known are {', '.join(list(known)[:12])}" if known else ""
        raise DataError(here, what, got=value, cure=_CURE_LABELS + names)
    return ways.pop()


def _find_labels(shares: Sequence[dict[str, float]], names: set[str]) -> tuple[tuple[str, ...], bool]:
    """All labels, and whether every row has probabilities, in whose order they then are."""
    known = tuple(next(filter(None, shares), {}))
    # The order in which a model wrote its classes says which of two is the positive one.
    return known if names <= set(known) else sort_labels({*known, *names}), all(shares)


def _join_labels(
    one: LabelAnswers | LabelsAnswers, other: LabelAnswers | LabelsAnswers
) -> tuple[tuple[str, ...], bool]:
    """The labels of both, and whether both have probabilities."""
    if one.has_probabilities and other.has_probabilities:
        check_labels(one.labels, other.labels)
        return one.labels, True
    known = next((each.labels for each in (one, other) if each.has_probabilities), ())
    names = {*one.labels, *other.labels}
    return known if names <= set(known) else sort_labels(names), False
