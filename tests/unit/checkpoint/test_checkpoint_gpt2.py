"""GPT-2 folders in and out: what it joins and turns is told in its own shapes, and no field of it is lost."""

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
    "num_heads": 2,
    "intermediate_size": 24,
    "max_length": 20,
    "num_token_types": 0,
    "causal": True,
    "norm_places": ("input", "final"),
    "padding_id": None,
    "output_init": "scaled",
}
TOKENIZER = {"tokenizer_class": "PreTrainedTokenizerFast", "model_input_names": ["input_ids", "token_type_ids"]}
FILES = {"tokenizer.json": b"{}", "tokenizer_config.json": json.dumps(TOKENIZER).encode()}


def build(*heads: Head, **values: Any) -> Transformer:
    model = Transformer(ModelConfig(**{**DESIGN, **values}, heads=heads))
    initialize(model, 3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(parameter.numel())))
    return model


def write(folder: Path, model: Transformer, **values: Any) -> Path:
    save(folder, model, **{"tokenizer_files": FILES, "manifest": {}, "card": "", **values})
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
@pytest.mark.parametrize("is_tied", [True, False])
def test_every_design_comes_back_bit_by_bit(heads: tuple[Head, ...], is_tied: bool, tmp_path: Path) -> None:
    model = build(*heads, tie_embeddings=is_tied)
    loaded = load(write(tmp_path / "model", model))
    assert loaded.config == model.config
    assert_equal(loaded.model, model)
    assert loaded.fresh == () and loaded.dropped == ()
    expected = "gpt2" if heads in ((), (CausalLMHead(),)) else "groundup"
    assert loaded.extra_config["model_type"] == expected


@pytest.mark.parametrize(
    "values",
    [
        {"position": RotaryPositions(), "norm": RMSNormConfig()},
        {"feed_forward": GatedFeedForward()},
        {"attention_bias": False, "feed_forward_bias": False},
        {"num_kv_heads": 1},
    ],
    ids=lambda values: next(iter(values)),
)
def test_a_decoder_that_is_no_gpt2_is_written_in_our_own_format(values: dict[str, Any], tmp_path: Path) -> None:
    model = build(CausalLMHead(), **values)
    loaded = load(write(tmp_path / "model", model))
    assert loaded.extra_config["model_type"] == "groundup" and loaded.config == model.config
    assert_equal(loaded.model, model)


def test_no_parameter_shares_its_storage_with_another(tmp_path: Path) -> None:
    model = load(write(tmp_path / "model", build(CausalLMHead()))).model
    parameters = list(model.parameters())
    assert len({parameter.untyped_storage().data_ptr() for parameter in parameters}) == len(parameters)
    assert all(parameter.is_contiguous() for parameter in parameters)


def test_matrices_lie_as_gpt2_keeps_them(tmp_path: Path) -> None:
    model = build(CausalLMHead())
    tensors = load_file(write(tmp_path / "model", model) / "model.safetensors")
    attention, joined = model.blocks[1].attention, tensors["transformer.h.1.attn.c_attn.weight"]
    assert list(joined.shape) == [16, 48]
    for number, part in enumerate((attention.q, attention.k, attention.v)):
        assert torch.equal(joined[:, 16 * number : 16 * (number + 1)], part.weight.T)
        assert torch.equal(tensors["transformer.h.1.attn.c_attn.bias"][16 * number : 16 * (number + 1)], part.bias)
    assert torch.equal(tensors["transformer.h.0.mlp.c_fc.weight"], model.blocks[0].feed_forward.up.weight.T)
    assert "lm_head.weight" not in tensors


BLOCK = "transformer.h.1."
FAULTS: dict[str, tuple[Callable[[dict[str, torch.Tensor]], Any], str]] = {
    "one too few, which is three of ours": (
        lambda tensors: tensors.pop(f"{BLOCK}attn.c_attn.weight"),
        r"lacks the tensor 'transformer\.h\.1\.attn\.c_attn\.weight'; ",
    ),
    "a layer too many": (
        lambda tensors: tensors.update(
            {name.replace("h.1.", "h.2."): tensor for name, tensor in list(tensors.items()) if "h.1." in name}
        ),
        r"holds the tensors 'transformer\.h\.2\.[^;]*and 8 more that the design does not have",
    ),
    "one too many": (
        lambda tensors: tensors.update({f"{BLOCK}crossattention.c_attn.weight": torch.zeros(16, 32)}),
        r"holds the tensor 'transformer\.h\.1\.crossattention\.c_attn\.weight'",
    ),
    "a matrix our way round": (
        lambda tensors: tensors.update({f"{BLOCK}mlp.c_fc.weight": torch.zeros(24, 16)}),
        r"'transformer\.h\.1\.mlp\.c_fc\.weight' has another shape than .* it, \[16, 24\], got \[24, 16\]",
    ),
    "q, k and v our way round": (
        lambda tensors: tensors.update({f"{BLOCK}attn.c_attn.weight": torch.zeros(48, 16)}),
        r"'transformer\.h\.1\.attn\.c_attn\.weight' holds 3 of one shape and cannot be cut .*, got \[48, 16\]",
    ),
    "q, k and v of another width": (
        lambda tensors: tensors.update({f"{BLOCK}attn.c_attn.weight": torch.zeros(16, 60)}),
        r"c_attn\.weight' has another shape than config\.json gives it, \[16, 48\], got \[16, 60\]",
    ),
    "a bias of another length": (
        lambda tensors: tensors.update({f"{BLOCK}attn.c_attn.bias": torch.zeros(45)}),
        r"c_attn\.bias' has another shape than config\.json gives it, \[48\], got \[45\]",
    ),
    "a matrix that is none": (
        lambda tensors: tensors.update({f"{BLOCK}attn.c_proj.weight": torch.zeros(16)}),
        r"c_proj\.weight' has another shape than config\.json gives it, \[16, 16\], got \[16\]",
    ),
    "whole numbers": (
        lambda tensors: tensors.update({f"{BLOCK}attn.c_attn.bias": torch.zeros(48, dtype=torch.int32)}),
        r"c_attn\.bias' is not of float32",
    ),
    "a decoder that is not the embedding": (
        lambda tensors: tensors.update({"lm_head.weight": torch.zeros(40, 16)}),
        r"'lm_head\.weight' differs from",
    ),
    "a mask with another window": (
        lambda tensors: tensors.update({f"{BLOCK}attn.bias": torch.ones(1, 1, 20, 20).tril().triu(-4)}),
        r"'transformer\.h\.1\.attn\.bias' holds other values",
    ),
    "only some names with the prefix": (
        lambda tensors: tensors.update({"ln_f.bias": tensors.pop("transformer.ln_f.bias")}),
        r"holds the tensor 'ln_f\.bias'",
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
        ({"n_layer": 3}, r"lacks the tensors 'transformer\.h\.2\.[^;]*and 8 more"),
        ({"n_layer": 1}, r"holds the tensors 'transformer\.h\.1\.[^;]*and 8 more"),
        ({"n_positions": 21}, r"wpe\.weight' has another shape"),
        (
            {"n_inner": None},
            r"mlp\.c_proj\.weight' has another shape than config\.json gives it, \[64, 16\], got \[24, 16\]",
        ),
        ({"tie_word_embeddings": False}, r"lacks the tensor 'lm_head\.weight'"),
        ({"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx: "),
        ({"n_ctx": 10}, "n_ctx: contradicts n_positions, which is 20, got 10"),
        ({"model_type": "gpt"}, "model_type: is not supported, got 'gpt'; did you mean 'gpt2'"),
        ({"auto_map": {"AutoModel": "modeling.Gpt2"}}, "code of its own"),
    ],
    ids=str,
)
def test_a_config_that_does_not_fit(values: dict[str, Any], problem: str, tmp_path: Path) -> None:
    folder = write_foreign(tmp_path / "model", build(CausalLMHead()), **values)
    with pytest.raises(GroundupError, match=problem):
        load(folder)


def test_names_and_buffers_of_older_releases(tmp_path: Path) -> None:
    model = build(CausalLMHead())
    folder = write_foreign(tmp_path / "model", model, n_ctx=20)

    def age(tensors: dict[str, torch.Tensor]) -> None:
        for name in list(tensors):
            tensors[name.removeprefix("transformer.")] = tensors.pop(name)
        tensors["h.0.attn.bias"] = torch.ones(1, 1, 20, 20, dtype=torch.uint8).tril()
        tensors["h.0.attn.masked_bias"] = torch.tensor(-1e4)
        tensors["lm_head.weight"] = tensors["wte.weight"]

    edit_tensors(folder, age)
    loaded = load(folder)
    assert_equal(loaded.model, model)
    assert loaded.dropped == ()
    write(tmp_path / "again", loaded.model, extra_config=loaded.extra_config)
    assert json.loads((tmp_path / "again" / "config.json").read_text())["n_ctx"] == 20


def test_a_head_that_is_not_known_is_left_out_where_others_are_given(tmp_path: Path) -> None:
    folder = write_foreign(tmp_path / "model", build(CausalLMHead()), architectures=["GPT2ForTokenClassification"])
    edit_tensors(folder, lambda tensors: tensors.update({"score.weight": torch.zeros(2, 16)}))
    with pytest.raises(ConfigError, match="'GPT2ForTokenClassification' is not supported"):
        load(folder)
    loaded = load(folder, heads=[CausalLMHead()])
    assert loaded.dropped == ("score.weight",) and loaded.fresh == ()
    loaded = load(folder, heads=[TokenHead(num_labels=2)])
    assert loaded.fresh == ("heads.token.linear.weight", "heads.token.linear.bias")


def test_heads_of_an_untied_folder(tmp_path: Path) -> None:
    model = build(CausalLMHead(), tie_embeddings=False)
    folder = write(tmp_path / "model", model)
    assert_equal(load(folder, heads=[CausalLMHead()]).model, model)
    assert load(folder, heads=[]).dropped == ("lm_head.weight",)
    with pytest.raises(CheckpointError, match=r"lacks the tensor 'heads\.causal_lm\.bias'"):
        load(folder, heads=[CausalLMHead(bias=True)])
    bare = write(tmp_path / "bare", build(tie_embeddings=False))
    assert load(bare, heads=[CausalLMHead()]).fresh == ("heads.causal_lm.decoder.weight",)


def test_what_has_not_changed_keeps_its_words(tmp_path: Path) -> None:
    ends = {"bos_token_id": 7, "eos_token_id": [7, 8], "pad_token_id": 7}
    words = {"activation_function": "gelu_python", "summary_type": "mean", "n_ctx": 20, "attn_pdrop": 0.1}
    folder = write_foreign(tmp_path / "one", build(CausalLMHead()), **ends, **words)
    before = json.loads((folder / "config.json").read_text())
    same, other = load(folder), load(folder, dropout=Dropout(attention=0.3))
    write(tmp_path / "two", same.model, extra_config=same.extra_config)
    assert json.loads((tmp_path / "two" / "config.json").read_text()) == before
    write(tmp_path / "three", other.model, extra_config=other.extra_config)
    after = json.loads((tmp_path / "three" / "config.json").read_text())
    expected = before | {"attn_pdrop": 0.3}
    del expected["n_ctx"]
    assert after == expected
    assert load(tmp_path / "three").config == other.config


def test_ends_of_a_document_can_be_said_for_a_fresh_model(tmp_path: Path) -> None:
    write(tmp_path / "model", build(CausalLMHead()), extra_config={"eos_token_id": 3, "vocab_size": 41})
    content = json.loads((tmp_path / "model" / "config.json").read_text())
    assert content["eos_token_id"] == 3 and content["bos_token_id"] is None
    assert content["vocab_size"] == 40, "the design is the model's to say"


@pytest.mark.parametrize(("num_token_types", "expected"), [(0, ["input_ids"]), (2, ["input_ids", "token_type_ids"])])
def test_the_tokenizer_offers_token_types_only_to_a_model_that_has_them(
    num_token_types: int, expected: list[str], tmp_path: Path
) -> None:
    folder = write(tmp_path / "model", build(num_token_types=num_token_types))
    written = json.loads((folder / "tokenizer_config.json").read_text())
    assert written == TOKENIZER | {"model_input_names": expected}
    load(folder)
    silent = write(tmp_path / "silent", build(), tokenizer_files={"tokenizer_config.json": b'{"a":1}'})
    assert (silent / "tokenizer_config.json").read_bytes() == b'{"a":1}'
