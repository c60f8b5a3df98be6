"""A block against the formulas of Vaswani et al. 2017 in float64: encoder and decoder, post-norm and pre-norm."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from groundup.model.block import Block
from groundup.model.config import Dropout, LayerNormConfig, ModelConfig
from groundup.model.packed import Packed

LENGTHS = (5, 3, 1)
NONE = Dropout(embedding=0.0, attention=0.0, residual=0.0)
POST_NORM, PRE_NORM = ("residual",), ("input",)


def build(causal: bool, places: tuple[str, ...]) -> Block:
    config = ModelConfig(
        vocab_size=9,
        hidden_size=8,
        num_heads=2,
        intermediate_size=20,
        causal=causal,
        norm=LayerNormConfig(eps=1e-5),
        norm_places=places,
        dropout=NONE,
    )
    block, draw = Block(config), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=draw) * 0.5)
    return block


class Reference:
    """One sequence at a time, from the formulas: numpy, float64, loops over heads."""

    def __init__(self, block: Block, *, causal: bool, is_post_norm: bool) -> None:
        self.weights = {name: each.detach().double().numpy() for name, each in block.named_parameters()}
        self.causal, self.is_post_norm = causal, is_post_norm

    def linear(self, name: str, x: np.ndarray) -> np.ndarray:
        return x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def norm(self, name: str, x: np.ndarray) -> np.ndarray:
        """(x - mean) / sqrt(variance + eps) * weight + bias."""
        centred = x - x.mean(1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(1, keepdims=True) + 1e-5)
        return scaled * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]

    def attention(self, x: np.ndarray) -> np.ndarray:
        """concat(softmax(Q_i K_i^T / sqrt(d_k)) V_i) W_O."""
        q, k, v = (self.linear(f"attention.{each}", x) for each in "qkv")
        heads = []
        for head in (slice(0, 4), slice(4, 8)):
            scores = q[:, head] @ k[:, head].T / math.sqrt(4)
            if self.causal:
                scores[np.triu_indices(len(x), 1)] = -np.inf
            shares = np.exp(scores)
            heads.append(shares / shares.sum(1, keepdims=True) @ v[:, head])
        return self.linear("attention.o", np.concatenate(heads, axis=1))

    def feed_forward(self, x: np.ndarray) -> np.ndarray:
        """gelu(x W_1 + b_1) W_2 + b_2 with gelu(z) = z Phi(z)."""
        up = self.linear("feed_forward.up", x)
        normal = np.vectorize(lambda z: 0.5 * (1 + math.erf(z / math.sqrt(2))))
        return self.linear("feed_forward.down", up * normal(up))

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Each branch: norm(x + f(x)), or x + f(norm(x))."""
        for name, branch in (("attention", self.attention), ("feed_forward", self.feed_forward)):
            if self.is_post_norm:
                x = self.norm(f"{name}_norms.residual", x + branch(x))
            else:
                x = x + branch(self.norm(f"{name}_norms.input", x))
        return x


@pytest.mark.parametrize("places", [POST_NORM, PRE_NORM], ids=["post-norm", "pre-norm"])
@pytest.mark.parametrize("causal", [False, True], ids=["encoder", "decoder"])
def test_a_block_is_the_formulas(causal: bool, places: tuple[str, ...]) -> None:
    block = build(causal, places)
    hidden = torch.randn(sum(LENGTHS), 8, generator=torch.Generator().manual_seed(1))
    out = block(hidden, Packed.from_sequences([np.arange(length) for length in LENGTHS])).detach().numpy()

    def distance(reference: Reference) -> float:
        parts = np.split(hidden.double().numpy(), np.cumsum(LENGTHS)[:-1])
        return float(np.abs(out - np.concatenate([reference(part) for part in parts])).max())

    facts = {"causal": causal, "is_post_norm": places == POST_NORM}
    assert distance(Reference(block, **facts)) < 1e-5
    assert distance(Reference(block, **facts | {"causal": not causal})) > 1e-2
    exchanged = Reference(block, **facts)
    for name in ("weight", "bias"):
        query, key = f"attention.q.{name}", f"attention.k.{name}"
        exchanged.weights[query], exchanged.weights[key] = exchanged.weights[key], exchanged.weights[query]
    assert distance(exchanged) > 1e-2
    plain = Reference(block, **facts)
    plain.feed_forward = lambda x: plain.linear("feed_forward.down", np.maximum(plain.linear("feed_forward.up", x), 0))
    assert distance(plain) > 1e-2
