"""Advice: each rule fires where its figures say so, and only there."""

from __future__ import annotations

import copy
import shlex

import pytest
from report_content import RULES, change, figure, make_classes, make_content

from groundup.reporting.advice import find_advice
from groundup.reporting.content import Advice, Report
from groundup.reporting.texts import TEXTS


def rules(report: Report) -> dict[str, Advice]:
    return {piece["rule"]: piece for piece in find_advice(report)}


def quiet() -> Report:
    """A run that leaves little to wish for: pretrained, even classes, a falling loss that has levelled out."""
    content = copy.deepcopy(make_content())
    content["recipe"]["model"] = {"kind": "pretrained", "path": "somewhere"}
    content["metrics"] = [figure("accuracy", 0.9, 0.02, 2000), figure("loss", 0.3)]
    content["curves"]["validation"]["loss"] = [figure("loss", value) for value in (0.4, 0.301, 0.3)]
    content["curves"]["train"]["loss"] = [0.6, 0.5, 0.45, 0.4, 0.35, 0.3]
    content["classes"] = make_classes()
    content["classes"]["buckets"] = []
    for split in content["data"]:
        split["labels"] = {"cat": 60, "none": 60}
    return content


def test_a_run_that_is_well_is_left_alone() -> None:
    found = rules(quiet())
    assert set(found) == {"seed"}
    assert shlex.split(found["seed"]["command"] or "") == [
        "groundup",
        "train",
        "runs/a-run/recipe.json",
        "seed=6",
        "output=runs/a-run-seed-6",
    ]


@pytest.mark.parametrize(("rule", "changes", "overrides"), RULES)
def test_a_rule_fires_where_its_figures_say_so(
    rule: str, changes: dict[str, object], overrides: list[str] | None
) -> None:
    report = quiet()
    assert rule not in rules(report)
    for path, value in changes.items():
        change(report, path, value)
    found = rules(report)
    assert rule in found, list(found)
    if overrides is not None:
        assert found[rule]["overrides"] == overrides
    english, chinese = TEXTS[f"advice.{rule}.reason"]
    for text in (english, chinese):
        assert text.format_map(found[rule]["values"]), "every figure that the text names is given"


def test_a_corpus_with_short_ends() -> None:
    report = quiet()
    report["recipe"]["data"] |= {"kind": "corpus", "min_length": 8}
    report["data"][0]["tokens_lost"] = 500
    assert rules(report)["min_length"]["overrides"] == ["data.min_length=4"]


def test_positions_bound_the_length() -> None:
    """A pretrained model cannot have more of them; a fresh one is given them."""
    report = quiet()
    report["data"][0]["num_cut"] = 30
    assert report["design"] is not None
    report["design"]["config"]["max_length"] = 48
    assert rules(report)["max_length"]["overrides"] == ["objective.max_length=48"]
    report["design"]["config"]["max_length"] = 32
    assert "max_length" not in rules(report)
    report["recipe"]["model"] = {"kind": "transformer", "max_length": 48}
    assert rules(report)["max_length"]["overrides"] == ["objective.max_length=64", "model.max_length=64"]


def test_a_shorter_run_keeps_its_warm_up_inside() -> None:
    report = quiet()
    report["recipe"]["schedule"]["warmup"] = 4
    report["curves"]["validation"]["loss"] = [figure("loss", value) for value in (0.4, 0.7, 0.8)]
    assert rules(report)["shorter"]["overrides"] == ["train.steps=5", "schedule.warmup=0.1"]
    report["recipe"]["train"] |= {"steps": None, "epochs": 3}
    assert rules(report)["shorter"]["overrides"] == ["train.epochs=1.15"]


def test_dropout_ends_somewhere() -> None:
    report = quiet()
    report["curves"]["validation"]["loss"] = [figure("loss", value) for value in (0.9, 0.7, 0.8)]
    assert report["design"] is not None
    report["design"]["config"]["dropout"] = {"embedding": 0.5, "attention": 0.1, "residual": 0.5}
    assert "dropout" not in rules(report)


def test_a_run_that_goes_on_continues_in_its_own_folder() -> None:
    report = quiet()
    report["run"] |= {"state": "unfinished", "step": 7, "folder": "runs/with a blank"}
    assert rules(report)["continue"]["command"] == "groundup train 'runs/with a blank/recipe.json'"
    assert "seed" not in rules(report)


def test_there_are_never_too_many() -> None:
    report = quiet()
    for path, value in {
        "run.skipped": 1,
        "recipe.model": {"kind": "transformer", "max_length": 48},
        "metrics.0": figure("accuracy", 0.62, 0.04),
        "curves.validation.loss": [figure("loss", value) for value in (0.4, 0.7, 0.8)],
        "data.0.num_cut": 30,
        "data.0.unknown_tokens": 100,
        "data.0.labels": {"cat": 90, "none": 30},
    }.items():
        change(report, path, value)
    assert len(find_advice(report)) == 6
