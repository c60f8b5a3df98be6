"""Which values are drawn: numbers, dates, clocks and amounts as they occur, round ones more often than others."""

from __future__ import annotations

import datetime
from typing import Final

from groundup.spoken.dice import Dice

_MINUTES: Final = (0, 0, 0, 0, 30, 30, 15, 45, 5, 10, 20, 25, 35, 40, 50, 55)
_FIRST_DAY: Final = datetime.date(1950, 1, 1).toordinal()
_FIRST_OF_CENTURY: Final = datetime.date(2000, 1, 1).toordinal()
_LAST_DAY: Final = datetime.date(2049, 12, 31).toordinal()
_LEAP_YEAR: Final = 2024


def draw_number(dice: Dice, low: int, high: int) -> int:
    """A number, all lengths alike, a third of them round and a fifth with zeros inside."""
    length = dice.between(len(str(low)), len(str(high)))
    number = dice.between(max(low, 10 ** (length - 1)), min(high, 10**length - 1))
    shape = dice.below(100)
    if length > 2 and shape < 55:
        unit = 10 ** (length - (1 if length == 3 else dice.between(1, 2)))
        number = number // unit * unit + (0 if shape < 35 else number % 10 ** dice.between(1, length - 2))
    return min(max(number, low), high)


def draw_round(dice: Dice, low: int, high: int) -> int:
    """A number of one to three leading digits followed by zeros."""
    number = draw_number(dice, low, high)
    unit = 10 ** max(len(str(number)) - dice.between(1, 3), 0)
    return max(number // unit * unit, low)


def draw_digits(dice: Dice, low: int, high: int, *, first: int = 0) -> str:
    """A string of `low` to `high` digits, the first one at least `first`; an eighth repeats the one before."""
    digits = [dice.between(first, 9)]
    for _ in range(dice.between(low, high) - 1):
        digits.append(digits[-1] if dice.below(8) == 0 else dice.below(10))
    return "".join(map(str, digits))


def draw_decimal(dice: Dice, high: int, places: int) -> str:
    """A decimal below `high` of one to `places` places, the last one not a zero."""
    count = dice.between(1, places)
    tail = dice.between(1, 10**count - 1)
    tail += 1 if tail % 10 == 0 else 0
    return f"{dice.below(high)}.{tail:0{count}}"


def draw_percent(dice: Dice) -> str:
    """A percentage, whole in half of the cases."""
    return str(dice.between(1, 100)) if dice.chance(50) else draw_decimal(dice, 100, 1)


def draw_date(dice: Dice) -> datetime.date:
    """A day of the years 1950 to 2049, most of them of this century."""
    first = _FIRST_OF_CENTURY if dice.chance(60) else _FIRST_DAY
    return datetime.date.fromordinal(dice.between(first, _LAST_DAY))


def draw_day(dice: Dice) -> datetime.date:
    """A day of a year that has them all."""
    return datetime.date(_LEAP_YEAR, 1, 1) + datetime.timedelta(days=dice.below(366))


def draw_year(dice: Dice, first: int) -> int:
    """A year from `first` to 2049, most of them of this century."""
    return dice.between(2000, 2039) if dice.chance(60) else dice.between(first, 2049)


def draw_clock(dice: Dice, first: int, last: int) -> tuple[int, int]:
    """Hour and minute, most minutes those that people agree on."""
    return dice.between(first, last), dice.pick(_MINUTES) if dice.chance(75) else dice.below(60)


def draw_price(dice: Dice) -> int:
    """Hundredths of a currency: mostly some units and tenths or hundredths, sometimes less than one unit."""
    units = dice.between(1, 19) if dice.chance(55) else dice.between(20, 199)
    if dice.chance(50):
        return units * 100 + dice.below(100)
    cents = dice.pick((0, 50, 99, 20, 80, 5))
    return cents if cents and dice.chance(15) else units * 100 + cents


def draw_amount(dice: Dice) -> int:
    """Hundredths of a currency: whole units, tens to tens of thousands."""
    return 100 * draw_number(dice, 20, 50_000)


def draw_fortune(dice: Dice) -> int:
    """Hundredths of a currency: hundreds of thousands of units and more."""
    return 100 * draw_round(dice, 100_000, 200_000_000)


def write_amount(sign: str, amount: int) -> str:
    """The sign, the units, and two decimals where there are any."""
    units, cents = divmod(amount, 100)
    return f"{sign}{units}.{cents:02}" if cents else f"{sign}{units}"


def write_clock(hour: int, minute: int, *, is_marked: bool) -> str:
    """`15:30`, `08:05`; `8:05` where the half of the day was not said."""
    return f"{hour:02}:{minute:02}" if is_marked else f"{hour}:{minute:02}"
