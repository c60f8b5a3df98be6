"""The feed-forward branch: the same two or three matrices for every token."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from groundup.model.config import Activation, ModelConfig
from groundup.model.dropout import Dropout
from groundup.model.linear import Linear

ACTIVATIONS: Final[dict[Activation, Callable[[Tensor], Tensor]]] = {
    "gelu": functional.gelu,
    "gelu_tanh": partial(functional.gelu, approximate="tanh"),
    "relu": functional.relu,
    "silu": functional.silu,
    "tanh": functional.tanh,
}


class PlainFeedForward(nn.Module):
    """down(activation(up(x)))."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.activation = ACTIVATIONS[config.feed_forward.activation]
        self.up = Linear(config.hidden_size, config.intermediate_size, config.feed_forward_bias)
        self.down = Linear(config.intermediate_size, config.hidden_size, config.feed_forward_bias)
        self.dropout = Dropout(config.dropout.feed_forward)

    def forward(self, hidden: Float[Tensor, "tokens hidden"]) -> Float[Tensor, "tokens hidden"]:
        """Each token alone."""
        return self.down(self.dropout(self.activation(self.up(hidden))))


class GatedFeedForward(nn.Module):
    """down(activation(gate(x)) * up(x)) (Shazeer 2020)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.activation = ACTIVATIONS[config.feed_forward.activation]
        self.gate = Linear(config.hidden_size, config.intermediate_size, config.feed_forward_bias)
        self.up = Linear(config.hidden_size, config.intermediate_size, config.feed_forward_bias)
        self.down = Linear(config.intermediate_size, config.hidden_size, config.feed_forward_bias)
        self.dropout = Dropout(config.dropout.feed_forward)

    def forward(self, hidden: Float[Tensor, "tokens hidden"]) -> Float[Tensor, "tokens hidden"]:
        """Each token alone."""
        return self.down(self.dropout(self.activation(self.gate(hidden)) * self.up(hidden)))


def build_feed_forward(config: ModelConfig) -> PlainFeedForward | GatedFeedForward:
    """The feed-forward that the config names."""
    return GatedFeedForward(config) if config.feed_forward.kind == "gated" else PlainFeedForward(config)
