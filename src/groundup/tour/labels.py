"""Classifiers of the quickstart: scored on rows that played no part in training, beside the commonest answer."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from groundup.checkpoint.tensors import write_folder
from groundup.errors import DataError
from groundup.metrics.interval import bootstrap_difference, bootstrap_share
from groundup.randomness import draw_permutation, make_key
from groundup.readers.table import TableConfig, read_table
from groundup.verbs.predict import predict
from groundup.verbs.run_folder import write_json

_PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class Share:
    """A share of rows with its interval."""

    name: str
    count: int
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Judged:
    """Accuracy of a classifier on test rows."""

    all: Share
    groups: tuple[Share, ...]
    """By the values of a column, such as the language."""
    commonest: Share
    """Of who always answers the commonest training label."""
    is_right: tuple[bool, ...]
    """Of each test row."""

    @property
    def beats_commonest(self) -> bool:
        """Whether the interval lies above the share of the commonest answer."""
        return self.all.low > self.commonest.value


def judge(run: Path, train: Path, test: Path, group_column: str | None = None) -> Judged:
    """Predict every test row and compare; kept in the run folder."""
    kept = run / "test.json"
    if kept.is_file():
        values = json.loads(kept.read_text(encoding="utf-8"))
        values["groups"] = tuple(Share(**each) for each in values["groups"])
        values |= {"is_right": tuple(values["is_right"])} | {
            name: Share(**values[name]) for name in ("all", "commonest")
        }
        return Judged(**values)
    rows, seen = _read(test), _read(train)
    answers = predict(run, [row["text"] for row in rows])
    right = np.array([row["label"] == answer["label"] for row, answer in zip(rows, answers, strict=True)], dtype=float)
    label = Counter(row["label"] for row in seen).most_common(1)[0][0]
    by_label = np.array([row["label"] == label for row in rows], dtype=float)
    groups = []
    for name in sorted({row[group_column] for row in rows}) if group_column else ():
        chosen = np.array([row[group_column] == name for row in rows])
        groups.append(Share(name, int(chosen.sum()), *bootstrap_share(right[chosen])))
    found = Judged(
        Share("all", len(rows), *bootstrap_share(right)),
        tuple(groups),
        Share(label, len(rows), *bootstrap_share(by_label)),
        tuple(bool(each) for each in right),
    )
    write_json(kept, asdict(found))
    return found


def compare(first: Judged, second: Judged) -> Share:
    """Accuracy of the first minus that of the second on the same rows (paired bootstrap)."""
    one, other = (np.array(each.is_right, dtype=float) for each in (first, second))
    return Share("difference", len(one), *bootstrap_difference(one, other))


def read_labels(table: str, text: str, label: str) -> dict[str, str]:
    """The different texts of a table with their labels; a text that stands twice counts once.

    Raises:
        DataError: the table cannot be read, or has too few different texts to be split.
    """
    rows = read_table(table, TableConfig(train=table, text=text, label=label), "labels")
    labels = {row.text: row.label or "" for row in rows}
    if len(labels) < 30:
        cure = "30 are the least that can be learnt from and tested on"
        raise DataError("labels", "holds too few different texts", got=len(labels), cure=cure)
    return labels


def split_labels(table: str, folder: Path, text: str, label: str) -> Path:
    """Deal the rows of a table to train (80 %), validation and test (10 % each), always alike; no text is in two."""
    home = folder / "labels"
    if home.is_dir():
        return home
    labels = read_labels(table, text, label)
    order = draw_permutation(make_key(1, "quickstart", "split"), len(labels))
    texts = list(labels)
    tenth = max(1, len(texts) // 10)
    parts = {"test": order[:tenth], "validation": order[tenth : 2 * tenth], "train": order[2 * tenth :]}

    def write(hidden: Path) -> None:
        hidden.mkdir(parents=True, exist_ok=True)
        for name in _PARTS:
            with (hidden / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(["text", "label"])
                writer.writerows([texts[number], labels[texts[number]]] for number in parts[name])

    write_folder(home, write)
    return home


def read_texts(path: Path) -> list[str]:
    """The texts of a table written here."""
    return [row["text"] for row in _read(path)]


def _read(path: Path) -> Sequence[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
