"""Draws are functions of their coordinates: frozen, uniform, and blind to order and batching."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.randomness import draw_bits, draw_permutation, draw_uniform, make_key

KEYS = st.integers(0, 2**64 - 1)

GOLDEN_KEY = 10789119833185623076
GOLDEN_BITS = [14694784068096419070, 13669909784725233953, 6196993611221419945]
GOLDEN_UNIFORM = [0.5665615751722809, 0.7457817572627011, 0.9710027535867962]
GOLDEN_ORDER = [2, 7, 3, 4, 5, 0, 1, 6]


def test_draws_never_change() -> None:
    """Frozen values: another one means that every run in the world would be another run."""
    key = make_key(7, 0, "masked")
    assert key == GOLDEN_KEY
    assert draw_bits(key, np.arange(3), 5).tolist() == GOLDEN_BITS
    assert draw_uniform(1, np.arange(3)).tolist() == GOLDEN_UNIFORM
    assert draw_permutation(2**64 - 1, 8).tolist() == GOLDEN_ORDER


def test_every_part_of_a_key_counts() -> None:
    keys = {
        make_key(*parts)
        for parts in [(1, 2), (2, 1), (12,), ("12",), ("1", 2), (1, "2"), (1, 2, 0), ("", 1, 2), (1, -2)]
    }
    assert len(keys) == 9
    assert all(0 <= key < 2**64 for key in keys)


@pytest.mark.parametrize("axis", [0, 1])
def test_draws_are_uniform_along_every_coordinate(axis: int) -> None:
    coordinates = [np.arange(200_000), 3] if axis == 0 else [3, np.arange(200_000)]
    draws = draw_uniform(make_key(0, "test"), *coordinates)
    assert draws.min() >= 0.0 and draws.max() < 1.0
    counts = np.bincount((draws * 100).astype(int), minlength=100)
    chi_square = float(((counts - 2000.0) ** 2 / 2000.0).sum())
    assert 55 < chi_square < 160  # 99 degrees of freedom; the tails outside hold less than 1e-4
    neighbours = np.corrcoef(draws[:-1], draws[1:])[0, 1]
    assert abs(neighbours) < 0.01


def test_every_bit_is_fair() -> None:
    bits = draw_bits(make_key(1), np.arange(50_000))
    shares = [(bits >> np.uint64(place) & np.uint64(1)).mean() for place in range(64)]
    assert max(abs(share - 0.5) for share in shares) < 0.012


def test_neighbouring_keys_and_coordinates_are_unrelated() -> None:
    numbers = np.arange(20_000)
    draws = [draw_uniform(key, numbers) for key in (0, 1, 2)] + [
        draw_uniform(0, numbers, 0),
        draw_uniform(0, 0, numbers),
    ]
    correlations = np.corrcoef(draws) - np.eye(len(draws))
    assert np.abs(correlations).max() < 0.03


@given(KEYS, st.lists(st.integers(0, 2**40), min_size=1, max_size=20), st.data())
def test_a_draw_depends_on_its_coordinates_alone(key: int, samples: list[int], data: st.DataObject) -> None:
    together = draw_bits(key, np.array(samples), 4)
    order = data.draw(st.permutations(range(len(samples))))
    shuffled = draw_bits(key, np.array(samples)[list(order)], 4)
    assert shuffled.tolist() == together[list(order)].tolist()
    assert [int(draw_bits(key, sample, 4)) for sample in samples] == together.tolist()


@given(KEYS)
def test_coordinates_broadcast(key: int) -> None:
    grid = draw_uniform(key, np.arange(3)[:, None], np.arange(4)[None, :])
    assert grid.shape == (3, 4)
    assert grid[2, 1] == draw_uniform(key, 2, 1)


def test_integer_types_of_coordinates_do_not_matter() -> None:
    arrays = [np.array([3], dtype=kind) for kind in (np.int32, np.int64, np.uint8, np.uint64)]
    assert {int(draw_bits(5, array)[0]) for array in arrays} == {int(draw_bits(5, 3))}


@given(KEYS, st.integers(0, 200))
def test_a_permutation_holds_every_number_once(key: int, size: int) -> None:
    assert sorted(draw_permutation(key, size).tolist()) == list(range(size))


def test_permutations_put_every_number_everywhere() -> None:
    orders = np.stack([draw_permutation(make_key(seed), 6) for seed in range(3000)])
    for place in range(6):
        counts = np.bincount(orders[:, place], minlength=6)
        assert ((counts - 500.0) ** 2 / 500.0).sum() < 30  # 5 degrees of freedom: beyond is less than 2e-5
