"""Muon (Jordan et al. 2024): the matrices of the blocks move by their momentum with all singular values near one.

The momentum M = U S V^T is replaced by what five steps of a Newton-Schulz iteration make of it, U S' V^T with every
singular value of S' between about 0.7 and 1.2, so that directions that rarely show in a gradient are learnt as fast as
those that always do. Embeddings, heads, norms and biases are no maps within the stack; AdamW moves them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Literal, final

import torch
from jaxtyping import Float
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from groundup.config import Config
from groundup.errors import ConfigError
from groundup.optim.adamw import AdamW, Momentum
from groundup.optim.groups import Decaying, RoleOf, check_role
from groundup.optim.joint import Joint

COEFFICIENTS: Final = (3.4445, -4.7750, 2.0315)
"""Of x, x^3 and x^5: the slope at 0 is as steep as it can be while values stay near 1 (Jordan et al. 2024)."""

_TINY: Final = 1e-7
_STACKED: Final = 1 << 22
"""Numbers orthogonalised at a time: many small matrices share each product, and memory stays bounded."""

Precision = Literal["bf16", "fp32"]


class Muon(Config):
    """Muon for the matrices of the blocks, AdamW for all else: embeddings, heads, norms and biases."""

    kind: Literal["muon"] = "muon"
    learning_rate: float = Field(1e-3, gt=0.0)
    """The peak of the schedule, for the matrices."""
    momentum: Momentum = 0.95
    """How slowly the average of a matrix's gradient moves."""
    nesterov: bool = True
    """Look ahead: orthogonalise the average as if the gradient came once more."""
    iterations: PositiveInt = 5
    """Steps of the Newton-Schulz iteration."""
    precision: Precision = "bf16"
    """Of that iteration: bf16 is the published choice and fast where the processor multiplies it."""
    scale: Literal["adamw", "shape"] = "adamw"
    """How far a matrix moves: `adamw` times 0.2 sqrt(max(rows, columns)), about as far as AdamW would, so that its
    learning rates carry over (Liu et al. 2025); `shape` times sqrt(max(1, rows / columns)), where 0.02 is usual."""
    weight_decay: float = Field(0.1, ge=0.0)
    """The share of a weight that is taken away at each step, times its learning rate."""
    decay: tuple[Decaying, ...] = ("matrix", "embedding")
    """The roles that decay."""
    others: float = Field(1.0, gt=0.0)
    """The learning rate of all else, as a multiple of `learning_rate`."""
    betas: tuple[Momentum, Momentum] = (0.9, 0.95)
    """AdamW's, for all else."""
    eps: float = Field(1e-8, gt=0.0)
    """AdamW's, for all else."""

    def count_state(self, named_parameters: Iterable[tuple[str, nn.Parameter]], role_of: RoleOf) -> int:
        """Numbers that it keeps while training: one average of every matrix of a block, two of all else."""
        matrices, others = _split(named_parameters, role_of)
        return sum(each.numel() for _, each in matrices) + 2 * sum(each.numel() for _, each in others)

    def build(self, named_parameters: Iterable[tuple[str, nn.Parameter]], role_of: RoleOf) -> Joint:
        """The optimizer over all parameters that are not frozen; its learning rates are the peaks of the schedule."""
        matrices, others = _split(named_parameters, role_of)
        if not matrices:
            raise ConfigError(
                "optimizer.kind", "finds no matrix of a block that is trained", got="muon", cure="choose adamw"
            )
        group = {"params": matrices, "weight_decay": self.weight_decay if "matrix" in self.decay else 0.0}
        parts: list[torch.optim.Optimizer] = [
            Orthogonal(
                [group],
                lr=self.learning_rate,
                momentum=self.momentum,
                nesterov=self.nesterov,
                iterations=self.iterations,
                precision=self.precision,
                scale=self.scale,
            )
        ]
        if others:
            adamw = AdamW(
                learning_rate=self.learning_rate * self.others,
                betas=self.betas,
                eps=self.eps,
                weight_decay=self.weight_decay,
                decay=self.decay,
            )
            parts.append(adamw.build(others, role_of))
        return Joint(parts)


def _split(
    named_parameters: Iterable[tuple[str, nn.Parameter]], role_of: RoleOf
) -> tuple[list[tuple[str, nn.Parameter]], list[tuple[str, nn.Parameter]]]:
    """The matrices of the blocks, and all else that is not frozen."""
    matrices: list[tuple[str, nn.Parameter]] = []
    others: list[tuple[str, nn.Parameter]] = []
    for name, parameter in named_parameters:
        if parameter.requires_grad:
            is_matrix = check_role(name, parameter, role_of) == "matrix" and parameter.ndim == 2
            (matrices if is_matrix else others).append((name, parameter))
    return matrices, others


@final
class Orthogonal(torch.optim.Optimizer):
    """W <- (1 - lr * decay) W - lr * scale(W) * orthogonalize(momentum), for matrices alone.

    Matrices of one shape, on their side where they are tall, go through the iteration as one stack.
    """

    def __init__(
        self,
        groups: Iterable[dict[str, Any]],
        *,
        lr: float,
        momentum: float,
        nesterov: bool,
        iterations: int,
        precision: Precision,
        scale: Literal["adamw", "shape"],
    ) -> None:
        """Each group brings `params` and its `weight_decay`; the settings are those of `Muon`."""
        self.momentum, self.nesterov = momentum, nesterov
        self.iterations, self.precision, self.scale = iterations, precision, scale
        super().__init__(groups, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:
        """One step over all matrices that have a gradient."""
        for group in self.param_groups:
            stacks: dict[tuple[int, ...], list[nn.Parameter]] = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    stacks.setdefault((min(parameter.shape), max(parameter.shape)), []).append(parameter)
            for (rows, columns), parameters in stacks.items():
                size = max(1, _STACKED // (rows * columns))
                for start in range(0, len(parameters), size):
                    self._move(parameters[start : start + size], group["lr"], group["weight_decay"])

    def _move(self, parameters: Sequence[nn.Parameter], lr: float, weight_decay: float) -> None:
        gradients = [parameter.grad for parameter in parameters]
        averages = [self._average(parameter) for parameter in parameters]
        torch._foreach_lerp_(averages, gradients, 1.0 - self.momentum)
        if self.nesterov:
            averages = torch._foreach_lerp(gradients, averages, self.momentum)
        is_tall = [len(each) > each.shape[1] for each in averages]
        stack = torch.stack([each.mT if tall else each for each, tall in zip(averages, is_tall, strict=True)])
        moves = orthogonalize(stack, self.iterations, self.precision).unbind()
        if weight_decay:
            torch._foreach_mul_(parameters, 1.0 - lr * weight_decay)
        for parameter, move, tall in zip(parameters, moves, is_tall, strict=True):
            parameter.add_(move.mT if tall else move, alpha=-lr * _factor(self.scale, parameter))

    def _average(self, parameter: nn.Parameter) -> Tensor:
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        return state["momentum"]


def orthogonalize(
    stack: Float[Tensor, "matrices rows columns"], iterations: int = 5, precision: Precision = "bf16"
) -> Float[Tensor, "matrices rows columns"]:
    """The same singular vectors with singular values near one: X <- a X + (b X X^T + c (X X^T)^2) X, some times.

    `fp32` computes in float32, or in float64 for float64. Rows should be no more than columns: it costs less.
    """
    a, b, c = COEFFICIENTS
    dtype = torch.bfloat16 if precision == "bf16" else torch.promote_types(stack.dtype, torch.float32)
    values = torch.empty(stack.shape, dtype=dtype, device=stack.device)
    torch.div(stack, torch.linalg.matrix_norm(stack, keepdim=True) + _TINY, out=values)  # singular values are at most 1
    for _ in range(iterations):
        gram = values @ values.mT
        gram = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        values = torch.baddbmm(values, gram, values, beta=a)
    return values.to(stack.dtype)


def _factor(scale: Literal["adamw", "shape"], matrix: Tensor) -> float:
    rows, columns = matrix.shape
    return 0.2 * math.sqrt(max(rows, columns)) if scale == "adamw" else math.sqrt(max(1.0, rows / columns))
