"""What ModernBERT alone has, as transformers computes it: windows, two rotations, heads with a transform, a mean."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from decoder_peers import edit, load_from, rebuild, save
from encoder_peers import TOLERANCE, batch_for, build_peer, difference, gradient_difference, run_ours, run_peer

from groundup.checkpoint import pretrained
from groundup.model.config import ClassificationHead, GatedFeedForward, LayerNormConfig, RotaryPositions, Window
from groundup.model.transformer import Transformer

transformers = pytest.importorskip("transformers")

MASKED, CLASSES = "ModernBertForMaskedLM", "ModernBertForSequenceClassification"
FULL, LOCAL = "full_attention", "sliding_attention"
PLAIN = {"rope_type": "default", "rope_theta": 50.0}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}


@pytest.mark.parametrize(
    ("architecture", "values"),
    [
        *((MASKED, {"hidden_activation": name}) for name in ("silu", "relu", "gelu_new", "gelu_pytorch_tanh", "tanh")),
        (MASKED, {"classifier_activation": "silu"}),
        (MASKED, {"classifier_bias": True, "decoder_bias": False}),
        (MASKED, {"norm_bias": True, "attention_bias": True, "mlp_bias": True}),
        (MASKED, {"tie_word_embeddings": False}),
        (MASKED, {"local_attention": 2}),
        (MASKED, {"local_attention": 1}),
        (MASKED, {"local_attention": 7}),
        (MASKED, {"local_attention": 128}),
        (MASKED, {"global_attn_every_n_layers": 1}),
        (MASKED, {"global_attn_every_n_layers": 2}),
        (MASKED, {"layer_types": [LOCAL] * 4}),
        (MASKED, {"layer_types": [LOCAL, FULL, FULL, LOCAL]}),
        (MASKED, {"rope_parameters": None}),
        (MASKED, {"rope_parameters": {FULL: LLAMA3, LOCAL: PLAIN}}),
        (MASKED, {"pad_token_id": None}),
        (CLASSES, {"classifier_pooling": "mean"}),
        (CLASSES, {"classifier_pooling": "mean", "classifier_activation": "relu", "classifier_bias": True}),
        ("ModernBertForMultipleChoice", {"classifier_pooling": "mean"}),
        ("ModernBertForTokenClassification", {"classifier_bias": True}),
        ("ModernBertForQuestionAnswering", {"norm_bias": True, "classifier_activation": "silu"}),
    ],
    ids=str,
)
def test_every_supported_value(architecture: str, values: dict[str, Any], tmp_path: Path) -> None:
    peer = build_peer(architecture, **values)
    model = load_from(peer, tmp_path / "theirs")
    assert difference(model, peer) < TOLERANCE
    assert gradient_difference(model, peer) < TOLERANCE
    save(tmp_path / "ours", model)
    assert pretrained.load(tmp_path / "ours").config == model.config
    opened, report = type(peer).from_pretrained(tmp_path / "ours", output_loading_info=True)
    assert not any(report.values())
    assert difference(model, opened.eval()) < TOLERANCE


def with_window(**changes: object) -> Callable[[Transformer], Transformer]:
    def change(model: Transformer) -> Transformer:
        return rebuild(model, window=Window(**{**model.config.window.model_dump(), **changes}))

    return change


def with_head(**changes: object) -> Callable[[Transformer], Transformer]:
    return lambda model: rebuild(model, heads=tuple(head.model_copy(update=changes) for head in model.config.heads))


def exchange_gate_and_up(model: Transformer) -> None:
    for block in model.blocks:
        block.feed_forward.gate, block.feed_forward.up = block.feed_forward.up, block.feed_forward.gate


def exchange_queries_and_keys(model: Transformer) -> None:
    for block in model.blocks:
        block.attention.q, block.attention.v = block.attention.v, block.attention.q


def add_first_norm(model: Transformer) -> None:
    model.blocks[0].attention_norms["input"] = model.blocks[1].attention_norms["input"]


FACTS: dict[str, tuple[str, Callable[[Transformer], Transformer]]] = {
    "how far a token sees": (MASKED, with_window(size=4)),
    "which layers see all": (MASKED, with_window(layers=(1, 3))),
    "that windows turn otherwise": (MASKED, with_window(base=None)),
    "the base of the others": (MASKED, lambda model: rebuild(model, position=RotaryPositions(base=490.0))),
    "no norm comes first": (MASKED, lambda model: edit(model, add_first_norm)),
    "the eps of the norms": (MASKED, lambda model: rebuild(model, norm=LayerNormConfig(eps=1e-12, bias=False))),
    "the activation": (MASKED, lambda model: rebuild(model, feed_forward=GatedFeedForward(activation="silu"))),
    "which is the gate": (MASKED, lambda model: edit(model, exchange_gate_and_up)),
    "which part of three is the query": (MASKED, lambda model: edit(model, exchange_queries_and_keys)),
    "attention to both sides": (MASKED, lambda model: rebuild(model, causal=True)),
    "the activation of the head": (MASKED, with_head(activation="relu")),
    "what is pooled": (CLASSES, with_head(pooling="mean")),
}


@pytest.mark.parametrize("fact", FACTS)
def test_a_broken_fact_makes_the_difference_jump(fact: str, tmp_path: Path) -> None:
    architecture, spoil = FACTS[fact]
    peer = build_peer(architecture)
    model = load_from(peer, tmp_path)
    broken = spoil(model)
    assert difference(model, peer) < TOLERANCE
    assert difference(broken, peer) > 10 * TOLERANCE
    if fact != "no norm comes first":
        assert gradient_difference(broken, peer) > 10 * TOLERANCE


@pytest.mark.parametrize("local_base", [50.0, None])
def test_a_folder_of_the_first_release(local_base: float | None, tmp_path: Path) -> None:
    """As published in 2024: every n-th layer and two bases by name, with settings that mean nothing."""
    peer = build_peer(MASKED) if local_base else build_peer(MASKED, rope_parameters=dict.fromkeys((FULL, LOCAL), PLAIN))
    peer.save_pretrained(tmp_path / "theirs")
    content = json.loads((tmp_path / "theirs" / "config.json").read_text())
    bases = {"global_rope_theta": 500.0 if local_base else 50.0, "local_rope_theta": local_base}
    content |= {"global_attn_every_n_layers": 3, "layer_norm_eps": 1e-5, "position_embedding_type": "absolute", **bases}
    del content["layer_types"], content["rope_parameters"]
    (tmp_path / "theirs" / "config.json").write_text(json.dumps(content))
    loaded = pretrained.load(tmp_path / "theirs")
    assert difference(loaded.model.eval(), peer) < TOLERANCE
    save(tmp_path / "ours", loaded.model, extra_config=loaded.extra_config)
    assert json.loads((tmp_path / "ours" / "config.json").read_text()) == content
    if local_base:
        assert (
            difference(loaded.model, transformers.AutoModelForMaskedLM.from_pretrained(tmp_path / "ours")) < TOLERANCE
        )


def test_a_new_head_has_the_form_of_the_family(tmp_path: Path) -> None:
    build_peer(MASKED, classifier_pooling="mean", classifier_bias=True).save_pretrained(tmp_path / "theirs")
    loaded = pretrained.load(tmp_path / "theirs", heads=[ClassificationHead(num_labels=3)])
    head = loaded.config.heads[0]
    assert head.pooling == "mean" and head.transform.bias and head.dropout == 0.1
    save(tmp_path / "ours", loaded.model, extra_config=loaded.extra_config, labels=["a", "b", "c"])
    opened = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "ours").eval()
    assert type(opened).__name__ == CLASSES
    assert difference(loaded.model.eval(), opened) < TOLERANCE


def test_in_bfloat16_we_are_as_near_to_the_truth_as_transformers(tmp_path: Path) -> None:
    peer = build_peer(MASKED).to(torch.bfloat16)
    model = load_from(peer, tmp_path).to(torch.bfloat16)
    drawn = batch_for(peer)
    with torch.no_grad():
        theirs, ours = run_peer(peer, drawn)["masked_lm"], run_ours(model, drawn)["masked_lm"]
        truth = run_peer(peer.float(), drawn)["masked_lm"]
    assert ours.dtype == torch.bfloat16
    error = (theirs - truth).square().mean().sqrt()
    assert (ours - truth).square().mean().sqrt() < 1.5 * error < 0.1 * truth.std()
