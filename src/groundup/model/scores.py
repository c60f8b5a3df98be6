"""What stands between scores and probabilities: who may see whom, and what is added."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

Mask = Bool[Tensor, "_sequences _heads queries keys"] | Float[Tensor, "_sequences _heads queries keys"]
"""True where a query may see a key; or numbers to add to the scaled scores, minus infinity where it may not. The first
two sizes may be 1."""


@runtime_checkable
class Bias(Protocol):
    """What the position slot adds to the scaled scores of every block."""

    def __call__(
        self, query_positions: Int[Tensor, "_sequences queries"], key_positions: Int[Tensor, "_sequences keys"]
    ) -> Float[Tensor, "_sequences heads queries keys"]:
        """The number for each pair of places in one sequence; one row of positions stands for all sequences."""
        ...


def dense_mask(
    query_positions: Int[Tensor, "_sequences queries"],
    key_positions: Int[Tensor, "_sequences keys"],
    *,
    causal: bool,
    window: int | None = None,
    order: Int[Tensor, "_sequences queries"] | None = None,
    key_order: Int[Tensor, "_sequences keys"] | None = None,
    bias: Bias | None = None,
) -> Mask:
    """All conditions and the bias in one tensor. Every token sees itself.

    Args:
        query_positions: the places of the queries in their sequences.
        key_positions: the places of the keys.
        causal: whether a key behind the query is hidden; where there is an `order`, that alone decides.
        window: the furthest distance that is seen; None for any.
        order: of each query: keys whose own is above it are hidden.
        key_order: of each key; None where queries and keys are the same tokens.
        bias: what is added to the scores.
    """
    distances = key_positions[:, None, :] - query_positions[:, :, None]
    if order is not None:
        may_attend = (order if key_order is None else key_order)[:, None, :] <= order[:, :, None]
    else:
        may_attend = distances <= 0 if causal else torch.ones_like(distances, dtype=torch.bool)
    if window is not None:
        may_attend = may_attend & (distances.abs() <= window)
    if bias is None:
        return may_attend[:, None]
    return bias(query_positions, key_positions).masked_fill(~may_attend[:, None], -torch.inf)
