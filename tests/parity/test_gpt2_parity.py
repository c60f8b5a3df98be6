"""GPT-2 folders written by transformers compute the same here: logits, hidden states, gradients, cached steps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from gpt2_peers import (
    ARCHITECTURES,
    SIZES,
    TOLERANCE,
    build_peer,
    difference,
    draw_ids,
    gradient_difference,
    load_from,
    run_ours,
)
from torch import Tensor

from groundup.model.cache import Cache
from groundup.model.config import LayerNormConfig, PlainFeedForward
from groundup.model.packed import Packed
from groundup.model.transformer import Transformer


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("is_tied", [True, False])
def test_logits_hidden_states_and_gradients(architecture: str, is_tied: bool, tmp_path: Path) -> None:
    peer = build_peer(architecture, tie_word_embeddings=is_tied)
    model = load_from(peer, tmp_path)
    assert tuple(model.heads) == (("causal_lm",) if architecture == "GPT2LMHeadModel" else ())
    assert difference(model, peer) < TOLERANCE
    assert gradient_difference(model, peer) < TOLERANCE


@pytest.mark.parametrize(
    "values",
    [
        {"activation_function": "gelu"},
        {"activation_function": "relu"},
        {"activation_function": "silu"},
        {"activation_function": "tanh"},
        {"n_inner": None},
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
        assert gradient_difference(model, peer) < TOLERANCE


def test_only_a_padding_row_that_is_nothing_else_stands_still(tmp_path: Path) -> None:
    for padding_id, is_still in ((3, True), (2, False), (1, False)):
        model = load_from(build_peer(pad_token_id=padding_id), tmp_path / str(padding_id))
        ids = np.array([padding_id, 5])
        model(Packed.from_sequences([ids])).sum().backward()
        assert (model.embedding.token.weight.grad[padding_id] == 0).all() == is_still


def rebuild(model: Transformer, **changes: object) -> Transformer:
    """The same weights under another design: norms move with their place, and one without a place is left out."""
    other = Transformer(model.config.model_copy(update=changes)).eval()
    moved = {name.replace("norms.input", "norms.residual"): each for name, each in model.state_dict().items()}
    state = {name: moved.get(name, model.state_dict().get(name)) for name in other.state_dict()}
    other.load_state_dict(state)
    return other


def edit(model: Transformer, change: Callable[[Transformer], None]) -> Transformer:
    broken = rebuild(model)
    with torch.no_grad():
        change(broken)
    return broken


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
    assert gradient_difference(FACTS[fact](load_from(peer, tmp_path)), peer) > 2 * TOLERANCE


def cached_difference(model: Transformer, peer: torch.nn.Module, prompts: list[int], num_steps: int) -> float:
    """The largest difference of any logit, ours computed with a cache, theirs from the whole sequences."""
    random = np.random.default_rng(1)
    sequences = [torch.from_numpy(random.integers(0, SIZES["vocab_size"], length + num_steps)) for length in prompts]
    cache, head, worst = Cache(model.config, len(prompts)), model.heads["causal_lm"], 0.0
    with torch.no_grad():
        expected = [peer(input_ids=ids[None]).logits[0] for ids in sequences]
        starts, ends = [0] * len(prompts), list(prompts)
        for _ in range(num_steps + 1):
            new = [ids[start:end] for ids, start, end in zip(sequences, starts, ends, strict=True)]
            logits = head(model(cache.pack(new), cache=cache)).split([len(ids) for ids in new])
            for theirs, start, ours in zip(expected, starts, logits, strict=True):
                worst = max(worst, float((theirs[start : start + len(ours)] - ours).abs().max()))
            starts, ends = ends, [end + 1 for end in ends]
    assert starts == [len(ids) for ids in sequences]
    return worst


def test_a_token_computed_with_a_cache_is_the_one_that_transformers_computes(tmp_path: Path) -> None:
    peer = build_peer()
    model = load_from(peer, tmp_path)
    assert cached_difference(model, peer, prompts=[9, 4, 1, 4], num_steps=5) < TOLERANCE
    broken = edit(model, shift_positions)
    assert cached_difference(broken, peer, prompts=[9, 4, 1, 4], num_steps=5) > 2 * TOLERANCE


def halve(values: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """A dropout that draws nothing: it weakens every value by its own probability, so its place and p can be seen."""
    return values * (1 - p / 2) if training else values


class Halving(torch.nn.Module):
    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, values: Tensor) -> Tensor:
        return halve(values, self.p, self.training)


def replace_dropout(module: torch.nn.Module) -> None:
    for name, child in module.named_children():
        if type(child).__name__ == "Dropout":
            setattr(module, name, Halving(child.p))
        replace_dropout(child)


def test_dropout_stands_in_the_same_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Weakening attention by a factor is the same before and after the softmax's weights meet the values.
    from groundup.model import attention as module

    def attend(*arguments: object, dropout: float = 0.0, **rest: object) -> Tensor:
        return halve(module.attend_grouped(*arguments, dropout=0.0, **rest), dropout)

    monkeypatch.setitem(module.BACKENDS, "grouped", attend)
    monkeypatch.setattr(torch.nn.functional, "dropout", halve)
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
