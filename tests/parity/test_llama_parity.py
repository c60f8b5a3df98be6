"""The slots set as Llama's equal transformers' LlamaModel, weights mapped here; a fact broken makes the number jump."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from groundup.model.config import (
    Dropout,
    GatedFeedForward,
    ModelConfig,
    RMSNormConfig,
    RotaryPositions,
)
from groundup.model.packed import Packed
from groundup.model.transformer import Transformer

transformers = pytest.importorskip("transformers")

NAMES = {
    "embedding.token": "embed_tokens",
    "final_norm": "norm",
    "blocks.": "layers.",
    "attention_norms.input": "input_layernorm",
    "feed_forward_norms.input": "post_attention_layernorm",
    "feed_forward.": "mlp.",
    "attention.": "self_attn.",
}
MATRICES = {f"{ours}.weight": f"{ours}_proj.weight" for ours in ("q", "k", "v", "o", "up", "gate", "down")}
LENGTHS = (11, 7, 7, 2)


def rename(name: str) -> str:
    for ours, theirs in NAMES.items():
        name = name.replace(ours, theirs)
    head, last = name.rsplit(".", 2)[0], ".".join(name.rsplit(".", 2)[1:])
    return f"{head}.{MATRICES[last]}" if last in MATRICES else name


@pytest.fixture(scope="module")
def peer() -> torch.nn.Module:
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=50,
        hidden_size=48,
        intermediate_size=80,
        num_hidden_layers=3,
        num_attention_heads=6,
        num_key_value_heads=2,
        max_position_embeddings=32,
        rms_norm_eps=1e-5,
        rope_theta=500.0,
        initializer_range=0.3,
    )
    return transformers.LlamaModel(config).eval()


def build(peer: torch.nn.Module, *, base: float = 500.0, eps: float = 1e-5, causal: bool = True) -> Transformer:
    config = ModelConfig(
        vocab_size=50,
        hidden_size=48,
        intermediate_size=80,
        num_layers=3,
        num_heads=6,
        num_kv_heads=2,
        max_length=32,
        num_token_types=0,
        causal=causal,
        position=RotaryPositions(base=base),
        norm=RMSNormConfig(eps=eps),
        norm_places=("input", "final"),
        feed_forward=GatedFeedForward(),
        attention_bias=False,
        feed_forward_bias=False,
        dropout=Dropout(embedding=0.0, attention=0.0, residual=0.0),
        padding_id=None,
    )
    model = Transformer(config)
    theirs = peer.state_dict()
    model.load_state_dict({name: theirs.pop(rename(name)) for name in model.state_dict()})
    assert not theirs
    return model


def distance(peer: torch.nn.Module, model: Transformer) -> float:
    """The largest difference between hidden states over sequences of unequal lengths, each alone at the peer."""
    rng = np.random.default_rng(0)
    ids = [rng.integers(0, 50, length) for length in LENGTHS]
    with torch.no_grad():
        ours = model(Packed.from_sequences(ids)).split(list(LENGTHS))
        theirs = [peer(torch.from_numpy(each)[None]).last_hidden_state[0] for each in ids]
    return max((one - other).abs().max().item() for one, other in zip(ours, theirs, strict=True))


def test_hidden_states_are_equal(peer: torch.nn.Module) -> None:
    assert distance(peer, build(peer)) < 1e-4


@pytest.mark.parametrize("broken", [{"base": 490.0}, {"eps": 1e-1}, {"causal": False}])
def test_a_broken_fact_is_seen(peer: torch.nn.Module, broken: dict) -> None:
    assert distance(peer, build(peer, **broken)) > 1e-3


def test_gradients_are_equal(peer: torch.nn.Module) -> None:
    model = build(peer)
    ids = np.random.default_rng(1).integers(0, 50, 13)
    weight = torch.randn(13, 48, generator=torch.Generator().manual_seed(0))
    (model(Packed.from_sequences([ids])) * weight).sum().backward()
    peer.zero_grad()
    (peer(torch.from_numpy(ids)[None]).last_hidden_state[0] * weight).sum().backward()
    theirs = dict(peer.named_parameters())
    for name, parameter in model.named_parameters():
        gradient = theirs[rename(name)].grad
        assert (parameter.grad - gradient).norm() <= 1e-4 * gradient.norm(), name
