"""English stems by Porter's algorithm (1980) with the later changes of its author that NLTK keeps, as ROUGE uses them.

Where a rule's ending is found but what is left is too short for it, no other rule of that step is tried.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

_IRREGULAR = {
    form: stem
    for stem, forms in {
        "sky": "sky skies",
        "die": "dying",
        "lie": "lying",
        "tie": "tying",
        "news": "news",
        "inning": "innings inning",
        "outing": "outings outing",
        "canning": "cannings canning",
        "howe": "howe",
        "proceed": "proceed",
        "exceed": "exceed",
        "succeed": "succeed",
    }.items()
    for form in forms.split()
}


class _Rule(NamedTuple):
    ending: str
    becomes: str
    keeps: int = 0
    """How much of the ending still counts as stem where its length is judged."""


def _rules(pairs: str) -> tuple[_Rule, ...]:
    return tuple(_Rule(*pair.split(">")) for pair in pairs.split())


_DOUBLE_ENDINGS = (
    *_rules(
        "ational>ate tional>tion enci>ence anci>ance izer>ize bli>ble entli>ent eli>e ousli>ous ization>ize ation>ate"
        " ator>ate alism>al iveness>ive fulness>ful ousness>ous aliti>al iviti>ive biliti>ble fulli>ful"
    ),
    _Rule("logi", "log", keeps=1),
)
_SINGLE_ENDINGS = _rules("icate>ic ative> alize>al iciti>ic ical>ic ful> ness>")
_LAST_ENDINGS = [
    *(
        "al",
        "ance",
        "ence",
        "er",
        "ic",
        "able",
        "ible",
        "ant",
        "ement",
        "ment",
        "ent",
        "ion",
        "ou",
        "ism",
        "ate",
        "iti",
    ),
    *("ous", "ive", "ize"),
]


@lru_cache(maxsize=1 << 16)
def stem(word: str) -> str:
    """The stem of a lower-case word; of one or two letters it is the word."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) <= 2:
        return word
    for step in (_drop_plural, _drop_past, _turn_y, _reduce_double, _reduce_single, _drop_last, _drop_e, _drop_l):
        word = step(word)
    return word


def _drop_plural(word: str) -> str:
    if word.endswith("ies"):
        return word[:-1] if len(word) == 4 else word[:-2]
    if word.endswith("sses"):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def _drop_past(word: str) -> str:
    if word.endswith("ied"):
        return word[:-1] if len(word) == 4 else word[:-2]
    if word.endswith("eed"):
        return word[:-1] if _measure(word[:-3]) else word
    for ending in ("ed", "ing"):
        if word.endswith(ending) and "v" in _form(word[: -len(ending)]):
            return _mend(word[: -len(ending)])
    return word


def _mend(word: str) -> str:
    """What is left of a form in -ed or -ing as the word that it was made of: hopping, hoping, falling, filing."""
    if word.endswith(("at", "bl", "iz")):
        return f"{word}e"
    if len(word) > 1 and word[-1] == word[-2] and _form(word)[-1] == "c":
        return word if word[-1] in "lsz" else word[:-1]
    return f"{word}e" if _measure(word) == 1 and _is_short(word) else word


def _turn_y(word: str) -> str:
    return f"{word[:-1]}i" if word.endswith("y") and len(word) > 2 and _form(word)[-2] == "c" else word


def _reduce_double(word: str) -> str:
    if word.endswith("alli") and _measure(word[:-4]):
        return _reduce_double(word[:-2])
    return _apply(word, _DOUBLE_ENDINGS)


def _reduce_single(word: str) -> str:
    return _apply(word, _SINGLE_ENDINGS)


def _drop_last(word: str) -> str:
    ending = next((ending for ending in _LAST_ENDINGS if word.endswith(ending)), None)
    if ending is None:
        return word
    rest = word[: -len(ending)]
    return rest if _measure(rest) > 1 and (ending != "ion" or rest.endswith(("s", "t"))) else word


def _drop_e(word: str) -> str:
    rest = word[:-1]
    return (
        rest if word.endswith("e") and (_measure(rest) > 1 or (_measure(rest) == 1 and not _is_short(rest))) else word
    )


def _drop_l(word: str) -> str:
    return word[:-1] if word.endswith("ll") and _measure(word[:-1]) > 1 else word


def _apply(word: str, rules: Sequence[_Rule]) -> str:
    """By the first rule whose ending is found, where its stem has a vowel with a consonant after it."""
    for ending, becomes, keeps in rules:
        if word.endswith(ending):
            rest = word[: len(word) - len(ending)]
            return rest + becomes if _measure(word[: len(rest) + keeps]) else word
    return word


def _form(word: str) -> str:
    """`c` or `v` for each letter; y is a vowel after a consonant."""
    form = ""
    for letter in word:
        is_vowel = letter in "aeiou" or (letter == "y" and form.endswith("c"))
        form += "v" if is_vowel else "c"
    return form


def _measure(word: str) -> int:
    """How often a consonant follows a vowel."""
    return _form(word).count("vc")


def _is_short(word: str) -> bool:
    """Whether it ends in consonant, vowel, consonant other than w, x, y (hop), or is a vowel and a consonant (at)."""
    form = _form(word)
    return (form.endswith("cvc") and word[-1] not in "wxy") or form == "vc"
