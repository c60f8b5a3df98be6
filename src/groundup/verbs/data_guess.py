"""How a user's own file is written, told by its ending, its columns and its first line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from groundup.readers.choice_files import ChoicesConfig
from groundup.readers.examples import ChoiceExample, QuestionExample, SpanExample, TaggedExample
from groundup.readers.formats import ColumnsFormat, Format, Kind, MarkedTextFormat, TableFormat
from groundup.readers.lines import iterate_whole_lines
from groundup.readers.question_files import QuestionsConfig
from groundup.readers.questions import SquadFormat
from groundup.readers.records import Layout, iterate_rows
from groundup.readers.tagged_files import TaggedConfig

TABLES: Final = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")

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


def guess_format(file: Path, table: TableFormat) -> Format:
    """The format of a file; rows that are neither tagged nor questions are those of `table`."""
    ending = file.suffix.lower()
    if ending in TABLES:
        first = next(iterate_rows(file, table.layout), None)
        return table if first is None else _guess_rows(file, first.fields) or table
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


def _guess_rows(file: Path, fields: Mapping[str | int, object]) -> Format | None:
    """What the names of the columns tell; None where that is nothing."""
    names = {str(name) for name in fields}
    is_flat = file.suffix.lower() in (".csv", ".tsv")
    if is_flat and {"sentence", "token", "tag"} <= names:
        return SourceFormat(TaggedConfig(train=str(file), header=True), needs_label=True)
    if not is_flat and (names & {"tokens", "words"} or ("text" in names and names & {"spans", "entities"})):
        return SourceFormat(TaggedConfig(train=str(file)), needs_label=False)
    if "choices" in names:
        question = next((name for name in ("question", "context", "text") if name in names), None)
        return SourceFormat(ChoicesConfig(train=str(file), question=question), needs_label=False)
    if "question" in names and names & {"passage", "context"}:
        return SourceFormat(QuestionsConfig(train=str(file)), needs_label=bool(names & {"answer", "answers"}))
    return None
