"""GPT-2 folders written by transformers compute the same here: logits, hidden states, gradients, cached steps."""

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
from gpt2_peers import ARCHITECTURES, build_peer

from groundup.families.gpt2 import GPT2
from groundup.model.config import LayerNormConfig, PlainFeedForward
from groundup.model.packed import Packed
from groundup.model.transformer import Transformer

__all__ = ["without_draws"]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("is_tied", [True, False])
def test_logits_hidden_states_and_gradients(architecture: str, is_tied: bool, tmp_path: Path) -> None:
    peer = build_peer(architecture, tie_word_embeddings=is_tied)
    model = load_from(peer, tmp_path)
    assert tuple(model.heads) == (("causal_lm",) if architecture == "GPT2LMHeadModel" else ())
    assert difference(model, peer) < TOLERANCE
    assert gradient_difference(model, peer, GPT2) < TOLERANCE


@pytest.mark.parametrize(
    "values",
    [
        {"activation_function": "gelu"},
        {"activation_function": "relu"},
        {"activation_function": "silu"},
        {"activation_function": "tanh"},
        {"activation_function": "gelu_fast"},
        {"activation_function": "gelu_accurate"},
        {"n_inner": None},
        {"scale_attn_weights": False},
        {"pad_token_id": 3},
        {"pad_token_id": 2},
        {"reorder_and_upcast_attn": True},
    ],
    ids=str,
)
def test_every_supported_value(values: dict[str, object], tmp_path: Path) -> None:
    peer = build_peer(**values)
    peer.set_attn_implementation("eager")  # the one way to attend in which transformers heeds the last of them
    model = load_from(peer, tmp_path)
    assert difference(model, peer) < TOLERANCE
    if values.get("pad_token_id") != 3:
        assert gradient_difference(model, peer, GPT2) < TOLERANCE


def test_only_a_padding_row_that_is_nothing_else_stands_still(tmp_path: Path) -> None:
    for padding_id, is_still in ((3, True), (2, False), (1, False)):
        model = load_from(build_peer(pad_token_id=padding_id), tmp_path / str(padding_id))
        ids = np.array([padding_id, 5])
        model(Packed.from_sequences([ids])).sum().backward()
        assert (model.embedding.token.weight.grad[padding_id] == 0).all() == is_still


def exchange_q_and_k(model: Transformer) -> None:
    for block in model.blocks:
        block.attention.q, block.attention.k = block.attention.k, block.attention.q


def turn_a_matrix(model: Transformer) -> None:
    weight = model.blocks[1].attention.o.weight
    weight.copy_(weight.T.clone())


def shift_positions(model: Transformer) -> None:
    weight = model.embedding.position.weight
    weight.copy_(weight.roll(1, 0))


FACTS: dict[str, Callable[[Transformer], Transformer]] = {
    "the activation": lambda model: rebuild(model, feed_forward=PlainFeedForward(activation="gelu")),
    "norms before the branches": lambda model: rebuild(model, norm_places=("residual", "final")),
    "a norm at the end": lambda model: rebuild(model, norm_places=("input",)),
    "the eps of the norms": lambda model: rebuild(model, norm=LayerNormConfig(eps=1e-5)),
    "no token sees the future": lambda model: rebuild(model, causal=False),
    "the scale of the scores": lambda model: rebuild(model, attention_scale=1.0),
    "the number of heads": lambda model: rebuild(model, num_heads=4),
    "the order of q and k": lambda model: edit(model, exchange_q_and_k),
    "which way round a matrix is": lambda model: edit(model, turn_a_matrix),
    "the first position": lambda model: edit(model, shift_positions),
}


@pytest.mark.parametrize("fact", FACTS)
def test_a_broken_fact_makes_the_difference_jump(fact: str, tmp_path: Path) -> None:
    peer = build_peer()
    model = load_from(peer, tmp_path)
    broken = FACTS[fact](model)
    assert difference(model, peer) < TOLERANCE
    assert difference(broken, peer) > 2 * TOLERANCE


@pytest.mark.parametrize("fact", ["the activation", "the eps of the norms", "the order of q and k"])
def test_a_broken_fact_makes_the_gradients_differ(fact: str, tmp_path: Path) -> None:
    peer = build_peer()
    assert gradient_difference(FACTS[fact](load_from(peer, tmp_path)), peer, GPT2) > 2 * TOLERANCE


def test_a_token_computed_with_a_cache_is_the_one_that_transformers_computes(tmp_path: Path) -> None:
    peer = build_peer()
    model = load_from(peer, tmp_path)
    assert cached_difference(model, peer, prompts=[9, 4, 1, 4], num_steps=5) < TOLERANCE
    broken = edit(model, shift_positions)
    assert cached_difference(broken, peer, prompts=[9, 4, 1, 4], num_steps=5) > 2 * TOLERANCE


@pytest.mark.usefixtures("without_draws")
def test_dropout_stands_in_the_same_places(tmp_path: Path) -> None:
    peer = build_peer(embd_pdrop=0.2, attn_pdrop=0.4, resid_pdrop=0.3)
    peer.set_attn_implementation("eager")
    model = load_from(peer, tmp_path)
    for each in (peer, model):
        replace_dropout(each)
    assert difference(model, peer) < TOLERANCE
    without_any = run_ours(model, draw_ids())["hidden"]
    assert difference(model.train(), peer.train()) < TOLERANCE
    assert (run_ours(model, draw_ids())["hidden"] - without_any).abs().max() > 100 * TOLERANCE
    for place in (model.blocks[1].dropout, model.embedding.dropout):
        place.p += 0.01
        assert difference(model, peer) > TOLERANCE
        place.p -= 0.01


def test_in_bfloat16_we_are_as_near_to_the_truth_as_transformers(tmp_path: Path) -> None:
    peer = build_peer("GPT2LMHeadModel")
    model = load_from(peer, tmp_path).bfloat16()
    with torch.no_grad():
        exact, ours = run_peer(peer, draw_ids())["logits"], run_ours(model, draw_ids())["logits"]
        theirs = run_peer(peer.bfloat16(), draw_ids())["logits"]
    assert ours.dtype == torch.bfloat16
    assert (exact - ours.float()).norm() < min(0.1 * exact.norm(), 1.5 * (exact - theirs.float()).norm())
