from itertools import pairwise

import pytest
from pydantic import TypeAdapter

from groundup.config import parse, to_json
from groundup.errors import ConfigError
from groundup.optim.schedule import Constant, Cosine, Linear, ScheduleConfig, count_warmup_steps

EVERY = [Constant(warmup=10), Linear(warmup=10), Cosine(warmup=10, final_fraction=0.1)]


@pytest.mark.parametrize("schedule", EVERY, ids=lambda each: each.kind)
def test_rises_from_zero_to_the_peak_and_never_again(schedule):
    factors = [schedule.factor(step, 100) for step in range(101)]
    assert factors[0] == 0.0
    assert factors[5] == 0.5
    assert factors[10] == 1.0 == max(factors)
    assert all(later <= earlier for earlier, later in pairwise(factors[10:]))


def test_where_each_ends():
    assert Constant(warmup=10).factor(100, 100) == 1.0
    assert Linear().factor(100, 100) == Linear().factor(150, 100) == 0.0
    assert Cosine().factor(100, 100) == pytest.approx(0.0, abs=1e-15)
    assert Cosine(final_fraction=0.1).factor(100, 100) == pytest.approx(0.1)
    assert Cosine(final_fraction=0.1).factor(150, 100) == pytest.approx(0.1)


@pytest.mark.parametrize("schedule", [Constant(), Linear(warmup=0), Cosine(warmup=0.0)], ids=lambda each: each.kind)
def test_without_warmup_the_first_step_is_at_the_peak(schedule):
    assert schedule.factor(0, 100) == 1.0


@pytest.mark.parametrize(
    ("warmup", "total", "steps"),
    [(0.1, 100, 10), (0.29, 100, 29), (0.1, 1, 0), (0.999, 10, 9), (0.0, 10, 0), (7, 100, 7), (0, 1, 0)],
)
def test_warmup_in_steps_and_as_a_fraction(warmup, total, steps):
    assert count_warmup_steps(warmup, total) == steps


@pytest.mark.parametrize("warmup", [100, 101])
def test_a_warmup_as_long_as_the_run_is_an_error(warmup):
    with pytest.raises(ConfigError, match=r"schedule\.warmup: .*whole run of 100 steps"):
        Linear(warmup=warmup).factor(0, 100)


@pytest.mark.parametrize("warmup", [1.0, 1.5, -0.1, -1, True, "10", float("nan")])
def test_a_senseless_warmup_is_an_error_of_the_setting(warmup):
    with pytest.raises(ConfigError, match="warmup"):
        parse(Linear, {"kind": "linear", "warmup": warmup})


@pytest.mark.parametrize(
    "values", [{"kind": "cosine", "final_fraction": 1.1}, {"kind": "linear", "final_fraction": 0.1}]
)
def test_other_senseless_settings(values):
    with pytest.raises(ConfigError, match="final_fraction"):
        parse({"cosine": Cosine, "linear": Linear}[values["kind"]], values)


@pytest.mark.parametrize("schedule", EVERY, ids=lambda each: each.kind)
def test_round_trip_through_the_union(schedule):
    assert TypeAdapter(ScheduleConfig).validate_python(to_json(schedule)) == schedule


def test_a_fraction_stays_a_fraction_through_json():
    zero = parse(Linear, to_json(Linear(warmup=0.0))).warmup
    assert isinstance(zero, float)
