"""The next token of every sequence from its logits."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from groundup.decoding.config import Decoding
from groundup.randomness import draw_uniform, make_key


def choose(
    logits: Float[Tensor, "sequences vocab"], decoding: Decoding, numbers: Int[np.ndarray, " sequences"], step: int
) -> Int[Tensor, " sequences"]:
    """One token each; where tokens are drawn, by a function of seed, number of the sequence and step alone.

    Args:
        logits: of the next token.
        decoding: greedy, or temperature with `top_k`, `top_p` and `min_p`.
        numbers: of the sequences, the same in whatever batch they stand.
        step: the number of the token, counted from 0.
    """
    if decoding.temperature == 0.0:
        return logits.argmax(dim=-1)
    shares, order = distribution(logits, decoding)
    drawn = draw_uniform(make_key(decoding.seed, "next token"), numbers, step)
    sums = shares.cumsum(dim=-1)
    point = torch.from_numpy(drawn).to(sums.device)[:, None] * sums[:, -1:]
    place = (sums <= point).sum(dim=-1, keepdim=True)
    last = (shares > 0).sum(dim=-1, keepdim=True) - 1  # rounding must not reach a token of probability 0
    return order.gather(-1, torch.minimum(place, last))[:, 0]


def distribution(
    logits: Float[Tensor, "sequences vocab"], decoding: Decoding
) -> tuple[Float[Tensor, "sequences vocab"], Int[Tensor, "sequences vocab"]]:
    """Probabilities from the largest to the smallest, 0 for what the rules leave out, and whose they are."""
    ordered, order = logits.double().sort(dim=-1, descending=True, stable=True)
    shares = (ordered / decoding.temperature).softmax(dim=-1)
    if decoding.top_k is not None:
        shares[:, decoding.top_k :] = 0.0
        shares /= shares.sum(dim=-1, keepdim=True)
    if decoding.top_p is not None:
        before = shares.cumsum(dim=-1) - shares
        shares = shares.masked_fill(before >= decoding.top_p, 0.0)
        shares /= shares.sum(dim=-1, keepdim=True)
    if decoding.min_p is not None:
        shares = shares.masked_fill(shares < decoding.min_p * shares[:, :1], 0.0)
        shares /= shares.sum(dim=-1, keepdim=True)
    return shares, order
