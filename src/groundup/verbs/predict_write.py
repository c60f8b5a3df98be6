"""Answers as JSON lines or csv; a file of them appears under its name when it is whole, and goes on after a kill."""

from __future__ import annotations

import csv
import fcntl
import io
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal, Protocol, get_args, runtime_checkable

from groundup.errors import ConfigError, DataError
from groundup.verbs.run_folder import write_json

Format = Literal["jsonl", "csv"]
FORMATS: Final = get_args(Format)


@runtime_checkable
class Writer(Protocol):
    """What turns answers into text."""

    columns: list[str] | None
    """Those of csv; None where there are none, or no row yet."""

    def write(self, rows: Sequence[Mapping[str, object]]) -> str:
        """The text of some rows, which follow those before them."""
        ...


class RowWriter:
    """Rows as text, all of them with the columns of the first one."""

    def __init__(self, format: Format, labels: Sequence[str] = (), columns: Sequence[str] | None = None) -> None:
        """Begin.

        Args:
            format: of csv, what is no single value stands in its cell as JSON.
            labels: a mapping of these, in order, becomes a column each: `probabilities.positive`.
            columns: those of csv, where rows are written already.
        """
        self._format, self._labels = format, list(labels)
        self.columns = None if columns is None else list(columns)

    def write(self, rows: Sequence[Mapping[str, object]]) -> str:
        """The text of some rows, a header before the first one of a csv."""
        if self._format == "jsonl":
            return "".join(f"{_as_json(row)}\n" for row in rows)
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        for row in map(self._flatten, rows):
            if self.columns is None:
                self.columns = list(row)
                writer.writerow(self.columns)
            if list(row) != self.columns:
                raise DataError("output", "answers differ in their fields", got=list(row), cure="take --format jsonl")
            writer.writerow([value if isinstance(value, str) else _as_json(value) for value in row.values()])
        return text.getvalue()

    def _flatten(self, row: Mapping[str, object]) -> dict[str, object]:
        flat: dict[str, object] = {}
        for name, value in row.items():
            is_of_labels = isinstance(value, Mapping) and self._labels and list(value) == self._labels
            flat |= {f"{name}.{key}": each for key, each in value.items()} if is_of_labels else {name: value}
        return flat


def find_format(output: Path, format: Format | None) -> Format:
    """The format that is asked for, or that of a file's ending."""
    if format is None and output.suffix.lower()[1:] not in FORMATS:
        cure = "end it in .jsonl or .csv, or give --format"
        raise ConfigError("output", "has an ending that tells no format", got=str(output), cure=cure)
    return format or output.suffix.lower()[1:]  # type: ignore[return-value]


class Part:
    """What there is of a file that is being written: its bytes beside it, and how far they reach."""

    def __init__(self, output: Path, origin: Mapping[str, Any]) -> None:
        """Open it, and go on behind what was written of the same origin: the same rows, model and columns.

        DataError where another process writes it.
        """
        self._output = output
        self._path, self._state_path = (output.with_name(f".{output.name}.{end}") for end in ("part", "part.json"))
        self._origin = dict(origin)
        self._file = self._path.open("ab")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever held the lock until now may have given the file its name meanwhile: then it is not ours.
            if not self._path.exists() or not os.path.samestat(self._path.stat(), os.fstat(self._file.fileno())):
                raise OSError
        except OSError:
            self._file.close()
            raise DataError(str(output), "is being written by another process", cure="wait for it") from None
        state = self._read_state()
        self.num_rows: int = state["rows"]
        self.columns: list[str] | None = state["columns"]
        self._file.truncate(state["bytes"])

    def write(self, text: str, num_rows: int, columns: Sequence[str] | None) -> None:
        """Append some rows. Killed after it, the file goes on behind them."""
        self._file.write(text.encode())
        self._file.flush()
        self.num_rows += num_rows
        self._save_state(None if columns is None else list(columns))

    def finish(self) -> None:
        """Give the file its name."""
        os.fsync(self._file.fileno())
        os.replace(self._path, self._output)
        self._state_path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of it; what is there of it stays."""
        self._file.close()

    def _save_state(self, columns: list[str] | None) -> None:
        written = self._file.seek(0, os.SEEK_END)
        state = {"origin": self._origin, "rows": self.num_rows, "columns": columns, "bytes": written}
        write_json(self._state_path, state)

    def _read_state(self) -> dict[str, Any]:
        """How far it came; from the start where that is unknown, or of something else."""
        try:
            state = json.loads(self._state_path.read_text(encoding="utf-8"))
            is_same = state["origin"] == json.loads(json.dumps(self._origin))
            if is_same and os.fstat(self._file.fileno()).st_size >= state["bytes"]:
                return state
        except (OSError, ValueError, LookupError, TypeError):
            pass
        return {"rows": 0, "columns": None, "bytes": 0}


@contextmanager
def open_part(output: Path, origin: Mapping[str, Any]) -> Iterator[Part]:
    """A file that is written; it gets its name at the end, unless an error stops it."""
    try:
        part = Part(output, origin)
    except OSError as error:
        cure = "choose another file"
        raise ConfigError("output", f"cannot be written ({error.strerror})", got=str(output), cure=cure) from error
    try:
        yield part
        part.finish()
    finally:
        part.close()


def _as_json(value: object) -> str:
    # Dates and decimals of a parquet file have no form of their own in JSON.
    return json.dumps(value, ensure_ascii=False, default=str)
