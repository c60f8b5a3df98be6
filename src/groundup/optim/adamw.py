"""Adam with decoupled weight decay (Loshchilov and Hutter 2019), and its state by parameter name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Final, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from groundup.config import Config
from groundup.errors import CheckpointError
from groundup.optim.groups import Role, RoleOf, group_parameters

Momentum = Annotated[float, Field(ge=0.0, lt=1.0)]

_STATE: Final = ("step", "exp_avg", "exp_avg_sq")


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
    decay: tuple[Role, ...] = ("matrix", "embedding")
    """The roles that decay. Biases and norms do not, as in BERT's published training."""

    def build(self, named_parameters: Iterable[tuple[str, nn.Parameter]], role_of: RoleOf) -> torch.optim.AdamW:
        """The optimizer over all parameters that are not frozen; its learning rates are the peaks of the schedule.

        Fused: one pass over memory a step, and the same bits on every run with the same number of threads.
        """
        groups = group_parameters(named_parameters, role_of, decay=self.decay, weight_decay=self.weight_decay)
        return torch.optim.AdamW(groups, lr=self.learning_rate, betas=self.betas, eps=self.eps, fused=True)


OptimizerConfig = AdamW


def optimizer_state(
    optimizer: torch.optim.Optimizer, named_parameters: Iterable[tuple[str, nn.Parameter]]
) -> dict[str, Tensor]:
    """The state of AdamW as `<quantity>/<parameter>`, the live tensors and no copies.

    A parameter that has not had a gradient yet has the state that its first step would start from, so that the tree
    is complete and a missing tensor can be told from one that never was.
    """
    tree = {}
    for name, parameter in _trained(optimizer, named_parameters).items():
        state = optimizer.state.get(parameter) or _initial_state(parameter)
        tree |= {f"{quantity}/{name}": state[quantity] for quantity in _STATE}
    return tree


def load_optimizer_state(
    optimizer: torch.optim.Optimizer,
    named_parameters: Iterable[tuple[str, nn.Parameter]],
    tree: Mapping[str, Tensor],
) -> None:
    """Take over a saved state, all of it or nothing.

    Raises:
        CheckpointError: a tensor is missing, unknown, or of another shape or dtype.
    """
    trained = _trained(optimizer, named_parameters)
    initial = {name: _initial_state(parameter, device="meta") for name, parameter in trained.items()}
    expected = {f"{quantity}/{name}": state[quantity] for name, state in initial.items() for quantity in _STATE}
    _check_names("is missing in", set(expected) - set(tree))
    _check_names("is unknown to", set(tree) - set(expected))
    for name, like in expected.items():
        saved = tree[name]
        if not isinstance(saved, Tensor) or (saved.shape, saved.dtype) != (like.shape, like.dtype):
            raise CheckpointError(
                f"optimizer.{name}",
                f"should be {like.dtype} of shape {tuple(like.shape)}",
                got=f"{saved.dtype} of shape {tuple(saved.shape)}" if isinstance(saved, Tensor) else saved,
                cure="is the checkpoint of this recipe?",
            )
    for name, parameter in trained.items():
        optimizer.state[parameter] = {
            quantity: tree[f"{quantity}/{name}"].to(parameter.device, copy=True) for quantity in _STATE
        }


def _trained(
    optimizer: torch.optim.Optimizer, named_parameters: Iterable[tuple[str, nn.Parameter]]
) -> dict[str, nn.Parameter]:
    """The parameters that the optimizer moves, by name."""
    own = {parameter for group in optimizer.param_groups for parameter in group["params"]}
    trained = {name: parameter for name, parameter in named_parameters if parameter in own}
    if len(trained) != len(own):
        raise CheckpointError(
            "optimizer", f"moves {len(own)} parameters, but the model names only {len(trained)} of them"
        )
    return trained


def _initial_state(parameter: nn.Parameter, device: str | None = None) -> dict[str, Tensor]:
    zeros = torch.zeros_like(parameter, device=device, requires_grad=False)
    return {
        "step": torch.zeros((), dtype=torch.float32, device=device or parameter.device),
        "exp_avg": zeros,
        "exp_avg_sq": torch.zeros_like(zeros),
    }


def _check_names(problem: str, names: set[str]) -> None:
    if names:
        first, *rest = sorted(names)
        others = f" (and {len(rest)} more)" if rest else ""
        raise CheckpointError(
            f"optimizer.{first}", f"{problem} the optimizer's state{others}", cure="is the checkpoint of this recipe?"
        )
