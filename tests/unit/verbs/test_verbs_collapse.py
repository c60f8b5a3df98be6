"""What one answer to everything reaches, against scikit-learn's figures of that answer."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score
from small_runs import small_recipe

from groundup.verbs.assemble import as_recipe, assemble, build_model
from groundup.verbs.check import check
from groundup.verbs.collapse import find_judge
from groundup.verbs.series_folder import Judge

LABELS = ["no", "no", "no", "no", "no", "rare", "rare", "other"]
SETS = [["a"], ["a", "b"], [], ["a", "b"], ["c"], ["a"], ["b"], []]
ANSWERED = [True, True, False, True, False, False, True, True]


def write(path: Path, rows: list[dict]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def recipe_for(folder: Path, kind: str, rows: list[dict], **objective: object) -> dict:
    """Learns and is judged on the same rows."""
    recipe = small_recipe(folder, kind, kind)
    path = write(folder / "rows.jsonl", rows)
    data = {"question_answering": "questions", "multiple_choice": "choices"}.get(kind, "table")
    recipe["data"] = {"kind": data, "train": path, "validation": path}
    recipe["tokenizer"] = {"kind": "characters"}
    recipe["objective"] = {"kind": kind, "max_length": 64, **objective}
    recipe["model"]["max_length"] = 64
    return recipe


def judge(recipe: dict) -> Judge:
    recipe = as_recipe(recipe)
    parts = assemble(recipe, Path(recipe.output), quiet=True)
    return find_judge(recipe, parts, build_model(recipe, parts)[0].config)


@pytest.mark.parametrize("best", ["accuracy", "macro_f1"])
def test_one_label_for_every_row(tmp_path: Path, best: str) -> None:
    rows = [{"text": f"row {number}", "label": label} for number, label in enumerate(LABELS)]
    found = judge(recipe_for(tmp_path, "classification", rows, best=best))
    macro = f1_score(LABELS, ["no"] * len(LABELS), average="macro", zero_division=0)
    assert found.label == "no" and found.floor == pytest.approx(5 / 8 if best == "accuracy" else macro)


def test_f1_of_two_labels_is_highest_where_all_are_called_positive(tmp_path: Path) -> None:
    labels = [label if label != "other" else "rare" for label in LABELS]
    rows = [{"text": f"row {number}", "label": label} for number, label in enumerate(labels)]
    found = judge(recipe_for(tmp_path, "classification", rows, best="f1"))
    assert found.label == "rare" and found.floor == pytest.approx(2 * 3 / (3 + 8))


def test_the_same_labels_for_every_row(tmp_path: Path) -> None:
    rows = [{"text": f"row {number}", "label": labels} for number, labels in enumerate(SETS)]
    found = judge(recipe_for(tmp_path, "multi_label", rows, threshold="shared"))
    table = np.array([[name in labels for name in "abc"] for labels in SETS])
    best = {
        chosen: f1_score(table, np.tile([name in chosen for name in "abc"], (8, 1)), average="micro")
        for chosen in ("a", "ab", "abc", "b", "c", "bc", "ac")
    }
    assert found.floor == pytest.approx(max(best.values())) == best["ab"]
    assert found.label == "a, b"


def test_no_answer_to_any_question_and_a_guess_among_the_tokens_of_its_windows(tmp_path: Path) -> None:
    rows = [
        {"id": str(n), "question": "who?", "context": f"Tom {n} left.", "answers": ["Tom"] * is_answered}
        for n, is_answered in enumerate(ANSWERED)
    ]
    how = {"stride": 8, "max_question_length": 8}
    recipe = recipe_for(tmp_path, "question_answering", rows, no_answer=True, **how)
    found = judge(recipe)
    assert (found.metric, found.floor, found.label) == ("f1", 37.5, "no answer")
    step = check(recipe).step
    assert step.expected_loss == pytest.approx(math.log(len("who?") + len("Tom0left.") + 3), abs=0.2)
    assert step.expected_loss < math.log(64) - 0.5, "a window is shorter than the longest"


def test_an_even_guess_among_choices(tmp_path: Path) -> None:
    rows = [
        {"question": f"which {n}?", "choices": [f"choice {each}" for each in range(count)], "answer": 0}
        for n, count in enumerate((2, 3, 4))
    ]
    found = judge(recipe_for(tmp_path, "multiple_choice", rows))
    assert found.floor == pytest.approx((1 / 2 + 1 / 3 + 1 / 4) / 3) and found.label is None
