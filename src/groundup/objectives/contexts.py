"""Spans to predict, each somewhere in a context of its own that is 1 / rate times as long (Yang et al. 2019, 3.1).

Contexts follow each other, and a sequence begins at a drawn place of one, so that every word is predicted with the
asked probability. Where the first context begins with the sequence, as in XLNet's release and in transformers, its
first words are predicted half as often as others: a span lies against the edge of its context least often.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float64, Int64

from groundup.randomness import draw_uniform, make_key


def choose_in_contexts(
    sizes: Int64[np.ndarray, " sequences"],
    numbers: Int64[np.ndarray, " sequences"],
    longest: int,
    rate: float,
    seed: int,
    epoch: int,
) -> Bool[np.ndarray, " words"]:
    """Whether each word of sequences laid end to end is to be predicted.

    Args:
        sizes: words of each sequence.
        numbers: of its sample.
        longest: the most words of a span; all lengths up to it are equally likely.
        rate: the share to predict.
        seed: of the run.
        epoch: of the data.
    """
    spans, contexts, shares = _list_kinds(longest, rate)
    count = int(-(-sizes.max(initial=0) // contexts.min())) + 1
    turns = np.arange(count)
    draws = draw_uniform(make_key(seed, epoch, "context"), numbers[:, None], turns)
    kinds = _pick(draws, shares)
    # A place drawn at random lies in a context the more often, the longer it is.
    kinds[:, 0] = _pick(draws[:, 0], shares * contexts)
    before = draw_uniform(make_key(seed, epoch, "context begins"), numbers) * contexts[kinds[:, 0]]
    ends = np.cumsum(contexts[kinds], axis=1) - before.astype(np.int64)[:, None]
    room = contexts[kinds] - spans[kinds] + 1
    places = draw_uniform(make_key(seed, epoch, "span in context"), numbers[:, None], turns) * room
    starts = ends - contexts[kinds] + places.astype(np.int64)
    bounds = (np.cumsum(sizes) - sizes)[:, None] + np.stack([starts, starts + spans[kinds]]).clip(0, sizes[:, None])
    changes = np.zeros(int(sizes.sum()) + 1, dtype=np.int64)
    np.add.at(changes, bounds[0], 1)
    np.add.at(changes, bounds[1], -1)
    return np.cumsum(changes)[:-1] > 0


def _list_kinds(
    longest: int, rate: float
) -> tuple[Int64[np.ndarray, " kinds"], Int64[np.ndarray, " kinds"], Float64[np.ndarray, " kinds"]]:
    """Spans, the contexts they may have, and how likely each is: a context between two whole numbers is one of them."""
    spans = np.arange(1, longest + 1)
    exact = spans / rate
    short = np.floor(exact + 1e-9).astype(np.int64)
    above = (exact - short).clip(0.0)
    return np.tile(spans, 2), np.concatenate([short, short + 1]), np.concatenate([1.0 - above, above]) / longest


def _pick(draws: Float64[np.ndarray, "*shape"], weights: Float64[np.ndarray, " kinds"]) -> Int64[np.ndarray, "*shape"]:
    limits = np.cumsum(weights)
    return np.searchsorted(limits, draws * limits[-1], side="right").clip(max=len(weights) - 1)
