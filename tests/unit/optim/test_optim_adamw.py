import pytest
import torch
from torch import nn

from groundup.config import parse, to_json
from groundup.errors import CheckpointError, ConfigError
from groundup.optim.adamw import AdamW, load_optimizer_state, optimizer_state


def role_of(name: str, parameter: nn.Parameter) -> str:
    return "bias" if name.endswith("bias") else "matrix"


def make_model(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.ModuleDict({"first": nn.Linear(4, 3), "unused": nn.Linear(4, 2), "last": nn.Linear(3, 2)})


def train(model: nn.Module, optimizer: torch.optim.Optimizer, steps: range) -> None:
    for step in steps:
        inputs = torch.randn(5, 4, generator=torch.Generator().manual_seed(step))
        model["last"](model["first"](inputs).tanh()).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)


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


def test_state_is_keyed_by_name_and_complete():
    model = make_model()
    optimizer = AdamW().build(model.named_parameters(), role_of)
    train(model, optimizer, range(3))
    state = optimizer_state(optimizer, model.named_parameters())
    expected = {f"{q}/{name}" for q in ("step", "exp_avg", "exp_avg_sq") for name, _ in model.named_parameters()}
    assert set(state) == expected
    assert state["step/first.weight"] == 3
    assert state["step/unused.weight"] == 0
    assert state["exp_avg/first.weight"] is optimizer.state[model["first"].weight]["exp_avg"]


def test_a_resumed_optimizer_continues_bit_by_bit():
    straight = make_model()
    train(straight, AdamW().build(straight.named_parameters(), role_of), range(10))

    broken = make_model()
    optimizer = AdamW().build(broken.named_parameters(), role_of)
    train(broken, optimizer, range(4))
    saved = {name: each.clone() for name, each in optimizer_state(optimizer, broken.named_parameters()).items()}
    resumed = make_model(seed=1)
    resumed.load_state_dict(broken.state_dict())
    optimizer = AdamW().build(resumed.named_parameters(), role_of)
    load_optimizer_state(optimizer, resumed.named_parameters(), saved)
    train(resumed, optimizer, range(4, 10))
    assert all(torch.equal(a, b) for a, b in zip(straight.parameters(), resumed.parameters(), strict=True))

    forgetful = make_model(seed=1)
    forgetful.load_state_dict(broken.state_dict())
    train(forgetful, AdamW().build(forgetful.named_parameters(), role_of), range(4, 10))
    assert not torch.equal(straight["first"].weight, forgetful["first"].weight)


def test_loading_copies():
    model = make_model()
    optimizer = AdamW().build(model.named_parameters(), role_of)
    saved = {name: each.clone() for name, each in optimizer_state(optimizer, model.named_parameters()).items()}
    load_optimizer_state(optimizer, model.named_parameters(), saved)
    train(model, optimizer, range(1))
    assert saved["step/first.weight"] == 0
    assert not saved["exp_avg/first.weight"].any()


def test_frozen_parameters_have_no_state():
    model = make_model()
    model["first"].requires_grad_(False)
    optimizer = AdamW().build(model.named_parameters(), role_of)
    assert not any("first" in name for name in optimizer_state(optimizer, model.named_parameters()))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tree: tree.pop("exp_avg/last.bias"), r"optimizer\.exp_avg/last\.bias: is missing"),
        (lambda tree: tree.update({"exp_avg/more": torch.zeros(1)}), r"optimizer\.exp_avg/more: is unknown"),
        (lambda tree: tree.update({"step/last.bias": torch.zeros(1)}), r"step/last\.bias: should be .* shape \(\)"),
        (lambda tree: tree.update({"exp_avg/last.bias": torch.zeros(2).double()}), "should be torch.float32"),
        (lambda tree: tree.update({"step/last.bias": 3.0}), "should be torch.float32"),
    ],
)
def test_a_state_that_does_not_fit_is_refused_and_changes_nothing(change, message):
    model = make_model()
    optimizer = AdamW().build(model.named_parameters(), role_of)
    tree = dict(optimizer_state(optimizer, model.named_parameters()))
    change(tree)
    with pytest.raises(CheckpointError, match=message):
        load_optimizer_state(optimizer, model.named_parameters(), tree)
    assert not optimizer.state


def test_an_optimizer_over_another_model_is_an_error():
    optimizer = AdamW().build(make_model().named_parameters(), role_of)
    with pytest.raises(CheckpointError, match="moves 6 parameters, but the model names only 0"):
        optimizer_state(optimizer, make_model().named_parameters())
