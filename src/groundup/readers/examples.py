"""The kinds of examples that data sets hold; a text or a pair with a label is `table.Example`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from groundup.readers.table import Example


class Mark(NamedTuple):
    """An entity in a text: its characters from `start` up to, not including, `end`."""

    start: int
    end: int
    type: str


class Answer(NamedTuple):
    """An answer as it stands in its passage, and at which character."""

    text: str
    start: int


@dataclass(frozen=True)
class TaggedExample:
    """Words or characters with a tag each."""

    tokens: tuple[str, ...]
    tags: tuple[str, ...]
    line: int
    """Where the first token stands, counted from 1."""
    has_lines: bool = field(default=False, compare=False)
    """Whether every token has a line of its own."""

    def line_of(self, place: int) -> int:
        """Where a token stands."""
        return self.line + min(place, len(self.tokens) - 1) * self.has_lines

    @property
    def texts(self) -> tuple[str, ...]:
        """The tokens."""
        return self.tokens

    @property
    def label_names(self) -> tuple[str, ...] | None:
        """The tags."""
        return self.tags


@dataclass(frozen=True)
class SpanExample:
    """A text with entities by character, which may be nested."""

    text: str
    marks: tuple[Mark, ...] | None
    """None in a file without labels."""
    line: int

    @property
    def texts(self) -> tuple[str, ...]:
        """The text."""
        return (self.text,)

    @property
    def label_names(self) -> tuple[str, ...] | None:
        """The types of its entities."""
        return None if self.marks is None else tuple(mark.type for mark in self.marks)


@dataclass(frozen=True)
class QuestionExample:
    """A question on a passage."""

    id: str
    question: str
    passage: str
    answers: tuple[Answer, ...] | None
    """None in a file without answers; none of them where the question has no answer."""
    line: int
    """Where its id stands, counted from 1."""

    @property
    def texts(self) -> tuple[str, ...]:
        """The question and the passage."""
        return (self.question, self.passage)

    @property
    def label_names(self) -> tuple[str, ...] | None:
        """Nothing: an answer is no label."""
        return None if self.answers is None else ()


@dataclass(frozen=True)
class TranslationExample:
    """A text in two languages."""

    source: str
    target: str
    line: int


@dataclass(frozen=True)
class ChoiceExample:
    """A question, or the beginning of a sentence, with choices of which one is right."""

    context: str
    question: str
    choices: tuple[str, ...]
    answer: int | None
    """The number of the right one, counted from 0; None in a file without labels."""
    line: int

    @property
    def texts(self) -> tuple[str, ...]:
        """Context, question and choices."""
        return (self.context, self.question, *self.choices)

    @property
    def label_names(self) -> tuple[str, ...] | None:
        """Nothing: a choice is no label."""
        return None if self.answer is None else ()


AnyExample = Example | TaggedExample | SpanExample | QuestionExample | TranslationExample | ChoiceExample
