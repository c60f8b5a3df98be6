"""English words for dates, times of day, amounts of money and telephone numbers."""

from __future__ import annotations

from typing import Final, NamedTuple

from groundup.spoken.english_numbers import (
    ONES,
    digit_forms,
    number_forms,
    say_digits,
    say_number,
    say_ordinal,
)
from groundup.spoken.form import Form, add_unit, check_choice, check_range, join_styles, keep_distinct, split_words

MONTHS: Final = split_words("january february march april may june july august september october november december")
_MINUTES_PAST: Final = {5: "five", 10: "ten", 15: "quarter", 20: "twenty", 25: "twenty five", 30: "half"}


class Currency(NamedTuple):
    """How amounts of one currency are said."""

    unit: str
    units: str
    cent: str = ""
    cents: str = ""
    slang: str = ""
    """Said instead of the unit for whole amounts of two and more."""


CURRENCIES: Final = {
    "$": Currency("dollar", "dollars", "cent", "cents", "bucks"),
    "£": Currency("pound", "pounds", "penny", "pence", "quid"),
    "€": Currency("euro", "euros", "cent", "cents"),
    "¥": Currency("yuan", "yuan"),
}


def year_forms(year: int) -> tuple[Form, ...]:
    """The ways to say a year: `twenty twenty four`, `two thousand and twenty four`, `nineteen oh five`."""
    check_range("year", year, 1100, 2099)
    century, rest = divmod(year, 100)
    if rest == 0:
        spoken = say_number(year) if year == 2000 else f"{say_number(century)} hundred"
        return (Form("thousands" if year == 2000 else "hundreds", spoken),)
    pairs = Form("pairs", f"{say_number(century)} {say_number(rest) if rest > 9 else f'oh {ONES[rest]}'}")
    if year < 2000:
        return (pairs,)
    thousands = [Form("thousands", say_number(year)), Form("thousands no and", say_number(year, has_and=False))]
    return (*thousands, pairs) if rest < 10 else (pairs, *thousands)


def day_forms(month: int, day: int) -> tuple[Form, ...]:
    """The ways to say a day of the year: `march fifth`, `the fifth of march`."""
    name, nth = MONTHS[check_range("month", month, 1, 12) - 1], say_ordinal(check_range("day", day, 1, 31))
    return (
        Form("month day", f"{name} {nth}"),
        Form("day of month", f"the {nth} of {name}"),
        Form("month the day", f"{name} the {nth}"),
    )


def date_forms(year: int, month: int, day: int) -> tuple[Form, ...]:
    """The ways to say a date; the year follows the day."""
    return tuple(
        Form(join_styles(first.style, second.style), f"{first.spoken} {second.spoken}")
        for first in day_forms(month, day)
        for second in year_forms(year)
    )


def month_forms(year: int, month: int) -> tuple[Form, ...]:
    """The ways to say a month of a year: `march twenty twenty four`."""
    name = MONTHS[check_range("month", month, 1, 12) - 1]
    return tuple(Form(join_styles("month", form.style), f"{name} {form.spoken}") for form in year_forms(year))


def time_forms(hour: int, minute: int, *, is_marked: bool, is_clear: bool = False) -> tuple[Form, ...]:
    """The ways to say a time of day.

    Args:
        hour: 0 to 23; 1 to 12 where the half of the day is not said.
        minute: 0 to 59.
        is_marked: the half of the day is known, so every form says it; the hours 10 to 12 may still go without.
        is_clear: leave out what alone could be a year or a number, such as `twenty twenty four` for 20:24.
    """
    check_range("minute", minute, 0, 59)
    if not is_marked:
        return _unmarked_forms(check_range("hour", hour, 1, 12), minute)
    clock = _say_clock(check_range("hour", hour, 0, 23), minute)
    half = "am" if hour < 12 else "pm"
    forms = [Form("am pm", f"{clock} {half}"), Form("a m", f"{clock} {half[0]} m")]
    # "Quarter to twelve in the morning" is said by nobody.
    relative = [] if minute > 30 and hour in (11, 23) else _relative_forms(hour, minute)
    for part in _parts_of_day(hour):
        if minute or hour not in (0, 12):
            forms.append(Form("part of day", f"{clock} {part}"))
            forms += add_unit(relative, f" {part}", "part of day")
    if minute == 0 and hour in (0, 12):
        forms.append(Form("noon", "noon" if hour else "midnight"))
    if not is_clear and hour > 12 and minute:
        forms.append(Form("24 hours", f"{say_number(hour)} {_say_minutes(minute)}"))
    if not is_clear and 10 <= hour <= 12:
        forms += _unmarked_forms(hour, minute)
    return keep_distinct(forms)


def _unmarked_forms(hour: int, minute: int) -> tuple[Form, ...]:
    relative = _relative_forms(hour, minute)
    return keep_distinct([*([Form("clock", _say_clock(hour, minute))] if minute else []), *relative])


def _say_clock(hour: int, minute: int) -> str:
    name = ONES[hour % 12 or 12]
    return f"{name} {_say_minutes(minute)}" if minute else name


def _say_minutes(minute: int) -> str:
    return f"oh {ONES[minute]}" if minute < 10 else say_number(minute)


def _relative_forms(hour: int, minute: int) -> list[Form]:
    """`three o'clock`, `half past three`, `ten to four`, `seven minutes past three`."""
    this, coming = ONES[hour % 12 or 12], ONES[(hour + 1) % 12 or 12]
    if minute == 0:
        return [Form("o'clock", f"{this} o'clock")]
    if minute <= 30:
        count, link, name = minute, "past", this
    else:
        count, link, name = 60 - minute, "to", coming
    if count not in _MINUTES_PAST:
        unit = "minute" if count == 1 else "minutes"
        return [Form(f"minutes {link}", f"{say_number(count)} {unit} {link} {name}")]
    style = {15: f"quarter {link}", 30: "half past"}.get(count, link)
    forms = [Form(style, f"{_MINUTES_PAST[count]} {link} {name}")]
    if count == 15:
        forms.append(Form(f"a quarter {link}", f"a quarter {link} {name}"))
    return forms


def _parts_of_day(hour: int) -> tuple[str, ...]:
    if hour == 0:
        return ("at night",)
    if hour < 12:
        return ("in the morning",)
    if hour < 18:
        return ("in the afternoon", "in the evening") if hour == 17 else ("in the afternoon",)
    if hour < 23:
        return ("in the evening", "at night") if hour > 20 else ("in the evening",)
    return ("at night",)


def money_forms(sign: str, amount: int) -> tuple[Form, ...]:
    """The ways to say an amount in hundredths of the currency with this sign."""
    currency = CURRENCIES[check_choice("money", sign, CURRENCIES)]
    whole, cents = divmod(check_range("money", amount, 1, 10**14), 100)
    unit = f" {currency.unit if whole == 1 else currency.units}"
    if not cents:
        forms = add_unit(number_forms(whole), unit)
        if whole == 1 and currency.unit != "yuan":
            forms.append(Form("a unit", f"a{unit}"))
        if whole > 1 and currency.slang:
            forms += add_unit(number_forms(whole)[:1], f" {currency.slang}", "slang")
        return keep_distinct(forms)
    if not currency.cents:
        places = say_digits(f"{cents:02}".rstrip("0"))
        return (Form("point unit", f"{say_number(whole)} point {places} {currency.units}"),)
    small = f"{say_number(cents)} {currency.cent if cents == 1 else currency.cents}"
    if not whole:
        return _cent_forms(sign, cents, small)
    head = say_number(whole) + unit
    forms = [Form("and cents", f"{head} and {small}"), Form("cents", f"{head} {small}")]
    if cents > 9:
        forms.append(Form("bare cents", f"{head} {say_number(cents)}"))
    return tuple(forms)


def _cent_forms(sign: str, cents: int, small: str) -> tuple[Form, ...]:
    if sign == "€":
        return (Form("only cents", f"{say_number(cents)} euro {'cent' if cents == 1 else 'cents'}"),)
    forms = [Form("only cents", small)]
    if sign == "£":
        forms.append(Form("p", f"{say_number(cents)} p"))
    return tuple(forms)


def write_phone(digits: str) -> str:
    """`2125550142` as `212-555-0142`, `5550142` as `555-0142`."""
    parts = [digits[:-7], digits[-7:-4], digits[-4:]]
    return "-".join(part for part in parts if part)


def phone_forms(written: str) -> tuple[Form, ...]:
    """The ways to say a telephone number."""
    return digit_forms(written.replace("-", ""))
