"""One form for every message: where, what, got, cure."""

from __future__ import annotations

import pytest

from groundup.errors import CheckpointError, ConfigError, DataError, GroundupError, MissingExtraError, TrainingError


def test_a_message_has_all_its_parts_in_order() -> None:
    error = ConfigError("model.num_heads", "must divide hidden_size 10", got=4, cure="write 5")
    assert str(error) == "model.num_heads: must divide hidden_size 10, got 4; write 5"
    assert (error.where, error.what, error.cure) == ("model.num_heads", "must divide hidden_size 10", "write 5")


def test_parts_that_are_not_given_leave_no_trace() -> None:
    assert str(DataError("a.csv:3", "is empty")) == "a.csv:3: is empty"
    assert str(DataError("a.csv", "is empty", cure="fill it")) == "a.csv: is empty; fill it"


@pytest.mark.parametrize("value", [None, "", 0, False])
def test_an_empty_value_is_still_shown(value: object) -> None:
    assert str(ConfigError("x", "is wrong", got=value)) == f"x: is wrong, got {value!r}"


def test_a_long_value_is_shortened() -> None:
    message = str(DataError("x", "is wrong", got="y" * 50_000_000))
    assert len(message) < 200 and message.endswith("...")


@pytest.mark.parametrize("kind", [ConfigError, DataError, CheckpointError, TrainingError])
def test_every_error_can_be_caught_as_one(kind: type[GroundupError]) -> None:
    with pytest.raises(GroundupError):
        raise kind("x", "is wrong")
    assert issubclass(kind, ValueError)


def test_a_missing_extra_says_what_to_install() -> None:
    error = MissingExtraError("train.tensorboard", "tensorboard", "tensorboard")
    assert isinstance(error, ConfigError)
    assert str(error) == "train.tensorboard: needs the package 'tensorboard'; pip install 'groundup[tensorboard]'"
