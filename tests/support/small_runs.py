"""Small runs on text and tables written here: fixtures for tests of whole verbs."""

from __future__ import annotations

import random
from collections.abc import Callable
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
    draw = random.Random(7)
    lines = [" ".join(draw.choices(WORDS, k=draw.randint(3, 24))) for _ in range(200)]
    rows = [f"{line}\t{'cat' if 'cat' in line.split() else 'none'}" for line in lines]
    (tmp_path / "text.txt").write_text("\n".join(lines[40:]) + "\n", encoding="utf-8")
    (tmp_path / "valid.txt").write_text("\n".join(lines[:40]) + "\n", encoding="utf-8")
    (tmp_path / "train.tsv").write_text("\n".join(["text\tlabel", *rows[40:]]) + "\n", encoding="utf-8")
    (tmp_path / "dev.tsv").write_text("\n".join(["text\tlabel", *rows[:40]]) + "\n", encoding="utf-8")
    return tmp_path


@pytest.fixture
def make_recipe(small_data: Path) -> Callable[..., dict]:
    """A recipe over the small data: `make_recipe("masked" | "classification", train={...}, ...)`."""

    def make(kind: str, name: str = "run", **sections: dict) -> dict:
        corpus = {
            "kind": "corpus",
            "train": [str(small_data / "text.txt")],
            "validation": [str(small_data / "valid.txt")],
        }
        table = {"kind": "table", "train": str(small_data / "train.tsv"), "validation": str(small_data / "dev.tsv")}
        recipe = {
            "seed": 5,
            "output": str(small_data / name),
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

    return make
