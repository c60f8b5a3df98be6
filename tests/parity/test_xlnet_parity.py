"""XLNet folders written by transformers compute the same here: both streams, memory, segments, for every head."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from decoder_peers import TOLERANCE, Halving, edit, halve, load_from, rebuild, replace_dropout, save
from torch import Tensor
from xlnet_peers import HEADS, Pass, build_peer, compare, difference, draw_pass, run_ours, run_peer

from groundup.families.xlnet import XLNET
from groundup.model.config import LayerNormConfig, PlainFeedForward, RelativePositions
from groundup.model.history import History
from groundup.model.transformer import Transformer

transformers = pytest.importorskip("transformers")


def gradient_difference(model: Transformer, peer: torch.nn.Module, given: Pass) -> float:
    """The largest difference of a parameter's gradients, relative to the norm of the peer's."""
    for run, module in ((lambda *each: run_peer(*each)[0], peer), (run_ours, model)):
        module.zero_grad()
        answer = run(module, given)
        outcome = answer["logits" if "logits" in answer else "outcome"]
        weight = torch.randn(outcome.shape, generator=torch.Generator().manual_seed(0))
        (outcome * weight).sum().backward()
    ours = {name: parameter.grad for name, parameter in model.named_parameters()}
    theirs = {name: parameter.grad for name, parameter in peer.named_parameters() if parameter.grad is not None}
    # Only the query stream reaches its vector.
    assert (ours["embedding.query"] is None) == (given.orders is None)
    seen = XLNET.write_map(model.config).write({name: each for name, each in ours.items() if each is not None})
    assert seen.keys() == theirs.keys()
    return max(float((theirs[name] - seen[name]).norm() / theirs[name].norm()) for name in theirs)


@pytest.mark.parametrize("architecture", HEADS)
@pytest.mark.parametrize("clamp", [-1, 3])
def test_logits_and_hidden_states(architecture: str, clamp: int, tmp_path: Path) -> None:
    peer = build_peer(architecture, clamp_len=clamp)
    model = load_from(peer, tmp_path)
    assert tuple(model.heads) == HEADS[architecture]
    assert difference(model, peer, draw_pass()) < TOLERANCE


@pytest.mark.parametrize("architecture", HEADS)
def test_gradients_of_every_parameter(architecture: str, tmp_path: Path) -> None:
    peer = build_peer(architecture)
    assert gradient_difference(load_from(peer, tmp_path), peer, draw_pass()) < TOLERANCE


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("values", [{}, {"clamp_len": 3, "tie_word_embeddings": False}], ids=str)
def test_two_streams_under_a_random_order(seed: int, values: dict[str, object], tmp_path: Path) -> None:
    peer = build_peer(**values)
    model = load_from(peer, tmp_path)
    given = draw_pass(seed=seed, is_permuted=True)
    assert difference(model, peer, given) < TOLERANCE
    assert gradient_difference(model, peer, given) < TOLERANCE


def memory_difference(model: Transformer, peer: torch.nn.Module, *, size: int, reuse: int | None, count: int) -> float:
    """Over segments of equal length, each under an order of its own, with what the ones before left."""
    history, mems, worst = History(model.config, size, reuse=reuse), None, 0.0
    with torch.no_grad():
        for number in range(count):
            given = draw_pass((6, 6, 6), seed=number, is_permuted=True)
            theirs, mems = run_peer(peer, given, mems, use_mems=True)
            worst = max(worst, compare(theirs, run_ours(model, given, history)))
            # transformers takes remembered tokens to be of type 0, and so do we; the bounds must be the same.
            assert history.lengths == (len(mems[0]),) * 3
    return worst


@pytest.mark.parametrize(("size", "reuse"), [(4, None), (10, None), (50, None), (10, 3)])
def test_memory_over_several_segments(size: int, reuse: int | None, tmp_path: Path) -> None:
    peer = build_peer(mem_len=size, reuse_len=reuse)
    model = load_from(peer, tmp_path)
    assert memory_difference(model, peer, size=size, reuse=reuse, count=4) < TOLERANCE
    assert memory_difference(model, peer, size=size, reuse=reuse, count=1) < TOLERANCE


def test_a_forgotten_memory_is_noticed(tmp_path: Path) -> None:
    peer = build_peer(mem_len=6)
    model = load_from(peer, tmp_path)
    given = draw_pass((6, 6, 6), is_permuted=True)
    with torch.no_grad():
        _, mems = run_peer(peer, given, use_mems=True)
        theirs, _ = run_peer(peer, given, mems, use_mems=True)
        assert compare(theirs, run_ours(model, given)) > 100 * TOLERANCE


def exchange(*names: str) -> Callable[[Transformer], Transformer]:
    """Two parameters of every block in each other's place."""

    def change(model: Transformer) -> None:
        for block in model.blocks:
            one, other = (block.attention.get_parameter(name) for name in names)
            one.data, other.data = other.data.clone(), one.data.clone()

    return lambda model: edit(model, change)


def look_up_the_query(model: Transformer) -> None:
    model.embedding.query.copy_(model.embedding.token.weight[:1])


def flip_segments(model: Transformer) -> None:
    for block in model.blocks:
        block.attention.segment.copy_(block.attention.segment.flip(0))


def scale_scores(model: Transformer, scale: float) -> None:
    for block in model.blocks:
        block.attention.scale = scale


FACTS: dict[str, Callable[[Transformer], Transformer]] = {
    "the eps of the norms": lambda model: rebuild(model, norm=LayerNormConfig(eps=1e-12)),
    "gelu, not its approximation": lambda model: rebuild(model, feed_forward=PlainFeedForward(activation="gelu_tanh")),
    "the base of the waves": lambda model: rebuild(model, position=RelativePositions(base=9000.0)),
    "far distances are told apart": lambda model: rebuild(model, position=RelativePositions(clamp=9)),
    "which bias is for distances": exchange("content_bias", "distance_bias"),
    "which bias is for segments": exchange("content_bias", "segment_bias"),
    "which vector is of another segment": lambda model: edit(model, flip_segments),
    "which matrix is for distances": exchange("k.weight", "r.weight"),
    "the vector of the query stream": lambda model: edit(model, look_up_the_query),
    "the scale of scores": lambda model: edit(model, lambda each: scale_scores(each, 0.3)),
}


@pytest.mark.parametrize("fact", FACTS)
def test_a_broken_fact_makes_the_difference_jump(fact: str, tmp_path: Path) -> None:
    peer = build_peer()
    model = load_from(peer, tmp_path)
    given = draw_pass(is_permuted=True)
    assert difference(model, peer, given) < TOLERANCE
    assert difference(FACTS[fact](model), peer, given) > 2 * TOLERANCE


@pytest.mark.parametrize("stream", ["content", "query"])
def test_a_token_seen_too_soon_is_noticed(stream: str, tmp_path: Path) -> None:
    """A target that sees one more than it may, in either stream, moves the figures."""
    peer = build_peer()
    model = load_from(peer, tmp_path)
    given = draw_pass(is_permuted=True)
    orders = [order.copy() for order in given.orders]
    orders[0][orders[0] == (1 if stream == "content" else 2)] = 3 if stream == "content" else 1
    with torch.no_grad():
        theirs, _ = run_peer(peer, given)
        assert compare(theirs, run_ours(model, Pass(given.ids, given.types, orders))) > 10 * TOLERANCE


def test_a_broken_fact_makes_the_gradients_differ(tmp_path: Path) -> None:
    peer = build_peer()
    broken = FACTS["far distances are told apart"](load_from(peer, tmp_path))
    assert gradient_difference(broken, peer, draw_pass(is_permuted=True)) > 10 * TOLERANCE


@pytest.mark.parametrize("architecture", HEADS)
def test_dropout_stands_in_the_same_places(architecture: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.nn.functional, "dropout", halve)
    peer = build_peer(architecture, dropout=0.3, summary_last_dropout=0.2)
    model = load_from(peer, tmp_path)
    for each in (peer, model):
        replace_dropout(each)
        each.eval()
    given = draw_pass(is_permuted=architecture == "XLNetLMHeadModel")
    without_any = run_ours(model, given)["content 0"]
    assert difference(model, peer, given) < TOLERANCE
    assert difference(model.train(), peer.train(), given) < TOLERANCE
    assert (run_ours(model, given)["content 0"] - without_any).abs().max() > 100 * TOLERANCE
    places = [module for module in model.modules() if isinstance(module, Halving)]
    assert len(places) >= 3 * 4 + 3, "of every block four, and the embedding's, the waves' and the last one"
    for place in places:
        p, place.p = place.p, place.p + 0.01
        assert difference(model, peer, given) > TOLERANCE
        place.p = p


@pytest.mark.parametrize("architecture", HEADS)
def test_what_we_write_opens_in_transformers_with_the_same_numbers(architecture: str, tmp_path: Path) -> None:
    model = load_from(build_peer(architecture), tmp_path / "theirs")
    save(tmp_path / "ours", model)
    opened, report = getattr(transformers, architecture).from_pretrained(tmp_path / "ours", output_loading_info=True)
    assert not any(report.values()), "no tensor missing, unexpected or of another shape"
    assert difference(model, opened.eval(), draw_pass()) < TOLERANCE


def test_bfloat16_stays_near(tmp_path: Path) -> None:
    peer = build_peer()
    model = load_from(peer, tmp_path)
    given = draw_pass(is_permuted=True)
    with torch.no_grad():
        exact = run_ours(model, given)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rounded: Mapping[str, Tensor] = run_ours(model, given)
    assert 1e-4 < float((exact["query 2"] - rounded["query 2"]).abs().max()) < 0.2
