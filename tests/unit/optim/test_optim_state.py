"""The state of every optimizer there is: complete, by name, taken over whole or not at all."""

from collections.abc import Callable
from typing import get_args

import pytest
import torch
from torch import nn

from groundup.errors import CheckpointError
from groundup.optim.adamw import AdamW
from groundup.optim.config import OptimizerConfig
from groundup.optim.muon import Muon
from groundup.optim.state import load_optimizer_state, optimizer_state

EVERY = [AdamW(), Muon()]
every_optimizer = pytest.mark.parametrize("config", EVERY, ids=lambda each: each.kind)
ADAMW, MUON = ("step", "exp_avg", "exp_avg_sq"), ("momentum",)


def role_of(name: str, parameter: nn.Parameter) -> str:
    return "bias" if name.endswith("bias") else "head" if name.startswith("last") else "matrix"


def make_model(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.ModuleDict({"first": nn.Linear(4, 3), "unused": nn.Linear(4, 2), "last": nn.Linear(3, 2)})


def train(model: nn.Module, optimizer: torch.optim.Optimizer, steps: range) -> None:
    for step in steps:
        inputs = torch.randn(5, 4, generator=torch.Generator().manual_seed(step))
        model["last"](model["first"](inputs).tanh()).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)


def build(config: OptimizerConfig, model: nn.Module) -> torch.optim.Optimizer:
    return config.build(model.named_parameters(), role_of)


def copy_state(optimizer: torch.optim.Optimizer, model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: each.clone() for name, each in optimizer_state(optimizer, model.named_parameters()).items()}


def test_no_optimizer_is_left_out() -> None:
    assert {type(config) for config in EVERY} == set(get_args(get_args(OptimizerConfig)[0]))


@every_optimizer
def test_state_is_keyed_by_name_and_complete(config: OptimizerConfig) -> None:
    model = make_model()
    optimizer = build(config, model)
    train(model, optimizer, range(3))
    state = optimizer_state(optimizer, model.named_parameters())
    of_muon = {"first.weight", "unused.weight"} if config.kind == "muon" else set()
    expected = {
        f"{quantity}/{name}"
        for name, _ in model.named_parameters()
        for quantity in (MUON if name in of_muon else ADAMW)
    }
    assert set(state) == expected
    assert state["step/first.bias"] == 3
    assert state["step/unused.bias"] == 0
    assert state["exp_avg/first.bias"] is optimizer.state[model["first"].bias]["exp_avg"]
    moved, unmoved = (state[f"{expected_of(config)}/{name}.weight"] for name in ("first", "unused"))
    assert moved.any() and not unmoved.any()
    assert moved is optimizer.state[model["first"].weight][expected_of(config)]


def expected_of(config: OptimizerConfig) -> str:
    return "momentum" if config.kind == "muon" else "exp_avg"


@every_optimizer
def test_a_resumed_optimizer_continues_bit_by_bit(config: OptimizerConfig) -> None:
    straight = make_model()
    train(straight, build(config, straight), range(10))

    broken = make_model()
    optimizer = build(config, broken)
    train(broken, optimizer, range(4))
    saved = copy_state(optimizer, broken)
    resumed = make_model(seed=1)
    resumed.load_state_dict(broken.state_dict())
    optimizer = build(config, resumed)
    load_optimizer_state(optimizer, resumed.named_parameters(), saved)
    train(resumed, optimizer, range(4, 10))
    assert all(torch.equal(a, b) for a, b in zip(straight.parameters(), resumed.parameters(), strict=True))

    for quantity in sorted({name.split("/")[0] for name in saved}):  # each of them matters
        forgetful = make_model(seed=1)
        forgetful.load_state_dict(broken.state_dict())
        optimizer = build(config, forgetful)
        without = {name: each.clone() if quantity not in name.split("/") else each * 0 for name, each in saved.items()}
        load_optimizer_state(optimizer, forgetful.named_parameters(), without)
        train(forgetful, optimizer, range(4, 10))
        pairs = zip(straight.parameters(), forgetful.parameters(), strict=True)
        assert not all(torch.equal(a, b) for a, b in pairs), quantity


@every_optimizer
def test_loading_copies(config: OptimizerConfig) -> None:
    model = make_model()
    optimizer = build(config, model)
    saved = copy_state(optimizer, model)
    load_optimizer_state(optimizer, model.named_parameters(), saved)
    train(model, optimizer, range(1))
    assert saved["step/first.bias"] == 0
    assert not any(each.any() for each in saved.values())


@every_optimizer
def test_frozen_parameters_have_no_state(config: OptimizerConfig) -> None:
    model = make_model()
    model["first"].requires_grad_(False)
    optimizer = build(config, model)
    assert not any("first" in name for name in optimizer_state(optimizer, model.named_parameters()))


Change = Callable[[dict], object]
FAULTS: list[tuple[Change, str]] = [
    (lambda tree: tree.pop("exp_avg/last.bias"), r"optimizer\.exp_avg/last\.bias: is missing"),
    (lambda tree: tree.update({"exp_avg/more": torch.zeros(1)}), r"optimizer\.exp_avg/more: is unknown"),
    (lambda tree: tree.update({"step/last.bias": torch.zeros(1)}), r"step/last\.bias: should be .* shape \(\)"),
    (lambda tree: tree.update({"exp_avg/last.bias": torch.zeros(2).double()}), "should be torch.float32"),
    (lambda tree: tree.update({"step/last.bias": 3.0}), "should be torch.float32"),
]
MUON_FAULTS: list[tuple[Change, str]] = [
    (lambda tree: tree.pop("momentum/first.weight"), r"optimizer\.momentum/first\.weight: is missing"),
    (lambda tree: tree.update({"momentum/last.weight": torch.zeros(2, 3)}), r"momentum/last\.weight: is unknown"),
    (lambda tree: tree.update({"momentum/first.weight": torch.zeros(4, 3)}), r"should be .* shape \(3, 4\)"),
]


@pytest.mark.parametrize(
    ("config", "change", "message"),
    [(config, *fault) for config in EVERY for fault in FAULTS] + [(Muon(), *fault) for fault in MUON_FAULTS],
)
def test_a_state_that_does_not_fit_is_refused_and_changes_nothing(
    config: OptimizerConfig, change: Change, message: str
) -> None:
    model = make_model()
    optimizer = build(config, model)
    tree = dict(optimizer_state(optimizer, model.named_parameters()))
    change(tree)
    with pytest.raises(CheckpointError, match=message):
        load_optimizer_state(optimizer, model.named_parameters(), tree)
    assert not optimizer.state


def test_the_state_of_another_optimizer_is_refused() -> None:
    model = make_model()
    adamw, muon = (build(config, model) for config in EVERY)
    for optimizer, other, message in (
        (muon, adamw, r"optimizer\.momentum/first\.weight: is missing"),
        (adamw, muon, r"optimizer\.exp_avg/first\.weight: is missing"),
    ):
        with pytest.raises(CheckpointError, match=message):
            load_optimizer_state(optimizer, model.named_parameters(), copy_state(other, model))


@every_optimizer
def test_an_optimizer_over_another_model_is_an_error(config: OptimizerConfig) -> None:
    optimizer = build(config, make_model())
    with pytest.raises(CheckpointError, match="moves 6 parameters, but the model names only 0"):
        optimizer_state(optimizer, make_model().named_parameters())
