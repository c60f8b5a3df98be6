"""Which parameters an optimizer treats alike: they are told apart by their role, never by a pattern in their name."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any, Literal, get_args

from torch import nn

from groundup.errors import ConfigError

Role = Literal["embedding", "matrix", "head", "bias", "norm"]
"""What a parameter is for. A `matrix` stands in a block; a `head` is a matrix on top of the stack."""

Decaying = Literal["embedding", "matrix", "bias", "norm"]
"""What may decay, as recipes name it: heads do where matrices do."""

RoleOf = Callable[[str, nn.Parameter], str]
"""Tells the role of a parameter from its name and itself."""


def check_role(name: str, parameter: nn.Parameter, role_of: RoleOf) -> Role:
    """The role of a parameter. ConfigError where it is none of ours."""
    role = role_of(name, parameter)
    if role not in get_args(Role):
        raise ConfigError(name, "is a parameter of unknown role", got=role, cure=f"one of {get_args(Role)}")
    return role


def group_parameters(
    named_parameters: Iterable[tuple[str, nn.Parameter]],
    role_of: RoleOf,
    *,
    decay: Collection[Decaying],
    weight_decay: float,
) -> list[dict[str, Any]]:
    """At most two groups for torch.optim, with and without weight decay. Frozen parameters are in neither.

    Two groups instead of one per role, because a fused optimizer runs one kernel a group.
    """
    decayed: list[tuple[str, nn.Parameter]] = []
    free: list[tuple[str, nn.Parameter]] = []
    for name, parameter in named_parameters:
        if not parameter.requires_grad:
            continue
        role = check_role(name, parameter, role_of)
        (decayed if ("matrix" if role == "head" else role) in decay else free).append((name, parameter))
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": free, "weight_decay": 0.0}]
    groups = [group for group in groups if group["params"]]
    if not groups:
        raise ConfigError("optimizer", "there is nothing to train: every parameter is frozen")
    return groups
