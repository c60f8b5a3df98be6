"""What a value is written as, and the ways in which people say it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Final, Literal, NamedTuple

from groundup.errors import ConfigError

Language = Literal["en", "zh"]
Kind = Literal[
    "number", "digits", "ordinal", "decimal", "percent", "money", "date", "time", "datetime", "phone", "mixed", "plain"
]

LANGUAGES: Final[tuple[Language, ...]] = ("en", "zh")


class Form(NamedTuple):
    """One way of saying a value."""

    style: str
    """The name of the rule that made it, such as `half past`."""
    spoken: str


class Value(NamedTuple):
    """One thing to convert. Its forms are made when they are asked for: most values that are drawn are drawn again."""

    written: str
    make_forms: Callable[[], tuple[Form, ...]]
    """All spoken forms, the canonical one first, no two alike."""


def keep_distinct(forms: Iterable[Form]) -> tuple[Form, ...]:
    """The forms without those that an earlier one says in the same words."""
    first: dict[str, Form] = {}
    for form in forms:
        first.setdefault(form.spoken, form)
    return tuple(first.values())


def add_unit(forms: Iterable[Form], unit: str, style: str = "") -> list[Form]:
    """The forms followed by a unit, which may have a style of its own."""
    return [Form(join_styles(form.style, style), form.spoken + unit) for form in forms]


def join_styles(*styles: str) -> str:
    """One name for rules that were used together."""
    return ", ".join(style for style in styles if style)


def split_words(text: str) -> tuple[str, ...]:
    """The words of a list that is written as a text."""
    return tuple(text.split())


def split_list(text: str) -> tuple[str, ...]:
    """The parts of a list that is written with commas, on as many lines as it needs."""
    return tuple(part.strip() for part in text.split(","))


def check_range(name: str, number: int, low: int, high: int) -> int:
    """The number itself. Raises ConfigError where a verbaliser has no words for it."""
    if not low <= number <= high:
        raise ConfigError(f"spoken.{name}", f"must lie between {low} and {high}", got=number)
    return number


def check_choice(name: str, value: str, choices: Collection[str]) -> str:
    """The value itself. Raises ConfigError where it is not among the choices."""
    if value not in choices:
        raise ConfigError(f"spoken.{name}", "is unknown", got=value, cure=f"choose among {', '.join(choices)}")
    return value


def check_digits(name: str, digits: str) -> str:
    """The digits themselves. Raises ConfigError for anything else."""
    if not digits or not digits.isascii() or not digits.isdigit():
        raise ConfigError(f"spoken.{name}", "holds something else than digits 0 to 9", got=digits)
    return digits
