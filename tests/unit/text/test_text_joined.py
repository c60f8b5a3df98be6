"""Sources mixed by weight and sequences that grow: shares, coverage, and no state."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.text.joined import Joined, Mixed, Staged
from groundup.text.pack import Shuffled
from groundup.text.sample import EncodingReport, FlatSamples

WEIGHTS = st.lists(st.floats(0.01, 1.0), min_size=1, max_size=5)


def flat(lengths: list[int], first: int) -> FlatSamples:
    sizes = np.array(lengths, dtype=np.int32)
    return FlatSamples(
        np.arange(first, first + sizes.sum(), dtype=np.int32), sizes, EncodingReport(len(sizes), 0, 0, 0)
    )


def mix(sizes: list[int], weights: list[float], batch_size: int = 10, lengths: list[int] | None = None) -> Mixed:
    each = [
        np.full(size, length, dtype=np.int32) for size, length in zip(sizes, lengths or [8] * len(sizes), strict=True)
    ]
    return Mixed(each, weights, seed=5, batch_size=batch_size, micro_batch_tokens=10_000)


def test_joined_samples_are_numbered_through() -> None:
    one, two = flat([3, 5], 0), flat([2, 4, 6], 100)
    joined = Joined([one, two])
    assert len(joined) == 5 and joined.lengths.tolist() == [3, 5, 2, 4, 6] and joined.starts.tolist() == [0, 2]
    assert [joined[number].index for number in range(5)] == list(range(5))
    assert joined[3].input_ids.tolist() == two[1].input_ids.tolist()
    for wrong in (-1, 5):
        with pytest.raises(IndexError):
            joined[wrong]
    assert joined.digest != Joined([two, one]).digest


@given(weights=WEIGHTS, total=st.integers(0, 3000))
def test_sources_take_turns_by_their_weights(weights: list[float], total: int) -> None:
    planner = mix([50] * len(weights), weights)
    given_now, given_next = planner.count_given(total), planner.count_given(total + 1)
    assert given_now.sum() == total
    assert sorted((given_next - given_now).tolist()) == [0] * (len(weights) - 1) + [1], "one turn is one sample"
    share = np.array(weights) / sum(weights)
    assert np.abs(given_now - total * share).max() <= len(weights)


def test_a_count_is_that_of_taking_every_turn() -> None:
    planner = mix([50] * 4, [0.5, 0.3, 0.15, 0.05])
    taken = np.zeros(4, dtype=np.int64)
    for total in range(500):
        assert planner.count_given(total).tolist() == taken.tolist()
        taken[int(((taken + 0.5) / planner.rates).argmin())] += 1


def test_shares_are_of_tokens() -> None:
    """A source of long sequences gives fewer of them."""
    planner = mix([4000, 4000], [0.5, 0.5], lengths=[10, 40])
    chosen = np.concatenate([each for step in range(200) for each in planner.plan(step).micro_batches])
    tokens = planner.lengths[chosen]
    assert tokens[chosen < 4000].sum() / tokens.sum() == pytest.approx(0.5, abs=0.01)
    assert (chosen < 4000).mean() == pytest.approx(0.8, abs=0.01)


def test_a_source_that_is_used_up_starts_again_in_a_fresh_order() -> None:
    planner = mix([60, 7], [0.5, 0.5])
    plans = [planner.plan(step) for step in range(12)]
    chosen = [int(each) for plan in plans for run in plan.micro_batches for each in run]
    assert sorted(each for each in chosen if each < 60) == list(range(60))
    counts = np.bincount([each - 60 for each in chosen if each >= 60])
    assert set(counts.tolist()) <= {8, 9}, "60 samples are eight passes over 7 and a part of one"
    assert [plan.draw for plan in plans] == list(range(12)), "what comes back is corrupted in another way"
    assert planner.steps_per_epoch == 12 and {plan.epoch for plan in plans} == {0}
    assert planner.plan(12).epoch == 1


def test_a_plan_knows_no_history() -> None:
    planner = mix([60, 7, 30], [0.5, 0.2, 0.3])
    later = [run.tolist() for run in planner.plan(17).micro_batches]
    assert later == [run.tolist() for run in mix([60, 7, 30], [0.5, 0.2, 0.3]).plan(17).micro_batches]


def test_stages_follow_each_other() -> None:
    stages = [
        Shuffled(np.full(size, length, dtype=np.int32), seed=1, batch_size=batch, micro_batch_tokens=999)
        for size, length, batch in ((40, 4, 8), (20, 8, 4), (10, 16, 2))
    ]
    planner = Staged(stages, [3, 7], [0, 40, 60])
    assert [planner.stage(step) for step in range(9)] == [0, 0, 0, 1, 1, 1, 1, 2, 2]
    for step in range(9):
        chosen = np.concatenate(planner.plan(step).micro_batches)
        low, high = [(0, 40), (40, 60), (60, 70)][planner.stage(step)]
        assert ((low <= chosen) & (chosen < high)).all()
        assert planner.plan(step).step == step
        assert len(chosen) * [4, 8, 16][planner.stage(step)] == 32, "a step has as many tokens in every stage"
    assert np.array_equal(planner.plan(3).micro_batches[0], stages[1].plan(0).micro_batches[0] + 40)
