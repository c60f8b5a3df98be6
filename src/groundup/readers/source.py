"""What all sources of examples have in common: three splits, read one example at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from groundup.config import Config
from groundup.errors import DataError

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

    train: str
    validation: str | None = None
    test: str | None = None

    @property
    def example_kind(self) -> ExampleKind:
        """Which kind of example it gives."""
        raise NotImplementedError

    @property
    def has_pair(self) -> bool:
        """Whether each example has two texts."""
        raise NotImplementedError

    @property
    def has_validation(self) -> bool:
        """Whether there is something to validate on."""
        return self.validation is not None

    def find_files(self, split: Split) -> tuple[Path, ...]:
        """The files of a split; a DataError names what is missing."""
        raise NotImplementedError

    def iterate(self, split: Split, *, needs_label: bool = True) -> Iterator[AnExample]:
        """The examples of a split, one at a time, in constant memory."""
        raise NotImplementedError

    def iterate_file(self, path: Path, *, needs_label: bool = False) -> Iterator[AnExample]:
        """The examples of a file that is written like these."""
        raise NotImplementedError

    def read(self, split: Split, *, needs_label: bool = True) -> Sequence[AnExample]:
        """All examples of a split. Raises DataError naming the line, or that there is none."""
        examples = list(self.iterate(split, needs_label=needs_label))
        if not examples:
            name = getattr(self, split)
            raise DataError(f"data.{split}", "holds no row", got=name, cure="check the file, and `header`")
        return examples
