"""Mistral, Qwen2, Qwen3 and scaled rotations, as in transformers: states, gradients, cached steps, dropout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from decoder_peers import (
    TOLERANCE,
    cached_difference,
    difference,
    draw_ids,
    edit,
    gradient_difference,
    load_from,
    rebuild,
    replace_dropout,
    run_ours,
    run_peer,
    without_draws,
)
from llama_peers import build_peer

from groundup.families.family import Family
from groundup.families.llama import LLAMA
from groundup.families.mistral import MISTRAL
from groundup.families.qwen2 import QWEN2
from groundup.families.qwen3 import QWEN3
from groundup.model.config import LinearScaling, Llama3Scaling, RotaryPositions, Window
from groundup.model.transformer import Transformer

__all__ = ["without_draws"]

FAMILIES: dict[str, Family] = {"Mistral": MISTRAL, "Qwen2": QWEN2, "Qwen3": QWEN3}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}
LINEAR = {"rope_type": "linear", "rope_theta": 500.0, "factor": 2.5}


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("kind", ["Model", "ForCausalLM"])
@pytest.mark.parametrize("is_tied", [True, False])
def test_logits_hidden_states_and_gradients(name: str, kind: str, is_tied: bool, tmp_path: Path) -> None:
    peer = build_peer(name + kind, tie_word_embeddings=is_tied)
    model = load_from(peer, tmp_path)
    assert tuple(model.heads) == (("causal_lm",) if kind == "ForCausalLM" else ())
    assert difference(model, peer) < TOLERANCE
    assert gradient_difference(model, peer, FAMILIES[name]) < TOLERANCE


VALUES: list[tuple[str, dict[str, object]]] = [
    ("Llama", {"rope_parameters": LLAMA3}),
    ("Llama", {"rope_parameters": LINEAR}),
    ("Llama", {"rope_parameters": LLAMA3, "head_dim": 16}),
    ("Mistral", {"sliding_window": None}),
    ("Mistral", {"sliding_window": 1}),
    ("Mistral", {"sliding_window": 11}),
    ("Mistral", {"num_attention_heads": 5, "num_key_value_heads": 5, "head_dim": 4}),
    ("Mistral", {"hidden_act": "gelu", "pad_token_id": 3, "num_key_value_heads": 1}),
    ("Qwen2", {"use_sliding_window": False}),
    ("Qwen2", {"max_window_layers": 0}),
    ("Qwen2", {"max_window_layers": 28}),
    ("Qwen2", {"layer_types": ["sliding_attention", "full_attention", "sliding_attention"]}),
    ("Qwen2", {"rope_parameters": LINEAR}),
    ("Qwen2", {"head_dim": 16}),
    ("Qwen3", {"use_sliding_window": False, "attention_bias": True}),
    ("Qwen3", {"head_dim": 8, "num_key_value_heads": 6}),
    ("Qwen3", {"num_attention_heads": 5, "num_key_value_heads": 1, "head_dim": 10}),
    ("Qwen3", {"layer_types": ["full_attention", "sliding_attention", "full_attention"], "rope_parameters": LLAMA3}),
]


@pytest.mark.parametrize(("name", "values"), VALUES, ids=str)
def test_every_supported_value(name: str, values: dict[str, Any], tmp_path: Path) -> None:
    peer = build_peer(f"{name}ForCausalLM", **values)
    model = load_from(peer, tmp_path)
    assert difference(model, peer) < TOLERANCE
    if "pad_token_id" not in values:
        assert gradient_difference(model, peer, (FAMILIES | {"Llama": LLAMA})[name]) < TOLERANCE
    assert cached_difference(model, peer, prompts=[9, 1], num_steps=3) < TOLERANCE


def forget_query_norms(model: Transformer) -> None:
    for block in model.blocks:
        block.attention.q_norm.weight.fill_(1.0)


def exchange_norms(model: Transformer) -> None:
    for block in model.blocks:
        attention = block.attention
        attention.q_norm, attention.k_norm = attention.k_norm, attention.q_norm


def forget_biases(model: Transformer) -> None:
    for block in model.blocks:
        block.attention.v.bias.zero_()


def with_window(**changes: object) -> Callable[[Transformer], Transformer]:
    def change(model: Transformer) -> Transformer:
        return rebuild(model, window=Window(**{**model.config.window.model_dump(), **changes}))

    return change


def with_rotation(**changes: object) -> Callable[[Transformer], Transformer]:
    return lambda model: rebuild(model, position=RotaryPositions(base=500.0, **changes))


FACTS: list[tuple[str, str, dict[str, object], Callable[[Transformer], Transformer]]] = [
    ("how far a token sees", "Mistral", {}, with_window(size=4)),
    ("that there is a window", "Mistral", {}, lambda model: rebuild(model, window=None)),
    ("which layers have a window", "Qwen2", {}, with_window(layers=(0, 1))),
    ("biases", "Qwen2", {}, lambda model: edit(model, forget_biases)),
    ("norms on queries", "Qwen3", {}, lambda model: edit(model, forget_query_norms)),
    ("which norm is whose", "Qwen3", {}, lambda model: edit(model, exchange_norms)),
    ("which layers have a window", "Qwen3", {}, with_window(layers=(1, 2))),
    ("a scaled rotation", "Llama", {"rope_parameters": LLAMA3}, with_rotation()),
    (
        "which rotations are slow",
        "Llama",
        {"rope_parameters": LLAMA3},
        with_rotation(scaling=Llama3Scaling(factor=8.0, original_length=8)),
    ),
    ("a factor", "Llama", {"rope_parameters": LINEAR}, with_rotation(scaling=LinearScaling(factor=2.4))),
]


@pytest.mark.parametrize(("fact", "name", "values", "spoil"), FACTS, ids=lambda value: value if value is str else None)
def test_a_broken_fact_makes_the_difference_jump(
    fact: str, name: str, values: dict[str, object], spoil: Callable[[Transformer], Transformer], tmp_path: Path
) -> None:
    peer = build_peer(f"{name}ForCausalLM", **values)
    model = load_from(peer, tmp_path)
    broken = spoil(model)
    assert difference(model, peer) < TOLERANCE
    assert difference(broken, peer) > 10 * TOLERANCE, fact
    assert gradient_difference(broken, peer, (FAMILIES | {"Llama": LLAMA})[name]) > 10 * TOLERANCE, fact
    assert cached_difference(broken, peer, prompts=[9, 4], num_steps=3) > 10 * TOLERANCE, fact


@pytest.mark.parametrize("name", FAMILIES)
def test_a_cached_step_is_the_uncached_one(name: str, tmp_path: Path) -> None:
    peer = build_peer(f"{name}ForCausalLM")
    model = load_from(peer, tmp_path)
    assert cached_difference(model, peer, prompts=[13, 9, 4, 1, 4], num_steps=9) < TOLERANCE
    assert cached_difference(model, Alone(model), prompts=[13, 9, 4, 1, 4], num_steps=9) < 1e-5


class Alone(torch.nn.Module):
    """Our own model without a cache, called as a peer."""

    def __init__(self, model: Transformer) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor) -> Any:
        return type("Answer", (), {"logits": run_ours(self.model, [input_ids[0].numpy()])["logits"][None]})


@pytest.mark.parametrize("name", FAMILIES)
def test_in_bfloat16_we_are_as_near_to_the_truth_as_transformers(name: str, tmp_path: Path) -> None:
    peer = build_peer(f"{name}ForCausalLM").to(torch.bfloat16)
    model = load_from(peer, tmp_path).to(torch.bfloat16)
    with torch.no_grad():
        theirs, ours = run_peer(peer, draw_ids())["logits"], run_ours(model, draw_ids())["logits"]
        truth = run_peer(peer.float(), draw_ids())["logits"]
    assert ours.dtype == torch.bfloat16
    scale = truth.std()
    assert (ours - truth).square().mean().sqrt() < 1.5 * (theirs - truth).square().mean().sqrt() < 0.1 * scale


@pytest.mark.usefixtures("without_draws")
@pytest.mark.parametrize("name", FAMILIES)
def test_dropout_stands_in_the_same_place_and_nowhere_else(name: str, tmp_path: Path) -> None:
    peer = build_peer(f"{name}ForCausalLM", attention_dropout=0.4)
    peer.set_attn_implementation("eager")
    model = load_from(peer, tmp_path)
    replace_dropout(model)
    without_any = run_ours(model, draw_ids())["hidden"]
    assert difference(model.train(), peer.train()) < TOLERANCE
    assert (run_ours(model, draw_ids())["hidden"] - without_any).abs().max() > 100 * TOLERANCE
    block = model.blocks[1]
    for place in (block.dropout, block.attention_dropout, block.feed_forward.dropout, model.embedding.dropout):
        assert place.p == 0.0
        place.p = 0.01
        assert difference(model, peer) > TOLERANCE
        place.p = 0.0
