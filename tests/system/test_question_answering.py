"""Answers in passages from files of one's own: checked, trained, evaluated, predicted, opened in transformers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import groundup
from groundup.errors import ConfigError, DataError
from groundup.metrics.metric import Metric
from groundup.model.packed import Packed
from groundup.verbs.assemble import as_recipe
from groundup.verbs.evaluate import measure_target
from groundup.verbs.predict import predict_stream
from groundup.verbs.trained import load_trained

transformers = pytest.importorskip("transformers")

PLACES = ["Oslo", "Rome", "Cairo", "Lima", "北京", "上海", "广州", "成都"]


def make_rows(*, with_none: bool = False) -> list[dict[str, str]]:
    rows = []
    for number, place in enumerate(PLACES * 4):
        filler = "The sky is grey. " * (number % 5) if place.isascii() else "天是灰的。" * (number % 5)
        passage = filler + (f"The train goes to {place} today." if place.isascii() else f"火车今天开往{place}。")
        question = "Where does it go?" if place.isascii() else "它去哪里？"
        rows.append({"id": f"q{number}", "question": question, "passage": passage, "answer": place})
        if with_none:
            why = "Why is it late?" if place.isascii() else "为什么晚点？"
            rows.append({"id": f"n{number}", "question": why, "passage": passage, "answer": ""})
    return rows


def write_csv(path: Path, rows: list[dict[str, str]]) -> str:
    quoted = [",".join(f'"{value}"' for value in row.values()) for row in rows]
    path.write_text("\n".join([",".join(rows[0]), *quoted]) + "\n", encoding="utf-8")
    return str(path)


def make_recipe(folder: Path, rows: list[dict[str, str]], **objective: Any) -> dict[str, Any]:
    file = write_csv(folder / "all.csv", rows)
    sizes = {"hidden_size": 32, "num_layers": 2, "num_heads": 2, "intermediate_size": 64, "max_length": 48}
    windows = {"max_length": 48, "stride": 16, "max_question_length": 12, "max_answer_length": 8}
    return {
        "output": str(folder / "run"),
        "tokenizer": {"kind": "wordpiece", "vocab_size": 250, "min_frequency": 1},
        "data": {"kind": "questions", "train": file, "validation": file, "test": file},
        "model": {"kind": "transformer", **sizes},
        "objective": {"kind": "question_answering", **windows, **objective},
        "optimizer": {"kind": "adamw", "learning_rate": 5e-3},
        "train": {"steps": 60, "batch_size": 16, "device": "cpu", "threads": 1},
    }


def test_a_csv_goes_through_every_verb(tmp_path: Path) -> None:
    recipe = make_recipe(tmp_path, make_rows())
    report = groundup.check(recipe)
    assert report.splits[0].count == 32
    trained = groundup.train(recipe, quiet=True)
    assert trained.metrics["f1"].value > 90 and trained.metrics["f1"].signature.startswith("cmrc2018|")
    assert trained.test_metrics["exact"].value == trained.metrics["exact"].value
    found = groundup.evaluate(trained.folder)
    assert found.metrics["f1"] == trained.metrics["f1"] and "f1[where]" in found.classes
    same = groundup.compare(trained.folder, trained.folder)
    assert (same.metrics["f1"].first, same.metrics["f1"].p_value) == (trained.metrics["f1"].value, 1.0)
    assert same.both_right == round(trained.metrics["exact"].value * 0.32)
    content = json.loads((trained.folder / "report.json").read_text(encoding="utf-8"))["found"]
    assert content["rows"] == 32 and content["right_rows"] == round(trained.metrics["exact"].value * 0.32)
    shown = content["shown"][-1]
    assert shown["title"] in ("Where does it go?", "它去哪里？") and shown["found"] == shown["expected"]
    assert shown["text"][shown["found"][0]["start"] : shown["found"][0]["end"]] in PLACES
    assert 'id="found"' in (trained.folder / "report.html").read_text(encoding="utf-8")
    (row,) = groundup.predict(trained.model, [("它去哪里？", "天是灰的。火车今天开往上海。")])
    assert (row["answer"], row["start"], row["end"]) == ("上海", 11, 13)
    asked = make_rows()[:6]
    for each in asked:
        del each["answer"]
    rows = list(predict_stream(trained.model, write_csv(tmp_path / "new.csv", asked)))
    assert [(each["id"], each["answer"]) for each in rows] == [
        (each["id"], place) for each, place in zip(asked, PLACES, strict=False)
    ]
    with pytest.raises(ConfigError, match="the model learnt from pairs of texts, got None; give the second text with"):
        groundup.predict(trained.model, ["它去哪里？"])
    before, after = "天是灰的。" * 14_000, "天是灰的。" * 6_000  # 100,000 characters are read in windows
    (row,) = groundup.predict(trained.model, [("它去哪里？", f"{before}火车今天开往广州。{after}")])
    assert (row["answer"], row["start"]) == ("广州", len(before) + 6)

    folder = Path(str(trained.model))
    assert json.loads((folder / "config.json").read_text())["architectures"] == ["BertForQuestionAnswering"]
    peer = transformers.AutoModelForQuestionAnswering.from_pretrained(folder).eval()
    encode = transformers.AutoTokenizer.from_pretrained(folder)
    loaded = load_trained(folder)
    example = loaded.objective.examples_of([("Where does it go?", "The train goes to Rome today.")])
    sample = loaded.objective.encode(example, "input")[0]
    inputs = encode("Where does it go?", "The train goes to Rome today.", return_tensors="pt")
    assert inputs["input_ids"][0].tolist() == sample.input_ids.tolist()
    with torch.no_grad():
        theirs, packed = peer(**inputs), Packed.from_sequences([sample.input_ids], [sample.token_type_ids])
        ours = loaded.model.heads["span"](loaded.model(packed))
    logits = torch.stack([theirs.start_logits[0], theirs.end_logits[0]], dim=1)
    assert (ours - logits).abs().max() < 1e-4 < 1e-2 < (ours - logits.flip(1)).abs().max()


def test_no_answer_is_learnt_and_its_threshold_travels(tmp_path: Path) -> None:
    recipe = make_recipe(tmp_path, make_rows(with_none=True), no_answer=True)
    trained = groundup.train(recipe, quiet=True)
    assert trained.metrics["f1"].value > 50, "more than giving no answer reaches"
    manifest = json.loads((Path(str(trained.model)) / "groundup.json").read_text(encoding="utf-8"))
    assert manifest["facts"]["threshold"] == trained.metrics["threshold"].value
    assert load_trained(trained.folder).objective.threshold == manifest["facts"]["threshold"]
    where, why = groundup.predict(
        trained.model, [(question, "火车今天开往北京。") for question in ("它去哪里？", "为什么晚点？")]
    )
    assert where["no_answer"] < why["no_answer"]
    for row in (where, why):
        assert (row["answer"] is None) == (row["no_answer"] > manifest["facts"]["threshold"])


def test_training_ends_with_the_figures_of_the_threshold_that_is_saved(tmp_path: Path) -> None:
    recipe = make_recipe(tmp_path, make_rows(with_none=True), no_answer=True)
    trained = groundup.train(recipe, ["train.steps=12"], quiet=True)
    found = measure_target(trained.folder)
    task = found.trained.objective
    expected = values_of(task.score(found.measured, found.samples.examples))
    even = values_of(replace(task, threshold=0.5).score(found.measured, found.samples.examples))
    assert expected["f1"] != even["f1"], "or it would not matter which threshold is told of"
    assert values_of(groundup.evaluate(trained.folder).metrics) == expected
    assert values_of(trained.metrics) == values_of(trained.test_metrics) == expected
    content = json.loads((trained.folder / "report.json").read_text(encoding="utf-8"))
    assert {each["name"]: each["value"] for each in content["metrics"]} == expected
    assert "chosen on these questions" in trained.metrics["f1"].signature
    assert "chosen on these" not in trained.test_metrics["f1"].signature

    shutil.rmtree(str(trained.model))  # as if it had been killed before its end
    groundup.report(trained.folder)
    killed = json.loads((trained.folder / "report.json").read_text(encoding="utf-8"))
    assert killed["found"] == content["found"] and killed["metrics"] == content["metrics"]


def test_without_validation_the_threshold_is_even_for_all_that_follows(tmp_path: Path) -> None:
    recipe = make_recipe(tmp_path, make_rows(with_none=True), no_answer=True)
    file = recipe["data"].pop("validation")
    trained = groundup.train(recipe, ["train.steps=12"], quiet=True)
    assert load_trained(trained.folder).objective.threshold == 0.5
    assert "no answer above 0.5|" in trained.test_metrics["f1"].signature
    again = groundup.evaluate(trained.folder, [f"data.validation={file}"])
    assert values_of(again.metrics) == values_of(trained.test_metrics)
    assert again.metrics["f1"].value != again.metrics["best_f1"].value


def values_of(metrics: Mapping[str, Metric]) -> dict[str, float]:
    return {name: metric.value for name, metric in metrics.items()}


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"objective": {"kind": "classification"}}, ConfigError, "'classification' learns from a table, got data of"),
        ({"model": {"kind": "transformer", "causal": True}}, ConfigError, "needs an encoder stack"),
        (
            {"data": {"kind": "table", "train": "all.csv"}},
            ConfigError,
            "'question_answering' learns from questions, got data of kind 'table'",
        ),
    ],
    ids=["another task", "a decoder", "a table"],
)
def test_what_does_not_fit_is_refused(
    tmp_path: Path, change: dict[str, Any], error: type[Exception], message: str
) -> None:
    recipe = make_recipe(tmp_path, make_rows()) | change
    with pytest.raises(error, match=message):
        as_recipe(recipe)


def test_a_bad_row_is_told_of_before_training(tmp_path: Path) -> None:
    rows = make_rows()
    rows[3]["answer"] = "Lyon"
    recipe = make_recipe(tmp_path, rows)
    with pytest.raises(DataError, match=r"data.train \(.*all.csv:5\): the answer to 'q3' is not in its passage"):
        groundup.check(recipe)
    rows[3] |= {"answer": "Lima", "id": "q1"}
    with pytest.raises(DataError, match=r"data.train:5: has an id that stands twice, got 'q1'; line 3 has it too"):
        groundup.check(make_recipe(tmp_path, rows))
    assert not (tmp_path / "run").exists()
