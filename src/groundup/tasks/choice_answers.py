"""What is said of a question with choices: written, read back, and compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final, Self

import numpy as np
from jaxtyping import Bool, Float

from groundup.errors import DataError
from groundup.metrics.calibration import calibration_tally
from groundup.metrics.tally import Tally, mean_tally
from groundup.readers.choice_files import find_choice
from groundup.readers.examples import ChoiceExample
from groundup.tasks.written import Answered, WrittenRow

_MANY: Final = 1000
"""Choices of a question where a file does not say how many they are."""


@dataclass(frozen=True)
class Choice:
    """What the model says of one question."""

    number: int
    """Of the choice, counted from 0."""
    probabilities: tuple[float, ...]
    """Of the choices; they sum to 1."""


@dataclass(frozen=True)
class ChoiceAnswers:
    """One of several choices a question."""

    columns: ClassVar[tuple[str, ...]] = ("answer", "choice")
    has_probabilities: bool = True
    """Whether they are known of every question; files may hold choices alone."""

    def write(self, example: ChoiceExample, prediction: Choice) -> dict[str, object]:
        """The texts of the question, the number and the text of the choice, all probabilities."""
        texts: dict[str, object] = {"context": example.context, "question": example.question}
        return {name: text for name, text in texts.items() if text} | {
            "answer": prediction.number,
            "choice": example.choices[prediction.number],
            "probabilities": dict(zip(_name_apart(example.choices), prediction.probabilities, strict=True)),
        }

    @classmethod
    def read(cls, rows: Sequence[WrittenRow]) -> Answered:
        """What `write` wrote, or the choices alone; the right one as its number, its letter or its text."""
        examples, predictions = zip(*map(_read, rows), strict=True)
        return Answered(cls(all(each.probabilities for each in predictions)), examples, predictions)

    def join(self, other: Self) -> Self:
        """By the choices, and by their probabilities where both have them."""
        return self if other.has_probabilities else other

    def tallies(self, predictions: Sequence[Choice], examples: Sequence[ChoiceExample]) -> dict[str, Tally]:
        """`accuracy`, `calibration_error` of the chosen answers and `loss`."""
        is_right = self.find_errors(predictions, examples) == 0.0
        if not self.has_probabilities:
            return _accuracy_tallies(is_right)
        pairs = zip(predictions, examples, strict=True)
        of_right = [each.probabilities[example.answer or 0] for each, example in pairs]
        # No question loses more than the smallest number that is not 0.
        losses = -np.log(np.maximum(of_right, np.finfo(np.float64).tiny))
        return choice_tallies(is_right, np.array([max(each.probabilities) for each in predictions]), losses)

    def find_errors(
        self, predictions: Sequence[Choice], examples: Sequence[ChoiceExample]
    ) -> Float[np.ndarray, " examples"]:
        """1 for another choice than the right one."""
        pairs = zip(predictions, examples, strict=True)
        return np.array([float(each.number != example.answer) for each, example in pairs])


def choice_tallies(
    is_right: Bool[np.ndarray, " questions"],
    sure: Float[np.ndarray, " questions"],
    losses: Float[np.ndarray, " questions"],
) -> dict[str, Tally]:
    """The figures of choices of which it is known how right, how sure and how costly each is."""
    how = "softmax cross-entropy over the choices of a question, mean over questions"
    return _accuracy_tallies(is_right) | {
        "calibration_error": replace(calibration_tally(sure, is_right), unit="questions"),
        "loss": mean_tally("loss", "questions", losses, how, full=None),
    }


def _accuracy_tallies(is_right: Bool[np.ndarray, " questions"]) -> dict[str, Tally]:
    return {"accuracy": mean_tally("accuracy", "questions", is_right, "questions with the right choice")}


def _read(row: WrittenRow) -> tuple[ChoiceExample, Choice]:
    shares = row.take_shares()
    choices = tuple(shares)
    number = find_choice(row.take("answer"), len(choices) or _MANY)
    if number is None or (choices and not choices[number].startswith(row.take_text("choice"))):
        got, cure = (row.take("answer"), row.take_text("choice")), "count choices from 0"
        raise DataError(row.here, "has a choice that is not the one of its number", got=got, cure=cure)
    right = _find_right(row, choices)
    example = ChoiceExample(row.take_text("context"), row.take_text("question"), choices, right, row.line)
    return example, Choice(number, tuple(shares.values()))


def _find_right(row: WrittenRow, choices: Sequence[str]) -> int:
    """The right choice. Raises DataError where none is named, or one by its text and another by its number."""
    value = row.take(row.gold)
    by_text = choices.index(str(value)) if value in choices else None
    by_place = find_choice(value, len(choices) or _MANY)
    found = {each for each in (by_text, by_place) if each is not None}
    if len(found) != 1:
        what = f"column {row.gold!r} names {'two choices' if found else 'no choice'}"
        cure = f"write 0 to {(len(choices) or _MANY) - 1}, counted from 0, a letter from A on, or the text of a choice"
        raise DataError(row.here, what, got=value, cure=cure)
    return found.pop()


def _name_apart(choices: Sequence[str]) -> list[str]:
    """The choices, those that are written twice with their numbers."""
    return [choice if choices.count(choice) == 1 else f"{choice} ({number})" for number, choice in enumerate(choices)]
