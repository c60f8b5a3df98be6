"""How well a tokenizer fits a text: tokens per word and character, what it cannot write, by script."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from groundup.language.scripts import CJK_CLASS
from groundup.text.tokenizer import Tokenizer

_CHINESE = re.compile(f"[{CJK_CLASS}]")
_WORD = re.compile(rf"(?:(?![{CJK_CLASS}])\w)+")


@dataclass(frozen=True)
class Fit:
    """Counts over the text of one script."""

    characters: int
    """White space not counted."""
    words: int
    """A Chinese character counts as one; where Chinese words end is for a segmenter to say."""
    tokens: int
    unknown_characters: int
    """Characters that became the unknown token, alone or with the word they stand in."""

    @property
    def tokens_per_character(self) -> float:
        """Fertility by character; the lower, the more text fits into a sample."""
        return self.tokens / max(self.characters, 1)

    @property
    def tokens_per_word(self) -> float:
        """Fertility by word: 1.0 if every word is one token."""
        return self.tokens / max(self.words, 1)

    @property
    def unknown_rate(self) -> float:
        """The share of characters that the tokenizer cannot write."""
        return self.unknown_characters / max(self.characters, 1)


@dataclass(frozen=True)
class TokenizerReport:
    """The fit to Chinese characters, and to everything else."""

    chinese: Fit
    other: Fit


def measure_fit(tokenizer: Tokenizer, texts: Iterable[str]) -> TokenizerReport:
    """Encode texts and count. A token belongs to the script of its first character."""
    totals = np.zeros((2, 4), dtype=np.int64)
    for text in texts:
        totals += _count(tokenizer, text)
    other, chinese = (Fit(*(int(count) for count in row)) for row in totals)
    return TokenizerReport(chinese, other)


def _count(tokenizer: Tokenizer, text: str) -> np.ndarray:
    """Characters, words, tokens and unknown characters; row 0 is for other scripts, row 1 for Chinese."""
    is_chinese = np.array([_CHINESE.match(char) is not None for char in text], dtype=bool)
    is_ink = np.array([not char.isspace() for char in text], dtype=bool)
    is_unknown = np.zeros(len(text), dtype=bool)
    encoding = tokenizer.encode_with_offsets(text)
    counts = np.zeros((2, 4), dtype=np.int64)
    for index, (start, end) in zip(encoding.ids, encoding.offsets, strict=True):
        # Byte-level tokens may start with the space before their word.
        first = next((at for at in range(start, end) if is_ink[at]), start)
        counts[int(first < len(text) and is_chinese[first]), 2] += 1
        if index == tokenizer.unknown_id:
            is_unknown[start:end] = True
    for row, of_script in enumerate((~is_chinese, is_chinese)):
        counts[row, 0] = np.count_nonzero(of_script & is_ink)
        counts[row, 3] = np.count_nonzero(of_script & is_ink & is_unknown)
    counts[0, 1] = len(_WORD.findall(text))
    counts[1, 1] = counts[1, 0]
    return counts
