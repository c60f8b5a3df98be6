"""From a recipe to the live parts of a run: tokenizer, samples, objective, model."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from groundup.checkpoint import pretrained
from groundup.checkpoint.hub import find_folder
from groundup.checkpoint.tensors import write_folder
from groundup.config import apply_overrides, expand_path
from groundup.errors import ConfigError
from groundup.families.values import default_labels
from groundup.model.extend import extend_vocabulary
from groundup.model.initialize import initialize
from groundup.model.transformer import Transformer
from groundup.objectives.causal import CausalObjective
from groundup.objectives.contrastive import ContrastiveObjective
from groundup.objectives.denoising import Denoising
from groundup.objectives.hybrid import Hybrid, HybridObjective
from groundup.objectives.masked import Masked, MaskedObjective
from groundup.objectives.mix import Mix, MixObjective
from groundup.objectives.permuted import Permuted, PermutedObjective
from groundup.objectives.protocol import Fitted, Rescaled, find_heads
from groundup.objectives.replaced import Replaced, ReplacedObjective
from groundup.objectives.restoring import RestoringObjective
from groundup.objectives.sentence import SentenceObjective
from groundup.objectives.seq2seq import Seq2Seq, Seq2SeqObjective
from groundup.objectives.span import SpanCorruption
from groundup.readers.set_config import SetConfig
from groundup.readers.source import AnExample, ExampleSource
from groundup.recipe import Recipe, check_direction, check_length, check_pairs, check_prefix, check_stream
from groundup.tasks.classification import ClassificationTask
from groundup.tasks.multi_label import MultiLabelTask
from groundup.tasks.multiple_choice import MultipleChoiceTask
from groundup.tasks.question_answering import AnsweringTask
from groundup.tasks.regression import RegressionTask
from groundup.tasks.span_classification import SpanTask
from groundup.tasks.tagging import TaggingTask
from groundup.text.corpus_config import CorpusConfig
from groundup.text.documents import iterate_texts
from groundup.text.sample import EncodingReport, Samples
from groundup.text.tokenizer import Tokenizer, TokenizerConfig, train_tokenizer
from groundup.verbs.check_data import check_files
from groundup.verbs.corpora import (
    count_single,
    open_further,
    open_source,
    open_training,
    prepare_source,
    prepare_sources,
)
from groundup.verbs.memory import check_weights
from groundup.verbs.series_folder import find_run

AnyObjective = (
    MaskedObjective
    | CausalObjective
    | PermutedObjective
    | Seq2SeqObjective
    | RestoringObjective
    | SentenceObjective
    | MixObjective
    | HybridObjective
    | ReplacedObjective
    | ContrastiveObjective
    | ClassificationTask
    | AnsweringTask
    | MultiLabelTask
    | MultipleChoiceTask
    | TaggingTask
    | SpanTask
    | RegressionTask
)


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
    further: Mapping[str, Samples] = field(default_factory=dict)
    """What is measured beside `validation`, by the names of the sources it is held out of."""


def as_recipe(recipe: str | Path | Recipe | Mapping[str, object], overrides: Sequence[str] = ()) -> Recipe:
    """A recipe from its file, from plain values or from itself, with overrides applied."""
    if isinstance(recipe, str | Path):
        return Recipe.load(recipe, overrides)
    values = recipe.to_json() if isinstance(recipe, Recipe) else dict(recipe)
    return Recipe.from_values(apply_overrides(values, overrides))


def assemble(recipe: Recipe, folder: Path, *, quiet: bool = False) -> Parts:
    """Tokenizer, objective and samples; a corpus is prepared and a tokenizer trained in `folder` where needed."""
    check_files(recipe)  # a file that is missing is told of before minutes of preparing
    if isinstance(recipe.data, ExampleSource):
        return _assemble_examples(recipe, recipe.data, folder, quiet=quiet)
    return _assemble_corpus(recipe, recipe.data, folder, quiet=quiet)


def build_objective(recipe: Recipe, tokenizer: Tokenizer, labels: Sequence[str] = ()) -> AnyObjective:
    """The objective of a recipe; a model that is trained already may say what its targets start with."""
    objective, model = recipe.objective, recipe.model
    if isinstance(objective, Seq2Seq | SpanCorruption | Denoising) and model.kind == "pretrained":
        return objective.build(tokenizer, start_id=pretrained.read_start(find_folder(locate_model(model.path))))
    return objective.build(tokenizer, labels)


def build_task(recipe: Recipe, tokenizer: Tokenizer, rows: Sequence[AnExample]) -> tuple[AnyObjective, tuple[str, ...]]:
    """The task of a recipe with what it takes from its training examples, and the labels in them."""
    labels = recipe.objective.choose_labels(rows, "data.train")
    task = build_objective(recipe, tokenizer, labels)
    return (task.fit(rows, "data.train") if isinstance(task, Fitted) else task), labels


def build_model(recipe: Recipe, parts: Parts) -> tuple[Transformer, tuple[str, ...]]:
    """The model with the objective's head, and what was fresh or dropped where weights were loaded."""
    heads, choice = find_heads(parts.objective), recipe.model
    if choice.kind == "transformer":
        config = choice.resolve(parts.tokenizer.vocab_size, parts.tokenizer.pad_id, *heads)
        check_weights(config)
        model = Transformer(config)
        initialize(model, recipe.seed)
        notes: tuple[str, ...] = ()
    else:
        loaded = pretrained.load(locate_model(choice.path), heads=heads, seed=recipe.seed, dropout=choice.dropout)
        model, config, fresh = loaded.model, loaded.config, loaded.fresh
        usual = None if loaded.labels is None else default_labels(len(loaded.labels))
        if parts.labels is not None and loaded.labels not in (None, parts.labels, usual):
            # A head of other classes, or of the same in another order, would start out confidently wrong.
            of_head = tuple(name for name, _ in model.named_parameters() if name.startswith("heads."))
            initialize(model, recipe.seed, of_head)
            fresh += of_head
        elif isinstance(parts.objective, Rescaled) and not any(name.startswith("heads.") for name in fresh):
            parts.objective.receive(model)
        notes = tuple(f"fresh weights: {name}" for name in fresh)
        notes += tuple(f"not used: {name}" for name in loaded.dropped)
        if recipe.tokenizer is not None and recipe.tokenizer.kind == "extended":
            model, grown = _extend(model, recipe.tokenizer.path, parts.tokenizer)
            config, notes = model.config, (*notes, grown)
    if parts.tokenizer.vocab_size > config.vocab_size:
        raise ConfigError(
            "tokenizer",
            f"has {parts.tokenizer.vocab_size} entries, more than the model's {config.vocab_size} embeddings",
            cure="use the tokenizer of the model's folder: leave `tokenizer` out",
        )
    check_length(recipe.objective, config.max_length)
    check_direction(recipe.objective, config.causal, config.encoder is not None)
    check_stream(recipe.objective, config.query_stream)
    check_prefix(recipe.objective, config.position.kind)
    if _tells_pairs_by_type(parts.tokenizer):
        check_pairs(recipe.objective, config.num_token_types)
        if isinstance(recipe.data, ExampleSource) and recipe.data.has_pair and config.num_token_types == 1:
            cure = "set it to 2, or to 0 for none"
            raise ConfigError("model.num_token_types", "tells no pair apart", got=1, cure=cure)
    return model, notes


def _tells_pairs_by_type(tokenizer: Tokenizer) -> bool:
    """Whether nothing else does: RoBERTa's has a single type, and two ends between the texts of a pair."""
    encoded = tokenizer.encode("a", "a")
    is_between = not tokenizer.special_ids.isdisjoint(encoded.input_ids[1:-1].tolist())
    return bool(encoded.token_type_ids.any()) or not is_between


def _extend(model: Transformer, base: str, tokenizer: Tokenizer) -> tuple[Transformer, str]:
    """The model with a row for every entry of an extended tokenizer, and what there is to say of it."""
    old = Tokenizer.load(locate_tokenizer(base))
    if old.vocab_size > model.config.vocab_size:
        what = f"has {old.vocab_size} entries, more than the model's {model.config.vocab_size} embeddings"
        raise ConfigError("tokenizer.path", what, cure="name the tokenizer of the model's folder")
    new = range(old.vocab_size, tokenizer.vocab_size)
    pieces = {index: old.split_entry(tokenizer.entry(index)) for index in new}
    written = sum(map(bool, pieces.values()))
    note = f"vocabulary: {len(new)} new entries, {written} of them start as the mean of their pieces"
    return extend_vocabulary(model, pieces, tokenizer.vocab_size), note


def locate_model(path: str) -> str | Path:
    """The model folder that a recipe names: a run folder, or one of several seeds, stands for the model in it.

    A hub name stays as it is.
    """
    expanded = find_run(expand_path(path, "model.path"))
    if (expanded / "model" / "config.json").is_file():
        return expanded / "model"
    return expanded if expanded.exists() else path


def get_tokenizer(
    recipe: Recipe, folder: Path | None, texts: Iterator[str] | None = None, *, quiet: bool = True
) -> Tokenizer:
    """The recipe's tokenizer: loaded, or trained once and kept in the run folder; with what the objective adds to it.

    Args:
        recipe: its section `tokenizer` says which.
        folder: the run folder; None keeps nothing.
        texts: what to train on, where it must be trained.
        quiet: do not say that training goes on, which can take a minute.
    """
    config, objective = recipe.tokenizer, recipe.objective
    extend = objective.extend if isinstance(objective, SpanCorruption) else lambda tokenizer: tokenizer
    if config is None:
        return extend(Tokenizer.load(find_folder(locate_model(recipe.model.path))))
    if config.kind == "pretrained":
        return extend(Tokenizer.load(locate_tokenizer(config.path)))
    kept = None if folder is None else folder / "tokenizer"
    if kept is not None and kept.is_dir():
        return Tokenizer.load(kept)
    if not quiet:
        print(f"{_describe_training(config)} ...", file=sys.stderr)
    if config.kind == "extended":
        config = config.model_copy(update={"path": str(locate_tokenizer(config.path))})
    tokenizer = extend(train_tokenizer(config, iterate_training_texts(recipe) if texts is None else texts))
    if kept is not None:
        write_folder(kept, tokenizer.save)
    return tokenizer


def _describe_training(config: TokenizerConfig) -> str:
    match config.kind:
        case "extended":
            return f"extending a tokenizer by up to {config.add} entries"
        case "characters":
            return "training a tokenizer"
        case _:
            return f"training a tokenizer of {config.vocab_size} entries"


def locate_tokenizer(path: str) -> Path:
    """The folder or file of a tokenizer; a run folder stands for the one in it."""
    expanded = find_run(expand_path(path, "tokenizer.path"))
    inside = (expanded / "model", expanded / "tokenizer")
    return next((folder for folder in inside if (folder / "tokenizer.json").is_file()), expanded)


def iterate_training_texts(recipe: Recipe) -> Iterator[str]:
    """Every text that the recipe trains on, for a tokenizer to learn from; without other sources to extend one."""
    data = recipe.data
    is_extended = recipe.tokenizer is not None and recipe.tokenizer.kind == "extended"
    if isinstance(data, ExampleSource):
        for example in data.iterate("train", needs_label=recipe.objective.needs_label):
            yield from example.texts
    else:
        for where, source in ({"data": data} if is_extended else data.sources).items():
            yield from iterate_texts(source.train, source, f"{where}.train")


def _assemble_examples(recipe: Recipe, data: ExampleSource, folder: Path, *, quiet: bool) -> Parts:
    needs_label = recipe.objective.needs_label
    rows = data.read("train", needs_label=needs_label)
    texts = (text for row in rows for text in row.texts)
    tokenizer = get_tokenizer(recipe, folder, texts, quiet=quiet)
    task, labels = build_task(recipe, tokenizer, rows)
    train = task.encode(rows, "data.train")
    notes = [_describe("train", train.report)]
    validation = None
    if data.validation is not None:
        rows = data.read("validation", needs_label=needs_label)
        validation = task.encode(rows, "data.validation")
        notes.append(_describe("validation", validation.report))
    return Parts(tokenizer, task, train, validation, labels or None, tuple(notes))


def _assemble_corpus(recipe: Recipe, data: CorpusConfig, folder: Path, *, quiet: bool) -> Parts:
    if isinstance(recipe.objective, Masked | Permuted | Mix | Hybrid | Replaced | SpanCorruption | Denoising):
        recipe.objective.load_segmenter()  # one that is missing is told of before minutes of preparing
    tokenizer = get_tokenizer(recipe, folder, quiet=quiet)
    objective = recipe.objective.build(tokenizer, ())
    prepare_sources(recipe, data, tokenizer, folder, quiet=quiet)
    return open_parts(recipe, data, tokenizer, objective, folder)


def open_parts(
    recipe: Recipe, data: CorpusConfig, tokenizer: Tokenizer, objective: AnyObjective, folder: Path
) -> Parts:
    """The parts of a run whose corpora are prepared: their texts are not asked for."""
    train = open_training(recipe, data, tokenizer, folder)
    has_validation = data.has_validation
    validation = open_source(recipe, data, data, tokenizer, folder, "validation") if has_validation else None
    further = open_further(recipe, data, tokenizer, folder)
    named = [
        ("train", train),
        ("validation", validation),
        *((f"validation {name}", each) for name, each in further.items()),
    ]
    notes = [
        f"{name}: {len(each)} sequences, {int(each.lengths.sum()):,} tokens{count_single(each)}"
        for name, each in named
        if each is not None
    ]
    return Parts(tokenizer, objective, train, validation, None, tuple(notes), further)


def open_test(recipe: Recipe, objective: AnyObjective) -> Samples | None:
    """What is looked at once, in the end: the examples of `data.test`; None where there are none."""
    data = recipe.data
    if not isinstance(data, ExampleSource) or data.test is None:
        return None
    return objective.encode(data.read("test", needs_label=recipe.objective.needs_label), "data.test")


def open_validation(recipe: Recipe, tokenizer: Tokenizer, objective: AnyObjective) -> tuple[Samples, str]:
    """The validation data of a recipe for a model that exists already, and their name."""
    data = recipe.data
    if isinstance(data, ExampleSource):
        if data.validation is None:
            raise ConfigError("data.validation", "names no file to evaluate on", cure="data.validation=FILE")
        rows = data.read("validation", needs_label=recipe.objective.needs_label)
        source = f"{data.name}, {data.validation}" if isinstance(data, SetConfig) else data.validation
        return objective.encode(rows, "data.validation"), source
    if not data.has_validation:
        raise ConfigError("data.validation", "names no file to evaluate on", cure='data.validation=["FILE"]')
    with tempfile.TemporaryDirectory() as folder:
        # Memory-mapped files live on until they are let go of, so the folder may vanish first.
        data = data.model_copy(update={"folder": None})
        prepare_source(data, data, tokenizer, Path(folder), "validation")
        corpus = open_source(recipe, data, data, tokenizer, Path(folder), "validation")
    held_out = f"the last {data.validation_share:.0%} of {', '.join(data.train)}" if data.validation_share else ""
    return corpus, held_out or ", ".join(data.validation)


def _describe(name: str, report: EncodingReport) -> str:
    labels = ", ".join(f"{label or 'no type'}: {count}" for label, count in report.label_counts.items())
    labels = f" ({labels})" if labels else ""
    if report.counts_entities:
        total = sum(report.label_counts.values())
        labels = f", {total} {'entity' if total == 1 else 'entities'}{labels}"
    cut = f"; {report.num_truncated} cut, {report.tokens_lost} tokens lost" if report.num_truncated else ""
    return "; ".join([f"{name}: {report.num_rows} rows{labels}{cut}", *report.notes, *report.cautions])
