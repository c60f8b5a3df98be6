"""Norms against float64 references written from their formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from groundup.model.config import LayerNormConfig, RMSNormConfig
from groundup.model.norm import build_norm


def draw() -> torch.Tensor:
    return torch.randn(7, 12, generator=torch.Generator().manual_seed(0)) * 3 + 1


@pytest.mark.parametrize("has_bias", [True, False])
def test_layer_norm(has_bias: bool) -> None:
    norm = build_norm(LayerNormConfig(eps=1e-3, bias=has_bias), 12)
    x, weight, bias = draw().double().numpy(), np.linspace(0.5, 2, 12), np.linspace(-1, 1, 12) * has_bias
    with torch.no_grad():
        norm.weight.copy_(torch.from_numpy(weight))
        if has_bias:
            norm.bias.copy_(torch.from_numpy(bias))

    def expect(eps: float) -> np.ndarray:
        return (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + eps) * weight + bias

    out = norm(draw()).detach().numpy()
    assert np.abs(out - expect(1e-3)).max() < 1e-5
    assert np.abs(out - expect(1e-2)).max() > 1e-4
    assert len(list(norm.parameters())) == 1 + has_bias


def test_rms_norm() -> None:
    norm = build_norm(RMSNormConfig(eps=1e-3), 12)
    x, weight = draw().double().numpy(), np.linspace(0.5, 2, 12)
    with torch.no_grad():
        norm.weight.copy_(torch.from_numpy(weight))

    def expect(eps: float) -> np.ndarray:
        return x / np.sqrt((x**2).mean(1, keepdims=True) + eps) * weight

    out = norm(draw()).detach().numpy()
    assert np.abs(out - expect(1e-3)).max() < 1e-5
    assert np.abs(out - expect(1e-2)).max() > 1e-4
    assert [name for name, _ in norm.named_parameters()] == ["weight"]
