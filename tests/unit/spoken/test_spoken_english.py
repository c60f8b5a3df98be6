"""English words against num2words, against hand-written tables, and read back by an independent reader."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from num2words import num2words
from spoken_english import (
    read_code,
    read_date,
    read_decimal,
    read_digits,
    read_money,
    read_number,
    read_ordinal,
    read_percent,
    read_time,
    write_nth,
)

from groundup.errors import ConfigError
from groundup.spoken.draws import write_amount, write_clock
from groundup.spoken.english_numbers import (
    decimal_forms,
    digit_forms,
    number_forms,
    ordinal_forms,
    percent_forms,
    say_number,
    say_ordinal,
    write_ordinal,
)
from groundup.spoken.english_values import (
    date_forms,
    day_forms,
    money_forms,
    month_forms,
    phone_forms,
    time_forms,
    write_phone,
    year_forms,
)

EDGES = [
    *range(2100),
    9999,
    10_000,
    10_001,
    10_010,
    10_100,
    11_000,
    99_999,
    100_000,
    100_001,
    100_500,
    110_000,
    999_999,
]
EDGES += [
    10**6,
    10**6 + 1,
    10**6 + 100,
    1_001_000,
    1_100_000,
    10**7,
    10**8,
    10**8 + 5,
    10**9,
    2 * 10**9 + 5,
    10**12 - 1,
]


def _spoken(forms: tuple) -> list[str]:
    return [form.spoken for form in forms]


def _reference(number: int, to: str = "cardinal") -> str:
    return num2words(number, to=to).replace(",", "").replace("-", " ")


@pytest.mark.parametrize("say, to", [(say_number, "cardinal"), (say_ordinal, "ordinal")])
def test_numbers_are_said_as_num2words_says_them(say, to) -> None:
    differing = [number for number in EDGES[1:] if say(number) != _reference(number, to)]
    assert differing == []
    assert say_number(0) == "zero"


@given(st.integers(0, 10**12 - 1))
def test_any_number_agrees_with_num2words(number: int) -> None:
    assert say_number(number) == _reference(number)


@given(st.integers(1, 10**12 - 1))
def test_any_ordinal_agrees_with_num2words(number: int) -> None:
    assert say_ordinal(number) == _reference(number, "ordinal")
    assert write_ordinal(number) == num2words(number, to="ordinal_num")
    assert [write_nth(spoken) for spoken in _spoken(ordinal_forms(number))] == [write_ordinal(number)] * len(
        ordinal_forms(number)
    )
    assert {read_ordinal(spoken) for spoken in _spoken(ordinal_forms(number))} == {number}


ROUND = st.builds(lambda head, zeros: head * 10**zeros, st.integers(1, 999), st.integers(0, 8))


@given(st.one_of(st.integers(0, 10**12 - 1), ROUND))
def test_every_form_of_a_number_is_read_back(number: int) -> None:
    assert {read_number(spoken) for spoken in _spoken(number_forms(number))} == {number}


@pytest.mark.parametrize(
    "number, expected",
    [
        (100, ["one hundred", "a hundred"]),
        (305, ["three hundred and five", "three hundred five"]),
        (1000, ["one thousand", "a thousand"]),
        (1005, ["one thousand and five", "one thousand five", "a thousand and five"]),
        (1500, ["one thousand five hundred", "fifteen hundred"]),
        (2000, ["two thousand"]),
        (100_500, ["one hundred thousand five hundred"]),
        (500_000, ["five hundred thousand", "half a million"]),
        (
            2_500_000,
            ["two million five hundred thousand", "two point five million", "two and a half million"],
        ),
    ],
)
def test_people_say_numbers_in_these_ways(number: int, expected: list[str]) -> None:
    assert _spoken(number_forms(number)) == expected


@given(st.text("0123456789", min_size=1, max_size=12))
def test_digits_are_read_back(digits: str) -> None:
    assert {read_digits(spoken) for spoken in _spoken(digit_forms(digits))} == {digits}


def test_rooms_are_read_back() -> None:
    for number in range(100, 10_000):
        assert {read_code(spoken) for spoken in _spoken(digit_forms(str(number), has_pairs=True))} == {str(number)}


def test_people_call_rooms_in_these_ways() -> None:
    assert _spoken(digit_forms("305", has_pairs=True)) == ["three zero five", "three oh five"]
    assert "twelve hundred" in _spoken(digit_forms("1200", has_pairs=True))
    assert "five triple oh" in _spoken(digit_forms("5000")) and "twelve oh four" not in _spoken(digit_forms("1204"))


@given(st.integers(0, 999), st.text("0123456789", min_size=1, max_size=3))
def test_decimals_and_percentages_are_read_back(whole: int, places: str) -> None:
    decimal = f"{whole}.{places}"
    assert {read_decimal(spoken) for spoken in _spoken(decimal_forms(decimal))} == {decimal}
    assert {read_percent(spoken) for spoken in _spoken(percent_forms(decimal))} == {f"{decimal}%"}


def test_every_time_of_the_day_is_read_back() -> None:
    for hour in range(24):
        for minute in range(60):
            for is_clear in (False, True):
                forms = _spoken(time_forms(hour, minute, is_marked=True, is_clear=is_clear))
                assert {read_time(spoken) for spoken in forms} == {f"{hour:02}:{minute:02}"}
                assert len(set(forms)) == len(forms)
            if 1 <= hour <= 9:
                forms = _spoken(time_forms(hour, minute, is_marked=False))
                assert {read_time(spoken) for spoken in forms} == {write_clock(hour, minute, is_marked=False)}


def test_the_reader_can_tell_times_apart() -> None:
    """The control of the test above: another minute, another half of the day are not read as the same."""
    assert read_time("quarter to four") == "3:45" and read_time("quarter past four") == "4:15"
    assert read_time("twelve thirty am") == "00:30" and read_time("twelve thirty pm") == "12:30"
    assert read_time("nine thirty at night") == "21:30" and read_time("two at night") == "02:00"


@pytest.mark.parametrize(
    "hour, minute, is_marked, expected",
    [
        (3, 30, False, ["three thirty", "half past three"]),
        (3, 0, False, ["three o'clock"]),
        (9, 45, False, ["nine forty five", "quarter to ten", "a quarter to ten"]),
        (12, 0, True, ["twelve pm", "twelve p m", "noon", "twelve o'clock"]),
        (15, 0, True, ["three pm", "three p m", "three in the afternoon", "three o'clock in the afternoon"]),
        (
            15,
            5,
            True,
            [
                "three oh five pm",
                "three oh five p m",
                "three oh five in the afternoon",
                "five past three in the afternoon",
                "fifteen oh five",
            ],
        ),
    ],
)
def test_people_tell_the_time_in_these_ways(hour: int, minute: int, is_marked: bool, expected: list[str]) -> None:
    assert _spoken(time_forms(hour, minute, is_marked=is_marked)) == expected


@given(st.dates(datetime.date(1100, 1, 1), datetime.date(2099, 12, 31)))
def test_dates_are_read_back(date: datetime.date) -> None:
    assert {read_date(spoken) for spoken in _spoken(date_forms(date.year, date.month, date.day))} == {date.isoformat()}
    assert {read_date(spoken) for spoken in _spoken(day_forms(date.month, date.day))} == {f"{date:%m-%d}"}
    month = f"{date.year}-{date.month:02}"
    assert {read_date(spoken) for spoken in _spoken(month_forms(date.year, date.month))} == {month}


def test_every_year_is_read_back() -> None:
    for year in range(1100, 2100):
        assert {read_date(spoken) for spoken in _spoken(year_forms(year))} == {str(year)}


@pytest.mark.parametrize(
    "year, expected",
    [
        (1900, ["nineteen hundred"]),
        (1905, ["nineteen oh five"]),
        (1998, ["nineteen ninety eight"]),
        (2000, ["two thousand"]),
        (2005, ["two thousand and five", "two thousand five", "twenty oh five"]),
        (2024, ["twenty twenty four", "two thousand and twenty four", "two thousand twenty four"]),
    ],
)
def test_people_say_years_in_these_ways(year: int, expected: list[str]) -> None:
    assert _spoken(year_forms(year)) == expected


@given(st.sampled_from("$£€¥"), st.one_of(st.integers(1, 20_000), ROUND.map(lambda units: units * 100)))
def test_money_is_read_back(sign: str, amount: int) -> None:
    written = write_amount(sign, amount)
    assert {read_money(spoken) for spoken in _spoken(money_forms(sign, amount))} == {written}


@pytest.mark.parametrize(
    "sign, amount, written, canonical",
    [
        ("$", 30500, "$305", "three hundred and five dollars"),
        ("$", 100, "$1", "one dollar"),
        ("$", 350, "$3.50", "three dollars and fifty cents"),
        ("$", 101, "$1.01", "one dollar and one cent"),
        ("£", 5, "£0.05", "five pence"),
        ("£", 1, "£0.01", "one penny"),
        ("€", 50, "€0.50", "fifty euro cents"),
        ("€", 12000, "€120", "one hundred and twenty euros"),
        ("¥", 350, "¥3.50", "three point five yuan"),
    ],
)
def test_money_is_said_in_these_words(sign: str, amount: int, written: str, canonical: str) -> None:
    assert (write_amount(sign, amount), money_forms(sign, amount)[0].spoken) == (written, canonical)


def test_telephone_numbers_are_grouped() -> None:
    assert write_phone("2125550142") == "212-555-0142" and write_phone("5550142") == "555-0142"
    assert _spoken(phone_forms("212-555-0142")) == [
        "two one two five five five zero one four two",
        "two one two five five five oh one four two",
        "two one two triple five oh one four two",
    ]


@pytest.mark.parametrize(
    "call",
    [
        lambda: number_forms(-1),
        lambda: number_forms(10**12),
        lambda: ordinal_forms(0),
        lambda: year_forms(2100),
        lambda: day_forms(13, 1),
        lambda: time_forms(24, 0, is_marked=True),
        lambda: time_forms(13, 0, is_marked=False),
        lambda: time_forms(3, 60, is_marked=False),
        lambda: money_forms("$", 0),
        lambda: money_forms("kr", 100),
        lambda: digit_forms("12a"),
        lambda: digit_forms("１２"),
        lambda: decimal_forms("3,5"),
    ],
)
def test_what_has_no_words_is_one_error(call) -> None:
    with pytest.raises(ConfigError, match=r"^spoken\.\w+: .+, got "):
        call()
