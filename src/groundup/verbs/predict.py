"""Predict: a trained model on new text, prepared exactly as in training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import torch

from groundup.decoding.config import Decoding
from groundup.errors import ConfigError, DataError
from groundup.objectives.causal import CausalObjective
from groundup.objectives.masked import fill
from groundup.objectives.protocol import Task
from groundup.objectives.restoring import RestoringObjective
from groundup.objectives.seq2seq import Seq2Seq, Seq2SeqObjective
from groundup.readers.source import AnExample, ExampleSource
from groundup.training.evaluate import measure_all
from groundup.verbs.generate import generate
from groundup.verbs.predict_source import Given, give_typed, open_source
from groundup.verbs.trained import Trained, check_utf8, load_trained

BATCH_ROWS: Final = 256
"""Rows at a time: enough of them are of equal lengths, and an answer never waits for long."""
_WRITERS: Final = {"masked_lm", "permuted_lm", "causal_lm"}

Row = dict[str, object]


@dataclass
class Watch:
    """What became of the rows so far."""

    num_rows: int = 0
    num_cut: int = 0
    """Rows that were longer than the model reads."""


def predict(model: str | Path | Trained, texts: Sequence[str | tuple[str, str]]) -> list[Row]:
    """Predictions for texts or pairs of texts, in their order.

    A classifier answers `label` and `probabilities`; a masked model answers `fills`, the likeliest tokens of each mask;
    a decoder answers its `completion`, token by token the likeliest, and why it ends (`generate` has other ways).

    Raises:
        DataError: what is no text; for a masked model, a text without a mask or longer than it was trained on.
        ConfigError: a pair for a model that learnt from single texts, or the other way round.
    """
    trained = load_predictor(model)
    rows = [(text, None) if isinstance(text, str) else text for text in texts]
    given = [give_typed(trained, text, pair) for text, pair in rows]
    for each in given:
        check_given(trained, each)
    return _answer(trained, given, Watch())


def predict_stream(
    model: str | Path | Trained,
    source: str,
    *,
    pair: str | None = None,
    keep: Mapping[str, str] | Sequence[str] = (),
    batch_rows: int = BATCH_ROWS,
) -> Iterator[Row]:
    """Predictions for a text, the rows of a file, or the lines of standard input (`-`), at constant memory.

    Args:
        model: a model folder, a run folder, a recipe, or a model that is loaded already.
        source: a text, a .txt, .csv, .tsv, .jsonl or .parquet file with the columns of the recipe, or `-`.
        pair: the second text that goes with a text.
        keep: columns that go beside the answers (`context` and `answers` of SQuAD's layout, `tokens` and `tags` of
            files with a token a line); as a mapping, with the names that they get there.
        batch_rows: rows at a time.
    """
    trained = load_predictor(model)
    found = open_source(trained, source, pair, name_kept(keep))
    for answers in answer_batches(trained, found.iterate(), batch_rows, Watch()):
        yield from answers


def load_predictor(model: str | Path | Trained) -> Trained:
    """A model that has something to say of a text; on a GPU where there is one."""
    trained = model if isinstance(model, Trained) else load_trained(model)
    is_writer = not isinstance(trained.objective, RestoringObjective) and trained.model.heads.keys() & _WRITERS
    if not is_writer and not isinstance(trained.objective, Task):
        kind, cure = trained.objective.config.kind, "fine-tune it first: model.kind=pretrained in a recipe"
        raise ConfigError("model", "its objective has nothing to say of a text", got=kind, cure=cure)
    trained.model.to("cuda" if torch.cuda.is_available() else "cpu")
    return trained


def name_kept(keep: Mapping[str, str] | Sequence[str]) -> dict[str, str]:
    """Columns with the names that they get; a column keeps its own where nothing else is said."""
    return dict(keep) if isinstance(keep, Mapping) else {column: column for column in keep}


def check_given(trained: Trained, given: Given) -> None:
    """What a model that learnt from single texts or from pairs cannot take."""
    if given.row is not None:
        _check_pair(trained, given.row[1])
    for each in given.example.texts:
        check_utf8(each, given.where)


def _check_pair(trained: Trained, pair: str | None) -> None:
    recipe = trained.recipe
    if not isinstance(trained.objective, Task):
        has_pair = False  # the second text is what it writes, or there is none
    elif trained.objective.wants_pair is not None:
        has_pair = trained.objective.wants_pair
    elif recipe is None:
        has_pair = pair is not None
    else:
        has_pair = isinstance(recipe.data, ExampleSource) and recipe.data.has_pair
    if has_pair != (pair is not None):
        what = "the model learnt from pairs of texts" if has_pair else "the model learnt from single texts"
        cure = "give the second text with --pair, or a file that has both" if has_pair else "leave the second text out"
        raise ConfigError("pair", what, got=pair, cure=cure)


def answer_batches(trained: Trained, given: Iterator[Given], batch_rows: int, watch: Watch) -> Iterator[list[Row]]:
    """The answers to some rows at a time, what is kept of the input in front of each."""
    while batch := list(islice(given, batch_rows)):
        for each in batch:
            check_given(trained, each)
        answers = _answer(trained, batch, watch)
        watch.num_rows += len(batch)
        yield [_join(each.kept, answer) for each, answer in zip(batch, answers, strict=True)]


def _join(kept: Mapping[str, object], answer: Row) -> Row:
    twice = next((name for name in kept if name in answer), None)
    if twice is not None:
        cure = f"give it another name there: keep {twice}=NAME"
        raise ConfigError("keep", "has the name of an answer", got=twice, cure=cure)
    return {**kept, **answer}


def _answer(trained: Trained, given: Sequence[Given], watch: Watch) -> list[Row]:
    if not given:
        return []
    if isinstance(trained.objective, Task):
        return _decode(trained, [each.example for each in given], watch)
    if isinstance(trained.objective, CausalObjective | Seq2SeqObjective):
        return _complete(trained, [each.text for each in given])
    return [_fill(trained, each) for each in given]


def _decode(trained: Trained, examples: Sequence[AnExample], watch: Watch) -> list[Row]:
    task = trained.objective
    samples = task.encode(examples, "input")
    watch.num_cut += samples.report.num_truncated
    device = next(trained.model.parameters()).device
    measured = measure_all(trained.model, task, samples, device=device)
    decoded = task.decode(measured, samples.examples)
    return [task.answer(example, each) for example, each in zip(examples, decoded, strict=True)]


def _complete(trained: Trained, texts: Sequence[str]) -> list[Row]:
    config = trained.objective.config
    length = config.resolved_max_target_length if isinstance(config, Seq2Seq) else config.max_length
    found = generate(trained, texts, Decoding(max_tokens=length))
    return [
        {"text": text, "completion": each.text, "reason": each.reason} for text, each in zip(texts, found, strict=True)
    ]


def _fill(trained: Trained, given: Given) -> Row:
    text, length = given.text, trained.objective.config.max_length
    try:
        fills = fill(trained.model, trained.tokenizer, text, max_length=length)
    except DataError as error:
        raise DataError(given.where, error.what, got=text, cure=error.cure) from None
    return {"text": text, "fills": [[candidate._asdict() for candidate in each] for each in fills]}
