from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from groundup.errors import DataError
from groundup.metrics import interval
from groundup.metrics.interval import (
    bootstrap_counts,
    bootstrap_difference,
    bootstrap_mean,
    bootstrap_ratio,
    bootstrap_share,
    difference_interval,
    mean_interval,
    resample_counts,
    student_t_quantile,
    student_t_tails,
    wilson_interval,
)


@settings(max_examples=200, deadline=None)
@given(st.floats(0.001, 0.999), st.one_of(st.integers(1, 40), st.integers(41, 3000)))
def test_quantile_of_student_t_equals_scipy(probability: float, degrees: int) -> None:
    expected = stats.t.ppf(probability, degrees)
    assert student_t_quantile(probability, degrees) == pytest.approx(expected, rel=1e-8, abs=1e-8)


def test_quantile_of_student_t_at_its_edges() -> None:
    assert student_t_quantile(0.5, 7) == pytest.approx(0.0, abs=1e-12)
    assert student_t_quantile(0.975, 1) == pytest.approx(12.706204736, abs=1e-6)
    assert student_t_quantile(0.975, 2) == pytest.approx(4.302652730, abs=1e-6)
    assert student_t_quantile(0.975, 100_000) == pytest.approx(stats.norm.ppf(0.975), abs=1e-4)
    for probability, degrees in ((0.0, 3), (1.0, 3), (0.5, 0)):
        with pytest.raises(ValueError, match="got"):
            student_t_quantile(probability, degrees)


def test_interval_over_seeds_equals_scipy() -> None:
    values = np.array([0.81, 0.84, 0.80, 0.86, 0.83])
    found = mean_interval(values)
    expected = stats.t.interval(0.95, 4, loc=values.mean(), scale=stats.sem(values))
    assert found.value == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx(expected, abs=1e-9)
    with pytest.raises(DataError, match="at least 2"):
        mean_interval(np.array([0.5]))


def test_pairs_are_surer_than_the_same_numbers_apart() -> None:
    first = np.array([0.80, 0.70, 0.90, 0.60, 0.85])
    second = first - np.array([0.02, 0.03, 0.02, 0.01, 0.02])
    paired = difference_interval(first, second)
    assert paired.value == pytest.approx(0.02)
    assert paired.low > 0
    shuffled = difference_interval(first, second[[3, 0, 4, 1, 2]])
    assert shuffled.value == pytest.approx(paired.value)
    assert shuffled.low < 0
    with pytest.raises(DataError, match="as many"):
        difference_interval(first, second[:3])


def test_interval_by_counts_is_that_of_drawing_items_one_by_one() -> None:
    generator = np.random.default_rng(1)
    right = generator.random(300) < 0.7
    counts = np.array([(~right).sum(), right.sum()])
    fast = bootstrap_counts(counts, lambda each: each[..., 1] / each.sum(axis=-1), num_resamples=20_000)
    slow = [right[generator.integers(0, 300, 300)].mean() for _ in range(20_000)]
    assert (fast.low, fast.high) == pytest.approx(np.quantile(slow, [0.025, 0.975]), abs=0.005)
    assert fast.value == right.mean()


def test_resampled_tables_keep_their_total_and_their_expectation() -> None:
    counts = np.array([[50, 5], [10, 35]])
    drawn = resample_counts(counts, 4000, seed=3)
    assert drawn.shape == (4000, 2, 2)
    assert (drawn.sum(axis=(1, 2)) == 100).all()
    np.testing.assert_allclose(drawn.mean(axis=0), counts, atol=0.4)


def test_bootstrap_of_a_mean_has_the_width_of_theory_and_repeats() -> None:
    values = np.random.default_rng(2).normal(5.0, 2.0, 400)
    found = bootstrap_mean(values)
    theory = 2 * 1.96 * values.std() / np.sqrt(400)
    assert found.high - found.low == pytest.approx(theory, rel=0.1)
    assert found == bootstrap_mean(values)
    assert found != bootstrap_mean(values, seed=1)


def test_memory_bound_does_not_change_the_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(4).normal(size=50)
    whole = bootstrap_mean(values, num_resamples=200)
    monkeypatch.setattr(interval, "_MAX_DRAWS", 70)
    assert bootstrap_mean(values, num_resamples=200) == whole


def test_parts_of_one_item_are_drawn_together() -> None:
    # 40 sentences of 10 tokens, each wholly right or wholly wrong: 40 facts, not 400.
    right = np.repeat(np.arange(40) % 2, 10).astype(float)
    alone = bootstrap_mean(right)
    together = bootstrap_ratio(right.reshape(40, 10).sum(axis=1), np.full(40, 10.0))
    assert together.value == alone.value
    assert together.high - together.low > 2.5 * (alone.high - alone.low)


def test_paired_bootstrap_sees_a_small_steady_difference() -> None:
    generator = np.random.default_rng(5)
    difficulty = generator.normal(0.0, 1.0, 500)
    first, second = difficulty + 0.05 + generator.normal(0, 0.05, 500), difficulty + generator.normal(0, 0.05, 500)
    paired = bootstrap_difference(first, second)
    assert 0 < paired.low < 0.05 < paired.high
    assert bootstrap_mean(first).low < bootstrap_mean(second).high


def test_coverage_of_the_interval_is_near_what_it_says() -> None:
    generator = np.random.default_rng(6)
    covered = [
        (lambda found: found.low <= 0.0 <= found.high)(
            bootstrap_mean(generator.normal(size=60), num_resamples=300, seed=i)
        )
        for i in range(300)
    ]
    assert 0.90 <= np.mean(covered) <= 0.98


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 500), st.data())
def test_interval_of_wilson_equals_scipy(count: int, data: st.DataObject) -> None:
    right = data.draw(st.integers(0, count))
    expected = stats.binomtest(right, count).proportion_ci(0.95, method="wilson")
    assert wilson_interval(right / count, count) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_share_at_its_edge_has_a_width(value: float) -> None:
    # 20 of 20 right do not mean that nothing can go wrong: about one in six may.
    rights = np.full(20, value)
    blind = bootstrap_mean(rights)
    assert blind.low == blind.high
    found = bootstrap_share(rights)
    assert found.value == value
    assert found.high - found.low == pytest.approx(0.161, abs=0.001)
    clustered = bootstrap_share(rights * 7, np.full(20, 7.0))
    assert clustered == found, "items count, not their parts"
    assert bootstrap_share(rights.astype(bool)) == found


def test_a_share_inside_is_the_plain_bootstrap() -> None:
    right = np.arange(200) % 3 == 0
    found = bootstrap_share(right)
    slow = bootstrap_mean(right.astype(float))
    assert found.value == slow.value
    assert (found.low, found.high) == pytest.approx((slow.low, slow.high), abs=0.01)
    with pytest.raises(ValueError, match="share"):
        wilson_interval(1.1, 3)


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 9, 30])
def test_the_tails_of_students_t_are_those_of_scipy(degrees: int) -> None:
    for t in (-3.5, -0.2, 0.0, 0.7, 2.1, 12.0):
        assert student_t_tails(t, degrees) == pytest.approx(2 * stats.t.sf(abs(t), degrees), abs=1e-12)
    assert student_t_tails(student_t_quantile(0.975, degrees), degrees) == pytest.approx(0.05)
