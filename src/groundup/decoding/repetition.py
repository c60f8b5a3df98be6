"""What was said before, made less likely or impossible."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from groundup.decoding.config import Decoding
from groundup.errors import DataError


def restrain(
    scores: Float[Tensor, "sequences vocab"], texts: Sequence[Sequence[int]], decoding: Decoding
) -> Float[Tensor, "sequences vocab"]:
    """Scores of the next token under `repetition_penalty` and `no_repeat_ngram`.

    Args:
        scores: logits, or logarithms of probabilities.
        texts: the ids of each sequence so far, its prompt included.
        decoding: the rules.
    """
    penalty, size = decoding.repetition_penalty, decoding.no_repeat_ngram
    if penalty != 1.0:
        seen = _mark(scores, texts)
        scores = torch.where(seen, torch.where(scores < 0, scores * penalty, scores / penalty), scores)
    if size is not None:
        scores = scores.masked_fill(_mark(scores, [find_repeats(ids, size) for ids in texts]), -torch.inf)
        if bool((scores == -torch.inf).all(dim=-1).any()):
            cure = "raise it, or lower max_tokens"
            raise DataError("no_repeat_ngram", "leaves no token to go on with", got=size, cure=cure)
    return scores


def find_repeats(ids: Sequence[int], size: int) -> list[int]:
    """The tokens that would end a run of `size` tokens that stands in `ids` already."""
    start = len(ids) - size + 1
    tail = ids[max(0, start) :]
    return [ids[place + size - 1] for place in range(start) if ids[place : place + size - 1] == tail]


def _mark(scores: Float[Tensor, "sequences vocab"], tokens: Sequence[Sequence[int]]) -> Bool[Tensor, "sequences vocab"]:
    """True at these tokens of each sequence."""
    rows = [row for row, ids in enumerate(tokens) for _ in ids]
    marked = torch.zeros_like(scores, dtype=torch.bool)
    marked[rows, [token for ids in tokens for token in ids]] = True
    return marked
