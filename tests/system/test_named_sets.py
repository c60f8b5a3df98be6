"""A data set by its name: checked, trained, evaluated and predicted like a table, and refused in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from groundup.errors import ConfigError, DataError
from groundup.readers.registry import DATA_SETS
from groundup.verbs.assemble import as_recipe
from groundup.verbs.check import check
from groundup.verbs.evaluate import evaluate
from groundup.verbs.predict import predict, predict_stream
from groundup.verbs.train import train

GOOD, BAD = ("a warm and funny film", "she is wonderful in it"), ("a dull and empty film", "he is lost in it")


@pytest.fixture
def recipe(tmp_path: Path) -> dict[str, Any]:
    """SST-2 and Multi30k in the layout in which they are released."""
    folder = tmp_path / "sets" / "glue" / "SST-2"
    folder.mkdir(parents=True)
    rows = [
        f"{text} {number}\t{label}" for number in range(8) for label, pair in enumerate((BAD, GOOD)) for text in pair
    ]
    for name, lines in {"train": rows, "dev": rows[:6]}.items():
        (folder / f"{name}.tsv").write_text("\n".join(["sentence\tlabel", *lines]) + "\n", encoding="utf-8")
    (folder / "test.tsv").write_text(f"index\tsentence\n0\t{GOOD[0]}\n", encoding="utf-8")
    return {
        "output": str(tmp_path / "run"),
        "tokenizer": {"kind": "wordpiece", "vocab_size": 120, "min_frequency": 1},
        "data": {"kind": "set", "name": "sst2", "folder": str(tmp_path / "sets"), "validation": "validation"},
        "model": {"kind": "transformer", "hidden_size": 16, "num_layers": 1, "num_heads": 2, "intermediate_size": 32},
        "objective": {"kind": "classification", "max_length": 32},
        "optimizer": {"kind": "adamw", "learning_rate": 0.01},
        "train": {"steps": 12, "batch_size": 8, "device": "cpu", "threads": 1},
    }


def test_a_named_set_goes_through_every_verb(recipe: dict[str, Any], tmp_path: Path) -> None:
    recipe["data"]["max_rows"] = 20
    report = check(recipe)
    assert [(split.name, split.count) for split in report.splits] == [("train", 20), ("validation", 6)]
    assert report.splits[0].files == (str(tmp_path / "sets" / "glue" / "SST-2" / "train.tsv"),)
    trained = train(recipe, quiet=True)
    assert trained.metrics["accuracy"].count == 6
    found = evaluate(trained.folder)
    assert found.data == "sst2, validation" and found.metrics["accuracy"] == trained.metrics["accuracy"]
    assert found.confusion and {"f1[0]", "f1[1]"} <= found.classes.keys()
    (tmp_path / "own.csv").write_text("text\n" + "\n".join(GOOD), encoding="utf-8")
    assert list(predict_stream(trained.model, str(tmp_path / "own.csv"))) == predict(trained.model, GOOD)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("name", "colla", r"data\.name: is unknown, got 'colla'; did you mean 'cola'\?"),
        ("name", "sst-2", r"data\.name: the data set is called 'sst2', got 'sst-2'"),
        ("train", "dev", r"data\.train: sst2 has no such split, got 'dev'; train, validation, test"),
        ("name", "conll2003", r"objective: 'classification' learns from a table, got data of kind 'set'"),
    ],
    ids=["a name nearly right", "another name of it", "no such split", "another kind of example"],
)
def test_what_does_not_fit_is_refused_before_a_file_is_opened(
    recipe: dict[str, Any], key: str, value: str, message: str
) -> None:
    recipe["data"][key] = value
    recipe["data"]["folder"] = "/nowhere"
    with pytest.raises(ConfigError, match=message):
        as_recipe(recipe)


def test_a_split_without_labels_or_files_teaches_nothing(recipe: dict[str, Any]) -> None:
    recipe["data"]["test"] = "test"
    with pytest.raises(DataError, match=r"data\.test: the split 'test' has no labels; name a split with labels"):
        check(recipe)
    recipe["data"] |= {"name": "rte", "test": None}
    with pytest.raises(DataError, match=r"rte: has none of its files in this folder.*get it from"):
        check(recipe)


def test_translations_are_pairs() -> None:
    recipe = {"kind": "set", "name": "multi30k"}
    assert DATA_SETS["multi30k"].kind == "translation"
    values = {
        "output": "run",
        "tokenizer": {"kind": "wordpiece"},
        "data": recipe,
        "model": {"kind": "transformer", "causal": True, "encoder": {}},
        "objective": {"kind": "seq2seq"},
        "optimizer": {"kind": "adamw", "learning_rate": 0.01},
        "train": {"steps": 1},
    }
    assert as_recipe(values).data.has_pair
    values["data"] = {"kind": "set", "name": "sst2"}
    with pytest.raises(ConfigError, match=r"data\.pair: 'seq2seq' learns from pairs"):
        as_recipe(values)
