"""What is said of a question on a passage: written, read back, and compared as the official scripts do."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final, Self

from jaxtyping import Float
from numpy import ndarray

from groundup.errors import DataError
from groundup.metrics.answers import Rule, answer_tallies, choose_rule, score_answers
from groundup.metrics.tally import Tally
from groundup.readers.examples import QuestionExample
from groundup.tasks.answer_spans import Candidate, Found
from groundup.tasks.written import Answered, WrittenRow

_PASSAGES: Final = ("passage", "context")


@dataclass(frozen=True)
class AskedQuestion:
    """A question whose answers are known."""

    id: str
    question: str
    passage: str
    """Empty where a file does not repeat it."""
    answers: tuple[str, ...] | None
    """The texts of the true ones, none of them where there is none; None where nothing is known."""


@dataclass(frozen=True)
class GivenAnswer:
    """What a file says of a question."""

    text: str
    """Empty for none."""


@dataclass(frozen=True)
class PassageAnswers:
    """An answer a question, or none."""

    columns: ClassVar[tuple[str, ...]] = ("question", "answer")
    knows_none: bool
    """Whether a question may have no answer."""
    rule: Rule | None = None
    """Whose script scores them; None takes that of the language of the answers."""

    def write(self, example: QuestionExample, prediction: Found) -> dict[str, object]:
        """The question, its answer with its characters in the passage (null for none), and what else it might be."""
        best, is_none = prediction.candidates[0], prediction.is_none
        row: dict[str, object] = {"id": example.id, "question": example.question}
        row |= {"answer": None, "start": None, "end": None} if is_none else _place(best)
        row |= {"score": prediction.null_score if is_none else best.score}
        row |= {"no_answer": prediction.no_answer} if self.knows_none else {}
        others = [
            _place(each) | {"score": each.score, "probability": each.probability} for each in prediction.candidates
        ]
        return row | {"candidates": others}

    @classmethod
    def read(cls, rows: Sequence[WrittenRow]) -> Answered:
        """What `write` wrote, or the answers alone; the true ones as a text or a list of texts, or as SQuAD's lists."""
        predictions = [GivenAnswer(_read_given(row)) for row in rows]
        examples = [
            AskedQuestion(row.take_text("id"), row.take_text("question"), _find_passage(row), _read_true(row))
            for row in rows
        ]
        says_none = any("no_answer" in row.fields for row in rows)
        gives_none = any(not each.text for each in predictions) or any(not each.answers for each in examples)
        return Answered(cls(says_none or gives_none), examples, predictions)

    def join(self, other: Self) -> Self:
        """By the rule that knows questions without answer where one of both does; other rules show in signatures."""
        return replace(self, knows_none=self.knows_none or other.knows_none)

    def tallies(
        self, predictions: Sequence[Found | GivenAnswer], examples: Sequence[AskedQuestion]
    ) -> dict[str, Tally]:
        """`exact` and `f1`, in percent."""
        return answer_tallies([each.text for each in predictions], *self.refer(examples))

    def find_errors(
        self, predictions: Sequence[Found | GivenAnswer], examples: Sequence[AskedQuestion]
    ) -> Float[ndarray, " examples"]:
        """1 for an answer that is no exact match."""
        return 1.0 - score_answers([each.text for each in predictions], *self.refer(examples))[0]

    def refer(self, examples: Sequence[AskedQuestion]) -> tuple[list[list[str]], Rule]:
        """The true answers of each question, and by which rule they are scored."""
        references = [list(example.answers or ()) for example in examples]
        everything = [text for each in references for text in each]
        return references, self.rule or choose_rule(everything, knows_none=self.knows_none)


def _place(candidate: Candidate) -> dict[str, object]:
    return {"answer": candidate.text, "start": candidate.start, "end": candidate.end}


def _find_passage(row: WrittenRow) -> str:
    return next((row.take_text(name) for name in _PASSAGES if name in row.fields), "")


def _read_given(row: WrittenRow) -> str:
    """The answer that is given, empty for none. DataError where it does not stand where it is said to."""
    value, ends = row.take("answer"), [row.fields.get(name) for name in ("start", "end")]
    # A csv has the same word for null and for an answer that is this word: the latter has a place.
    is_none = value in (None, "") or (value == "null" and not row.is_object and ends[0] in (None, "null", ""))
    if is_none:
        return ""
    text = str(value)
    if ends == [None, None]:
        return text
    start, end = (int(str(each)) if str(each).isdecimal() else -1 for each in ends)
    end = start + len(text) if ends[1] is None else end
    passage = _find_passage(row)
    if not 0 <= start < end or end - start != len(text) or (passage and passage[start:end] != text):
        cure = "count characters (code points) from 0, not bytes or UTF-16 units"
        raise DataError(row.here, "has an answer that does not stand where it is said to", got=(*ends, text), cure=cure)
    return text


def _read_true(row: WrittenRow) -> tuple[str, ...]:
    """The texts in a field of true answers, which in a csv may be JSON."""
    value = row.take(row.gold)
    if isinstance(value, str) and not row.is_object:
        value = _parse(value, row)
    if isinstance(value, Mapping):
        value = value.get("text")
    texts = [] if value in (None, "") else value if isinstance(value, list) else [value]
    texts = [each.get("text") if isinstance(each, Mapping) else each for each in texts]
    if not all(isinstance(each, str) and each.strip() for each in texts):
        cure = 'write "text", ["text", ...] or {"text": ["text"], "answer_start": [0]}, and nothing for no answer'
        raise DataError(row.here, f"column {row.gold!r} holds an answer that is no text", got=value, cure=cure)
    return tuple(texts)


def _parse(text: str, row: WrittenRow) -> object:
    """The lists, objects and null of a csv; all else is the text of an answer."""
    try:
        value = json.loads(text)
    except ValueError:
        if (text[:1], text[-1:]) in (("{", "}"), ("[", "]")):  # as Python prints it, say, which is not to be an answer
            cure = 'write JSON: {"text": ["text"], "answer_start": [0]}; a text with such brackets as ["[text]"]'
            raise DataError(row.here, f"column {row.gold!r} is no JSON", got=text, cure=cure) from None
        return text
    return value if value is None or isinstance(value, list | Mapping) else text
