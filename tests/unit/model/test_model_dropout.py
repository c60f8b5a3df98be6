"""Dropout: its rate, its expectation, its gradient, and that it is a function of the seed."""

from __future__ import annotations

import pytest
import torch

from groundup.model.dropout import Dropout, draw_signs, dropout, keep_rate


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_rate_and_scale(p: float) -> None:
    torch.manual_seed(0)
    out = dropout(torch.ones(400, 501), p)
    kept = out != 0
    size = out.numel()
    assert abs(kept.float().mean().item() - (1 - p)) < 5 * (p * (1 - p) / size) ** 0.5
    assert torch.allclose(out[kept], torch.tensor(1 / keep_rate(p)))
    assert abs(keep_rate(p) - (1 - p)) <= 2**-17
    # No row, column or neighbour tells of another: correlations as small as chance makes them.
    mask = kept.float() - kept.float().mean()
    for one, other in ((mask[:, 1:], mask[:, :-1]), (mask[1:], mask[:-1]), (mask[:, 4:], mask[:, :-4])):
        assert abs((one * other).mean().item()) < 5 * p * (1 - p) / size**0.5


def test_gradient_passes_where_values_passed() -> None:
    torch.manual_seed(0)
    hidden = torch.randn(50, 7, requires_grad=True)
    out = dropout(hidden, 0.3)
    out.sum().backward()
    assert torch.equal(hidden.grad, (out != 0) / torch.tensor(keep_rate(0.3)))


def test_it_follows_the_seed_and_not_the_threads() -> None:
    hidden, threads = torch.randn(300, 301), torch.get_num_threads()
    draws = []
    try:
        for seed, num_threads in ((1, 1), (1, 2), (2, 1)):
            torch.set_num_threads(num_threads)
            torch.manual_seed(seed)
            draws.append(dropout(hidden, 0.1))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    assert not torch.equal(dropout(hidden, 0.1), dropout(hidden, 0.1))


def test_only_training_drops() -> None:
    hidden, module = torch.randn(20, 20), Dropout(0.5)
    assert not torch.equal(module(hidden), hidden)
    assert module.eval()(hidden) is hidden
    assert Dropout(0.0)(hidden) is hidden


def test_signs_have_the_rate_and_are_never_zero() -> None:
    torch.manual_seed(0)
    signs = draw_signs(200_001, 0.25)
    assert len(signs) == 200_001
    assert signs.abs().min() >= 0.5
    assert abs((signs < 0).float().mean().item() - 0.25) < 0.005


def test_it_works_in_bfloat16() -> None:
    out = dropout(torch.ones(64, 64, dtype=torch.bfloat16), 0.5)
    assert out.dtype == torch.bfloat16
    assert set(out.unique().tolist()) == {0.0, 2.0}
