"""AdamW against the paper's formula in float64 and against torch's; schedules against transformers'."""

import numpy as np
import pytest
import torch
from torch import nn

from groundup.optim.adamw import AdamW
from groundup.optim.schedule import Constant, Cosine, Linear, WarmupStableDecay

STEPS = 25
CONFIG = AdamW(learning_rate=0.03, betas=(0.8, 0.95), eps=1e-4, weight_decay=0.3)


def role_of(name: str, parameter: nn.Parameter) -> str:
    return "bias" if name.endswith("bias") else "matrix"


def make_model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(6, 4).double()


def gradients(step: int) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(step)
    return {"weight": draw.normal(size=(4, 6)), "bias": draw.normal(size=4)}


def run_torch(optimizer: torch.optim.Optimizer, model: nn.Module) -> dict[str, np.ndarray]:
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = CONFIG.learning_rate * Linear(warmup=5).factor(step, STEPS)
        for name, parameter in model.named_parameters():
            parameter.grad = torch.from_numpy(gradients(step)[name])
        optimizer.step()
    return {name: parameter.detach().numpy() for name, parameter in model.named_parameters()}


def run_formula(*, decoupled: bool = True, decay_bias: bool = False, eps_in_root: bool = False, correct: bool = True):
    """Algorithm 2 of Loshchilov and Hutter (2019), line by line; its weight decay is ours times the peak rate."""
    weights = {name: parameter.detach().numpy().copy() for name, parameter in make_model().named_parameters()}
    first = {name: np.zeros_like(weight) for name, weight in weights.items()}
    second = {name: np.zeros_like(weight) for name, weight in weights.items()}
    (beta1, beta2), alpha = CONFIG.betas, CONFIG.learning_rate
    for t in range(1, STEPS + 1):
        eta = Linear(warmup=5).factor(t - 1, STEPS)
        for name, weight in weights.items():
            decay = CONFIG.weight_decay if name == "weight" or decay_bias else 0.0
            gradient = gradients(t - 1)[name] + (0.0 if decoupled else decay * weight)
            first[name] = beta1 * first[name] + (1 - beta1) * gradient
            second[name] = beta2 * second[name] + (1 - beta2) * gradient**2
            mean = first[name] / (1 - beta1**t if correct else 1)
            square = second[name] / (1 - beta2**t if correct else 1)
            root = np.sqrt(square + CONFIG.eps) if eps_in_root else np.sqrt(square) + CONFIG.eps
            weights[name] = weight - eta * (alpha * mean / root + (alpha * decay * weight if decoupled else 0.0))
    return weights


def distance(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> float:
    return max(float(np.abs(ours[name] - theirs[name]).max() / np.abs(theirs[name]).max()) for name in theirs)


@pytest.fixture(scope="module")
def ours() -> dict[str, np.ndarray]:
    model = make_model()
    return run_torch(CONFIG.build(model.named_parameters(), role_of), model)


def test_adamw_is_the_formula_of_the_paper(ours):
    assert distance(ours, run_formula()) < 1e-12


@pytest.mark.parametrize(
    "broken", [{"decoupled": False}, {"decay_bias": True}, {"eps_in_root": True}, {"correct": False}], ids=str
)
def test_any_other_formula_is_told_apart(ours, broken):
    assert distance(ours, run_formula(**broken)) > 1e-5


def test_adamw_is_that_of_torch(ours):
    model = make_model()
    groups = [{"params": [model.weight]}, {"params": [model.bias], "weight_decay": 0.0}]
    theirs = torch.optim.AdamW(
        groups,
        lr=CONFIG.learning_rate,
        betas=CONFIG.betas,
        eps=CONFIG.eps,
        weight_decay=CONFIG.weight_decay,
        foreach=False,
        fused=False,
    )
    assert distance(ours, run_torch(theirs, model)) < 1e-12


def their_factors(make, total: int, **arguments) -> list[float]:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = make(optimizer, num_training_steps=total, **arguments)
    factors = []
    for _ in range(total + 1):
        factors.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return factors


@pytest.mark.parametrize(("warmup", "total"), [(0, 1), (0, 50), (1, 50), (10, 97), (49, 50)])
def test_schedules_are_those_of_transformers(warmup, total):
    from transformers import optimization

    def ours(schedule, shift: int = 0) -> list[float]:
        return [schedule.factor(step + shift, total) for step in range(total + 1)]

    linear = their_factors(optimization.get_linear_schedule_with_warmup, total, num_warmup_steps=warmup)
    cosine = their_factors(optimization.get_cosine_schedule_with_warmup, total, num_warmup_steps=warmup)
    floored = their_factors(
        optimization.get_cosine_with_min_lr_schedule_with_warmup, total, num_warmup_steps=warmup, min_lr_rate=0.2
    )
    constant = their_factors(
        lambda optimizer, num_training_steps: optimization.get_constant_schedule_with_warmup(optimizer, warmup), total
    )
    assert ours(Linear(warmup=warmup)) == linear
    assert ours(Cosine(warmup=warmup)) == pytest.approx(cosine, abs=1e-15)
    assert ours(Cosine(warmup=warmup, final_fraction=0.2)) == pytest.approx(floored, abs=1e-15)
    assert ours(Constant(warmup=warmup)) == constant
    assert ours(Linear(warmup=warmup), shift=1) != linear
    assert ours(Cosine(warmup=warmup), shift=1) != pytest.approx(cosine, abs=1e-15)


@pytest.mark.parametrize(("warmup", "decay", "total"), [(0, 50, 50), (10, 20, 97), (1, 1, 50), (30, 20, 50)])
@pytest.mark.parametrize("shape", ["linear", "1-sqrt", "cosine"])
def test_the_late_fall_is_that_of_transformers(shape, warmup, decay, total):
    from transformers import optimization

    def ours(**changed) -> list[float]:
        schedule = WarmupStableDecay(**{"warmup": warmup, "decay": decay, "shape": shape} | changed)
        return [schedule.factor(step, total) for step in range(total + 1)]

    def theirs(**changed) -> list[float]:
        settings = {"num_warmup_steps": warmup, "num_decay_steps": decay, "decay_type": shape}
        return their_factors(optimization.get_wsd_schedule, total, **settings | changed)

    assert ours() == pytest.approx(theirs(), abs=1e-15)
    # Theirs starts the warm-up at the final fraction, ours at 0; behind it both are one.
    final = theirs(min_lr_ratio=0.2)[warmup:]
    assert ours(final_fraction=0.2)[warmup:] == pytest.approx(final, abs=1e-15)
    if decay > 1:
        assert ours(decay=decay - 1) != pytest.approx(theirs(), abs=1e-3)
        other = "cosine" if shape == "linear" else "linear"
        assert ours(shape=other) != pytest.approx(theirs(), abs=1e-3)
