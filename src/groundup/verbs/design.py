"""What a design is and costs, from its values alone: no weights are read, no tensor has storage."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final, NamedTuple

import torch

from groundup.checkpoint import pretrained
from groundup.errors import ConfigError, GroundupError
from groundup.model.config import Head, ModelConfig
from groundup.model.estimate import BYTES_OF_WEIGHT, estimate
from groundup.model.initialize import parameter_role
from groundup.objectives.masked import Masked
from groundup.objectives.rate import rate_at
from groundup.optim.adamw import AdamW
from groundup.optim.config import OptimizerConfig
from groundup.readers.lines import find_files
from groundup.readers.source import ExampleSource
from groundup.recipe import AnyObjectiveConfig, AnyTaskConfig, Recipe
from groundup.reporting.content import Design
from groundup.reporting.design_page import render_comparison, render_design
from groundup.training.config import TrainConfig
from groundup.verbs.assemble import as_recipe, get_tokenizer, locate_model
from groundup.verbs.design_costs import find_costs
from groundup.verbs.design_report import ComparisonReport, DesignReport, compare
from groundup.verbs.design_tree import build_shape, read_tree
from groundup.verbs.run_folder import RECIPE_FILE, read_recipe, write_text

_LONGEST: Final = 2048
"""Tokens of a sequence that a model folder's costs are told for, where it could take more."""
_MOST_READ: Final = 50_000_000
"""Bytes of text up to which characters are counted before there is a tokenizer of them."""


class Use(NamedTuple):
    """How a design is used, as far as its costs depend on it. All sequences are of one length."""

    micro_batch_tokens: int
    length: int
    target_fraction: float
    """The part of the tokens that a language-model head is computed on."""
    activation_bytes: int
    is_cpu: bool
    optimizer: OptimizerConfig


class Subject(NamedTuple):
    """A design, its use, and what was assumed of it."""

    name: str
    config: ModelConfig
    use: Use
    notes: tuple[str, ...]


def find_design(target: str | Path, overrides: Sequence[str] = ()) -> Subject:
    """The design of a recipe, a run folder, a model folder or a name on the hub, and how it is used there.

    Raises:
        ConfigError: overrides for what is no recipe, or a recipe that is none.
        CheckpointError: a folder that is neither, or whose config.json describes nothing that we compute.
    """
    path = Path(target).expanduser()
    name = " ".join([str(target), *overrides])
    if path.is_file() or path.suffix in (".yaml", ".yml"):
        return describe_recipe(as_recipe(path, overrides), name)
    if (path / RECIPE_FILE).is_file():
        return describe_recipe(as_recipe(read_recipe(path), overrides), name)
    if overrides:
        raise ConfigError("override", "can change a recipe only", got=overrides[0], cure="name a YAML file")
    config = pretrained.read_design(locate_model(str(target)))
    length = min(config.max_length, _LONGEST)
    is_masked = any(head.kind == "masked_lm" for head in config.heads)
    tokens = max(length, TrainConfig.model_fields["micro_batch_tokens"].default)
    fraction = rate_at(Masked.model_fields["rate"].default, 0.0) if is_masked else 1.0
    notes = () if config.heads else ("The folder has no head; none is counted.",)
    return Subject(name, config, Use(tokens, length, fraction, 4, True, AdamW()), notes)


def describe_recipe(recipe: Recipe, name: str) -> Subject:
    """The design of a recipe. What only its data could tell is assumed, and said so, where the data is not there."""
    heads, notes = _find_heads(recipe)
    if recipe.model.kind == "pretrained":
        config = pretrained.read_design(locate_model(recipe.model.path), heads=heads)
    else:
        size, padding_id, note = _find_vocabulary(recipe)
        notes += note
        config = recipe.model.resolve(size, padding_id, *heads)
    return Subject(name, config, find_use(recipe, config), notes)


def find_use(recipe: Recipe, config: ModelConfig) -> Use:
    """How a recipe trains a design, if all sequences are as long as they may be."""
    length = min(recipe.objective.max_length, config.max_length)
    return Use(
        micro_batch_tokens=min(recipe.train.micro_batch_tokens, recipe.train.batch_size * length),
        length=length,
        target_fraction=find_target_share(recipe.objective),
        activation_bytes=2 if recipe.train.precision == "bf16" else 4,
        is_cpu=not (recipe.train.device == "cuda" or (recipe.train.device == "auto" and torch.cuda.is_available())),
        optimizer=recipe.optimizer,
    )


def find_target_share(objective: AnyObjectiveConfig) -> float:
    """The part of the tokens that a language-model head is computed on, when training begins."""
    match objective.kind:
        case "masked":
            return rate_at(objective.rate, 0.0)
        case "permuted":
            return objective.rate
        case "hybrid":
            share = objective.causal_share
            return share + (1.0 - share) * find_target_share(objective.masking)
        case "replaced":
            return find_target_share(objective.masking)
        case "mix":
            asked = [part.objective for part in objective.parts if part.objective.kind != "sentence"]
            return max(map(find_target_share, asked), default=1.0)
        case _:
            return 1.0


def describe_design(subject: Subject) -> Design:
    """The tree of a design, its parameters, FLOPs and memory, and what it costs that nobody would guess."""
    config, use = subject.config, subject.use
    model = build_shape(config)
    costs = estimate(
        config,
        batch_tokens=use.micro_batch_tokens,
        lengths=[use.length],
        target_fraction=use.target_fraction,
        optimizer_values=use.optimizer.count_state(model.named_parameters(), parameter_role),
        activation_bytes=use.activation_bytes,
        is_fused=not use.is_cpu or not (config.dropout.attention or config.position.kind == "relative_bias"),
    )
    cached = costs.cache_values_per_token
    return {
        "name": subject.name,
        "config": config.model_dump(mode="json"),
        "modules": read_tree(model),
        "parameters": costs.parameters,
        "parameter_shares": {name: count / costs.num_parameters for name, count in costs.parameters.items()},
        "num_parameters": costs.num_parameters,
        "forward_flops": costs.forward_flops,
        "flops_shares": {name: value / costs.forward_flops_per_token for name, value in costs.forward_flops.items()},
        "forward_flops_per_token": costs.forward_flops_per_token,
        "training_flops_per_token": costs.training_flops_per_token,
        "memory": costs.memory,
        "memory_shares": {name: size / costs.total_memory for name, size in costs.memory.items()},
        "total_memory": costs.total_memory,
        "cache_bytes_per_token": None if cached is None else cached * BYTES_OF_WEIGHT,
        "micro_batch_tokens": use.micro_batch_tokens,
        "length": use.length,
        "activation_bytes": use.activation_bytes,
        "costs": find_costs(
            config,
            costs,
            length=use.length,
            tokens=use.micro_batch_tokens,
            activation_bytes=use.activation_bytes,
            is_cpu=use.is_cpu,
        ),
        "notes": list(subject.notes),
    }


def inspect_design(
    target: str | Path,
    overrides: Sequence[str] = (),
    other: str | Path | None = None,
    other_overrides: Sequence[str] = (),
) -> DesignReport | ComparisonReport:
    """What a design is and costs, or two designs side by side.

    Args:
        target: a recipe, a run folder, a model folder (its weights need not be there), or a name on the hub.
        overrides: `key.path=value`, for a recipe.
        other: what to compare it with.
        other_overrides: for the other; with the same recipe twice they are all that differs.
    """
    one = describe_design(find_design(target, overrides))
    if other is None:
        return DesignReport(one)
    return ComparisonReport(compare(one, describe_design(find_design(other, other_overrides))))


def inspect_designs(arguments: Sequence[str], *, html: str | Path | None = None) -> DesignReport | ComparisonReport:
    """`inspect_design` as a command line says it: a target, its `key.path=value`, and the same of another.

    Args:
        arguments: at least one; what is a file or folder here, or no setting, is a target.
        html: a file to draw the page in.
    """
    targets: list[tuple[str, list[str]]] = []
    for argument in arguments:
        if not targets or "=" not in argument or Path(argument).exists():
            targets.append((argument, []))
        else:
            targets[-1][1].append(argument)
    if len(targets) > 2:
        raise ConfigError("design", "two designs at most are compared", got=[name for name, _ in targets])
    (target, overrides), (other, other_overrides) = (*targets, (None, []))[:2]
    report = inspect_design(target, overrides, other, other_overrides)
    if html is not None:
        write_text(Path(html), render_page(report))
    return report


def render_page(report: DesignReport | ComparisonReport) -> str:
    """The page of one design or of two."""
    if isinstance(report, DesignReport):
        return render_design(report.content, version("groundup"))
    return render_comparison(report.content, version("groundup"))


def _find_heads(recipe: Recipe) -> tuple[tuple[Head, ...], tuple[str, ...]]:
    """The heads that the objective needs; the number of labels is read from the recipe or the data."""
    objective = recipe.objective
    if not isinstance(objective, AnyTaskConfig):
        return objective.heads, ()
    labels, notes = objective.labels, ()
    if labels is None:
        try:
            assert isinstance(recipe.data, ExampleSource)
            labels = objective.choose_labels(list(recipe.data.iterate("train")), "data.train")
        except GroundupError as error:
            labels, notes = ("0", "1"), (f"Two labels are assumed, because the table cannot be read: {error}",)
    return (objective.make_head(labels),), notes


def _find_vocabulary(recipe: Recipe) -> tuple[int, int | None, tuple[str, ...]]:
    """Entries and padding id of the tokenizer; of one that is still to be trained, the most it may have."""
    config, kept = recipe.tokenizer, recipe.folder / "tokenizer"
    chosen = recipe.model.vocab_size
    if config is not None and config.kind not in ("pretrained", "characters") and not kept.is_dir():
        note = f"The tokenizer is not trained yet; {config.vocab_size:,} entries are counted, the most it may have."
        return config.vocab_size, 0, (note,)
    try:
        if config is not None and config.kind == "characters" and not kept.is_dir():
            _check_size(recipe)
            tokenizer = get_tokenizer(recipe, None)
        else:
            tokenizer = get_tokenizer(recipe, recipe.folder)
    except GroundupError as error:
        if chosen is None:
            cure = "make it first, or give model.vocab_size=8000, say"
            raise ConfigError("tokenizer", f"cannot be counted: {error}", cure=cure) from None
        return chosen, 0, (f"The {chosen:,} entries of model.vocab_size are counted, without a tokenizer: {error}",)
    return tokenizer.vocab_size, tokenizer.pad_id, ()


def _check_size(recipe: Recipe) -> None:
    """ConfigError where the characters of the training text would take long to count."""
    data = recipe.data
    files = data.find_files("train") if isinstance(data, ExampleSource) else find_files(data.train, "data.train")
    size = sum(path.stat().st_size for path in files)
    if size > _MOST_READ:
        raise ConfigError("data.train", f"is {size:,} bytes of text whose characters were not counted yet")
