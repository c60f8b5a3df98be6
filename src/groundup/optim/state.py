"""The state of an optimizer as one flat tree, `<quantity>/<parameter>`: what a checkpoint holds of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

import torch
from torch import Tensor, nn

from groundup.errors import CheckpointError
from groundup.optim.joint import Joint
from groundup.optim.muon import Orthogonal

State = dict[str, Tensor]
Trained = dict[str, tuple[nn.Parameter, type[torch.optim.Optimizer]]]


def optimizer_state(
    optimizer: torch.optim.Optimizer, named_parameters: Iterable[tuple[str, nn.Parameter]]
) -> dict[str, Tensor]:
    """The state as `<quantity>/<parameter>`, the live tensors and no copies.

    A parameter that has not had a gradient yet has the state that its first step would start from, so that the tree
    is complete and a missing tensor can be told from one that never was.
    """
    tree = {}
    for name, (parameter, kind) in _trained(optimizer, named_parameters).items():
        initial = _INITIAL[kind](parameter, "meta")
        state = optimizer.state.get(parameter) or _INITIAL[kind](parameter, parameter.device)
        tree |= {f"{quantity}/{name}": state[quantity] for quantity in initial}
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
    initial = {name: _INITIAL[kind](parameter, "meta") for name, (parameter, kind) in trained.items()}
    expected = {f"{quantity}/{name}": like for name, state in initial.items() for quantity, like in state.items()}
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
    for name, (parameter, _) in trained.items():
        optimizer.state[parameter] = {
            quantity: tree[f"{quantity}/{name}"].to(parameter.device, copy=True) for quantity in initial[name]
        }


def _trained(optimizer: torch.optim.Optimizer, named_parameters: Iterable[tuple[str, nn.Parameter]]) -> Trained:
    """The parameters that the optimizer moves, by name, with the kind of the part that does."""
    parts = optimizer.parts if isinstance(optimizer, Joint) else (optimizer,)
    own = {each: type(part) for part in parts for group in part.param_groups for each in group["params"]}
    trained = {name: (parameter, own[parameter]) for name, parameter in named_parameters if parameter in own}
    if len(trained) != len(own):
        raise CheckpointError(
            "optimizer", f"moves {len(own)} parameters, but the model names only {len(trained)} of them"
        )
    return trained


def _initial_adamw(parameter: nn.Parameter, device: torch.device | str) -> State:
    zeros = torch.zeros_like(parameter, device=device, requires_grad=False)
    return {
        "step": torch.zeros((), dtype=torch.float32, device=device),
        "exp_avg": zeros,
        "exp_avg_sq": torch.zeros_like(zeros),
    }


def _initial_orthogonal(parameter: nn.Parameter, device: torch.device | str) -> State:
    return {"momentum": torch.zeros_like(parameter, device=device, requires_grad=False)}


_INITIAL: Final[Mapping[type[torch.optim.Optimizer], Callable[[nn.Parameter, torch.device | str], State]]] = {
    torch.optim.AdamW: _initial_adamw,
    Orthogonal: _initial_orthogonal,
}
"""What a parameter's first step starts from, by the kind of optimizer that moves it."""


def _check_names(problem: str, names: set[str]) -> None:
    if names:
        first, *rest = sorted(names)
        others = f" (and {len(rest)} more)" if rest else ""
        raise CheckpointError(
            f"optimizer.{first}", f"{problem} the optimizer's state{others}", cure="is the checkpoint of this recipe?"
        )
