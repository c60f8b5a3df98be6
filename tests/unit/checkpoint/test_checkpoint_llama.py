"""Llama folders in and out: every tensor has its place, what is wrong is told by name, and no field is lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from groundup.checkpoint.pretrained import load, save
from groundup.errors import CheckpointError, ConfigError, GroundupError
from groundup.model.config import (
    CausalLMHead,
    Dropout,
    GatedFeedForward,
    Head,
    ModelConfig,
    PlainFeedForward,
    RMSNormConfig,
    RotaryPositions,
    TokenHead,
)
from groundup.model.initialize import initialize
from groundup.model.transformer import Transformer

DESIGN = {
    "vocab_size": 40,
    "hidden_size": 16,
    "num_layers": 2,
    "num_heads": 4,
    "num_kv_heads": 2,
    "intermediate_size": 24,
    "max_length": 20,
    "num_token_types": 0,
    "causal": True,
    "position": RotaryPositions(base=700.0),
    "norm": RMSNormConfig(eps=1e-5),
    "norm_places": ("input", "final"),
    "feed_forward": GatedFeedForward(),
    "attention_bias": False,
    "feed_forward_bias": False,
    "tie_embeddings": False,
    "padding_id": None,
}


def build(*heads: Head, **values: Any) -> Transformer:
    model = Transformer(ModelConfig(**{**DESIGN, **values}, heads=heads))
    initialize(model, 3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(parameter.numel())))
    return model


def write(folder: Path, model: Transformer, **values: Any) -> Path:
    save(folder, model, **{"tokenizer_files": {}, "manifest": {}, "card": "", **values})
    return folder


def write_foreign(folder: Path, model: Transformer, **config: Any) -> Path:
    """As if somebody else had written it, with these further values in config.json."""
    write(folder, model)
    (folder / "groundup.json").unlink()
    content = json.loads((folder / "config.json").read_text()) | config
    (folder / "config.json").write_text(json.dumps(content))
    return folder


def edit_tensors(folder: Path, edit: Callable[[dict[str, torch.Tensor]], Any]) -> None:
    tensors = load_file(folder / "model.safetensors")
    edit(tensors)
    save_file({name: tensor.clone() for name, tensor in tensors.items()}, folder / "model.safetensors")


def assert_equal(one: Transformer, other: Transformer) -> None:
    ours, theirs = one.state_dict(), other.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("heads", [(), (CausalLMHead(),), (CausalLMHead(bias=True),), (TokenHead(num_labels=3),)])
@pytest.mark.parametrize(
    "values", [{}, {"tie_embeddings": True}, {"attention_bias": True}, {"feed_forward_bias": True}, {"head_dim": 6}]
)
def test_every_design_comes_back_bit_by_bit(heads: tuple[Head, ...], values: dict[str, Any], tmp_path: Path) -> None:
    model = build(*heads, **values)
    loaded = load(write(tmp_path / "model", model))
    assert loaded.config == model.config
    assert_equal(loaded.model, model)
    assert loaded.fresh == () and loaded.dropped == ()
    expected = "llama" if heads in ((), (CausalLMHead(),)) else "groundup"
    assert loaded.extra_config["model_type"] == expected


@pytest.mark.parametrize(
    "values",
    [{"feed_forward": PlainFeedForward(activation="silu")}, {"norm_places": ("input",)}, {"num_token_types": 2}],
    ids=lambda values: next(iter(values)),
)
def test_a_decoder_that_is_no_llama_is_written_in_our_own_format(values: dict[str, Any], tmp_path: Path) -> None:
    model = build(CausalLMHead(), **values)
    loaded = load(write(tmp_path / "model", model))
    assert loaded.extra_config["model_type"] == "groundup" and loaded.config == model.config
    assert_equal(loaded.model, model)


def test_matrices_stand_under_their_names(tmp_path: Path) -> None:
    model = build(CausalLMHead())
    tensors = load_file(write(tmp_path / "model", model) / "model.safetensors")
    block = model.blocks[1]
    assert torch.equal(tensors["model.layers.1.self_attn.k_proj.weight"], block.attention.k.weight)
    assert torch.equal(tensors["model.layers.1.mlp.gate_proj.weight"], block.feed_forward.gate.weight)
    assert torch.equal(tensors["model.layers.1.mlp.up_proj.weight"], block.feed_forward.up.weight)
    second = block.feed_forward_norms["input"].weight
    assert torch.equal(tensors["model.layers.1.post_attention_layernorm.weight"], second)
    assert torch.equal(tensors["lm_head.weight"], model.heads["causal_lm"].weight)
    assert len(tensors) == 2 * 9 + 3


LAYER = "model.layers.1."
FAULTS: dict[str, tuple[Callable[[dict[str, torch.Tensor]], Any], str]] = {
    "one too few": (
        lambda tensors: tensors.pop(f"{LAYER}mlp.gate_proj.weight"),
        r"lacks the tensor 'model\.layers\.1\.mlp\.gate_proj\.weight'; ",
    ),
    "a layer too many": (
        lambda tensors: tensors.update(
            {name.replace("s.1.", "s.2."): tensor for name, tensor in list(tensors.items()) if "s.1." in name}
        ),
        r"holds the tensors 'model\.layers\.2\.[^;]*and 5 more that the design does not have",
    ),
    "biases that config.json does not tell of": (
        lambda tensors: tensors.update({f"{LAYER}self_attn.q_proj.bias": torch.zeros(16)}),
        r"holds the tensor 'model\.layers\.1\.self_attn\.q_proj\.bias'.* that the design does not have",
    ),
    "a norm on the queries": (
        lambda tensors: tensors.update({f"{LAYER}self_attn.q_norm.weight": torch.ones(4)}),
        r"holds the tensor 'model\.layers\.1\.self_attn\.q_norm\.weight'",
    ),
    "as many key heads as query heads": (
        lambda tensors: tensors.update({f"{LAYER}self_attn.k_proj.weight": torch.zeros(16, 16)}),
        r"k_proj\.weight' has another shape than config\.json gives it, \[8, 16\], got \[16, 16\]",
    ),
    "whole numbers": (
        lambda tensors: tensors.update({f"{LAYER}self_attn.o_proj.weight": torch.ones(16, 16, dtype=torch.int32)}),
        r"o_proj\.weight' is not of float32",
    ),
    "only some names with the prefix": (
        lambda tensors: tensors.update({"norm.weight": tensors.pop("model.norm.weight")}),
        r"holds the tensor 'norm\.weight'",
    ),
    "frequencies of another rotation": (
        lambda tensors: tensors.update({f"{LAYER}self_attn.rotary_emb.inv_freq": torch.tensor([1.0, 0.01])}),
        r"rotary_emb\.inv_freq' holds other values",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_folder_whose_tensors_are_not_those_of_its_design(fault: str, tmp_path: Path) -> None:
    folder = write_foreign(tmp_path / "model", build(CausalLMHead()))
    change, problem = FAULTS[fault]
    load(folder)
    edit_tensors(folder, change)
    for heads in (None, [CausalLMHead()]):
        with pytest.raises(CheckpointError, match=problem) as caught:
            load(folder, heads=heads)
        assert str(caught.value).startswith(str(folder / "model.safetensors"))


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"num_hidden_layers": 3}, r"lacks the tensors 'model\.layers\.2\.[^;]*and 5 more"),
        ({"num_hidden_layers": 1}, r"holds the tensors 'model\.layers\.1\.[^;]*and 5 more"),
        ({"num_key_value_heads": 4}, r"k_proj\.weight' has another shape"),
        ({"head_dim": 8}, r"k_proj\.weight' has another shape than config\.json gives it, \[16, 16\], got \[8, 16\]"),
        ({"intermediate_size": 25}, r"_proj\.weight' has another shape"),
        ({"attention_bias": True}, r"lacks the tensors 'model\.layers\.0\.self_attn\.k_proj\.bias'"),
        ({"mlp_bias": True}, r"lacks the tensors 'model\.layers\.0\.mlp\.down_proj\.bias'"),
        ({"tie_word_embeddings": True}, r"'lm_head\.weight' differs from 'embedding\.token\.weight'"),
        ({"rope_scaling": {"type": "yarn", "factor": 2.0}}, "rope_scaling: type: this scaling of a rotation is not"),
        ({"rope_scaling": {"type": "linear", "factor": 2.0}}, "rope_scaling: contradicts rope_parameters"),
        ({"pretraining_tp": 2}, "pretraining_tp: "),
        ({"model_type": "lama"}, "model_type: is not supported, got 'lama'; did you mean 'llama'"),
        ({"auto_map": {"AutoModel": "modeling.Llama"}}, "code of its own"),
    ],
    ids=str,
)
def test_a_config_that_does_not_fit(values: dict[str, Any], problem: str, tmp_path: Path) -> None:
    folder = write_foreign(tmp_path / "model", build(CausalLMHead()), **values)
    with pytest.raises(GroundupError, match=problem):
        load(folder)


def test_a_head_that_is_not_known_is_left_out_where_others_are_given(tmp_path: Path) -> None:
    architectures = ["LlamaForTokenClassification"]
    folder = write_foreign(tmp_path / "model", build(), architectures=architectures)

    def classify(tensors: dict[str, torch.Tensor]) -> None:
        for name in list(tensors):
            tensors[f"model.{name}"] = tensors.pop(name)
        tensors["score.weight"] = torch.zeros(2, 16)

    edit_tensors(folder, classify)
    with pytest.raises(ConfigError, match="'LlamaForTokenClassification' is not supported"):
        load(folder)
    loaded = load(folder, heads=[CausalLMHead()])
    assert loaded.dropped == ("score.weight",) and loaded.fresh == ("heads.causal_lm.decoder.weight",)


def test_heads_of_a_folder_with_a_decoder_of_its_own(tmp_path: Path) -> None:
    model = build(CausalLMHead())
    folder = write(tmp_path / "model", model)
    assert_equal(load(folder, heads=[CausalLMHead()]).model, model)
    assert load(folder, heads=[]).dropped == ("lm_head.weight",)
    with pytest.raises(CheckpointError, match=r"lacks the tensor 'heads\.causal_lm\.bias'"):
        load(folder, heads=[CausalLMHead(bias=True)])
    tied = write(tmp_path / "tied", build(CausalLMHead(), tie_embeddings=True))
    assert "lm_head.weight" not in load_file(tied / "model.safetensors")
    edit_tensors(write_foreign(tied, load(tied).model), lambda each: each.update(twice(each)))
    assert load(tied).dropped == ()


def twice(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {"lm_head.weight": tensors["model.embed_tokens.weight"]}


def test_what_has_not_changed_keeps_its_words(tmp_path: Path) -> None:
    ends = {"bos_token_id": 7, "eos_token_id": [7, 8], "pad_token_id": 7}
    words = {
        "hidden_act": "swish",
        "rope_scaling": None,
        "pretraining_tp": 1,
        "rope_theta": 700,
        "rope_parameters": None,
    }
    folder = write_foreign(tmp_path / "one", build(CausalLMHead()), **ends, **words, is_llama_config=True)
    before = json.loads((folder / "config.json").read_text())
    same, other = load(folder), load(folder, dropout=Dropout(embedding=0.0, attention=0.3, residual=0.1))
    write(tmp_path / "two", same.model, extra_config=same.extra_config)
    assert json.loads((tmp_path / "two" / "config.json").read_text()) == before
    write(tmp_path / "three", other.model, extra_config=other.extra_config)
    after = json.loads((tmp_path / "three" / "config.json").read_text())
    expected = before | {"attention_dropout": 0.3, "residual_dropout": 0.1}
    del expected["rope_scaling"], expected["embedding_dropout"]
    assert after == expected
    assert load(tmp_path / "three").config == other.config


def test_ends_of_a_document_can_be_said_for_a_fresh_model(tmp_path: Path) -> None:
    write(tmp_path / "model", build(CausalLMHead()), extra_config={"eos_token_id": 3, "vocab_size": 41})
    content = json.loads((tmp_path / "model" / "config.json").read_text())
    assert content["eos_token_id"] == 3 and content["bos_token_id"] is None
    assert content["vocab_size"] == 40, "the design is the model's to say"
