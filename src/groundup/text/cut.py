"""Where a long text may be cut so that the ids of its pieces, joined, are the ids of the whole."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import islice

from groundup.text.tokenizer import Tokenizer

CONTEXT = 128
"""Characters on each side of a cut by which it is judged; tokenizers split words by rules far more local than this."""

_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
_CANDIDATES = (
    re.compile(r"(?<=[.!?。！？]) (?=\S)"),
    re.compile(r"(?<=\S)(?=\s)"),
    re.compile(f"(?<=[。！？；，、：…”’」』）》])(?=[{_HAN}])"),
    re.compile(f"(?<=[{_HAN}])(?=[{_HAN}。！？；，、：…“‘「『（《])"),
)
_TRIES = 4

IsSafe = Callable[[str, int], bool]


def find_cut(text: str, start: int, is_safe: IsSafe) -> int | None:
    """The place of a safe cut after `start`, the end of a sentence if possible; None if none was found."""
    for candidate in _candidates(text, start):
        if is_safe(text, candidate):
            return candidate
    return None


def make_check(tokenizer: Tokenizer) -> IsSafe:
    """A check of cuts by the tokenizer itself: a word ends there, and the ids on both sides stay what they are."""

    def is_safe(text: str, at: int) -> bool:
        left, right = text[max(0, at - CONTEXT) : at], text[at : at + CONTEXT]
        both = tokenizer.encode_with_offsets(left + right)
        left_ids, right_ids = (encoding.ids for encoding in tokenizer.encode_raw([left, right]))
        if not left_ids or not right_ids or both.ids != left_ids + right_ids:
            return False
        last, following = len(left_ids) - 1, len(left_ids)
        return both.word_ids[last] != both.word_ids[following] and both.offsets[following][0] >= len(left)

    return is_safe


def always_safe(text: str, at: int) -> bool:
    """For text that goes to no tokenizer yet."""
    return 0 < at < len(text)


def _candidates(text: str, start: int) -> Iterator[int]:
    end = len(text) - CONTEXT
    for pattern in _CANDIDATES:
        for match in islice(pattern.finditer(text, start, max(start, end)), _TRIES):
            yield match.start()
