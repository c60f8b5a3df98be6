"""What all sources of examples have in common: three splits, read one example at a time."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from pydantic import Field

from groundup.config import Config
from groundup.errors import DataError
from groundup.readers.lines import TextEncoding
from groundup.readers.locate import locate
from groundup.readers.records import Layout, Row, iterate_rows

Split = Literal["train", "validation", "test"]
ExampleKind = Literal["text", "tags", "spans", "questions", "choice"]


@runtime_checkable
class AnExample(Protocol):
    """What is known of an example of any kind."""

    @property
    def line(self) -> int:
        """Where it stands in its file, counted from 1."""
        ...

    @property
    def texts(self) -> tuple[str, ...]:
        """All of its text."""
        ...

    @property
    def label_names(self) -> tuple[str, ...] | None:
        """What it is labelled with, one time or many; None where nothing is known."""
        ...


class ExampleSource(Config):
    """Where examples come from. What stands for each split is a matter of the kind: a file, or a name."""

    kind: str
    train: str
    validation: str | None = None
    test: str | None = None

    @property
    @abstractmethod
    def example_kind(self) -> ExampleKind:
        """Which kind of example it gives."""

    @property
    @abstractmethod
    def has_pair(self) -> bool:
        """Whether each example has two texts."""

    @property
    def has_validation(self) -> bool:
        """Whether there is something to validate on."""
        return self.validation is not None

    @abstractmethod
    def find_files(self, split: Split) -> tuple[Path, ...]:
        """The files of a split; a DataError names what is missing."""

    @abstractmethod
    def iterate(self, split: Split, *, needs_label: bool = True) -> Iterator[AnExample]:
        """The examples of a split, one at a time, in constant memory."""

    @abstractmethod
    def iterate_file(self, path: Path, where: str = "", *, needs_label: bool = False) -> Iterator[AnExample]:
        """The examples of a file that is written like these; `where` is the setting that names it, for errors."""

    @abstractmethod
    def iterate_fields(self, path: Path) -> Iterator[Row]:
        """The fields of each example of a file, by the names that they have there, one row after the other."""

    def read(self, split: Split, *, needs_label: bool = True) -> Sequence[AnExample]:
        """All examples of a split. Raises DataError naming the line, or that there is none."""
        examples = list(self.iterate(split, needs_label=needs_label))
        if not examples:
            name = getattr(self, split)
            raise DataError(f"data.{split}", "holds no row", got=name, cure="check the file, and `header`")
        return examples


class FileSource(ExampleSource):
    """A file for each split."""

    train: str
    """The file to learn from; `${NAME}` is taken from the environment, `hf://datasets/OWNER/NAME/FILE` from the hub."""
    validation: str | None = None
    """The file by which the best checkpoint is chosen, and thresholds where a task has them."""
    test: str | None = None
    """The file that is looked at once, in the end."""
    encoding: TextEncoding = "utf-8"
    """The encoding of the files."""

    def find_files(self, split: Split) -> tuple[Path, ...]:
        """The file of a split."""
        return (locate(getattr(self, split), f"data.{split}"),)

    def iterate(self, split: Split, *, needs_label: bool = True) -> Iterator[AnExample]:
        """The examples of a split, one at a time, in constant memory."""
        (path,) = self.find_files(split)
        return self.iterate_file(path, f"data.{split}", needs_label=needs_label)


class RowSource(FileSource):
    """Files with a row for each example: csv, tsv, jsonl or parquet, told by their extension."""

    header: bool = True
    """Whether the first line names the columns (jsonl names them in every line)."""
    delimiter: str | None = Field(None, min_length=1)
    """What stands between two fields; null: a comma in .csv, a tab in .tsv."""
    quoting: bool | None = None
    """Whether a field may stand in double quotes; null: in .csv yes, elsewhere a quote is a quote, as in GLUE."""

    @property
    def layout(self) -> Layout:
        """How the files are written."""
        return Layout(self.header, self.delimiter, self.quoting, None, self.encoding)

    def iterate_fields(self, path: Path) -> Iterator[Row]:
        """The columns of each row."""
        return iterate_rows(path, self.layout)
