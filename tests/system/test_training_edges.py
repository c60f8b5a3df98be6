"""Whole runs at their edges: kills between two operations, figures that are not finite, signals, damaged logs."""

from __future__ import annotations

import errno
import json
import math
import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from groundup.checkpoint.store import Store
from groundup.errors import CheckpointError, GroundupError, TrainingError
from groundup.training import trainer
from groundup.training.log import MetricsFile, read_lines
from groundup.training.trainer import Trainer
from groundup.verbs.check import check
from groundup.verbs.report import report as report_of
from groundup.verbs.train import train

Make = Callable[..., dict]


class Killed(BaseException):
    """Stands for SIGKILL: nothing of the package catches it."""


def steps_of(recipe: dict) -> list[int]:
    return Store(Path(recipe["output"]) / "checkpoints").steps()


def test_a_kill_between_the_last_save_and_its_pruning_leaves_no_checkpoint_too_many(
    make_recipe: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"steps": 6, "save_every": 1, "keep_last": 1}
    whole, cut = make_recipe("masked", "whole", train=settings), make_recipe("masked", "cut", train=settings)
    train(whole, quiet=True)
    prune = Store.prune

    def killed(self: Store, *arguments: object) -> object:
        if self.steps()[-1] == 6:
            raise Killed
        return prune(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "prune", killed)
        with pytest.raises(Killed):
            train(cut, quiet=True)
    assert len(steps_of(cut)) > len(steps_of(whole))  # there is something to mend
    train(cut, quiet=True)
    assert steps_of(cut) == steps_of(whole)


def spoil_validation(monkeypatch: pytest.MonkeyPatch, number: int, value: float) -> None:
    """Let the n-th validation answer a loss of `value`."""
    evaluate, calls = trainer.evaluate, []

    def spoilt(*arguments: object, **settings: object) -> dict:
        calls.append(None)
        metrics = evaluate(*arguments, **settings)
        return metrics | {"loss": replace(metrics["loss"], value=value)} if len(calls) == number else metrics

    monkeypatch.setattr(trainer, "evaluate", spoilt)


def test_a_validation_that_is_not_finite_stops_the_run_and_is_shown(
    make_recipe: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil_validation(monkeypatch, 2, math.nan)
    recipe = make_recipe("masked")
    with pytest.raises(TrainingError, match=r"step 8: the validation after it is not finite: loss nan.*learning_rate"):
        train(recipe, quiet=True)
    last = read_lines(Path(recipe["output"]) / "metrics.jsonl")[-1]
    assert (last["step"], last["kind"], last["metrics"]["loss"]) == (8, "bad_validation", "nan")
    assert 8 not in steps_of(recipe)


def test_a_validation_that_is_not_finite_is_never_the_best_where_bad_steps_are_skipped(
    make_recipe: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil_validation(monkeypatch, 1, -math.inf)  # lower than any loss
    report = train(make_recipe("masked", train={"on_nonfinite": "skip"}), quiet=True)
    assert report.step_of_model in (8, 12)


@pytest.mark.parametrize(
    ("on_nonfinite", "message"),
    [
        ("stop", "step 1: the validation after it is not finite: loss nan; lower"),
        ("skip", "step 3: ends a run without"),
    ],
)
def test_a_model_whose_answers_are_no_numbers_is_told_of_by_its_loss(
    make_recipe: Make, on_nonfinite: str, message: str
) -> None:
    settings = {"steps": 3, "evaluate_every": 1, "on_nonfinite": on_nonfinite}
    recipe = make_recipe("classification", train=settings, optimizer={"learning_rate": 1e30})
    with pytest.raises(TrainingError, match=message):
        train(recipe, quiet=True)
    bad = [line for line in read_lines(Path(recipe["output"]) / "metrics.jsonl") if line["kind"] == "bad_validation"]
    assert [line["metrics"] for line in bad] == [{"loss": "nan"}] * (1 if on_nonfinite == "stop" else 3)
    found = json.loads(report_of(recipe["output"]).data.read_text(encoding="utf-8"))
    assert (found["run"]["state"], found["classes"], found["metrics"]) == ("unfinished", None, [])


def test_of_equal_scores_the_one_that_loses_less_is_kept_and_patience_waits_for_a_better_score(
    make_recipe: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = [(0.5, 0.9), (0.5, 0.3), (0.5, 0.6), (0.4, 0.1), (0.5, 0.2), (0.6, 9.0), (0.6, 9.5)]
    evaluate, left = trainer.evaluate, iter(figures)

    def pretend(*arguments: object, **settings: object) -> dict:
        metrics, values = evaluate(*arguments, **settings), next(left)
        return metrics | {
            name: replace(metrics[name], value=value) for name, value in zip(("accuracy", "loss"), values, strict=True)
        }

    monkeypatch.setattr(trainer, "evaluate", pretend)
    settings = {"steps": 9, "evaluate_every": 1, "keep_last": 1, "patience": 4}
    report = train(make_recipe("classification", "four", train=settings), quiet=True)
    assert (report.step, report.step_of_model) == (5, 5)
    left = iter(figures)
    report = train(make_recipe("classification", "three", train=settings | {"patience": 3}), quiet=True)
    assert (report.step, report.step_of_model) == (4, 2)
    left = iter(figures)
    report = train(make_recipe("classification", "many", train=settings | {"patience": None, "steps": 7}), quiet=True)
    assert (report.step, report.step_of_model) == (7, 6)


def test_a_signal_in_the_last_step_finds_a_finished_run(make_recipe: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    take_step = Trainer._take_step

    def signalled(self: Trainer, *arguments: object) -> object:
        outcome = take_step(self, *arguments)
        if self.state.progress.step == self.total_steps:
            os.kill(os.getpid(), signal.SIGTERM)
        return outcome

    monkeypatch.setattr(Trainer, "_take_step", signalled)
    report = train(make_recipe("masked"), quiet=True)
    assert report.is_finished and report.stopped_by is None and report.model.is_dir()


def test_what_differs_of_the_machine_is_said_where_it_was_accepted(
    make_recipe: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = make_recipe("masked")
    train(recipe, quiet=True)
    state = next((Path(recipe["output"]) / "checkpoints").glob("step-12"))
    tree = Store(state.parent).load(12)
    Store(state.parent).save(12, tree | {"domain": tree["domain"] | {"torch": "0.1"}})
    with pytest.raises(CheckpointError, match=r"torch was '0\.1'"):
        train(recipe, quiet=True)
    train(recipe, accept_inexact=True)
    assert "not exact from here on: torch was '0.1'" in capsys.readouterr().err


def test_a_damaged_line_of_the_metrics_is_named(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "kind": "train"}\n{"step": 2, "ki\n{"step": 3', encoding="utf-8")
    with pytest.raises(CheckpointError, match=r'metrics\.jsonl:2: is damaged, got \'\{"step": 2'):
        MetricsFile(path, step=3)


def test_a_label_may_hold_what_some_take_for_a_line_break(make_recipe: Make, small_data: Path) -> None:
    for name in ("train.tsv", "dev.tsv"):
        text = (small_data / name).read_text(encoding="utf-8")
        (small_data / name).write_text(text.replace("\tnone", "\tno\u2028ne"), encoding="utf-8")
    report = train(make_recipe("classification"), quiet=True)
    assert "no\u2028ne" in json.dumps([each.to_json() for each in report.metrics.values()], ensure_ascii=False)


def test_checkpoints_without_their_recipe_are_not_taken_over(make_recipe: Make) -> None:
    recipe = make_recipe("masked", train={"steps": 2})
    (train(recipe, quiet=True).folder / "recipe.json").unlink()
    recipe["optimizer"]["learning_rate"] = 0.5
    with pytest.raises(CheckpointError, match=r"holds a run, but no recipe\.json that says which"):
        train(recipe, quiet=True)


def test_a_step_without_a_target_is_numbered_as_all_steps_are(make_recipe: Make) -> None:
    with pytest.raises(TrainingError, match="step 1: none of its tokens or rows is a target"):
        train(make_recipe("masked", objective={"rate": 1e-6}, train={"batch_size": 1}), quiet=True)


def damage_a_byte(folder: Path) -> None:
    path = folder / "tensors.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\x7f")


@pytest.mark.parametrize("lose", [shutil.rmtree, damage_a_byte])
def test_lost_best_weights_are_noticed_before_more_work_is_done(
    make_recipe: Make, monkeypatch: pytest.MonkeyPatch, lose: Callable[[Path], None]
) -> None:
    recipe = make_recipe("masked")
    spoil_validation(monkeypatch, 1, 0.5)  # so that the best weights are not the newest
    train(recipe, quiet=True)
    assert steps_of(recipe) == [4, 12]
    lose(Path(recipe["output"]) / "checkpoints" / "step-4")
    for verb in (check, train):
        with pytest.raises(CheckpointError, match=r"step-4: holds the best weights no more.*restore it, or start"):
            verb(recipe)


@pytest.mark.parametrize("kept", [None, 0, 1])
def test_lost_figures_are_noticed(make_recipe: Make, kept: int | None) -> None:
    recipe = make_recipe("masked")
    train(recipe, quiet=True)
    log = Path(recipe["output"]) / "metrics.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    log.unlink() if kept is None else log.write_bytes(b"".join(lines[:kept]))
    for verb in (check, train):
        with pytest.raises(CheckpointError, match=r"metrics\.jsonl: tells nothing of .* step 12, the best one"):
            verb(recipe)
    log.write_bytes(b"".join(lines))
    assert train(recipe, quiet=True).metrics


def test_a_disk_that_fills_up_between_saves_is_told_of_and_the_run_goes_on(
    make_recipe: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, write = make_recipe("masked"), MetricsFile.write

    def fill(self: MetricsFile, line: dict) -> None:
        if line["step"] == 6:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(self, line)

    with monkeypatch.context() as patch:
        patch.setattr(MetricsFile, "write", fill)
        with pytest.raises(TrainingError, match=r"run: cannot be read or written \(No space left.*start the same comm"):
            train(recipe, quiet=True)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert train(recipe, quiet=True).is_finished


@pytest.mark.parametrize("split", ["train", "validation"])
@pytest.mark.parametrize("kind", ["masked", "classification"])
def test_check_refuses_changed_data_as_train_does(make_recipe: Make, kind: str, split: str) -> None:
    recipe = make_recipe(kind, train={"steps": 4})
    train(recipe, quiet=True)
    assert check(recipe).output_state == "finished"
    named = recipe["data"][split]
    path = Path(named if isinstance(named, str) else named[0])
    content = path.read_text(encoding="utf-8")
    path.write_text(content.replace("cat", "dog", 1), encoding="utf-8")
    with pytest.raises(GroundupError) as of_train:
        train(recipe, quiet=True)
    with pytest.raises(GroundupError) as of_check:
        check(recipe)
    assert str(of_check.value) == str(of_train.value) and split in str(of_check.value)
    path.write_text(content, encoding="utf-8")
    assert check(recipe).output_state == "finished"
