"""Chinese characters one by one and the words between them, as CMRC 2018's official script cuts answers.

The words of other scripts are cut as in the Penn Treebank (Marcus et al. 1993), in whose manner that script has them
cut: signs apart, `it's` as `it 's`, a full stop apart only at the end.
"""

from __future__ import annotations

import re

MARKS = frozenset("-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』")
"""Signs that the script drops. It means to drop the ellipsis too but never finds it, so that `…` stays."""

_CUT_APART = re.compile(r"\.{2,}|--|[;@#$%&?!\[\](){}<>«»„‘“”’*]|[:,](?!\d)")
_LAST_STOP = re.compile(r"(?<=[^.])(\.)(?=[\])}>\"' ]*$)")
_OPENING = re.compile(r"(^|[ (\[{<])\"")
_ENDINGS = re.compile(r"(?<=[^' ])('(?:s|m|d|ll|re|ve)?|n't)(?= |$)")
_JOINED = re.compile(r"\b(can)(not)\b|\b(gim|lem)(me)\b|\b(gon|got|wan)(na|ta)\b")


def mixed_words(text: str, *, keeps_marks: bool = True) -> list[str]:
    """Lower-cased; a Chinese character or mark is a word. Without its marks, what they part grows together."""
    words: list[str] = []
    held: list[str] = []
    for char in text.lower().strip():
        is_mark = char in MARKS
        if is_mark and not keeps_marks:
            continue
        if is_mark or "\u4e00" <= char <= "\u9fa5":
            words += [*_latin_words("".join(held)), char]
            held.clear()
        else:
            held.append(char)
    return words + _latin_words("".join(held))


def _latin_words(text: str) -> list[str]:
    if text.isalnum():
        return text.split() if not _JOINED.search(text) else _JOINED.sub(_part, text).split()
    text = _OPENING.sub(r"\1 `` ", text.strip())
    text = _LAST_STOP.sub(r" \1 ", text)
    text = _CUT_APART.sub(r" \g<0> ", text).replace('"', " '' ")
    text = _ENDINGS.sub(r" \1", " ".join(text.split()))
    return _JOINED.sub(_part, text).split()


def _part(match: re.Match[str]) -> str:
    return " ".join(part for part in match.groups() if part)
