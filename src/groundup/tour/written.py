"""The first model: what was said, as one writes it, and back; scored exactly beside a nearest neighbour."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

import numpy as np

from groundup.checkpoint.tensors import write_folder
from groundup.decoding.config import Decoding
from groundup.metrics.interval import bootstrap_share
from groundup.spoken.baselines import NearestNeighbour
from groundup.spoken.form import Language
from groundup.spoken.loose import draw_loose_rows
from groundup.spoken.rows import Row, write_corpus, write_rows
from groundup.spoken.score import is_exact
from groundup.verbs.generate import generate
from groundup.verbs.run_folder import write_json

TRAIN_ROWS: Final = 45_000
LOOSE_ROWS: Final = 25_000
"""Values among pieces of other sentences, so that any word is copied, not those of the grammar alone."""
TEST_ROWS: Final = 400
"""Of each of the two test splits."""
SENTENCES = files("groundup.tour") / "sentiment"
_GROUPS: Final = (("split", "language", "direction"), ("kind",), ("split",), ())


@dataclass(frozen=True)
class Group:
    """Exact answers among the rows with these properties."""

    name: dict[str, str]
    count: int
    exact: float
    low: float
    high: float
    nearest_neighbour: float
    """The same share for who answers as the most similar training row does."""


@dataclass(frozen=True)
class Scored:
    """How well the model does on values and patterns that it never saw."""

    groups: tuple[Group, ...]
    examples: tuple[dict[str, str], ...]
    """Some rows with the model's answers, right and wrong."""

    def find(self, **name: str) -> Group:
        """The group of exactly these properties."""
        return next(group for group in self.groups if group.name == name)


def make_data(folder: Path) -> Path:
    """Write the rows once; the same ones every time."""
    home = folder / "spoken"
    if not home.is_dir():
        write_folder(home, _write_data)
    return home


def _write_data(folder: Path) -> None:
    write_corpus(folder, train=TRAIN_ROWS, validation=400, test=TEST_ROWS)
    write_rows(
        read_rows(folder / "train.jsonl") + draw_loose_rows(LOOSE_ROWS, read_sentences()), folder / "train.jsonl"
    )


def read_sentences(name: str = "train.csv") -> dict[Language, list[str]]:
    """The sentences that come with the toolkit, by language."""
    rows = csv.DictReader((SENTENCES / name).read_text(encoding="utf-8").splitlines())
    texts: dict[Language, list[str]] = {"en": [], "zh": []}
    for row in rows:
        texts[row["language"]].append(row["text"])  # type: ignore[index]
    return texts


def read_rows(path: Path) -> list[Row]:
    """The rows of a file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def score(run: Path, data: Path) -> Scored:
    """Answer every test row, greedily, and compare; kept in the run folder."""
    kept = run / "exact_match.json"
    if kept.is_file():
        values = json.loads(kept.read_text(encoding="utf-8"))
        return Scored(tuple(Group(**each) for each in values["groups"]), tuple(values["examples"]))
    rows = read_rows(data / "test.jsonl")
    written = generate(run, [row["prompt"] for row in rows], Decoding(max_tokens=120), batch_size=128)
    answers = [each.text for each in written]
    nearest = NearestNeighbour(read_rows(data / "train.jsonl")[:20_000]).answer([row["prompt"] for row in rows])
    right = np.array([is_exact(row, answer) for row, answer in zip(rows, answers, strict=True)], dtype=np.float64)
    beside = np.array([is_exact(row, answer) for row, answer in zip(rows, nearest, strict=True)], dtype=np.float64)
    groups = [group for fields in _GROUPS for group in _group(rows, right, beside, fields)]
    found = Scored(tuple(groups), tuple(_choose_examples(rows, answers, right)))
    write_json(kept, asdict(found))
    return found


def _group(rows: Sequence[Row], right: np.ndarray, beside: np.ndarray, fields: Sequence[str]) -> list[Group]:
    names = [tuple(row[field] for field in fields) for row in rows]  # type: ignore[literal-required]
    groups = []
    for name in sorted(set(names)):
        chosen = np.array([each == name for each in names])
        exact = bootstrap_share(right[chosen])
        groups.append(
            Group(dict(zip(fields, name, strict=True)), int(chosen.sum()), *exact, float(beside[chosen].mean()))
        )
    return groups


def _choose_examples(rows: Sequence[Row], answers: Sequence[str], right: np.ndarray) -> list[dict[str, str]]:
    """For each language and direction two that are right and two that are wrong, spread over the rows."""
    chosen: list[dict[str, str]] = []
    for language in ("en", "zh"):
        for direction in ("to_written", "to_spoken"):
            for is_right in (True, False):
                numbers = [
                    number
                    for number, row in enumerate(rows)
                    if (row["language"], row["direction"], bool(right[number])) == (language, direction, is_right)
                ]
                for number in numbers[:: max(1, len(numbers) // 2)][:2]:
                    row = rows[number]
                    chosen.append(
                        {
                            "prompt": row["prompt"],
                            "answer": answers[number],
                            "expected": row["completion"],
                            "language": language,
                            "direction": direction,
                            "split": row["split"],
                            "verdict": "right" if is_right else "wrong",
                        }
                    )
    return chosen
