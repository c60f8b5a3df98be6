"""Whole runs, shrunken: that they repeat, resume, stop and tell the truth about a bad loss."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from groundup.checkpoint.store import Store
from groundup.errors import CheckpointError, TrainingError
from groundup.objectives.masked import MaskedObjective
from groundup.objectives.protocol import Loss
from groundup.training import trainer
from groundup.training.trainer import Trainer
from groundup.verbs.train import train

ROOT = Path(__file__).parents[2]
Make = Callable[..., dict]


def read_lines(folder: Path) -> list[dict]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return [{key: value for key, value in line.items() if key != "time"} for line in lines]


def read_model(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model" / "model.safetensors")


def assert_same_run(one: Path, other: Path) -> None:
    assert read_lines(one) == read_lines(other)
    first, second = read_model(one), read_model(other)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("kind", ["masked", "classification"])
def test_a_run_repeats_and_another_seed_does_not(make_recipe: Make, kind: str) -> None:
    one, other, seeded = (make_recipe(kind, name) for name in "abc")
    for recipe in (one, other, seeded | {"seed": 6}):
        train(recipe, quiet=True)
    assert_same_run(Path(one["output"]), Path(other["output"]))
    with pytest.raises(AssertionError):
        assert_same_run(Path(one["output"]), Path(seeded["output"]))


@pytest.mark.parametrize(
    ("stop_at", "optimizer"), [(3, "adamw"), (4, "adamw"), (7, "adamw"), (11, "adamw"), (4, "muon"), (7, "muon")]
)
def test_a_run_stopped_at_any_step_resumes_exactly(
    make_recipe: Make, monkeypatch: pytest.MonkeyPatch, stop_at: int, optimizer: str
) -> None:
    whole, cut = (make_recipe("masked", name, optimizer={"kind": optimizer}) for name in ("whole", "cut"))
    train(whole, quiet=True)
    take_step = Trainer._take_step

    def stopping(self: Trainer, *arguments: object) -> object:
        outcome = take_step(self, *arguments)
        if self.state.progress.step == stop_at:
            os.kill(os.getpid(), signal.SIGTERM)
        return outcome

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_take_step", stopping)
        report = train(cut, quiet=True)
    assert not report.is_finished and report.step == stop_at and report.stopped_by == signal.SIGTERM
    assert not (Path(cut["output"]) / "model").exists()
    assert train(cut, quiet=True).is_finished
    assert_same_run(Path(whole["output"]), Path(cut["output"]))


def test_random_kills_inside_and_outside_saves_end_bit_identical() -> None:
    script = ROOT / "benchmarks" / "kill_and_resume.py"
    command = [sys.executable, str(script), "--kills", "6", "--during-save", "3", "--seed", "1"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    outcome = json.loads(result.stdout[result.stdout.index("{") :])
    assert outcome == {"kills": 6, "during_save": 3, "threads": 1, "differing": []}


def test_the_command_line_saves_on_sigterm_and_continues(make_recipe: Make, small_data: Path) -> None:
    recipe = make_recipe("masked", train={"steps": 4000, "save_every": 1000, "evaluate_every": 4000})
    path = small_data / "recipe.yaml"
    path.write_text(json.dumps(recipe), encoding="utf-8")  # JSON is YAML
    command = [sys.executable, "-m", "groundup", "train", str(path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    metrics = Path(recipe["output"]) / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while (not metrics.exists() or not metrics.read_bytes()) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    process.terminate()
    out, err = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM, err
    assert "run the same command to continue" in out
    store = Store(Path(recipe["output"]) / "checkpoints")
    assert store.steps() and not store.verify(store.steps()[-1])


def test_early_stopping_keeps_the_best_weights(make_recipe: Make) -> None:
    recipe = make_recipe("classification", train={"steps": 200, "evaluate_every": 2, "patience": 3, "keep_last": 1})
    recipe["optimizer"]["learning_rate"] = 0.1  # too much: validation gets worse soon
    report = train(recipe, quiet=True)
    assert report.is_finished and report.step < 200
    assert report.step_of_model == report.step - 6
    scores = {
        line["step"]: line["metrics"]["accuracy"]["value"] for line in read_lines(report.folder) if "metrics" in line
    }
    assert scores[report.step_of_model] == max(scores.values())
    kept = Store(report.folder / "checkpoints").load(report.step_of_model)["model"]
    assert torch.equal(kept["blocks.0.attention.q.weight"], _own_names(report.folder)["blocks.0.attention.q.weight"])


def _own_names(folder: Path) -> dict[str, torch.Tensor]:
    from groundup.checkpoint import pretrained

    return pretrained.load(folder / "model").model.state_dict()


def poison(monkeypatch: pytest.MonkeyPatch, steps: set[int]) -> None:
    """Make the loss of some steps NaN."""
    original, calls = MaskedObjective.loss, {"step": -1}

    def loss(self: MaskedObjective, model: object, batch: object) -> Loss:
        value = original(self, model, batch)
        if model.training:
            calls["step"] += 1
            if calls["step"] in steps:
                return Loss(value.sum * float("nan"), value.count)
        return value

    monkeypatch.setattr(MaskedObjective, "loss", loss)


def test_a_loss_that_is_not_a_number_stops_the_run_and_shows_its_batch(
    make_recipe: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = make_recipe("masked")
    poison(monkeypatch, {5})
    with pytest.raises(TrainingError, match=r"step 6: is not finite: loss nan.*on_nonfinite=skip"):
        train(recipe, quiet=True)
    folder = Path(recipe["output"])
    written = json.loads((folder / "bad_batches" / "step-6.json").read_text(encoding="utf-8"))
    batch = written["micro_batches"][0]
    assert len(batch["samples"]) == len(batch["input_ids"]) == len(batch["text"]) == 16
    assert any("[MASK→" in text for text in batch["text"])
    assert read_lines(folder)[-1]["kind"] == "bad_step"


def test_bad_steps_are_skipped_where_the_recipe_says_so(make_recipe: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = make_recipe("masked", train={"on_nonfinite": "skip"})
    poison(monkeypatch, {2, 5})
    report = train(recipe, quiet=True)
    assert report.is_finished
    lines = read_lines(report.folder)
    assert [line["step"] for line in lines if line["kind"] == "bad_step"] == [3, 6]
    assert all(line["loss"] == line["loss"] for line in lines if line["kind"] == "train")
    assert all(torch.isfinite(tensor).all() for tensor in read_model(report.folder).values())


def test_too_many_bad_steps_in_a_row_stop_even_a_skipping_run(
    make_recipe: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = make_recipe("masked", train={"on_nonfinite": "skip", "max_skipped_in_a_row": 3})
    poison(monkeypatch, {4, 5, 6, 7})
    with pytest.raises(TrainingError, match="3 bad steps in a row"):
        train(recipe, quiet=True)


def test_a_resume_on_other_terms_is_refused(make_recipe: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = make_recipe("masked", train={"save_every": 2})
    poison(monkeypatch, {7})
    with pytest.raises(TrainingError):
        train(recipe, quiet=True)
    with pytest.raises(CheckpointError, match=r"another recipe, which differs in optimizer.learning_rate"):
        train(recipe, ["optimizer.learning_rate=1e-2"], quiet=True)
    domain = trainer.exactness_domain
    monkeypatch.setattr(trainer, "exactness_domain", lambda *where: domain(*where) | {"threads": 7})
    with pytest.raises(CheckpointError, match=r"would not be exact: threads was 1 and is 7; .*--accept-inexact"):
        train(recipe, quiet=True)
    assert train(recipe, quiet=True, accept_inexact=True).is_finished


def test_changed_data_are_noticed_at_resume(make_recipe: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = make_recipe("classification", train={"save_every": 2, "steps": 4})
    train(recipe, quiet=True)
    path = Path(recipe["data"]["train"])
    path.write_text(path.read_text(encoding="utf-8") + "one more row\tnone\n", encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"data.train: has changed"):
        train(recipe, quiet=True)


def test_a_damaged_checkpoint_is_named_and_the_last_good_one_offered(make_recipe: Make) -> None:
    recipe = make_recipe("masked", train={"save_every": 2, "keep_last": 3})
    report = train(recipe, quiet=True)
    newest = report.folder / "checkpoints" / "step-12" / "tensors.safetensors"
    data = bytearray(newest.read_bytes())
    data[len(data) // 2] ^= 4
    newest.write_bytes(bytes(data))
    with pytest.raises(CheckpointError, match=r"tensors\.safetensors.*step 10 is good"):
        train(recipe, quiet=True)


def test_micro_batches_do_not_change_a_run(make_recipe: Make) -> None:
    none = {"dropout": {"embedding": 0.0, "attention": 0.0, "residual": 0.0}}
    one = make_recipe("masked", "one", model=none)
    eight = make_recipe("masked", "eight", model=none, train={"micro_batch_tokens": 40})
    first, second = train(one, quiet=True), train(eight, quiet=True)
    for name, metric in first.metrics.items():
        assert second.metrics[name].value == pytest.approx(metric.value, rel=1e-3)


def test_bf16_trains(make_recipe: Make) -> None:
    report = train(make_recipe("masked", train={"precision": "bf16"}), quiet=True)
    assert report.is_finished
    assert all(tensor.dtype == torch.float32 for tensor in read_model(report.folder).values())
