"""What is known of a released data set: its files and their format, labels, metrics, licence, and where it is from."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from groundup.config import expand_path
from groundup.errors import DataError
from groundup.readers.examples import AnyExample
from groundup.readers.formats import Format, Kind
from groundup.readers.submission import Submission

Task = Literal[
    "classification",
    "pair classification",
    "regression",
    "tagging",
    "question answering",
    "translation",
    "multiple choice",
]

DATA_VARIABLE = "GROUNDUP_DATA"


class Release(NamedTuple):
    """The files of one split in one of the forms in which they are handed out."""

    files: tuple[str, ...]
    """As released, below a folder of the data set's name; more than one are read side by side."""
    format: Format


@dataclass(frozen=True)
class DataSet:
    """One entry of the registry."""

    name: str
    title: str
    task: Task
    language: str
    """`en`, `zh`; of a translation from and to: `en-de`."""
    splits: Mapping[str, tuple[Release, ...]]
    """Each with the forms in which it is handed out: the first whose files are there is read."""
    metrics: tuple[str, ...]
    """The official ones, the first decides."""
    licence: str
    """As its source states it."""
    source: str
    """Where to get it."""
    citation: str
    labels: Mapping[str, str] | None = None
    """As written, each with its meaning; None where there are none, or too many to tell."""
    scheme: str | None = None
    """Of tags: iob1, iob2, bioes or bmes."""
    submissions: tuple[Submission, ...] = ()
    """The files of answers to test splits that its benchmark takes."""
    note: str = ""
    aliases: tuple[str, ...] = field(default=())

    @property
    def kind(self) -> Kind:
        """Which kind of example it holds."""
        return next(iter(self.splits.values()))[0].format.kind


class FoundSplit(NamedTuple):
    """A split that is there."""

    name: str
    files: tuple[Path, ...]
    format: Format

    def read(self) -> Iterator[AnyExample]:
        """Its examples, one at a time."""
        return self.format.read(self.files)


def find_splits(data_set: DataSet, folder: str | Path | None = None) -> list[FoundSplit]:
    """The splits whose files are in a folder, or in that of `GROUNDUP_DATA`.

    Raises:
        DataError: there is no such folder, or not one of the files; the message says where to get them.
    """
    root = find_root(folder)
    found = []
    for name, releases in data_set.splits.items():
        for release in releases:
            files = [_find_file(root, data_set.name, file, folder is not None) for file in release.files]
            if all(files):
                found.append(FoundSplit(name, tuple(file for file in files if file is not None), release.format))
                break
    if not found:
        first = next(iter(data_set.splits.values()))[0].files[0]
        cure = f"put {first} there; get it from {data_set.source}"
        raise DataError(data_set.name, "has none of its files in this folder", got=str(root), cure=cure)
    return found


def find_split(data_set: DataSet, split: str, folder: str | Path | None = None) -> FoundSplit:
    """One split. Raises DataError where it is not there, naming its files and those that are."""
    if split not in data_set.splits:
        cure = f"splits are {', '.join(data_set.splits)}"
        raise DataError(data_set.name, "has no such split", got=split, cure=cure)
    found = find_splits(data_set, folder)
    wanted = next((each for each in found if each.name == split), None)
    if wanted is None:
        files = " or ".join(" + ".join(release.files) for release in data_set.splits[split])
        there = ", ".join(each.name for each in found)
        raise DataError(
            f"{data_set.name}.{split}",
            "is not there",
            got=str(find_root(folder)),
            cure=f"it is {files}; found: {there}",
        )
    return wanted


def find_root(folder: str | Path | None) -> Path:
    """The folder given, or that of `GROUNDUP_DATA`."""
    named = str(folder) if folder is not None else os.environ.get(DATA_VARIABLE, "")
    if not named:
        cure = "name a folder, or set it to the folder that holds the data sets"
        raise DataError(DATA_VARIABLE, "is not set", cure=cure)
    root = expand_path(named, "folder" if folder is not None else DATA_VARIABLE)
    if not root.is_dir():
        raise DataError("folder" if folder is not None else DATA_VARIABLE, "is no folder", got=str(root))
    return root


def _find_file(root: Path, name: str, file: str, is_given: bool) -> Path | None:
    """Below the folder as released or by the data set's name; in a folder that is given for it, right there too."""
    parts = Path(file).parts
    tails = [Path(*parts[start:]) for start in range(len(parts) if is_given else 1)]
    places = [*tails, Path(name) / parts[-1]]
    return next((root / each for each in places if (root / each).is_file()), None)
