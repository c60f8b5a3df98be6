"""Pairs of spoken and written sentences: every draw a function of (seed, split, its number).

The splits hold apart what a model could otherwise know by heart:

- `train` and `validation` share values and patterns, never a written sentence;
- `test_values` has known patterns, and every value in it is one that `train` and `validation` never show;
- `test_patterns` has known values, in patterns that they never show: half of them new carriers, half known carriers
  with a way of speaking that they are never combined with there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Final, Literal, NamedTuple, get_args

from groundup.errors import ConfigError, DataError
from groundup.randomness import make_key
from groundup.spoken.dice import Dice, iterate_dice
from groundup.spoken.form import LANGUAGES, Form, Kind, Language, Value, check_choice, join_styles, keep_distinct
from groundup.spoken.grammar import (
    Carrier,
    group_carriers,
    is_for_validation,
    is_pattern_held_out,
    is_value_held_out,
    name_pattern,
    split_slots,
    words_of,
)
from groundup.spoken.slots import Slot, slots_of

Split = Literal["train", "validation", "test_values", "test_patterns"]

SPLITS: Final[tuple[Split, ...]] = get_args(Split)
_KINDS: Final[tuple[Kind, ...]] = (
    *("plain", "plain", "mixed", "mixed", "mixed"),
    *("number", "digits", "ordinal", "decimal", "percent", "money", "date", "time", "datetime", "phone"),
)
"""Each kind as often as it is drawn."""
_PERCENT_OF_NEW_CARRIERS: Final = 25
"""Of attempts; a known carrier is seldom drawn with a style that is new to it, so half of the pairs have a new one."""
_MOST_TRIES: Final = 40
_TRIES_OF_VALUES: Final = 8
_TRIES_OF_FORMS: Final = 4
_MOST_FAILURES: Final = 20_000


class Pair(NamedTuple):
    """One sentence, said and written."""

    spoken: str
    written: str
    language: Language
    kind: Kind
    pattern: str
    """The carrier, and the style in which each value is said."""
    canonical: str
    """The spoken sentence with every value in its canonical form: what `written` is to be read as."""
    canonical_pattern: str
    is_canonical_held_out: bool
    """Whether `canonical_pattern` is one that training never shows."""


def draw_pairs(split: str, count: int, seed: int = 0, languages: Sequence[str] = LANGUAGES) -> list[Pair]:
    """The first `count` pairs of a split, no two alike. More of them begin with the same ones."""
    if count < 0:
        raise ConfigError("spoken.count", "must be at least 0", got=count)
    return list(islice(iterate_pairs(split, seed, languages), count))


def iterate_pairs(split: str, seed: int = 0, languages: Sequence[str] = LANGUAGES) -> Iterator[Pair]:
    """The pairs of a split one after the other, as long as there are new ones.

    Raises:
        ConfigError: there is no such split or language.
        DataError: the grammar has hardly any sentence left that was not drawn.
    """
    check_choice("split", split, SPLITS)
    for language in languages:
        check_choice("languages", language, LANGUAGES)
    if not languages:
        raise ConfigError("spoken.languages", "names no language", cure=f"choose among {', '.join(LANGUAGES)}")
    return _iterate(split, seed, tuple(languages))


def _iterate(split: str, seed: int, languages: tuple[str, ...]) -> Iterator[Pair]:
    seen: set[str] = set()
    failures = 0
    for dice in iterate_dice(make_key(seed, "spoken", split)):
        pair = _draw_pair(split, dice, languages)
        if pair is None or pair.spoken in seen:
            failures += 1
            if failures > _MOST_FAILURES:
                raise DataError("spoken", "has no new sentences left", got=len(seen), cure="draw fewer pairs")
            continue
        failures = 0
        seen.add(pair.spoken)
        yield pair


def _draw_pair(split: str, dice: Dice, languages: tuple[str, ...]) -> Pair | None:
    """The pair of one attempt; None where the attempt led to one of another split."""
    language, kind = dice.pick(languages), dice.pick(_KINDS)
    has_new_carrier = split == "test_patterns" and dice.chance(_PERCENT_OF_NEW_CARRIERS)
    if kind == "plain" and (split == "test_values" or (split == "test_patterns" and not has_new_carrier)):
        return None
    carrier = dice.pick(group_carriers(language, held_out=has_new_carrier)[kind])
    chosen = _choose_values(carrier, dice, new_values=split == "test_values", new_pattern=split == "test_patterns")
    if chosen is None:
        return None
    values, forms, canonical = chosen
    pattern, canonical_styles = name_pattern(carrier, _styles(forms)), _styles(canonical)
    frame = _draw_frame(carrier, dice)
    written = _fill(frame, values)
    if split in ("train", "validation") and is_for_validation(written) != (split == "validation"):
        return None
    return Pair(
        spoken=_fill(frame, [form.spoken for form in forms]),
        written=written,
        language=language,
        kind=kind,
        pattern=pattern,
        canonical=_fill(frame, [form.spoken for form in canonical]),
        canonical_pattern=name_pattern(carrier, canonical_styles),
        is_canonical_held_out=is_pattern_held_out(carrier, canonical_styles),
    )


def _styles(forms: Sequence[Form]) -> tuple[str, ...]:
    return tuple(form.style for form in forms)


def _choose_values(
    carrier: Carrier, dice: Dice, *, new_values: bool, new_pattern: bool
) -> tuple[list[str], list[Form], list[Form]] | None:
    """What the values are written as, how they are said here, and their canonical forms."""
    slots = slots_of(carrier.language)
    for _ in range(_TRIES_OF_VALUES):
        values = [draw_value(slots[name], dice, new_values) for name in carrier.slots]
        if None in values:
            return None
        spoken = [value.make_forms() for value in values if value is not None]
        for _ in range(_TRIES_OF_FORMS):
            forms = [choose_form(each, dice) for each in spoken]
            if is_pattern_held_out(carrier, _styles(forms)) == new_pattern:
                return [value.written for value in values if value is not None], forms, [each[0] for each in spoken]
        if not carrier.slots:
            return None
    return None


def draw_value(slot: Slot, dice: Dice, is_new: bool) -> Value | None:
    """A value all of whose parts training never shows, or none of them."""
    parts: list[Value] = []
    for draw in slot.parts:
        part = _draw_part(draw, dice, is_new)
        if part is None:
            return None
        parts.append(part)
    if len(parts) == 1:
        return parts[0]
    first, second = parts
    return Value(f"{first.written} {second.written}", lambda: _join_forms(first, second, slot.joiner))


def _draw_part(draw: Callable[[Dice], Value], dice: Dice, is_new: bool) -> Value | None:
    for _ in range(_MOST_TRIES):
        value = draw(dice)
        if is_value_held_out(value.written) == is_new:
            return value
    return None


def _join_forms(first: Value, second: Value, joiner: str) -> tuple[Form, ...]:
    return keep_distinct(
        Form(join_styles(one.style, other.style), one.spoken + joiner + other.spoken)
        for one in first.make_forms()
        for other in second.make_forms()
    )


def choose_form(forms: tuple[Form, ...], dice: Dice) -> Form:
    """The canonical form in a third of the cases, else one of the others."""
    return forms[0] if len(forms) == 1 or dice.chance(35) else dice.pick(forms[1:])


def _draw_frame(carrier: Carrier, dice: Dice) -> list[str]:
    """The texts around the values, words put in; many sentences begin or end with some words more."""
    words = words_of(carrier.language)
    parts = [carrier.text]
    if words.before.get(carrier.mark) and dice.chance(35):
        parts.insert(0, dice.pick(words.before[carrier.mark]))
    if words.after.get(carrier.mark) and dice.chance(25):
        parts.append(dice.pick(words.after[carrier.mark]))
    pieces = split_slots(words.blank.join(parts))
    frame = [pieces[0]]
    used: set[str] = set()
    for name, text in zip(pieces[1::2], pieces[2::2], strict=True):
        if name in words.fillers:
            left = [word for word in words.fillers[name] if word not in used]
            used.add(word := dice.pick(left))
            frame[-1] += word + text
        else:
            frame.append(text)
    return frame


def _fill(frame: Sequence[str], values: Sequence[str]) -> str:
    return "".join(text + value for text, value in zip(frame, (*values, ""), strict=True))
