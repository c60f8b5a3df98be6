"""Fresh weights, each a function of the seed and its own name: adding a head changes no other weight."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Final, Literal

import torch
from torch import Tensor, nn

from groundup.model.config import ModelConfig
from groundup.model.transformer import Transformer
from groundup.randomness import make_key

Role = Literal["embedding", "matrix", "head", "bias", "norm"]
_NORMS: Final = (
    "norm",
    "final_norm",
    "attention_norms",
    "cross_attention_norms",
    "feed_forward_norms",
    "q_norm",
    "k_norm",
)


def parameter_role(name: str, parameter: Tensor) -> Role:
    """What a parameter is for, by its dotted name: weight decay and other treatments depend on it."""
    parts = name.removeprefix("encoder.").removeprefix("heads.generator.stack.").split(".")
    if any(part in _NORMS for part in parts):
        return "norm"
    if parts[-1].endswith("bias"):
        return "bias"
    if parts[0] == "blocks" or parts[:2] == ["embedding", "projection"]:
        return "matrix"
    return "embedding" if parts[0] == "embedding" else "head"


def initialize(model: Transformer, seed: int, names: Collection[str] | None = None) -> None:
    """Fill the model, or the named parameters of it, with fresh weights.

    Matrices and embeddings are normal with `initializer_range`, biases zero, norm weights one, as in BERT, and
    `output_init` says what else matrices are that write into the residual stream. A weight depends on the seed, its
    name, its shape and the design alone. The numbers are drawn on the CPU for every device.
    """
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if names is None or name in names:
                _fill(name, parameter, _deviation(name, model.config), seed)
        padding_id = model.config.padding_id
        if padding_id is not None and (names is None or "embedding.token.weight" in names):
            model.embedding.token.weight[padding_id].zero_()


def _deviation(name: str, config: ModelConfig) -> float:
    """The standard deviation of a fresh matrix."""
    if config.output_init == "normal" or not name.endswith(("attention.o.weight", "feed_forward.down.weight")):
        return config.initializer_range
    if config.output_init == "zero":
        return 0.0
    if name.startswith("encoder."):
        num_branches = 2 * config.of_encoder.num_layers
    else:
        num_branches = (2 if config.encoder is None else 3) * config.num_layers
    return config.initializer_range / math.sqrt(num_branches)


def _fill(name: str, parameter: nn.Parameter, deviation: float, seed: int) -> None:
    if name.endswith("bias"):
        parameter.zero_()
    elif parameter_role(name, parameter) == "norm":
        parameter.fill_(1.0)
    else:
        generator = torch.Generator().manual_seed(make_key(seed, name, "initialize") >> 1)
        parameter.copy_(torch.empty(parameter.shape).normal_(0.0, deviation, generator=generator))
