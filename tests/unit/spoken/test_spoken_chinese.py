"""Chinese words against cn2an, against hand-written tables, and read back by an independent reader."""

from __future__ import annotations

import datetime

import cn2an
import pytest
from hypothesis import given
from hypothesis import strategies as st
from spoken_chinese import (
    read_code,
    read_date,
    read_decimal,
    read_money,
    read_number,
    read_percent,
    read_phone,
    read_time,
)

from groundup.errors import ConfigError
from groundup.spoken.chinese_numbers import (
    decimal_forms,
    digit_forms,
    number_forms,
    ordinal_forms,
    percent_forms,
    say_number,
)
from groundup.spoken.chinese_values import (
    date_forms,
    day_forms,
    money_forms,
    month_forms,
    phone_forms,
    time_forms,
    write_phone,
    year_forms,
)
from groundup.spoken.draws import write_amount, write_clock

TABLE = """
0 零 1 一 2 二 3 三 4 四 5 五 6 六 7 七 8 八 9 九 10 十 11 十一 12 十二 13 十三 14 十四 15 十五 16 十六 17 十七
18 十八 19 十九 20 二十 21 二十一 22 二十二 29 二十九 30 三十 42 四十二 50 五十 60 六十 77 七十七 80 八十
90 九十 99 九十九 100 一百 101 一百零一 102 一百零二 109 一百零九 110 一百一十 111 一百一十一 112 一百一十二
119 一百一十九 120 一百二十 122 一百二十二 199 一百九十九 200 两百 201 两百零一 202 两百零二 210 两百一十
212 两百一十二 220 两百二十 222 两百二十二 250 两百五十 305 三百零五 500 五百 999 九百九十九 1000 一千
1001 一千零一 1002 一千零二 1010 一千零一十 1011 一千零一十一 1012 一千零一十二 1020 一千零二十 1100 一千一百
1101 一千一百零一 1110 一千一百一十 1200 一千两百 1234 一千两百三十四 2000 两千 2002 两千零二 2020 两千零二十
2200 两千两百 2222 两千两百二十二 3005 三千零五 3050 三千零五十 3500 三千五百 9999 九千九百九十九 10000 一万
10001 一万零一 10010 一万零一十 10015 一万零一十五 10100 一万零一百 10500 一万零五百 11000 一万一千
12000 一万两千 12345 一万两千三百四十五 20000 两万 20002 两万零二 20200 两万零两百 22000 两万两千
22222 两万两千两百二十二 100000 十万 100001 十万零一 100015 十万零一十五 100500 十万零五百 101000 十万一千
110000 十一万 120000 十二万 200000 二十万 202000 二十万两千 220000 二十二万 350000 三十五万
999999 九十九万九千九百九十九 1000000 一百万 1000500 一百万零五百 1002000 一百万两千 1010000 一百零一万
1100000 一百一十万 2000000 两百万 2020000 两百零二万 10000000 一千万 10001000 一千万一千 10010000 一千零一万
10020000 一千零二万 12000000 一千两百万 20000000 两千万 22220000 两千两百二十二万 100000000 一亿
100000001 一亿零一 100000500 一亿零五百 100005000 一亿零五千 100010000 一亿零一万 100100000 一亿零一十万
101000000 一亿零一百万 110000000 一亿一千万 120000000 一亿两千万 200000000 两亿 350000000 三亿五千万
1000000000 十亿 1200000000 十二亿 2000000000 二十亿 20000000000 两百亿
123456789 一亿两千三百四十五万六千七百八十九
"""
WORDS = TABLE.split()
PAIRS = list(zip(map(int, WORDS[::2]), WORDS[1::2], strict=True))


def _spoken(forms: tuple) -> list[str]:
    return [form.spoken for form in forms]


def test_numbers_are_said_as_in_the_table() -> None:
    assert len(dict(PAIRS)) == len(PAIRS) > 110
    assert [(number, say_number(number)) for number, _ in PAIRS] == PAIRS


def _as_cn2an(number: int) -> str:
    """Its words with 二 where people say 两. It leaves out the 零 of an empty section, so those are not compared."""
    return say_number(number).replace("两", "二")


def _has_empty_section(number: int) -> bool:
    return number >= 10**8 and number // 10**4 % 10**4 == 0


@pytest.mark.parametrize("numbers", [range(1, 12_000), range(12_000, 10**8, 9_973), range(10**8, 10**12, 99_990_001)])
def test_numbers_are_said_as_cn2an_says_them(numbers: range) -> None:
    compared = [number for number in numbers if not _has_empty_section(number)]
    assert len(compared) > 0.9 * len(numbers)
    assert [number for number in compared if _as_cn2an(number) != cn2an.an2cn(number)] == []


@given(st.integers(1, 10**12 - 1))
def test_any_number_agrees_with_cn2an(number: int) -> None:
    if not _has_empty_section(number):
        assert _as_cn2an(number) == cn2an.an2cn(number)
    assert cn2an.cn2an(say_number(number), "smart") == number


ROUND = st.builds(lambda head, zeros: head * 10**zeros, st.integers(1, 999), st.integers(0, 8))


@given(st.one_of(st.integers(0, 10**12 - 1), ROUND), st.booleans(), st.booleans())
def test_every_form_of_a_number_is_read_back(number: int, is_count: bool, may_end_short: bool) -> None:
    forms = _spoken(number_forms(number, is_count=is_count, may_end_short=may_end_short))
    assert {read_number(spoken) for spoken in forms} == {number}


@pytest.mark.parametrize(
    "number, expected",
    [
        (2, ["两"]),
        (12, ["十二"]),
        (110, ["一百一十", "一百十", "一百一"]),
        (200, ["两百", "二百"]),
        (250, ["两百五十", "二百五十"]),
        (1015, ["一千零一十五", "一千零十五"]),
        (1200, ["一千两百", "一千二百", "一千二"]),
        (3005, ["三千零五"]),
        (3500, ["三千五百", "三千五"]),
        (12_000, ["一万两千", "一万二千", "一点二万", "一万二"]),
        (120_000_000, ["一亿两千万", "一亿二千万", "一点二亿"]),
    ],
)
def test_people_say_numbers_in_these_ways(number: int, expected: list[str]) -> None:
    assert _spoken(number_forms(number, is_count=True, may_end_short=True)) == expected


@given(st.integers(1, 9999))
def test_ordinals_are_read_back(number: int) -> None:
    spoken = _spoken(ordinal_forms(number))
    assert all(each.startswith("第") for each in spoken)
    assert {read_number(each[1:]) for each in spoken} == {number}
    assert "两" not in spoken[0]
    assert _spoken(ordinal_forms(203)) == ["第二百零三", "第两百零三"]


@given(st.text("0123456789", min_size=1, max_size=12))
def test_digits_are_read_back(digits: str) -> None:
    assert {read_code(spoken) for spoken in _spoken(digit_forms(digits, has_cardinal=True))} == {digits}


def test_people_call_rooms_in_these_ways() -> None:
    assert _spoken(digit_forms("301", has_cardinal=True)) == ["三零幺", "三零一", "三百零一"]
    assert _spoken(digit_forms("0571")) == ["零五七幺", "零五七一"]


@given(st.integers(0, 999), st.text("0123456789", min_size=1, max_size=3))
def test_decimals_and_percentages_are_read_back(whole: int, places: str) -> None:
    decimal = f"{whole}.{places}"
    assert {read_decimal(spoken) for spoken in _spoken(decimal_forms(decimal))} == {decimal}
    assert {read_percent(spoken) for spoken in _spoken(percent_forms(decimal))} == {f"{decimal}%"}
    assert {read_percent(spoken) for spoken in _spoken(percent_forms(str(whole)))} == {f"{whole}%"}


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
    assert read_time("差一刻四点") == "3:45" and read_time("四点一刻") == "4:15"
    assert read_time("凌晨零点半") == "00:30" and read_time("中午十二点半") == "12:30"
    assert read_time("晚上九点半") == "21:30" and read_time("半夜两点") == "02:00"


@pytest.mark.parametrize(
    "hour, minute, is_marked, expected",
    [
        (3, 0, False, ["三点", "三点整", "三点钟"]),
        (3, 15, False, ["三点十五分", "三点十五", "三点一刻"]),
        (3, 30, False, ["三点半", "三点三十分", "三点三十"]),
        (3, 55, False, ["三点五十五分", "三点五十五", "差五分四点"]),
        (2, 2, False, ["两点零二分", "两点零二", "两点两分"]),
        (15, 0, True, ["下午三点", "下午三点整", "下午三点钟", "十五点", "十五点整"]),
        (12, 0, True, ["中午十二点", "中午十二点整", "中午十二点钟", "十二点", "十二点整", "十二点钟"]),
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
        assert {read_date(spoken) for spoken in _spoken(year_forms(year))} == {f"{year}年"}


def test_people_say_dates_in_these_ways() -> None:
    assert _spoken(year_forms(1998)) == ["一九九八年"]
    assert _spoken(year_forms(2008)) == ["二〇〇八年", "二零零八年", "两千零八年"]
    assert _spoken(date_forms(2024, 3, 5)) == [
        "二〇二四年三月五号",
        "二〇二四年三月五日",
        "二零二四年三月五号",
        "二零二四年三月五日",
    ]


@given(st.sampled_from("$£€¥"), st.one_of(st.integers(1, 20_000), ROUND.map(lambda units: units * 100)))
def test_money_is_read_back(sign: str, amount: int) -> None:
    written = write_amount(sign, amount)
    assert {read_money(spoken) for spoken in _spoken(money_forms(sign, amount))} == {written}


@pytest.mark.parametrize(
    "sign, amount, written, expected",
    [
        ("¥", 350, "¥3.50", ["三元五角", "三块五", "三块五毛", "三点五元"]),
        ("¥", 305, "¥3.05", ["三元零五分", "三块零五分", "三点零五元"]),
        ("¥", 355, "¥3.55", ["三元五角五分", "三块五毛五", "三点五五元"]),
        ("¥", 200, "¥2", ["两元", "两块", "两块钱"]),
        ("¥", 20, "¥0.20", ["两角", "两毛", "两毛钱"]),
        ("¥", 5, "¥0.05", ["五分钱"]),
        ("$", 30500, "$305", ["三百零五美元", "三百零五美金"]),
        ("£", 250, "£2.50", ["二点五英镑", "两英镑五十便士"]),
    ],
)
def test_money_is_said_in_these_words(sign: str, amount: int, written: str, expected: list[str]) -> None:
    assert (write_amount(sign, amount), _spoken(money_forms(sign, amount))) == (written, expected)


@pytest.mark.parametrize(
    "digits, written",
    [
        ("13800138000", "13800138000"),
        ("01062781234", "010-62781234"),
        ("02162781234", "021-62781234"),
        ("057162781234", "0571-62781234"),
        ("4008208820", "400-820-8820"),
    ],
)
def test_telephone_numbers_are_grouped_and_read_back(digits: str, written: str) -> None:
    assert write_phone(digits) == written
    assert {read_phone(spoken) for spoken in _spoken(phone_forms(written))} == {written}


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
        lambda: money_forms("¥", 0),
        lambda: money_forms("kr", 100),
        lambda: digit_forms("12a"),
        lambda: digit_forms("一"),
        lambda: decimal_forms("3,5"),
        lambda: write_phone(""),
    ],
)
def test_what_has_no_words_is_one_error(call) -> None:
    with pytest.raises(ConfigError, match=r"^spoken\.\w+: .+, got "):
        call()
