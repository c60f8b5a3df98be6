"""What is predicted on: a text, the rows of a file, the lines of standard input; each told by its place in messages."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

from groundup.errors import ConfigError, DataError
from groundup.objectives.protocol import Task
from groundup.readers.examples import TaggedExample
from groundup.readers.lines import iterate_whole_lines, place
from groundup.readers.source import AnExample, ExampleSource
from groundup.readers.table import Example, TableConfig, take_field
from groundup.verbs.trained import Trained

FILE_SUFFIXES: Final = (".txt", ".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")

_LOOKED_AT: Final = 50
"""Lines of a .txt by which it is told what it holds."""


class Given(NamedTuple):
    """One row to predict on."""

    example: AnExample
    where: str
    """Its place, for messages."""
    row: tuple[str, str | None] | None
    """The text, or the pair, that it was made of; None where a file holds examples of the task's own kind."""
    kept: Mapping[str, object] = MappingProxyType({})
    """Columns of the input that go beside the answer, by the names that they have there."""

    @property
    def text(self) -> str:
        """The text, for a model that reads nothing else."""
        return self.example.texts[0]


def give(
    trained: Trained, text: str, pair: str | None, where: str, kept: Mapping[str, object] = MappingProxyType({})
) -> Given:
    """A text or a pair, as an example of what the model learnt."""
    task = trained.objective
    example = task.examples_of([(text, pair)])[0] if isinstance(task, Task) else Example(text, pair, None, 1)
    return Given(example, where, (text, pair), kept)


def give_typed(trained: Trained, text: str, pair: str | None) -> Given:
    """A text or a pair that somebody typed. DataError where there is nothing that could be labelled."""
    if isinstance(trained.objective, Task) and not text.strip():
        raise DataError("text", "is empty, so there is nothing to label", got=text, cure="give some text")
    return give(trained, text, pair, "text")


@dataclass(frozen=True)
class Source:
    """Rows that are read one at a time."""

    path: Path | None
    """The file; None for a text or standard input, which can be read but once."""
    iterate: Callable[[], Iterator[Given]]


def open_source(trained: Trained, source: str, pair: str | None, keep: Mapping[str, str]) -> Source:
    """A text, the rows of a file, or the lines of standard input (`-`).

    Args:
        trained: its recipe says what the columns of a table are.
        source: which of them.
        pair: the second text that goes with a text.
        keep: columns of a table and the names that they get beside the answers.
    """
    if source == "-":
        _refuse_keep(keep, "standard input")
        return Source(None, lambda: _read_standard_input(trained))
    path = Path(source)
    is_file = os.path.isfile(source)  # Path.is_file raises for a text that is too long for a name
    known = None if trained.recipe is None else trained.recipe.data
    if is_file and isinstance(known, ExampleSource) and _is_own(trained, path, known):
        return Source(path, lambda: _read_table(trained, path, known, keep))
    if path.suffix.lower() not in FILE_SUFFIXES or "\n" in source:
        if is_file:
            cure = f"rename it to one of {', '.join(FILE_SUFFIXES)}"
            raise DataError(source, "is a file of unknown kind", got=path.suffix, cure=cure)
        _refuse_keep(keep, "a text")
        return Source(None, lambda: iter([give_typed(trained, source, pair)]))
    if pair is not None:
        raise ConfigError("pair", "goes with a single text, not with a file", cure="put it in a column of the file")
    if not is_file:
        raise DataError(source, "is no file here", cure="check the path")
    if path.suffix.lower() == ".txt":
        _refuse_keep(keep, "a .txt file")
        return Source(path, lambda: _read_lines(trained, path))
    columns = known if isinstance(known, ExampleSource) else TableConfig(train=source)
    if isinstance(columns, TableConfig) and not isinstance(trained.objective, Task):
        columns = columns.model_copy(update={"pair": None})
    return Source(path, lambda: _read_table(trained, path, columns, keep))


def _refuse_keep(keep: Mapping[str, str], what: str) -> None:
    if keep:
        raise ConfigError(
            "keep", f"is for columns of tables, not for {what}", got=next(iter(keep)), cure="leave it out"
        )


def _is_own(trained: Trained, path: Path, known: ExampleSource) -> bool:
    """Whether a file is written as only this kind of data is: SQuAD's `.json`, or a token and its tag a line.

    Tags may stand in a file of any other ending, and in a `.txt` all of whose lines end in one that the model knows.
    """
    suffix = path.suffix.lower()
    if known.example_kind == "questions":
        return suffix == ".json"
    if known.example_kind != "tags":
        return False
    return suffix not in FILE_SUFFIXES or (suffix == ".txt" and _ends_in_tags(trained, path))


def _ends_in_tags(trained: Trained, path: Path) -> bool:
    lines = (line.text.split() for line in iterate_whole_lines(path))
    begun = list(islice((fields for fields in lines if fields), _LOOKED_AT))
    labels = getattr(trained.objective, "labels", ())
    kinds = {"O", *(label[2:] if label[1:2] == "-" else label for label in labels)}
    is_even = len(begun) > 1 and len({len(fields) for fields in begun}) == 1 < len(begun[0])
    return is_even and all((tag[2:] if tag[1:2] == "-" else tag) in kinds for *_, tag in begun)


def _read_lines(trained: Trained, path: Path) -> Iterator[Given]:
    for line in iterate_whole_lines(path):
        yield give(trained, line.text, None, place(path, "", line.number))


def _read_examples(trained: Trained, path: Path, source: ExampleSource) -> Iterator[Given]:
    """Examples as the model learnt them; of rows with a label, only their texts."""
    for example in source.iterate_file(path):
        where = place(path, "", example.line)
        if isinstance(example, Example):
            yield give(trained, example.text, example.pair, where)
        elif isinstance(example, TaggedExample):  # its own tags may be of another scheme
            yield Given(replace(example, tags=("O",) * len(example.tags)), where, None)
        else:
            yield Given(example, where, None)


def _read_table(trained: Trained, path: Path, columns: ExampleSource, keep: Mapping[str, str]) -> Iterator[Given]:
    """The examples of a file; it is read a second time where some of its fields are kept."""
    given = _read_examples(trained, path, columns)
    if not keep:
        yield from given
        return
    for each, row in zip(given, columns.iterate_fields(path), strict=True):
        kept = {name: take_field(row, _number(column), "keep", path, "") for column, name in keep.items()}
        yield each._replace(kept=kept)


def _number(column: str) -> str | int:
    """A column by its name, or by its number counted from 0."""
    return int(column) if column.isdecimal() else column


def _read_standard_input(trained: Trained) -> Iterator[Given]:
    for number, line in enumerate(sys.stdin.buffer, start=1):
        where = f"standard input:{number}"
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            cure = "convert it, for example with iconv -t UTF-8"
            raise DataError(where, "is no UTF-8 text", got=line[:40], cure=cure) from None
        yield give(trained, text.rstrip("\r\n"), None, where)
