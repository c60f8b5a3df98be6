"""Which data sets are known, and what is in one or in a user's own files, before anything learns from them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from groundup.errors import ConfigError, DataError
from groundup.readers.data_set import DATA_VARIABLE, DataSet, FoundSplit, find_root, find_splits
from groundup.readers.formats import TableFormat
from groundup.readers.records import Layout, iterate_rows
from groundup.readers.registry import DATA_SETS, get_data_set
from groundup.readers.table import Columns, take_field
from groundup.verbs.data_guess import TABLES, SourceFormat, guess_format
from groundup.verbs.data_look import Look, Training, look_at
from groundup.verbs.findings import Finding
from groundup.verbs.layout import clip, columns, fold, format_share, plural

_MOST_LABELS: Final = 12


@dataclass(frozen=True)
class DataSetEntry:
    """One data set, and which of its splits are there."""

    name: str
    title: str
    task: str
    language: str
    metrics: tuple[str, ...]
    licence: str
    source: str
    citation: str
    splits: tuple[str, ...]
    found: tuple[str, ...] | None
    """None where no folder was named to look in."""
    note: str
    labels: dict[str, str]
    """Each with its meaning; empty where there are none, or too many to tell."""


@dataclass(frozen=True)
class DataListReport:
    """All data sets that are known by name."""

    folder: str | None
    data_sets: tuple[DataSetEntry, ...]

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        return asdict(self)

    def __str__(self) -> str:
        rows = [("name", "language", "task", "official metric", "there")]
        rows += [
            (
                each.name,
                each.language,
                each.task,
                each.metrics[0],
                "?" if each.found is None else ", ".join(each.found) or "-",
            )
            for each in self.data_sets
        ]
        where = self.folder or f"no folder is named: set {DATA_VARIABLE}, or give --folder"
        return "\n".join([f"{plural(len(self.data_sets), 'data set')}; {where}", *columns(rows, "lllll")])


@dataclass(frozen=True)
class DataCheckReport:
    """What is in a data set."""

    name: str
    about: DataSetEntry | None
    """None for a user's own files."""
    looks: tuple[Look, ...]
    recipe: str | None = None
    """What reads the first of a user's own files; None for a table, whose columns are given."""

    @property
    def findings(self) -> list[tuple[str, Finding]]:
        """All of them, each with its split."""
        return [(look.name, finding) for look in self.looks for finding in look.findings]

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        return asdict(self)

    def __str__(self) -> str:
        lines = [self.name]
        if self.about is not None:
            about = self.about
            facts = (
                ("what", about.title),
                ("metric", ", ".join(about.metrics)),
                ("licence", about.licence),
                ("source", about.source),
                ("cite", about.citation),
                ("note", about.note),
            )
            lines += [line for key, text in facts if text for line in fold(text, first=key.ljust(9))]
        if self.recipe is not None:
            lines += fold(self.recipe, first="  recipe   ")
        meanings = {} if self.about is None else self.about.labels
        for look in self.looks:
            lines += _describe(look, meanings)
        lines.append("no faults found" if not self.findings else f"{plural(len(self.findings), 'kind')} of faults")
        return "\n".join(lines)


def list_data(folder: str | Path | None = None) -> DataListReport:
    """All data sets that are known by name, with what is there of each.

    Args:
        folder: where to look; None takes that of the environment variable GROUNDUP_DATA, if it is set.
    """
    root = _find_root(folder)
    return DataListReport(None if root is None else str(root), tuple(_entry(each, root) for each in DATA_SETS.values()))


def check_data(
    targets: str | Path | Sequence[str | Path],
    *,
    folder: str | Path | None = None,
    text: str | int = "text",
    pair: str | int | None = None,
    label: str | int = "label",
    separator: str | None = None,
    header: bool = True,
    num_samples: int = 3,
) -> DataCheckReport:
    """Go through all examples: sizes, labels, lengths, repetitions, leaks between splits, and whatever is broken.

    Args:
        targets: the name of a data set, or files of one's own, of which the first is what is learnt from.
        folder: where a data set is; None takes that of the environment variable GROUNDUP_DATA.
        text: of one's own table, the column of the text: a name, or a number counted from 0.
        pair: the column of the second text.
        label: the column of the label.
        separator: what stands between the labels of a row that may have several; `json` for a list.
        header: whether the first line names the columns.
        num_samples: examples to show of each split.

    Raises:
        DataError: there is no such data set or file, or a line of it is not what its format says, or no column has
            the name that is given.
    """
    names = [str(each) for each in ([targets] if isinstance(targets, str | Path) else targets)]
    if not names:
        raise ConfigError("targets", "are missing", cure="name a data set, or files")
    if (
        len(names) == 1
        and not Path(names[0]).expanduser().exists()
        and Path(names[0]).suffix not in (*TABLES, ".json", ".txt")
    ):
        data_set = get_data_set(names[0])
        return _check(
            data_set.name, find_splits(data_set, folder), data_set, _entry(data_set, find_root(folder)), num_samples
        )
    table = TableFormat(Columns(text, pair, label, separator), Layout(header=header))
    splits = []
    for name in names:
        file = Path(name).expanduser()
        if not file.is_file():
            raise DataError(name, "does not exist", cure="check the path, or see the names in `groundup data list`")
        form = guess_format(file, table, splits[0].format if splits else None)
        if form is table and label != "label":
            _check_column(file, table)
        splits.append(FoundSplit(name, (file,), form))
    return _check(" + ".join(names), splits, None, None, num_samples)


def _check(
    name: str, splits: Sequence[FoundSplit], data_set: DataSet | None, about: DataSetEntry | None, num_samples: int
) -> DataCheckReport:
    training: Training | None = None
    looks = []
    for split in splits:
        look, own = look_at(
            split.name,
            [str(file) for file in split.files],
            split.read(),
            known=None if data_set is None or data_set.labels is None else _label_names(data_set, split),
            scheme=None if data_set is None else data_set.scheme,  # type: ignore[arg-type]
            training=training,
            is_number=data_set is not None and data_set.task == "regression",
            num_samples=num_samples,
        )
        looks.append(look)
        if training is None and (data_set is None or split.name == "train"):
            training = own
    if not any(look.count for look in looks):
        raise DataError(name, "holds no example", cure="check the files")
    form = splits[0].format
    return DataCheckReport(name, about, tuple(looks), form.recipe if isinstance(form, SourceFormat) else None)


def _label_names(data_set: DataSet, split: FoundSplit) -> list[str] | None:
    return None if split.format.kind == "questions" else list(data_set.labels or ())


def _check_column(file: Path, table: TableFormat) -> None:
    """DataError where the first row has not the column of labels that is asked for."""
    row, label = next(iterate_rows(file, table.layout), None), table.columns.label
    if row is not None and not isinstance(label, tuple):
        take_field(row, label, "label", file, "")


def _find_root(folder: str | Path | None) -> Path | None:
    return None if folder is None and not os.environ.get(DATA_VARIABLE) else find_root(folder)


def _entry(data_set: DataSet, root: Path | None) -> DataSetEntry:
    found: tuple[str, ...] | None = None
    if root is not None:
        try:
            found = tuple(split.name for split in find_splits(data_set, root))
        except DataError:
            found = ()
    return DataSetEntry(
        data_set.name,
        data_set.title,
        data_set.task,
        data_set.language,
        data_set.metrics,
        data_set.licence,
        data_set.source,
        data_set.citation,
        tuple(data_set.splits),
        found,
        data_set.note,
        dict(data_set.labels or {}),
    )


def _describe(look: Look, meanings: Mapping[str, str]) -> list[str]:
    lengths = ", ".join(f"{name} {value:,}" for name, value in look.lengths.items())
    lines = ["", f"{look.name}: {plural(look.count, 'example')}, {' + '.join(look.files)}"]
    lines += fold(f"{look.unit}: {lengths}")
    if look.numbers:
        lines += fold("numbers: " + ", ".join(f"{name} {value:.4g}" for name, value in look.numbers.items()))
    total = sum(look.labels.values()) if look.bare is None else look.count - look.unlabelled
    told = {label: meaning for label, meaning in meanings.items() if meaning != label}
    told = told if len(set(told.values())) == len(told) else {}  # what is said of several labels tells none
    rows = [
        (label, f"{count:,}", format_share(count / total), told.get(label, ""))
        for label, count in list(look.labels.items())[:_MOST_LABELS]
    ]
    lines += columns(rows, "lrrl", indent=4)
    if len(look.labels) > _MOST_LABELS:
        lines.append(f"    and {plural(len(look.labels) - _MOST_LABELS, 'other label')}")
    if look.bare:
        lines.append(f"  with none of the labels: {look.bare:,}  {format_share(look.bare / total)}")
    if look.unlabelled:
        lines.append(f"  without a label: {look.unlabelled:,}")
    for finding in look.findings:
        lines += fold(f"{finding.count:,} x {finding.what}", first="! ")
        lines += [f"      {clip(place, 100)}" for place in finding.places]
    return [*lines, *(f"  > {clip(sample, 76)}" for sample in look.samples)]
