"""Values among pieces of any text: of training alone, and everything but the value is copied."""

from __future__ import annotations

import re

import pytest

from groundup.errors import DataError
from groundup.spoken.grammar import is_value_held_out
from groundup.spoken.loose import draw_loose_rows
from groundup.spoken.rows import text_of

TEXTS = {
    "en": ["The kettle's handle broke after One week, and nobody at the shop would even look at it."] * 6
    + [f"{word} windows rattled all night" for word in ("old", "blue", "kitchen", "attic", "garden", "tall")] * 4,
    "zh": ["新买的水壶用了一周把手就断了，店里的人看都不看。", "窗户整夜响个不停，根本睡不着觉。"] * 6,
}
ROWS = draw_loose_rows(3000, TEXTS)


def test_draws_repeat_and_begin_alike() -> None:
    assert draw_loose_rows(50, TEXTS) == ROWS[:50]
    assert draw_loose_rows(50, TEXTS, seed=1) != ROWS[:50]
    assert len({row["prompt"] for row in ROWS}) == len(ROWS)


def test_both_languages_and_directions_occur_alike() -> None:
    for field, names in (("language", ("en", "zh")), ("direction", ("to_written", "to_spoken"))):
        counts = [sum(row[field] == name for row in ROWS) for name in names]
        assert min(counts) > 0.35 * len(ROWS), (field, counts)


def test_words_are_those_of_the_texts_without_numerals() -> None:
    plain = [row for row in ROWS if row["kind"] == "plain"]
    assert len(plain) > 200 and all(text_of(row) == row["completion"] for row in plain)
    english = {word for row in plain if row["language"] == "en" for word in row["completion"].split()}
    chinese = {char for row in plain if row["language"] == "zh" for char in row["completion"]}
    assert english <= set(re.findall("[a-z']+", " ".join(TEXTS["en"]).lower())) - {"one", "and"}
    assert {"kettle's", "windows"} <= english
    assert chinese <= set("".join(TEXTS["zh"])) - set("一了，。") | {"了"}


def test_numbers_are_those_that_training_may_show() -> None:
    written = [row["completion"] for row in ROWS if row["direction"] == "to_written" and row["language"] == "en"]
    numbers = [word for text in written for word in text.split() if re.fullmatch(r"[$€£]?\d+(\.\d\d)?%?", word)]
    assert len(numbers) > 200
    # Years and times are judged with what stands beside them, so a few parts may look held out; all would be a tenth.
    assert sum(map(is_value_held_out, numbers)) < 0.05 * len(numbers)


def test_too_few_words_are_an_error() -> None:
    with pytest.raises(DataError, match=r"spoken\.texts: hold too few words of 'zh', got 2"):
        draw_loose_rows(5, {"en": TEXTS["en"], "zh": ["你好"]})
