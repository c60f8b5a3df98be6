"""Files of predictions with what is right in a column beside, and whether two systems answered the same rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

from groundup.errors import DataError
from groundup.objectives.protocol import Objective, Restating
from groundup.readers.records import Layout, iterate_rows
from groundup.readers.table import Example
from groundup.tasks.kinds import find_kind
from groundup.tasks.written import Answered, WrittenRow
from groundup.verbs.evaluate import Evaluated

SUFFIXES: Final = (".jsonl", ".ndjson", ".csv", ".tsv")
_ASKED: Final = frozenset({"id", "text", "pair", "context", "question", "passage", "choices"})
"""Of a row, what a file of predictions may leave out."""

Facts = Mapping[str, object]


def is_prediction_file(target: str | Path) -> bool:
    """Whether a target is a file of rows, rather than a model or a recipe."""
    return Path(target).suffix.lower() in SUFFIXES and not Path(target).is_dir()


def read_predictions(first: Path, second: Path, gold: str) -> tuple[Answered, Answered]:
    """What two files say of the same rows.

    Raises:
        DataError: a column is missing, or they hold other answers, or the two are not of the same rows.
    """
    files = [[WrittenRow(row, path, gold) for row in iterate_rows(path, Layout())] for path in (first, second)]
    for path, rows in zip((first, second), files, strict=True):
        if not rows:
            raise DataError(str(path), "holds no row", cure="check the file")
    kinds = [find_kind(rows) for rows in files]
    if kinds[0] is not kinds[1]:
        got, cure = [kind.columns for kind in kinds], "compare answers to the same questions"
        raise DataError(str(second), f"holds answers of another kind than {first}", got=got, cure=cure)
    one, other = (kind.read(rows) for kind, rows in zip(kinds, files, strict=True))
    check_same_rows(str(first), str(second), *_share(*(list(map(_state, found.examples)) for found in (one, other))))
    return one, other


def check_same_rows(first: str, second: str, one: Sequence[Facts], other: Sequence[Facts]) -> None:
    """DataError where rows of two sources differ."""
    cure = "both must answer the same rows in the same order; of models, name one file: data.validation=FILE"
    if len(one) != len(other):
        raise DataError("rows", f"are {len(one)} of {first}, but {len(other)} of {second}", cure=cure)
    for number, (row, same) in enumerate(zip(one, other, strict=True), start=1):
        name = next((name for name in {**row, **same} if row.get(name) != same.get(name)), None)
        if name is not None:
            what, got = f"of {first} is not that of {second} by its {name}", (row.get(name), same.get(name))
            raise DataError(f"row {number}", what, got=got, cure=cure)


def check_same_examples(one: Evaluated, other: Evaluated) -> None:
    """DataError where two models were not measured on the same rows with the same labels, or on the same tokens."""
    if not one.samples.examples and one.samples.digest != other.samples.digest:
        cure = "name one file for both: data.validation=FILE; losses compare within one tokenizer and one objective"
        what = "is not the same tokens for both models, so their losses are of different things"
        raise DataError("data.validation", what, got=[one.data, other.data], cure=cure)
    asked = [restate(each.trained.objective, each.samples.examples) for each in (one, other)]
    check_same_rows(one.data, other.data, *(list(map(_state, examples)) for examples in asked))


def restate(task: Objective, examples: Sequence[object]) -> Sequence[object]:
    """Examples as the answers of a task are compared with them."""
    return [task.restate(each) for each in examples] if isinstance(task, Restating) else examples


def _state(example: Any) -> Facts:
    """What an example says, wherever it stands."""
    if isinstance(example, Example):
        facts = example._asdict()
    else:
        facts = {each.name: getattr(example, each.name) for each in fields(example) if each.compare}
    return {name: value for name, value in facts.items() if name != "line"}


def _share(one: Sequence[Facts], other: Sequence[Facts]) -> list[list[Facts]]:
    """The rows of two files by what both say of them, where that is more than what is right."""
    said = [{name for name in _ASKED if any(row.get(name) for row in rows)} for rows in (one, other)]
    lacking = said[0] ^ said[1] if said[0] & said[1] else set()
    return [[{name: row[name] for name in row if name not in lacking} for row in rows] for rows in (one, other)]
