"""The slots of carriers: which values they take, and how a language writes and says them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Final, NamedTuple

from groundup.spoken import chinese_numbers, chinese_values, english_numbers, english_values
from groundup.spoken.dice import Dice
from groundup.spoken.draws import (
    draw_amount,
    draw_clock,
    draw_date,
    draw_day,
    draw_decimal,
    draw_digits,
    draw_fortune,
    draw_number,
    draw_percent,
    draw_price,
    draw_round,
    draw_year,
    write_amount,
    write_clock,
)
from groundup.spoken.form import Form, Kind, Language, Value, split_words

Draw = Callable[[Dice], Value]
Say = Callable[..., tuple[Form, ...]]

_MOBILE: Final = "3456789"
_AREA_CODES: Final = split_words("010 021 020 022 023 025 027 028 029")
_LONG_AREA_CODES: Final = split_words("0571 0512 0755 0411 0532 0871 0592 0731 0451 0891")


class Slot(NamedTuple):
    """A place for a value in a carrier; a `datetime` has two parts, drawn one after the other."""

    kind: Kind
    parts: tuple[Draw, ...]
    joiner: str = ""
    """What is said between the parts."""


class _Voice(NamedTuple):
    """All that the slots of one language need of it."""

    number: Say
    count: Say
    """The same before what is counted."""
    code: Say
    room: Say
    ordinal: Say
    decimal: Say
    percent: Say
    money: Say
    date: Say
    day: Say
    month: Say
    year: Say
    time: Say
    phone: Say
    write_ordinal: Callable[[int], str]
    write_year: Callable[[int], str]
    draw_phone: Callable[[Dice], str]
    signs: str
    """Signs of currencies, each as often as it is drawn."""
    joiner: str
    """What is said between a date and a time."""


@cache
def slots_of(language: Language) -> Mapping[str, Slot]:
    """The slots of a language by name."""
    voice = {"en": _english, "zh": _chinese}[language]()
    price, amount, fortune = (partial(_money, voice, draw) for draw in (draw_price, draw_amount, draw_fortune))
    date, day = partial(_date, voice), partial(_day, voice)
    time = partial(_time, voice, (6, 22))
    slots: dict[str, tuple[Kind, Draw]] = {
        "number": ("number", partial(_number, voice.number, 10, 500_000_000)),
        "few": ("number", partial(_number, voice.count, 2, 20)),
        "count": ("number", partial(_number, voice.count, 2, 999)),
        "many": ("number", partial(_number, voice.count, 1000, 999_999)),
        "huge": ("number", partial(_round, voice.count, 1_000_000, 500_000_000)),
        "code": ("digits", partial(_digits, voice.code, 4, 6, 0)),
        "room": ("digits", partial(_digits, voice.room, 3, 4, 1)),
        "bus": ("digits", partial(_digits, voice.room, 3, 3, 1)),
        "nth": ("ordinal", partial(_nth, voice, 999)),
        "low_nth": ("ordinal", partial(_nth, voice, 40)),
        "small_nth": ("ordinal", partial(_nth, voice, 20)),
        "decimal": ("decimal", partial(_decimal, voice, 100)),
        "low_decimal": ("decimal", partial(_decimal, voice, 10)),
        "percent": ("percent", partial(_percent, voice)),
        "price": ("money", price),
        "amount": ("money", amount),
        "fortune": ("money", fortune),
        "money": ("money", partial(_any_of, (price, price, amount, amount, fortune))),
        "date": ("date", date),
        "day": ("date", day),
        "month": ("date", partial(_month, voice)),
        "year": ("date", partial(_year, voice, 1950)),
        "any_year": ("date", partial(_year, voice, 1700)),
        "time": ("time", time),
        "any_time": ("time", partial(_time, voice, (0, 23))),
        "clear_time": ("time", partial(_clock, voice, (0, 23), is_clear=True)),
        "phone": ("phone", partial(_phone, voice)),
    }
    if language == "zh":
        slots["pay"] = ("number", partial(_round, partial(voice.number, may_end_short=True), 1000, 50_000))
    moment = Slot("datetime", (partial(_any_of, (date, date, day)), time), voice.joiner)
    return {name: Slot(kind, (draw,)) for name, (kind, draw) in slots.items()} | {"moment": moment}


def _english() -> _Voice:
    numbers, values = english_numbers, english_values
    return _Voice(
        number=numbers.number_forms,
        count=numbers.number_forms,
        code=numbers.digit_forms,
        room=partial(numbers.digit_forms, has_pairs=True),
        ordinal=numbers.ordinal_forms,
        decimal=numbers.decimal_forms,
        percent=numbers.percent_forms,
        money=values.money_forms,
        date=values.date_forms,
        day=values.day_forms,
        month=values.month_forms,
        year=values.year_forms,
        time=values.time_forms,
        phone=values.phone_forms,
        write_ordinal=numbers.write_ordinal,
        write_year=str,
        draw_phone=_draw_english_phone,
        signs="$$$$$££€€¥",
        joiner=" at ",
    )


def _chinese() -> _Voice:
    numbers, values = chinese_numbers, chinese_values
    return _Voice(
        number=numbers.number_forms,
        count=partial(numbers.number_forms, is_count=True),
        code=numbers.digit_forms,
        room=partial(numbers.digit_forms, has_cardinal=True),
        ordinal=numbers.ordinal_forms,
        decimal=numbers.decimal_forms,
        percent=numbers.percent_forms,
        money=values.money_forms,
        date=values.date_forms,
        day=values.day_forms,
        month=values.month_forms,
        year=values.year_forms,
        time=values.time_forms,
        phone=values.phone_forms,
        write_ordinal="第{}".format,
        write_year="{}年".format,
        draw_phone=_draw_chinese_phone,
        signs="¥¥¥¥¥¥¥$$$€£",
        joiner="",
    )


def _number(say: Say, low: int, high: int, dice: Dice) -> Value:
    number = draw_number(dice, low, high)
    return Value(str(number), partial(say, number))


def _round(say: Say, low: int, high: int, dice: Dice) -> Value:
    number = draw_round(dice, low, high)
    return Value(str(number), partial(say, number))


def _digits(say: Say, low: int, high: int, first: int, dice: Dice) -> Value:
    digits = draw_digits(dice, low, high, first=first)
    return Value(digits, partial(say, digits))


def _nth(voice: _Voice, high: int, dice: Dice) -> Value:
    number = dice.between(1, high) if dice.chance(40) else draw_number(dice, 1, high)
    return Value(voice.write_ordinal(number), partial(voice.ordinal, number))


def _decimal(voice: _Voice, high: int, dice: Dice) -> Value:
    decimal = draw_decimal(dice, high, 2)
    return Value(decimal, partial(voice.decimal, decimal))


def _percent(voice: _Voice, dice: Dice) -> Value:
    decimal = draw_percent(dice)
    return Value(f"{decimal}%", partial(voice.percent, decimal))


def _money(voice: _Voice, draw: Callable[[Dice], int], dice: Dice) -> Value:
    sign, amount = dice.settle("currency", voice.signs), draw(dice)
    return Value(write_amount(sign, amount), partial(voice.money, sign, amount))


def _any_of(draws: tuple[Draw, ...], dice: Dice) -> Value:
    return dice.pick(draws)(dice)


def _date(voice: _Voice, dice: Dice) -> Value:
    date = draw_date(dice)
    return Value(date.isoformat(), partial(voice.date, date.year, date.month, date.day))


def _day(voice: _Voice, dice: Dice) -> Value:
    day = draw_day(dice)
    return Value(f"{day:%m-%d}", partial(voice.day, day.month, day.day))


def _month(voice: _Voice, dice: Dice) -> Value:
    year, month = draw_year(dice, 1950), dice.between(1, 12)
    return Value(f"{year}-{month:02}", partial(voice.month, year, month))


def _year(voice: _Voice, first: int, dice: Dice) -> Value:
    year = draw_year(dice, first)
    return Value(voice.write_year(year), partial(voice.year, year))


def _time(voice: _Voice, hours: tuple[int, int], dice: Dice) -> Value:
    """Two thirds with the half of the day; the hours of the others are those that are written differently then."""
    return _clock(voice, hours, dice) if dice.chance(65) else _clock(voice, (1, 9), dice, is_marked=False)


def _clock(
    voice: _Voice, hours: tuple[int, int], dice: Dice, *, is_marked: bool = True, is_clear: bool = False
) -> Value:
    hour, minute = draw_clock(dice, *hours)
    say = partial(voice.time, hour, minute, is_marked=is_marked, is_clear=is_clear)
    return Value(write_clock(hour, minute, is_marked=is_marked), say)


def _phone(voice: _Voice, dice: Dice) -> Value:
    written = voice.draw_phone(dice)
    return Value(written, partial(voice.phone, written))


def _draw_english_phone(dice: Dice) -> str:
    length = 10 if dice.chance(70) else 7
    return english_values.write_phone(draw_digits(dice, length, length, first=2))


def _draw_chinese_phone(dice: Dice) -> str:
    """Mobile numbers mostly; service numbers; landlines with an area code of three or four digits."""
    shape = dice.below(10)
    if shape < 6:
        digits = f"1{dice.pick(_MOBILE)}{draw_digits(dice, 9, 9)}"
    elif shape < 7:
        digits = f"400{draw_digits(dice, 7, 7, first=1)}"
    else:
        code = dice.pick(_AREA_CODES if shape < 9 else _LONG_AREA_CODES)
        digits = code + draw_digits(dice, 8, 8, first=2)
    return chinese_values.write_phone(digits)
