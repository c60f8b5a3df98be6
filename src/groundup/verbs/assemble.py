"""From a recipe to the live parts of a run: tokenizer, samples, objective, model."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from groundup.checkpoint import pretrained
from groundup.checkpoint.hub import find_folder
from groundup.checkpoint.tensors import write_folder
from groundup.config import apply_overrides, expand_path
from groundup.errors import ConfigError
from groundup.families.values import default_labels
from groundup.model.initialize import initialize
from groundup.model.transformer import Transformer
from groundup.objectives.causal import CausalObjective
from groundup.objectives.masked import Masked, MaskedObjective
from groundup.readers.table import TableConfig, iterate_table, read_table
from groundup.recipe import Recipe, check_direction
from groundup.tasks.classification import ClassificationTask
from groundup.text.corpus import Corpus
from groundup.text.corpus_config import CorpusConfig
from groundup.text.documents import iterate_texts
from groundup.text.prepare import Progress, prepare
from groundup.text.sample import EncodingReport, Samples
from groundup.text.tokenizer import Tokenizer, train_tokenizer
from groundup.training.log import format_seconds
from groundup.verbs.check_data import check_files
from groundup.verbs.memory import check_weights

AnyObjective = MaskedObjective | CausalObjective | ClassificationTask


@dataclass(frozen=True)
class Parts:
    """What a run is made of, besides its model."""

    tokenizer: Tokenizer
    objective: AnyObjective
    train: Samples
    validation: Samples | None
    labels: tuple[str, ...] | None
    """The classes in order; None where there are none."""
    notes: tuple[str, ...]
    """What a user should know about the data before training."""


def as_recipe(recipe: str | Path | Recipe | Mapping[str, object], overrides: Sequence[str] = ()) -> Recipe:
    """A recipe from its file, from plain values or from itself, with overrides applied."""
    if isinstance(recipe, str | Path):
        return Recipe.load(recipe, overrides)
    values = recipe.to_json() if isinstance(recipe, Recipe) else dict(recipe)
    return Recipe.from_values(apply_overrides(values, overrides))


def assemble(recipe: Recipe, folder: Path, *, quiet: bool = False) -> Parts:
    """Tokenizer, objective and samples; a corpus is prepared and a tokenizer trained in `folder` where needed."""
    check_files(recipe)  # a file that is missing is told of before minutes of preparing
    if isinstance(recipe.data, TableConfig):
        return _assemble_table(recipe, recipe.data, folder, quiet=quiet)
    return _assemble_corpus(recipe, recipe.data, folder, quiet=quiet)


def build_model(recipe: Recipe, parts: Parts) -> tuple[Transformer, tuple[str, ...]]:
    """The model with the objective's head, and what was fresh or dropped where weights were loaded."""
    head, choice = parts.objective.head, recipe.model
    if choice.kind == "transformer":
        config = choice.resolve(parts.tokenizer.vocab_size, parts.tokenizer.pad_id, head)
        check_weights(config)
        model = Transformer(config)
        initialize(model, recipe.seed)
        notes: tuple[str, ...] = ()
    else:
        loaded = pretrained.load(locate_model(choice.path), heads=[head], seed=recipe.seed, dropout=choice.dropout)
        model, config, fresh = loaded.model, loaded.config, loaded.fresh
        if loaded.labels is not None and loaded.labels not in (parts.labels, default_labels(len(loaded.labels))):
            # A head of other classes, or of the same in another order, would start out confidently wrong.
            of_head = tuple(name for name, _ in model.named_parameters() if name.startswith("heads."))
            initialize(model, recipe.seed, of_head)
            fresh += of_head
        notes = tuple(f"fresh weights: {name}" for name in fresh)
        notes += tuple(f"not used: {name}" for name in loaded.dropped)
    if parts.tokenizer.vocab_size > config.vocab_size:
        raise ConfigError(
            "tokenizer",
            f"has {parts.tokenizer.vocab_size} entries, more than the model's {config.vocab_size} embeddings",
            cure="use the tokenizer of the model's folder: leave `tokenizer` out",
        )
    if recipe.objective.max_length > config.max_length:
        raise ConfigError(
            "objective.max_length",
            f"is more than the model's {config.max_length} positions",
            got=recipe.objective.max_length,
            cure=f"lower it to {config.max_length}, or raise model.max_length",
        )
    check_direction(recipe.objective, config.causal)
    if isinstance(recipe.data, TableConfig) and recipe.data.pair is not None and config.num_token_types == 1:
        raise ConfigError("model.num_token_types", "tells no pair apart", got=1, cure="set it to 2, or to 0 for none")
    return model, notes


def locate_model(path: str) -> str | Path:
    """The model folder that a recipe names: a run folder stands for the model in it; a hub name stays as it is."""
    expanded = expand_path(path, "model.path")
    if (expanded / "model" / "config.json").is_file():
        return expanded / "model"
    return expanded if expanded.exists() else path


def get_tokenizer(
    recipe: Recipe, folder: Path | None, texts: Iterator[str] | None = None, *, quiet: bool = True
) -> Tokenizer:
    """The recipe's tokenizer: loaded, or trained once and kept in the run folder.

    Args:
        recipe: its section `tokenizer` says which.
        folder: the run folder; None keeps nothing.
        texts: what to train on, where it must be trained.
        quiet: do not say that training goes on, which can take a minute.
    """
    config = recipe.tokenizer
    if config is None:
        return Tokenizer.load(find_folder(locate_model(recipe.model.path)))
    if config.kind == "pretrained":
        return Tokenizer.load(locate_tokenizer(config.path))
    kept = None if folder is None else folder / "tokenizer"
    if kept is not None and kept.is_dir():
        return Tokenizer.load(kept)
    if not quiet:
        size = "" if config.kind == "characters" else f" of {config.vocab_size} entries"
        print(f"training a tokenizer{size} ...", file=sys.stderr)
    tokenizer = train_tokenizer(config, iterate_training_texts(recipe) if texts is None else texts)
    if kept is not None:
        write_folder(kept, tokenizer.save)
    return tokenizer


def locate_tokenizer(path: str) -> Path:
    """The folder or file of a tokenizer; a run folder stands for the one in it."""
    expanded = expand_path(path, "tokenizer.path")
    inside = (expanded / "model", expanded / "tokenizer")
    return next((folder for folder in inside if (folder / "tokenizer.json").is_file()), expanded)


def iterate_training_texts(recipe: Recipe) -> Iterator[str]:
    """Every text that the recipe trains on, for a tokenizer to learn from."""
    data = recipe.data
    if isinstance(data, TableConfig):
        for example in iterate_table(data.train, data, "data.train", needs_label=recipe.objective.needs_label):
            yield example.text
            if example.pair is not None:
                yield example.pair
    else:
        yield from iterate_texts(data.train, data, "data.train")


def _assemble_table(recipe: Recipe, data: TableConfig, folder: Path, *, quiet: bool) -> Parts:
    needs_label = recipe.objective.needs_label
    rows = read_table(data.train, data, "data.train", needs_label=needs_label)
    texts = (text for row in rows for text in (row.text, row.pair) if text)
    tokenizer = get_tokenizer(recipe, folder, texts, quiet=quiet)
    labels = recipe.objective.choose_labels(rows, "data.train")
    task = recipe.objective.build(tokenizer, labels)
    train = task.encode(rows, "data.train")
    notes = [_describe("train", train.report)]
    validation = None
    if data.validation is not None:
        rows = read_table(data.validation, data, "data.validation", needs_label=needs_label)
        validation = task.encode(rows, "data.validation")
        notes.append(_describe("validation", validation.report))
    return Parts(tokenizer, task, train, validation, labels or None, tuple(notes))


def _assemble_corpus(recipe: Recipe, data: CorpusConfig, folder: Path, *, quiet: bool) -> Parts:
    if isinstance(recipe.objective, Masked):
        recipe.objective.load_segmenter()  # one that is missing is told of before minutes of preparing
    tokenizer = get_tokenizer(recipe, folder, quiet=quiet)
    objective = recipe.objective.build(tokenizer, ())
    train = open_corpus(recipe, data, tokenizer, folder, "train", quiet=quiet)
    validation = None
    if data.has_validation:
        validation = open_corpus(recipe, data, tokenizer, folder, "validation", quiet=quiet)
    notes = [f"train: {len(train)} sequences, {int(train.lengths.sum()):,} tokens"]
    if validation is not None:
        notes.append(f"validation: {len(validation)} sequences, {int(validation.lengths.sum()):,} tokens")
    return Parts(tokenizer, objective, train, validation, None, tuple(notes))


def open_corpus(
    recipe: Recipe, data: CorpusConfig, tokenizer: Tokenizer, folder: Path, split: str, *, quiet: bool = False
) -> Corpus:
    """The prepared tokens of `train` or `validation`, prepared first where they are not."""
    files, settings = corpus_source(data, split)
    report = None if quiet else _ProgressLine(f"preparing {split}")
    home = corpus_folder(data, folder, split)
    prepare(files, tokenizer, home, settings, where=f"data.{split}", progress=report)
    return open_prepared(recipe, data, tokenizer, folder, split)


def corpus_source(data: CorpusConfig, split: str) -> tuple[tuple[str, ...], CorpusConfig]:
    """The files that `train` or `validation` is prepared from, and how."""
    if split == "validation" and data.validation_share is None:
        return data.validation, data.model_copy(update={"max_tokens": data.max_validation_tokens})
    return data.train, data


def open_prepared(recipe: Recipe, data: CorpusConfig, tokenizer: Tokenizer, folder: Path, split: str) -> Corpus:
    """The prepared tokens of `train` or `validation`; their texts are not asked for."""
    border = 1.0 - (data.validation_share or 0.0)
    is_held_out = split == "validation" and data.validation_share is not None
    return Corpus.open(
        corpus_folder(data, folder, split),
        tokenizer,
        max_length=recipe.objective.max_length,
        min_length=data.min_length,
        frame=recipe.objective.frame(tokenizer),
        part=(border, 1.0) if is_held_out else (0.0, border),
    )


def corpus_folder(data: CorpusConfig, folder: Path, split: str) -> Path:
    """Where the prepared tokens of `train` or `validation` are kept; those that share files are kept together."""
    home = folder / "corpus" if data.folder is None else expand_path(data.folder, "data.folder")
    return home / ("train" if data.validation_share is not None else split)


class _ProgressLine:
    """The progress of a preparation, at most once a second."""

    def __init__(self, what: str) -> None:
        self._what, self._started, self._last = what, time.monotonic(), time.monotonic()

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if now - self._last < 1.0:
            return
        self._last = now
        share = progress.done_bytes / max(1, progress.total_bytes)
        left = (now - self._started) * (1.0 - share) / max(share, 1e-9)
        print(
            f"{self._what}: {share:.0%}  {progress.num_tokens:,} tokens  {progress.tokens_per_second:,.0f} tokens/s  "
            f"{format_seconds(left)} left",
            file=sys.stderr,
        )


def open_test(recipe: Recipe, objective: AnyObjective) -> Samples | None:
    """What is looked at once, in the end: a table's rows of `data.test`; None where there are none."""
    data = recipe.data
    if not isinstance(data, TableConfig) or data.test is None:
        return None
    rows = read_table(data.test, data, "data.test", needs_label=recipe.objective.needs_label)
    return objective.encode(rows, "data.test")


def open_validation(recipe: Recipe, tokenizer: Tokenizer, objective: AnyObjective) -> tuple[Samples, str]:
    """The validation data of a recipe for a model that exists already, and their name."""
    data = recipe.data
    if isinstance(data, TableConfig):
        if data.validation is None:
            raise ConfigError("data.validation", "names no file to evaluate on", cure="data.validation=FILE")
        rows = read_table(data.validation, data, "data.validation", needs_label=recipe.objective.needs_label)
        return objective.encode(rows, "data.validation"), data.validation
    if not data.has_validation:
        raise ConfigError("data.validation", "names no file to evaluate on", cure='data.validation=["FILE"]')
    with tempfile.TemporaryDirectory() as folder:
        # Memory-mapped files live on until they are let go of, so the folder may vanish first.
        corpus = open_corpus(recipe, data.model_copy(update={"folder": None}), tokenizer, Path(folder), "validation")
    held_out = f"the last {data.validation_share:.0%} of {', '.join(data.train)}" if data.validation_share else ""
    return corpus, held_out or ", ".join(data.validation)


def _describe(name: str, report: EncodingReport) -> str:
    labels = ", ".join(f"{label}: {count}" for label, count in report.label_counts.items())
    labels = f" ({labels})" if labels else ""
    cut = f"; {report.num_truncated} cut, {report.tokens_lost} tokens lost" if report.num_truncated else ""
    return f"{name}: {report.num_rows} rows{labels}{cut}"
