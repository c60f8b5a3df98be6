"""Labelled rows: one text or a pair, and a label, from csv, tsv, jsonl or parquet as the data sets are released."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from groundup.errors import DataError
from groundup.readers.labels import read_flags, read_several
from groundup.readers.lines import place
from groundup.readers.locate import locate
from groundup.readers.records import Layout, Row, iterate_rows
from groundup.readers.source import ExampleKind, RowSource

Column = Annotated[str, Field(min_length=1)] | NonNegativeInt


class TableConfig(RowSource):
    """Files of labelled rows: csv, tsv, jsonl or parquet, told by their extension."""

    kind: Literal["table"] = "table"
    text: Column = "text"
    """The column of the text: a name, or a number counted from 0 where there is no header."""
    pair: Column | None = None
    """The column of the second text, for tasks on pairs; of the completion, where `text` is a prompt."""
    label: Column | Annotated[tuple[Column, ...], Field(min_length=1)] | None = None
    """The column of the label; null: `label`, where the objective learns from one. Of rows with several labels: a list
    of columns, one a label, that hold 1 or 0."""
    separator: str | None = Field(None, min_length=1)
    """What stands between the labels of a row, where it may have several in one column; `json` for a list such as
    ["a", "b"]. null: a row has one label, or in jsonl a list of them."""
    num_columns: PositiveInt | None = None
    """Fields in a row, the last of which takes the rest of the line; null: as many as the first line has."""

    @property
    def example_kind(self) -> ExampleKind:
        """Texts or pairs with a label."""
        return "text"

    @property
    def has_pair(self) -> bool:
        """Whether there is a column of second texts."""
        return self.pair is not None

    @property
    def layout(self) -> Layout:
        """How the files are written."""
        return Layout(self.header, self.delimiter, self.quoting, self.num_columns, self.encoding)

    @property
    def label_column(self) -> Column | tuple[Column, ...]:
        """Where labels stand, where there are any."""
        return "label" if self.label is None else self.label

    def iterate_file(self, path: Path, where: str = "", *, needs_label: bool = False) -> Iterator[Example]:
        """The rows of a file with the same columns."""
        columns = Columns(self.text, self.pair, self.label_column, self.separator)
        return iterate_examples(path, self.layout, columns, where, needs_label=needs_label)

    @model_validator(mode="after")
    def _check_columns(self) -> Self:
        label = self.label_column if self.header else self.label
        labels = label if isinstance(label, tuple) else (label,)
        named = [("text", self.text), ("pair", self.pair), *(("label", each) for each in labels)]
        if isinstance(label, tuple) and self.separator is not None:
            raise ValueError(f"separator: is for labels in one column, got {self.separator!r} and {len(label)} columns")
        for name, column in named:
            if not self.header and isinstance(column, str) and not _names_columns(self.train):
                raise ValueError(f"{name}: without a header a column is a number counted from 0, got {column!r}")
        columns = [column for _, column in named if column is not None]
        if len(set(columns)) != len(columns):
            raise ValueError(f"text, pair, label: must be different columns, got {columns}")
        if self.num_columns is not None and self.header:
            raise ValueError(f"num_columns: is for files without a header, got {self.num_columns}; set header: false")
        return self


class Example(NamedTuple):
    """One row as it stands in its file."""

    text: str
    pair: str | None
    label: str | None
    """As written in the file; None in a file without labels, and where a row may have several."""
    line: int
    """Where the row starts, counted from 1."""
    labels: tuple[str, ...] | None = None
    """Of a row that may have several, each once; None for all others."""
    repeated: tuple[str, ...] = ()
    """Those of them that are written more than once."""

    @property
    def texts(self) -> tuple[str, ...]:
        """The text, or both of a pair."""
        return (self.text,) if self.pair is None else (self.text, self.pair)

    @property
    def label_names(self) -> tuple[str, ...] | None:
        """Its one label, or all of them."""
        return self.labels if self.label is None else (self.label,)


class Columns(NamedTuple):
    """Where the parts of an example stand: a name, or a number counted from 0."""

    text: str | int
    pair: str | int | None = None
    label: str | int | tuple[str | int, ...] = "label"
    separator: str | None = None
    """What stands between several labels in one column."""


def read_table(path: str | Path, config: TableConfig, where: str = "", *, needs_label: bool = True) -> list[Example]:
    """All rows of a file; with `needs_label=False` labels may be lacking. Raises DataError naming the line."""
    file = locate(path, where or "path") if isinstance(path, str) else path
    examples = list(config.iterate_file(file, where, needs_label=needs_label))
    if not examples:
        raise DataError(where or str(path), "holds no row", got=str(path), cure="check the file, and `header`")
    return examples


def iterate_examples(
    file: Path,
    layout: Layout,
    columns: Columns,
    where: str = "",
    *,
    needs_label: bool = True,
    allows_empty: bool = False,
) -> Iterator[Example]:
    """The rows of a file of any layout; an empty text is an error, unless it is allowed."""
    has_label: bool | None = None
    label_columns = columns.label if isinstance(columns.label, tuple) else (columns.label,)
    for row in iterate_rows(file, layout, where):
        here = place(file, where, row.line)
        text = take_text(row, columns.text, "text", file, where, allows_empty=allows_empty)
        pair = None
        if columns.pair is not None:
            pair = take_text(row, columns.pair, "pair", file, where, allows_empty=allows_empty)
        if has_label is None:
            has_label = needs_label or any(find_column(row.fields, each) is not None for each in label_columns)
        label, labels, repeated = None, None, ()
        if has_label:
            values = [take_field(row, each, "label", file, where) for each in label_columns]
            if isinstance(columns.label, tuple):
                labels = read_flags(values, columns.label, here)
            elif columns.separator is not None or isinstance(values[0], list):
                counts = Counter(read_several(values[0], columns.separator, columns.label, here))
                labels = tuple(counts)
                repeated = tuple(each for each, count in counts.items() if count > 1)
            else:
                label = read_label(values[0], columns.label, here, needs_label=needs_label)
        yield Example(text, pair, label, row.line, labels, repeated)


def collect_labels(examples: Iterable[Example]) -> tuple[str, ...]:
    """The labels that occur, as `sort_labels` orders them."""
    return sort_labels(example.label for example in examples if example.label is not None)


def sort_labels(labels: Iterable[str]) -> tuple[str, ...]:
    """Each label once: by value where all are integers, else in alphabetical order."""
    labels = set(labels)
    try:
        return tuple(sorted(labels, key=lambda label: (int(label), label)))
    except ValueError:
        return tuple(sorted(labels))


def find_column(fields: Mapping[str | int, object], column: str | int) -> str | int | None:
    """The key of a column: its name, or its number also where columns have names."""
    if column in fields:
        return column
    names = list(fields)
    return names[column] if isinstance(column, int) and column < len(names) else None


def take_field(row: Row, column: str | int, setting: str, file: Path, where: str) -> object:
    """The value in a column. Raises DataError naming the nearest one where there is none."""
    key = find_column(row.fields, column)
    if key is None:
        raise DataError(
            place(file, where, row.line),
            f"has no column for `{setting}`",
            got=column,
            cure=_column_cure(row.fields, column),
        )
    return row.fields[key]


def take_text(row: Row, column: str | int, setting: str, file: Path, where: str, *, allows_empty: bool = False) -> str:
    """The text in a column. Raises DataError where there is none."""
    value, here = take_field(row, column, setting, file, where), place(file, where, row.line)
    if not isinstance(value, str):
        raise DataError(here, f"column {column!r} is no text", got=value, cure="write it as a JSON string")
    if not value.strip() and not allows_empty:
        raise DataError(here, f"the text in column {column!r} is empty", cure="fill it in or remove the row")
    return value


def read_label(value: object, column: str | int, here: str, *, needs_label: bool = True) -> str | None:
    """The one label in a field. Raises DataError for what is none, or for a missing one that is needed."""
    if not needs_label and (value is None or value == ""):
        return None
    if isinstance(value, bool | int):
        return str(value).lower()
    if not isinstance(value, str | float):
        raise DataError(here, f"the label in column {column!r} is no single value", got=value, cure="write a word")
    label = str(value).strip()
    if not label:
        cure = "fill it in or remove the row; where rows may have several labels or none, set `separator`"
        raise DataError(here, f"the label in column {column!r} is missing", cure=cure)
    return label


def _column_cure(fields: Mapping[str | int, object], column: str | int) -> str:
    names = [str(name) for name in fields]
    shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
    if isinstance(column, int) and all(isinstance(name, int) for name in fields):
        return f"columns are 0 to {len(names) - 1}"
    near = get_close_matches(str(column), names, n=1)
    return (f"did you mean {near[0]!r}? " if near else "") + f"columns are {shown}"


def _names_columns(path: str) -> bool:
    return path.endswith((".jsonl", ".ndjson", ".parquet"))
