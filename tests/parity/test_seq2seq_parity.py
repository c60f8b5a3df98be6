"""T5, T5 v1.1, mT5, BART and Marian folders of transformers compute the same here: states, logits, gradients, steps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from decoder_peers import TOLERANCE, Halving, replace_dropout, without_draws
from seq2seq_peers import (
    CONFIGS,
    build_peer,
    cached_difference,
    difference,
    draw_ids,
    gradient_difference,
    load_from,
    run_ours,
    run_peer,
)

from groundup.families.registry import FAMILIES
from groundup.model.config import (
    CausalLMHead,
    GatedFeedForward,
    LearnedPositions,
    PlainFeedForward,
    RelativeBias,
    RMSNormConfig,
    SinusoidalPositions,
)
from groundup.model.transformer import Transformer

__all__ = ["without_draws"]


def find_family(peer: torch.nn.Module) -> object:
    return next(each for each in FAMILIES if each.model_type == peer.config.model_type)


@pytest.mark.parametrize("has_head", [True, False])
@pytest.mark.parametrize("family", CONFIGS)
def test_states_logits_and_gradients(family: str, has_head: bool, tmp_path: Path) -> None:
    peer = build_peer(family, has_head=has_head)
    model = load_from(peer, tmp_path)
    assert tuple(model.heads) == (("causal_lm",) if has_head else ())
    assert difference(model, peer) < TOLERANCE
    assert gradient_difference(model, peer, find_family(peer)) < TOLERANCE


@pytest.mark.parametrize("family", CONFIGS)
def test_a_cached_step_is_an_uncached_one(family: str, tmp_path: Path) -> None:
    peer = build_peer(family)
    model = load_from(peer, tmp_path)
    assert cached_difference(model, peer) < 1e-5


@pytest.mark.parametrize(
    ("family", "values"),
    [
        ("t5", {"feed_forward_proj": "gelu"}),
        ("t5", {"feed_forward_proj": "gated-silu"}),
        ("t5", {"feed_forward_proj": "gated-relu", "num_decoder_layers": None}),
        ("t5", {"scale_decoder_outputs": False}),
        ("t5", {"relative_attention_num_buckets": 32, "relative_attention_max_distance": 128}),
        ("mt5", {"tie_word_embeddings": False}),
        ("bart", {"scale_embedding": True}),
        ("bart", {"tie_word_embeddings": False}),
        ("bart", {"activation_function": "relu", "encoder_ffn_dim": 48}),
        ("marian", {"scale_embedding": False}),
        ("marian", {"activation_function": "gelu_new", "encoder_layers": 2}),
    ],
    ids=str,
)
def test_every_supported_value(family: str, values: dict[str, object], tmp_path: Path) -> None:
    peer = build_peer(family, **values)
    if values.get("tie_word_embeddings") is False and family == "bart":
        peer.model.encoder.embed_tokens.weight = peer.model.decoder.embed_tokens.weight = peer.model.shared.weight
    model = load_from(peer, tmp_path)
    assert difference(model, peer) < TOLERANCE


def rebuild(model: Transformer, **changes: object) -> Transformer:
    """The same weights under another design; of norms at another place the nearest."""
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


def exchange_sides(model: Transformer) -> None:
    ours, other = model.embedding.position.weight, model.encoder.embedding.position.weight
    before = ours.clone()
    ours.copy_(other)
    other.copy_(before)


def exchange_attentions(model: Transformer) -> None:
    for block in model.blocks:
        block.cross_attention_norms, block.attention_norms = block.attention_norms, block.cross_attention_norms


def exchange_gate_and_up(model: Transformer) -> None:
    for stack in (model, model.encoder):
        for block in stack.blocks:
            block.feed_forward.gate, block.feed_forward.up = block.feed_forward.up, block.feed_forward.gate


def forget_bias(model: Transformer) -> None:
    model.heads["causal_lm"].bias.zero_()


def see_the_future(model: Transformer) -> None:
    model.blocks[0].attention.causal = False


def start_a_row_earlier(model: Transformer) -> None:
    model.embedding.position.offset = 1


FACTS: dict[str, tuple[str, Callable[[Transformer], Transformer]]] = {
    "scores are not divided": ("t5", lambda model: rebuild(model, attention_scale=None)),
    "the widest distance": ("t5", lambda model: rebuild(model, position=RelativeBias(num_buckets=8, max_distance=7))),
    "a table of distances for each side": ("t5", lambda model: edit(model, exchange_sides)),
    "the decoder knows no future": ("t5", lambda model: edit(model, see_the_future)),
    "which norm stands where": ("t5", lambda model: edit(model, exchange_attentions)),
    "the eps of the norms": ("t5", lambda model: rebuild(model, norm=RMSNormConfig(eps=1e-5))),
    "the scale of the head": ("t5", lambda model: rebuild(model, heads=(CausalLMHead(),))),
    "no scale of the head": ("t5 v1.1", lambda model: rebuild(model, heads=(CausalLMHead(scale_hidden=True),))),
    "a head of its own": ("t5 v1.1", lambda model: rebuild(model, tie_embeddings=True)),
    "which is the gate": ("t5 v1.1", lambda model: edit(model, exchange_gate_and_up)),
    "gelu by tanh": ("mt5", lambda model: rebuild(model, feed_forward=GatedFeedForward(activation="relu"))),
    "the offset of positions": ("bart", lambda model: edit(model, start_a_row_earlier)),
    "the norm of the embedding": ("bart", lambda model: rebuild(model, norm_places=("residual",))),
    "the embedding as it is": (
        "bart",
        lambda model: rebuild(model, position=LearnedPositions(offset=2, scale_embedding=True)),
    ),
    "the bias of the head": ("bart", lambda model: edit(model, forget_bias)),
    "norms after the sum": ("bart", lambda model: edit(model, exchange_attentions)),
    "sines in halves": ("marian", lambda model: rebuild(model, position=SinusoidalPositions())),
    "the scaled embedding": (
        "marian",
        lambda model: rebuild(model, position=SinusoidalPositions(layout="halves", scale_embedding=False)),
    ),
    "the activation": ("marian", lambda model: rebuild(model, feed_forward=PlainFeedForward(activation="gelu"))),
}


@pytest.mark.parametrize("fact", FACTS)
def test_a_broken_fact_makes_the_difference_jump(fact: str, tmp_path: Path) -> None:
    family, break_it = FACTS[fact]
    peer = build_peer(family)
    model = load_from(peer, tmp_path)
    assert difference(break_it(model), peer) > 10 * TOLERANCE


@pytest.mark.parametrize("family", ["t5", "bart", "marian"])
def test_a_broken_fact_makes_the_gradients_differ(family: str, tmp_path: Path) -> None:
    peer = build_peer(family)
    broken = edit(load_from(peer, tmp_path), exchange_attentions)
    assert gradient_difference(broken, peer, find_family(peer)) > 10 * TOLERANCE


@pytest.mark.parametrize(
    ("family", "rates"),
    [
        ("t5", {"dropout_rate": 0.4}),
        ("t5 v1.1", {"dropout_rate": 0.4}),
        ("bart", {"dropout": 0.4, "attention_dropout": 0.0, "activation_dropout": 0.0}),
        ("bart", {"dropout": 0.0, "attention_dropout": 0.4, "activation_dropout": 0.2}),
        ("marian", {"dropout": 0.3, "attention_dropout": 0.4, "activation_dropout": 0.2}),
    ],
    ids=str,
)
@pytest.mark.usefixtures("without_draws")
def test_dropout_stands_in_the_same_places(family: str, rates: dict[str, float], tmp_path: Path) -> None:
    peer = build_peer(family, **rates)
    peer.set_attn_implementation("eager")
    model = load_from(peer, tmp_path).train()
    for module in (peer.train(), model):
        replace_dropout(module)
    assert any(isinstance(each, Halving) for each in model.modules())
    with torch.no_grad():
        theirs, ours = run_peer(peer, *draw_ids()), run_ours(model, *draw_ids())
        assert max(float((theirs[name] - ours[name]).abs().max()) for name in theirs) < TOLERANCE
        for place in ("feed_forward", "residual", "embedding", "attention", "final"):
            rate = getattr(model.config.dropout, place)
            if not rate:
                continue
            other = model.config.dropout.model_copy(update={place: 0.0})
            broken = rebuild(model, dropout=other).train()
            replace_dropout(broken)
            found = run_ours(broken, *draw_ids())
            assert max(float((theirs[name] - found[name]).abs().max()) for name in theirs) > 10 * TOLERANCE, place


@pytest.mark.parametrize("family", CONFIGS)
def test_bfloat16_is_near(family: str, tmp_path: Path) -> None:
    """As far from fp32 as transformers is in bfloat16 itself, or nearer."""
    peer = build_peer(family)
    model = load_from(peer, tmp_path).bfloat16()
    with torch.no_grad():
        exact, ours = run_peer(peer, *draw_ids())["logits"], run_ours(model, *draw_ids())["logits"]
        theirs = run_peer(peer.bfloat16(), *draw_ids())["logits"]
    assert ours.dtype == torch.bfloat16
    assert (exact - ours.float()).norm() < min(0.1 * exact.norm(), 1.5 * (exact - theirs.float()).norm())
