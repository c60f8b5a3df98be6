"""What a report says of the run itself: how far it came, its curves, its design and the batches it trained on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import yaml

from groundup.metrics.metric import Metric, rank
from groundup.model.config import ModelConfig
from groundup.objectives.protocol import Guessing, Indivisible, Task
from groundup.recipe import Recipe
from groundup.reporting.content import Baseline, Curves, Run, RunDesign, ShownBatch, State
from groundup.reporting.content_rows import Figure
from groundup.tasks.classification import ClassificationTask
from groundup.training.trainer import count_steps
from groundup.verbs.assemble import Parts
from groundup.verbs.corpora import make_planner
from groundup.verbs.design import Subject, describe_design, find_use
from groundup.verbs.show import show_step
from groundup.yaml_reader import parse_value

MOST_POINTS: Final = 500
"""Of a training curve; a longer one is thinned out."""
_CURVES: Final = ("loss", "learning_rate", "grad_norm")
_SHOWN_SEQUENCES: Final = 4
_SHOWN_CHARS: Final = 1500


def describe_run(
    recipe: Recipe, folder: Path, lines: Sequence[Mapping[str, Any]], parts: Parts | None, model_step: int | None
) -> Run:
    """How far the run came, by its log."""
    trained = [line for line in lines if line["kind"] == "train"]
    last = trained[-1] if trained else {}
    step = max((line["step"] for line in lines), default=0)
    planner = None if parts is None else make_planner(recipe, parts.train)
    total = recipe.train.steps if planner is None else count_steps(recipe.train, planner)
    evaluations = [line for line in lines if line["kind"] == "evaluation"]
    return {
        "name": folder.name,
        "folder": str(folder),
        "state": _find_state(folder, step, total),
        "step": step,
        "total_steps": total,
        "model_step": model_step,
        "epochs": None if planner is None else step / planner.steps_per_epoch,
        "tokens": last.get("tokens", 0),
        "targets": last.get("targets", 0),
        "seconds": last.get("time", {}).get("seconds", 0.0),
        "evaluation_seconds": sum(line["time"]["seconds"] for line in evaluations),
        "skipped": sum(line["kind"] == "bad_step" for line in lines),
        "objective": recipe.objective.kind,
        "data_kind": recipe.data.kind,
        "start": recipe.model.path if recipe.model.kind == "pretrained" else None,
        "version": version("groundup"),
        "made": datetime.now().astimezone().isoformat(sep=" ", timespec="minutes"),
    }


def _find_state(folder: Path, step: int, total: int | None) -> State:
    if (folder / "model" / "config.json").is_file():
        return "finished" if total is None or step >= total else "stopped_early"
    return "unfinished" if step else "not_started"


def read_curves(recipe: Recipe, lines: Sequence[Mapping[str, Any]], best: tuple[str, bool]) -> Curves:
    """The lines of `metrics.jsonl` as curves."""
    trained = [line for line in lines if line["kind"] == "train"]
    evaluations = [line for line in lines if line["kind"] == "evaluation"]
    at_once = max(1, math.ceil(len(trained) / MOST_POINTS))
    curves: dict[str, list[int | float | None]] = {name: [] for name in ("step", *_CURVES, "tokens_per_second")}
    for start in range(0, len(trained), at_once):
        together = trained[start : start + at_once]
        curves["step"].append(together[-1]["step"])
        for name in _CURVES:
            curves[name].append(_mean([line.get(name) for line in together]))
        curves["tokens_per_second"].append(_mean([line["time"].get("tokens_per_second") for line in together]))
    names = list(evaluations[-1]["metrics"]) if evaluations else []
    complete = [line for line in evaluations if set(names) <= set(line["metrics"])]
    return {
        "lines_per_point": at_once,
        "train": curves,
        "validation_steps": [line["step"] for line in complete],
        "validation": {name: [line["metrics"][name] for line in complete] for name in names},
        "best_metric": best[0],
        "best_is_larger": best[1],
    }


def _mean(values: Sequence[int | float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def find_best_step(curves: Curves) -> int | None:
    """The step of the best validation so far, the earliest of equals, as the loop chooses it."""
    steps, best = curves["validation_steps"], curves["best_metric"]
    chosen = {name: figures for name, figures in curves["validation"].items() if name in (best, "loss")}
    if best not in chosen or not steps:
        return None
    found = [{name: Metric(**figures[place]) for name, figures in chosen.items()} for place in range(len(steps))]
    ranks = [rank(metrics, best, is_larger_better=curves["best_is_larger"]) for metrics in found]
    return steps[ranks.index(max(ranks))]


def find_metrics(curves: Curves, step: int | None) -> list[Figure]:
    """The figures of the validation after a step."""
    if step not in curves["validation_steps"]:
        return []
    place = curves["validation_steps"].index(step)
    return [figures[place] for figures in curves["validation"].values()]


def find_baseline(recipe: Recipe, parts: Parts, config: ModelConfig | None) -> Baseline | None:
    """What always answering the most frequent label reaches on validation, or what an even guess or the mean loses."""
    task, judged = parts.objective, parts.train if parts.validation is None else parts.validation
    if not isinstance(task, ClassificationTask):
        # A guess among the texts of a step depends on how many they are; one among tokens, on the vocabulary.
        if isinstance(task, Indivisible) or (config is None and not isinstance(task, Task)):
            return None
        size = 0 if config is None else config.vocab_size
        is_known = isinstance(task, Guessing)
        guess = task.guess_loss(size, judged.lengths.tolist()) if is_known else math.log(size)
        return {"metric": "loss", "value": guess, "label": None}
    train, validation = (getattr(samples, "report", None) for samples in (parts.train, parts.validation))
    if train is None or validation is None or not sum(validation.label_counts.values()):
        return None
    label = max(train.label_counts, key=train.label_counts.__getitem__)
    share = validation.label_counts.get(label, 0) / sum(validation.label_counts.values())
    return {"metric": "accuracy", "value": share, "label": label}


def describe_trained(recipe: Recipe, config: ModelConfig, run: Run) -> RunDesign:
    """The design and its costs, those of the run so far included."""
    design = describe_design(Subject(run["name"], config, find_use(recipe, config), ()))
    total = design["training_flops_per_token"] * run["tokens"] if run["tokens"] else None
    rate = total / run["seconds"] if total and run["seconds"] else None
    return {**design, "total_flops": total, "flops_per_second": rate}


def show_batch(recipe: Recipe, parts: Parts, step: int) -> ShownBatch:
    """The batch of a step, counted from 1, decoded by the objective itself."""
    shown = show_step(recipe, parts, count=_SHOWN_SEQUENCES, step=step - 1)
    return {
        "step": shown.step + 1,
        "epoch": shown.epoch + 1,
        "micro_batches": len(shown.micro_batches),
        "sequences": sum(len(each.lengths) for each in shown.micro_batches),
        "tokens": sum(each.tokens for each in shown.micro_batches),
        "lines": [clip_text(each.text, _SHOWN_CHARS) for each in shown.sequences],
    }


def clip_text(text: str, most: int) -> str:
    """The beginning of a long text, `…` where it was cut."""
    return text if len(text) <= most else f"{text[:most]}…"


def write_yaml(values: Mapping[str, object]) -> str:
    """Plain values as YAML that reads back as the same values."""
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


class _Dumper(yaml.SafeDumper):
    """Quotes every text that our reader would take for something else."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    is_plain = text and "\n" not in text and _reads_back(text)
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if is_plain else '"')


def _reads_back(text: str) -> bool:
    try:
        return parse_value(text, "") == text
    except ValueError:
        return False


_Dumper.add_representer(str, _represent_text)
