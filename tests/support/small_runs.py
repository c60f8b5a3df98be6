"""Small runs on text and tables written here: fixtures for tests of whole verbs."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

WORDS = [
    "the",
    "a",
    "cat",
    "dog",
    "sees",
    "finds",
    "one",
    "two",
    "red",
    "blue",
    "我",
    "你",
    "他",
    "看",
    "书",
    "见",
    "山",
    "水",
    "猫",
    "狗",
    "bird",
    "fish",
    "runs",
    "sleeps",
]


@pytest.fixture
def small_data(tmp_path: Path) -> Path:
    """A bilingual text and a table whose label is whether a cat is named."""
    return write_small_data(tmp_path)


@pytest.fixture
def make_recipe(small_data: Path) -> Callable[..., dict]:
    """A recipe over the small data: `make_recipe("masked" | "classification", train={...}, ...)`."""
    return partial(small_recipe, small_data)


def write_small_data(folder: Path) -> Path:
    """The files of `small_data`, in any folder."""
    draw = random.Random(7)
    lines = [" ".join(draw.choices(WORDS, k=draw.randint(3, 24))) for _ in range(200)]
    rows = [f"{line}\t{'cat' if 'cat' in line.split() else 'none'}" for line in lines]
    (folder / "text.txt").write_text("\n".join(lines[40:]) + "\n", encoding="utf-8")
    (folder / "valid.txt").write_text("\n".join(lines[:40]) + "\n", encoding="utf-8")
    (folder / "train.tsv").write_text("\n".join(["text\tlabel", *rows[40:]]) + "\n", encoding="utf-8")
    (folder / "dev.tsv").write_text("\n".join(["text\tlabel", *rows[:40]]) + "\n", encoding="utf-8")
    return folder


def small_recipe(folder: Path, kind: str, name: str = "run", **sections: dict) -> dict:
    """A recipe over the small data in a folder; `sections` change it."""
    corpus = {
        "kind": "corpus",
        "train": [str(folder / "text.txt")],
        "validation": [str(folder / "valid.txt")],
    }
    table = {"kind": "table", "train": str(folder / "train.tsv"), "validation": str(folder / "dev.tsv")}
    recipe = {
        "seed": 5,
        "output": str(folder / name),
        "tokenizer": {"kind": "wordpiece", "vocab_size": 120, "min_frequency": 1},
        "data": corpus if kind == "masked" else table,
        "model": {
            "kind": "transformer",
            "hidden_size": 32,
            "num_layers": 2,
            "num_heads": 2,
            "intermediate_size": 64,
            "max_length": 48,
        },
        "objective": {"kind": kind, "max_length": 32},
        "optimizer": {"kind": "adamw", "learning_rate": 2e-3},
        "train": {
            "steps": 12,
            "batch_size": 16,
            "log_every": 2,
            "evaluate_every": 4,
            "threads": 1,
            "device": "cpu",
        },
    }
    for section, values in sections.items():
        recipe[section] = recipe.get(section, {}) | values if isinstance(values, dict) else values
    return recipe
