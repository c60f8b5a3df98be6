"""What is likely wrong in examples, and where: findings, and those that a single row is enough for."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final

from groundup.readers.examples import ChoiceExample
from groundup.readers.table import Example
from groundup.verbs.layout import clip

_SHOWN: Final = 3
"""Places that a finding names."""


@dataclass(frozen=True)
class Finding:
    """Something that is likely wrong."""

    what: str
    count: int
    places: tuple[str, ...]
    """The first of them, `file:line` with what stands there."""


class Notes:
    """Findings by what they are, with the first places of each."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._counts: Counter[str] = Counter()
        self._places: dict[str, list[str]] = {}

    def add(self, what: str, line: int | None, found: str) -> None:
        """One more; without a line it is about the whole split."""
        self._counts[what] += 1
        places = self._places.setdefault(what, [])
        if len(places) < _SHOWN:
            places.append(found if line is None else f"{self._file}:{line}: {found}")

    def findings(self) -> tuple[Finding, ...]:
        """The most frequent first."""
        return tuple(Finding(what, count, tuple(self._places[what])) for what, count in self._counts.most_common())


def find_repeats(example: object) -> tuple[tuple[str, str], ...]:
    """Choices of a row that are one text, and labels that it names twice: what is wrong, and what stands there.

    A warning, because released sets hold such rows (MedMCQA and MMLU do), and a label is no other for being repeated.
    """
    if isinstance(example, Example) and example.repeated:
        return (("has a label twice, which counts once", f"{'; '.join(example.repeated)} of {clip(example.text, 40)}"),)
    if not isinstance(example, ChoiceExample):
        return ()
    choices = [choice.strip() for choice in example.choices]
    right = None if example.answer is None else choices[example.answer]
    asked = clip(example.question or example.context, 40)
    return tuple(
        (f"has {'the right' if choice == right else 'a'} choice twice", f"{choice!r} of {asked}")
        for choice, count in Counter(choices).items()
        if count > 1
    )
