"""Questions with choices in files of one's own: a row for each question, in csv, tsv, jsonl or parquet."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from groundup.errors import DataError
from groundup.readers.examples import ChoiceExample
from groundup.readers.lines import place
from groundup.readers.records import Row, iterate_rows
from groundup.readers.source import ExampleKind, RowSource
from groundup.readers.table import Column, find_column, take_field, take_text

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class ChoicesConfig(RowSource):
    """Files of questions with choices of which one is right: csv, tsv, jsonl or parquet, told by their extension."""

    kind: Literal["choices"] = "choices"
    context: Column | None = None
    """The column of a text that the question is about; null for none."""
    question: Column | None = "question"
    """The column of the question, or of the beginning that a choice completes; null where there is none."""
    choices: Column | Annotated[tuple[Column, ...], Field(min_length=2)] = "choices"
    """The column of a list of choices (JSON in csv), or a list of columns with one choice each."""
    answer: Column = "answer"
    """The column of the right choice: its number, or its letter A, B, C ..."""
    first: Literal[0, 1] = 0
    """The number of the first choice."""

    @property
    def example_kind(self) -> ExampleKind:
        """Questions with choices."""
        return "choice"

    @property
    def has_pair(self) -> bool:
        """What is compared are choices, not pairs."""
        return False

    def iterate_file(self, path: Path, where: str = "", *, needs_label: bool = False) -> Iterator[ChoiceExample]:
        """The questions of a file with the same columns."""
        for row in iterate_rows(path, self.layout, where):
            context = "" if self.context is None else take_text(row, self.context, "context", path, where)
            question = "" if self.question is None else take_text(row, self.question, "question", path, where)
            choices = self._take_choices(row, path, where)
            answer = None
            if needs_label or find_column(row.fields, self.answer) is not None:
                value = take_field(row, self.answer, "answer", path, where)
                if needs_label or value not in (None, ""):
                    answer = _read_answer(value, len(choices), self.first, place(path, where, row.line))
            yield ChoiceExample(context, question, choices, answer, row.line)

    def _take_choices(self, row: Row, file: Path, where: str) -> tuple[str, ...]:
        here = place(file, where, row.line)
        if isinstance(self.choices, tuple):
            found = [take_text(row, column, "choices", file, where) for column in self.choices]
        else:
            found = _read_list(take_field(row, self.choices, "choices", file, where), self.choices, here)
        if len(found) < 2:
            raise DataError(
                here, "has fewer than two choices", got=found, cure="there must be something to choose from"
            )
        return tuple(found)


def _read_list(value: object, column: Column, here: str) -> list[str]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            value = None
    if not isinstance(value, list) or not all(isinstance(each, str) and each.strip() for each in value):
        cure = 'write ["one", "other"], in quotes where the file has them; or name a column for each choice'
        raise DataError(here, f"column {column!r} holds no list of texts", cure=cure)
    return value


def find_choice(value: object, num_choices: int, first: int = 0) -> int | None:
    """Which choice a number or a letter names, counted from 0; None where it names none."""
    text = str(value).strip()
    letters = _LETTERS[:num_choices]
    if len(text) == 1 and text.upper() in letters:
        return letters.index(text.upper())
    is_number = text.isdecimal() and first <= int(text) < first + num_choices
    return int(text) - first if is_number else None


def _read_answer(value: object, num_choices: int, first: int, here: str) -> int:
    """The number of the right choice, counted from 0."""
    found = find_choice(value, num_choices, first)
    if found is None:
        cure = f"write {first} to {first + num_choices - 1} (data.first={first}), or A to {_LETTERS[:num_choices][-1:]}"
        raise DataError(here, "names no choice as right", got=value, cure=cure)
    return found
