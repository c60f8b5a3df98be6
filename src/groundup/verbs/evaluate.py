"""Evaluate: the metrics of a trained model, with intervals, on its own validation data or on another file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Bool

from groundup.errors import ConfigError
from groundup.figures import format_figure
from groundup.metrics.classification import format_confusion, format_confusions
from groundup.metrics.interval import bootstrap_share, describe_interval
from groundup.metrics.metric import Metric, format_metrics
from groundup.metrics.seeds import SeedMetric, format_seeds, over_seeds
from groundup.objectives.likelihood import Reading, find_readings, score_texts
from groundup.objectives.protocol import Task, find_heads
from groundup.readers.minimal_pairs import MinimalPair, read_minimal_pairs
from groundup.recipe import Recipe
from groundup.text.sample import Samples
from groundup.training.config import DeviceChoice, TrainConfig
from groundup.training.evaluate import measure_all
from groundup.training.machine import choose_device, keep_threads
from groundup.verbs.assemble import as_recipe, open_validation
from groundup.verbs.layout import columns, plural
from groundup.verbs.run_folder import differing_keys
from groundup.verbs.series_folder import find_run, find_series, read_run, read_series, seed_folder
from groundup.verbs.trained import Trained, load_trained

TRAIN_KEYS: Final = frozenset(f"train.{name}" for name in ("device", "threads", "precision", "micro_batch_tokens"))
"""What of the section `train` an evaluation goes by."""
TRAINING_DATA_KEYS: Final = frozenset(f"data.{name}" for name in ("train", "test", "folder", "max_tokens"))
"""What of the section `data` it does not."""


WIDEST_TABLE: Final = 15
"""Labels whose table of confusions still fits a terminal; of more the commonest mistakes are told, as many."""


@dataclass(frozen=True)
class EvaluationReport:
    """What was computed on what."""

    model: str
    data: str
    metrics: dict[str, Metric]
    classes: dict[str, Metric]
    """Figures of each class, for a classifier."""
    labels: tuple[str, ...]
    confusion: list[list[int]]
    """Rows are the true labels, columns the predicted ones; empty where there are no classes."""

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        return asdict(self)

    def __str__(self) -> str:
        lines = [f"{self.model} on {self.data}", *format_metrics(self.metrics.values())]
        if self.confusion:
            table = np.array(self.confusion)
            if len(self.labels) > WIDEST_TABLE:
                lines.append(format_confusions(table, self.labels, WIDEST_TABLE))
            else:
                lines.append(format_confusion(table, self.labels))
        return "\n".join(lines)


@dataclass(frozen=True)
class SeedsEvaluation:
    """What the models of several seeds come to on the same data."""

    folder: str
    data: str
    runs: dict[int, dict[str, Metric]]
    """The metrics of each seed."""
    metrics: dict[str, SeedMetric]

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        return asdict(self)

    def __str__(self) -> str:
        names = list(self.metrics)
        rows = [("seed", *names)]
        for seed, metrics in self.runs.items():
            rows.append((str(seed), *(format_figure(metrics[name].value) for name in names)))
        lines = [
            f"{plural(len(self.runs), 'seed')} of {self.folder} on {self.data}",
            *columns(rows, "r" * len(rows[0])),
        ]
        return "\n".join([*lines, *format_seeds(self.metrics.values())])


@dataclass(frozen=True)
class Evaluated:
    """A trained model and what it gave on evaluation data."""

    trained: Trained
    recipe: Recipe
    samples: Samples
    data: str
    """Where the samples are from."""
    measured: dict[str, np.ndarray]


@keep_threads()
def evaluate(target: str | Path, overrides: Sequence[str] = ()) -> EvaluationReport | SeedsEvaluation:
    """Score the model of a recipe, run folder or model folder; of a folder of several seeds, the models of all.

    Args:
        target: what to score.
        overrides: settings of its recipe to change first, such as `data.validation=my.tsv`.

    Raises:
        ConfigError: the model was not trained by a recipe, or an override of what is fixed in a trained model.
    """
    folder = find_series(target)
    if folder is None:
        return _report(measure_target(target, overrides), str(target))
    find_run(folder)  # an error where no seed has finished
    _, seeds, diverged = read_series(folder)
    runs: dict[int, dict[str, Metric]] = {}
    data = ""
    for seed in seeds:
        judge = read_run(folder, seed, diverged)[0].judge
        if judge is not None:
            found = _report(measure_target(seed_folder(folder, seed), overrides), str(target))
            runs[seed], data = judge.lead(found.metrics), found.data
    return SeedsEvaluation(str(folder), data, runs, over_seeds(runs))


def measure_target(target: str | Path, overrides: Sequence[str] = ()) -> Evaluated:
    """What the model of a recipe, run folder or model folder gives on evaluation data."""
    trained = load_trained(target)
    if trained.recipe is None:
        raise ConfigError(str(target), "has no groundup.json that says what data it is for", cure="train with a recipe")
    if missing := [head.kind for head in find_heads(trained.objective) if head.kind not in trained.model.heads]:
        cure = "what was measured in training stands in groundup.json"
        what = f"its folder leaves out what {trained.objective.config.kind!r} is measured with"
        raise ConfigError(str(target), what, got=missing, cure=cure)
    recipe = as_recipe(trained.recipe, overrides)
    _check_overrides(trained.recipe, recipe)
    if Path(target).suffix in (".yaml", ".yml"):
        _check_file(as_recipe(target, overrides), recipe)
    device = choose_device(recipe.train)
    samples, source = open_validation(recipe, trained.tokenizer, trained.objective)
    trained.model.to(device)
    measured = measure_all(
        trained.model,
        trained.objective,
        samples,
        device=device,
        precision=recipe.train.precision,
        max_tokens=recipe.train.micro_batch_tokens,
    )
    return Evaluated(trained, recipe, samples, source, measured)


def _report(found: Evaluated, name: str) -> EvaluationReport:
    objective, measured, examples = found.trained.objective, found.measured, found.samples.examples
    metrics = objective.score(measured, examples)
    if not isinstance(objective, Task):
        return EvaluationReport(name, found.data, metrics, {}, (), [])
    details = objective.details(measured, examples)
    confusion = [] if details.confusion is None else details.confusion.tolist()
    return EvaluationReport(name, found.data, metrics, dict(details.classes), details.labels, confusion)


@keep_threads()
def evaluate_pairs(
    target: str | Path, files: Sequence[str], *, reading: Reading | None = None, device: DeviceChoice = "auto"
) -> EvaluationReport:
    """How often a language model finds the grammatical sentence of a minimal pair likelier than its twin.

    Args:
        target: a recipe, a run folder or a model folder with a masked, causal or hybrid objective.
        files: jsonl files, or globs of them, as BLiMP is released.
        reading: `causal` or `masked`, where the model can do both; None for what it is best known for.
        device: where to compute.
    """
    pairs, num_alike = read_minimal_pairs(files)
    trained = load_trained(target)
    settings = TrainConfig(steps=1, device=device)
    model = trained.model.to(choose_device(settings))
    texts = [text for pair in pairs for text in (pair.good, pair.bad)]
    scores = score_texts(model, trained.objective, texts, reading=reading, where="minimal_pairs")
    used = reading or find_readings(trained.objective)[0]
    metrics, paradigms = score_pairs(pairs, scores[0::2] > scores[1::2], used, num_alike)
    return EvaluationReport(str(target), ", ".join(files), metrics, paradigms, (), [])


def score_pairs(
    pairs: Sequence[MinimalPair], is_right: Bool[np.ndarray, " pairs"], reading: Reading, num_alike: int = 0
) -> tuple[dict[str, Metric], dict[str, Metric]]:
    """`accuracy`, the mean over paradigms, and that of each field; then that of each paradigm. Ties are wrong.

    Pairs that were left out because their sentences are the same are told of in the signature.
    """
    names = np.array([pair.paradigm for pair in pairs])
    _, numbers, counts = np.unique(names, return_inverse=True, return_counts=True)
    weights = 1.0 / counts[numbers]
    what = "log-probability" if reading == "causal" else "pseudo-log-likelihood"
    interval = describe_interval("pairs", is_share=True)
    left_out = f"|left out: {num_alike} of the same sentence twice" if num_alike else ""

    def average(name: str, chosen: np.ndarray) -> Metric:
        found = bootstrap_share(is_right[chosen] * weights[chosen], weights[chosen])
        paradigms = len(set(names[chosen]))
        signature = (
            f"{reading} reading, {what} summed over tokens|mean over {paradigms} paradigms|n={int(chosen.sum())}"
            f"{left_out}|{interval}|v1"
        )
        return Metric(name, found.value, int(chosen.sum()), signature, found.low, found.high)

    fields = sorted({pair.field for pair in pairs if pair.field is not None})
    of_field = {name: np.array([pair.field == name for pair in pairs]) for name in fields}
    metrics = [average("accuracy", np.ones(len(pairs), dtype=bool))]
    metrics += [average(f"accuracy[{name}]", chosen) for name, chosen in of_field.items()]
    paradigms = [average(f"accuracy[{name}]", names == name) for name in sorted(set(names))]
    return {each.name: each for each in metrics}, {each.name: each for each in paradigms}


def _check_overrides(stored: Recipe, changed: Recipe) -> None:
    for key in differing_keys(stored.to_json(), changed.to_json()):
        if not _is_of_evaluation_data(key) and key not in TRAIN_KEYS:
            cure = "change the validation data, such as data.validation=FILE, or train.device"
            raise ConfigError(f"override {key}", "changes nothing for a model that is trained", cure=cure)


def _check_file(written: Recipe, used: Recipe) -> None:
    """A recipe's file may have changed since the run that it names: what is scored must be what stands in it."""
    for key in differing_keys(used.to_json(), written.to_json()):
        if _is_of_evaluation_data(key):
            cure = "give it as an override to score the model on it, or train again"
            raise ConfigError(key, "is not what the run of this recipe was trained with", cure=cure)


def _is_of_evaluation_data(key: str) -> bool:
    return key.startswith("data.") and key not in TRAINING_DATA_KEYS
