"""Charts: axes with round ticks, lines where the values are, legends with the newest."""

from __future__ import annotations

import math
import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_pages import Element, read_page

from groundup.reporting.charts import Mark, Series, choose_range, draw_lines, short_number
from groundup.reporting.markup import Html

NUMBERS = st.floats(-1e9, 1e9, allow_nan=False)


@given(NUMBERS, NUMBERS, st.booleans())
def test_ticks_are_round_and_cover_the_values(one: float, other: float, is_tight: bool) -> None:
    low, high = min(one, other), max(one, other)
    found = choose_range(low, high, is_tight=is_tight)
    room = 1e-6 * (found.high - found.low)
    assert found.low <= low + room and found.high >= high - room
    assert found.low < found.high and 1 <= len(found.ticks) <= 9
    assert all(found.low - room <= tick <= found.high + room for tick in found.ticks)
    for first, second in pairwise(found.ticks):
        step = second - first
        rounded = step / 10 ** math.floor(math.log10(step) + 1e-9)
        assert min(abs(rounded - each) for each in (1, 2, 2.5, 5)) < 1e-3


def test_a_range_of_one_value() -> None:
    assert choose_range(3.0, 3.0, is_tight=False).place(3.0) == pytest.approx(0.5)
    assert choose_range(0.0, 0.0, is_tight=False).ticks
    assert choose_range(5, 5, is_tight=True).place(5) == 0


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (1e-20, "0"),
        (2.4e-6, "2.4e-06"),
        (0.04567, "0.04567"),
        (12.3456, "12.35"),
        (999.6, "1000"),
        (12_345, "12.3k"),
        (3_456_789, "3.46M"),
        (-0.5, "-0.5"),
    ],
)
def test_short_numbers(value: float, text: str) -> None:
    assert short_number(value) == text


def draw(*series: Series, **options: object) -> Element:
    page = draw_lines("c", Html("title"), series, x_name=Html("step"), **options)  # type: ignore[arg-type]
    return read_page(page)


def points(path: Element) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"([-\d.]+),([-\d.]+)", path.attributes["d"])]


def test_a_line_goes_through_its_values() -> None:
    root = draw(Series(Html("a"), "train", [0, 5, 10], [0.0, 1.0, 0.5]), y_range=(0.0, 1.0))
    (line,) = root.find("path", class_="line")
    assert points(line) == [(0, 1000), (500, 0), (1000, 500)]
    assert line.attributes["data-y"] == "0 1 0.5" and line.attributes["data-x"] == "0 5 10"
    assert line.attributes["data-at"] == "0.0000 0.5000 1.0000"
    assert root.find("li", class_="series")[0].text() == "a 0.5" and root.find("li", class_="at")[0].text() == "step 10"


def test_a_gap_breaks_the_line_and_nothing_is_drawn_through_it() -> None:
    root = draw(Series(Html("a"), "train", [0, 1, 2, 3], [1.0, None, 3.0, 2.0]))
    (line,) = root.find("path", class_="line")
    assert line.attributes["d"].count("M") == 2 and len(points(line)) == 3
    assert line.attributes["data-x"] == "0 2 3"


def test_a_band_lies_around_its_line() -> None:
    series = Series(Html("a"), "validation", [1, 2], [5.0, 6.0], [4.0, 5.0], [6.0, 7.0], has_dots=True)
    root = draw(series, y_range=(0.0, 10.0))
    (band,) = root.find("path", class_="band")
    assert points(band) == [(0, 400), (1000, 300), (1000, 500), (0, 600)]
    assert root.find("path", class_="dots")[0].attributes["d"] == "M0,500h0 M1000,400h0"
    without = draw(Series(Html("a"), "validation", [1, 2], [5.0, 6.0], [None, None], [None, None]))
    assert not without.find("path", class_="band")


def test_a_series_without_a_value_is_left_out() -> None:
    root = draw(Series(Html("a"), "train", [1, 2], [1.0, 2.0]), Series(Html("b"), "validation", [1, 2], [None, None]))
    assert len(root.find("path", class_="line")) == 1 and len(root.find("li", class_="series")) == 1


@pytest.mark.parametrize(("place", "is_left"), [(1, False), (9, True)])
def test_a_mark_keeps_its_name_inside(place: float, is_left: bool) -> None:
    root = draw(Series(Html("a"), "train", [0, 10], [1.0, 2.0]), mark=Mark(place, Html("here")))
    assert points(root.find("path", class_="mark")[0])[0][0] == 100 * place
    assert bool(root.find("span", class_="is-left")) == is_left
