"""What a report says of a model that chooses: accuracy by part, and questions with all their choices."""

from __future__ import annotations

from typing import Final

import numpy as np
import torch

from groundup.model.transformer import Transformer
from groundup.readers.examples import ChoiceExample
from groundup.recipe import Recipe
from groundup.reporting.content_rows import Choices, ChosenQuestion
from groundup.tasks.choice_answers import Choice
from groundup.tasks.multiple_choice import MultipleChoiceTask
from groundup.verbs.report_parts import make_buckets
from groundup.verbs.report_run import clip_text
from groundup.verbs.report_sample import Chosen, measure

_SHOWN: Final = {"wrong": 12, "right": 6}
"""Questions of each kind."""
_SHOWN_CHARS: Final = 600


def measure_choices(
    recipe: Recipe, task: MultipleChoiceTask, model: Transformer, chosen: Chosen, device: torch.device
) -> Choices | None:
    """Everything that the page shows of it; None where no chosen question has an answer."""
    measured = measure(recipe, task, model, chosen, device)
    decoded = task.decode(measured, chosen.examples)
    examples = [chosen.examples[int(number)] for number in chosen.numbers]
    known = [place for place, example in enumerate(examples) if example.answer is not None]
    if not known:
        return None
    asked = [(examples[place], decoded[place]) for place in known]
    is_right = np.array([example.answer == choice.number for example, choice in asked])

    def show(which: str) -> list[ChosenQuestion]:
        found = [pair for pair, right in zip(asked, is_right, strict=True) if right == (which == "right")]
        found.sort(key=lambda pair: pair[1].probabilities[pair[0].answer])
        return [_describe(*pair) for pair in found[: _SHOWN[which]]]

    texts = [" ".join(example.texts) for example, _ in asked]
    return {
        "rows": len(asked),
        "of": sum(example.answer is not None for example in chosen.examples),
        "right_rows": int(is_right.sum()),
        "wrong_rows": int((~is_right).sum()),
        "buckets": make_buckets(texts, chosen.lengths[known], is_right),
        "wrong": show("wrong"),
        "right": show("right"),
    }


def _describe(example: ChoiceExample, choice: Choice) -> ChosenQuestion:
    pairs = enumerate(zip(example.choices, choice.probabilities, strict=True))
    return {
        "line": example.line,
        "context": clip_text(example.context, _SHOWN_CHARS),
        "question": clip_text(example.question, _SHOWN_CHARS),
        "choices": [
            {
                "text": clip_text(text, _SHOWN_CHARS),
                "probability": share,
                "is_true": number == example.answer,
                "is_answer": number == choice.number,
            }
            for number, (text, share) in pairs
        ],
    }
