"""Carriers with their slots, and what of values and patterns is kept from training.

What is held out depends on the value and the pattern alone, never on a seed: data sets drawn with different seeds may
be put together.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Final, NamedTuple

from groundup.randomness import make_key
from groundup.spoken import chinese_carriers, english_carriers
from groundup.spoken.form import Kind, Language
from groundup.spoken.slots import slots_of

BARE: Final = "="
"""The mark of carriers that are a value and nothing else."""

_SLOT: Final = re.compile(r"\{(\w+)\}")
_ONE_IN_VALUES: Final = 10
_ONE_IN_CARRIERS: Final = 5
_ONE_IN_COMBINATIONS: Final = 8
_ONE_IN_VALIDATION: Final = 20


class Carrier(NamedTuple):
    """A sentence with slots."""

    language: Language
    mark: str
    text: str
    kind: Kind
    slots: tuple[str, ...]
    """The names of its slots of values."""
    is_held_out: bool
    """No training sentence is made from it."""


class Words(NamedTuple):
    """What varies around values."""

    fillers: Mapping[str, tuple[str, ...]]
    before: Mapping[str, tuple[str, ...]]
    after: Mapping[str, tuple[str, ...]]
    blank: str
    """What stands between words."""


def words_of(language: Language) -> Words:
    """The fillers, beginnings and endings of a language."""
    source = english_carriers if language == "en" else chinese_carriers
    return Words(source.WORDS, source.BEFORE, source.AFTER, " " if language == "en" else "")


@cache
def carriers_of(language: Language) -> tuple[Carrier, ...]:
    """All carriers of a language. A fifth of each kind is held out, none of those that are a value alone."""
    source = english_carriers if language == "en" else chinese_carriers
    carriers = [_read_carrier(language, line) for line in source.CARRIERS]
    groups: dict[Kind, list[str]] = defaultdict(list)
    for carrier in carriers:
        if carrier.mark != BARE:
            groups[carrier.kind].append(carrier.text)
    held_out: set[str] = set()
    for texts in groups.values():
        texts.sort(key=lambda text: make_key("spoken carrier", language, text))
        held_out |= set(texts[: max(1, round(len(texts) / _ONE_IN_CARRIERS))])
    return tuple(carrier._replace(is_held_out=carrier.text in held_out) for carrier in carriers)


def _read_carrier(language: Language, line: str) -> Carrier:
    mark, text = line.split(" ", 1)
    slots = slots_of(language)
    names = tuple(name for name in split_slots(text)[1::2] if name in slots)
    kind: Kind = "mixed" if len(names) > 1 else slots[names[0]].kind if names else "plain"
    return Carrier(language, mark, text, kind, names, False)


def split_slots(text: str) -> list[str]:
    """Texts and names of slots in turn, beginning and ending with a text, which may be empty."""
    return _SLOT.split(text)


@cache
def group_carriers(language: Language, *, held_out: bool) -> Mapping[Kind, tuple[Carrier, ...]]:
    """The carriers of each kind that are held out, or those that are not."""
    groups: dict[Kind, list[Carrier]] = defaultdict(list)
    for carrier in carriers_of(language):
        if carrier.is_held_out == held_out:
            groups[carrier.kind].append(carrier)
    return {kind: tuple(group) for kind, group in groups.items()}


def name_pattern(carrier: Carrier, styles: tuple[str, ...]) -> str:
    """The carrier and how each of its values is said."""
    return f"{carrier.text} | {' + '.join(styles)}" if styles else carrier.text


@lru_cache(maxsize=1 << 16)
def is_pattern_held_out(carrier: Carrier, styles: tuple[str, ...]) -> bool:
    """Whether a pattern is kept from training: its carrier is, or this carrier is never said with these styles there.

    An eighth of all combinations is kept. A reader who knows both parts from elsewhere can work them out.
    """
    if carrier.is_held_out or carrier.mark == BARE or not styles:
        return carrier.is_held_out
    return make_key("spoken pattern", carrier.language, name_pattern(carrier, styles)) % _ONE_IN_COMBINATIONS == 0


@lru_cache(maxsize=1 << 16)
def is_value_held_out(written: str) -> bool:
    """Whether a written value is kept from training: a tenth of those with three digits or more.

    The words of shorter ones, such as `12` or `3rd`, cannot be worked out from others, so training has them all.
    """
    return sum(map(str.isdigit, written)) > 2 and make_key("spoken value", written) % _ONE_IN_VALUES == 0


def is_for_validation(written: str) -> bool:
    """Whether a written sentence is kept for validation: a twentieth."""
    return make_key("spoken validation", written) % _ONE_IN_VALIDATION == 0
