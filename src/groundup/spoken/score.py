"""Exact match of completions: right or wrong, counted by language, kind, direction and split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from groundup.errors import DataError
from groundup.spoken.form import check_choice
from groundup.spoken.rows import Row

_FIELDS: Final = ("language", "kind", "direction", "split")


class Tally(NamedTuple):
    """How many of the rows with these properties were answered exactly. An empty property stands for all."""

    language: str
    kind: str
    direction: str
    split: str
    right: int
    total: int


def is_exact(row: Row, completion: str) -> bool:
    """Whether a completion is the answer, white space at its ends left aside."""
    return completion.strip() == row["completion"].strip()


def score(rows: Sequence[Row], completions: Sequence[str]) -> list[Tally]:
    """Count exact answers for each language, kind, direction and split that occurs.

    Raises DataError where there are not as many completions as rows.
    """
    if len(rows) != len(completions):
        raise DataError(
            "spoken.score", "a completion is needed for every row", got=f"{len(completions)} for {len(rows)} rows"
        )
    right: Counter[tuple[str, str, str, str]] = Counter()
    total: Counter[tuple[str, str, str, str]] = Counter()
    for row, completion in zip(rows, completions, strict=True):
        cell = (row["language"], row["kind"], row["direction"], row["split"])
        total[cell] += 1
        right[cell] += is_exact(row, completion)
    return [Tally(*cell, right[cell], total[cell]) for cell in sorted(total)]


def sum_tallies(tallies: Iterable[Tally], *fields: str) -> list[Tally]:
    """Add up over all properties but `fields`: `sum_tallies(tallies, "split", "language")`."""
    for field in fields:
        check_choice("fields", field, _FIELDS)
    sums: dict[tuple[str, ...], list[int]] = {}
    for tally in tallies:
        cell = tuple(getattr(tally, field) if field in fields else "" for field in _FIELDS)
        counts = sums.setdefault(cell, [0, 0])
        counts[0] += tally.right
        counts[1] += tally.total
    return [Tally(*cell, *counts) for cell, counts in sorted(sums.items())]
