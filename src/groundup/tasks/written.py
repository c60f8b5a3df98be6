"""Rows of files of predictions, as `predict` writes them, with what is right in a column beside."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from groundup.errors import ConfigError, DataError
from groundup.objectives.protocol import Answers
from groundup.readers.lines import place
from groundup.readers.records import Row
from groundup.readers.table import take_field

_PROBABILITY: Final = "probabilities."
_MOST: Final = 1.0 + 1e-6
"""The largest probability; sums of them may be rounded."""


class Answered(NamedTuple):
    """What one system answered, by what a file says or a model."""

    answers: Answers[Any, Any]
    """The kind, with all that is known of it."""
    examples: Sequence[object]
    """What was asked, and what is right."""
    predictions: Sequence[object]


@dataclass(frozen=True)
class WrittenRow:
    """One row."""

    row: Row
    file: Path
    gold: str
    """The column of what is right."""

    @property
    def line(self) -> int:
        """Where it stands in its file."""
        return self.row.line

    @property
    def here(self) -> str:
        """Its place, for errors."""
        return place(self.file, "", self.row.line)

    @property
    def fields(self) -> Mapping[str | int, object]:
        """All of its columns."""
        return self.row.fields

    @property
    def is_object(self) -> bool:
        """Whether values have types, as in JSON; in a csv all are texts."""
        return self.file.suffix.lower() not in (".csv", ".tsv")

    def take(self, column: str) -> object:
        """The value in a column. Raises DataError where there is none."""
        return take_field(self.row, column, column, self.file, "")

    def take_text(self, column: str) -> str:
        """The text in a column; empty where there is no such column, or nothing in it."""
        value = self.row.fields.get(column)
        return "" if value is None else str(value)

    def take_value(self, column: str) -> object:
        """The value in a column, which in a csv stands there as JSON."""
        value = self.take(column)
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except ValueError:
            cure = "write it as `predict` does: JSON, in quotes where the file has them"
            raise DataError(self.here, f"column {column!r} is no JSON", got=value, cure=cure) from None

    def take_shares(self) -> dict[str, float]:
        """The probabilities, by what they are of, in their order; of a csv also those in columns of their own.

        Raises:
            DataError: one is no number from 0 to 1.
        """
        named = {str(name): value for name, value in self.row.fields.items()}
        found: Any = {
            name.removeprefix(_PROBABILITY): value
            for name, value in named.items()
            if name.startswith(_PROBABILITY) and value not in (None, "")
        }
        if named.get("probabilities") not in (None, ""):
            found = self.take_value("probabilities")
        try:
            shares = {str(name): float(value) for name, value in found.items()}
        except (AttributeError, TypeError, ValueError):
            raise DataError(self.here, "has probabilities that are no numbers by label", got=found) from None
        wrong = {name: share for name, share in shares.items() if not 0.0 <= share <= _MOST}
        if wrong:
            raise DataError(self.here, "has probabilities that are none", got=wrong, cure="write numbers from 0 to 1")
        return shares


def check_labels(one: Sequence[str], other: Sequence[str]) -> None:
    """ConfigError where answers are chosen among different labels."""
    if set(one) != set(other):
        got, cure = [tuple(one), tuple(other)], "compare models of the same labels"
        raise ConfigError("labels", "are not the same for both", got=got, cure=cure)
