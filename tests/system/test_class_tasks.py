"""Tasks on rows through every verb: what is learnt travels with the model, and transformers says the same of a text."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from compared_files import check_files_compare_alike
from small_runs import small_recipe, write_small_data

from groundup.checkpoint.manifest import encode_json
from groundup.errors import GroundupError
from groundup.metrics.metric import Metric
from groundup.verbs.check import check
from groundup.verbs.compare import compare
from groundup.verbs.evaluate import evaluate
from groundup.verbs.predict import predict
from groundup.verbs.report import report
from groundup.verbs.train import TrainReport, train

transformers = pytest.importorskip("transformers")

TEXTS = ["the cat sees one dog", "我 看 书", "two red fish runs"]
ANIMALS = ("cat", "dog", "猫")
OBJECTIVES = {
    "classification": {"class_weights": "balanced", "loss": {"kind": "focal", "gamma": 1.0}, "best": "macro_f1"},
    "multi_label": {"threshold": "per_label", "class_weights": "balanced"},
    "regression": {},
}


def write_rows(folder: Path) -> None:
    """The lines of the small data with which animals they name, and a price by their words: far from 0 and from 1."""
    write_small_data(folder)
    for name in ("train", "dev"):
        lines = (folder / f"{name}.tsv").read_text(encoding="utf-8").splitlines()[1:]
        rows = []
        for line in lines:
            text, label = line.split("\t")
            words = text.split()
            animals = [animal for animal in ANIMALS if animal in words]
            price = 250_000 + 1_000 * len(words) + 90_000 * ("red" in words)
            rows.append({"text": text, "label": label, "animals": animals, "price": price})
        content = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
        (folder / f"{name}.jsonl").write_text(content + "\n", encoding="utf-8")


def recipe_for(folder: Path, kind: str, **sections: dict) -> dict:
    label = {"classification": "label", "multi_label": "animals", "regression": "price"}[kind]
    recipe = small_recipe(folder, kind, kind, **{"train": {"steps": 24}, **sections})
    data = {"kind": "table", "label": label}
    recipe["data"] = data | {name: str(folder / file) for name, file in FILES.items()}
    recipe["objective"] = {"kind": kind, "max_length": 32, **OBJECTIVES[kind]} | sections.get("objective", {})
    return recipe


FILES = {"train": "train.jsonl", "validation": "dev.jsonl", "test": "dev.jsonl"}


@pytest.fixture(scope="module", params=OBJECTIVES)
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TrainReport:
    folder = tmp_path_factory.mktemp(request.param)
    write_rows(folder)
    return train(recipe_for(folder, request.param), quiet=True)


def kind_of(trained: TrainReport) -> str:
    return trained.folder.name


def run_peer(folder: Path, text: str) -> torch.Tensor:
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        return model(**tokenizer(text, return_tensors="pt")).logits[0].double()


def read_facts(trained: TrainReport) -> dict:
    assert trained.model is not None
    return json.loads((trained.model / "groundup.json").read_text(encoding="utf-8"))["facts"]


def read_scores(kind: str, logits: torch.Tensor) -> list[float]:
    match kind:
        case "classification":
            return logits.softmax(dim=0).tolist()
        case "multi_label":
            return logits.sigmoid().tolist()
        case _:
            return logits.tolist()


def distance(trained: TrainReport, read_as: str) -> float:
    """How far the scores of transformers are from ours, where its logits are read as those of some task."""
    assert trained.model is not None
    apart = []
    for row in predict(trained.folder, TEXTS):
        ours = [row["number"]] if "number" in row else list(row["probabilities"].values())
        theirs = read_scores(read_as, run_peer(trained.model, str(row["text"])))
        apart.append(max(abs(one - other) / max(1.0, abs(one)) for one, other in zip(ours, theirs, strict=True)))
    return max(apart)


def test_transformers_says_the_same(trained: TrainReport) -> None:
    kind = kind_of(trained)
    assert distance(trained, kind) < 1e-5
    wrong = {"classification": "multi_label", "multi_label": "classification", "regression": "multi_label"}[kind]
    assert distance(trained, wrong) > 5e-4, "or it would not matter what the logits are for"
    assert trained.model is not None
    config = json.loads((trained.model / "config.json").read_text(encoding="utf-8"))
    names = {"classification": "single_label_classification", "multi_label": "multi_label_classification"}
    assert config["problem_type"] == names.get(kind, "regression")
    pipeline = transformers.pipeline("text-classification", model=str(trained.model), top_k=None)
    (row,) = predict(trained.folder, TEXTS[:1])
    scores = {each["label"]: each["score"] for each in pipeline([TEXTS[0]])[0]}
    expected = {"LABEL_0": row["number"]} if kind == "regression" else row["probabilities"]
    assert scores == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_a_folder_without_our_manifest_is_read_by_its_problem_type(trained: TrainReport, tmp_path: Path) -> None:
    assert trained.model is not None
    shutil.copytree(trained.model, tmp_path / "bare")
    (tmp_path / "bare" / "groundup.json").unlink()
    for ours, bare in zip(predict(trained.folder, TEXTS), predict(tmp_path / "bare", TEXTS), strict=True):
        key = "number" if kind_of(trained) == "regression" else "probabilities"
        assert bare[key] == pytest.approx(ours[key])


def test_what_was_chosen_on_validation_is_what_evaluate_and_predict_use(trained: TrainReport) -> None:
    again = evaluate(trained.folder)
    # Prices in fp32 are exact to some cents, and after so few steps the predictions are much alike.
    close = {"rel": 2e-3 if kind_of(trained) == "regression" else 1e-5}
    assert values(again.metrics) == pytest.approx(values(trained.metrics), **close)
    assert values(trained.test_metrics) == pytest.approx(values(trained.metrics), **close), "here the same rows"
    written = json.loads(json.dumps(report(trained.folder).to_json()))
    assert written["state"] == "finished"
    shown = json.loads((trained.folder / "report.json").read_text(encoding="utf-8"))
    assert {each["name"]: each["value"] for each in shown["metrics"]} == pytest.approx(values(trained.metrics))


def values(metrics: dict[str, Metric]) -> dict[str, float]:
    return {name: metric.value for name, metric in metrics.items()}


def test_the_report_shows_rows_as_predict_answers_them(trained: TrainReport) -> None:
    content, kind = json.loads((trained.folder / "report.json").read_text(encoding="utf-8")), kind_of(trained)
    assert [name for name in ("classes", "labels", "numbers") if content[name] is not None] == [
        {"classification": "classes", "multi_label": "labels", "regression": "numbers"}[kind]
    ]
    rows = [json.loads(line) for line in (trained.folder.parent / "dev.jsonl").read_text(encoding="utf-8").splitlines()]
    answers = predict(trained.folder, [row["text"] for row in rows])
    if kind == "regression":
        numbers = content["numbers"]
        errors = [each["number"] - row["price"] for each, row in zip(answers, rows, strict=True)]
        assert [each["true"] for each in numbers["worst"]] == [
            rows[n]["price"] for n in np.argsort(-np.abs(errors), kind="stable")[:12]
        ]
        for by in ("band", "length", "language"):
            parts = [each for each in numbers["parts"] if each["by"] == by]
            assert sum(each["count"] for each in parts) == len(rows)
            assert all(each["count"] == 1 or each["low"] < each["error"] < each["high"] for each in parts)
            assert sum(each["count"] * each["error"] for each in parts) == pytest.approx(np.abs(errors).sum())
            assert sum(each["count"] * each["bias"] for each in parts) == pytest.approx(sum(errors))
    if kind == "multi_label":
        assert all(split["unlabelled"] == 0 for split in content["data"]), "a row may have several labels"
        labels, scored = content["labels"], evaluate(trained.folder)
        wrong = [each for each, row in zip(answers, rows, strict=True) if set(each["labels"]) != set(row["animals"])]
        assert labels["wrong_rows"] == len(wrong) == len(rows) - labels["right_rows"]
        assert {f"f1[{each['label']}]": each["f1"] for each in labels["figures"]} == {
            name: metric.to_json() for name, metric in scored.classes.items() if name.startswith("f1[")
        }
        assert [each["threshold"] for each in labels["figures"]] == list(read_facts(trained)["thresholds"].values())
        for which in ("wrong", "right"):
            for each in labels[which]:
                assert each["true"] == rows[each["line"] - 1]["animals"]
                assert each["given"] == answers[each["line"] - 1]["labels"]
                assert (set(each["given"]) == set(each["true"])) == (which == "right")


def test_two_models_are_compared_by_the_figures_of_evaluate(trained: TrainReport, tmp_path: Path) -> None:
    """Whose sides are not mixed up, and of which one that learnt nothing more is worse on some rows."""
    kind, folder = kind_of(trained), trained.folder.parent
    recipe = recipe_for(folder, kind, train={"steps": 1, "evaluate_every": None}) | {"output": str(folder / "poor")}
    other = train(recipe, quiet=True)
    found = compare(trained.folder, other.folder)
    both = [values(evaluate(each.folder).metrics) for each in (trained, other)]
    close = {"rel": 2e-3 if kind == "regression" else 1e-5}
    for name in found.metrics.keys() - {"loss"}:  # which is plain cross-entropy here, whatever was learnt by
        each = found.metrics[name]
        assert (each.first, each.second) == pytest.approx([figures[name] for figures in both], **close), name
    assert {"classification": "f1", "multi_label": "f1", "regression": "mae"}[kind] in found.metrics
    assert found.first_better + found.second_better > 0
    assert (found.both_right is None) == (kind != "classification"), "a number is more or less wrong"
    keep, wrong = {"classification": ("label", "cat"), "multi_label": ("animals", []), "regression": ("price", 1)}[kind]
    check_files_compare_alike((trained.folder, other.folder), folder / "dev.jsonl", keep, tmp_path, wrong=wrong)
    same = compare(trained.folder, trained.folder)
    assert {each.p_value for each in same.metrics.values()} == {1.0} and same.first_better == 0


def test_thresholds_travel_in_the_manifest(trained: TrainReport, tmp_path: Path) -> None:
    if kind_of(trained) != "multi_label":
        pytest.skip("thresholds are for rows with several labels")
    assert trained.model is not None
    facts = json.loads((trained.model / "groundup.json").read_text(encoding="utf-8"))["facts"]
    assert list(facts["thresholds"]) == list(ANIMALS) and len(set(facts["thresholds"].values())) > 1
    for row in predict(trained.folder, TEXTS):
        given = [name for name, share in row["probabilities"].items() if share >= facts["thresholds"][name]]
        assert row["labels"] == given
    changed = tmp_path / "changed"
    shutil.copytree(trained.model, changed)
    manifest = json.loads((changed / "groundup.json").read_text(encoding="utf-8"))
    manifest["facts"]["thresholds"] = dict.fromkeys(ANIMALS, 1e-9)
    del manifest["checksum"]
    (changed / "groundup.json").write_bytes(encode_json(manifest))
    assert all(row["labels"] == list(ANIMALS) for row in predict(changed, TEXTS)), "or the file is not what decides"


def test_training_goes_on_from_a_folder(trained: TrainReport, tmp_path: Path) -> None:
    """Where nothing is learnt, what was learnt before is said again: heads are read in the unit they are written in."""
    kind, data = kind_of(trained), trained.folder.parent
    recipe = recipe_for(data, kind, optimizer={"learning_rate": 1e-12}, train={"steps": 1, "evaluate_every": 1})
    recipe |= {"output": str(tmp_path / "on"), "model": {"kind": "pretrained", "path": str(trained.model)}}
    del recipe["tokenizer"]
    on = train(recipe, quiet=True)
    assert values(on.metrics) == pytest.approx(values(trained.metrics), rel=1e-3)
    for before, after in zip(predict(trained.folder, TEXTS), predict(on.folder, TEXTS), strict=True):
        key = "number" if kind == "regression" else "probabilities"
        assert after[key] == pytest.approx(before[key], rel=1e-4)


def test_check_tells_what_the_rows_hold(tmp_path: Path) -> None:
    write_rows(tmp_path)
    labels = check(recipe_for(tmp_path, "multi_label"))
    assert labels.baseline is None and labels.labels == ANIMALS
    assert "guessing evenly among 2 gives 0.6931" in str(labels)
    shares = [line for line in str(labels).splitlines() if line.startswith("cat ")]
    count = labels.splits[0].label_counts["cat"]
    assert f"{count / labels.splits[0].count:.1%}" in shares[0], "a share of the rows, not of the labels"
    numbers = check(recipe_for(tmp_path, "regression"))
    assert numbers.labels is None and "always the mean gives 1.0000" in str(numbers)
    (tmp_path / "train.jsonl").write_text(
        "\n".join(json.dumps({"text": f"word {number}", "label": f"name {number}"}) for number in range(200))
    )
    many = recipe_for(tmp_path, "classification", train={"evaluate_every": None})
    many["data"] |= {"validation": None, "test": None}
    assert "200 of 200 labels of train have a single row" in "\n".join(check(many).warnings)


Mistake = Callable[[dict], None]


def without_validation(recipe: dict) -> None:
    recipe["data"]["validation"] = None
    recipe["train"]["evaluate_every"] = None


MISTAKES: dict[str, tuple[str, Mistake, str]] = {
    "no validation": (
        "multi_label",
        without_validation,
        r"objective\.threshold: is chosen on validation data, of which there is none, got 'per_label'; name",
    ),
    "several labels": (
        "classification",
        lambda recipe: recipe["data"].update(label="animals"),
        r"data\.train:1: has a list of labels, got .*; take objective\.kind=multi_label",
    ),
    "words for numbers": (
        "regression",
        lambda recipe: recipe["data"].update(label="label"),
        r"data\.train:1: is no number, got '\w+'; write it with a dot",
    ),
    "unknown weights": (
        "classification",
        lambda recipe: recipe["objective"].update(class_weights={"cart": 2.0}),
        r"objective\.class_weights: names no label, got 'cart'; did you mean 'cat'\? known labels: cat, none",
    ),
    "no weight": (
        "classification",
        lambda recipe: recipe["objective"].update(class_weights={"cat": 0}),
        r"objective\.class_weights.*must be greater than 0\.0, got 0",
    ),
    "no threshold": (
        "multi_label",
        lambda recipe: recipe["objective"].update(threshold=1.5),
        r"objective\.threshold.*less than 1",
    ),
    "no column": (
        "regression",
        lambda recipe: recipe["data"].update(label="prise"),
        r"has no column for `label`, got 'prise'; did you mean 'price'\?",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_told_before_any_work(name: str, tmp_path: Path) -> None:
    kind, make, message = MISTAKES[name]
    write_rows(tmp_path)
    recipe = recipe_for(tmp_path, kind)
    make(recipe)
    with pytest.raises(GroundupError, match=message):
        check(recipe)
    assert not (tmp_path / kind).exists()


def test_a_text_of_a_hundred_thousand_tokens_is_cut_and_counted(tmp_path: Path) -> None:
    write_rows(tmp_path)
    row = {"text": "cat " * 100_000, "label": "cat", "animals": ["cat"], "price": 300_000}
    with (tmp_path / "train.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
    for kind in OBJECTIVES:
        found = check(recipe_for(tmp_path, kind))
        assert found.lengths.longest == 100_002 and found.lengths.tokens_lost >= 100_002 - 32, kind
    answers = predict(train(recipe_for(tmp_path, "regression", train={"steps": 1}), quiet=True).folder, [row["text"]])
    assert np.isfinite(answers[0]["number"])
