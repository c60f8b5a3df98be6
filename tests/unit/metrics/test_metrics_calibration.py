"""Calibration: bins of equal width, and the error as it is defined."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.errors import DataError
from groundup.metrics.calibration import calibration_bins, calibration_error


def test_a_table_worked_out_by_hand() -> None:
    confidences = np.array([0.55, 0.6, 0.9, 0.95, 1.0, 0.91])
    is_right = np.array([True, False, True, True, False, True])
    bins = calibration_bins(confidences, is_right, num_bins=10)
    filled = {(each.low, each.high): each for each in bins if each.count}
    assert set(filled) == {(0.5, 0.6), (0.8, 0.9), (0.9, 1.0)}
    assert filled[(0.5, 0.6)][2:] == (2, pytest.approx(0.575), 0.5)
    assert filled[(0.9, 1.0)][2:] == (3, pytest.approx(0.95333333), pytest.approx(2 / 3))
    wanted = (2 * abs(0.575 - 0.5) + 1 * abs(0.9 - 1.0) + 3 * abs(0.95333333 - 2 / 3)) / 6
    assert calibration_error(bins) == pytest.approx(wanted)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60))
def test_every_answer_is_in_the_bin_of_its_probability(answers: list[tuple[float, bool]]) -> None:
    confidences, is_right = (np.array(column) for column in zip(*answers, strict=True))
    bins = calibration_bins(confidences, is_right)
    assert sum(each.count for each in bins) == len(answers)
    for each in bins:
        inside = (confidences > each.low - 1e-12) & (confidences <= each.high + 1e-12)
        assert each.count <= inside.sum() and (each.confidence is None) == (each.count == 0)
        if each.count:
            assert each.low - 1e-9 <= each.confidence <= each.high + 1e-9
    total = sum(each.count * each.accuracy for each in bins if each.count)
    assert total == pytest.approx(is_right.sum())
    assert 0 <= calibration_error(bins) <= 1


def test_one_who_is_always_right_and_sure_is_calibrated() -> None:
    assert calibration_error(calibration_bins(np.ones(5), np.ones(5, dtype=bool))) == 0
    assert calibration_error(calibration_bins(np.ones(5), np.zeros(5, dtype=bool))) == 1
    assert calibration_error([]) == 0


def test_other_numbers_of_answers_are_refused() -> None:
    with pytest.raises(DataError, match="differ in number, got \\(2, 3\\)"):
        calibration_bins(np.array([0.1, 0.2]), np.array([True, False, True]))
