"""Chinese words for dates, times of day, amounts of money and telephone numbers."""

from __future__ import annotations

from typing import Final, NamedTuple

from groundup.spoken.chinese_numbers import (
    DIGITS,
    decimal_forms,
    digit_forms,
    number_forms,
    say_count,
    say_number,
)
from groundup.spoken.form import Form, add_unit, check_choice, check_digits, check_range, join_styles, keep_distinct


class Currency(NamedTuple):
    """How amounts of a foreign currency are said."""

    unit: str
    cent: str
    other_unit: str = ""


FOREIGN: Final = {
    "$": Currency("美元", "美分", "美金"),
    "£": Currency("英镑", "便士"),
    "€": Currency("欧元", "欧分"),
}


def year_forms(year: int) -> tuple[Form, ...]:
    """The ways to say a year: 二〇二四年, 二零二四年; 两千零八年."""
    check_range("year", year, 1100, 2099)
    words = "".join(DIGITS[int(digit)] for digit in str(year))
    forms = [Form("year", f"{words.replace('零', '〇')}年"), Form("ling", f"{words}年")]
    if 2001 <= year <= 2009:
        forms.append(Form("thousands", f"{say_number(year)}年"))
    return keep_distinct(forms)


def day_forms(month: int, day: int) -> tuple[Form, ...]:
    """The ways to say a day of the year: 三月五号, 三月五日."""
    name = f"{_say_month(month)}{say_number(check_range('day', day, 1, 31))}"
    return (Form("hao", f"{name}号"), Form("ri", f"{name}日"))


def date_forms(year: int, month: int, day: int) -> tuple[Form, ...]:
    """The ways to say a date."""
    return tuple(
        Form(join_styles(first.style, second.style), first.spoken + second.spoken)
        for first in year_forms(year)
        for second in day_forms(month, day)
    )


def month_forms(year: int, month: int) -> tuple[Form, ...]:
    """The ways to say a month of a year: 二〇二四年三月."""
    name = _say_month(month)
    forms = [Form(join_styles("month", form.style), form.spoken + name) for form in year_forms(year)]
    return (*forms, *add_unit(forms[:1], "份", "fen"))


def _say_month(month: int) -> str:
    return f"{say_number(check_range('month', month, 1, 12))}月"


def time_forms(hour: int, minute: int, *, is_marked: bool, is_clear: bool = False) -> tuple[Form, ...]:
    """The ways to say a time of day.

    Args:
        hour: 0 to 23; 1 to 12 where the half of the day is not said.
        minute: 0 to 59.
        is_marked: the half of the day is known, so every form says it; the hours 10 to 12 may still go without.
        is_clear: every form begins with the part of the day; others could be decimals where nothing else is said.
    """
    check_range("minute", minute, 0, 59)
    if not is_marked:
        return (*_clock_forms(check_range("hour", hour, 1, 12), minute), *_before_forms(hour, minute))
    check_range("hour", hour, 0, 23)
    forms: list[Form] = []
    for number, part in enumerate(_parts_of_day(hour)):
        name = 0 if part == "凌晨" and hour == 0 else hour % 12 or 12
        style = "other part" if number else ""
        forms += [Form(join_styles(form.style, style), part + form.spoken) for form in _clock_forms(name, minute)]
        if minute > 30 and part in _parts_of_day(hour + 1):
            forms += [
                Form(join_styles(form.style, style), part + form.spoken) for form in _before_forms(hour % 12, minute)
            ]
    if not is_clear and hour > 12:
        forms += [Form(join_styles(form.style, "24 hours"), form.spoken) for form in _clock_forms(hour, minute)]
    if not is_clear and 10 <= hour <= 12:
        forms += [Form(join_styles(form.style, "no part"), form.spoken) for form in _clock_forms(hour, minute)]
    return keep_distinct(forms)


def _clock_forms(hour: int, minute: int) -> tuple[Form, ...]:
    """三点; 三点半, 三点三十分, 三点三十; 三点一刻; 三点零五分, 三点零五, 三点五分."""
    name = f"{say_count(hour)}点"
    if minute == 0:
        forms = (Form("hour", name), Form("sharp", f"{name}整"), Form("zhong", f"{name}钟"))
        return forms if 0 < hour < 13 else forms[:2]
    words = f"零{DIGITS[minute]}" if minute < 10 else say_number(minute)
    forms = [Form("minutes", f"{name}{words}分")]
    if minute != 10:
        forms.append(Form("no fen", name + words))
    if minute < 10:
        forms.append(Form("no ling", f"{name}{DIGITS[minute] if minute != 2 else '两'}分"))
    if minute == 30:
        forms.insert(0, Form("half", f"{name}半"))
    if minute in (15, 45):
        forms.append(Form("quarter", f"{name}{'一' if minute == 15 else '三'}刻"))
    return tuple(forms)


def _before_forms(hour: int, minute: int) -> list[Form]:
    """差五分四点, 差一刻四点: said of few minutes before an hour, never of those before one o'clock."""
    left = 60 - minute
    if left not in (1, 2, 3, 5, 10, 15) or hour in (0, 12):
        return []
    before = "一刻" if left == 15 else f"{say_count(left)}分"
    return [Form("before", f"差{before}{say_count(hour + 1)}点")]


def _parts_of_day(hour: int) -> tuple[str, ...]:
    """The words for the part of the day, the canonical one first."""
    if hour < 6:
        return ("凌晨", "半夜") if hour < 4 else ("凌晨", "清晨")[: 1 + hour // 5]
    if hour < 12:
        return ("早上", "早晨") if hour < 9 else ("上午", "早上")
    if hour < 13:
        return ("中午",)
    if hour < 18:
        return ("下午", "中午") if hour == 13 else ("下午", "傍晚")[: 1 + hour // 17]
    return ("晚上", "夜里") if 21 < hour < 24 else ("晚上",)


def money_forms(sign: str, amount: int) -> tuple[Form, ...]:
    """The ways to say an amount in hundredths of the currency with this sign."""
    whole, cents = divmod(check_range("money", amount, 1, 10**14), 100)
    if check_choice("money", sign, ("¥", *FOREIGN)) == "¥":
        return _yuan_forms(whole, cents)
    currency = FOREIGN[sign]
    numbers = number_forms(whole, is_count=True) if not cents else decimal_forms(_decimal(whole, cents))
    forms = add_unit(numbers, currency.unit)
    if currency.other_unit:
        forms += add_unit(numbers[:1], currency.other_unit, "other unit")
    if cents:
        head = f"{say_count(whole)}{currency.unit}" if whole else ""
        forms.append(Form("cents", f"{head}{say_count(cents)}{currency.cent}"))
    return keep_distinct(forms)


def _decimal(whole: int, cents: int) -> str:
    return f"{whole}.{cents:02}".rstrip("0")


def _yuan_forms(whole: int, cents: int) -> tuple[Form, ...]:
    numbers = number_forms(whole, is_count=True)
    if not cents:
        bare = add_unit(numbers, "元")
        return keep_distinct([*bare, *add_unit(numbers, "块", "kuai"), *add_unit(numbers[:1], "块钱", "kuai qian")])
    jiao, fen = divmod(cents, 10)
    if not whole:
        return _small_forms(jiao, fen)
    head, tenth, last = numbers[0].spoken, DIGITS[jiao], DIGITS[fen]
    point = Form("point unit", f"{decimal_forms(_decimal(whole, cents))[0].spoken}元")
    if not fen:
        forms = [
            Form("jiao", f"{head}元{tenth}角"),
            Form("kuai", f"{head}块{tenth}"),
            Form("kuai mao", f"{head}块{tenth}毛"),
        ]
    elif not jiao:
        forms = [Form("fen", f"{head}元零{last}分"), Form("kuai fen", f"{head}块零{last}分")]
    else:
        forms = [Form("jiao fen", f"{head}元{tenth}角{last}分"), Form("kuai mao", f"{head}块{tenth}毛{last}")]
    return (*forms, point)


def _small_forms(jiao: int, fen: int) -> tuple[Form, ...]:
    """Less than one yuan: 五角, 五毛, 五毛钱; 五分钱; 五角五分, 五毛五."""
    if not fen:
        count = say_count(jiao)
        return (Form("only jiao", f"{count}角"), Form("mao", f"{count}毛"), Form("mao qian", f"{count}毛钱"))
    if not jiao:
        return (Form("only fen", f"{say_count(fen)}分钱"),)
    tenth, last = say_count(jiao), DIGITS[fen]
    return (Form("only jiao fen", f"{tenth}角{last}分"), Form("mao", f"{tenth}毛{last}"))


def write_phone(digits: str) -> str:
    """Mobile numbers without a hyphen; others with one after the area code, and `400-820-8820`."""
    check_digits("phone", digits)
    if len(digits) == 10:
        return f"{digits[:3]}-{digits[3:6]}-{digits[6:]}"
    if not digits.startswith("0"):
        return digits
    code = 3 if digits[1] in "12" else 4
    return f"{digits[:code]}-{digits[code:]}"


def phone_forms(written: str) -> tuple[Form, ...]:
    """The ways to say a telephone number."""
    return digit_forms(written.replace("-", ""))
