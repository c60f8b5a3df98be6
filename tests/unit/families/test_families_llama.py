"""Llama's config.json both ways: what it can say comes back, what we cannot compute is refused by name."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from groundup.config import parse, to_json
from groundup.errors import CheckpointError, ConfigError
from groundup.families.bert import BERT
from groundup.families.family import canonical
from groundup.families.gpt2 import GPT2
from groundup.families.llama import LLAMA
from groundup.families.native import NATIVE
from groundup.families.registry import FAMILIES
from groundup.model.config import (
    CausalLMHead,
    ClassificationHead,
    Dropout,
    GatedFeedForward,
    LayerNormConfig,
    LearnedPositions,
    MaskedLMHead,
    ModelConfig,
    NoPositions,
    PlainFeedForward,
    RMSNormConfig,
    RotaryPositions,
    SinusoidalPositions,
    TokenHead,
    Window,
)

BASE = ModelConfig(
    vocab_size=30,
    hidden_size=12,
    num_layers=2,
    num_heads=3,
    intermediate_size=16,
    num_token_types=0,
    causal=True,
    position=RotaryPositions(),
    norm=RMSNormConfig(),
    norm_places=("input", "final"),
    feed_forward=GatedFeedForward(),
    attention_bias=False,
    feed_forward_bias=False,
    dropout=Dropout(embedding=0.0, attention=0.0, residual=0.0),
    padding_id=None,
    heads=(CausalLMHead(),),
)
META = {
    "architectures": ["LlamaForCausalLM"],
    "attention_bias": False,
    "attention_dropout": 0.0,
    "bos_token_id": 128000,
    "eos_token_id": 128001,
    "hidden_act": "silu",
    "hidden_size": 4096,
    "initializer_range": 0.02,
    "intermediate_size": 14336,
    "max_position_embeddings": 8192,
    "model_type": "llama",
    "num_attention_heads": 32,
    "num_hidden_layers": 32,
    "num_key_value_heads": 8,
    "pretraining_tp": 1,
    "rms_norm_eps": 1e-05,
    "rope_scaling": None,
    "rope_theta": 500000.0,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "transformers_version": "4.40.0.dev0",
    "use_cache": True,
    "vocab_size": 128256,
}
"""As it was published with the 8 billion weights of Llama 3."""


def read(config: dict[str, Any], names: tuple[str, ...] = (), heads: tuple | None = None) -> ModelConfig:
    return LLAMA.to_config(config, names, heads, "config.json")


def change(**values: object) -> ModelConfig:
    return parse(ModelConfig, to_json(BASE) | {name: _plain(value) for name, value in values.items()})


def _plain(value: Any) -> object:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return to_json(value) if hasattr(value, "model_dump") else value


def test_a_published_config() -> None:
    assert read(META) == ModelConfig(
        vocab_size=128256,
        hidden_size=4096,
        num_layers=32,
        num_heads=32,
        num_kv_heads=8,
        intermediate_size=14336,
        max_length=8192,
        num_token_types=0,
        causal=True,
        position=RotaryPositions(base=500000.0),
        norm=RMSNormConfig(eps=1e-5),
        norm_places=("input", "final"),
        feed_forward=GatedFeedForward(activation="silu"),
        attention_bias=False,
        feed_forward_bias=False,
        dropout=Dropout(embedding=0.0, attention=0.0, residual=0.0),
        tie_embeddings=False,
        padding_id=None,
        heads=(CausalLMHead(),),
    )


def test_absent_keys_mean_the_first_llama() -> None:
    design = read({"model_type": "llama"})
    assert (design.hidden_size, design.num_layers, design.num_heads, design.intermediate_size) == (4096, 32, 32, 11008)
    assert (design.vocab_size, design.max_length, design.norm.eps, design.position.base) == (32000, 2048, 1e-6, 1e4)
    assert design.heads == () and design.num_kv_heads is None and not design.tie_embeddings
    assert not design.attention_bias and not design.feed_forward_bias and design.padding_id is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("pretraining_tp", 2),
        ("sliding_window", 4096),
        ("attention_chunk_size", 8192),
        ("layer_types", ["full_attention", "sliding_attention"]),
        ("layer_types", "full_attention"),
        ("per_layer_config", {"0": {"num_key_value_heads": 4}}),
        ("partial_rotary_factor", 0.5),
        ("add_cross_attention", True),
        ("is_encoder_decoder", True),
        ("is_causal", False),
        ("quantization_config", {"bits": 8}),
        ("hidden_act", "swiglu"),
        ("hidden_act", None),
        ("hidden_size", "4096"),
        ("hidden_size", 4096.0),
        ("hidden_size", 4097),
        ("num_attention_heads", 0),
        ("num_attention_heads", 24),
        ("num_key_value_heads", 5),
        ("num_key_value_heads", True),
        ("head_dim", 127),
        ("head_dim", 0),
        ("intermediate_size", None),
        ("attention_bias", 1),
        ("mlp_bias", "no"),
        ("attention_dropout", 1.0),
        ("attention_dropout", None),
        ("embedding_dropout", -0.1),
        ("residual_dropout", "0.1"),
        ("output_init", "orthogonal"),
        ("rms_norm_eps", 0.0),
        ("rms_norm_eps", float("nan")),
        ("initializer_range", 0.0),
        ("initializer_range", 1.5),
        ("rope_theta", 1.0),
        ("rope_theta", None),
        ("rope_theta", "1e4"),
        ("rope_scaling", "linear"),
        ("tie_word_embeddings", "yes"),
        ("pad_token_id", 128256),
        ("pad_token_id", -1),
        ("pad_token_id", "0"),
        ("architectures", "LlamaForCausalLM"),
        ("architectures", ["LlamaForTokenClassification"]),
        ("architectures", ["MistralForCausalLM"]),
    ],
)
def test_what_would_be_another_computation_is_refused_by_name(key: str, value: object) -> None:
    named = "num_attention_heads" if (key, value) == ("hidden_size", 4097) else key
    with pytest.raises(ConfigError, match=f"config.json: {named}: "):
        read(META | {key: value})


@pytest.mark.parametrize(
    "entry",
    [
        {"head_dim": 128, "mlp_bias": False, "pretraining_tp": None},
        {"head_dim": None, "sliding_window": None, "layer_types": ["full_attention"] * 32},
        {"add_cross_attention": False, "is_encoder_decoder": False, "is_causal": True, "partial_rotary_factor": 1.0},
        {"use_cache": False, "is_decoder": True, "gradient_checkpointing": True, "_name_or_path": "x"},
        {"bos_token_id": None, "eos_token_id": [128001, 128009]},
        {"is_llama_config": True, "rope_interleaved": False, "max_sequence_length": 2048, "unsloth_fixed": True},
        {"transformers_version": "5.0.0", "dtype": "float32", "output_init": "normal", "residual_dropout": 0.0},
    ],
    ids=str,
)
def test_what_describes_changes_nothing(entry: dict[str, object]) -> None:
    assert read(META | entry) == read(META)


def test_heads_as_many_as_are_said() -> None:
    assert read(META | {"num_key_value_heads": None}).num_kv_heads is None
    assert read(META | {"num_key_value_heads": 32}).num_kv_heads is None
    assert read(META | {"num_key_value_heads": 1}).num_kv_heads == 1
    assert read(META | {"head_dim": 64}).head_dim == 64
    assert read(META | {"head_dim": 64}).resolved_num_kv_heads == 8


@pytest.mark.parametrize("key", ["vocab_size", "intermediate_size", "max_position_embeddings"])
def test_a_size_beyond_every_tensor_is_refused_by_its_name(key: str) -> None:
    assert read(META | {key: 2**31 - 1})
    with pytest.raises(ConfigError, match=f"{key}: must be at most"):
        read(META | {key: 2**31})


@pytest.mark.parametrize(
    ("key", "meant"),
    [("rms_norms_eps", "rms_norm_eps"), ("num_kv_value_heads", "num_key_value_heads"), ("ropetheta", "rope_theta")],
)
def test_a_misspelt_setting_is_not_taken_for_a_description(key: str, meant: str) -> None:
    with pytest.raises(ConfigError, match=f"{key}: .* did you mean '{meant}'"):
        read({"model_type": "llama", key: 0.5})


def test_the_head_comes_from_the_architecture_or_from_its_tensor() -> None:
    bare = META | {"architectures": ["LlamaModel"]}
    assert read(bare).heads == ()
    assert read(bare, ("lm_head.weight",)).heads == (CausalLMHead(),)
    assert read(META, (), ()).heads == ()
    other = META | {"architectures": ["LlamaForTokenClassification"]}
    with pytest.raises(ConfigError, match="known are LlamaModel, LlamaForCausalLM, LlamaForSequenceClassification;"):
        read(other, ("score.weight",))
    assert read(other, ("score.weight",), (TokenHead(num_labels=2),)).heads == (TokenHead(num_labels=2),)
    assert not LLAMA.is_backbone("score.weight") and not LLAMA.is_backbone("lm_head.weight")
    assert LLAMA.is_backbone("model.layers.0.mlp.up_proj.weight") and LLAMA.is_backbone("norm.weight")


def test_the_padding_row_is_the_one_that_is_named_though_it_be_an_end_too() -> None:
    assert read(META | {"pad_token_id": 5}).padding_id == 5
    assert read(META | {"pad_token_id": 128001}).padding_id == 128001


PROBABILITY = st.one_of(st.just(0.0), st.floats(0, 0.9))


@given(
    has_head=st.booleans(),
    dropout=st.tuples(PROBABILITY, PROBABILITY, PROBABILITY),
    eps=st.floats(1e-15, 1e-2),
    base=st.floats(1.0, 1e7, exclude_min=True),
    biases=st.tuples(st.booleans(), st.booleans()),
    is_tied=st.booleans(),
    padding_id=st.one_of(st.none(), st.integers(0, 29)),
    num_kv_heads=st.sampled_from([None, 1]),
    head_dim=st.sampled_from([None, 2, 6]),
    start=st.sampled_from(["normal", "scaled", "zero"]),
    activation=st.sampled_from(["gelu", "gelu_tanh", "relu", "silu", "tanh"]),
)
def test_every_design_that_llama_can_express_comes_back(
    has_head: bool,
    dropout: tuple[float, float, float],
    eps: float,
    base: float,
    biases: tuple[bool, bool],
    is_tied: bool,
    padding_id: int | None,
    num_kv_heads: int | None,
    head_dim: int | None,
    start: str,
    activation: str,
) -> None:
    config = change(
        heads=(CausalLMHead(),) if has_head else (),
        dropout=Dropout(embedding=dropout[0], attention=dropout[1], residual=dropout[2]),
        norm=RMSNormConfig(eps=eps),
        position=RotaryPositions(base=base),
        attention_bias=biases[0],
        feed_forward_bias=biases[1],
        tie_embeddings=is_tied,
        padding_id=padding_id,
        num_kv_heads=num_kv_heads,
        head_dim=head_dim,
        output_init=start,
        feed_forward=GatedFeedForward(activation=activation),
    )
    written = LLAMA.from_config(config)
    assert written is not None and read(written) == config
    assert BERT.from_config(config) is None and GPT2.from_config(config) is None


@pytest.mark.parametrize(
    "values",
    [
        {"causal": False},
        {"position": LearnedPositions()},
        {"position": SinusoidalPositions()},
        {"position": NoPositions()},
        {"norm": LayerNormConfig()},
        {"norm": LayerNormConfig(bias=False)},
        {"norm_places": ("embedding", "residual")},
        {"norm_places": ("input",)},
        {"norm_places": ("input", "output", "final")},
        {"feed_forward": PlainFeedForward(activation="silu")},
        {"num_token_types": 2},
        {"initializer_range": 1.5},
        {"pooler": True},
        {"heads": (CausalLMHead(bias=True),)},
        {"heads": (MaskedLMHead(),)},
        {"heads": (CausalLMHead(), TokenHead(num_labels=3))},
        {"heads": (ClassificationHead(num_labels=3),)},
    ],
    ids=str,
)
def test_a_design_that_llama_cannot_express_is_written_in_our_own_format(values: dict[str, object]) -> None:
    config = change(**values)
    family = next(family for family in FAMILIES if family.from_config(config) is not None)
    assert family is NATIVE
    assert NATIVE.to_config(NATIVE.from_config(config), (), None, "config.json") == config


@pytest.mark.parametrize(
    ("values", "model_type"),
    [
        ({"num_heads": 5, "head_dim": 4}, "mistral"),
        ({"window": Window(size=3)}, "mistral"),
        ({"window": Window(size=3, layers=(0, 1))}, "mistral"),
        ({"attention_bias": True, "attention_output_bias": False}, "qwen2"),
        ({"attention_bias": True, "attention_output_bias": False, "window": Window(size=3, layers=(1,))}, "qwen2"),
        ({"qk_norm": True}, "qwen3"),
        ({"qk_norm": True, "attention_bias": True, "window": Window(size=3, layers=(0,))}, "qwen3"),
        ({"window": Window(size=3, layers=(1,))}, "groundup"),
        ({"window": Window(size=3, base=77.0)}, "groundup"),
        ({"qk_norm": True, "window": Window(size=3, base=77.0)}, "groundup"),
        ({"qk_norm": True, "feed_forward_bias": True}, "groundup"),
        ({"dropout": Dropout(embedding=0.0, attention=0.0, residual=0.0, feed_forward=0.1)}, "groundup"),
        ({"first_input_norm": False}, "groundup"),
    ],
    ids=str,
)
def test_a_design_that_llama_cannot_express_goes_to_whom_can(values: dict[str, object], model_type: str) -> None:
    config = change(**values)
    assert LLAMA.from_config(config) is None
    family = next(family for family in FAMILIES if family.from_config(config) is not None)
    assert family.model_type == model_type
    assert canonical(family.to_config(family.from_config(config), (), None, "config.json")) == canonical(config)


@pytest.mark.parametrize("values", [{"num_kv_heads": 3}, {"head_dim": 4}, {"norm_places": ("final", "input")}], ids=str)
def test_another_spelling_of_the_same_design_is_llama(values: dict[str, object]) -> None:
    assert LLAMA.from_config(change(**values)) == LLAMA.from_config(BASE)


def test_keys_of_ours_are_written_only_where_they_say_something() -> None:
    written = LLAMA.from_config(BASE)
    assert not {"embedding_dropout", "residual_dropout", "output_init"} & written.keys()
    assert written["rope_theta"] == 1e4 and written["rope_parameters"] == {"rope_theta": 1e4, "rope_type": "default"}
    assert written["num_key_value_heads"] == 3 and written["head_dim"] == 4 and written["hidden_act"] == "silu"
    assert LLAMA.from_config(change(heads=()))["architectures"] == ["LlamaModel"]
    other = LLAMA.from_config(change(dropout=Dropout(embedding=0.1, attention=0.2, residual=0.3), output_init="zero"))
    ours = {"attention_dropout": 0.2, "embedding_dropout": 0.1, "residual_dropout": 0.3, "output_init": "zero"}
    assert other == written | ours


def read_one(name: str, tensor: torch.Tensor, **config: object) -> tuple[str, ...]:
    tensors = {"embed_tokens.weight": torch.ones(3, 2), name: tensor}
    return LLAMA.read_map(config, tensors.keys()).read(tensors, "file").unused


def test_a_decoder_that_is_tied_must_be_the_embedding() -> None:
    read_one("lm_head.weight", torch.zeros(3, 2))
    read_one("lm_head.weight", torch.ones(3, 2), tie_word_embeddings=True)
    with pytest.raises(CheckpointError, match=r"differs from 'embedding.token.weight', with which it is tied"):
        read_one("lm_head.weight", torch.zeros(3, 2), tie_word_embeddings=True)
