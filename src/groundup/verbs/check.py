"""Check: everything that can be found out about a run before it starts, in seconds, without writing anything."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from groundup.checkpoint.store import Store
from groundup.errors import ConfigError
from groundup.objectives.protocol import find_heads
from groundup.objectives.seq2seq import Seq2Seq
from groundup.readers.source import ExampleSource
from groundup.recipe import Recipe
from groundup.tasks.classification import ClassificationTask
from groundup.text.corpus_config import CorpusConfig
from groundup.text.prepare import check_prepared
from groundup.text.sample import FlatSamples
from groundup.text.sentence_ends import encode_sentences
from groundup.text.tokenizer import Tokenizer
from groundup.training.machine import choose_device, keep_threads
from groundup.training.resume import check_best, check_data
from groundup.training.step import prepare_step
from groundup.verbs.assemble import Parts, as_recipe, build_model, build_task, get_tokenizer
from groundup.verbs.check_data import (
    Lengths,
    SampledWindows,
    Split,
    check_files,
    count_unknown,
    read_corpus,
    read_split,
    spread_texts,
)
from groundup.verbs.check_report import Baseline, CheckReport, Plan, TokenizerFigures
from groundup.verbs.check_step import DesignReport, StepReport, describe_design, take_step
from groundup.verbs.check_warnings import find_warnings
from groundup.verbs.corpora import make_planner, source_files, source_folder, split_names
from groundup.verbs.memory import check_weights
from groundup.verbs.run_folder import check_recipe

_FORWARD_SHARE: Final = 0.4
"""Of the time of training on some tokens, what a validation on as many takes, roughly."""
_UNCUT: Final = 1 << 30


@dataclass(frozen=True)
class _Found:
    """What was read."""

    parts: Parts
    splits: tuple[Split, ...]
    tokenizer: TokenizerFigures
    lengths: Lengths
    sequences: int
    """Of training; scaled up where a sample was read."""
    validation_tokens: int
    is_estimate: bool


@keep_threads()
def check(recipe: str | Path | Recipe | Mapping[str, object], overrides: Sequence[str] = ()) -> CheckReport:
    """Read the recipe and its data, and take one step in memory. No file is written.

    Args:
        recipe: a YAML file, a Recipe, or plain values.
        overrides: `key.path=value`, applied to it.

    Raises:
        GroundupError: whatever would keep `train` from running.
    """
    where = str(recipe) if isinstance(recipe, str | Path) else "recipe"
    recipe = as_recipe(recipe, overrides)
    state = _check_output(recipe)
    check_files(recipe, where)
    if isinstance(recipe.data, ExampleSource):
        found = _read_examples(recipe, recipe.data)
    else:
        found = _read_corpus(recipe, recipe.data)
    _check_unchanged(recipe, found)
    plan = _plan(recipe, found)
    recipe.schedule.factor(0, plan.steps)  # a warm-up that never ends is an error of its own
    design, step, weights = _try_step(recipe, found, plan.steps)
    report = CheckReport(
        recipe=where,
        output=str(recipe.folder),
        output_state=state,
        data_kind=recipe.data.kind,
        objective=recipe.objective.kind,
        labels=_find_labels(found),
        splits=found.splits,
        baseline=_find_baseline(found.splits) if isinstance(found.parts.objective, ClassificationTask) else None,
        tokenizer=found.tokenizer,
        lengths=found.lengths,
        design=design,
        weights=weights,
        step=step,
        plan=replace(plan, seconds=_estimate_seconds(recipe, found, plan, step)),
        warnings=(),
    )
    return replace(report, warnings=tuple(find_warnings(recipe, report)))


def _find_labels(found: _Found) -> tuple[str, ...] | None:
    """The classes in their order; where examples are labelled by something else, such as types of entities, those."""
    labels, counts = found.parts.labels, found.splits[0].label_counts
    return labels if labels is None or not counts or set(counts) <= set(labels) else tuple(sorted(counts))


def _check_output(recipe: Recipe) -> str:
    """What the run folder is. ConfigError or CheckpointError where `train` could not use it."""
    folder = recipe.folder
    check_recipe(folder, recipe)
    nearest = folder
    while not nearest.exists():
        nearest = nearest.parent
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        reason = "may not be written" if nearest.is_dir() else "is a file"
        raise ConfigError("output", f"cannot be made: {nearest} {reason}", got=str(folder), cure="output=FOLDER")
    store = Store(folder / "checkpoints")
    steps = store.steps()
    if not steps:
        return "exists" if folder.exists() else "new"
    check_best(folder, store.load())
    return "finished" if (folder / "model").exists() else f"would continue after step {steps[-1]}"


def _check_unchanged(recipe: Recipe, found: _Found) -> None:
    """CheckpointError or DataError where a run that has begun learns from other data than what is there now."""
    parts, data = found.parts, recipe.data
    is_trained = recipe.tokenizer is not None and recipe.tokenizer.kind != "pretrained"
    if is_trained and not (recipe.folder / "tokenizer").is_dir():
        return
    if isinstance(data, CorpusConfig):
        for where, source in data.sources.items():
            for split in split_names(source):
                files, settings = source_files(source, split)
                home = source_folder(data, source, recipe.folder, split)
                check_prepared(files, parts.tokenizer, home, settings, where=f"{where}.{split}")
    elif (store := Store(recipe.folder / "checkpoints")).steps():
        digests = {"train": parts.train, "validation": parts.validation}
        check_data(store.load(), {name: each and each.digest for name, each in digests.items()})


def _read_examples(recipe: Recipe, data: ExampleSource) -> _Found:
    needs_label = recipe.objective.needs_label
    train, rows, seen = read_split(data, "train", frozenset(), needs_label=needs_label)
    tokenizer, figures = _get_tokenizer(
        recipe, spread_texts([text for row in rows for text in row.texts]), train.characters
    )
    task, labels = build_task(recipe, tokenizer, rows)
    limit = recipe.objective.longest_row if isinstance(recipe.objective, Seq2Seq) else recipe.objective.max_length
    longest = {name: _UNCUT for name in ("max_length", "max_target_length") if hasattr(recipe.objective, name)}
    whole = recipe.model_copy(update={"objective": recipe.objective.model_copy(update=longest)})
    uncut = build_task(whole, tokenizer, rows)[0].encode(rows, "data.train")
    samples = uncut
    if uncut.lengths.max() > recipe.objective.max_length:
        samples = task.encode(rows, "data.train")
    lengths = Lengths.of(
        uncut.lengths,
        limit,
        num_cut=samples.report.num_truncated,
        tokens=int(uncut.lengths.sum(dtype=np.int64)),
        tokens_lost=samples.report.tokens_lost,
    )
    figures = _measure(figures, tokenizer, [uncut.input_ids], train.characters)
    splits, validation = [_describe(train, samples)], None
    if data.validation is not None:
        split, rows, _ = read_split(data, "validation", seen, needs_label=needs_label)
        validation = task.encode(rows, "data.validation")
        splits.append(_describe(split, validation))
    if data.test is not None:
        split, rows, _ = read_split(data, "test", seen, needs_label=needs_label)
        splits.append(_describe(split, task.encode(rows, "data.test")))  # what it refuses would stop the run
    return _Found(
        parts=Parts(tokenizer, task, samples, validation, labels or None, ()),
        splits=tuple(splits),
        tokenizer=figures,
        lengths=lengths,
        sequences=len(samples),
        validation_tokens=0 if validation is None else int(validation.lengths.sum(dtype=np.int64)),
        is_estimate=False,
    )


def _describe(split: Split, samples: FlatSamples) -> Split:
    """With what encoding it told."""
    return replace(split, notes=samples.report.notes, warnings=samples.report.cautions)


def _read_corpus(recipe: Recipe, data: CorpusConfig) -> _Found:
    train, texts, seen = read_corpus(data, "train", frozenset())
    tokenizer, figures = _get_tokenizer(recipe, texts, train.characters / train.share_read)
    objective = recipe.objective.build(tokenizer, ())
    limit = objective.config.max_length
    ids, ends = encode_sentences(tokenizer, texts) if data.sentences else (tokenizer.encode_plain(texts), None)
    samples = SampledWindows(ids, recipe.objective.frame(tokenizer), limit, data.min_length, ends)
    sampled = sum(len(text) for text in texts)
    scale = train.characters / train.share_read / sampled
    if data.max_tokens is not None:
        scale = min(scale, data.max_tokens / samples.num_text_tokens)
    lengths = Lengths.of(
        samples.lengths,
        limit,
        num_cut=samples.num_short_ends,
        tokens=samples.num_text_tokens,
        tokens_lost=samples.num_text_tokens - samples.num_window_tokens,
    )
    splits, validation_tokens = [train], 0
    if data.validation:
        split, _, _ = read_corpus(data, "validation", seen)
        validation_tokens = round(split.characters / split.share_read * samples.num_text_tokens / sampled)
        validation_tokens = min(validation_tokens, data.max_validation_tokens or validation_tokens)
        splits.append(split)
    elif data.validation_share is not None:
        validation_tokens = round(data.validation_share * samples.num_text_tokens * scale)
        scale *= 1.0 - data.validation_share
    return _Found(
        parts=Parts(tokenizer, objective, samples, None, None, ()),
        splits=tuple(splits),
        tokenizer=_measure(figures, tokenizer, ids, sampled),
        lengths=lengths,
        sequences=max(1, round(len(samples) * scale)),
        validation_tokens=validation_tokens,
        is_estimate=scale != 1.0,
    )


def _get_tokenizer(recipe: Recipe, texts: Sequence[str], characters: int | float) -> tuple[Tokenizer, TokenizerFigures]:
    """The tokenizer of the run, or one trained in memory on these texts, which are all or some of `characters`."""
    config, is_final = recipe.tokenizer, True
    if config is None or config.kind == "pretrained":
        tokenizer, origin = get_tokenizer(recipe, None), "loaded"
    elif (recipe.folder / "tokenizer").is_dir():
        tokenizer, origin = get_tokenizer(recipe, recipe.folder), "kept in the run folder"
    else:
        tokenizer = get_tokenizer(recipe, None, iter(texts))
        size = sum(map(len, texts))
        is_final = size >= characters
        origin = "trained in memory" + ("" if is_final else f" on {size / 1e6:.1f}M characters")
    kind = "pretrained" if config is None else config.kind
    single = sum(len(token) == 1 for token in tokenizer.tokens(range(tokenizer.vocab_size)))
    return tokenizer, TokenizerFigures(kind, tokenizer.vocab_size, origin, is_final, single, 0.0, 0.0)


def _measure(
    figures: TokenizerFigures, tokenizer: Tokenizer, ids: Sequence[np.ndarray], characters: int
) -> TokenizerFigures:
    special = np.array(sorted(tokenizer.special_ids - {tokenizer.unknown_id}), dtype=np.int64)
    tokens = max(1, sum(len(text) - int(np.isin(text, special).sum()) for text in ids))
    unknown = count_unknown(ids, tokenizer) / tokens
    return replace(figures, characters_per_token=characters / tokens, unknown_share=unknown)


def _plan(recipe: Recipe, found: _Found) -> Plan:
    settings = recipe.train
    steps_per_epoch = max(1, math.ceil(found.sequences / _step_size(recipe, found)))
    steps = settings.steps or max(1, round((settings.epochs or 0.0) * steps_per_epoch))
    every = settings.evaluate_every or steps_per_epoch
    validations = -(-steps // every) if found.validation_tokens else 0
    epochs = steps / steps_per_epoch
    return Plan(found.sequences, found.is_estimate, steps_per_epoch, steps, epochs, validations, None)


def _step_size(recipe: Recipe, found: _Found) -> float:
    """Sequences of `data.train` in a step, about."""
    settings, others = recipe.train, () if isinstance(recipe.data, ExampleSource) else recipe.data.others
    if settings.batch_tokens is not None:
        return settings.batch_tokens / float(found.parts.train.lengths.mean())
    return settings.batch_size * (1.0 - sum(source.share for source in others))


def _estimate_seconds(recipe: Recipe, found: _Found, plan: Plan, step: StepReport | None) -> float | None:
    if step is None:
        return None
    size = min(_step_size(recipe, found), found.sequences)
    tokens_of_step = float(found.parts.train.lengths.mean()) * size
    validating = plan.validations * found.validation_tokens * _FORWARD_SHARE
    return step.seconds_per_token * (plan.steps * tokens_of_step + validating)


def _try_step(
    recipe: Recipe, found: _Found, total_steps: int
) -> tuple[DesignReport, StepReport | None, tuple[str, ...]]:
    """The design, and its first step where memory allows it."""
    parts, device = found.parts, choose_device(recipe.train)
    recipe = _with_final_vocabulary(recipe, found)
    planner = make_planner(recipe, parts.train)
    chosen = planner.plan(0)
    batches = prepare_step(parts.objective, parts.train, chosen, recipe.seed, total_steps)
    if recipe.model.kind == "transformer":
        config = recipe.model.resolve(parts.tokenizer.vocab_size, parts.tokenizer.pad_id, *find_heads(parts.objective))
        check_weights(config)
        design = describe_design(config, recipe, parts.objective, batches, device)
        if design.available_memory is not None and design.total_memory > design.available_memory:
            return design, None, ()
    model, notes = build_model(recipe, parts)
    design = describe_design(model.config, recipe, parts.objective, batches, device)
    return design, take_step(recipe, parts, model, batches, design, device), notes


def _with_final_vocabulary(recipe: Recipe, found: _Found) -> Recipe:
    """A tokenizer trained on a sample may have fewer entries than the run's own: the model is to have them all."""
    config = recipe.tokenizer
    if found.tokenizer.is_final or config is None or config.kind == "pretrained" or recipe.model.kind != "transformer":
        return recipe
    if config.kind in ("characters", "extended"):
        return recipe  # nothing says how many there will be, and a sample has nearly all
    size = max(config.vocab_size, found.tokenizer.vocab_size)
    design = recipe.model.resolve(size, found.parts.tokenizer.pad_id, *find_heads(found.parts.objective))
    return recipe.model_copy(update={"model": recipe.model.model_copy(update={"vocab_size": design.vocab_size})})


def _find_baseline(splits: Iterable[Split]) -> Baseline | None:
    """Judged on validation, or where it has no labels on train."""
    labelled = [split for split in splits if split.label_counts]
    if not labelled:
        return None
    counts = labelled[0].label_counts or {}
    label = max(counts, key=lambda each: counts[each])
    split = next((split for split in labelled if split.name == "validation"), labelled[0])
    judged = split.label_counts or {}
    return Baseline(label, judged.get(label, 0) / max(1, sum(judged.values())), split.name)
