"""English number words, from digits as people say them: cardinals, ordinals, digit strings, decimals, percentages."""

from __future__ import annotations

from itertools import groupby
from typing import Final

from groundup.spoken.form import Form, add_unit, check_digits, check_range, keep_distinct, split_words

MOST: Final = 10**12 - 1
ONES: Final = split_words(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
    " eighteen nineteen"
)
TENS: Final = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SCALES: Final = ((10**9, "billion"), (10**6, "million"), (10**3, "thousand"))
_IRREGULAR: Final = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
_REPEATS: Final = {2: "double", 3: "triple"}


def say_number(number: int, *, has_and: bool = True) -> str:
    """A whole number in words: 1005 is `one thousand and five`, or `one thousand five`."""
    check_range("number", number, 0, MOST)
    if number < 100:
        return _say_below_100(number)
    link = " and " if has_and else " "
    if number < 1000:
        hundreds, rest = divmod(number, 100)
        return f"{ONES[hundreds]} hundred" + (link + _say_below_100(rest) if rest else "")
    size, name = next(scale for scale in _SCALES if number >= scale[0])
    count, rest = divmod(number, size)
    head = f"{say_number(count, has_and=has_and)} {name}"
    if not rest:
        return head
    return head + (link if rest < 100 else " ") + say_number(rest, has_and=has_and)


def _say_below_100(number: int) -> str:
    if number < 20:
        return ONES[number]
    tens, ones = divmod(number, 10)
    return TENS[tens] + (f" {ONES[ones]}" if ones else "")


def number_forms(number: int) -> tuple[Form, ...]:
    """The ways to say a cardinal."""
    canonical = say_number(number)
    forms = [Form("cardinal", canonical), Form("no and", say_number(number, has_and=False))]
    hundreds, rest = divmod(number, 100)
    if not rest and 11 <= hundreds <= 99 and hundreds % 10:
        forms.append(Form("hundreds", f"{_say_below_100(hundreds)} hundred"))
    if 100 <= number < 200 or 1000 <= number < 1100 or number in (10**5, 10**6, 10**9):
        forms.append(Form("a hundred", canonical.replace("one ", "a ", 1)))
    if number >= 10**6:
        forms += _million_forms(number)
    if number == 500_000:
        forms.append(Form("and a half", "half a million"))
    return keep_distinct(forms)


def _million_forms(number: int) -> list[Form]:
    size, name = next(scale for scale in _SCALES if number >= scale[0])
    whole, tenths = divmod(number, size)
    if not tenths or tenths % (size // 10):
        return []
    tenths //= size // 10
    forms = [Form("point million", f"{say_number(whole)} point {ONES[tenths]} {name}")]
    if tenths == 5:
        forms.append(Form("and a half", f"{say_number(whole)} and a half {name}"))
    return forms


def write_ordinal(number: int) -> str:
    """`1st`, `2nd`, `3rd`, `4th`, `11th` ..."""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def say_ordinal(number: int, *, has_and: bool = True) -> str:
    """An ordinal in words: 21 is `twenty first`."""
    check_range("ordinal", number, 1, MOST)
    *head, last = say_number(number, has_and=has_and).split(" ")
    if last in _IRREGULAR:
        last = _IRREGULAR[last]
    elif last.endswith("y"):
        last = f"{last[:-1]}ieth"
    else:
        last = f"{last}th"
    return " ".join([*head, last])


def ordinal_forms(number: int) -> tuple[Form, ...]:
    """The ways to say an ordinal."""
    canonical = say_ordinal(number)
    return keep_distinct([Form("ordinal", canonical), Form("no and", say_ordinal(number, has_and=False))])


def say_digits(digits: str, zero: str = "zero") -> str:
    """Digit by digit."""
    return " ".join(zero if digit == "0" else ONES[int(digit)] for digit in check_digits("digits", digits))


def digit_forms(digits: str, *, has_pairs: bool = False) -> tuple[Form, ...]:
    """The ways to say a string of digits; with `has_pairs` also as rooms and flights are called: `three oh five`."""
    forms = [Form("digits", say_digits(digits)), Form("oh", say_digits(digits, "oh")), Form("double", _double(digits))]
    if has_pairs:
        forms += _pair_forms(digits)
    return keep_distinct(forms)


def _double(digits: str) -> str:
    words: list[str] = []
    for digit, run in groupby(digits):
        word, left = say_digits(digit, "oh"), len(list(run))
        while left:
            size = 3 if left == 3 else min(left, 2)
            words.append(f"{_REPEATS[size]} {word}" if size > 1 else word)
            left -= size
    return " ".join(words)


def _pair_forms(digits: str) -> list[Form]:
    """`305` as `three oh five`, `1204` as `twelve oh four`; `1200` as `twelve hundred`, but `2000` not in pairs."""
    head, tail = digits[:-2], digits[-2:]
    if len(digits) not in (3, 4) or head.startswith("0"):
        return []
    if tail == "00":
        return [] if head.endswith("0") else [Form("pairs", f"{_say_below_100(int(head))} hundred")]
    spoken = f"oh {ONES[int(tail)]}" if tail.startswith("0") else _say_below_100(int(tail))
    return [Form("pairs", f"{_say_below_100(int(head))} {spoken}")]


def decimal_forms(decimal: str) -> tuple[Form, ...]:
    """The ways to say a decimal such as `3.05`; a whole number is said as a cardinal."""
    whole, point, places = decimal.partition(".")
    check_digits("decimal", whole)
    if not point:
        return number_forms(int(whole))
    heads = number_forms(int(whole))[:2]
    forms = [Form(head.style, f"{head.spoken} point {say_digits(places)}") for head in heads]
    forms[0] = forms[0]._replace(style="point")
    forms.append(Form("oh", f"{heads[0].spoken} point {say_digits(places, 'oh')}"))
    if int(whole) == 0:
        forms.append(Form("bare point", f"point {say_digits(places)}"))
        forms.append(Form("nought", f"nought point {say_digits(places)}"))
    return keep_distinct(forms)


def percent_forms(decimal: str) -> tuple[Form, ...]:
    """The ways to say `decimal` percent."""
    numbers = decimal_forms(decimal)
    forms = [*add_unit(numbers, " percent"), *add_unit(numbers[:1], " per cent", "two words")]
    if decimal == "0.5":
        forms.append(Form("half", "half a percent"))
    return keep_distinct(forms)
