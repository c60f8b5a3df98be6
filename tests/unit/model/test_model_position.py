"""Positions against float64 references: the two sinusoidal formulas from the paper, rotary as complex numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from groundup.model.config import (
    LearnedPositions,
    LinearScaling,
    Llama3Scaling,
    ModelConfig,
    NoPositions,
    RelativeBias,
    RotaryPositions,
    SinusoidalPositions,
    Window,
)
from groundup.model.position import NOWHERE, build_position, frequencies, sinusoids

CPU = torch.device("cpu")


def config(**values: object) -> ModelConfig:
    return ModelConfig(vocab_size=20, hidden_size=32, num_heads=4, max_length=600, **values)


@pytest.mark.parametrize("size", [32, 33])
def test_sinusoidal_formulas(size: int) -> None:
    """PE(pos, 2i) = sin(pos / 10000^(2i/d)) and PE(pos, 2i+1) = cos(pos / 10000^(2i/d)): Vaswani et al. 2017, 3.5."""
    table = sinusoids(600, size, 10000.0, CPU).double().numpy()
    expected = np.zeros((600, size))
    for position in range(600):
        for dimension in range(size):
            angle = position / 10000 ** (2 * (dimension // 2) / size)
            expected[position, dimension] = math.cos(angle) if dimension % 2 else math.sin(angle)
    assert np.abs(table - expected).max() < 1e-7
    assert np.abs(sinusoids(600, size, 9999.0, CPU).double().numpy() - expected).max() > 1e-5


def test_sinusoidal_slot_looks_positions_up_and_scales_tokens() -> None:
    position = build_position(config(position=SinusoidalPositions()))
    ids = torch.tensor([0, 1, 2, 0, 599])
    assert torch.equal(position.embed(ids), sinusoids(600, 32, 10000.0, CPU)[ids])
    assert position.token_scale == pytest.approx(math.sqrt(32))
    assert build_position(config(position=SinusoidalPositions(scale_embedding=False))).token_scale == 1.0
    assert position.place(ids) == NOWHERE
    assert not list(position.parameters())


def test_rotary_is_a_complex_rotation() -> None:
    position = build_position(config(position=RotaryPositions(base=500.0)))
    ids = torch.tensor([0, 1, 2, 3, 0, 599])
    heads = torch.randn(6, 4, 8, generator=torch.Generator().manual_seed(0))
    out = position.place(ids).rotation.apply(heads).double().numpy()

    def expect(base: float) -> np.ndarray:
        x = heads.double().numpy()
        z = x[..., :4] + 1j * x[..., 4:]
        frequency = base ** (-2 * np.arange(4) / 8)
        turned = z * np.exp(1j * ids.numpy()[:, None, None] * frequency)
        return np.concatenate([turned.real, turned.imag], axis=-1)

    assert np.abs(out - expect(500.0)).max() < 1e-6
    assert np.abs(out - expect(499.0)).max() > 1e-3


def test_linear_scaling_is_a_longer_ruler() -> None:
    position = build_position(config(position=RotaryPositions(scaling=LinearScaling(factor=4.0))))
    plain = build_position(config(position=RotaryPositions()))
    ids = torch.arange(100)
    for found, expected in zip(position.place(4 * ids).rotation, plain.place(ids).rotation, strict=True):
        assert (found - expected).abs().max() < 1e-6
    assert (position.place(ids).rotation.cos - plain.place(ids).rotation.cos).abs().max() > 0.1


def test_llama3_scaling_by_wavelength() -> None:
    """By wavelengths, as Meta wrote it: below 8192 / 4 as it was, above 8192 / 1 divided by 8, between a blend."""
    plain, found = frequencies(128, 500000.0), frequencies(128, 500000.0, Llama3Scaling(factor=8.0))
    kinds = set()
    for frequency, scaled in zip(plain, found, strict=True):
        wavelength = 2 * math.pi / frequency
        if wavelength < 8192 / 4.0:
            expected, kind = frequency, "fast"
        elif wavelength > 8192 / 1.0:
            expected, kind = frequency / 8, "slow"
        else:
            smooth = (8192 / wavelength - 1.0) / (4.0 - 1.0)
            expected, kind = (1 - smooth) * frequency / 8 + smooth * frequency, "blended"
        assert scaled == pytest.approx(expected, rel=1e-12)
        kinds.add(kind)
    assert kinds == {"fast", "slow", "blended"}
    with pytest.raises(ValueError, match="high: must be above low 4, got 2"):
        Llama3Scaling(factor=8.0, low=4.0, high=2.0)


def test_a_window_with_a_base_of_its_own_is_not_scaled() -> None:
    scaled = RotaryPositions(base=500.0, scaling=LinearScaling(factor=4.0))
    ids = torch.arange(50)
    for base, expected in ((None, scaled), (77.0, RotaryPositions(base=77.0))):
        position = build_position(config(position=scaled, window=Window(size=3, layers=(0,), base=base)))
        local = position.place(ids, is_local=True).rotation
        assert torch.equal(local.cos, build_position(config(position=expected)).place(ids).rotation.cos)
        assert torch.equal(position.place(ids).rotation.cos, build_position(config(position=scaled)).place(ids)[0].cos)


def test_rotary_products_depend_on_distance_alone() -> None:
    position = build_position(config(position=RotaryPositions()))
    q, k = torch.randn(2, 1, 4, 8, generator=torch.Generator().manual_seed(1))

    def product(query_at: int, key_at: int) -> torch.Tensor:
        query, key = (position.place(torch.tensor([at])).rotation.apply(x) for at, x in ((query_at, q), (key_at, k)))
        return (query * key).sum(-1)

    assert torch.allclose(product(10, 3), product(507, 500), atol=1e-4)
    assert not torch.allclose(product(10, 3), product(10, 4), atol=1e-2)


def test_tables_made_without_gradients_serve_training() -> None:
    position = build_position(config(position=RotaryPositions(base=77.0)))
    with torch.inference_mode():
        position.place(torch.arange(3))
    heads = torch.randn(3, 4, 8, requires_grad=True)
    position.place(torch.arange(3)).rotation.apply(heads).sum().backward()
    assert heads.grad is not None


def test_no_position_does_nothing() -> None:
    position = build_position(config(position=NoPositions(), causal=True))
    assert position.embed(torch.arange(3)) is None
    assert position.place(torch.arange(3)) == NOWHERE


def test_sinusoids_in_halves_are_the_interleaved_ones_in_another_order() -> None:
    for size in (32, 33):
        halves, turns = (sinusoids(50, size, 10000.0, CPU, layout) for layout in ("halves", "interleaved"))
        assert torch.equal(halves, torch.cat([turns[:, 0::2], turns[:, 1::2]], dim=1))
        assert not torch.equal(halves, turns)
    position = build_position(config(position=SinusoidalPositions(layout="halves")))
    assert torch.equal(position.embed(torch.tensor([7])), sinusoids(600, 32, 10000.0, CPU, "halves")[7:8])


def test_learned_positions_start_behind_their_offset() -> None:
    position = build_position(config(position=LearnedPositions(offset=2, scale_embedding=True)))
    assert position.weight.shape == (602, 32)
    assert position.token_scale == pytest.approx(math.sqrt(32))
    torch.nn.init.normal_(position.weight)
    assert torch.equal(position.embed(torch.tensor([0, 599])), position.weight[[2, 601]])
    plain = build_position(config(position=LearnedPositions()))
    assert plain.weight.shape == (600, 32)
    assert plain.token_scale == 1.0


def bucket_of(distance: int, num_buckets: int, max_distance: int, is_causal: bool) -> int:
    """Raffel et al. 2020, section 2.1: half of the buckets for single distances, the others on a logarithmic scale."""
    first = 0
    if is_causal:
        steps = max(0, -distance)
    else:
        num_buckets //= 2
        first, steps = (num_buckets if distance > 0 else 0), abs(distance)
    single = num_buckets // 2
    if steps < single:
        return first + steps
    share = math.log(steps / single) / math.log(max_distance / single)
    return first + min(num_buckets - 1, single + int(share * (num_buckets - single) + 1e-6))


@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.parametrize(("num_buckets", "max_distance"), [(32, 128), (8, 20), (4, 3), (64, 300)])
def test_relative_bias_is_a_table_of_logarithmic_buckets(num_buckets: int, max_distance: int, is_causal: bool) -> None:
    slot = RelativeBias(num_buckets=num_buckets, max_distance=max_distance)
    position = build_position(config(position=slot, causal=is_causal))
    assert position.weight.shape == (num_buckets, 4)
    torch.nn.init.normal_(position.weight)
    queries, keys = torch.tensor([[0, 150, 599]]), torch.arange(600)[None]
    found = position.place(keys[0]).bias(queries, keys)
    assert found.shape == (1, 4, 3, 600)
    for row, query in enumerate(queries[0].tolist()):
        expected = [bucket_of(key - query, num_buckets, max_distance, is_causal) for key in range(600)]
        assert torch.equal(found[0, :, row], position.weight[expected].T)
    other = position.weight[[bucket_of(key - 150, num_buckets, max_distance, not is_causal) for key in range(600)]].T
    assert not torch.equal(found[0, :, 1], other)


def test_impossible_buckets_are_refused() -> None:
    with pytest.raises(ValidationError, match="must be even, got 7"):
        RelativeBias(num_buckets=7)
    with pytest.raises(ValidationError, match="must be above the 16 distances"):
        RelativeBias(max_distance=16)
