"""Muon against its formula in float64, line by line in numpy, and against torch's."""

import numpy as np
import pytest
import torch
from torch import nn

from groundup.optim.muon import Muon
from groundup.optim.schedule import Linear

STEPS = 25
SHAPES = {"square": (5, 5), "other": (5, 5), "wide": (4, 9), "tall": (9, 4), "high": (9, 4)}
CONFIG = Muon(
    learning_rate=0.03, momentum=0.9, precision="fp32", weight_decay=0.3, betas=(0.8, 0.95), eps=1e-4, others=0.5
)


def role_of(name: str, parameter: nn.Parameter) -> str:
    return "bias" if name == "bias" else "matrix"


def make_model(dtype: torch.dtype = torch.float64) -> nn.Module:
    draw = np.random.default_rng(0)
    weights = {name: draw.normal(size=shape) for name, shape in SHAPES.items()} | {"bias": draw.normal(size=7)}
    return nn.ParameterDict({name: nn.Parameter(torch.from_numpy(each).to(dtype)) for name, each in weights.items()})


def gradients(step: int) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(step + 1)
    return {name: draw.normal(size=shape) for name, shape in {**SHAPES, "bias": (7,)}.items()}


def run(optimizers: list[torch.optim.Optimizer], model: nn.Module) -> dict[str, np.ndarray]:
    peaks = [[group["lr"] for group in optimizer.param_groups] for optimizer in optimizers]
    for step in range(STEPS):
        for optimizer, rates in zip(optimizers, peaks, strict=True):
            for group, peak in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = peak * Linear(warmup=5).factor(step, STEPS)
        for name, parameter in model.named_parameters():
            parameter.grad = torch.from_numpy(gradients(step)[name]).to(parameter.dtype)
        for optimizer in optimizers:
            optimizer.step()
    return {name: parameter.detach().double().numpy() for name, parameter in model.named_parameters()}


def run_formula(
    config: Muon,
    *,
    coefficients: tuple[float, float, float] = (3.4445, -4.7750, 2.0315),
    coupled: bool = False,
    sum_momentum: bool = False,
    transposed_scale: bool = False,
) -> dict[str, np.ndarray]:
    """Jordan et al. (2024) for matrices, algorithm 2 of Loshchilov and Hutter (2019) for the bias."""
    weights = {name: parameter.detach().numpy().copy() for name, parameter in make_model().named_parameters()}
    average = {name: np.zeros_like(weight) for name, weight in weights.items()}
    square = np.zeros(7)
    mu, (beta1, beta2), (a, b, c) = config.momentum, config.betas, coefficients
    for t in range(1, STEPS + 1):
        eta = Linear(warmup=5).factor(t - 1, STEPS)
        for name, weight in weights.items():
            gradient, rate = gradients(t - 1)[name], eta * config.learning_rate
            if name == "bias":
                average[name] = beta1 * average[name] + (1 - beta1) * gradient
                square = beta2 * square + (1 - beta2) * gradient**2
                root = np.sqrt(square / (1 - beta2**t)) + config.eps
                weights[name] = weight - rate * config.others * average[name] / (1 - beta1**t) / root
                continue
            average[name] = mu * average[name] + (1 if sum_momentum else 1 - mu) * gradient
            ahead = mu * average[name] + (1 if sum_momentum else 1 - mu) * gradient
            x = ahead if config.nesterov else average[name]
            x = x / np.linalg.norm(x)
            for _ in range(config.iterations):
                x = a * x + b * x @ x.T @ x + c * x @ x.T @ x @ x.T @ x
            rows, columns = weight.shape[::-1] if transposed_scale else weight.shape
            adamw = config.scale == "adamw"
            factor = 0.2 * np.sqrt(max(rows, columns)) if adamw else np.sqrt(max(1.0, rows / columns))
            decay = rate * config.weight_decay * (factor if coupled else 1.0)
            weights[name] = weight - decay * weight - rate * factor * x
    return weights


def run_ours(config: Muon, dtype: torch.dtype = torch.float64) -> dict[str, np.ndarray]:
    model = make_model(dtype)
    return run([config.build(model.named_parameters(), role_of)], model)


def distance(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> float:
    return max(float(np.abs(ours[name] - theirs[name]).max() / np.abs(theirs[name]).max()) for name in theirs)


VARIANTS = [{}, {"nesterov": False}, {"scale": "shape"}, {"iterations": 2}, {"momentum": 0.5}, {"weight_decay": 0.0}]


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_muon_is_its_formula(variant: dict) -> None:
    config = CONFIG.model_copy(update=variant)
    assert distance(run_ours(config), run_formula(config)) < 1e-6  # the norm is kept from zero by 1e-7


@pytest.mark.parametrize("variant", VARIANTS[1:], ids=str)
def test_every_setting_matters(variant: dict) -> None:
    assert distance(run_ours(CONFIG), run_formula(CONFIG.model_copy(update=variant))) > 1e-3


@pytest.mark.parametrize(
    ("variant", "broken"),
    [
        ({}, {"coefficients": (2.0, -1.5, 0.5)}),
        ({}, {"coupled": True}),
        ({"scale": "shape"}, {"transposed_scale": True}),
    ],
    ids=str,
)
def test_any_other_formula_is_told_apart(variant: dict, broken: dict) -> None:
    config = CONFIG.model_copy(update=variant)
    assert distance(run_ours(config), run_formula(config, **broken)) > 1e-3


def test_a_summed_momentum_is_the_same() -> None:
    """Orthogonalised, it matters not whether gradients are summed (the paper) or averaged (its code, torch and we)."""
    assert distance(run_ours(CONFIG), run_formula(CONFIG, sum_momentum=True)) < 1e-6


@pytest.mark.parametrize("scale", ["adamw", "shape"])
def test_muon_is_that_of_torch(scale: str) -> None:
    """Theirs iterates in bfloat16, one matrix after another; the bias is AdamW's."""

    def theirs(**changed: object) -> dict[str, np.ndarray]:
        model = make_model(torch.float32)
        settings = {
            "lr": CONFIG.learning_rate,
            "weight_decay": CONFIG.weight_decay,
            "momentum": CONFIG.momentum,
            "adjust_lr_fn": {"adamw": "match_rms_adamw", "shape": "original"}[scale],
        }
        muon = torch.optim.Muon([model[name] for name in SHAPES], **settings | changed)
        rate = CONFIG.learning_rate * CONFIG.others
        adamw = torch.optim.AdamW([model["bias"]], lr=rate, betas=CONFIG.betas, eps=CONFIG.eps, weight_decay=0.0)
        return run([muon, adamw], model)

    ours = run_ours(CONFIG.model_copy(update={"precision": "bf16", "scale": scale}), torch.float32)
    near = distance(ours, theirs())
    assert near < 0.02
    assert min(distance(ours, theirs(nesterov=False)), distance(ours, theirs(ns_steps=3))) > 3 * near
    assert distance(ours, theirs(momentum=0.8)) > 3 * near
