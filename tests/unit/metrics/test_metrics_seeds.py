"""Means over seeds: Student's t as scipy has it, the spread as numpy has it, nothing that was measured otherwise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from groundup.errors import DataError
from groundup.metrics.metric import Metric
from groundup.metrics.seeds import bare_signature, format_seeds, over_seeds

VALUES = [0.81, 0.84, 0.79, 0.86, 0.5]
SIGNATURE = "average=none|zero_division=0|n=40|edges=wilson|interval=percentile bootstrap|resamples=1000|seed=0|v1"


def figures(values: list[float], signature: str = SIGNATURE) -> dict[int, dict[str, Metric]]:
    return {
        seed: {"accuracy": Metric("accuracy", value, 40, signature, 0.1, 0.9)} for seed, value in enumerate(values, 3)
    }


def test_mean_spread_and_interval_are_the_textbooks() -> None:
    found = over_seeds(figures(VALUES))["accuracy"]
    assert found.mean == pytest.approx(np.mean(VALUES)) and found.spread == pytest.approx(np.std(VALUES, ddof=1))
    expected = stats.t.interval(0.95, 4, loc=np.mean(VALUES), scale=stats.sem(VALUES))
    assert (found.low, found.high) == pytest.approx(expected)
    assert expected != pytest.approx(stats.norm.interval(0.95, np.mean(VALUES), stats.sem(VALUES)), abs=0.05)
    assert found.values == dict(enumerate(VALUES, 3))
    assert found.signature == (
        "mean over seeds 3,4,5,6,7|spread=standard deviation|interval=Student's t over seeds, 95%"
        "|of average=none|zero_division=0|n=40|v1"
    )
    assert "Student's t over seeds, 95%" in "\n".join(format_seeds([found]))


def test_one_seed_has_no_spread() -> None:
    found = over_seeds(figures([0.8]))["accuracy"]
    assert (found.mean, found.spread, found.low, found.high) == (0.8, None, None, None)
    assert "interval" not in found.signature
    assert over_seeds({}) == {}


def test_what_was_measured_otherwise_is_no_seed_more() -> None:
    mixed = figures(VALUES) | {9: figures([0.9], SIGNATURE.replace("n=40", "n=41"))[3]}
    with pytest.raises(DataError, match="accuracy: was not computed alike for all seeds"):
        over_seeds(mixed)
    # How a seed's own interval was drawn plays no part.
    assert over_seeds(figures(VALUES) | {9: figures([0.9], SIGNATURE.replace("seed=0", "seed=1"))[3]})
    assert bare_signature(SIGNATURE) == "average=none|zero_division=0|n=40|v1"


@pytest.mark.parametrize(
    "chosen", ["threshold={}, chosen on these rows", "threshold={}", "no answer above {}, chosen on these questions"]
)
def test_each_model_has_a_threshold_of_its_own(chosen: str) -> None:
    every = [figures([0.8], f"multi-label|{chosen.format(number)}|n=40|v1")[3] for number in (0.25, 3.1e-05)]
    found = over_seeds(dict(enumerate(every, start=1)))["accuracy"]
    assert chosen.format("that of each model") in found.signature
    every[1]["accuracy"] = Metric("accuracy", 0.8, 40, f"multi-label|{chosen.format(0.25)}|n=41|v1")
    with pytest.raises(DataError, match="not computed alike"):
        over_seeds(dict(enumerate(every, start=1)))


def test_a_metric_that_not_all_seeds_have_is_left_out() -> None:
    with_more = figures(VALUES)
    with_more[3]["loss"] = Metric("loss", 1.0, 40, "loss")
    assert set(over_seeds(with_more)) == {"accuracy"}
