"""Packing by tokens: nothing is lost, nothing is too full, next to nothing is empty, every epoch has as many steps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.errors import ConfigError, DataError
from groundup.text.best_fit import BestFit, find_patterns
from groundup.text.pack import Shuffled

LENGTHS = st.lists(st.integers(1, 64), min_size=1, max_size=200).map(lambda values: np.array(values, dtype=np.int32))


def make(lengths: np.ndarray, **changed: int) -> BestFit:
    return BestFit(lengths, **({"seed": 3, "batch_tokens": 256, "micro_batch_tokens": 64} | changed))


@given(lengths=LENGTHS)
def test_patterns_use_every_sequence_once_and_never_overflow(lengths: np.ndarray) -> None:
    patterns = find_patterns(np.bincount(lengths), 64)
    used = [length for pattern in patterns for length in pattern.lengths * pattern.times]
    assert sorted(used) == sorted(lengths.tolist())
    assert all(sum(pattern.lengths) <= 64 for pattern in patterns)


@given(lengths=LENGTHS)
def test_two_packs_never_fit_into_one(lengths: np.ndarray) -> None:
    """Greed leaves at most one pack half empty: that is the bound of two times the least number."""
    sums = [sum(pattern.lengths) for pattern in find_patterns(np.bincount(lengths), 64) for _ in range(pattern.times)]
    assert sum(each <= 32 for each in sums) <= 1


@given(lengths=LENGTHS, batch=st.sampled_from([64, 128, 320]))
def test_every_sample_comes_once_an_epoch(lengths: np.ndarray, batch: int) -> None:
    planner = make(lengths, batch_tokens=batch)
    epochs = []
    for epoch in range(2):
        plans = [planner.plan(epoch * planner.steps_per_epoch + step) for step in range(planner.steps_per_epoch)]
        assert {plan.epoch for plan in plans} == {plan.draw for plan in plans} == {epoch}
        packs = [pack for plan in plans for pack in plan.micro_batches]
        assert sorted(np.concatenate(packs).tolist()) == list(range(len(lengths)))
        assert all(0 < int(lengths[pack].sum()) <= 64 for pack in packs)
        assert all(len(plan.micro_batches) == batch // 64 for plan in plans[:-1])
        assert all(np.all(np.diff(lengths[pack]) <= 0) for pack in packs), "equal lengths must stand side by side"
        epochs.append(packs)
    if len(lengths) > 50:
        assert [pack.tolist() for pack in epochs[0]] != [pack.tolist() for pack in epochs[1]]
    again = make(lengths, batch_tokens=batch).plan(planner.steps_per_epoch)
    expected = planner.plan(planner.steps_per_epoch)
    assert [pack.tolist() for pack in again.micro_batches] == [pack.tolist() for pack in expected.micro_batches]


@pytest.mark.parametrize("draw", ["sentences", "documents"])
def test_less_than_two_percent_stays_empty(draw: str) -> None:
    """Lengths as a corpus has them, packed into rows of 512 tokens; in their order of arrival far more is lost."""
    generator = np.random.default_rng(0)
    scale = 20 if draw == "sentences" else 200
    lengths = np.minimum(512, 8 + generator.exponential(scale, 20_000)).astype(np.int32)
    planner = make(lengths, batch_tokens=512 * 8, micro_batch_tokens=512)
    assert planner.fill > 0.98
    rows, room = 0, 0
    for length in lengths.tolist():
        if length > room:
            rows, room = rows + 1, 512
        room -= length
    assert lengths.sum() / (rows * 512) < (0.98 if draw == "sentences" else 0.85)
    assert np.mean([planner.lengths[pack].sum() for pack in planner.plan(0).micro_batches]) > 0.9 * 512


def test_the_order_is_no_function_of_how_much_a_step_takes() -> None:
    lengths = np.random.default_rng(1).integers(1, 60, 500).astype(np.int32)
    small, large = make(lengths, batch_tokens=64), make(lengths, batch_tokens=256)
    four = [pack.tolist() for step in range(4) for pack in small.plan(step).micro_batches]
    assert four == [pack.tolist() for pack in large.plan(0).micro_batches]


def test_what_does_not_fit_is_told() -> None:
    lengths = np.array([10, 65], dtype=np.int32)
    with pytest.raises(ConfigError, match=r"train\.micro_batch_tokens: a sample of 65 tokens has no room"):
        make(lengths)
    with pytest.raises(ConfigError, match=r"train\.batch_tokens: must be a multiple of train\.micro_batch_tokens 64"):
        make(lengths[:1], batch_tokens=100)
    assert make(lengths[:1], batch_tokens=32).capacity == 32
    with pytest.raises(DataError, match="holds no sample"):
        make(lengths[:0])


def test_samples_of_one_length_are_drawn_anew() -> None:
    """All of one length: the packs of an epoch are a shuffle as good as that of any planner."""
    lengths = np.full(1000, 16, dtype=np.int32)
    first = np.concatenate(make(lengths).plan(0).micro_batches)
    assert 380 < first.mean() < 620
    assert not np.array_equal(np.sort(first), np.arange(len(first)))
    assert Shuffled(lengths, seed=3, batch_size=16, micro_batch_tokens=64).plan(0).capacity is None
