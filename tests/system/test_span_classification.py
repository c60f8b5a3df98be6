"""Entities within entities, English and Chinese, through the commands: trained, evaluated, predicted, compared."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import yaml
from pages import Run, run

import groundup
from groundup.checkpoint import pretrained
from groundup.errors import DataError

__all__ = ["run"]

PLACES = (("Paris", "New York", "Delft"), ("北京", "上海", "青岛"))
FRAMES = (
    ("🙂 [The University of [{}]LOC]ORG opened .", "We went to [{}]LOC today .", "[Mary]PER left [{} Zoo]ORG ."),
    ("🙂[[{}]LOC大学]ORG开学了。", "我们今天去了[{}]LOC。", "[李娜]PER离开了[{}动物园]ORG。"),
)


def make_row(draw: random.Random) -> dict[str, Any]:
    side = draw.randrange(2)
    marked = draw.choice(FRAMES[side]).format(draw.choice(PLACES[side]))
    text, opened, spans = "", [], []
    while marked:
        if marked[0] == "[":
            opened.append(len(text))
        elif marked[0] == "]":
            spans.append([opened.pop(), len(text), marked[1:4]])
            marked = marked[3:]
        else:
            text += marked[0]
        marked = marked[1:]
    return {"text": text, "spans": spans}


def make_recipe(folder: Path, **objective: Any) -> dict[str, Any]:
    draw = random.Random(5)
    for name, count in (("train", 96), ("dev", 24)):
        rows = [json.dumps(make_row(draw), ensure_ascii=False) for _ in range(count)]
        (folder / f"{name}.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return {
        "output": str(folder / "run"),
        "tokenizer": {"kind": "wordpiece", "vocab_size": 200, "min_frequency": 1},
        "data": {"kind": "tagged", "train": str(folder / "train.jsonl"), "validation": str(folder / "dev.jsonl")},
        "model": {"kind": "transformer", "hidden_size": 32, "num_layers": 1, "num_heads": 2, "initializer_range": 0.1},
        "objective": {"kind": "span_classification", "max_length": 24, "size": 24, **objective},
        "optimizer": {"kind": "adamw", "learning_rate": 1e-2},
        "train": {"steps": 80, "batch_size": 16, "device": "cpu", "threads": 1},
    }


def test_nested_entities_go_through_every_command(tmp_path: Path, run: Run) -> None:
    recipe, runs = make_recipe(tmp_path), tmp_path / "run"
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe, allow_unicode=True), encoding="utf-8")
    checked = run("check", str(path))
    assert checked.code == 0 and "guessing evenly among 4" in checked.out and "ORG" in checked.out
    assert run("train", str(path), "--quiet").code == 0
    evaluated = run("evaluate", str(runs), "--json")
    metrics = json.loads(evaluated.out)["metrics"]
    assert metrics["f1"]["value"] > 0.9 and "exact spans, nested" in metrics["f1"]["signature"]
    for text, expected in (
        ("🙂 The University of Delft opened .", [("The University of Delft", "ORG"), ("Delft", "LOC")]),
        ("🙂上海大学开学了。", [("上海大学", "ORG"), ("上海", "LOC")]),
    ):
        row = json.loads(run("predict", str(runs), text).out)
        assert row["text"] == text
        assert [(text[each["start"] : each["end"]], each["type"]) for each in row["entities"]] == expected
        assert [each["text"] for each in row["entities"]] == [name for name, _ in expected]
        assert all(0.25 < each["score"] <= 1 for each in row["entities"])
    same = run("compare", str(runs), str(runs))
    assert same.code == 0 and "both right" in same.out
    found = json.loads((runs / "report.json").read_text(encoding="utf-8"))["found"]
    assert found["rows"] == 24 and {"f1[LOC]", "f1[ORG]", "f1[PER]"} <= {each["name"] for each in found["parts"]}
    loaded = pretrained.load(runs / "model")
    assert loaded.labels == ("LOC", "ORG", "PER") and loaded.fresh == loaded.dropped == ()
    assert json.loads((runs / "model" / "config.json").read_text(encoding="utf-8"))["label2id"]["PER"] == 2


@pytest.mark.parametrize(
    ("spans", "objective", "message"),
    [
        ([[0, 3, "PER"]], {"unit": "word"}, r"data\.train:1: .*ends are not those of words.*unit=character"),
        ([[0, 8, "PER"], [5, 14, "LOC"]], {}, r"data\.train:1: has entities that cross each other.*correct it"),
        ([[0, 14, "PER"]], {"max_span": 2}, r"data\.train:1: has an entity of 3 words, more than objective.max_span=2"),
        ([[0, 4, "PER"], [0, 8, "ORG"]], {"nested": False}, r"data\.train:1: has an entity within.*nested=true"),
        ([[0, 4, "PRE"]], {"labels": ["LOC", "PER"]}, r"data\.train:1: has a label unseen.*'PRE'; did you mean 'PER'"),
        (
            [[0, 4, "PER"], [0, 8, "LOC"]],
            {"kind": "tagging", "size": None},
            r"entities overlap.*kind=span_classification",
        ),
    ],
    ids=["inside a word", "crossing", "too long", "nested", "unseen", "nested for a tagger"],
)
def test_mistakes_are_told_before_training(
    tmp_path: Path, spans: list[list[object]], objective: dict[str, Any], message: str
) -> None:
    recipe = make_recipe(tmp_path)
    recipe["objective"] = {key: value for key, value in (recipe["objective"] | objective).items() if value is not None}
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": "Mary von Delft", "spans": spans}) + "\n", encoding="utf-8")
    recipe["data"] |= {"train": str(tmp_path / "a.jsonl")}
    with pytest.raises(DataError, match=message):
        groundup.train(recipe, quiet=True)
    assert not (tmp_path / "run" / "checkpoints").exists()
