"""All data sets by name."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from groundup.errors import DataError
from groundup.readers.chinese import CHINESE
from groundup.readers.data_set import DataSet, find_split
from groundup.readers.english import ENGLISH
from groundup.readers.examples import AnyExample

DATA_SETS: Final = {data_set.name: data_set for data_set in (*ENGLISH, *CHINESE)}


def get_data_set(name: str) -> DataSet:
    """The entry of that name, or of one that is also in use. Raises DataError naming the nearest."""
    wanted = name.lower()
    for data_set in DATA_SETS.values():
        if wanted in (data_set.name, *data_set.aliases):
            return data_set
    near = get_close_matches(wanted, DATA_SETS, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise DataError("data set", "is unknown", got=name, cure=f"{hint}known are {', '.join(DATA_SETS)}")


def read_data_set(name: str, split: str = "train", folder: str | Path | None = None) -> Iterator[AnyExample]:
    """The examples of a split, from a folder or from that of `GROUNDUP_DATA`, one at a time."""
    return find_split(get_data_set(name), split, folder).read()
