"""Dropout."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


class Dropout(nn.Module):
    """Zero each value with probability `p` in training and scale the others so that the expectation stays."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, hidden: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Drop in training; the identity otherwise."""
        return functional.dropout(hidden, self.p, self.training)
