"""Everything training carries from one step to the next: one named tree, and the domain in which it is exact."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

import torch
from torch import nn

from groundup.checkpoint.store import Tree
from groundup.errors import CheckpointError
from groundup.model.linear import product_library
from groundup.optim.state import load_optimizer_state, optimizer_state


@dataclass
class Progress:
    """The numbers of a run so far."""

    step: int = 0
    """Optimizer steps done (skipped ones count)."""
    tokens: int = 0
    """Tokens computed on; nothing is padded, so all of them are real."""
    targets: int = 0
    """Targets that the loss was summed over."""
    window_loss: float = 0.0
    """Summed loss since the last line of the log."""
    window_count: int = 0
    """Targets since the last line of the log."""
    best_rank: list[float] | None = None
    """What `groundup.metrics.metric.rank` says of the best validation so far."""
    best_step: int | None = None
    """The step that reached it."""
    evaluations_without_gain: int = 0
    """Validations since its metric was first reached: what patience compares with."""
    skipped: int = 0
    """Steps whose loss or gradient was not finite."""
    skipped_in_a_row: int = 0
    """Such steps since the last good one."""
    stopped_early: bool = False
    """Whether patience ran out."""
    seconds: float = 0.0
    """Time spent in the loop, over all sessions of the run."""


@dataclass
class State:
    """The live objects of a run; `to_tree` and `load_tree` are the only way to disk and back."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    progress: Progress

    def to_tree(self) -> Tree:
        """Weights, optimizer and progress by name."""
        return {
            "model": dict(self.model.state_dict()),
            "optimizer": optimizer_state(self.optimizer, self.model.named_parameters()),
            "progress": asdict(self.progress),
        }

    def load_tree(self, tree: Tree) -> None:
        """Take over a tree; everything in it is used and everything needed is in it, or CheckpointError."""
        load_weights(self.model, tree)
        load_optimizer_state(self.optimizer, self.model.named_parameters(), _branch(tree, "optimizer"))
        saved = _branch(tree, "progress")
        known = {field.name for field in fields(Progress)}
        if set(saved) != known:
            what = f"holds {sorted(set(saved) ^ known)} too many or too few"
            raise CheckpointError("progress", what, cure="another version wrote it: go on with that one, or start anew")
        self.progress = Progress(**saved)


def load_weights(model: nn.Module, tree: Tree) -> None:
    """Copy the weights of a saved tree into the model, each of them or none."""
    weights, own = _branch(tree, "model"), model.state_dict()
    wrong = sorted(set(weights) ^ set(own)) or [
        name for name, tensor in own.items() if weights[name].shape != tensor.shape
    ]
    if wrong:
        raise CheckpointError(f"model.{wrong[0]}", "is missing, unknown or of another shape", cure="is it of this run?")
    model.load_state_dict(weights)


def exactness_domain(device: torch.device, precision: str) -> dict[str, str | int]:
    """What must be equal for a resumed run to give the same bits."""
    domain: dict[str, str | int] = {"device": device.type, "precision": precision, "torch": torch.__version__}
    if device.type == "cuda":
        return domain | {"gpu": torch.cuda.get_device_name(device)}
    return domain | {
        "threads": torch.get_num_threads(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "products": product_library(),
        "machine": platform.machine(),
    }


def check_domain(saved: Mapping[str, object], current: Mapping[str, object], *, accept_inexact: bool) -> list[str]:
    """What differs between the domain of a checkpoint and this one; an error unless that was accepted."""
    different = [
        f"{name} was {saved.get(name)!r} and is {current.get(name)!r}"
        for name in sorted(set(saved) | set(current))
        if saved.get(name) != current.get(name)
    ]
    if different and not accept_inexact:
        raise CheckpointError(
            "resume",
            f"would not be exact: {'; '.join(different)}",
            cure="restore it (train.threads=N for threads), or accept with --accept-inexact",
        )
    return different


def _branch(tree: Tree, name: str) -> dict:
    branch = tree.get(name)
    if not isinstance(branch, Mapping):
        raise CheckpointError(name, "is missing from the training state")
    return dict(branch)
