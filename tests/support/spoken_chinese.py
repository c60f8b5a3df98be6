"""Reads Chinese values from words, by rules of its own: what the grammar says must be read back as it was written."""

from __future__ import annotations

import re
from fractions import Fraction

DIGITS = {char: str(value) for value, char in enumerate("零一二三四五六七八九")} | {"〇": "0", "两": "2", "幺": "1"}
UNITS = {"十": 10, "百": 100, "千": 1000}
SECTIONS = {"万": 10**4, "亿": 10**8}
MORNING = ("凌晨", "半夜", "清晨", "早上", "早晨", "上午")
EVENING = ("下午", "傍晚", "晚上", "夜里")
FOREIGN = {"美元": "$", "美金": "$", "英镑": "£", "欧元": "€"}
CENTS = {"美分": "$", "便士": "£", "欧分": "€"}


def read_number(text: str) -> int:
    if match := re.fullmatch(r"(.+)点(.+)([万亿])", text):
        product = Fraction(f"{read_number(match[1])}.{read_digits(match[2])}") * SECTIONS[match[3]]
        assert product.denominator == 1
        return int(product)
    if match := re.fullmatch(r"(.*?([万千百]))([一二三四五六七八九])", text):
        return read_number(match[1]) + int(DIGITS[match[3]]) * (UNITS | SECTIONS)[match[2]] // 10
    for char in "亿万":
        if char in text:
            head, tail = text.split(char, 1)
            return read_number(head) * SECTIONS[char] + (read_number(tail) if tail else 0)
    total, digit = 0, 0
    for place, char in enumerate(text):
        if char in UNITS:
            assert digit or place == 0 or text[place - 1] in "零百", text
            total, digit = total + (digit or 1) * UNITS[char], 0
        else:
            digit = int(DIGITS[char])
    return total + digit


def read_digits(text: str) -> str:
    return "".join(DIGITS[char] for char in text)


def read_code(text: str) -> str:
    return str(read_number(text)) if set(text) & set(UNITS) else read_digits(text)


def read_decimal(text: str) -> str:
    whole, point, places = text.partition("点")
    return f"{read_number(whole)}.{read_digits(places)}" if point else str(read_number(text))


def read_percent(text: str) -> str:
    rest = text.removeprefix("百分之")
    assert rest != text
    return f"{'100' if rest == '百' else read_decimal(rest)}%"


def _write_money(sign: str, amount: Fraction) -> str:
    units, cents = divmod(amount * 100, 100)
    assert cents.denominator == 1
    return f"{sign}{units}.{int(cents):02}" if cents else f"{sign}{units}"


def _read_amount(text: str) -> Fraction:
    if "点" in text and text[-1] not in SECTIONS:
        return Fraction(read_decimal(text))
    return Fraction(read_number(text))


def read_money(text: str) -> str:
    for cent, sign in CENTS.items():
        if text.endswith(cent):
            unit = next((unit for unit in FOREIGN if unit in text), "")
            head, tail = text.removesuffix(cent).split(unit) if unit else ("", text.removesuffix(cent))
            assert not unit or FOREIGN[unit] == sign
            return _write_money(sign, (read_number(head) if head else 0) + Fraction(read_number(tail), 100))
    for unit, sign in FOREIGN.items():
        if text.endswith(unit):
            return _write_money(sign, _read_amount(text.removesuffix(unit)))
    match = re.fullmatch(r"(?:(.+)[元块])?(?:(.)[角毛])?零?(?:(.)分)?(.)?钱?", text.removesuffix("钱"))
    assert match, text
    tenths, hundredths, last = match[2], match[3], match[4]
    if last:
        tenths, hundredths = (tenths, last) if tenths else (last, hundredths)
    amount = _read_amount(match[1]) if match[1] else Fraction(0)
    amount += Fraction(int(DIGITS[tenths]) if tenths else 0, 10)
    return _write_money("¥", amount + Fraction(int(DIGITS[hundredths]) if hundredths else 0, 100))


def read_date(text: str) -> str:
    match = re.fullmatch(r"(?:(.+)年)?(?:(.+)月份?)?(?:(.+)[号日])?", text)
    assert match, text
    year = "" if not match[1] else str(read_number(match[1])) if "千" in match[1] else read_digits(match[1])
    if not match[2]:
        return f"{year}年"
    return "-".join([*([year] if year else []), *(f"{read_number(part):02}" for part in match.groups()[1:] if part)])


def read_time(text: str) -> str:
    part = next((part for part in (*MORNING, "中午", *EVENING) if text.startswith(part)), "")
    match = re.fullmatch(r"(?:差(.+?)(刻|分))?(.+)点(?:(.)刻|(半)|[整钟]|(.+?)分?)?", text.removeprefix(part))
    assert match, text
    hour, minute = read_number(match[3]), 0
    if match[1]:
        hour, minute = hour - 1, 60 - read_number(match[1]) * (15 if match[2] == "刻" else 1)
    elif match[4]:
        minute = read_number(match[4]) * 15
    elif match[5]:
        minute = 30
    elif match[6]:
        minute = read_number(match[6].removeprefix("零"))
    if part in MORNING:
        hour %= 12
    elif (part == "中午" and hour < 10) or part in EVENING:
        hour += 12
    return f"{hour:02}:{minute:02}" if part or hour > 9 else f"{hour}:{minute:02}"


def read_moment(text: str) -> str:
    end = max(text.rfind("号"), text.rfind("日")) + 1
    return f"{read_date(text[:end])} {read_time(text[end:])}"


def read_phone(text: str) -> str:
    digits = read_digits(text)
    if digits.startswith("1"):
        return digits
    if digits.startswith("400"):
        return f"400-{digits[3:6]}-{digits[6:]}"
    size = 3 if digits[:3] == "010" or digits[:2] == "02" else 4
    return f"{digits[:size]}-{digits[size:]}"


READERS = {
    "number": lambda text: str(read_number(text)),
    "digits": read_code,
    "ordinal": lambda text: f"第{read_number(text.removeprefix('第'))}",
    "decimal": read_decimal,
    "percent": read_percent,
    "money": read_money,
    "date": read_date,
    "time": read_time,
    "datetime": read_moment,
    "phone": read_phone,
}
