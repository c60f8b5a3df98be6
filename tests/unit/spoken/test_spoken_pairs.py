"""What is drawn: splits hold apart what they promise, every draw is a function of its number, answers are unique."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter, defaultdict
from itertools import islice
from pathlib import Path

import pytest
import spoken_answers
import spoken_chinese
import spoken_english
from spoken_answers import find_ambiguous

from groundup.errors import ConfigError
from groundup.randomness import make_key
from groundup.spoken.dice import iterate_dice
from groundup.spoken.form import LANGUAGES
from groundup.spoken.grammar import (
    BARE,
    Carrier,
    carriers_of,
    is_pattern_held_out,
    is_value_held_out,
    split_slots,
    words_of,
)
from groundup.spoken.pairs import SPLITS, Pair, draw_pairs
from groundup.spoken.slots import slots_of

READERS = {"en": spoken_english.READERS, "zh": spoken_chinese.READERS}
NUMERALS = {
    "en": {*spoken_english.UNITS, *spoken_english.TENS, *spoken_english.SCALES, *spoken_english.ORDINALS}
    | {"hundred", "point", "half", "quarter", "oh", "double", "triple", "o'clock", "past", "am", "pm"},
    "zh": set("零〇一二两三四五六七八九十百千万亿幺半点分刻钟整块毛角元第差"),
}


FIRST = [
    "the museum in london had four hundred million visitors last year if you ask me",
    "订十个十二月十七日的座位",
    "don't forget that the rent is five hundred and eighty seven euros with a deposit of forty thousand and four euros"
    " so james says",
    "if i remember correctly miss clark came thirty third with a time of twenty point oh three seconds i believe",
]
"""The first pair of each split with seed 0."""


@pytest.fixture(scope="module")
def pairs() -> dict[str, list[Pair]]:
    return {split: draw_pairs(split, 6_000 if split == "train" else 1_500) for split in SPLITS}


def _written_values(pair: Pair) -> list[str]:
    """The values of a pair, found by comparing its two sides with its carrier: what stands in the slots."""
    carrier = pair.pattern.split(" | ")[0]
    slots, fillers = slots_of(pair.language), words_of(pair.language).fillers
    expression = ""
    for number, piece in enumerate(split_slots(carrier)):
        if number % 2 == 0:
            expression += re.escape(piece)
        elif piece in slots:
            expression += r"((?:[\d:.%$£€¥年第-]|(?<=\d)(?:st|nd|rd|th)|(?<=\d) (?=\d))+)"
        else:
            expression += f"(?:{'|'.join(map(re.escape, fillers[piece]))})"
    match = re.search(expression, pair.written)
    assert match, (pair, expression)
    return [value.strip() for value in match.groups()]


def _parts(pair: Pair) -> set[str]:
    """The written values; a date with a time counts as both of them."""
    return {part for value in _written_values(pair) for part in value.split(" ")}


def test_no_value_of_test_values_is_ever_trained_on(pairs) -> None:
    known = {
        part for split in ("train", "validation", "test_patterns") for pair in pairs[split] for part in _parts(pair)
    }
    new = {part for pair in pairs["test_values"] for part in _parts(pair)}
    assert len(known) > 4_000 and len(new) > 1_000
    assert not known & new
    assert all(is_value_held_out(part) for part in new) and not any(is_value_held_out(part) for part in known)


def test_no_pattern_of_test_patterns_is_ever_trained_on(pairs) -> None:
    known = {pair.pattern for split in ("train", "validation", "test_values") for pair in pairs[split]}
    new = {pair.pattern for pair in pairs["test_patterns"]}
    assert len(known) > 1_500 and len(new) > 400
    assert not known & new


def _trained_styles() -> set[tuple[str, str, str]]:
    """Ways of speaking that training shows with at least one carrier that has no other value."""
    found: set[tuple[str, str, str]] = set()
    for language in LANGUAGES:
        for carrier in carriers_of(language):
            if len(carrier.slots) != 1 or carrier.is_held_out:
                continue
            (draw, *others) = slots_of(language)[carrier.slots[0]].parts
            styles = {
                form.style
                for dice in islice(iterate_dice(make_key(carrier.text)), 60)
                for form in draw(dice).make_forms()
            }
            if not others:
                kept = (style for style in styles if not is_pattern_held_out(carrier, (style,)))
                found |= {(language, carrier.kind, style) for style in kept}
    return found


def test_a_reader_of_the_training_patterns_can_work_out_the_others(pairs) -> None:
    """Every way of speaking is trained on, in some carrier; of new carriers, every slot is known from another one."""
    alone = [pair for pair in pairs["test_patterns"] if pair.kind not in ("plain", "mixed", "datetime")]
    tested = {(pair.language, pair.kind, pair.pattern.split(" | ")[1]) for pair in alone}
    assert tested <= _trained_styles() and len(tested) > 100
    for language in LANGUAGES:
        slots = {held_out: set() for held_out in (False, True)}
        for carrier in carriers_of(language):
            slots[carrier.is_held_out] |= set(carrier.slots)
        assert slots[True] <= slots[False]


def test_half_of_the_new_patterns_are_new_carriers(pairs) -> None:
    known = {pair.pattern.split(" | ")[0] for pair in pairs["train"]}
    new = [pair.pattern.split(" | ")[0] not in known for pair in pairs["test_patterns"]]
    assert 0.4 < sum(new) / len(new) < 0.65
    held_out = {carrier.text for language in LANGUAGES for carrier in carriers_of(language) if carrier.is_held_out}
    assert not held_out & known


def test_every_kind_holds_out_carriers_and_keeps_most() -> None:
    for language in LANGUAGES:
        counts: dict[str, Counter[bool]] = defaultdict(Counter)
        for carrier in carriers_of(language):
            counts[carrier.kind][carrier.is_held_out] += carrier.mark != BARE
        assert len(counts) == 12
        for kind, count in counts.items():
            assert count[True] >= 2 and count[False] >= 3 * count[True], (language, kind, count)


def test_train_and_validation_share_no_sentence(pairs) -> None:
    for side in ("spoken", "written", "canonical"):
        train, validation = ({getattr(pair, side) for pair in pairs[split]} for split in ("train", "validation"))
        assert not train & validation


@pytest.mark.parametrize("split", SPLITS)
def test_no_pair_is_drawn_twice(pairs, split: str) -> None:
    assert len({(pair.spoken, pair.written) for pair in pairs[split]}) == len(pairs[split])


@pytest.mark.parametrize("split", SPLITS)
def test_draws_are_reproducible_and_do_not_depend_on_how_many(pairs, split: str) -> None:
    assert draw_pairs(split, 400) == pairs[split][:400]
    assert draw_pairs(split, 30, seed=1) != pairs[split][:30]
    assert draw_pairs(split, 0) == []


def test_draws_do_not_change_between_releases() -> None:
    """Frozen: where this fails, results of runs before and after may not be compared, and the change must be wanted."""
    assert [draw_pairs(split, 1)[0].spoken for split in SPLITS] == FIRST


@pytest.mark.parametrize("language", LANGUAGES)
def test_languages_can_be_drawn_alone(language: str) -> None:
    assert {pair.language for pair in draw_pairs("train", 200, languages=(language,))} == {language}


def test_both_languages_and_all_kinds_are_drawn(pairs) -> None:
    for split in SPLITS:
        languages = Counter(pair.language for pair in pairs[split])
        assert 0.8 < languages["en"] / languages["zh"] < 1.25
        kinds = Counter((pair.language, pair.kind) for pair in pairs[split])
        assert len(kinds) == (22 if split == "test_values" else 24)
        assert min(kinds.values()) > 15


def test_values_are_what_their_words_say(pairs) -> None:
    """Values read from the words by an independent reader; a control shows that the comparison can fail."""
    checked = 0
    for split in SPLITS:
        for pair in pairs[split]:
            if pair.kind in ("plain", "mixed"):
                continue
            (value,) = _written_values(pair)
            head, tail = pair.written.split(value)
            assert pair.spoken.startswith(head) and pair.spoken.endswith(tail)
            for sentence in (pair.spoken, pair.canonical):
                assert READERS[pair.language][pair.kind](sentence[len(head) : len(sentence) - len(tail)]) == value
            checked += 1
    assert checked > 6_000
    assert READERS["en"]["date"]("march sixth twenty twenty four") != "2024-03-05"


def test_carriers_stay_as_they_were_said(pairs) -> None:
    for pair in pairs["train"]:
        if pair.kind == "plain":
            assert pair.spoken == pair.written == pair.canonical
        else:
            assert pair.spoken != pair.written and re.search(r"\d", pair.written)
        assert not re.search(r"\d", pair.spoken + pair.canonical)
        assert pair.spoken == pair.spoken.strip().lower() and "  " not in pair.spoken
        assert re.fullmatch(r"[a-z' ]+" if pair.language == "en" else r"[\u3007\u4e00-\u9fff]+", pair.spoken)


def test_a_prompt_has_one_answer(pairs) -> None:
    assert find_ambiguous([pair for split in SPLITS for pair in pairs[split]]) == []


@pytest.mark.slow
def test_a_prompt_has_one_answer_in_many_draws() -> None:
    """Over seeds that know nothing of each other, so that the same words may come up again with other values.

    In a process of its own: with types checked in every call it would take ten times as long.
    """
    script = Path(spoken_answers.__file__)
    run = subprocess.run([sys.executable, script, "200000"], capture_output=True, text=True, check=True)
    assert json.loads(run.stdout) == {"pairs": 200_000, "ambiguous": []}


def test_a_prompt_with_two_answers_would_be_found(pairs) -> None:
    pair = pairs["train"][0]
    assert len(find_ambiguous([pair, pair._replace(written="another")])) == 1
    assert len(find_ambiguous([pair, pair._replace(spoken="another", canonical="another")])) == 1


def _without_slots(carrier: Carrier) -> str:
    pieces = split_slots(carrier.text)
    return "".join("{}" if piece in carrier.slots and place % 2 else piece for place, piece in enumerate(pieces))


def test_no_two_carriers_are_alike_without_their_values() -> None:
    """Carriers that differed in the kind of their slot only would make one sentence mean two things."""
    for language in LANGUAGES:
        frames = [_without_slots(carrier) for carrier in carriers_of(language) if carrier.mark != BARE]
        assert [frame for frame, count in Counter(frames).items() if count > 1] == []


def test_values_that_stand_alone_tell_what_they_are() -> None:
    """Of what is said or written without a carrier, nothing belongs to two kinds of values."""
    for language in LANGUAGES:
        kinds: dict[str, set[str]] = defaultdict(set)
        for carrier in carriers_of(language):
            if carrier.mark == BARE:
                (slot,) = (slots_of(language)[name] for name in carrier.slots)
                for dice in islice(iterate_dice(1), 150):
                    values = [draw(dice) for draw in slot.parts]
                    kinds[" ".join(value.written for value in values)].add(carrier.kind)
                    for forms in zip(*(value.make_forms() for value in values), strict=False):
                        kinds[slot.joiner.join(form.spoken for form in forms)].add(carrier.kind)
        assert len(kinds) > 3_000
        assert [text for text, found in kinds.items() if len(found) > 1] == []


def _neighbours(language: str) -> dict[tuple[str, str], tuple[set[str], set[str]]]:
    """For each carrier and slot of values the words (in Chinese the characters) that can stand before and after it."""
    words, slots = words_of(language), slots_of(language)
    found: dict[tuple[str, str], tuple[set[str], set[str]]] = defaultdict(lambda: (set(), set()))
    for carrier in carriers_of(language):
        if carrier.mark == BARE:
            continue
        befores = ["", *words.before.get(carrier.mark, ())]
        afters = ["", *words.after.get(carrier.mark, ())]
        for before in befores:
            for after in afters:
                pieces = split_slots(words.blank.join(part for part in (before, carrier.text, after) if part))
                for place, name in enumerate(pieces[1::2]):
                    if name not in slots:
                        continue
                    for at, step in ((2 * place, -1), (2 * place + 2, 1)):
                        for text in _ends(pieces, at, step, words.fillers):
                            units = text.split() if language == "en" else list(text)
                            if units:
                                found[carrier.text, name][step > 0].add(units[-1] if step < 0 else units[0])
    return found


def _ends(pieces: list[str], at: int, step: int, fillers) -> list[str]:
    """The text beside a slot, or every filler where another slot is next to it."""
    if pieces[at].strip() or not 0 <= at + step < len(pieces):
        return [pieces[at]]
    return list(fillers.get(pieces[at + step], ["一"]))


def test_no_word_of_a_number_stands_beside_a_value() -> None:
    """Where a value ends must be seen: `三点一起` would be 3:01 or 3 o'clock, `five to six to seven` two things.

    Times behind a weekday begin with the part of the day, so they cannot be mistaken.
    """
    checked = 0
    for language in LANGUAGES:
        for (carrier, name), (before, after) in _neighbours(language).items():
            beside = before | after
            checked += len(beside)
            assert name == "clear_time" or not beside & NUMERALS[language], (carrier, name)
            assert name not in ("time", "any_time", "clear_time", "moment") or "to" not in beside, carrier
            assert slots_of(language)[name].kind == "ordinal" or not before & {"a", "the", "my", "our"}, carrier
    assert checked > 500


def test_carriers_use_words_that_there_are() -> None:
    for language in LANGUAGES:
        words = words_of(language)
        known = {*slots_of(language), *words.fillers}
        texts = [carrier.text for carrier in carriers_of(language)]
        texts += [text for table in (words.before, words.after) for group in table.values() for text in group]
        assert {name for text in texts for name in split_slots(text)[1::2]} == known
        carriers = carriers_of(language)
        assert len({carrier.text for carrier in carriers}) == len(carriers) > 200
        assert {carrier.mark for carrier in carriers} == set(".!?=")


@pytest.mark.parametrize(
    "call",
    [
        lambda: draw_pairs("test", 1),
        lambda: draw_pairs("train", -1),
        lambda: draw_pairs("train", 1, languages=("de",)),
        lambda: draw_pairs("train", 1, languages=()),
    ],
)
def test_what_is_unknown_is_one_error(call) -> None:
    with pytest.raises(ConfigError, match=r"^spoken\.\w+: .+(, got |; choose)"):
        call()


def test_dice_are_functions_of_their_numbers() -> None:
    first, second = (list(islice(iterate_dice(5), 600)) for _ in range(2))
    assert [dice.below(1000) for dice in first] == [dice.below(1000) for dice in second]
    dice, other = first[3], second[3]
    assert [dice.below(10**9) for _ in range(100)] == [other.below(10**9) for _ in range(100)]
    assert len({tuple(each.below(10) for _ in range(20)) for each in first}) == 600
