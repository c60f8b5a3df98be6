"""The settings of the loop are read, stored, and read again."""

from __future__ import annotations

import pytest

from groundup.config import parse, to_json
from groundup.errors import ConfigError
from groundup.training.config import TrainConfig


@pytest.mark.parametrize("size", [{}, {"batch_size": 8}, {"batch_tokens": 512}], ids=["default", "sequences", "tokens"])
def test_what_is_stored_can_be_read_again(size: dict[str, int]) -> None:
    config = parse(TrainConfig, {"steps": 3, **size})
    stored = to_json(config)
    assert parse(TrainConfig, stored) == config
    assert ("batch_size" in stored) == ("batch_tokens" not in size)


def test_both_sizes_of_a_step_are_refused() -> None:
    with pytest.raises(ConfigError, match="batch_tokens: is in place of batch_size, got both"):
        parse(TrainConfig, {"steps": 3, "batch_size": 32, "batch_tokens": 512})
