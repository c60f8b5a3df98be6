"""Reports for people: aligned columns, bars and short figures that look the same on a terminal and in a file."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import numpy as np
from jaxtyping import Int

from groundup.figures import format_bytes as format_bytes
from groundup.figures import format_count as format_count
from groundup.figures import format_share as format_share
from groundup.language.scripts import CJK_CLASS

WIDTH: Final = 80
"""Columns of a report."""
DATA_KINDS: Final = {
    "corpus": "a corpus",
    "table": "a table",
    "set": "a data set",
    "tagged": "tagged texts",
    "questions": "questions",
    "choices": "questions with choices",
}
"""What each `data.kind` is called in a sentence."""

_STEPS: Final = (1, 2, 5)
_CLOSING = "，。、；：？！）》」』”’…"
_MARKED: Final = r"\[[^\s\[\]]*\]|[^\s\[\]→]+→[^\s\[\]]+\]"
_WORD: Final = re.compile(rf"\s*(?:{_MARKED}|[{CJK_CLASS}]|(?:(?![{CJK_CLASS}])[^\s])+)[{_CLOSING}]*")
"""What is not broken: `[...]`, its end `...→...]` where it holds spaces, a Chinese character or a word, each with the
punctuation that may not start a line."""


def display_width(text: str) -> int:
    """Columns that a text takes: Chinese characters take two, combining marks none."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def clip(text: str, width: int) -> str:
    """The text in one line of at most `width` columns, `…` where it was cut."""
    text = " ".join(text.split())
    if display_width(text) <= width:
        return text
    kept = ""
    for char in text:
        if display_width(kept + char) >= width:
            break
        kept += char
    return f"{kept}…"


def pad(text: str, width: int, *, right: bool = False) -> str:
    """The text filled up with blanks to `width` columns, on its left where `right` is set."""
    blanks = " " * max(0, width - display_width(text))
    return blanks + text if right else text + blanks


def columns(rows: Sequence[Sequence[str]], align: str, *, indent: int = 2, gap: int = 2) -> list[str]:
    """Rows of equally many cells as aligned lines; `align` has `l` or `r` for each column."""
    if not rows:
        return []
    widths = [max(display_width(row[index]) for row in rows) for index in range(len(align))]
    lines = []
    for row in rows:
        cells = [pad(cell, width, right=side == "r") for cell, width, side in zip(row, widths, align, strict=True)]
        lines.append((" " * indent + (" " * gap).join(cells)).rstrip())
    return lines


def fold(text: str, *, indent: int = 2, first: str = "", width: int = WIDTH) -> list[str]:
    """The text broken into lines of `width` columns, between words or Chinese characters.

    `first` opens the first line, such as a dash; the others start below what follows it.
    """
    lines, line, is_bare = [], " " * indent + first, True
    start = " " * (indent + display_width(first))
    for word in _WORD.findall(text.strip()):
        longer = line + (word.lstrip() if is_bare else word)
        if display_width(longer) > width and not is_bare:
            lines.append(line)
            longer = start + word.lstrip()
        line, is_bare = longer, False
    return [*lines, line]


def entry(name: str, text: str, *, name_width: int = 12) -> list[str]:
    """A line `name   text`, folded where it is long."""
    return fold(text, indent=0, first=pad(name, name_width))


def bar(share: int | float, width: int) -> str:
    """A bar of `share` of the width; something that is not nothing has at least one mark."""
    return "#" * max(round(share * width), int(share > 0))


def nice_bins(
    values: Int[np.ndarray, " values"], most: int = 14, *, edge: int | None = None
) -> list[tuple[int, int | None, int]]:
    """Bins of a round width as (first, last, count); the last one is open (None) and takes the rare long values.

    Args:
        values: whole numbers, at least one.
        most: bins at most, about.
        edge: a limit that must fall between two bins.
    """
    top = max(1, int(np.quantile(values, 0.99)))
    width = next(step * 10**power for power in range(12) for step in _STEPS if -(-top // (step * 10**power)) <= most)
    last = -(-top // width)
    limits = {width * number for number in range(last + 1)} | ({edge} if edge is not None else set())
    highest = edge if edge is not None and edge >= int(values.max()) else max(width * last, edge or 0)
    edges = sorted(limit for limit in limits if limit <= highest)
    bins: list[tuple[int, int | None, int]] = []
    for low, high in pairwise(edges):
        bins.append((low + 1, high, int(((values > low) & (values <= high)).sum())))
    over = int((values > edges[-1]).sum())
    if over:
        bins.append((edges[-1] + 1, None, over))
    filled = [index for index, (_, _, count) in enumerate(bins) if count]
    return bins[filled[0] : filled[-1] + 1] if filled else []


def plural(count: int, noun: str, ending: str = "s") -> str:
    """`1 row`, `1,200 rows`."""
    return f"{count:,} {noun}{'' if count == 1 else ending}"
