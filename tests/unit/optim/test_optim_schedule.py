from itertools import pairwise
from math import cos, pi, sqrt

import pytest
from pydantic import TypeAdapter

from groundup.config import parse, to_json
from groundup.errors import ConfigError
from groundup.optim.schedule import (
    Constant,
    Cosine,
    Linear,
    ScheduleConfig,
    WarmupStableDecay,
    count_warmup_steps,
)

EVERY = [
    Constant(warmup=10),
    Linear(warmup=10),
    Cosine(warmup=10, final_fraction=0.1),
    WarmupStableDecay(warmup=10, decay=30),
]


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


@pytest.mark.parametrize(
    "schedule",
    [Constant(), Linear(warmup=0), Cosine(warmup=0.0), WarmupStableDecay(warmup=0)],
    ids=lambda each: each.kind,
)
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


@pytest.mark.parametrize(
    ("shape", "formula"),
    [
        ("linear", lambda x: 1 - x),
        ("1-sqrt", lambda x: 1 - sqrt(x)),
        ("cosine", lambda x: (1 + cos(pi * x)) / 2),
    ],
)
@pytest.mark.parametrize("final", [0.0, 0.25])
def test_stays_at_the_peak_and_falls_as_its_shape_says(shape, formula, final):
    schedule = WarmupStableDecay(warmup=10, decay=40, shape=shape, final_fraction=final)
    assert [schedule.factor(step, 200) for step in range(10)] == [step / 10 for step in range(10)]
    assert {schedule.factor(step, 200) for step in range(10, 161)} == {1.0}
    for step in range(160, 201):
        assert schedule.factor(step, 200) == pytest.approx(final + (1 - final) * formula((step - 160) / 40), abs=1e-12)
    assert schedule.factor(170, 200) != pytest.approx(final + (1 - final) * formula(11 / 40), abs=1e-3)
    assert schedule.factor(201, 200) == schedule.factor(200, 200) == pytest.approx(final)


def test_a_longer_run_only_moves_the_fall():
    schedule = WarmupStableDecay(warmup=10, decay=0.2)
    assert [schedule.factor(step, 100) for step in range(81)] == [schedule.factor(step, 200) for step in range(81)]
    assert schedule.factor(90, 100) == schedule.factor(180, 200) == pytest.approx(1 - sqrt(0.5))


@pytest.mark.parametrize(("total", "first"), [(1, 1), (3, 3), (4, 4), (10, 9)])
def test_a_short_run_falls_too(total, first):
    factors = [WarmupStableDecay(warmup=0, decay=0.2).factor(step, total) for step in range(total + 1)]
    assert factors.index(min(factors)) == total
    assert next(step for step, factor in enumerate(factors) if factor < 1.0) == first


@pytest.mark.parametrize(
    ("values", "where"),
    [
        ({"warmup": 10, "decay": 91}, r"schedule\.decay: .*warm-up of 10 steps .* 100 steps, got 91; at most 90 steps"),
        ({"warmup": 0.5, "decay": 51}, r"schedule\.decay: .* got 51; at most 50 steps"),
        ({"warmup": 0, "decay": 101}, r"schedule\.decay: .* got 101"),
        ({"warmup": 100, "decay": 1}, r"schedule\.warmup: lasts as long as the whole run"),
    ],
)
def test_more_than_the_run_is_an_error_at_any_step(values, where):
    schedule = WarmupStableDecay(**values)
    for step in (0, 50, 99):
        with pytest.raises(ConfigError, match=where):
            schedule.factor(step, 100)
    schedule.factor(0, 102)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"decay": 0}, "at least one step"),
        ({"decay": -1}, "at least one step"),
        ({"decay": 0.0}, r"in \(0, 1\]"),
        ({"decay": 1.5}, r"in \(0, 1\]"),
        ({"decay": float("nan")}, "decay"),
        ({"decay": True}, "decay"),
        ({"decay": 0.5, "warmup": 0.6}, r"decay: is more than what warmup=0\.6 leaves of the run, got 0\.5"),
        ({"shape": "sqrt"}, "shape"),
        ({"final_fraction": -0.1}, "final_fraction"),
    ],
)
def test_senseless_settings_of_a_fall(values, expected):
    with pytest.raises(ConfigError, match=expected):
        parse(WarmupStableDecay, {"kind": "warmup_stable_decay", **values})
