"""What a task can tell of its results beyond its metrics: the parts they fall into, and answers in their texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Int64

from groundup.metrics.metric import Metric


@dataclass(frozen=True)
class Details:
    """The parts that results fall into."""

    classes: Mapping[str, Metric] = field(default_factory=dict)
    """Figures of each class, type or kind: `f1[label]`."""
    labels: tuple[str, ...] = ()
    """Of the confusion matrix, in its order."""
    confusion: Int64[np.ndarray, "label prediction"] | None = None
    """How often each label (row) was predicted as each label (column); None where there is no such thing."""


class Stretch(NamedTuple):
    """The characters of a text from `start` up to, not including, `end`, and what they are."""

    start: int
    end: int
    name: str


@dataclass(frozen=True)
class Marked:
    """A text with what should be found in it and what was."""

    line: int
    """Where it stands in its file, counted from 1."""
    title: str | None
    """What is asked for; None where nothing is."""
    text: str
    expected: tuple[Stretch, ...]
    found: tuple[Stretch, ...]
    is_right: bool
    confidence: float
    """How sure the model is of what it found, from 0 to 1."""


Fault = Literal["type", "boundary", "both", "missed", "invented"]


def count_faults(texts: Sequence[Marked]) -> dict[Fault, int]:
    """How often what was found is wrong, and how.

    `type`: the right characters by another name; `boundary`: the right name on characters that overlap the right ones;
    `both`: another name on characters that overlap; `invented`: nothing is there; `missed`: nothing was found there.
    """
    counts: Counter[Fault] = Counter()
    for text in texts:
        expected, found = set(text.expected), set(text.found)
        rest = expected - found
        touched: set[Stretch] = set()
        for each in sorted(found - expected):
            near = [other for other in sorted(expected) if other.start < each.end and each.start < other.end]
            touched.update(near)
            counts[_find_fault(each, near)] += 1
        counts["missed"] += len(rest - touched)
    return dict(counts)


def _find_fault(found: Stretch, near: Sequence[Stretch]) -> Fault:
    """What is wrong with it, where `near` are those that it overlaps."""
    if not near:
        return "invented"
    if any(other[:2] == found[:2] for other in near):
        return "type"
    return "boundary" if any(other.name == found.name for other in near) else "both"
