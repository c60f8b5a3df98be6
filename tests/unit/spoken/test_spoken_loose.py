"""Values among words in no order: of training alone, copied word by word."""

from __future__ import annotations

import re

from groundup.spoken.grammar import group_carriers, is_value_held_out
from groundup.spoken.loose import draw_loose_rows
from groundup.spoken.rows import draw_rows, text_of

ROWS = draw_loose_rows(4000)


def test_draws_repeat_and_begin_alike() -> None:
    assert draw_loose_rows(50) == ROWS[:50]
    assert draw_loose_rows(50, seed=1) != ROWS[:50]
    assert len({row["prompt"] for row in ROWS}) == len(ROWS)


def test_both_languages_and_directions_occur_alike() -> None:
    for field, names in (("language", ("en", "zh")), ("direction", ("to_written", "to_spoken"))):
        counts = [sum(row[field] == name for row in ROWS) for name in names]
        assert min(counts) > 0.4 * len(ROWS), (field, counts)


def test_no_slot_is_left_unfilled() -> None:
    assert not any(set("{}") & set(row["prompt"] + row["completion"]) for row in ROWS)


def test_numbers_are_those_that_training_may_show() -> None:
    written = [row["completion"] for row in ROWS if row["direction"] == "to_written" and row["language"] == "en"]
    numbers = [word for text in written for word in text.split() if re.fullmatch(r"[$€£]?\d+(\.\d\d)?%?", word)]
    held_out = sum(map(is_value_held_out, numbers))
    assert len(numbers) > 300
    # Years and times are judged with what stands beside them, so a few parts may look held out; all would be a tenth.
    assert held_out < 0.05 * len(numbers)


def test_words_are_copied_and_no_test_carrier_is_shown() -> None:
    plain = [row for row in ROWS if row["kind"] == "plain"]
    assert len(plain) > 300 and all(text_of(row) == row["completion"] for row in plain)
    texts = {text_of(row) for row in ROWS}
    tests = {text_of(row) for row in draw_rows("test_patterns", 300)}
    assert not texts & tests
    assert group_carriers("en", held_out=True)
