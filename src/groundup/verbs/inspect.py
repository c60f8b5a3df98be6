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
from groundup.model.config import CausalLMHead, ClassificationHead, Head, MaskedLMHead, ModelConfig
from groundup.model.estimate import Estimate, estimate
from groundup.objectives.causal import Causal
from groundup.objectives.masked import Masked
from groundup.objectives.rate import rate_at
from groundup.readers.table import TableConfig, collect_labels, iterate_table
from groundup.recipe import Recipe
from groundup.text.tokenizer import Tokenizer
from groundup.verbs.assemble import as_recipe, get_tokenizer, locate_model
from groundup.verbs.design_tree import ModuleLine, describe_values, read_tree, show_tree
from groundup.verbs.inspect_run import RunReport, inspect_run
from groundup.verbs.layout import clip, entry, fold, format_bytes, format_count
from groundup.verbs.run_folder import RECIPE_FILE


@dataclass(frozen=True)
class DesignReport:
    """The design that a recipe describes, and what it costs."""

    recipe: str
    design: dict[str, object]
    values: Mapping[str, str]
    """The design in words."""
    modules: tuple[ModuleLine, ...]
    costs: Estimate
    """On micro-batches of the recipe's size, all sequences of full length."""
    micro_batch_tokens: int
    notes: tuple[str, ...]
    """What was assumed."""

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        return asdict(self) | {"num_parameters": self.costs.num_parameters}

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield self.recipe
        yield from _show_design(self.values, self.modules)
        costs = self.costs
        shares = ", ".join(f"{part} {format_count(count)}" for part, count in costs.parameters.items() if count)
        yield from _entry("parameters", f"{costs.num_parameters:,}: {shares}")
        yield from _entry(
            "FLOPs",
            f"{format_count(costs.training_flops_per_token)} a token of training (forward and backward), "
            f"{format_count(costs.forward_flops_per_token)} of prediction",
        )
        memory = ", ".join(f"{kind} {format_bytes(size)}" for kind, size in costs.memory.items())
        total = f"about {format_bytes(costs.total_memory)} to train on {self.micro_batch_tokens:,} tokens at once"
        yield from _entry("memory", f"{total}: {memory}")
        for note in self.notes:
            yield from fold(note, indent=0, first="- ")


@dataclass(frozen=True)
class ModelReport:
    """A model folder."""

    folder: str
    source: str
    """Who wrote it."""
    design: dict[str, object]
    values: Mapping[str, str]
    modules: tuple[ModuleLine, ...]
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


Report = DesignReport | RunReport | ModelReport


def inspect(target: str | Path, overrides: Sequence[str] = ()) -> Report:
    """Look at a recipe (its design and costs), a run folder (progress, checkpoints) or a model folder.

    Args:
        target: a YAML file, a folder, or a name on the hub.
        overrides: `key.path=value`, for a recipe.

    Raises:
        ConfigError: the target is none of these, or overrides were given for a folder.
        CheckpointError: a model folder is damaged. Damaged checkpoints of a run are part of its report.
    """
    path = Path(target).expanduser()
    if path.is_file() or path.suffix in (".yaml", ".yml"):
        return inspect_recipe(as_recipe(path, overrides), str(target))
    if overrides:
        raise ConfigError("override", "can change a recipe only", got=overrides[0], cure="name a YAML file")
    if (path / RECIPE_FILE).is_file():
        return inspect_run(path)
    if path.is_dir() and not (path / "config.json").is_file():
        raise CheckpointError(
            str(target),
            f"is neither a run folder (no {RECIPE_FILE}) nor a model folder (no config.json)",
            cure=_suggest(path),
        )
    return inspect_model(target if not path.exists() else path)


def inspect_recipe(recipe: Recipe, name: str) -> DesignReport:
    """The design of a recipe. What only its data could tell is assumed, and said so, where the data is not there."""
    head, notes = _find_head(recipe)
    if recipe.model.kind == "pretrained":
        config = pretrained.load(locate_model(recipe.model.path), heads=[head]).config
    else:
        size, padding_id, note = _find_vocabulary(recipe)
        notes += note
        config = recipe.model.resolve(size, padding_id, head)
    costs, tokens = estimate_training(config, recipe)
    values = config.model_dump(mode="json")
    return DesignReport(name, values, describe_values(config), read_tree(config), costs, tokens, notes)


def estimate_training(config: ModelConfig, recipe: Recipe) -> tuple[Estimate, int]:
    """What a step of the recipe costs, on micro-batches of so many tokens, all sequences of full length."""
    length = min(recipe.objective.max_length, config.max_length)
    tokens = min(recipe.train.micro_batch_tokens, recipe.train.batch_size * length)
    return estimate(
        config,
        batch_tokens=tokens,
        lengths=[length],
        target_fraction=rate_at(recipe.objective.rate, 0.0) if isinstance(recipe.objective, Masked) else 1.0,
        activation_bytes=2 if recipe.train.precision == "bf16" else 4,
        is_fused=recipe.train.device == "cuda" or not config.dropout.attention,
    ), tokens


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
        modules=read_tree(loaded.config),
        num_parameters=sum(parameter.numel() for parameter in loaded.model.parameters()),
        labels=loaded.labels,
        tokenizer=_describe_tokenizer(loaded.tokenizer_folder, loaded.config),
        manifest=manifest,
        metrics=metrics,
    )


def _show_design(values: Mapping[str, str], modules: tuple[ModuleLine, ...]) -> Iterator[str]:
    for name, text in values.items():
        yield from _entry(name, text)
    yield ""
    yield from show_tree(modules)
    yield ""


def _entry(name: str, text: str) -> list[str]:
    return entry(name, text, name_width=16)


def _find_head(recipe: Recipe) -> tuple[Head, tuple[str, ...]]:
    """The head that the objective needs; its number of labels is read from the recipe or the data."""
    objective = recipe.objective
    if isinstance(objective, Masked | Causal):
        return MaskedLMHead() if isinstance(objective, Masked) else CausalLMHead(), ()
    labels, notes = objective.labels, ()
    if labels is None:
        try:
            assert isinstance(recipe.data, TableConfig)
            labels = collect_labels(iterate_table(recipe.data.train, recipe.data, "data.train"))
        except GroundupError as error:
            labels, notes = ("0", "1"), (f"Two labels are assumed, because the table cannot be read: {error}",)
    return ClassificationHead(num_labels=len(labels), dropout=objective.dropout), notes


def _find_vocabulary(recipe: Recipe) -> tuple[int, int | None, tuple[str, ...]]:
    """Entries and padding id of the tokenizer; of one that is still to be trained, the most it may have."""
    config = recipe.tokenizer
    kept = recipe.folder / "tokenizer"
    if config is not None and config.kind != "pretrained" and not kept.is_dir():
        note = f"The tokenizer is not trained yet; {config.vocab_size:,} entries are counted, the most it may have."
        return config.vocab_size, 0, (note,)
    tokenizer = get_tokenizer(recipe, recipe.folder)
    return tokenizer.vocab_size, tokenizer.pad_id, ()


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
