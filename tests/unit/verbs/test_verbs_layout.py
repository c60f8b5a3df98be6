"""Text reports: widths of Chinese characters, folding, bars, bins, figures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.verbs.layout import (
    bar,
    clip,
    columns,
    display_width,
    fold,
    format_bytes,
    format_count,
    format_share,
    nice_bins,
    plural,
)


@pytest.mark.parametrize(("text", "width"), [("abc", 3), ("中文", 4), ("e\u0301", 1), ("，", 2), ("", 0)])
def test_a_chinese_character_takes_two_columns(text: str, width: int) -> None:
    assert display_width(text) == width


@given(st.text(max_size=60), st.integers(2, 30))
def test_clipped_text_fits(text: str, width: int) -> None:
    assert display_width(clip(text, width)) <= width


@given(st.text("ab 中文，。[→]", max_size=200), st.integers(12, 40))
def test_folding_loses_nothing_but_space(text: str, width: int) -> None:
    lines = fold(text, indent=2, first="- ", width=width)
    assert "".join("".join(lines).split()) == "-" + "".join(text.split())
    # A word that is wider than a line stays whole, in a line of its own.
    assert all(display_width(line) <= width or " " not in line.strip().removeprefix("- ") for line in lines)


def test_folding_keeps_marked_tokens_whole_and_punctuation_behind_its_character() -> None:
    assert fold("看 [MASK→书] 见", indent=0, width=11) == ["看", "[MASK→书]", "见"]
    assert fold("看 [MASK 店→书店] 见", indent=0, width=11) == ["看 [MASK", "店→书店] 见"]
    assert fold("一二三四五。", indent=0, width=10) == ["一二三四", "五。"]


def test_columns_line_up_for_the_eye() -> None:
    assert columns([("中文", "1"), ("abc", "22")], "lr", indent=0) == ["中文   1", "abc   22"]
    assert columns([], "lr") == []


@given(st.lists(st.integers(1, 3000), min_size=1, max_size=300), st.one_of(st.none(), st.integers(1, 3000)))
def test_bins_hold_every_value_once_and_break_at_the_edge(values: list[int], edge: int | None) -> None:
    array = np.array(values)
    if edge is not None and edge > array.max():
        edge = None
    bins = nice_bins(array, edge=edge)
    for low, high, count in bins:
        assert count == sum(low <= value and (high is None or value <= high) for value in values)
        assert edge is None or not low <= edge < (high or 10**9) or high == edge
    assert sum(count for *_, count in bins) == len(values)
    assert len(bins) <= 17


def test_rare_long_values_share_one_bin() -> None:
    bins = nice_bins(np.array([5] * 1000 + [100_000]))
    assert len(bins) == 2 and bins[-1][1:] == (None, 1)


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (999, "999"), (1000, "1k"), (12_345, "12.3k"), (2.5e6, "2.5M"), (3e12, "3T"), (0.25, "0.25")],
)
def test_counts(number: float, text: str) -> None:
    assert format_count(number) == text


def test_bytes_and_shares() -> None:
    assert format_bytes(12) == "12 bytes" and format_bytes(1_500_000) == "1.5 MB"
    assert [format_share(share) for share in (0.0, 0.0001, 0.5, 0.9999, 1.0)] == [
        "0.0%",
        "<0.1%",
        "50.0%",
        ">99.9%",
        "100.0%",
    ]
    assert (
        plural(1, "row") == "1 row" and plural(1200, "row") == "1,200 rows" and plural(2, "batch", "es") == "2 batches"
    )


def test_a_bar_shows_what_is_not_nothing() -> None:
    assert bar(0.0, 10) == "" and bar(0.001, 10) == "#" and bar(1.0, 10) == "#" * 10
