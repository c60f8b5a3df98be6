"""ModernBERT's config.json both ways: what it can say comes back, what we cannot compute is refused by name."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.errors import ConfigError
from groundup.families.family import canonical
from groundup.families.modernbert import MODERNBERT
from groundup.families.registry import FAMILIES
from groundup.model.config import (
    ClassificationHead,
    Dropout,
    GatedFeedForward,
    Head,
    HeadTransform,
    LayerNormConfig,
    MaskedLMHead,
    ModelConfig,
    RotaryPositions,
    SpanHead,
    TokenHead,
    Window,
)

BASE = {
    "architectures": ["ModernBertForMaskedLM"],
    "attention_bias": False,
    "attention_dropout": 0.0,
    "bos_token_id": 50281,
    "classifier_activation": "gelu",
    "classifier_bias": False,
    "classifier_dropout": 0.0,
    "classifier_pooling": "mean",
    "cls_token_id": 50281,
    "decoder_bias": True,
    "deterministic_flash_attn": False,
    "embedding_dropout": 0.0,
    "eos_token_id": 50282,
    "global_attn_every_n_layers": 3,
    "global_rope_theta": 160000.0,
    "gradient_checkpointing": False,
    "hidden_activation": "gelu",
    "hidden_size": 768,
    "initializer_cutoff_factor": 2.0,
    "initializer_range": 0.02,
    "intermediate_size": 1152,
    "layer_norm_eps": 1e-05,
    "local_attention": 128,
    "local_rope_theta": 10000.0,
    "max_position_embeddings": 8192,
    "mlp_bias": False,
    "mlp_dropout": 0.0,
    "model_type": "modernbert",
    "norm_bias": False,
    "norm_eps": 1e-05,
    "num_attention_heads": 12,
    "num_hidden_layers": 22,
    "pad_token_id": 50283,
    "position_embedding_type": "absolute",
    "sep_token_id": 50282,
    "tie_word_embeddings": True,
    "torch_dtype": "float32",
    "transformers_version": "4.47.0.dev0",
    "vocab_size": 50368,
}
"""The settings of the published base model, in the words of its first release."""
LOCAL = tuple(layer for layer in range(22) if layer % 3)
DESIGN = ModelConfig(
    vocab_size=50368,
    hidden_size=768,
    num_layers=22,
    num_heads=12,
    intermediate_size=1152,
    max_length=8192,
    num_token_types=0,
    position=RotaryPositions(base=160000.0),
    window=Window(size=64, layers=LOCAL, base=10000.0),
    norm=LayerNormConfig(eps=1e-5, bias=False),
    norm_places=("embedding", "input", "final"),
    first_input_norm=False,
    feed_forward=GatedFeedForward(activation="gelu"),
    attention_bias=False,
    feed_forward_bias=False,
    dropout=Dropout(embedding=0.0, attention=0.0, residual=0.0, attention_output=0.0),
    padding_id=50283,
    heads=(MaskedLMHead(dense_bias=False),),
)


def read(config: dict[str, Any], heads: tuple[Head, ...] | None = None) -> ModelConfig:
    return MODERNBERT.to_config(config, (), heads, "config.json")


def test_a_published_config_and_absent_keys() -> None:
    assert read(BASE) == DESIGN
    assert read({"architectures": BASE["architectures"]}) == DESIGN
    mean = ClassificationHead(num_labels=2, dropout=0.0, pooling="mean", transform=HeadTransform(bias=False))
    assert read(BASE | {"architectures": ["ModernBertForSequenceClassification"]}).heads == (mean,)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"local_attention": -2}, "local_attention: must be a whole number from 0"),
        ({"local_attention": 128.0}, "local_attention: must be a whole number"),
        ({"global_attn_every_n_layers": 0}, "global_attn_every_n_layers: must be a whole number from 1"),
        ({"layer_types": ["full_attention"] * 22}, "global_attn_every_n_layers: contradicts layer_types"),
        ({"layer_types": ["full_attention"] * 3}, "layer_types: must have one entry for each of 22 layers"),
        ({"layer_types": ["chunked_attention"] * 22}, "layer_types: 'chunked_attention' is not supported"),
        ({"sliding_window": 128}, "sliding_window: contradicts local_attention, half of which is 64"),
        ({"rope_scaling": {"type": "linear", "factor": 2.0}}, "rope_scaling: a scaling for all layers"),
        (
            {"rope_parameters": {"rope_theta": 1e4}},
            "rope_parameters: must say how full_attention and sliding_attention",
        ),
        ({"rope_parameters": [1]}, "rope_parameters: must say how"),
        (
            {"rope_parameters": {"sliding_attention": {"rope_type": "linear", "factor": 2.0}}},
            "rope_parameters: a scaled rotation in layers with a window is not supported",
        ),
        (
            {"rope_parameters": {"full_attention": {"rope_type": "yarn", "factor": 2.0}}},
            "full_attention: rope_parameters: rope_type: this scaling",
        ),
        (
            {"rope_parameters": {"full_attention": {"rope_theta": 5e5}}},
            "full_attention: rope_theta: the base is 160000 in rope_theta and 500000 in rope_parameters",
        ),
        ({"global_rope_theta": 0.5}, "global_rope_theta: must be a number above 1"),
        ({"partial_rotary_factor": 0.5}, "partial_rotary_factor: a rotation of a part"),
        ({"head_dim": 32}, "head_dim: must be hidden_size / num_attention_heads, which is 64"),
        ({"hidden_size": 36}, "num_attention_heads: a rotation turns pairs, so the width of a head, 3, must"),
        ({"hidden_size": 770}, "num_attention_heads: must divide hidden_size 770"),
        ({"hidden_activation": "swiglu"}, "hidden_activation: is not supported"),
        ({"classifier_pooling": "max"}, "classifier_pooling: is not supported"),
        ({"classifier_activation": 3}, "classifier_activation: is not supported"),
        ({"norm_eps": 0}, "norm_eps: must be a number above 0"),
        ({"norm_bias": "no"}, "norm_bias: must be true or false"),
        ({"mlp_dropout": 1.0}, "mlp_dropout: must be a probability"),
        ({"pad_token_id": 50368}, "pad_token_id: must be below vocab_size"),
        ({"quantization_config": {"bits": 8}}, "quantization_config: quantised weights"),
        ({"architectures": ["ModernBertForCausalLM"]}, "architectures: 'ModernBertForCausalLM' is not supported"),
        ({"local_atention": 3, "local_attention": 128}, ""),
    ],
    ids=str,
)
def test_what_would_be_another_computation_is_refused_by_name(changes: dict[str, Any], problem: str) -> None:
    config = {key: value for key, value in BASE.items() if key != "classifier_pooling"} | changes
    if "classifier_pooling" in changes:
        config["architectures"] = ["ModernBertForSequenceClassification"]
    if not problem:
        assert read(config) == DESIGN, "what is said is read; a further word that is like it is none of ours"
        return
    with pytest.raises(ConfigError, match=f"config.json: {problem}"):
        read(config)


PROBABILITY = st.one_of(st.just(0.0), st.floats(0, 0.9))
TRANSFORM = HeadTransform(activation="relu", bias=True)
HEADS: list[tuple[Head, ...]] = [
    (),
    (MaskedLMHead(activation="silu", dense_bias=True, bias=False),),
    (ClassificationHead(num_labels=3, pooling="mean", transform=TRANSFORM),),
    (ClassificationHead(num_labels=3, pooling="first", transform=TRANSFORM, dropout=0.0),),
    (TokenHead(num_labels=3, transform=TRANSFORM),),
    (SpanHead(transform=TRANSFORM, dropout=0.2),),
]


@given(
    heads=st.sampled_from(HEADS),
    dropout=st.tuples(*4 * [PROBABILITY]),
    eps=st.floats(1e-15, 1e-2),
    bases=st.tuples(*2 * [st.floats(1.0, 1e7, exclude_min=True)]),
    size=st.integers(0, 70),
    local=st.sets(st.integers(0, 3)),
    flags=st.tuples(*4 * [st.booleans()]),
    padding_id=st.one_of(st.none(), st.integers(0, 29)),
    activation=st.sampled_from(["gelu", "gelu_tanh", "relu", "silu", "tanh"]),
)
def test_every_design_that_it_can_express_comes_back(
    heads: tuple[Head, ...],
    dropout: tuple[float, ...],
    eps: float,
    bases: tuple[float, float],
    size: int,
    local: set[int],
    flags: tuple[bool, ...],
    padding_id: int | None,
    activation: str,
) -> None:
    config = ModelConfig(
        vocab_size=30,
        hidden_size=12,
        num_layers=4,
        num_heads=3,
        intermediate_size=16,
        num_token_types=0,
        position=RotaryPositions(base=bases[0]),
        window=Window(size=size, layers=tuple(sorted(local)), base=bases[1]) if local else None,
        norm=LayerNormConfig(eps=eps, bias=flags[0]),
        norm_places=("embedding", "input", "final"),
        first_input_norm=False,
        feed_forward=GatedFeedForward(activation=activation),
        attention_bias=flags[1],
        feed_forward_bias=flags[2],
        tie_embeddings=flags[3],
        dropout=Dropout(**dict(zip(("embedding", "attention", "residual", "feed_forward"), dropout, strict=True))),
        padding_id=padding_id,
        heads=heads,
    )
    written = MODERNBERT.from_config(config)
    assert written is not None and canonical(read(written)) == canonical(config)
    assert next(family for family in FAMILIES if family.from_config(config) is not None) is MODERNBERT
    kept = written.get("dropout_by_place")
    assert (kept is None) == (dropout[2] == 0.0 and dropout[1] == 0.0), "only what its own words cannot say is beside"


@pytest.mark.parametrize(
    "changes",
    [
        {"causal": True},
        {"first_input_norm": True},
        {"norm_places": ("input", "final"), "first_input_norm": True},
        {"attention_output_bias": True},
        {"qk_norm": True},
        {"num_kv_heads": 4},
        {"num_token_types": 2},
        {"heads": (MaskedLMHead(), TokenHead(num_labels=2))},
        {"heads": (TokenHead(num_labels=2),)},
        {"heads": (ClassificationHead(num_labels=2, transform=HeadTransform()),)},
        {"heads": (SpanHead(transform=HeadTransform(norm=False)),)},
    ],
    ids=str,
)
def test_a_design_that_it_cannot_express_is_another_familys(changes: dict[str, Any]) -> None:
    config = ModelConfig(**{name: getattr(DESIGN, name) for name in ModelConfig.model_fields} | changes)
    assert MODERNBERT.from_config(config) is None
    assert any(family.from_config(config) is not None for family in FAMILIES)
