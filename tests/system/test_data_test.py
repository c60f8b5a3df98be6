"""`data.test`: looked at once, in the end, with the weights that validation chose."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from groundup.errors import DataError
from groundup.verbs.evaluate import evaluate
from groundup.verbs.train import train

Make = Callable[..., dict]


def test_the_test_file_is_scored_with_the_best_weights(make_recipe: Make, small_data: Path) -> None:
    rows = (small_data / "train.tsv").read_text(encoding="utf-8").splitlines()
    (small_data / "test.tsv").write_text("\n".join([rows[0], *rows[1:60]]) + "\n", encoding="utf-8")
    settings = {"steps": 40, "evaluate_every": 10}
    recipe = make_recipe("classification", data={"test": str(small_data / "test.tsv")}, train=settings)
    report = train(recipe, quiet=True)
    model = Path(recipe["output"]) / "model"
    again = evaluate(model, [f"data.validation={small_data / 'test.tsv'}"])
    assert report.test_metrics == again.metrics and report.test_metrics["accuracy"].count == 59
    assert report.metrics == evaluate(model).metrics != report.test_metrics
    kept = json.loads((model / "groundup.json").read_text(encoding="utf-8"))
    assert kept["test_metrics"]["accuracy"] == again.metrics["accuracy"].to_json()
    assert "## Test" in (model / "README.md").read_text(encoding="utf-8")
    assert "on data.test" in str(report)


def test_without_a_test_file_nothing_is_said_of_one(make_recipe: Make) -> None:
    recipe = make_recipe("classification")
    report = train(recipe, quiet=True)
    assert report.test_metrics == {} and "data.test" not in str(report)
    assert "## Test" not in (Path(recipe["output"]) / "model" / "README.md").read_text(encoding="utf-8")


def test_a_fault_in_the_test_file_is_found_before_the_first_step(make_recipe: Make, small_data: Path) -> None:
    (small_data / "test.tsv").write_text("text\tlabel\na cat\tcat\na dog\tdog\n", encoding="utf-8")
    recipe = make_recipe("classification", data={"test": str(small_data / "test.tsv")})
    with pytest.raises(DataError, match=r"data\.test:3: has a label unseen in training, got 'dog'"):
        train(recipe, quiet=True)
    assert not (Path(recipe["output"]) / "metrics.jsonl").exists()
