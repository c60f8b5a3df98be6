import pytest
import torch
from torch import nn

from groundup.config import parse, to_json
from groundup.errors import ConfigError
from groundup.optim.adamw import AdamW


def role_of(name: str, parameter: nn.Parameter) -> str:
    return "bias" if name.endswith("bias") else "matrix"


def make_model() -> nn.Module:
    torch.manual_seed(0)
    return nn.ModuleDict({"first": nn.Linear(4, 3), "unused": nn.Linear(4, 2), "last": nn.Linear(3, 2)})


def test_build_takes_over_every_setting():
    config = AdamW(learning_rate=0.5, betas=(0.8, 0.9), eps=1e-3, weight_decay=0.2)
    decayed, free = config.build(make_model().named_parameters(), role_of).param_groups
    for group in (decayed, free):
        assert (group["lr"], group["betas"], group["eps"], group["fused"]) == (0.5, (0.8, 0.9), 1e-3, True)
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.2, 0.0)
    assert len(decayed["params"]) == len(free["params"]) == 3


def test_config_round_trip():
    config = AdamW(learning_rate=3e-4, betas=(0.9, 0.98), decay=("matrix",))
    assert parse(AdamW, to_json(config)) == config


@pytest.mark.parametrize(
    "values",
    [
        {"learning_rate": 0.0},
        {"learning_rate": "1e-4"},
        {"betas": [0.9, 1.0]},
        {"betas": [0.9]},
        {"eps": 0.0},
        {"weight_decay": -0.1},
        {"decay": ["gain"]},
    ],
)
def test_senseless_settings(values):
    with pytest.raises(ConfigError, match=next(iter(values))):
        parse(AdamW, values)
