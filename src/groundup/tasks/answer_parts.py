"""What is made of answers that were found: parts of the results, marks in a passage, thresholds for giving none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import numpy as np
from jaxtyping import Bool

from groundup.language.question_types import QUESTION_TYPES, find_question_type
from groundup.language.scripts import count_words
from groundup.metrics.answers import Rule, Threshold, find_threshold, score_answers
from groundup.metrics.details import Marked, Stretch
from groundup.readers.examples import QuestionExample
from groundup.tasks.answer_spans import Candidate, Found

LENGTHS: Final = {"1": (0, 1), "2-3": (2, 3), "4-7": (4, 7), "8-15": (8, 15), "16-": (16, None)}
"""Of answers, in words, the shortest of several; a Chinese character counts as one."""


def split_questions(examples: Sequence[QuestionExample]) -> dict[str, Bool[np.ndarray, " questions"]]:
    """Which questions are of each part that occurs: `who`, `when`, ...; `words 2-3`, ...; `none` without an answer."""
    types = np.array([find_question_type(example.question) for example in examples])
    parts = {str(name): types == name for name in QUESTION_TYPES}
    has_answer = np.array([bool(example.answers) for example in examples])
    sizes = np.array(
        [min((count_words(each.text) for each in example.answers or ()), default=0) for example in examples]
    )
    for name, (low, high) in LENGTHS.items():
        parts[f"words {name}"] = has_answer & (sizes >= low) & (sizes <= (sizes.max() if high is None else high))
    parts["none"] = ~has_answer
    return {name: chosen for name, chosen in parts.items() if chosen.any()}


def mark_answer(example: QuestionExample, given: Candidate | None, rule: Rule) -> Marked:
    """The true answers of a question and what was given (None for no answer), in its passage.

    Right is what is an exact match by the rule, so that an article more or less may be right, too.
    """
    answers = example.answers or ()
    exact, _ = score_answers(["" if given is None else given.text], [[answer.text for answer in answers]], rule)
    expected = sorted({Stretch(answer.start, answer.start + len(answer.text), "") for answer in answers})
    return Marked(
        line=example.line,
        title=example.question,
        text=example.passage,
        expected=tuple(expected),
        found=() if given is None else (Stretch(given.start, given.end, ""),),
        is_right=bool(exact[0]),
        confidence=0.0 if given is None else given.probability,
    )


def find_thresholds(
    found: Sequence[Found], references: Sequence[Sequence[str]], rule: Rule
) -> dict[Literal["exact", "f1"], Threshold]:
    """The best threshold for giving no answer, by exact match and by F1."""
    exact, f1 = score_answers([each.candidates[0].text for each in found], references, rule)
    has_answer = np.array([bool(each) for each in references])
    chances = np.array([each.no_answer for each in found])
    return {"exact": find_threshold(exact, chances, has_answer), "f1": find_threshold(f1, chances, has_answer)}
