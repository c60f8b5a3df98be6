"""What a report says of a task that finds stretches of texts: figures of each part, faults, texts right and wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
import torch

from groundup.metrics.details import Marked, Stretch, count_faults
from groundup.model.transformer import Transformer
from groundup.objectives.protocol import Marking
from groundup.recipe import Recipe
from groundup.reporting.content import Found, MarkedText, Split
from groundup.verbs.report_parts import count_tokens, make_buckets
from groundup.verbs.report_sample import Chosen, measure, spread

_SHOWN: Final = {False: 12, True: 6}
"""Texts of each kind, by whether they are right."""
_AROUND: Final = 60
_SHOWN_CHARS: Final = 600


def measure_found(
    recipe: Recipe, task: Marking, model: Transformer, chosen: Chosen, split: Split, device: torch.device
) -> Found | None:
    """Everything that the page shows of it; None where nothing is known of the texts.

    Samples may be windows of longer texts, so it is texts that are chosen, as many as the samples of `chosen` have.
    """
    examples = chosen.examples
    most = max(1, round(len(examples) * len(chosen) / max(1, len(chosen.samples))))
    rows = [examples[int(number)] for number in spread(len(examples), most)]
    samples = task.encode(rows, f"data.{split}")
    measured = measure(recipe, task, model, samples, device)
    decoded = task.decode(measured, samples.examples)
    marked = [task.mark(example, each) for example, each in zip(samples.examples, decoded, strict=True)]
    known = [each for each in marked if each is not None]
    if not known:
        return None
    is_right = np.array([each.is_right for each in known])
    details = task.details(measured, samples.examples)
    are_entities = known[0].title is None  # what is asked for has no type
    return {
        "split": split,
        "rows": len(known),
        "of": len(examples),
        "right_rows": int(is_right.sum()),
        "wrong_rows": int((~is_right).sum()),
        "expected": _count_types(each.expected for each in known) if are_entities else {},
        "found": _count_types(each.found for each in known) if are_entities else {},
        "parts": [metric.to_json() for metric in details.classes.values()],  # type: ignore[misc]
        "buckets": make_buckets(
            [each.text for each in known], count_tokens(task.tokenizer, [each.text for each in known]), is_right
        ),
        "faults": dict(count_faults(known)) if are_entities else {},
        "shown": [_show(each) for wanted in (False, True) for each in _choose(known, wanted)],
    }


def _count_types(texts: Iterable[Sequence[Stretch]]) -> dict[str, int]:
    return dict(Counter(stretch.name for stretches in texts for stretch in stretches))


def _choose(texts: list[Marked], is_right: bool) -> list[Marked]:
    """The wrong ones of which the model is surest, or the right ones of which it is least sure."""
    chosen = [text for text in texts if text.is_right == is_right and (text.expected or text.found)]
    return sorted(chosen, key=lambda text: text.confidence if is_right else -text.confidence)[: _SHOWN[is_right]]


def _show(text: Marked) -> MarkedText:
    """The text, cut to where something is marked."""
    places = [place for each in (*text.expected, *text.found) for place in each[:2]]
    start = max(0, min(places) - _AROUND) if len(text.text) > _SHOWN_CHARS else 0
    end = min(len(text.text), start + _SHOWN_CHARS)
    before, after = "…" if start else "", "…" if end < len(text.text) else ""

    def shift(stretches: tuple[Stretch, ...]) -> list[dict[str, object]]:
        moved = [
            each._replace(start=each.start - start + len(before), end=each.end - start + len(before))
            for each in stretches
            if each.start < end and each.end <= end
        ]
        return [each._asdict() for each in moved]

    return {
        "line": text.line,
        "title": text.title,
        "text": before + text.text[start:end] + after,
        "expected": shift(text.expected),  # type: ignore[typeddict-item]
        "found": shift(text.found),  # type: ignore[typeddict-item]
        "is_right": text.is_right,
    }
