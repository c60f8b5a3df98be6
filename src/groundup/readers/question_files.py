"""Questions on passages in files of one's own: the layout of SQuAD, or a row for each question."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

from groundup.errors import DataError
from groundup.readers.examples import Answer, QuestionExample
from groundup.readers.lines import place
from groundup.readers.questions import SquadFormat, find_places
from groundup.readers.records import Row, iterate_rows
from groundup.readers.source import ExampleKind, RowSource
from groundup.readers.table import Column, find_column, take_field, take_text

_PASSAGES = ("passage", "context")
_ANSWERS = ("answer", "answers")
_CURE_ANSWERS = 'write "text", ["text", ...] or {"text": ["text"], "answer_start": [0]}'


class QuestionsConfig(RowSource):
    """Files of questions on passages: json in the layout of SQuAD, or csv, tsv, jsonl or parquet with one a row."""

    kind: Literal["questions"] = "questions"
    id: Column = "id"
    """The column of what names a question; in files without it a question is named by its line."""
    question: Column = "question"
    """The column of the question: a name, or a number counted from 0 where there is no header."""
    passage: Column | None = None
    """The column of the text that holds the answer; null: `passage`, or else `context`."""
    answer: Column | None = None
    """The column of the answer, or of a list of them; null: `answer`, or else `answers`. Empty where there is none."""
    answer_start: Column = "answer_start"
    """The column of the character at which the answer starts, counted from 0; not needed where it stands only once."""

    @property
    def example_kind(self) -> ExampleKind:
        """Questions on passages."""
        return "questions"

    @property
    def has_pair(self) -> bool:
        """A question and a passage."""
        return True

    def iterate_fields(self, path: Path) -> Iterator[Row]:
        """The columns of each row; of SQuAD's layout `id`, `question`, `context` and `answers`."""
        if path.suffix.lower() != ".json":
            yield from super().iterate_fields(path)
            return
        for question in SquadFormat().read([path]):
            answers = [{"text": each.text, "answer_start": each.start} for each in question.answers or ()]
            fields = {"id": question.id, "question": question.question, "context": question.passage}
            yield Row(question.line, fields | ({} if question.answers is None else {"answers": answers}), 0)

    def iterate_file(self, path: Path, where: str = "", *, needs_label: bool = False) -> Iterator[QuestionExample]:
        """The questions of a file, one at a time; answers that are not needed are not looked at.

        Raises:
            DataError: naming the line, for what is no question, and for an answer without a start that stands in its
                passage more than once or not at all.
        """
        if path.suffix.lower() == ".json":
            for question in SquadFormat().read([path]):
                if needs_label and question.answers is None:
                    cure = "give them, an empty list where there is none"
                    raise DataError(place(path, where, question.line), f"{question.id!r} has no `answers`", cure=cure)
                yield question if needs_label else replace(question, answers=None)
            return
        reader = _RowReader(self, path, where, needs_label)
        for row in iterate_rows(path, self.layout, where):
            yield reader.read(row)


class _RowReader:
    """One file with a question a row."""

    def __init__(self, config: QuestionsConfig, file: Path, where: str, needs_label: bool) -> None:
        self._config, self._file, self._where, self._needs_label = config, file, where, needs_label

    def read(self, row: Row) -> QuestionExample:
        """The question of a row."""
        config = self._config
        passage_column = _choose(row.fields, config.passage, _PASSAGES)
        question, passage = (
            take_text(row, column, setting, self._file, self._where)
            for column, setting in ((config.question, "question"), (passage_column, "passage"))
        )
        found = find_column(row.fields, config.id)
        name = str(row.line if found is None else row.fields[found])
        return QuestionExample(name, question, passage, self._take_answers(row, name, passage), row.line)

    def _take_answers(self, row: Row, name: str, passage: str) -> tuple[Answer, ...] | None:
        """None where they are not needed, and nothing where the field is empty."""
        if not self._needs_label:
            return None
        column = _choose(row.fields, self._config.answer, _ANSWERS)
        value = take_field(row, column, "answer", self._file, self._where)
        if value is None or value == "" or value == []:
            return ()
        texts, starts = self._split(row, name, value)
        return tuple(
            self._place_answer(row, name, passage, text, start) for text, start in zip(texts, starts, strict=True)
        )

    def _split(self, row: Row, name: str, value: object) -> tuple[list[object], list[object]]:
        """The texts in a field of answers and their starts, None where not given."""
        if isinstance(value, Mapping):
            texts, starts = value.get("text"), value.get("answer_start")
        elif isinstance(value, list) and all(isinstance(each, Mapping) for each in value):
            texts, starts = ([each.get(key) for each in value] for key in ("text", "answer_start"))
        else:
            column = find_column(row.fields, self._config.answer_start)
            texts, starts = value, None if column is None else row.fields[column]
        texts = texts if isinstance(texts, list) else [texts]
        starts = [None] * len(texts) if starts in (None, "") else starts if isinstance(starts, list) else [starts]
        if len(starts) != len(texts):
            what = f"question {name!r} has {len(texts)} answers and {len(starts)} starts"
            raise DataError(self._place(row), what, cure=_CURE_ANSWERS)
        return texts, starts

    def _place_answer(self, row: Row, name: str, passage: str, text: object, start: object) -> Answer:
        here = self._place(row)
        if not isinstance(text, str) or not text.strip():
            raise DataError(here, f"an answer to {name!r} is no text", got=text, cure=_CURE_ANSWERS)
        if start is None:
            return Answer(text, self._find_only(passage, text, f"the answer to {name!r}", here))
        number = int(start) if isinstance(start, str) and start.strip().isdecimal() else start
        if not isinstance(number, int) or isinstance(number, bool):
            cure = "count characters from 0, or leave it out where the answer stands only once"
            raise DataError(here, f"the answer to {name!r} has no whole number as its start", got=start, cure=cure)
        return Answer(text, number)

    def _find_only(self, passage: str, text: str, of: str, here: str) -> int:
        places = find_places(passage, text)
        if not places:
            raise DataError(here, f"{of} is not in its passage", got=text, cure="copy it from there, letter by letter")
        if len(places) > 1:
            cure = f"say which one in the column {self._config.answer_start!r}: its first character, counted from 0"
            raise DataError(here, f"{of} stands in its passage {len(places)} times", got=text, cure=cure)
        return places[0]

    def _place(self, row: Row) -> str:
        return place(self._file, self._where, row.line)


def _choose(fields: Mapping[str | int, object], named: Column | None, usual: tuple[str, ...]) -> Column:
    if named is not None:
        return named
    return next((name for name in usual if name in fields), usual[0])
