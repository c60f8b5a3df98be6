"""Entities from files of one's own: checked, trained, evaluated, predicted, compared, opened in transformers."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch

import groundup
from groundup.errors import ConfigError, DataError
from groundup.model.packed import Packed
from groundup.verbs.assemble import as_recipe
from groundup.verbs.predict import Watch, answer_batches, predict_stream
from groundup.verbs.predict_file import predict_file
from groundup.verbs.predict_source import open_source
from groundup.verbs.trained import Trained, load_trained

transformers = pytest.importorskip("transformers")

NAMES = {"PER": ("Mary Smith", "Anna", "张伟", "李娜"), "LOC": ("Paris", "New York", "北京", "上海")}
FRAMES = (
    ("{PER} went to {LOC} yesterday.", "In {LOC}, {PER} met nobody.", "We saw {LOC}.", "No news."),
    ("{PER}昨天去了{LOC}。", "在{LOC}，{PER}没见到人。", "我们看见了{LOC}。", "没有消息。"),
)


def make_row(draw: random.Random) -> dict[str, Any]:
    side = draw.randrange(2)
    parts = draw.choice(FRAMES[side]).replace("}", "{").split("{")
    text, spans = "", []
    for part in parts:
        if part in NAMES:
            name = draw.choice(NAMES[part][2 * side : 2 * side + 2])
            spans.append([len(text), len(text) + len(name), part])
            part = name
        text += part
    return {"text": text, "spans": spans}


def make_recipe(folder: Path, **objective: Any) -> dict[str, Any]:
    draw = random.Random(3)
    for name, count in (("train", 96), ("dev", 32)):
        rows = [json.dumps(make_row(draw), ensure_ascii=False) for _ in range(count)]
        (folder / f"{name}.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return {
        "output": str(folder / "run"),
        "tokenizer": {"kind": "wordpiece", "vocab_size": 200, "min_frequency": 1},
        "data": {"kind": "tagged", "train": str(folder / "train.jsonl"), "validation": str(folder / "dev.jsonl")},
        "model": {"kind": "transformer", "hidden_size": 32, "num_layers": 1, "num_heads": 2, "intermediate_size": 64},
        "objective": {"kind": "tagging", "max_length": 24, **objective},
        "optimizer": {"kind": "adamw", "learning_rate": 5e-3},
        "train": {"steps": 60, "batch_size": 16, "device": "cpu", "threads": 1},
    }


def check_files_of_tags(trained: Trained, folder: Path) -> None:
    """They are texts to predict on, whatever their ending and their scheme."""
    tags = "张 B-PER\n伟 E-PER\n来 O\n\n在 O\n上 B-LOC\n海 E-LOC\n"
    expected = groundup.predict(trained, ["张伟来", "在上海"])
    assert all(row["entities"] for row in expected)
    for name, content in {"a.conll": tags, "a.txt": tags, "b.txt": "张伟来\n在上海\n"}.items():
        (folder / name).write_text(content, encoding="utf-8")
        given = open_source(trained, str(folder / name), None, {}).iterate()
        assert [row for rows in answer_batches(trained, given, 8, Watch()) for row in rows] == expected
    (folder / "c.txt").write_text("she gave vitamin O\nhe ran to us\n", encoding="utf-8")
    texts = [each.text for each in open_source(trained, str(folder / "c.txt"), None, {}).iterate()]
    assert texts == ["she gave vitamin O", "he ran to us"], "not all of its lines end in a tag"
    (folder / "a.foo").write_text("张伟来\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"a\.foo:1: has no column for the tag"):
        list(open_source(trained, str(folder / "a.foo"), None, {}).iterate())
    (row,) = predict_file_rows(trained, folder, {"spans": "gold"})
    assert row["gold"] == [[0, 2, "PER"]] and row["text"] == "张伟来"


def predict_file_rows(trained: Trained, folder: Path, keep: dict[str, str]) -> list[dict[str, Any]]:
    (folder / "keep.jsonl").write_text('{"text": "张伟来", "spans": [[0, 2, "PER"]]}\n', encoding="utf-8")
    predict_file(trained, folder / "keep.jsonl", folder / "kept.jsonl", keep=keep, quiet=True)
    return [json.loads(line) for line in (folder / "kept.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("chain", [False, True])
def test_a_file_goes_through_every_verb(tmp_path: Path, chain: bool, capfd: pytest.CaptureFixture[str]) -> None:
    recipe = make_recipe(tmp_path, chain=chain)
    report = groundup.check(recipe)
    assert report.labels == ("LOC", "PER") and set(report.splits[0].label_counts) == {"LOC", "PER"}
    trained = groundup.train(recipe)
    counted = [split.label_counts for split in report.splits]
    log = capfd.readouterr().err
    for name, counts in zip(("train", "validation"), counted, strict=True):
        total, types = sum(counts.values()), ", ".join(f"{kind}: {counts[kind]}" for kind in report.labels)
        assert f"\n{name}: " in log and f" rows, {total} entities ({types}); 5 tags of iob2 by word; " in log
    assert trained.metrics["f1"].value > 0.9 and "entities, iob2, strict" in trained.metrics["f1"].signature.replace(
        "|", ", "
    )
    found = groundup.evaluate(trained.folder)
    assert found.metrics["f1"] == trained.metrics["f1"] and {"f1[PER]", "f1[LOC]"} <= found.classes.keys()
    text = "🙂 李娜昨天去了北京。"
    (row,) = groundup.predict(trained.model, [text])
    assert [(each["type"], text[each["start"] : each["end"]]) for each in row["entities"]] == [
        ("PER", "李娜"),
        ("LOC", "北京"),
    ]
    assert all(0 < each["score"] <= 1 for each in row["entities"])
    rows = list(predict_stream(trained.model, str(tmp_path / "dev.jsonl")))
    assert len(rows) == 32 and rows[0]["entities"]
    same = groundup.compare(trained.folder, trained.folder)
    assert same.metrics["f1"].p_value == 1.0 and same.both_right is not None
    written = json.loads((trained.folder / "report.json").read_text(encoding="utf-8"))
    assert [split["labels"] for split in written["data"]] == counted
    assert all(split["counts_entities"] and split["unlabelled"] == 0 for split in written["data"])
    content = written["found"]
    assert content["expected"] == counted[1] and sum(content["found"].values()) == sum(len(r["entities"]) for r in rows)
    assert content["rows"] == 32 and content["right_rows"] == same.both_right
    by_length = [each for each in content["buckets"] if each["by"] == "length"]
    assert sum(each["count"] for each in by_length) == 32
    assert round(sum(each["count"] * each["accuracy"] for each in by_length)) == content["right_rows"]
    model = load_trained(trained.folder)
    assert model.objective.writing.unit == "word"
    check_files_of_tags(model, tmp_path)


def test_the_folder_opens_in_transformers(tmp_path: Path) -> None:
    trained = groundup.train(make_recipe(tmp_path), quiet=True)
    theirs, info = transformers.BertForTokenClassification.from_pretrained(trained.model, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"]
    assert list(theirs.config.id2label.values()) == ["O", "B-LOC", "B-PER", "I-LOC", "I-PER"]
    ours = load_trained(trained.folder).model
    ids = torch.arange(5, 17)
    with torch.inference_mode():
        logits = theirs.eval()(input_ids=ids[None]).logits[0]
        found = ours.heads["token"](ours(Packed.from_sequences([ids.numpy()])))[:12]
        assert (found - logits).abs().max() < 1e-5
        ours.heads["token"].linear.bias += 0.1
        assert (ours.heads["token"](ours(Packed.from_sequences([ids.numpy()])))[:12] - logits).abs().max() > 0.05
    # Where a word is one token, their pipeline finds the same entities.
    tokenizer = transformers.AutoTokenizer.from_pretrained(trained.model)
    pipe = transformers.pipeline(
        "token-classification", model=theirs, tokenizer=tokenizer, aggregation_strategy="simple"
    )
    text = "在上海，张伟没见到人。"
    (row,) = groundup.predict(trained.model, [text])
    assert [(each["start"], each["end"], each["type"]) for each in row["entities"]] == [
        (each["start"], each["end"], each["entity_group"]) for each in pipe(text)
    ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.conll", "EU B-ORG\nsaid O\n\nhe I-PER\nran S-PER\n", r"data\.train:4: the tag of .* keep to .*one scheme"),
        (
            "a.jsonl",
            '{"text": "Marys car", "spans": [[0, 4, "PER"]]}\n',
            r"data\.train:1: .*ends are not those of words",
        ),
        ("a.jsonl", '{"text": "no entity here", "spans": []}\n', r"holds no entity"),
        ("a.csv", "token,tag\nEU,O\n", r"has no column for `sentence`"),
        ("a.jsonl", '{"text": "EU", "spans": [[0, 9, "ORG"]]}\n', r"span outside of its 2 characters.*code points"),
    ],
    ids=["mixed schemes", "inside a word", "no entity", "no column", "beyond the text"],
)
def test_mistakes_are_told_before_training(tmp_path: Path, name: str, content: str, message: str) -> None:
    recipe = make_recipe(tmp_path)
    (tmp_path / name).write_text(content, encoding="utf-8")
    recipe["data"] |= {"train": str(tmp_path / name)}
    with pytest.raises(DataError, match=message):
        groundup.train(recipe, quiet=True)
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_a_scheme_that_is_found_is_that_of_every_verb(tmp_path: Path) -> None:
    recipe = make_recipe(tmp_path)
    lines = ["Mary I-PER", "Anna B-PER", "sees O", "Paris I-LOC", ""] * 20
    (tmp_path / "a.conll").write_text("\n".join(lines) + "\n", encoding="utf-8")
    recipe["data"] |= {"train": str(tmp_path / "a.conll"), "validation": str(tmp_path / "a.conll")}
    train = groundup.check(recipe).splits[0]
    assert train.label_counts == {"PER": 40, "LOC": 20} and train.notes[0] == "4 tags of iob1 by word"
    trained = groundup.train(recipe | {"train": recipe["train"] | {"steps": 30}}, quiet=True)
    assert "iob1, strict" in trained.metrics["f1"].signature and trained.metrics["f1"].value == 1.0
    assert load_trained(trained.folder).objective.writing.scheme == "iob1"


def test_what_does_not_go_together_is_refused(tmp_path: Path) -> None:
    recipe = make_recipe(tmp_path)
    recipe["data"] = {"kind": "set", "name": "sst2"}
    with pytest.raises(ConfigError, match=r"objective: 'tagging' learns from tagged, got data of kind 'set'"):
        as_recipe(recipe)
    recipe["data"] = {"kind": "set", "name": "conll2003", "validation": "validation"}
    assert as_recipe(recipe).data.example_kind == "tags"
