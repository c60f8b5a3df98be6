"""Llama folders written by transformers compute the same here: logits, hidden states, gradients, cached steps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
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
from llama_peers import ARCHITECTURES, build_peer
from torch import Tensor

from groundup.families.llama import LLAMA
from groundup.model.config import GatedFeedForward, RMSNormConfig, RotaryPositions
from groundup.model.packed import Packed
from groundup.model.transformer import Transformer

__all__ = ["without_draws"]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("is_tied", [True, False])
def test_logits_hidden_states_and_gradients(architecture: str, is_tied: bool, tmp_path: Path) -> None:
    peer = build_peer(architecture, tie_word_embeddings=is_tied)
    model = load_from(peer, tmp_path)
    assert tuple(model.heads) == (("causal_lm",) if architecture == "LlamaForCausalLM" else ())
    assert difference(model, peer) < TOLERANCE
    assert gradient_difference(model, peer, LLAMA) < TOLERANCE


@pytest.mark.parametrize(
    "values",
    [
        {"hidden_act": "gelu"},
        {"hidden_act": "gelu_new"},
        {"hidden_act": "relu"},
        {"hidden_act": "tanh"},
        {"attention_bias": True},
        {"mlp_bias": True},
        {"num_key_value_heads": None},
        {"num_key_value_heads": 1},
        {"head_dim": 12},
        {"head_dim": 2},
        {"rope_parameters": None, "rope_theta": 7.5},
        {"rope_parameters": None},
        {"pad_token_id": 3},
        {"pad_token_id": 2, "eos_token_id": 2},
    ],
    ids=str,
)
def test_every_supported_value(values: dict[str, object], tmp_path: Path) -> None:
    peer = build_peer(**values)
    model = load_from(peer, tmp_path)
    assert difference(model, peer) < TOLERANCE
    if "pad_token_id" not in values:
        assert gradient_difference(model, peer, LLAMA) < TOLERANCE


def test_the_padding_row_stands_still_on_both_sides(tmp_path: Path) -> None:
    for padding_id, eos_token_id in ((3, 2), (2, 2), (None, 2)):
        peer = build_peer(pad_token_id=padding_id, eos_token_id=eos_token_id)
        model = load_from(peer, tmp_path / str(padding_id))
        ids = np.array([2, 3, 5])
        model(Packed.from_sequences([ids])).sum().backward()
        peer(input_ids=torch.from_numpy(ids)[None], output_hidden_states=True).hidden_states[-1].sum().backward()
        for row in ids:
            for gradient in (model.embedding.token.weight.grad, peer.get_input_embeddings().weight.grad):
                assert (gradient[row] == 0).all() == (row == padding_id)


def of_heads(weight: Tensor, count: int) -> Tensor:
    """The rows of a matrix, head by head."""
    return weight.unflatten(0, (count, -1))


def interleave(model: Transformer) -> None:
    """As Meta's own files are: the two of a pair beside each other, not half a head apart."""
    for block in model.blocks:
        for linear, count in ((block.attention.q, 6), (block.attention.k, 2)):
            halves = of_heads(linear.weight, count).unflatten(1, (2, -1))
            linear.weight.copy_(halves.transpose(1, 2).reshape(linear.weight.shape).clone())


def exchange_gate_and_up(model: Transformer) -> None:
    for block in model.blocks:
        block.feed_forward.gate, block.feed_forward.up = block.feed_forward.up, block.feed_forward.gate


def exchange_norms(model: Transformer) -> None:
    for block in model.blocks:
        block.attention_norms, block.feed_forward_norms = block.feed_forward_norms, block.attention_norms


def share_keys_in_turns(model: Transformer) -> None:
    """Query heads 0, 2, 4 on the first key head, as if keys were repeated head after head."""
    order = torch.arange(6).view(2, 3).T.flatten()
    for block in model.blocks:
        q, o = block.attention.q.weight, block.attention.o.weight
        q.copy_(of_heads(q, 6)[order].reshape(q.shape).clone())
        o.copy_(of_heads(o.T, 6)[order].reshape(o.T.shape).T.clone())


FACTS: dict[str, Callable[[Transformer], Transformer]] = {
    "the base of the rotation": lambda model: rebuild(model, position=RotaryPositions(base=490.0)),
    "which two are a pair": lambda model: edit(model, interleave),
    "the eps of the norms": lambda model: rebuild(model, norm=RMSNormConfig(eps=1e-5)),
    "which norm stands where": lambda model: edit(model, exchange_norms),
    "norms before the branches": lambda model: rebuild(model, norm_places=("residual", "final")),
    "a norm at the end": lambda model: rebuild(model, norm_places=("input",)),
    "the activation": lambda model: rebuild(model, feed_forward=GatedFeedForward(activation="gelu")),
    "which is the gate": lambda model: edit(model, exchange_gate_and_up),
    "no token sees the future": lambda model: rebuild(model, causal=False),
    "which heads share a key": lambda model: edit(model, share_keys_in_turns),
}


@pytest.mark.parametrize("fact", FACTS)
def test_a_broken_fact_makes_the_difference_jump(fact: str, tmp_path: Path) -> None:
    peer = build_peer()
    model = load_from(peer, tmp_path)
    broken = FACTS[fact](model)
    assert difference(model, peer) < TOLERANCE
    assert difference(broken, peer) > 10 * TOLERANCE


@pytest.mark.parametrize("fact", ["the base of the rotation", "the eps of the norms", "which is the gate"])
def test_a_broken_fact_makes_the_gradients_differ(fact: str, tmp_path: Path) -> None:
    peer = build_peer()
    assert gradient_difference(FACTS[fact](load_from(peer, tmp_path)), peer, LLAMA) > 10 * TOLERANCE


def test_a_token_computed_with_a_cache_is_the_one_that_transformers_computes(tmp_path: Path) -> None:
    peer = build_peer()
    model = load_from(peer, tmp_path)
    assert cached_difference(model, peer, prompts=[9, 4, 1, 4], num_steps=5) < TOLERANCE
    broken = FACTS["the base of the rotation"](model)
    assert cached_difference(broken, peer, prompts=[9, 4, 1, 4], num_steps=5) > 10 * TOLERANCE


@pytest.mark.usefixtures("without_draws")
def test_dropout_stands_in_the_same_place_and_nowhere_else(tmp_path: Path) -> None:
    peer = build_peer(attention_dropout=0.4)
    peer.set_attn_implementation("eager")
    model = load_from(peer, tmp_path)
    replace_dropout(model)
    without_any = run_ours(model, draw_ids())["hidden"]
    assert difference(model.train(), peer.train()) < TOLERANCE
    assert (run_ours(model, draw_ids())["hidden"] - without_any).abs().max() > 100 * TOLERANCE
    for place in (model.blocks[1].dropout, model.embedding.dropout):
        assert place.p == 0.0
        place.p = 0.01
        assert difference(model, peer) > TOLERANCE
        place.p = 0.0


def test_in_bfloat16_we_are_as_near_to_the_truth_as_transformers(tmp_path: Path) -> None:
    peer = build_peer()
    model = load_from(peer, tmp_path).bfloat16()
    with torch.no_grad():
        exact, ours = run_peer(peer, draw_ids())["logits"], run_ours(model, draw_ids())["logits"]
        theirs = run_peer(peer.bfloat16(), draw_ids())["logits"]
    assert ours.dtype == torch.bfloat16
    assert (exact - ours.float()).norm() < min(0.1 * exact.norm(), 1.5 * (exact - theirs.float()).norm())
