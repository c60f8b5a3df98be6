"""Words or characters of a text and the tokens that they begin with, exactly.

A text is tokenized whole, as a reader without words would do it. Where a token would reach over the border of a unit
(byte pairs know words of several Chinese characters, and numbers of several digits), the text is cut there first. So
every token lies in one unit, and every unit that leaves a trace has a token of its own.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from jaxtyping import Int32

from groundup.language.scripts import CJK_CLASS, is_cjk
from groundup.text.passage import Passage
from groundup.text.tokenizer import Tokenizer

Unit = Literal["word", "character"]

_JOINER: Final = "\u200d"
_WORD: Final = re.compile(rf"[{CJK_CLASS}]|(?:(?![{CJK_CLASS}_])\w)+|\S")


@dataclass(frozen=True)
class UnitText:
    """A text and where its units stand in it; a unit may be empty, and blanks between units belong to none."""

    text: str
    starts: Int32[np.ndarray, " units"]
    """The first character (code point) of each."""
    ends: Int32[np.ndarray, " units"]
    """The character behind its last."""

    def __len__(self) -> int:
        return len(self.starts)


@dataclass(frozen=True)
class Aligned:
    """The tokens of a text, without special tokens, and what unit each is in."""

    input_ids: Int32[np.ndarray, " tokens"]
    units: Int32[np.ndarray, " tokens"]
    """The number of the unit of each token, -1 for one in none."""
    firsts: Int32[np.ndarray, " units"]
    """The first token of each unit, -1 where the tokenizer leaves nothing of it."""


def join_units(units: Sequence[str], unit: Unit) -> UnitText:
    """Units that were given apart, as one text: words with a space between, but for Chinese; characters as they are."""
    parts: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    size, before = 0, ""
    for each in units:
        if each and before and unit == "word" and not (is_cjk(before[-1]) or is_cjk(each[0])):
            parts.append(" ")
            size += 1
        starts.append(size)
        size += len(each)
        ends.append(size)
        parts.append(each)
        before = each or before
    return UnitText("".join(parts), np.array(starts, dtype=np.int32), np.array(ends, dtype=np.int32))


def split_units(text: str, unit: Unit) -> UnitText:
    """The units of a text as it was written.

    A word is a run of letters and digits; a Chinese character and any other sign is one of its own. What combines with
    a character, or is joined to it, as in an emoji of a family, is no unit but part of one.
    """
    if unit == "word":
        found = [match.span() for match in _WORD.finditer(text)]
    else:
        found = [(place, place + 1) for place, char in enumerate(text) if not char.isspace()]
    spans: list[tuple[int, int]] = []
    for start, end in found:
        if spans and spans[-1][1] == start and _goes_on(text, spans[-1][0], start, unit):
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
    flat = np.array(spans, dtype=np.int32).reshape(-1, 2)
    return UnitText(text, flat[:, 0], flat[:, 1])


def align(tokenizer: Tokenizer, units: UnitText) -> Aligned:
    """The tokens of a text such that none lies in two units."""
    borders = np.unique(np.concatenate([units.starts, units.ends]))
    cuts = np.array([0, len(units.text)], dtype=np.int32)
    while True:
        ids, starts, ends = _read_pieces(tokenizer, units.text, cuts)
        after = np.searchsorted(borders, starts, side="right")
        inner = np.append(borders, np.int32(np.iinfo(np.int32).max))[after]
        crossed = inner[inner < ends]
        unit_of, firsts = _place(units, starts, ends)
        if not len(crossed):
            # A normalizer may have put a unit into a token of the one before it: Hangul, say, of which parts are units.
            is_lost = (firsts < 0) & (units.starts < units.ends)
            crossed = np.setdiff1d(np.concatenate([units.starts[is_lost], units.ends[is_lost]]), cuts)
            if not len(crossed):
                return Aligned(ids, unit_of, firsts)
        cuts = np.union1d(cuts, crossed).astype(np.int32)


def _goes_on(text: str, begin: int, at: int, unit: Unit) -> bool:
    """Whether the unit from `begin` goes on at a character: a mark, what is joined, or letters behind a mark."""
    if _combines(text[at]) or text[at - 1] == _JOINER:
        return True
    is_letters = unit == "word" and all(text[place].isalnum() and not is_cjk(text[place]) for place in (begin, at))
    return is_letters and _combines(text[at - 1])


def _combines(char: str) -> bool:
    return char == _JOINER or unicodedata.category(char) in ("Mn", "Mc", "Me")


def _read_pieces(
    tokenizer: Tokenizer, text: str, cuts: Int32[np.ndarray, " cuts"]
) -> tuple[Int32[np.ndarray, " tokens"], Int32[np.ndarray, " tokens"], Int32[np.ndarray, " tokens"]]:
    """The ids, starts and ends of the tokens of a text that is cut before it is read."""
    pieces = [(start, Passage.read(tokenizer, text[start:end])) for start, end in itertools.pairwise(cuts.tolist())]
    return (
        np.concatenate([piece.input_ids for _, piece in pieces]),
        np.concatenate([piece.starts + np.int32(start) for start, piece in pieces]),
        np.concatenate([piece.ends + np.int32(start) for start, piece in pieces]),
    )


def _place(
    units: UnitText, starts: Int32[np.ndarray, " tokens"], ends: Int32[np.ndarray, " tokens"]
) -> tuple[Int32[np.ndarray, " tokens"], Int32[np.ndarray, " units"]]:
    """The unit of each token, and the first token of each unit. Tokens of blanks alone are in none."""
    whole = np.flatnonzero(units.starts < units.ends)
    firsts = np.full(len(units), -1, dtype=np.int32)
    if not len(whole) or not len(starts):
        return np.full(len(starts), -1, dtype=np.int32), firsts
    at = np.searchsorted(units.starts[whole], starts, side="right") - 1
    chosen = whole[at.clip(0)]
    is_inside = (at >= 0) & (starts < ends) & (ends <= units.ends[chosen])
    found = np.where(is_inside, chosen, -1).astype(np.int32)
    inside = np.flatnonzero(is_inside)
    # Assigned backwards, the first token of a unit comes last and stays.
    firsts[found[inside[::-1]]] = inside[::-1]
    return found, firsts
