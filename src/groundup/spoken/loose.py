"""Values among words in no order: sentences that nobody says, so that a model must copy words and cannot know them.

The carriers of the grammar are few enough to be learnt by heart. Who has seen these as well reads a new carrier better.
Values are those that training may show, carriers none that a test has.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import chain, islice
from typing import Final

from groundup.randomness import make_key
from groundup.spoken.dice import Dice, iterate_dice
from groundup.spoken.form import LANGUAGES, Language
from groundup.spoken.grammar import group_carriers, split_slots, words_of
from groundup.spoken.pairs import Pair, choose_form, draw_value
from groundup.spoken.rows import Row, make_rows
from groundup.spoken.slots import slots_of

_NUMERALS: Final = frozenset("零〇一二三四五六七八九十百千万亿两幺第点分元角号年月日时半刻块毛")
"""Characters that mean something else than themselves beside a value."""
_NUM_VALUES: Final = (0, 1, 1, 1, 1, 1, 2)
_MOST_WORDS: Final = {"en": 5, "zh": 7}


def draw_loose_rows(count: int, seed: int = 0, languages: Sequence[Language] = LANGUAGES) -> list[Row]:
    """The first `count` rows of such sentences, both directions of each, no prompt twice."""
    return list(islice(make_rows(_iterate(seed, tuple(languages)), "train"), count))


def _iterate(seed: int, languages: tuple[Language, ...]) -> Iterator[Pair]:
    for dice in iterate_dice(make_key(seed, "spoken", "loose")):
        pair = _draw_pair(dice, dice.pick(languages))
        if pair is not None:
            yield pair


def _draw_pair(dice: Dice, language: Language) -> Pair | None:
    slots, words, blank = slots_of(language), _words_of(language), words_of(language).blank
    most, num_values = _MOST_WORDS[language], dice.pick(_NUM_VALUES)
    spoken, written, canonical = list[str](), list[str](), list[str]()
    for number in range(num_values + 1):
        least = 2 if num_values == 0 else 0
        around = [dice.pick(words) for _ in range(dice.between(least, most))]
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
    sides = [blank.join(side) for side in (spoken, written, canonical)]
    return Pair(
        spoken=sides[0],
        written=sides[1],
        language=language,
        kind="mixed" if num_values else "plain",
        pattern="loose",
        canonical=sides[2],
        canonical_pattern="loose",
        is_canonical_held_out=False,
    )


@cache
def _words_of(language: Language) -> tuple[str, ...]:
    """All words (in Chinese: characters) of the carriers that training may show, numerals left out."""
    source = words_of(language)
    texts = [carrier.text for group in group_carriers(language, held_out=False).values() for carrier in group]
    texts += chain.from_iterable(chain(*(part.values() for part in (source.fillers, source.before, source.after))))
    texts = [piece for text in texts for piece in split_slots(text)[::2]]
    words = {word for text in texts for word in (text.split() if language == "en" else "".join(text.split()))}
    return tuple(sorted(word for word in words if not _NUMERALS & set(word)))
