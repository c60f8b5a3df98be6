"""The norm slot: one function that keeps the scale of the residual stream."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from groundup.model.config import LayerNormConfig, RMSNormConfig


class LayerNorm(nn.Module):
    """(x - mean) / sqrt(variance + eps) * weight + bias over the last axis (Ba et al. 2016)."""

    def __init__(self, config: LayerNormConfig, size: int) -> None:
        super().__init__()
        self.eps = config.eps
        self.weight = nn.Parameter(torch.ones(size))
        self.bias = nn.Parameter(torch.zeros(size)) if config.bias else None

    def forward(self, hidden: Float[Tensor, "*rows size"]) -> Float[Tensor, "*rows size"]:
        """Normalise each row."""
        return functional.layer_norm(hidden, self.weight.shape, self.weight, self.bias, self.eps)


class RMSNorm(nn.Module):
    """x / sqrt(mean(x^2) + eps) * weight over the last axis (Zhang and Sennrich 2019)."""

    def __init__(self, config: RMSNormConfig, size: int) -> None:
        super().__init__()
        self.eps = config.eps
        self.weight = nn.Parameter(torch.ones(size))

    def forward(self, hidden: Float[Tensor, "*rows size"]) -> Float[Tensor, "*rows size"]:
        """Normalise each row."""
        return functional.rms_norm(hidden, self.weight.shape, self.weight, self.eps)


def build_norm(config: LayerNormConfig | RMSNormConfig, size: int) -> LayerNorm | RMSNorm:
    """The norm that the config names, over vectors of `size`."""
    if isinstance(config, RMSNormConfig):
        return RMSNorm(config, size)
    return LayerNorm(config, size)
