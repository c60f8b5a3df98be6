"""Rows with any number of labels: as a list in one column, or with a column for each label."""

from __future__ import annotations

import json
from collections.abc import Sequence

from groundup.errors import DataError

_FLAGS = {"1": True, "1.0": True, "true": True, "0": False, "0.0": False, "false": False}


def read_several(value: object, separator: str | None, column: str | int, here: str) -> tuple[str, ...]:
    """The labels in one field in their order, each as often as it is written; none in an empty one.

    Args:
        value: a list, or a text with `separator` between labels.
        separator: `json` for a text that is a list.
        column: of the field, for errors.
        here: the file with its line, for errors.
    """
    if separator == "json" and isinstance(value, str) and value.strip():
        try:
            value = json.loads(value)
        except ValueError:
            value = None
        if not isinstance(value, list):
            cure = 'write ["a", "b"], in quotes where the file has them'
            raise DataError(here, f"column {column!r} holds no JSON list of labels", cure=cure)
    if value is None:
        return ()
    parts = value if isinstance(value, list) else str(value).split(separator)
    if not all(isinstance(part, str | int) for part in parts):
        raise DataError(here, f"column {column!r} holds a label that is no text", got=value, cure='write ["a", "b"]')
    named = (str(part).strip() if isinstance(part, str) else str(part).lower() for part in parts)
    return tuple(label for label in named if label)


def read_flags(values: Sequence[object], columns: Sequence[str | int], here: str) -> tuple[str, ...]:
    """The names of the columns that hold 1. Raises DataError for what is neither 1 nor 0."""
    labels = []
    for value, column in zip(values, columns, strict=True):
        flag = _FLAGS.get(str(value).strip().lower())
        if flag is None:
            raise DataError(here, f"column {column!r} says neither 1 nor 0", got=value, cure="write 1 or 0")
        if flag:
            labels.append(str(column))
    return tuple(labels)
