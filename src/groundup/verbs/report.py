"""Report: what a run did and how well, gathered into `report.json` and drawn as `report.html` in its folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import torch

from groundup.checkpoint import pretrained
from groundup.checkpoint.store import Store
from groundup.errors import CheckpointError
from groundup.model.transformer import Transformer
from groundup.objectives.causal import CausalObjective
from groundup.objectives.masked import MaskedObjective
from groundup.objectives.protocol import Marking
from groundup.objectives.seq2seq import Seq2SeqObjective
from groundup.readers.source import ExampleSource
from groundup.recipe import Recipe
from groundup.reporting.advice import find_advice
from groundup.reporting.content import FORMAT, Report
from groundup.reporting.page import render
from groundup.tasks.classification import ClassificationTask
from groundup.tasks.multi_label import MultiLabelTask
from groundup.tasks.multiple_choice import MultipleChoiceTask
from groundup.tasks.regression import RegressionTask
from groundup.text.tokenizer import PretrainedTokenizer
from groundup.training.log import read_lines
from groundup.training.machine import choose_device
from groundup.training.state import load_weights
from groundup.verbs.assemble import AnyObjective, Parts, assemble, build_model, get_tokenizer, open_parts
from groundup.verbs.report_choices import measure_choices
from groundup.verbs.report_classes import measure_classes
from groundup.verbs.report_data import describe_data
from groundup.verbs.report_found import measure_found
from groundup.verbs.report_labels import measure_labels
from groundup.verbs.report_masked import measure_masked
from groundup.verbs.report_numbers import measure_numbers
from groundup.verbs.report_run import (
    describe_run,
    describe_trained,
    find_baseline,
    find_best_step,
    find_metrics,
    read_curves,
    show_batch,
    write_yaml,
)
from groundup.verbs.report_sample import Chosen, choose
from groundup.verbs.report_written import measure_writing
from groundup.verbs.run_folder import SERIES_FILE, read_recipe, write_json, write_text
from groundup.verbs.series_folder import is_series
from groundup.verbs.series_report import summarise, write_series_page
from groundup.verbs.trained import restore, tune

JSON_FILE: Final = "report.json"
PAGE_FILE: Final = "report.html"


@dataclass(frozen=True)
class Weights:
    """A trained model, on any device."""

    model: Transformer
    step: int
    """The step it is of."""
    domain: Mapping[str, str | int]
    """What its training was exact in."""


@dataclass(frozen=True)
class WrittenReport:
    """Where a report lies."""

    run: str
    state: str
    data: Path
    page: Path

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        return {"run": self.run, "state": self.state, "data": str(self.data), "page": str(self.page)}

    def __str__(self) -> str:
        return f"report of {self.run} ({self.state.replace('_', ' ')}): {self.page}"


def report(target: str | Path) -> WrittenReport:
    """Gather and draw the report of a run, or of several seeds, finished or not, from its folder and its data.

    Args:
        target: a run folder, or the recipe of one.

    Raises:
        CheckpointError: the target is no run, a file of it is damaged, or its data is not what it was trained on.
        DataError: its data cannot be read.
    """
    folder = Path(target).expanduser()
    if folder.suffix in (".yaml", ".yml"):
        folder = Recipe.load(folder).folder
    if is_series(folder):
        found = summarise(folder)
        is_whole = all(run.state != "not finished" for run in found.runs)
        state = "finished" if is_whole else "unfinished"
        return WrittenReport(str(folder), state, folder / SERIES_FILE, write_series_page(found))
    recipe = read_recipe(folder)
    lines = read_lines(folder / "metrics.jsonl")
    if (folder / "model").is_dir():
        parts, weights = _load_finished(recipe, folder)
    elif Store(folder / "checkpoints").steps():
        parts, weights = _load_unfinished(recipe, folder, lines)
    else:
        parts, weights = None, None
    return write_report(recipe, folder, parts, weights, lines=lines)


def write_report(
    recipe: Recipe,
    folder: Path,
    parts: Parts | None,
    weights: Weights | None,
    *,
    lines: Sequence[Mapping[str, Any]] | None = None,
) -> WrittenReport:
    """Write `report.json` and `report.html` of a run.

    Args:
        recipe: what it was trained by.
        folder: the run folder.
        parts: its data and objective; None where there is nothing yet.
        weights: its model; None where there is none yet.
        lines: those of `metrics.jsonl`; read where left out.
    """
    lines = read_lines(folder / "metrics.jsonl") if lines is None else lines
    content = gather(recipe, folder, parts, weights, lines)
    page = render(content)
    write_json(folder / JSON_FILE, content)
    write_text(folder / PAGE_FILE, page)
    return WrittenReport(str(folder), content["run"]["state"], folder / JSON_FILE, folder / PAGE_FILE)


def gather(
    recipe: Recipe, folder: Path, parts: Parts | None, weights: Weights | None, lines: Sequence[Mapping[str, Any]]
) -> Report:
    """Everything the page shows, as plain data."""
    step = None if weights is None else weights.step
    curves = read_curves(recipe, lines, ("loss", False) if parts is None else parts.objective.best)
    run = describe_run(recipe, folder, lines, parts, step)
    config = None if weights is None else weights.model.config
    content: Report = {
        "format": FORMAT,
        "run": run,
        "metrics": find_metrics(curves, step if step is not None else find_best_step(curves)),
        "baseline": None if parts is None else find_baseline(recipe, parts, config),
        "curves": curves,
        "classes": None,
        "labels": None,
        "numbers": None,
        "choices": None,
        "masked": None,
        "writing": None,
        "found": None,
        "batch": None if parts is None else show_batch(recipe, parts, max(1, run["step"])),
        "design": None if config is None else describe_trained(recipe, config, run),
        "data": [] if parts is None else describe_data(recipe, parts),
        "recipe": recipe.to_json(),
        "recipe_yaml": write_yaml(recipe.to_json()),
        "domain": None if weights is None else dict(weights.domain),
        "advice": [],
    }
    if parts is not None and weights is not None:
        _measure(content, recipe, parts, weights.model)
    content["advice"] = find_advice(content)
    return content


def _measure(content: Report, recipe: Recipe, parts: Parts, model: Transformer) -> None:
    """What only the model itself can tell. An objective that is not named here is shown by its figures and batches."""
    samples = parts.validation or parts.train
    assert content["design"] is not None
    device, chosen = choose_device(recipe.train), choose(samples, content["design"]["forward_flops_per_token"])
    model.to(device).eval()
    objective = parts.objective
    if parts.validation is not None:
        _measure_rows(content, recipe, objective, model, chosen, device)
    split = "train" if parts.validation is None else "validation"
    if isinstance(objective, Marking):
        content["found"] = measure_found(recipe, objective, model, chosen, split, device)
    if isinstance(objective, MaskedObjective):
        content["masked"] = measure_masked(recipe, objective, model, chosen, split, device)
    if isinstance(objective, CausalObjective | Seq2SeqObjective):
        content["writing"] = measure_writing(recipe, parts, model, chosen, split)


def _measure_rows(
    content: Report,
    recipe: Recipe,
    objective: AnyObjective,
    model: Transformer,
    chosen: Chosen,
    device: torch.device,
) -> None:
    """What tasks say of rows and questions, of which there must be some that nothing was learnt from."""
    if isinstance(objective, ClassificationTask):
        content["classes"] = measure_classes(recipe, objective, model, chosen, device)
    if isinstance(objective, MultiLabelTask):
        content["labels"] = measure_labels(recipe, objective, model, chosen, device)
    if isinstance(objective, RegressionTask):
        content["numbers"] = measure_numbers(recipe, objective, model, chosen, device)
    if isinstance(objective, MultipleChoiceTask):
        content["choices"] = measure_choices(recipe, objective, model, chosen, device)


def _load_finished(recipe: Recipe, folder: Path) -> tuple[Parts, Weights]:
    loaded = pretrained.load(folder / "model")
    manifest = loaded.manifest
    if manifest is None:
        raise CheckpointError(str(folder / "model"), "holds no groundup.json", cure="is it the model of this run?")
    parts = _open_parts(recipe, folder, folder / "model")
    parts = replace(parts, objective=restore(parts.objective, manifest))
    _check_data(manifest["data"], parts)
    trained = manifest["trained"]
    return parts, Weights(loaded.model, trained["step"], trained["domain"])


def _load_unfinished(recipe: Recipe, folder: Path, lines: Sequence[Mapping[str, Any]]) -> tuple[Parts, Weights | None]:
    """The best weights so far, the newest where nothing was validated, none where no validation was finite."""
    parts, store = _open_parts(recipe, folder, None), Store(folder / "checkpoints")
    best = find_best_step(read_curves(recipe, lines, parts.objective.best))
    tree = store.load(best if best in store.steps() else None)
    _check_data(tree["data"], parts)
    if best is None and any(line["kind"] == "bad_validation" for line in lines):
        return parts, None
    model, _ = build_model(recipe, parts)
    load_weights(model, tree)
    # Nothing has chosen thresholds yet: those of the figures are taken.
    return tune(recipe, parts, model), Weights(model, tree["progress"]["step"], tree["domain"])


def _open_parts(recipe: Recipe, folder: Path, model_folder: Path | None) -> Parts:
    """The data as the run reads it. A prepared corpus is enough: its texts are not asked for."""
    if model_folder is not None:
        recipe = recipe.model_copy(update={"tokenizer": PretrainedTokenizer(path=str(model_folder))})
    data = recipe.data
    if isinstance(data, ExampleSource):
        return assemble(recipe, folder, quiet=True)
    tokenizer = get_tokenizer(recipe, folder)
    return open_parts(recipe, data, tokenizer, recipe.objective.build(tokenizer, ()), folder)


def _check_data(recorded: Mapping[str, str | None], parts: Parts) -> None:
    """CheckpointError where the data is not what the run was trained on: its figures would be of something else."""
    for name, samples in (("train", parts.train), ("validation", parts.validation)):
        if recorded[name] != (None if samples is None else samples.digest):
            cure = "restore the data; a report of other data would not be one of this run"
            raise CheckpointError(f"data.{name}", "has changed since the run", cure=cure)
