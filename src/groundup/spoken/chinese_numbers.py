"""Chinese number words, from digits as people say them: cardinals, ordinals, digit strings, decimals, percentages."""

from __future__ import annotations

from typing import Final

from groundup.spoken.form import Form, add_unit, check_digits, check_range, keep_distinct

MOST: Final = 10**12 - 1
DIGITS: Final = "零一二三四五六七八九"
_UNITS: Final = ("", "十", "百", "千")
_SECTIONS: Final = ("", "万", "亿")
_YI_AS_YAO: Final = str.maketrans("一", "幺")


def say_number(number: int) -> str:
    """A whole number in words: 12500 is 一万两千五百.

    A section of four digits is followed by 万 or 亿; zeros at a section's end are silent, others are one 零 together.
    两 stands before 百 and 千 and as a whole section, 二 elsewhere; a leading 一十 is 十.
    """
    check_range("number", number, 0, MOST)
    if number == 0:
        return DIGITS[0]
    words = ""
    is_gap = False
    for place in range(len(_SECTIONS) - 1, -1, -1):
        section = number // 10_000**place % 10_000
        if section == 0:
            is_gap = bool(words)
            continue
        if words and (is_gap or section < 1000):
            words += DIGITS[0]
        words += ("两" if section == 2 and place else _say_section(section)) + _SECTIONS[place]
        is_gap = False
    return words.removeprefix("一") if words.startswith("一十") else words


def _say_section(section: int) -> str:
    words = ""
    is_gap = False
    for place in range(3, -1, -1):
        digit = section // 10**place % 10
        if digit == 0:
            is_gap = bool(words)
            continue
        words += (DIGITS[0] if is_gap else "") + ("两" if digit == 2 and place > 1 else DIGITS[digit]) + _UNITS[place]
        is_gap = False
    return words


def say_count(number: int) -> str:
    """A number as it stands before what is counted: 2 is 两."""
    return "两" if number == 2 else say_number(number)


def number_forms(number: int, *, is_count: bool = False, may_end_short: bool = False) -> tuple[Form, ...]:
    """The ways to say a cardinal.

    Args:
        number: what is said.
        is_count: something counted follows.
        may_end_short: nothing counted follows, so 3500 may be 三千五.
    """
    canonical = say_count(number) if is_count else say_number(number)
    forms = [Form("cardinal", canonical)]
    if number >= 200:
        forms.append(Form("er", canonical.replace("两百", "二百").replace("两千", "二千")))
    if number >= 110 and "百一十" in canonical:
        forms.append(Form("short ten", canonical.replace("百一十", "百十")))
    if number >= 1010 and "零一十" in canonical:
        forms.append(Form("short ten", canonical.replace("零一十", "零十")))
    forms += _ten_thousands_forms(number)
    if may_end_short:
        forms += _short_end_forms(number)
    return keep_distinct(forms)


def _ten_thousands_forms(number: int) -> list[Form]:
    """35000 as 三点五万, 120000000 as 一点二亿: up to two decimals, of which the last is not zero."""
    for size, name in ((10**8, "亿"), (10**4, "万")):
        if number > size and number % size and number % (size // 100) == 0:
            whole, hundredths = divmod(number // (size // 100), 100)
            return [Form("point wan", _say_point(str(whole), f"{hundredths:02}".rstrip("0")) + name)]
        if number > size:
            return []
    return []


def _short_end_forms(number: int) -> list[Form]:
    """3500 as 三千五; not 250, which is an insult."""
    digits = str(number)
    if not 3 <= len(digits) <= 5 or "0" in digits[:2] or digits[2:].strip("0") or number == 250:
        return []
    return [Form("short end", say_number(int(digits[0]) * 10 ** (len(digits) - 1)) + DIGITS[int(digits[1])])]


def ordinal_forms(number: int) -> tuple[Form, ...]:
    """The ways to say an ordinal: 第二十一; 第二百零三 rather than 第两百零三."""
    check_range("ordinal", number, 1, 9999)
    forms = number_forms(number)
    formal = [form for form in forms if form.style == "er"]
    return tuple(Form(form.style, f"第{form.spoken}") for form in keep_distinct([*formal, *forms]))


def say_digits(digits: str, *, has_yao: bool = True) -> str:
    """Digit by digit, the ones as 幺 where `has_yao`."""
    words = "".join(DIGITS[int(digit)] for digit in check_digits("digits", digits))
    return words.translate(_YI_AS_YAO) if has_yao else words


def digit_forms(digits: str, *, has_cardinal: bool = False) -> tuple[Form, ...]:
    """The ways to say a string of digits; with `has_cardinal` three of them also as a room or a bus: 三百零五."""
    forms = [Form("digits", say_digits(digits)), Form("yi", say_digits(digits, has_yao=False))]
    if has_cardinal and len(digits) == 3 and not digits.startswith("0"):
        forms.append(Form("room", say_number(int(digits))))
    return keep_distinct(forms)


def _say_point(whole: str, places: str) -> str:
    return f"{say_number(int(whole))}点{say_digits(places, has_yao=False)}"


def decimal_forms(decimal: str) -> tuple[Form, ...]:
    """The ways to say a decimal such as `3.05`; a whole number is said as a cardinal."""
    whole, point, places = decimal.partition(".")
    check_digits("decimal", whole)
    if not point:
        return number_forms(int(whole))
    forms = [Form("point", _say_point(whole, places))]
    others = [form for form in number_forms(int(whole)) if form.style == "er"]
    return keep_distinct([*forms, *add_unit(others, f"点{say_digits(places, has_yao=False)}")])


def percent_forms(decimal: str) -> tuple[Form, ...]:
    """The ways to say `decimal` percent: 百分之十二点五."""
    forms = [Form(form.style, f"百分之{form.spoken}") for form in decimal_forms(decimal)]
    if decimal == "100":
        forms.insert(0, Form("hundred", "百分之百"))
    return keep_distinct(forms)
