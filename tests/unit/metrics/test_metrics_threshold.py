from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.errors import DataError
from groundup.metrics.threshold import best_threshold

SHARES = st.one_of(st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.floats(0.0, 1.0))


@given(st.lists(st.tuples(SHARES, st.booleans()), min_size=1, max_size=25))
@settings(max_examples=100, deadline=None)
def test_no_other_threshold_has_a_larger_f1(items: list[tuple[float, bool]]) -> None:
    scores, truth = np.array([share for share, _ in items]), np.array([is_yes for _, is_yes in items])
    found = best_threshold(scores, truth)
    assert 0.0 < found <= 1.0
    # 0 is no threshold: all would be a yes, whatever the model says.
    others = [each for each in {*scores.tolist(), 0.5} if each > 0]
    assert find_f1(truth, scores >= found) >= max(find_f1(truth, scores >= other) for other in others) - 1e-12


def find_f1(truth: np.ndarray, found: np.ndarray) -> float:
    total = int(truth.sum() + found.sum())
    return 2 * int((truth & found).sum()) / total if total else 0.0


def test_it_lies_in_the_middle_and_near_one_half() -> None:
    assert best_threshold(np.array([0.1, 0.3, 0.7]), np.array([False, False, True])) == pytest.approx(0.5)
    assert best_threshold(np.array([0.1, 0.2, 0.3]), np.array([False, True, True])) == pytest.approx(0.15)
    # Both cuts give F1 = 2/3; the nearer one to 0.5 is taken.
    assert best_threshold(np.array([0.9, 0.4, 0.3, 0.2]), np.array([True, False, False, True])) == pytest.approx(0.65)
    assert best_threshold(np.array([0.3, 0.3]), np.array([True, False])) == pytest.approx(0.15), "equal scores stay one"


def test_what_is_no_probability_is_refused() -> None:
    with pytest.raises(DataError, match=r"is no probability, got 1\.5"):
        best_threshold(np.array([0.2, 1.5]), np.array([True, False]))
    with pytest.raises(DataError, match="no probability"):
        best_threshold(np.array([np.nan]), np.array([True]))
    with pytest.raises(DataError, match="differ in number"):
        best_threshold(np.array([0.2]), np.array([True, False]))
