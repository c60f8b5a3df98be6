"""Which script a character belongs to, and which language a text is most likely in."""

from __future__ import annotations

import re
from typing import Literal

Language = Literal["en", "zh", "mixed", "other"]

# Han: the iteration mark and zero, extension A, the unified block, compatibility forms, and the two ideographic planes.
CJK_CLASS = "\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003fffd"
_CJK = re.compile(f"[{CJK_CLASS}]")
_LATIN_WORD = re.compile(r"[A-Za-z\u00c0-\u024f\uff21-\uff3a\uff41-\uff5a]+")
_WORD = re.compile(rf"[{CJK_CLASS}]|(?:(?![{CJK_CLASS}])\w)+")
_LETTER_RUN = re.compile(r"[^\W\d_]+")


def is_cjk(char: str) -> bool:
    """Whether one character is a Chinese (Han) ideograph. Kana, Hangul and punctuation are not."""
    return _CJK.fullmatch(char) is not None


def count_words(text: str) -> int:
    """Runs of letters and digits; a Chinese character counts as one: where words end is for a segmenter to say."""
    return sum(1 for _ in _WORD.finditer(text))


def guess_language(text: str) -> Language:
    """`zh` or `en` where one of them makes up nearly all of the text, `mixed` for both, `other` for neither.

    A Chinese word has about 1.6 characters, so ideographs count as 0.6 words. A few foreign names do not make a text
    mixed: up to 15 % of its words may be of the other language. Text without letters is `other`.
    """
    han = len(_CJK.findall(text)) * 0.6
    latin = len(_LATIN_WORD.findall(text))
    foreign = sum(1 for run in _LETTER_RUN.findall(text) if not _CJK.search(run) and not _LATIN_WORD.search(run))
    kana = len(re.findall(r"[\u3040-\u30ff]", text)) * 0.6
    total = han + latin + foreign + kana
    if total == 0 or foreign + kana > 0.3 * total:
        return "other"
    share = han / (han + latin)
    if share >= 0.85:
        return "zh"
    return "en" if share <= 0.15 else "mixed"
