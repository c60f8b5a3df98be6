from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.errors import DataError
from groundup.text.pack import Shuffled, cut_by_tokens

LENGTHS = st.lists(st.integers(1, 200), min_size=1, max_size=80).map(lambda values: np.array(values, dtype=np.int32))


def make_planner(lengths: np.ndarray, **changed: int) -> Shuffled:
    values = {"seed": 3, "batch_size": 8, "micro_batch_tokens": 256, "num_ranks": 1} | changed
    return Shuffled(lengths, **values)


def samples_of(planner: Shuffled, step: int) -> list[int]:
    return np.concatenate(planner.plan(step).micro_batches).tolist()


@given(lengths=LENGTHS, batch_size=st.integers(1, 30), num_ranks=st.integers(1, 4))
def test_every_sample_comes_once_an_epoch(lengths: np.ndarray, batch_size: int, num_ranks: int) -> None:
    planner = make_planner(lengths, batch_size=batch_size, num_ranks=num_ranks)
    for epoch in range(2):
        steps = range(epoch * planner.steps_per_epoch, (epoch + 1) * planner.steps_per_epoch)
        seen = [sample for step in steps for sample in samples_of(planner, step)]
        assert sorted(seen) == list(range(len(lengths)))
        assert all(planner.plan(step).epoch == epoch for step in steps)


@given(lengths=LENGTHS, max_tokens=st.integers(1, 500), num_ranks=st.integers(1, 4))
def test_micro_batches_hold_all_samples_and_respect_the_limit(
    lengths: np.ndarray, max_tokens: int, num_ranks: int
) -> None:
    chosen = np.arange(len(lengths), dtype=np.int64)
    runs = cut_by_tokens(chosen, lengths, max_tokens, num_ranks)
    assert sorted(np.concatenate(runs).tolist()) == chosen.tolist()
    assert all(len(run) > 0 for run in runs)
    assert all(len(run) == 1 or int(lengths[run].sum()) <= max_tokens for run in runs)
    assert len(runs) % num_ranks == 0 or len(runs) == len(lengths)


@given(lengths=LENGTHS, step=st.integers(0, 20))
def test_the_samples_of_a_step_do_not_depend_on_ranks_or_micro_batches(lengths: np.ndarray, step: int) -> None:
    expected = sorted(samples_of(make_planner(lengths), step))
    for num_ranks in (1, 2, 3):
        for tokens in (200, 1000):
            planner = make_planner(lengths, num_ranks=num_ranks, micro_batch_tokens=tokens)
            plan = planner.plan(step)
            dealt = [run for rank in range(num_ranks) for run in plan.of(rank, num_ranks)]
            assert sorted(np.concatenate(dealt).tolist()) == expected


def test_samples_lie_longest_first_then_by_number() -> None:
    lengths = np.array([5, 9, 5, 7, 9], dtype=np.int32)
    runs = cut_by_tokens(np.array([4, 2, 0, 3, 1], dtype=np.int64), lengths, 1000)
    assert np.concatenate(runs).tolist() == [1, 4, 3, 0, 2]


@given(lengths=LENGTHS)
def test_a_plan_is_a_function_of_its_arguments(lengths: np.ndarray) -> None:
    one, other = make_planner(lengths), make_planner(lengths)
    other.plan(11)
    for step in (7, 2, 7):
        for left, right in zip(one.plan(step).micro_batches, other.plan(step).micro_batches, strict=True):
            assert left.tolist() == right.tolist()


def test_epochs_and_seeds_differ() -> None:
    lengths = np.full(64, 10, dtype=np.int32)
    planner = make_planner(lengths)
    assert set(samples_of(planner, 0)) != set(samples_of(planner, planner.steps_per_epoch))
    assert set(samples_of(planner, 0)) != set(samples_of(make_planner(lengths, seed=4), 0))


def test_micro_batches_are_even() -> None:
    lengths = np.random.default_rng(0).integers(5, 60, size=256).astype(np.int32)
    runs = cut_by_tokens(np.arange(256), lengths, 2048)
    sizes = [int(lengths[run].sum()) for run in runs]
    assert len(runs) <= 1 + -(-int(lengths.sum()) // 2048)
    assert max(sizes) - min(sizes) <= 120


def test_no_samples() -> None:
    with pytest.raises(DataError, match=r"data\.train: holds no sample"):
        make_planner(np.array([], dtype=np.int32))
    assert cut_by_tokens(np.array([], dtype=np.int64), np.array([3], dtype=np.int32), 10) == ()
