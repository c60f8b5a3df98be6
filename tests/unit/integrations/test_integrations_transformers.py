"""Registering: once, twice, without the package; and what the classes refuse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from opened_designs import build, draw, pad, save, wrap

import groundup.integrations.transformers as door
from groundup.checkpoint import pretrained
from groundup.errors import ConfigError, DataError, MissingExtraError
from groundup.families.native import NATIVE
from groundup.integrations.auto_config import GroundupConfig
from groundup.model.config import CausalLMHead, ClassificationHead, Encoder, LearnedPositions, MaskedLMHead, TokenHead

transformers = pytest.importorskip("transformers")


def test_registering_twice_changes_nothing() -> None:
    door.register()
    content = NATIVE.from_config(build().config)
    assert isinstance(transformers.AutoConfig.for_model(**content), GroundupConfig)
    assert transformers.AutoModel.from_config(GroundupConfig(**content)).design == build().config


def test_without_transformers_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"needs the package 'transformers'; pip install 'groundup\[interop\]'"):
        door.register()


def test_a_config_says_in_their_words_what_the_design_says(tmp_path: Path) -> None:
    save(tmp_path / "model", build(heads=(TokenHead(num_labels=3),), padding_id=4), labels=["人", "地", "O"])
    config = transformers.AutoConfig.from_pretrained(tmp_path / "model")
    assert (config.vocab_size, config.hidden_size, config.max_position_embeddings) == (26, 32, 40)
    assert (config.num_hidden_layers, config.num_attention_heads, config.pad_token_id) == (2, 4, 4)
    assert config.id2label == {0: "人", 1: "地", 2: "O"}


@pytest.mark.parametrize(
    ("auto", "head"),
    [
        ("AutoModelForCausalLM", CausalLMHead()),
        ("AutoModelForSequenceClassification", ClassificationHead(num_labels=5)),
        ("AutoModelForTokenClassification", TokenHead(num_labels=2)),
    ],
)
def test_folders_go_there_and_back_bit_for_bit(auto: str, head: object, tmp_path: Path) -> None:
    model = build(causal=True, heads=(head,))
    labels = [f"标签 {number}" for number in range(head.num_labels)] if hasattr(head, "num_labels") else None
    save(tmp_path / "ours", model, labels=labels, extra_config={"eos_token_id": 3, "note": "kept"})
    opened = getattr(transformers, auto).from_pretrained(tmp_path / "ours")
    opened.save_pretrained(tmp_path / "theirs")
    again = pretrained.load(tmp_path / "theirs")
    assert again.config == model.config and not again.fresh and not again.dropped
    assert again.labels == (None if labels is None else tuple(labels))
    assert {name: again.extra_config[name] for name in ("eos_token_id", "note")} == {"eos_token_id": 3, "note": "kept"}
    state = model.state_dict()
    assert again.model.state_dict().keys() == state.keys()
    assert all(torch.equal(each, state[name]) for name, each in again.model.state_dict().items())
    # The control: a weight changed there comes back changed.
    with torch.no_grad():
        opened.model.blocks[1].attention.q.weight[0, 0] += 1
    opened.save_pretrained(tmp_path / "theirs")
    changed = pretrained.load(tmp_path / "theirs").model.blocks[1].attention.q.weight
    assert not torch.equal(changed, state["blocks.1.attention.q.weight"])


def test_a_fresh_head_is_drawn_and_all_else_kept(tmp_path: Path) -> None:
    model = build(heads=(MaskedLMHead(),))
    save(tmp_path / "model", model)
    torch.manual_seed(1)
    first = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "model", num_labels=7)
    torch.manual_seed(1)
    again = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "model", num_labels=7)
    torch.manual_seed(2)
    other = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "model", num_labels=7)
    heads = [each.model.heads["classification"].linear for each in (first, again, other)]
    assert torch.equal(heads[0].weight, heads[1].weight) and not torch.equal(heads[0].weight, heads[2].weight)
    assert heads[0].weight.shape == (7, 32) and heads[0].weight.std().item() == pytest.approx(0.3, rel=0.2)
    assert not heads[0].bias.any()
    assert torch.equal(first.model.blocks[1].attention.q.weight, model.blocks[1].attention.q.weight)
    assert first.config.read_design() == first.design and first.design.heads[0].num_labels == 7


def test_what_cannot_be_opened_says_so() -> None:
    with pytest.raises(ConfigError, match=r"design\.encoder: an encoder-decoder has no class here"):
        wrap("AutoModel", build(causal=True, encoder=Encoder()))
    with pytest.raises(ConfigError, match=r"design\.causal: only a decoder predicts what comes next, got False"):
        wrap("AutoModelForCausalLM", build())
    with pytest.raises(ConfigError, match=r"config\.json: format_version: is of another release, got 99"):
        GroundupConfig(design={}, format_version=99)
    with pytest.raises(ConfigError, match=r"config\.json: design: must hold the values of a design, got None"):
        GroundupConfig()
    with pytest.raises(ConfigError, match=r"config\.json: design: hidden_size"):
        GroundupConfig(design={"vocab_size": 3, "hidden_size": -1})


def test_what_cannot_be_computed_says_so() -> None:
    model, (ids, mask) = wrap("AutoModel", build(num_token_types=0)), pad(draw(3, 5)).values()
    with pytest.raises(DataError, match=r"token_type_ids: the design has none"):
        model(ids, mask, torch.ones_like(ids))
    assert model(ids, mask, torch.zeros_like(ids)).last_hidden_state.shape == (2, 5, 32)
    with pytest.raises(DataError, match="sequence: is longer than the 40 positions of the model, got 41"):
        model(torch.zeros(1, 41, dtype=torch.int64))
    with pytest.raises(DataError, match="input_ids: an id is outside 0 to 25, got 99"):
        model(torch.tensor([[99]]))
    with pytest.raises(ConfigError, match="vocab_size: cannot change here"):
        model.resize_token_embeddings(30)


def test_outputs_come_as_a_tuple_where_they_are_asked_for() -> None:
    model = wrap("AutoModel", build(position=LearnedPositions()))
    batch = pad(draw(3, 5))
    whole = model(**batch, output_hidden_states=True)
    hidden, states = model(**batch, output_hidden_states=True, return_dict=False)
    assert torch.equal(hidden, whole.last_hidden_state) and len(states) == len(whole.hidden_states) == 3
    assert json.loads(model.config.to_json_string())["design"]["heads"] == []
