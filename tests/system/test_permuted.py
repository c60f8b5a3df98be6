"""Permuted language modelling as whole runs: it learns, resumes to the bit, reads in segments, is evaluated."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from groundup.errors import ConfigError
from groundup.training.trainer import Trainer
from groundup.verbs.evaluate import evaluate
from groundup.verbs.predict import predict
from groundup.verbs.show import show
from groundup.verbs.train import train

DESIGN = {
    "position": {"kind": "relative"},
    "query_stream": True,
    "norm_places": ["residual"],
    "attention_bias": False,
    "num_token_types": 0,
    "pooled": "last",
    "dropout": dict.fromkeys(["embedding", "attention", "residual", "feed_forward", "final"], 0.1),
}
SETTINGS = {
    "whole": {"kind": "permuted", "max_length": 32, "rate": 0.3},
    "segments": {"kind": "permuted", "max_length": 32, "rate": 0.3, "segment_length": 8, "memory_length": 12},
}
Make = Callable[..., dict]


@pytest.fixture
def make_permuted(make_recipe: Make) -> Make:
    """A recipe over the small corpus: `make_permuted("whole" | "segments", name)`."""

    def make(kind: str, name: str = "run", **sections: dict) -> dict:
        sections = {"model": DESIGN, "train": {"steps": 20, "evaluate_every": 10}} | sections
        recipe = make_recipe("masked", name, **sections)
        recipe["objective"] = SETTINGS[kind]
        return recipe

    return make


def read_lines(folder: Path) -> list[dict]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return [{key: value for key, value in line.items() if key != "time"} for line in lines]


def assert_same_run(one: dict, other: dict) -> None:
    folders = [Path(each["output"]) for each in (one, other)]
    assert read_lines(folders[0]) == read_lines(folders[1])
    first, second = (load_file(folder / "model" / "model.safetensors") for folder in folders)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("kind", SETTINGS)
def test_a_run_stopped_anywhere_resumes_exactly(
    make_permuted: Make, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, again, cut = (make_permuted(kind, name) for name in ("whole", "again", "cut"))
    for recipe in (whole, again):
        train(recipe, quiet=True)
    assert_same_run(whole, again)
    take_step = Trainer._take_step

    def stopping(self: Trainer, *arguments: object) -> object:
        outcome = take_step(self, *arguments)
        if self.state.progress.step in (3, 13):
            os.kill(os.getpid(), signal.SIGTERM)
        return outcome

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_take_step", stopping)
        assert [train(cut, quiet=True).step for _ in range(2)] == [3, 13]
    assert train(cut, quiet=True).is_finished
    assert_same_run(whole, cut)
    seeded = make_permuted(kind, "seeded") | {"seed": 6}
    train(seeded, quiet=True)
    with pytest.raises(AssertionError):
        assert_same_run(whole, seeded)


@pytest.mark.parametrize("kind", SETTINGS)
def test_it_learns_and_is_evaluated(make_permuted: Make, kind: str) -> None:
    recipe = make_permuted(kind, train={"steps": 60, "evaluate_every": 20})
    report = train(recipe, quiet=True)
    losses = [line["metrics"]["loss"]["value"] for line in read_lines(report.folder) if line["kind"] == "evaluation"]
    assert losses[-1] < losses[0] < 4.45, "the logarithm of the vocabulary is what guessing loses"
    found = evaluate(report.folder).metrics
    assert found["loss"].value == pytest.approx(losses[-1], rel=1e-9)
    assert ("segments of 8 remembering 12" in found["loss"].signature) == (kind == "segments")
    content = json.loads((report.folder / "model" / "config.json").read_text())
    assert content["model_type"] == "xlnet" and content["architectures"] == ["XLNetLMHeadModel"]
    (row,) = predict(report.folder, ["the cat [MASK] one dog"])
    assert len(row["fills"]) == 1 and len({each["token"] for each in row["fills"][0]}) > 1


def test_micro_batches_do_not_change_a_run(make_permuted: Make) -> None:
    still = DESIGN | {"dropout": dict.fromkeys(DESIGN["dropout"], 0.0)}
    one = train(make_permuted("segments", "one", model=still), quiet=True)
    cut = {"steps": 20, "evaluate_every": 10, "micro_batch_tokens": 40}
    many = train(make_permuted("segments", "many", model=still, train=cut), quiet=True)
    for name, metric in one.metrics.items():
        assert many.metrics[name].value == pytest.approx(metric.value, rel=1e-3)


def test_targets_are_shown_with_their_order_and_segments(make_permuted: Make) -> None:
    texts = [each.text for each in show(make_permuted("segments")).sequences]
    assert any("[2→" in text for text in texts) and any(" | " in text for text in texts)
    assert not any("MASK" in text for text in texts)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"query_stream": False}, r"model\.query_stream: the objective 'permuted' predicts from it, got False"),
        ({"position": {"kind": "learned"}}, r"query_stream: needs positions that stand in no token, got 'learned'"),
        ({"causal": True}, r"causal: does not go with relative positions"),
    ],
)
def test_designs_that_cannot_are_refused_before_anything_is_prepared(
    make_permuted: Make, changes: dict, message: str
) -> None:
    recipe = make_permuted("whole")
    recipe["model"] |= changes
    with pytest.raises(ConfigError, match=message):
        train(recipe, quiet=True)
    assert not Path(recipe["output"]).exists()
