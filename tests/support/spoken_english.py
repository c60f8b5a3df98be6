"""Reads English values from words, by rules of its own: what the grammar says must be read back as it was written."""

from __future__ import annotations

from fractions import Fraction

_UNITS = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
seventeen eighteen nineteen"""
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_MONTHS = "january february march april may june july august september october november december"
UNITS = {word: value for value, word in enumerate(_UNITS.split())}
TENS = {word: 10 * value for value, word in enumerate(_TENS.split(), start=2)}
SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9}
DIGITS = {word: str(value) for word, value in UNITS.items() if value < 10} | {"oh": "0", "nought": "0"}
ORDINALS = {"first": 1, "second": 2, "third": 3, "fifth": 5, "eighth": 8, "ninth": 9, "twelfth": 12}
MONTHS = _MONTHS.split()
PARTS = ("am", "a m", "pm", "p m", "in the morning", "in the afternoon", "in the evening", "at night")
SIGNS = {"dollar": "$", "buck": "$", "pound": "£", "quid": "£", "euro": "€", "yuan": "¥"}


def read_number(text: str) -> int:
    *head, last = text.split()
    if last in SCALES and head == ["half", "a"]:
        return SCALES[last] // 2
    if last in SCALES and head[-3:] == ["and", "a", "half"]:
        return int((read_number(" ".join(head[:-3])) + Fraction(1, 2)) * SCALES[last])
    if last in SCALES and "point" in head:
        product = Fraction(read_decimal(" ".join(head))) * SCALES[last]
        assert product.denominator == 1
        return int(product)
    total, current = 0, 0
    for word in [*head, last]:
        if word in SCALES:
            total, current = total + current * SCALES[word], 0
        elif word == "hundred":
            current *= 100
        elif word == "a":
            current += 1
        elif word != "and":
            current += UNITS[word] if word in UNITS else TENS[word]
    return total + current


def read_ordinal(text: str) -> int:
    *head, last = text.split()
    if last in ORDINALS:
        name = next(word for word, value in UNITS.items() if value == ORDINALS[last])
    elif last.endswith("th"):
        name = f"{last[:-4]}y" if last.endswith("ieth") else last.removesuffix("th")
    else:
        raise KeyError(last)
    return read_number(" ".join([*head, name]))


def read_digits(text: str) -> str:
    words, found = text.split(), ""
    while words:
        word = words.pop(0)
        times = {"double": 2, "triple": 3}.get(word, 0)
        found += DIGITS[words.pop(0)] * times if times else DIGITS[word]
    return found


def read_groups(text: str) -> list[str]:
    """`twelve oh four` as 12 and 04, `twenty twenty four` as 20 and 24."""
    words, found = text.split(), []
    while words:
        word = words.pop(0)
        if word == "hundred":
            found.append("00")
        elif word == "oh":
            found.append("0" + DIGITS[words.pop(0)])
        elif word in TENS and words and UNITS.get(words[0], 0) in range(1, 10):
            found.append(str(TENS[word] + UNITS[words.pop(0)]))
        else:
            found.append(str(TENS.get(word) or UNITS[word]))
    return found


def read_code(text: str) -> str:
    try:
        return read_digits(text)
    except KeyError:
        groups = read_groups(text)
        assert len(groups) == 2 and len(groups[1]) == 2, groups
        return "".join(groups)


def read_decimal(text: str) -> str:
    whole, point, places = f" {text} ".partition(" point ")
    if not point:
        return str(read_number(text))
    head = whole.strip()
    return f"{0 if head in ('', 'oh', 'nought') else read_number(head)}.{read_digits(places)}"


def read_percent(text: str) -> str:
    if text == "half a percent":
        return "0.5%"
    return read_decimal(text.replace("per cent", "percent").removesuffix(" percent")) + "%"


def read_money(text: str) -> str:
    words = text.split()
    if words[-1] in ("cent", "cents") and words[-2] == "euro":
        return f"€0.{read_number(' '.join(words[:-2])):02}"
    place = next((place for place, word in enumerate(words) if word.removesuffix("s") in SIGNS), None)
    if place is None:
        return f"{'$' if words[-1].startswith('cent') else '£'}0.{read_number(' '.join(words[:-1])):02}"
    sign, head, tail = SIGNS[words[place].removesuffix("s")], " ".join(words[:place]), words[place + 1 :]
    if "point" in head and words[place - 1] not in SCALES:
        whole, _, places = read_decimal(head).partition(".")
        return f"{sign}{whole}.{places:0<2}"
    rest = [word for word in tail if word not in ("and", "cent", "cents", "penny", "pence")]
    return f"{sign}{read_number(head)}" + (f".{read_number(' '.join(rest)):02}" if rest else "")


def read_year(text: str) -> int:
    if "thousand" in text:
        return read_number(text)
    century, rest = read_groups(text)
    return int(century) * 100 + int(rest)


def read_date(text: str) -> str:
    words = [word for word in text.split() if word not in ("the", "of")]
    months = [word for word in words if word in MONTHS]
    if not months:
        return str(read_year(text))
    month = MONTHS.index(months[0]) + 1
    words.remove(months[0])
    for size in (2, 1):
        try:
            day = read_ordinal(" ".join(words[:size]))
        except KeyError:
            continue
        year = f"{read_year(' '.join(words[size:]))}-" if words[size:] else ""
        return f"{year}{month:02}-{day:02}"
    return f"{read_year(' '.join(words))}-{month:02}"


def read_time(text: str) -> str:
    if text in ("noon", "midnight"):
        return "12:00" if text == "noon" else "00:00"
    part = next((part for part in PARTS if text.endswith(f" {part}")), "")
    hour, minute = _read_clock(text.removesuffix(part).strip())
    if part and hour > 12:
        raise ValueError(text)
    if part in ("am", "a m", "in the morning"):
        hour %= 12
    elif part == "at night":
        hour = hour % 12 + (12 if 9 <= hour < 12 else 0)
    elif part:
        hour = hour % 12 + 12
    return f"{hour:02}:{minute:02}" if part or hour > 9 else f"{hour}:{minute:02}"


def _read_clock(text: str) -> tuple[int, int]:
    if text.endswith(" o'clock"):
        return UNITS[text.split()[0]], 0
    for link in (" past ", " to "):
        if link in text:
            left, name = text.split(link)
            left = left.removeprefix("a ").replace(" minutes", "").replace(" minute", "")
            count = {"quarter": 15, "half": 30}.get(left) or read_number(left)
            hour = UNITS[name]
            return (hour, count) if link == " past " else ((hour - 2) % 12 + 1, 60 - count)
    groups = read_groups(text)
    return int(groups[0]), int(groups[1]) if len(groups) > 1 else 0


def read_moment(text: str) -> str:
    date, time = text.split(" at ", 1)
    return f"{read_date(date)} {read_time(time)}"


def read_phone(text: str) -> str:
    digits = read_digits(text)
    return "-".join(part for part in (digits[:-7], digits[-7:-4], digits[-4:]) if part)


def write_nth(text: str) -> str:
    number = read_ordinal(text)
    if 10 < number % 100 < 14:
        return f"{number}th"
    return f"{number}{('th', 'st', 'nd', 'rd')[number % 10 if number % 10 < 4 else 0]}"


READERS = {
    "number": lambda text: str(read_number(text)),
    "digits": read_code,
    "ordinal": write_nth,
    "decimal": read_decimal,
    "percent": read_percent,
    "money": read_money,
    "date": read_date,
    "time": read_time,
    "datetime": read_moment,
    "phone": read_phone,
}
