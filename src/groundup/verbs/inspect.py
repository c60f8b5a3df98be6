"""Inspect: what a recipe, a run folder or a model folder holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from groundup.checkpoint import pretrained
from groundup.errors import CheckpointError, ConfigError, GroundupError
from groundup.figures import format_figure
from groundup.metrics.metric import Metric
from groundup.model.config import ModelConfig
from groundup.reporting.content import Module
from groundup.text.tokenizer import Tokenizer
from groundup.verbs.design import inspect_design
from groundup.verbs.design_report import ComparisonReport, DesignReport
from groundup.verbs.design_tree import describe_values, read_tree, show_tree
from groundup.verbs.inspect_run import RunReport, inspect_run
from groundup.verbs.layout import clip, entry, fold, format_count
from groundup.verbs.run_folder import RECIPE_FILE
from groundup.verbs.series_folder import is_series
from groundup.verbs.series_report import SeriesReport, summarise


@dataclass(frozen=True)
class ModelReport:
    """A model folder."""

    folder: str
    source: str
    """Who wrote it."""
    design: dict[str, object]
    values: Mapping[str, str]
    modules: list[Module]
    num_parameters: int
    labels: tuple[str, ...] | None
    tokenizer: str
    manifest: dict[str, Any] | None
    metrics: dict[str, Metric]

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        return asdict(self)

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield from _entry("model", f"{self.folder} ({self.source})")
        yield from _show_design(self.values, self.modules)
        yield from _entry("parameters", f"{self.num_parameters:,}")
        if self.labels is not None:
            names = ", ".join(clip(label, 20) for label in self.labels[:20])
            yield from _entry("labels", names + (" ..." if len(self.labels) > 20 else ""))
        yield from _entry("tokenizer", self.tokenizer)
        if self.manifest is not None:
            yield from self._show_manifest(self.manifest)
        for metric in self.metrics.values():
            bounds = "" if metric.low is None else f" [{format_figure(metric.low)}, {format_figure(metric.high)}]"
            yield from _entry(metric.name, f"{format_figure(metric.value)}{bounds} over {metric.count:,}")
        for signature in dict.fromkeys(metric.signature for metric in self.metrics.values()):
            names = ", ".join(name for name, metric in self.metrics.items() if metric.signature == signature)
            yield from fold(f"{names}: {signature.replace('|', ' | ')}")

    def _show_manifest(self, manifest: dict[str, Any]) -> Iterator[str]:
        trained, recipe = manifest.get("trained", {}), manifest.get("recipe", {})
        if trained:
            yield from _entry(
                "trained",
                f"by groundup {manifest.get('groundup')}, objective {recipe.get('objective', {}).get('kind')}: step "
                f"{trained.get('step')} of {trained.get('steps_run')} run, {format_count(trained.get('tokens', 0))} "
                "tokens",
            )
        for name, digest in (manifest.get("data") or {}).items():
            if digest is not None:
                yield from _entry(f"{name} data", f"digest {str(digest)[:32]}")


Report = DesignReport | ComparisonReport | RunReport | SeriesReport | ModelReport


def inspect(target: str | Path, overrides: Sequence[str] = ()) -> Report:
    """Look at a recipe (its design and costs), a run folder (progress, checkpoints), its seeds, or a model folder.

    Args:
        target: a YAML file, a folder, or a name on the hub.
        overrides: `key.path=value`, for a recipe.

    Raises:
        ConfigError: the target is none of these, or overrides were given for a folder.
        CheckpointError: a model folder is damaged. Damaged checkpoints of a run are part of its report.
    """
    path = Path(target).expanduser()
    if path.is_file() or path.suffix in (".yaml", ".yml"):
        return inspect_design(path, overrides)
    if overrides:
        raise ConfigError("override", "can change a recipe only", got=overrides[0], cure="name a YAML file")
    if is_series(path):
        return summarise(path)
    if (path / RECIPE_FILE).is_file():
        return inspect_run(path)
    if path.is_dir() and not (path / "config.json").is_file():
        raise CheckpointError(
            str(target),
            f"is neither a run folder (no {RECIPE_FILE}) nor a model folder (no config.json)",
            cure=_suggest(path),
        )
    return inspect_model(target if not path.exists() else path)


def inspect_model(target: str | Path) -> ModelReport:
    """A model folder, every file of it checked."""
    loaded = pretrained.load(target)
    manifest = loaded.manifest
    metrics = {} if manifest is None else {n: Metric(**values) for n, values in manifest.get("metrics", {}).items()}
    kind = loaded.extra_config.get("model_type", "?")
    writer = "Hugging Face layout" if manifest is None else f"written by groundup {manifest.get('groundup')}"
    return ModelReport(
        folder=str(target),
        source=f"{kind}, {writer}",
        design=loaded.config.model_dump(mode="json"),
        values=describe_values(loaded.config),
        modules=read_tree(loaded.model),
        num_parameters=sum(parameter.numel() for parameter in loaded.model.parameters()),
        labels=loaded.labels,
        tokenizer=_describe_tokenizer(loaded.tokenizer_folder, loaded.config),
        manifest=manifest,
        metrics=metrics,
    )


def _show_design(values: Mapping[str, str], modules: Sequence[Module]) -> Iterator[str]:
    for name, text in values.items():
        yield from _entry(name, text)
    yield ""
    yield from show_tree(modules)
    yield ""


def _entry(name: str, text: str) -> list[str]:
    return entry(name, text, name_width=16)


def _describe_tokenizer(folder: Path, config: ModelConfig) -> str:
    try:
        tokenizer = Tokenizer.load(folder)
    except GroundupError as error:
        return f"none that can be read ({error})"
    fits = "" if tokenizer.vocab_size <= config.vocab_size else ", MORE THAN THE MODEL HAS"
    return f"{tokenizer.vocab_size:,} entries{fits}, {len(tokenizer.special_ids)} special"


def _suggest(path: Path) -> str:
    inside = sorted(each.name for each in path.iterdir() if each.is_dir() and (each / RECIPE_FILE).is_file())
    models = sorted(each.name for each in path.iterdir() if each.is_dir() and (each / "config.json").is_file())
    if inside or models:
        return f"in it are {', '.join([*inside, *models][:5])}"
    return "give a recipe (.yaml), a run's output folder, or a folder with config.json and model.safetensors"
