"""From a start and an end logit of every token to answers: the best valid spans over all windows of a passage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from groundup.readers.examples import QuestionExample


class WindowSpans(NamedTuple):
    """The best spans of every window, best first; places that are too many have the score -inf."""

    scores: Float[np.ndarray, "windows best"]
    """The sum of both logits."""
    starts: Int64[np.ndarray, "windows best"]
    """The first character in the passage."""
    ends: Int64[np.ndarray, "windows best"]
    """The character behind the last."""


@dataclass(frozen=True)
class Candidate:
    """A span of a passage as an answer."""

    text: str
    start: int
    """Its first character."""
    end: int
    """The character behind its last."""
    score: float
    """The sum of its start and its end logit."""
    probability: float
    """Among all that are listed, and no answer where that may be."""


@dataclass(frozen=True)
class Found:
    """What a model finds to answer a question with."""

    candidates: tuple[Candidate, ...]
    """The best spans, best first; one at least."""
    null_score: float
    """The sum of both logits of the token that stands for no answer, the least of all windows."""
    no_answer: float
    """The probability that there is none, against the best span: sigmoid(null score - its score)."""
    is_none: bool = False
    """Whether none is given: by the threshold of the task."""

    @property
    def text(self) -> str:
        """The answer that is given; empty for none."""
        return "" if self.is_none else self.candidates[0].text


def find_window_spans(
    logits: Float[Tensor, "tokens 2"],
    lengths: Sequence[int],
    first: Int64[Tensor, " tokens"],
    last: Int64[Tensor, " tokens"],
    *,
    max_answer_length: int,
    most: int,
) -> WindowSpans:
    """The best spans of each window with start <= end < start + max_answer_length, inside the passage.

    Args:
        logits: of the start and of the end.
        lengths: tokens of each window.
        first: the character with which a span from this token starts; -1 where none may.
        last: the character behind a span to this token; -1 where none may end.
        max_answer_length: the most tokens of a span.
        most: how many spans to keep of a window.
    """
    reach = min(max_answer_length, max(lengths))
    nothing = float("-inf")
    starts, ends = (side.masked_fill(where < 0, nothing) for side, where in zip(logits.unbind(1), (first, last)))  # noqa: B905
    sizes = torch.tensor(list(lengths), device=logits.device)
    remaining = torch.cat([torch.arange(length, 0, -1, device=logits.device) for length in lengths])
    ahead = functional.pad(ends, (0, reach - 1), value=nothing).unfold(0, reach, 1)
    is_inside = torch.arange(reach, device=logits.device) < remaining[:, None]
    scores = torch.where(is_inside, starts[:, None] + ahead, nothing)
    found = [_best(part, offset, most) for part, offset in _parts(scores, sizes)]
    values = torch.stack([value for value, _, _ in found])
    heads, tails = (torch.stack([each[side] for each in found]) for side in (1, 2))
    return WindowSpans(values.cpu().numpy().astype(np.float64), first[heads].cpu().numpy(), last[tails].cpu().numpy())


def merge_windows(
    question: Int64[np.ndarray, " windows"],
    null: Float[np.ndarray, " windows"],
    spans: WindowSpans,
    examples: Sequence[QuestionExample],
    *,
    most: int,
    allows_none: bool,
) -> dict[int, Found]:
    """The best answers to each question over all its windows, by the number of its example."""
    order = np.argsort(question, kind="stable")
    numbers, starts = np.unique(question[order], return_index=True)
    return {
        int(number): _merge(examples[int(number)].passage, null[rows], spans, rows, most, allows_none)
        for number, rows in zip(numbers, np.split(order, starts[1:]), strict=True)
    }


def _parts(scores: Tensor, sizes: Tensor) -> Iterator[tuple[Tensor, int]]:
    offset = 0
    for size in sizes.tolist():
        yield scores[offset : offset + size], offset
        offset += size


def _best(scores: Float[Tensor, "tokens reach"], offset: int, most: int) -> tuple[Tensor, Tensor, Tensor]:
    """The scores of the best spans, and where they start and end in the whole run."""
    values, places = scores.flatten().topk(min(most, scores.numel()))
    missing = most - len(values)
    values = functional.pad(values, (0, missing), value=float("-inf"))
    places = functional.pad(places, (0, missing))
    starts = places // scores.shape[1]
    # A place without a span may point behind the run; its score says that it is none.
    ends = torch.where(values.isfinite(), starts + places % scores.shape[1], starts)
    return values, starts + offset, ends + offset


def _merge(
    passage: str,
    null: Float[np.ndarray, " windows"],
    spans: WindowSpans,
    rows: Int64[np.ndarray, " windows"],
    most: int,
    allows_none: bool,
) -> Found:
    scores, starts, ends = (side[rows].reshape(-1) for side in spans)
    best: dict[tuple[int, int], float] = {}
    for place in np.argsort(-scores, kind="stable"):
        if len(best) == most or not np.isfinite(scores[place]):
            break
        best.setdefault((int(starts[place]), int(ends[place])), float(scores[place]))
    null_score = float(null.min())
    values = np.array([*best.values(), *([null_score] if allows_none else [])])
    shares = np.exp(values - values.max())
    shares /= shares.sum()
    candidates = tuple(
        Candidate(passage[start:end], start, end, score, float(share))
        for ((start, end), score), share in zip(best.items(), shares, strict=False)
    )
    return Found(candidates, null_score, float(_sigmoid(null_score - candidates[0].score)))


def _sigmoid(value: float) -> float:
    # Either form overflows on one side.
    return float(1.0 / (1.0 + np.exp(-value)) if value >= 0 else np.exp(value) / (1.0 + np.exp(value)))


def measured_spans(measured: Mapping[str, np.ndarray]) -> WindowSpans:
    """The spans among the arrays of `measure`."""
    return WindowSpans(measured["span_scores"], measured["span_starts"], measured["span_ends"])
