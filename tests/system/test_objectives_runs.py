"""Each objective through the verbs, on both languages: trained, stopped and resumed exactly, shown."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from groundup.training.trainer import Trainer
from groundup.verbs.data import show
from groundup.verbs.train import train

Make = Callable[..., dict]

OBJECTIVES: dict[str, dict] = {
    "falling rate": {"kind": "masked", "unit": "span", "rate": {"start": 0.6, "end": 0.1}},
}


@pytest.fixture(params=sorted(OBJECTIVES))
def recipe_of(request: pytest.FixtureRequest, make_recipe: Make) -> Callable[[str], dict]:
    def make(name: str) -> dict:
        recipe = make_recipe("masked", name)
        recipe["objective"] = {"max_length": 32} | OBJECTIVES[request.param]
        return recipe

    return make


def read_metrics(folder: Path) -> list[dict]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return [{key: value for key, value in line.items() if key != "time"} for line in lines]


def test_a_run_that_is_stopped_resumes_exactly(
    recipe_of: Callable[[str], dict], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, cut = recipe_of("whole"), recipe_of("cut")
    assert train(whole, quiet=True).is_finished
    take_step = Trainer._take_step

    def stopping(self: Trainer, *arguments: object) -> object:
        outcome = take_step(self, *arguments)
        if self.state.progress.step == 7:
            os.kill(os.getpid(), signal.SIGTERM)
        return outcome

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_take_step", stopping)
        assert train(cut, quiet=True).step == 7
    assert train(cut, quiet=True).is_finished
    assert read_metrics(Path(whole["output"])) == read_metrics(Path(cut["output"]))
    first, second = (load_file(Path(recipe["output"]) / "model" / "model.safetensors") for recipe in (whole, cut))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_falling_rate_is_seen_in_what_the_steps_train_on(make_recipe: Make) -> None:
    recipe = make_recipe("masked", objective={"rate": {"start": 0.6, "end": 0.1}})
    shares = []
    for step in (0, 6, 11):
        report = show(recipe, step=step)
        tokens = sum(each.tokens - 2 * len(each.lengths) for each in report.micro_batches)
        shares.append(sum(each.masks.total for each in report.micro_batches) / tokens)
    assert shares == pytest.approx([0.6, 0.6 - 0.5 * 6 / 11, 0.1], abs=0.02)
