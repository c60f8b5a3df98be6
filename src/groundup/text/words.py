"""Where the tokenizers made here end a word: patterns for the library, and a split of our own that is surely one."""

from __future__ import annotations

import re

UNSPACED = (
    "\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3031-\u3035\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003fffd"
)
"""Characters written without spaces between words, Chinese ones and kana, for a pattern of `re` or of the library."""

ONE_CHARACTER = r"[\s\S]"
ONE_CHINESE = r"\p{Han}"
ONE_DIGIT = r"\p{Nd}"
"""Full-width digits and those of other scripts too; Chinese numerals are letters."""

_LETTERS = rf"[\p{{L}}\p{{M}}&&[^{UNSPACED}]]+"
UNIGRAM_WORDS = (
    rf"[\r\n]+| ?[{UNSPACED}]+| ?{_LETTERS}(?:['’]{_LETTERS})*| ?\p{{N}}+| ?[^\s\p{{L}}\p{{M}}\p{{N}}]+"
    r"|[^\S\r\n]+(?!\S)|[^\S\r\n]"
)
"""Each with the space before it: text without spaces, letters, numbers, other signs. Of several spaces the last one."""
UNIGRAM_WORDS_AND_DIGITS = UNIGRAM_WORDS.replace(r" ?\p{N}+", rf"{ONE_DIGIT}| ?[\p{{N}}&&[^{ONE_DIGIT}]]+")

# GPT-2 ends a word before a single space inside text, and so do the unigram words, before and after Unicode's forms are
# made. Between spaces, Chinese hardly ever repeats: it is not split.
_SPACE_BREAKS = re.compile(r"(?<=[!-~\u00c0-\u024f])(?= [!-~\u00c0-\u024f])")
_CHINESE = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")


def split_at_spaces(text: str) -> list[str]:
    """Spans that byte pairs and unigram words never cross."""
    return [text] if _CHINESE.search(text) else _SPACE_BREAKS.split(text)
