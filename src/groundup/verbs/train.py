"""Train: from a recipe to a model folder."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from groundup.checkpoint import pretrained
from groundup.checkpoint.store import Tree
from groundup.errors import GroundupError, TrainingError
from groundup.figures import format_figure
from groundup.metrics.metric import Metric, format_metrics
from groundup.model.generator import PREFIX
from groundup.model.initialize import parameter_role
from groundup.model.transformer import Transformer
from groundup.objectives.causal import CausalObjective
from groundup.objectives.protocol import Declared, Keeping, Rescaled
from groundup.objectives.restoring import RestoringObjective
from groundup.objectives.seq2seq import Seq2SeqObjective
from groundup.recipe import Recipe
from groundup.text.sample import Samples
from groundup.training.evaluate import evaluate
from groundup.training.log import format_seconds, read_lines
from groundup.training.machine import choose_device, keep_threads
from groundup.training.state import exactness_domain, load_weights
from groundup.training.trainer import Outcome, Trainer
from groundup.verbs.assemble import Parts, as_recipe, assemble, build_model, locate_model, open_test
from groundup.verbs.collapse import find_judge
from groundup.verbs.corpora import make_planner
from groundup.verbs.report import Weights, write_report
from groundup.verbs.run_folder import open_run
from groundup.verbs.trained import tune

MANIFEST_FORMAT = 1


@dataclass(frozen=True)
class TrainReport:
    """How a run ended and where its model lies."""

    folder: Path
    step: int
    total_steps: int
    is_finished: bool
    stopped_by: int | None
    """The signal that stopped it before its end."""
    model: Path | None
    """The model folder, once the run is finished."""
    step_of_model: int | None
    metrics: dict[str, Metric]
    """Validation metrics of that model."""
    seconds: float
    test_metrics: dict[str, Metric] = field(default_factory=dict)
    """Of that model on `data.test`, which is looked at here alone."""

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        return asdict(self) | {"folder": str(self.folder), "model": None if self.model is None else str(self.model)}

    def __str__(self) -> str:
        if not self.is_finished:
            return f"stopped after step {self.step} of {self.total_steps}; run the same command to continue"
        lines = [f"trained {self.step} steps in {format_seconds(self.seconds)}"]
        lines += format_metrics(self.metrics.values())
        lines += ["on data.test", *format_metrics(self.test_metrics.values())] if self.test_metrics else []
        lines.append(f"model of step {self.step_of_model}: {self.model}")
        if (self.folder / "report.html").exists():
            lines.append(f"report: {self.folder / 'report.html'}")
        return "\n".join(lines)


@keep_threads()
def train(
    recipe: str | Path | Recipe | Mapping[str, object],
    overrides: Sequence[str] = (),
    *,
    accept_inexact: bool = False,
    quiet: bool = False,
) -> TrainReport:
    """Run a recipe to its end, or go on where an earlier session of it was killed.

    Args:
        recipe: a YAML file, a Recipe, or plain values.
        overrides: `key.path=value`, applied to it.
        accept_inexact: resume although threads, device or torch differ from the checkpoint's.
        quiet: print no progress.
    """
    recipe = as_recipe(recipe, overrides)
    with open_run(recipe) as folder:
        device = choose_device(recipe.train)
        parts = assemble(recipe, folder, quiet=quiet)
        test = open_test(recipe, parts.objective)
        model, notes = build_model(recipe, parts)
        if not quiet:
            for note in (*parts.notes, *notes):
                print(note, file=sys.stderr)
        model.to(device)
        trainer = Trainer(
            model=model,
            objective=parts.objective,
            samples=parts.train,
            planner=make_planner(recipe, parts.train),
            validation=parts.validation,
            further=parts.further,
            optimizer=recipe.optimizer.build(model.named_parameters(), parameter_role),
            schedule=recipe.schedule,
            settings=recipe.train,
            seed=recipe.seed,
            folder=folder,
            recipe=recipe.to_json(),
            quiet=quiet,
        )
        outcome = trainer.run(accept_inexact=accept_inexact)
        progress = outcome.progress
        if not outcome.is_finished:
            return TrainReport(
                folder,
                progress.step,
                outcome.total_steps,
                False,
                outcome.stopped_by,
                None,
                None,
                {},
                progress.seconds,
            )
        if parts.validation is not None and progress.best_step is None:
            cure = "lower optimizer.learning_rate"
            raise TrainingError(f"step {progress.step}", "ends a run without one validation that is finite", cure=cure)
        step = progress.best_step or progress.step
        tree = trainer.store.load(step)
        load_weights(model, tree)
        metrics = read_metrics(folder / "metrics.jsonl", step)
        parts = finish_task(recipe, parts, model)
        test_metrics = {} if test is None else score(recipe, parts, model, test, device)
        export(recipe, parts, model, tree, outcome, metrics, test_metrics)
        make_report(recipe, parts, model, step)
        return TrainReport(
            folder,
            progress.step,
            outcome.total_steps,
            True,
            None,
            folder / "model",
            step,
            metrics,
            progress.seconds,
            test_metrics,
        )


def finish_task(recipe: Recipe, parts: Parts, model: Transformer) -> Parts:
    """The parts with a task that has chosen what validation data decides, for a model as it lies in its folder."""
    parts = tune(recipe, parts, model)
    task = parts.objective
    if isinstance(task, Rescaled):
        task.release(model)
    return replace(parts, objective=task.restore(task.facts)) if isinstance(task, Keeping) else parts


def score(
    recipe: Recipe, parts: Parts, model: Transformer, samples: Samples, device: torch.device
) -> dict[str, Metric]:
    """The objective's metrics, computed as those of a validation are."""
    return evaluate(
        model,
        parts.objective,
        samples,
        device=device,
        precision=recipe.train.precision,
        max_tokens=recipe.train.micro_batch_tokens,
    )


def make_report(recipe: Recipe, parts: Parts, model: Transformer, step: int) -> None:
    """Write report.json and report.html. The model is safe already: whatever goes wrong here is said, and no error."""
    try:
        domain = exactness_domain(choose_device(recipe.train), recipe.train.precision)
        write_report(recipe, recipe.folder, parts, Weights(model, step, domain))
    except Exception as error:
        again = f"groundup report {recipe.folder}"
        print(f"no report was made ({error}); try `{again}`", file=sys.stderr)


def export(
    recipe: Recipe,
    parts: Parts,
    model: Transformer,
    tree: Tree,
    outcome: Outcome,
    metrics: Mapping[str, Metric],
    test_metrics: Mapping[str, Metric],
) -> None:
    """Write the model folder: the weights of a checkpoint, and everything that serving must not do differently."""
    manifest = {
        "format": MANIFEST_FORMAT,
        "groundup": version("groundup"),
        "recipe": recipe.to_json(),
        "labels": None if parts.labels is None else list(parts.labels),
        "data": tree["data"],
        "tokenizer": parts.tokenizer.digest,
        "trained": {
            "step": tree["progress"]["step"],
            "steps_run": outcome.progress.step,
            "tokens": outcome.progress.tokens,
            "parameters": sum(each.numel() for name, each in model.named_parameters() if not name.startswith(PREFIX)),
            "domain": tree["domain"],
        },
        **({"facts": parts.objective.facts} if isinstance(parts.objective, Keeping) else {}),
        "metrics": {name: metric.to_json() for name, metric in metrics.items()},
        "test_metrics": {name: metric.to_json() for name, metric in test_metrics.items()},
        "judge": asdict(find_judge(recipe, parts, model.config)),
    }
    tokenizer = parts.tokenizer
    # Whoever else generates with a decoder looks for its ends in config.json.
    ends = {"bos_token_id": tokenizer.start_id, "eos_token_id": tokenizer.end_id} if model.config.causal else {}
    if isinstance(parts.objective, Seq2SeqObjective | RestoringObjective):
        ends["decoder_start_token_id"] = parts.objective.start_id
    pretrained.save(
        recipe.folder / "model",
        model.cpu(),
        tokenizer_files=tokenizer.files(for_prompts=isinstance(parts.objective, CausalObjective)),
        manifest=manifest,
        card=write_card(recipe, manifest, metrics, test_metrics),
        labels=parts.labels,
        problem_type=parts.objective.problem_type if isinstance(parts.objective, Declared) else None,
        extra_config=_config_of_start(recipe) | ends,
    )


def _config_of_start(recipe: Recipe) -> dict[str, Any]:
    """What stands in config.json where training began, so that no field of it is lost and its family stays the same."""
    if recipe.model.kind != "pretrained":
        return {}
    with suppress(GroundupError):  # a folder that is gone by now is no reason to lose what was trained
        return pretrained.read_config(locate_model(recipe.model.path))
    return {}


def read_metrics(path: Path, step: int) -> dict[str, Metric]:
    """The validation metrics of a step, as the run logged them; empty where it was not validated."""
    for line in read_lines(path):
        if line["kind"] == "evaluation" and line["step"] == step:
            return {name: Metric(**values) for name, values in line["metrics"].items()}
    return {}


def write_card(
    recipe: Recipe,
    manifest: Mapping[str, object],
    metrics: Mapping[str, Metric],
    test_metrics: Mapping[str, Metric],
) -> str:
    """The model card: what it is, what it learnt from, how good it was on what."""
    trained = manifest["trained"]
    return "\n".join(
        [
            "---",
            "library_name: transformers",
            "tags: [groundup]",
            "---",
            f"# {recipe.folder.name}",
            "",
            f"A model of {trained['parameters']:,} parameters, trained by groundup {manifest['groundup']} with the "
            f"objective `{recipe.objective.kind}` for {trained['steps_run']} steps on {trained['tokens']:,} tokens; "
            f"these are the weights of step {trained['step']}.",
            "",
            "The whole recipe, the hashes of its data, the labels and the preprocessing stand in `groundup.json`.",
            "",
            *_write_figures("Validation", metrics),
            *(_write_figures("Test", test_metrics) if test_metrics else []),
        ]
    )


def _write_figures(title: str, metrics: Mapping[str, Metric]) -> list[str]:
    rows = [
        f"| {metric.name} | {format_figure(metric.value)} | "
        + ("" if metric.low is None else f"{format_figure(metric.low)} to {format_figure(metric.high)}")
        + f" | {metric.count} | `{metric.signature.replace('|', ' · ')}` |"
        for metric in metrics.values()
    ]
    head = ["| metric | value | 95 % interval | items | how |", "|---|---|---|---|---|"]
    return [f"## {title}", "", *head, *rows, ""]
