"""Minimal pairs: two sentences that differ in one thing, one of them grammatical (BLiMP: Warstadt et al. 2020)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from groundup.errors import DataError
from groundup.readers.lines import find_files, place
from groundup.readers.records import Layout, iterate_rows


class MinimalPair(NamedTuple):
    """A sentence and its ungrammatical twin."""

    good: str
    bad: str
    paradigm: str
    """What kind of pair it is: `UID`, or else the name of its file."""
    field: str | None
    """The part of grammar that it belongs to."""


class MinimalPairs(NamedTuple):
    """What files hold."""

    pairs: list[MinimalPair]
    num_alike: int
    """Rows left out because both their sentences are the same, as three of BLiMP's are in the BabyLM set: a coin."""


def read_minimal_pairs(files: Sequence[str], where: str = "minimal_pairs") -> MinimalPairs:
    """The pairs of jsonl files as BLiMP is released: `sentence_good`, `sentence_bad`, and `UID` and `field` if there.

    Raises:
        DataError: no pair at all, or a sentence missing or empty.
    """
    pairs, num_alike = list[MinimalPair](), 0
    for path in find_files(files, where):
        for row in iterate_rows(path, Layout(), where):
            here = place(path, where, row.line)
            good, bad = (_read_sentence(row.fields, key, here) for key in ("sentence_good", "sentence_bad"))
            if good == bad:
                num_alike += 1
                continue
            paradigm, field = row.fields.get("UID"), row.fields.get("field")
            pairs.append(MinimalPair(good, bad, str(paradigm or path.stem), None if field is None else str(field)))
    if not pairs:
        raise DataError(where, "holds no pair of two different sentences", got=list(files), cure="one object a line")
    return MinimalPairs(pairs, num_alike)


def _read_sentence(values: Mapping[str | int, object], key: str, here: str) -> str:
    found = values.get(key)
    if not isinstance(found, str) or not found.strip():
        raise DataError(
            here, f"has no text in {key!r}", got=found, cure="BLiMP's files have sentence_good, sentence_bad"
        )
    return found
