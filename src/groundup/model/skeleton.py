"""A model without weights: its modules and the shapes of its parameters, for whoever fills or counts them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from groundup.model.config import ModelConfig
from groundup.model.transformer import Transformer


class _WithoutInitialization(TorchFunctionMode):
    """Skips `torch.nn.init`: on the meta device its first draw imports the whole compiler, two seconds for nothing."""

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Sequence[type],
        arguments: Sequence[Any] = (),
        keywords: Mapping[str, Any] | None = None,
    ) -> Any:
        keywords = keywords or {}
        if getattr(function, "__module__", "") == "torch.nn.init":
            return keywords["tensor"] if "tensor" in keywords else arguments[0]
        return function(*arguments, **keywords)


def build_skeleton(config: ModelConfig) -> Transformer:
    """The Transformer of a design with all parameters on the meta device: no memory, no random draw, milliseconds."""
    with torch.device("meta"), _WithoutInitialization():
        return Transformer(config)
