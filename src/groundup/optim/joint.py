"""Several optimizers as one, each over parameters of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import final

import torch


@final
class Joint(torch.optim.Optimizer):
    """Steps its parts in turn. Groups and state are those of the parts themselves: a changed rate is theirs."""

    def __init__(self, parts: Sequence[torch.optim.Optimizer]) -> None:
        self.parts = tuple(parts)
        super().__init__([group for part in parts for group in part.param_groups], {})
        for part in parts:
            part.state = self.state  # keyed by parameter, of which each part has its own

    def step(self, closure: Callable[[], float] | None = None) -> None:
        """One step of every part."""
        for part in self.parts:
            part.step()
