"""GPT-2's config.json both ways: what it can say comes back, what we cannot compute is refused by name."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from groundup.config import parse, to_json
from groundup.errors import CheckpointError, ConfigError
from groundup.families.bert import BERT
from groundup.families.gpt2 import GPT2
from groundup.families.native import NATIVE
from groundup.families.registry import FAMILIES
from groundup.model.config import (
    CausalLMHead,
    ClassificationHead,
    Dropout,
    GatedFeedForward,
    LayerNormConfig,
    MaskedLMHead,
    ModelConfig,
    NoPositions,
    PlainFeedForward,
    RMSNormConfig,
    RotaryPositions,
    TokenHead,
)

BASE = ModelConfig(
    vocab_size=30,
    hidden_size=12,
    num_layers=2,
    num_heads=3,
    intermediate_size=16,
    num_token_types=0,
    causal=True,
    norm_places=("input", "final"),
    output_init="scaled",
    padding_id=None,
    heads=(CausalLMHead(),),
)
OPENAI = {
    "activation_function": "gelu_new",
    "architectures": ["GPT2LMHeadModel"],
    "attn_pdrop": 0.1,
    "bos_token_id": 50256,
    "embd_pdrop": 0.1,
    "eos_token_id": 50256,
    "initializer_range": 0.02,
    "layer_norm_epsilon": 1e-05,
    "model_type": "gpt2",
    "n_ctx": 1024,
    "n_embd": 768,
    "n_head": 12,
    "n_layer": 12,
    "n_positions": 1024,
    "resid_pdrop": 0.1,
    "summary_activation": None,
    "summary_first_dropout": 0.1,
    "summary_proj_to_labels": True,
    "summary_type": "cls_index",
    "summary_use_proj": True,
    "task_specific_params": {"text-generation": {"do_sample": True, "max_length": 50}},
    "vocab_size": 50257,
}
"""As it was published with the weights of 2019."""


def read(config: dict[str, Any], names: tuple[str, ...] = (), heads: tuple | None = None) -> ModelConfig:
    return GPT2.to_config(config, names, heads, "config.json")


def change(**values: object) -> ModelConfig:
    return parse(ModelConfig, to_json(BASE) | {name: _plain(value) for name, value in values.items()})


def _plain(value: Any) -> object:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return to_json(value) if hasattr(value, "model_dump") else value


def test_a_published_config() -> None:
    assert read(OPENAI) == ModelConfig(
        vocab_size=50257,
        hidden_size=768,
        num_layers=12,
        num_heads=12,
        intermediate_size=3072,
        max_length=1024,
        num_token_types=0,
        causal=True,
        norm=LayerNormConfig(eps=1e-5),
        norm_places=("input", "final"),
        feed_forward=PlainFeedForward(activation="gelu_tanh"),
        output_init="scaled",
        padding_id=None,
        heads=(CausalLMHead(),),
    )


def test_absent_keys_mean_the_smallest_gpt2() -> None:
    assert read({"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]}) == read(OPENAI)
    assert read({"model_type": "gpt2"}).heads == ()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("scale_attn_weights", 1),
        ("scale_attn_by_inverse_layer_idx", True),
        ("reorder_and_upcast_attn", 1),
        ("add_cross_attention", True),
        ("is_encoder_decoder", True),
        ("is_causal", False),
        ("pruned_heads", {"0": [1]}),
        ("quantization_config", {"bits": 8}),
        ("activation_function", "gelu_10"),
        ("activation_function", "gelu_nw"),
        ("activation_function", None),
        ("n_embd", "768"),
        ("n_embd", 768.0),
        ("n_layer", 0),
        ("n_layer", True),
        ("n_head", 7),
        ("n_inner", 0),
        ("n_inner", "3072"),
        ("n_ctx", 512),
        ("hidden_size", 1024),
        ("max_position_embeddings", 512),
        ("num_hidden_layers", "12"),
        ("resid_pdrop", 1.0),
        ("embd_pdrop", -0.1),
        ("attn_pdrop", "0.1"),
        ("layer_norm_epsilon", 0.0),
        ("layer_norm_epsilon", float("nan")),
        ("initializer_range", 0.0),
        ("output_init", "orthogonal"),
        ("tie_word_embeddings", "yes"),
        ("pad_token_id", 50257),
        ("pad_token_id", -1),
        ("pad_token_id", "0"),
        ("bos_token_id", "a"),
        ("eos_token_id", -1),
        ("eos_token_id", [0, "b"]),
        ("architectures", "GPT2LMHeadModel"),
        ("architectures", ["GPT2DoubleHeadsModel"]),
        ("architectures", ["GPT2ForTokenClassification"]),
        ("architectures", ["BertModel"]),
    ],
)
def test_what_would_be_another_computation_is_refused_by_name(key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"config.json: {key}: "):
        read(OPENAI | {key: value})


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("gelu_nw", "gelu_new"),
        ("rleu", "relu"),
        ("gelu_10", None),
        ("quick_gelu", None),
        ("relu6", None),
        ("mish", None),
    ],
)
def test_a_slip_is_told_from_another_function(name: str, meant: str | None) -> None:
    with pytest.raises(ConfigError, match=r"activation_function: is not .*supported are gelu") as caught:
        read(OPENAI | {"activation_function": name})
    assert ("did you mean" in str(caught.value)) == (meant is not None)
    assert meant is None or f"did you mean {meant!r}?" in str(caught.value)


@pytest.mark.parametrize(
    "entry",
    [
        {"scale_attn_weights": True, "scale_attn_by_inverse_layer_idx": False, "add_cross_attention": False},
        {"reorder_and_upcast_attn": True},
        {"n_inner": None, "n_ctx": None},
        {"n_inner": 3072},
        {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "max_position_embeddings": 1024},
        {"summary_type": "mean", "summary_use_proj": False, "summary_first_dropout": 0.5, "summary_activation": "tanh"},
        {"use_cache": False, "is_decoder": True, "gradient_checkpointing": True, "_name_or_path": "x"},
        {"bos_token_id": None, "eos_token_id": [50256, 13], "pad_token_id": 50256},
        {"bos_token_id": 60000},
        {"transformers_version": "4.2.0", "dtype": "float32"},
    ],
    ids=str,
)
def test_what_describes_changes_nothing(entry: dict[str, object]) -> None:
    assert read(OPENAI | entry) == read(OPENAI)


def test_sizes_under_their_other_names() -> None:
    short = {"n_embd": 96, "n_layer": 3, "n_head": 4, "n_positions": 64}
    long = {"hidden_size": 96, "num_hidden_layers": 3, "num_attention_heads": 4, "max_position_embeddings": 64}
    assert read(short) == read(long)
    assert read(short).intermediate_size == 384 and read(short | {"n_inner": 10}).intermediate_size == 10


@pytest.mark.parametrize(
    ("key", "meant"),
    [("layer_norm_eps", "layer_norm_epsilon"), ("n_embed", "n_embd"), ("resid_drop", "resid_pdrop")],
)
def test_a_misspelt_setting_is_not_taken_for_a_description(key: str, meant: str) -> None:
    with pytest.raises(ConfigError, match=f"{key}: .* did you mean '{meant}'"):
        read({"model_type": "gpt2", key: 0.5})


def test_the_head_comes_from_the_architecture_or_from_its_tensor() -> None:
    bare = OPENAI | {"architectures": ["GPT2Model"]}
    assert read(bare).heads == ()
    assert read(bare, ("lm_head.weight",)).heads == (CausalLMHead(),)
    assert read(OPENAI, (), ()).heads == ()
    other = OPENAI | {"architectures": ["GPT2ForTokenClassification"]}
    with pytest.raises(ConfigError, match="known are GPT2Model, GPT2LMHeadModel, GPT2ForSequenceClassification;"):
        read(other, ("score.weight",))
    assert read(other, ("score.weight",), (TokenHead(num_labels=2),)).heads == (TokenHead(num_labels=2),)
    assert not GPT2.is_backbone("score.weight") and not GPT2.is_backbone("lm_head.weight")
    assert GPT2.is_backbone("transformer.h.0.ln_1.weight") and GPT2.is_backbone("wpe.weight")


def test_the_padding_row_stands_still_unless_it_is_an_end_too() -> None:
    assert read(OPENAI | {"pad_token_id": 5}).padding_id == 5
    assert read(OPENAI | {"pad_token_id": 50256}).padding_id is None
    assert read(OPENAI | {"pad_token_id": 5, "eos_token_id": [4, 5]}).padding_id is None
    absent = {key: value for key, value in OPENAI.items() if key not in ("bos_token_id", "eos_token_id")}
    assert read(absent | {"pad_token_id": 50256}).padding_id is None, "absent ends are GPT-2's own"


@given(
    has_head=st.booleans(),
    dropout=st.tuples(*[st.floats(0, 0.9)] * 3),
    eps=st.floats(1e-15, 1e-2),
    is_tied=st.booleans(),
    padding_id=st.one_of(st.none(), st.integers(0, 29)),
    inner=st.integers(1, 60),
    start=st.sampled_from(["normal", "scaled", "zero"]),
    activation=st.sampled_from(["gelu", "gelu_tanh", "relu", "silu", "tanh"]),
    scale=st.sampled_from([None, 1.0]),
)
def test_every_design_that_gpt2_can_express_comes_back(
    has_head: bool,
    dropout: tuple[float, float, float],
    eps: float,
    is_tied: bool,
    padding_id: int | None,
    inner: int,
    start: str,
    activation: str,
    scale: float | None,
) -> None:
    config = change(
        heads=(CausalLMHead(),) if has_head else (),
        dropout=Dropout(embedding=dropout[0], attention=dropout[1], residual=dropout[2]),
        norm=LayerNormConfig(eps=eps),
        tie_embeddings=is_tied,
        padding_id=padding_id,
        intermediate_size=inner,
        output_init=start,
        feed_forward=PlainFeedForward(activation=activation),
        attention_scale=scale,
    )
    written = GPT2.from_config(config)
    assert written is not None and read(written) == config
    assert BERT.from_config(config) is None


def test_the_usual_scale_may_be_said() -> None:
    config = change(attention_scale=change().resolved_head_dim ** -0.5)
    written = GPT2.from_config(config)
    assert written is not None and written["scale_attn_weights"] is True


@pytest.mark.parametrize(
    "values",
    [
        {"causal": False},
        {"position": RotaryPositions()},
        {"position": NoPositions()},
        {"norm": RMSNormConfig()},
        {"norm": LayerNormConfig(bias=False)},
        {"norm_places": ("embedding", "residual")},
        {"norm_places": ("input",)},
        {"feed_forward": GatedFeedForward()},
        {"attention_bias": False},
        {"attention_scale": 0.25},
        {"feed_forward_bias": False},
        {"num_kv_heads": 1},
        {"head_dim": 6},
        {"num_token_types": 2},
        {"pooler": True},
        {"heads": (CausalLMHead(bias=True),)},
        {"heads": (MaskedLMHead(),)},
        {"heads": (CausalLMHead(), TokenHead(num_labels=3))},
        {"heads": (ClassificationHead(num_labels=3),)},
    ],
    ids=str,
)
def test_a_design_that_gpt2_cannot_express_is_written_in_our_own_format(values: dict[str, object]) -> None:
    config = change(**values)
    family = next(family for family in FAMILIES if family.from_config(config) is not None)
    assert family is NATIVE
    assert NATIVE.to_config(NATIVE.from_config(config), (), None, "config.json") == config


@pytest.mark.parametrize("values", [{"num_kv_heads": 3}, {"head_dim": 4}, {"norm_places": ("final", "input")}], ids=str)
def test_another_spelling_of_the_same_design_is_gpt2(values: dict[str, object]) -> None:
    assert GPT2.from_config(change(**values)) == GPT2.from_config(BASE)


def test_the_usual_keys_are_written_and_ours_only_where_it_is_needed() -> None:
    written = GPT2.from_config(BASE)
    assert written["activation_function"] == "gelu" and written["n_inner"] == 16 and "output_init" not in written
    assert GPT2.from_config(change(feed_forward=PlainFeedForward(activation="gelu_tanh")))["activation_function"] == (
        "gelu_new"
    )
    assert GPT2.from_config(change(intermediate_size=48))["n_inner"] is None
    assert GPT2.from_config(change(output_init="zero"))["output_init"] == "zero"
    assert GPT2.from_config(change(heads=()))["architectures"] == ["GPT2Model"]


def read_one(name: str, tensor: torch.Tensor, **config: object) -> tuple[str, ...]:
    tensors = {"wte.weight": torch.ones(3, 2), name: tensor}
    return GPT2.read_map(config, tensors.keys()).read(tensors, "file").unused


def test_buffers_of_older_releases_hold_what_is_computed_anyway() -> None:
    for dtype in (torch.uint8, torch.bool, torch.float16, torch.float32):
        assert read_one("h.0.attn.bias", torch.ones(1, 1, 5, 5).tril().to(dtype)) == ()
        with pytest.raises(CheckpointError, match=r"'h.0.attn.bias' holds other values"):
            read_one("h.0.attn.bias", torch.ones(1, 1, 5, 5).to(dtype))
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        read_one("h.11.attn.masked_bias", torch.tensor(-1e4).to(dtype))
    for score in (torch.tensor(-10.0), torch.tensor([-1e4, -1e4])):
        with pytest.raises(CheckpointError, match=r"'h.11.attn.masked_bias' holds other values"):
            read_one("h.11.attn.masked_bias", score)


def test_a_decoder_that_is_tied_must_be_the_embedding() -> None:
    read_one("lm_head.weight", torch.ones(3, 2))
    with pytest.raises(CheckpointError, match=r"differs from 'embedding.token.weight', with which it is tied"):
        read_one("lm_head.weight", torch.zeros(3, 2))
    read_one("lm_head.weight", torch.zeros(3, 2), tie_word_embeddings=False)
