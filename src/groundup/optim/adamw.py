"""Adam with decoupled weight decay (Loshchilov and Hutter 2019)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import nn

from groundup.config import Config
from groundup.optim.groups import Decaying, RoleOf, group_parameters

Momentum = Annotated[float, Field(ge=0.0, lt=1.0)]


class AdamW(Config):
    """AdamW: the weight decay acts on the weight itself, scaled by the learning rate, and not through the gradient."""

    kind: Literal["adamw"] = "adamw"
    learning_rate: float = Field(1e-4, gt=0.0)
    """The peak of the schedule."""
    betas: tuple[Momentum, Momentum] = (0.9, 0.999)
    """How slowly the averages of the gradient and of its square move."""
    eps: float = Field(1e-8, gt=0.0)
    """Added to the root of the averaged square."""
    weight_decay: float = Field(0.01, ge=0.0)
    """The share of a weight that is taken away at each step, times the learning rate."""
    decay: tuple[Decaying, ...] = ("matrix", "embedding")
    """The roles that decay. Biases and norms do not, as in BERT's published training."""

    def count_state(self, named_parameters: Iterable[tuple[str, nn.Parameter]], role_of: RoleOf) -> int:
        """Numbers that it keeps while training: two averages of every parameter that is not frozen."""
        return sum(2 * parameter.numel() for _, parameter in named_parameters if parameter.requires_grad)

    def build(self, named_parameters: Iterable[tuple[str, nn.Parameter]], role_of: RoleOf) -> torch.optim.AdamW:
        """The optimizer over all parameters that are not frozen; its learning rates are the peaks of the schedule.

        Fused: one pass over memory a step, and the same bits on every run with the same number of threads.
        """
        groups = group_parameters(named_parameters, role_of, decay=self.decay, weight_decay=self.weight_decay)
        return torch.optim.AdamW(groups, lr=self.learning_rate, betas=self.betas, eps=self.eps, fused=True)
