"""How a user's own file is written, told by its ending, its columns and its first line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from groundup.errors import DataError
from groundup.readers.choice_files import ChoicesConfig
from groundup.readers.examples import ChoiceExample, QuestionExample, SpanExample, TaggedExample
from groundup.readers.formats import ColumnsFormat, Format, Kind, MarkedTextFormat, TableFormat
from groundup.readers.lines import iterate_whole_lines
from groundup.readers.question_files import QuestionsConfig
from groundup.readers.questions import SquadFormat
from groundup.readers.records import Layout, iterate_rows
from groundup.readers.tagged_files import TaggedConfig

TABLES: Final = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")

_CHOICE: Final = re.compile(r"(choice|option|ending|answer|选项|)[ _-]?([a-z]|\d+)", re.IGNORECASE)
"""A column with one choice: `choice_a`, `Option 1`, `选项A`, or the letter alone."""
_COUNTS: Final = ("abcdefghijklmnopqrstuvwxyz", "0123456789", "123456789")

_Source = TaggedConfig | QuestionsConfig | ChoicesConfig


@dataclass(frozen=True)
class SourceFormat:
    """Files that are written as those of a recipe with a kind of data of its own."""

    source: _Source
    needs_label: bool

    @property
    def kind(self) -> Kind:
        """That of the source."""
        return self.source.example_kind

    def read(self, files: Sequence[Path]) -> Iterator[TaggedExample | SpanExample | QuestionExample | ChoiceExample]:
        """The examples of the one file."""
        (file,) = files
        return self.source.iterate_file(file, needs_label=self.needs_label)

    @property
    def recipe(self) -> str:
        """The line of a recipe that reads the file so."""
        settings = {"kind": self.source.kind} | self.source.model_dump(mode="json", exclude_defaults=True)
        return f"data: {json.dumps(settings, ensure_ascii=False)}"


def guess_format(file: Path, table: TableFormat, before: Format | None = None) -> Format:
    """The format of a file; rows that are neither tagged nor questions are those of `table`.

    Args:
        file: in the form in which `before` came, where that is given.
        table: where a table has its columns.
        before: the format of a file that belongs with it: choices are numbered there as here.
    """
    ending = file.suffix.lower()
    if ending in TABLES:
        first = next(iterate_rows(file, table.layout), None)
        return table if first is None else _guess_rows(file, first.fields, table, before) or table
    if ending != ".json":
        return ColumnsFormat()
    first_line = next(iterate_whole_lines(file)).text
    try:
        value = json.loads(first_line)
    except json.JSONDecodeError:
        return SquadFormat()
    if not isinstance(value, dict) or "data" in value:
        return SquadFormat()
    if isinstance(value.get("label"), dict):
        return MarkedTextFormat()
    return TableFormat(table.columns, Layout(objects=True))


def _guess_rows(
    file: Path, fields: Mapping[str | int, object], table: TableFormat, before: Format | None
) -> Format | None:
    """What the names of the columns tell; None where that is nothing."""
    names = {str(name) for name in fields}
    is_flat = file.suffix.lower() in (".csv", ".tsv")
    if is_flat and {"sentence", "token", "tag"} <= names:
        return SourceFormat(TaggedConfig(train=str(file), header=True), needs_label=True)
    if not is_flat and (names & {"tokens", "words"} or ("text" in names and names & {"spans", "entities"})):
        return SourceFormat(TaggedConfig(train=str(file)), needs_label=False)
    chosen = _guess_choices(file, [name for name in fields if isinstance(name, str)], table, before)
    if chosen is not None:
        return chosen
    if "question" in names and names & {"passage", "context"}:
        return SourceFormat(QuestionsConfig(train=str(file)), needs_label=bool(names & {"answer", "answers"}))
    return None


def _guess_choices(file: Path, names: Sequence[str], table: TableFormat, before: Format | None) -> SourceFormat | None:
    """Questions with choices: a column of that name, or one for each beside a question; None where there is neither."""
    named = {name.casefold(): name for name in reversed(names)}
    asked, right = table.columns.text, table.columns.label
    question = _first_of(named, "question", "context", "text", "问题", "题目") if asked == "text" else asked
    answer = _first_of(named, "answer", "答案") if right == "label" else right
    choices = named.get("choices") or _find_choice_columns(names, allows_bare=answer is not None)
    answer = answer or named.get("label")
    if choices is None or isinstance(answer, tuple) or (not isinstance(choices, str) and None in (question, answer)):
        return None
    context = _first_of(named, "context", "passage", "premise")
    numberings = (0, 1)
    if isinstance(before, SourceFormat) and isinstance(before.source, ChoicesConfig):
        numberings = (before.source.first,)
    sources = [
        ChoicesConfig(
            train=str(file),
            context=None if context == question else context,
            question=question,
            choices=choices,
            answer=answer or "answer",
            first=first,
        )
        for first in numberings
    ]
    fitting = (source for source in sources if _names_choices(source, file))
    return SourceFormat(next(fitting, sources[0]), needs_label=right != "label")


def _first_of(named: Mapping[str, str], *wanted: str) -> str | None:
    return next((named[name] for name in wanted if name in named), None)


def _find_choice_columns(names: Sequence[str], *, allows_bare: bool) -> tuple[str, ...] | None:
    """The columns of one choice each, lettered or numbered in their order; None where there are not two.

    With `allows_bare` their names may be letters alone, which in a table of texts and labels may be anything.
    """
    columns: dict[str, list[tuple[str, str]]] = {}
    for name in names:
        found = _CHOICE.fullmatch(name.strip())
        if found is not None and (found[1] or allows_bare):
            columns.setdefault(found[1].casefold(), []).append((found[2].casefold(), name))
    for each in columns.values():
        if len(each) > 1 and any(tuple(counts[: len(each)]) == tuple(mark for mark, _ in each) for counts in _COUNTS):
            return tuple(name for _, name in each)
    return None


def _names_choices(source: ChoicesConfig, file: Path) -> bool:
    """Whether every answer of a file names a choice, as they are numbered."""
    try:
        return all(True for _ in source.iterate_file(file))
    except DataError:
        return False
