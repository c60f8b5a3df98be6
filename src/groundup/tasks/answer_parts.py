"""The parts that results on questions fall into: what is asked for, how long the answer is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from jaxtyping import Bool

from groundup.language.question_types import QUESTION_TYPES, find_question_type
from groundup.language.scripts import count_words
from groundup.readers.examples import QuestionExample

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
