"""Predict: a trained model on new text, prepared exactly as in training."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Final

from groundup.decoding.config import Decoding
from groundup.errors import ConfigError, DataError
from groundup.objectives.causal import CausalObjective
from groundup.objectives.masked import fill
from groundup.objectives.protocol import Task
from groundup.objectives.restoring import RestoringObjective
from groundup.objectives.seq2seq import Seq2Seq, Seq2SeqObjective
from groundup.readers.lines import iterate_whole_lines
from groundup.readers.source import AnExample, ExampleSource
from groundup.readers.table import Example, TableConfig
from groundup.training.evaluate import measure_all
from groundup.verbs.generate import generate
from groundup.verbs.trained import Trained, check_utf8, load_trained

_WRITERS: Final = {"masked_lm", "permuted_lm", "causal_lm"}
FILE_SUFFIXES: Final = (".txt", ".csv", ".tsv", ".jsonl", ".ndjson")

Row = dict[str, object]


def predict(model: str | Path | Trained, texts: Sequence[str | tuple[str, str]]) -> list[Row]:
    """Predictions for texts or pairs of texts, in their order.

    A classifier answers `label` and `probabilities`; a masked model answers `fills`, the likeliest tokens of each mask;
    a decoder answers its `completion`, token by token the likeliest, and why it ends (`generate` has other ways).

    Raises:
        DataError: what is no text; for a masked model, a text without a mask or longer than it was trained on.
        ConfigError: a pair for a model that learnt from single texts, or the other way round.
    """
    trained = model if isinstance(model, Trained) else load_trained(model)
    rows = [(text, None) if isinstance(text, str) else text for text in texts]
    is_writer = not isinstance(trained.objective, RestoringObjective) and trained.model.heads.keys() & _WRITERS
    if not is_writer and not isinstance(trained.objective, Task):
        kind, cure = trained.objective.config.kind, "fine-tune it first: model.kind=pretrained in a recipe"
        raise ConfigError("model", "its objective has nothing to say of a text", got=kind, cure=cure)
    for text, pair in rows:
        _check_row(trained, text, pair)
    if isinstance(trained.objective, Task):
        return _answer(trained, trained.objective.examples_of(rows))
    if isinstance(trained.objective, CausalObjective | Seq2SeqObjective):
        return _complete(trained, [text for text, _ in rows])
    return [_fill(trained, text) for text, _ in rows]


def predict_stream(
    model: str | Path | Trained, source: str, *, pair: str | None = None, batch_rows: int = 256
) -> Iterator[Row]:
    """Predictions for a text, the rows of a file, or the lines of standard input (`-`), at constant memory."""
    trained = model if isinstance(model, Trained) else load_trained(model)
    examples = _read(trained, source, pair)
    while batch := list(islice(examples, batch_rows)):
        if isinstance(trained.objective, Task) and not isinstance(batch[0], Example):
            yield from _answer(trained, batch)
        else:
            yield from predict(trained, [each.text if each.pair is None else (each.text, each.pair) for each in batch])


def _answer(trained: Trained, examples: Sequence[AnExample]) -> list[Row]:
    if not examples:
        return []
    task = trained.objective
    samples = task.encode(examples, "input")
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


def _fill(trained: Trained, text: str) -> Row:
    fills = fill(trained.model, trained.tokenizer, text, max_length=trained.objective.config.max_length)
    return {"text": text, "fills": [[candidate._asdict() for candidate in each] for each in fills]}


def _check_row(trained: Trained, text: str, pair: str | None) -> None:
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
        cure = "give the second text with --pair" if has_pair else "leave the second text out"
        raise ConfigError("pair", what, got=pair, cure=cure)
    for each in (text, pair or ""):
        check_utf8(each, "text")


def _read(trained: Trained, source: str, pair: str | None) -> Iterator[AnExample]:
    if source == "-":
        return _read_standard_input()
    path = Path(source)
    is_file = os.path.isfile(source)  # Path.is_file raises for a text that is too long for a name
    if path.suffix.lower() not in FILE_SUFFIXES or "\n" in source:
        if is_file:
            cure = f"rename it to one of {', '.join(FILE_SUFFIXES)}"
            raise DataError(source, "is a file of unknown kind", got=path.suffix, cure=cure)
        return iter([Example(source, pair, None, 1)])
    if pair is not None:
        raise ConfigError("pair", "goes with a single text, not with a file", cure="put it in a column of the file")
    if not is_file:
        raise DataError(source, "is no file here", cure="check the path")
    if path.suffix.lower() == ".txt":
        return (Example(line.text, None, None, line.number) for line in iterate_whole_lines(path))
    known = None if trained.recipe is None else trained.recipe.data
    columns = known if isinstance(known, ExampleSource) else TableConfig(train=source)
    if isinstance(columns, TableConfig) and not isinstance(trained.objective, Task):
        columns = columns.model_copy(update={"pair": None})
    return columns.iterate_file(path)


def _read_standard_input() -> Iterator[Example]:
    for number, line in enumerate(sys.stdin.buffer, start=1):
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            cure = "convert it, for example with iconv -t UTF-8"
            raise DataError(f"standard input:{number}", "is no UTF-8 text", got=line[:40], cure=cure) from None
        yield Example(text.rstrip("\r\n"), None, None, number)
