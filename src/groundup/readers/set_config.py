"""A data set that is known by its name, as a source of examples."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Literal, Self

from pydantic import PositiveInt, model_validator

from groundup.errors import DataError
from groundup.readers.choice_files import ChoicesConfig
from groundup.readers.data_set import FoundSplit, find_split
from groundup.readers.examples import AnyExample, TranslationExample
from groundup.readers.formats import TableFormat
from groundup.readers.question_files import QuestionsConfig
from groundup.readers.records import Row
from groundup.readers.registry import DATA_SETS, get_data_set
from groundup.readers.source import AnExample, ExampleKind, ExampleSource, FileSource, Split
from groundup.readers.table import Example, TableConfig
from groundup.readers.tagged_files import TaggedConfig


class SetConfig(ExampleSource):
    """A data set by its name; `groundup data list` tells the names, the splits and where to get their files."""

    kind: Literal["set"] = "set"
    name: str
    """Which one."""
    folder: str | None = None
    """The folder that holds its files; null: that of `GROUNDUP_DATA`."""
    train: str = "train"
    """The split to learn from."""
    validation: str | None = None
    """The split by which the best checkpoint is chosen."""
    test: str | None = None
    """The split that is looked at once, in the end."""
    max_rows: PositiveInt | None = None
    """Learn from the first so many examples alone; null: from all."""

    @property
    def example_kind(self) -> ExampleKind:
        """That of the data set; a translation is a pair of texts."""
        kind = DATA_SETS[self.name].kind
        return "text" if kind == "translation" else kind

    @property
    def has_pair(self) -> bool:
        """Whether each example has two texts."""
        data_set = DATA_SETS[self.name]
        form = next(iter(data_set.splits.values()))[0].format
        return data_set.kind == "translation" or (isinstance(form, TableFormat) and form.columns.pair is not None)

    def find_files(self, split: Split) -> tuple[Path, ...]:
        """The files of a split; a DataError says where to get them."""
        return self._find(split).files

    def iterate(self, split: Split, *, needs_label: bool = True) -> Iterator[AnExample]:
        """The examples of a split; with `needs_label`, one without a label is a DataError."""
        found = self._find(split)
        most = self.max_rows if split == "train" else None
        for example in islice(found.read(), most):
            given = as_given(example)
            if needs_label and given.label_names is None:
                cure = "name a split with labels: labels of test splits are often not released"
                raise DataError(f"data.{split}", f"the split {found.name!r} has no labels", cure=cure)
            yield given

    def iterate_file(self, path: Path, where: str = "", *, needs_label: bool = False) -> Iterator[AnExample]:
        """The examples of a file of one's own, written as its kind of files is by default."""
        return self._own(path).iterate_file(path, where, needs_label=needs_label)

    def iterate_fields(self, path: Path) -> Iterator[Row]:
        """Those of a file of one's own."""
        return self._own(path).iterate_fields(path)

    def _own(self, path: Path) -> FileSource:
        match self.example_kind:
            case "text":
                return TableConfig(train=str(path), pair="pair" if self.has_pair else None)
            case "questions":
                return QuestionsConfig(train=str(path))
            case "choice":
                return ChoicesConfig(train=str(path))
            case "tags" | "spans":
                return TaggedConfig(train=str(path))

    def _find(self, split: Split) -> FoundSplit:
        return find_split(DATA_SETS[self.name], getattr(self, split), self.folder)

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        try:
            data_set = get_data_set(self.name)
        except DataError as error:
            raise ValueError(f"name: {str(error).removeprefix('data set: ')}") from None
        if data_set.name != self.name:
            raise ValueError(f"name: the data set is called {data_set.name!r}, got {self.name!r}")
        for key in ("train", "validation", "test"):
            split = getattr(self, key)
            if split is not None and split not in data_set.splits:
                raise ValueError(f"{key}: {self.name} has no such split, got {split!r}; {', '.join(data_set.splits)}")
        return self


def as_given(example: AnyExample) -> AnExample:
    """A translation as a pair of texts; every other example is what it is."""
    if isinstance(example, TranslationExample):
        return Example(example.source, example.target, None, example.line)
    return example
