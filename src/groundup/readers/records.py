"""Rows of csv, tsv, jsonl and parquet files, one after the other, each with the line it starts on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from groundup.errors import ConfigError, DataError, MissingExtraError
from groundup.readers.lines import Line, TextEncoding, iterate_whole_lines, place

_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_LONGEST_FIELD = 1 << 20
_CURE_QUOTE = 'close it with ", or set `quoting: false` if quotes stand for themselves'


@dataclass(frozen=True)
class Layout:
    """How a file is written; what is None follows from its name."""

    header: bool = True
    delimiter: str | None = None
    quoting: bool | None = None
    num_columns: int | None = None
    encoding: TextEncoding = "utf-8"
    objects: bool | None = None
    """Whether each line is a JSON object; None: in .jsonl and .ndjson."""
    skips_ragged: bool = False
    """Leave out rows of another width, for released files that are known to hold broken lines."""


class Row(NamedTuple):
    """One record: its fields by name (jsonl, or a header) or by number."""

    line: int
    fields: Mapping[str | int, object]
    offset: int
    """Bytes of the file that were read by now."""


def iterate_rows(path: Path, layout: Layout, where: str = "") -> Iterator[Row]:
    """The rows of a file, read line by line; blank lines are no rows. Raises DataError naming the line.

    Of a parquet file the line is the number of the row, counted from 1.
    """
    if path.suffix.lower() == ".parquet":
        yield from iterate_parquet(path, where)
        return
    lines = iterate_whole_lines(path, layout.encoding, where=where)
    if path.suffix.lower() in (".jsonl", ".ndjson") if layout.objects is None else layout.objects:
        yield from _iterate_objects(path, lines, where)
        return
    fields = _iterate_fields(path, lines, layout, where)
    names: list[str] | None = None
    width = layout.num_columns
    for line, values in fields:
        if layout.header and names is None:
            names = _check_header(values, place(path, where, line.number))
            width = len(names)
            continue
        width = width or len(values)
        if len(values) != width and layout.skips_ragged:
            continue
        if len(values) != width:
            raise DataError(
                place(path, where, line.number),
                f"has {_fields(len(values))} where {'the header' if names else 'the first row'} has {width}",
                cure=_ragged_cure(len(values), width, layout),
            )
        yield Row(line.number, dict(zip(names or range(width), values, strict=True)), line.offset)


def iterate_parquet(path: Path, where: str = "") -> Iterator[Row]:
    """The rows of a parquet file, a group of rows in memory at a time.

    Raises:
        MissingExtraError: pyarrow is not installed.
        DataError: the file is missing or no parquet.
    """
    name = place(path, where)
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise MissingExtraError(name, "pyarrow", "parquet") from None
    if not path.is_file():
        raise DataError(name, "does not exist", cure="check the path")
    try:
        with parquet.ParquetFile(path) as file:
            total, size, number = max(file.metadata.num_rows, 1), path.stat().st_size, 0
            for batch in file.iter_batches():
                for fields in batch.to_pylist():
                    number += 1
                    yield Row(number, fields, size * number // total)
    except pyarrow.ArrowException as error:
        raise DataError(name, f"is no parquet file that can be read ({error})", cure="write it again") from None


def find_delimiter(path: Path, layout: Layout, where: str = "") -> str:
    """The delimiter given, or that of the file's extension."""
    found = layout.delimiter or _DELIMITERS.get(path.suffix.lower())
    if found is None:
        raise ConfigError(
            f"{where}.delimiter" if where else "delimiter",
            f"must be given for {path.name}, whose extension does not tell it",
            cure='write delimiter: "\\t" (or "," or " "); .csv, .tsv and .jsonl need none',
        )
    return found


def _iterate_fields(path: Path, lines: Iterator[Line], layout: Layout, where: str) -> Iterator[tuple[Line, list[str]]]:
    delimiter = find_delimiter(path, layout, where.rpartition(".")[0])
    quoting = path.suffix.lower() == ".csv" if layout.quoting is None else layout.quoting
    splits = -1 if layout.num_columns is None else layout.num_columns - 1
    for line in lines:
        if not line.text.strip():
            continue
        if quoting and '"' in line.text:
            yield line, _split_quoted(line.text, delimiter, splits, lines, place(path, where, line.number))
        else:
            yield line, line.text.split(delimiter, splits)


def _split_quoted(text: str, delimiter: str, splits: int, lines: Iterator[Line], here: str) -> list[str]:
    """Fields of a row in which a field may stand in quotes (RFC 4180), over several lines if need be."""
    fields: list[str] = []
    at = 0
    while True:
        if len(fields) == splits:
            return [*fields, text[at:]]
        if not text.startswith('"', at):
            end = text.find(delimiter, at)
            if end < 0:
                return [*fields, text[at:]]
            fields.append(text[at:end])
            at = end + len(delimiter)
            continue
        field, text, at = _read_quoted(text, at + 1, lines, here)
        fields.append(field)
        if at == len(text):
            return fields
        if not text.startswith(delimiter, at):
            raise DataError(here, f"has text after the closing quote of field {len(fields)}", cure=_CURE_QUOTE)
        at += len(delimiter)


def _read_quoted(text: str, at: int, lines: Iterator[Line], here: str) -> tuple[str, str, int]:
    """The field after an opening quote, the line on which it ends, and where in it."""
    parts: list[str] = []
    size = 0
    while True:
        end = text.find('"', at)
        if end >= 0 and text.startswith('""', end):
            parts.append(text[at : end + 1])
            at = end + 2
            continue
        if end >= 0:
            return "".join([*parts, text[at:end]]), text, end + 1
        parts += [text[at:], "\n"]
        size += len(text) - at
        following = next(lines, None)
        if following is None or size > _LONGEST_FIELD:
            raise DataError(here, "opens a quote that is never closed", cure=_CURE_QUOTE)
        text, at = following.text, 0


def _iterate_objects(path: Path, lines: Iterator[Line], where: str) -> Iterator[Row]:
    for line in lines:
        if not line.text.strip():
            continue
        here = place(path, where, line.number)
        try:
            value = json.loads(line.text)
        except json.JSONDecodeError as error:
            raise DataError(
                here,
                f"is not JSON: {error.msg} at character {error.colno}",
                cure="a jsonl file holds one JSON object a line",
            ) from None
        except RecursionError:
            raise DataError(here, "is nested too deeply", cure="one flat object a line") from None
        if not isinstance(value, dict):
            raise DataError(here, "is no JSON object", got=value, cure='write {"text": "..."}')
        yield Row(line.number, value, line.offset)


def _check_header(names: list[str], here: str) -> list[str]:
    names = [name.strip() for name in names]
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice is not None:
        raise DataError(here, f"names the column {twice!r} twice", cure="rename one, or set `header: false`")
    return names


def _ragged_cure(found: int, width: int, layout: Layout) -> str:
    if found > width:
        return "quote fields that hold the delimiter" if layout.quoting is not False else "check the delimiter"
    return "check the delimiter, and `quoting` if a quote stands for itself"


def _fields(count: int) -> str:
    return "1 field" if count == 1 else f"{count} fields"
