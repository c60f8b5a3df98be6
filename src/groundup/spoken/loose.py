"""Values among pieces of any text: sentences that nobody says, so that a model must copy words and cannot know them.

The carriers of the grammar are few enough to be learnt by heart, and so are their words. Who has seen these rows too
reads a new sentence better. Values are those that training may show.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Final

from groundup.errors import DataError
from groundup.language.scripts import CJK_CLASS
from groundup.randomness import make_key
from groundup.spoken.dice import Dice, iterate_dice
from groundup.spoken.form import Language
from groundup.spoken.grammar import words_of
from groundup.spoken.pairs import Pair, choose_form, draw_value
from groundup.spoken.rows import Row, make_rows
from groundup.spoken.slots import slots_of

_WORD: Final = {"en": re.compile("[a-z]+(?:'[a-z]+)?"), "zh": re.compile(f"[{CJK_CLASS}]")}
_NUMERALS: Final = {
    "en": frozenset(
        (
            *("zero", "oh", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven"),
            *("twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"),
            *("thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety", "hundred", "thousand", "million"),
            *("first", "second", "third", "fourth", "fifth", "half", "quarter", "point", "and", "past", "to", "double"),
        )
    ),
    "zh": frozenset("零〇一二三四五六七八九十百千万亿两幺第点分元角号年月日时半刻块毛早晚上下午凌晨中"),
}
"""Words that mean something else than themselves beside a value."""
_NUM_VALUES: Final = (0, 0, 1, 1, 1, 1, 1, 2)
_MOST_WORDS: Final = {"en": 6, "zh": 9}


def draw_loose_rows(count: int, texts: Mapping[Language, Sequence[str]], seed: int = 0) -> list[Row]:
    """The first `count` rows of such sentences over the words of some texts, both directions of each, no prompt twice.

    Raises DataError where a language has too few words.
    """
    return list(islice(make_rows(_iterate(texts, seed), "train"), count))


def _iterate(texts: Mapping[Language, Sequence[str]], seed: int) -> Iterator[Pair]:
    words = {language: _read_words(language, texts[language]) for language in texts}
    for dice in iterate_dice(make_key(seed, "spoken", "loose")):
        language = dice.pick(tuple(words))
        pair = _draw_pair(dice, language, words[language])
        if pair is not None:
            yield pair


def _read_words(language: Language, texts: Sequence[str]) -> tuple[str, ...]:
    """The words of all texts in their order (in Chinese: characters), numerals left out."""
    found = (word for text in texts for word in _WORD[language].findall(text.lower()))
    words = tuple(word for word in found if word not in _NUMERALS[language])
    if len(words) < 100:
        raise DataError("spoken.texts", f"hold too few words of {language!r}", got=len(words), cure="give more text")
    return words


def _draw_pair(dice: Dice, language: Language, words: Sequence[str]) -> Pair | None:
    slots, blank, num_values = slots_of(language), words_of(language).blank, dice.pick(_NUM_VALUES)
    spoken, written, canonical = list[str](), list[str](), list[str]()
    for number in range(num_values + 1):
        around = _draw_words(dice, words, 2 if num_values == 0 else 0, _MOST_WORDS[language])
        for side in (spoken, written, canonical):
            side += around
        if number < num_values:
            value = draw_value(slots[dice.pick(tuple(slots))], dice, False)
            if value is None:
                return None
            forms = value.make_forms()
            written.append(value.written)
            spoken.append(choose_form(forms, dice).spoken)
            canonical.append(forms[0].spoken)
    said, wrote, read = (blank.join(side) for side in (spoken, written, canonical))
    return Pair(said, wrote, language, "mixed" if num_values else "plain", "loose", read, "loose", False)


def _draw_words(dice: Dice, words: Sequence[str], least: int, most: int) -> list[str]:
    """Some words as they follow each other, or, as often, from all over."""
    count = dice.between(least, most)
    if dice.chance(50):
        return [dice.pick(words) for _ in range(count)]
    start = dice.below(len(words) - count)
    return list(words[start : start + count])
