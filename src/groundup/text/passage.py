"""A text in which something is to be found: tokens that know their characters, and windows in which they are read."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from jaxtyping import Bool, Int32

from groundup.text.tokenizer import Tokenizer

_CONTINUING: Final = re.compile("[\u200d\u1160-\u11ff\uff9e\uff9f]")
"""What is no combining mark by its category and yet no character of its own: joiners, vowels and ends of Hangul
syllables, marks of half-width kana (Unicode Standard Annex 29)."""


@dataclass(frozen=True)
class Passage:
    """The tokens of a text, each with the characters (code points) that it stands for."""

    input_ids: Int32[np.ndarray, " tokens"]
    starts: Int32[np.ndarray, " tokens"]
    """The first character of each token, white space left out. Tokens of single bytes have their character's."""
    ends: Int32[np.ndarray, " tokens"]
    """The character behind its last; a token of white space alone ends where it starts."""

    @classmethod
    def read(cls, tokenizer: Tokenizer, text: str) -> Passage:
        """Tokenize a text.

        A combining mark that the tokenizer drops, as BERT's does with accents, or composes with what stands before it,
        belongs to the token before, so that what is cut out between tokens is whole characters as people see them.
        """
        encoding = tokenizer.encode_with_offsets(text)
        offsets = np.array(encoding.offsets, dtype=np.int32).reshape(-1, 2)
        spans = [_trim(text, int(start), int(end)) for start, end in offsets]
        starts, ends = (np.array(side, dtype=np.int32) for side in zip(*spans, strict=True)) if spans else offsets.T
        # A normalizer may put characters before others; for a search both sides must rise.
        return cls(np.array(encoding.ids, dtype=np.int32), np.maximum.accumulate(starts), np.maximum.accumulate(ends))

    @cached_property
    def can_start(self) -> Bool[np.ndarray, " tokens"]:
        """Which tokens may be the first of a span: visible ones that share no character with one before."""
        return (self.starts < self.ends) & (self.starts >= np.concatenate([[0], self.ends])[:-1])

    @cached_property
    def can_end(self) -> Bool[np.ndarray, " tokens"]:
        """Which tokens may be the last of a span."""
        following = np.concatenate([self.starts, [np.iinfo(np.int32).max]])[1:]
        return (self.starts < self.ends) & (self.ends <= following)

    def find_tokens(self, start: int, end: int) -> tuple[int, int] | None:
        """The first and the last token of the least span with these characters in it; None where no token has any."""
        first = int(np.searchsorted(self.ends, start, side="right"))
        last = int(np.searchsorted(self.starts, end, side="left")) - 1
        while first <= last and self.starts[first] == self.ends[first]:  # the characters in front of it have no token
            first += 1
        while first <= last and self.starts[last] == self.ends[last]:
            last -= 1
        if first > last:
            return None
        while not self.can_start[first]:
            first -= 1
        while not self.can_end[last]:
            last += 1
        return first, last

    def find_characters(self, first: int, last: int) -> tuple[int, int]:
        """The characters of a span from its first to its last token."""
        return int(self.starts[first]), int(self.ends[last])


def lay_windows(size: int, room: int, stride: int) -> list[tuple[int, int]]:
    """Windows of at most `room` tokens, each `stride` further, up to the first that reaches the end; never none.

    `stride` is at most `room`, or tokens would be in no window.
    """
    starts = range(0, max(size - room, 0) + stride, stride)
    return [(start, min(start + room, size)) for start in starts]


def trim(text: str, start: int, end: int) -> tuple[int, int]:
    """The characters of a span without the white space at its ends."""
    while start < end and text[end - 1].isspace():
        end -= 1
    while start < end and text[start].isspace():
        start += 1
    return start, end


def _trim(text: str, start: int, end: int) -> tuple[int, int]:
    start, end = trim(text, start, end)
    while start < end < len(text) and _continues(text[end]):
        end += 1
    return start, end


def _continues(char: str) -> bool:
    return unicodedata.category(char) in ("Mn", "Mc", "Me") or _CONTINUING.match(char) is not None
