"""XLNet's config.json both ways: what it can say comes back, what we cannot compute is refused by name."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from groundup.config import parse, to_json
from groundup.errors import CheckpointError, ConfigError
from groundup.families.native import NATIVE
from groundup.families.registry import FAMILIES
from groundup.families.xlnet import XLNET
from groundup.model.config import (
    CausalLMHead,
    ClassificationHead,
    Dropout,
    GatedFeedForward,
    HeadTransform,
    LayerNormConfig,
    MaskedLMHead,
    ModelConfig,
    MultipleChoiceHead,
    PermutedLMHead,
    PlainFeedForward,
    RelativePositions,
    RMSNormConfig,
    SpanHead,
    TokenHead,
)

EVERYWHERE = dict.fromkeys(("embedding", "attention", "residual", "feed_forward", "final"), 0.1)
BASE = ModelConfig(
    vocab_size=30,
    hidden_size=12,
    num_layers=2,
    num_heads=3,
    intermediate_size=16,
    max_length=4096,
    num_token_types=0,
    position=RelativePositions(),
    query_stream=True,
    norm_places=("residual",),
    attention_bias=False,
    dropout=Dropout(**EVERYWHERE),
    padding_id=5,
    pooled="last",
    heads=(PermutedLMHead(),),
)
PUBLISHED = {
    "architectures": ["XLNetLMHeadModel"],
    "attn_type": "bi",
    "bi_data": False,
    "bos_token_id": 1,
    "clamp_len": -1,
    "d_head": 64,
    "d_inner": 3072,
    "d_model": 768,
    "dropout": 0.1,
    "end_n_top": 5,
    "eos_token_id": 2,
    "ff_activation": "gelu",
    "initializer_range": 0.02,
    "layer_norm_eps": 1e-12,
    "mem_len": None,
    "model_type": "xlnet",
    "n_head": 12,
    "n_layer": 12,
    "pad_token_id": 5,
    "reuse_len": None,
    "same_length": False,
    "start_n_top": 5,
    "summary_activation": "tanh",
    "summary_last_dropout": 0.1,
    "summary_type": "last",
    "summary_use_proj": True,
    "task_specific_params": {"text-generation": {"do_sample": True, "max_length": 250}},
    "untie_r": True,
    "vocab_size": 32000,
}
"""As it was published with the smaller weights of 2019."""


def read(config: dict[str, Any], names: tuple[str, ...] = (), heads: tuple | None = None) -> ModelConfig:
    return XLNET.to_config(config, names, heads, "config.json")


def change(**values: object) -> ModelConfig:
    return parse(ModelConfig, to_json(BASE) | {name: _plain(value) for name, value in values.items()})


def _plain(value: Any) -> object:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return to_json(value) if hasattr(value, "model_dump") else value


def test_a_published_config() -> None:
    expected = {"vocab_size": 32000, "hidden_size": 768, "num_layers": 12, "num_heads": 12, "intermediate_size": 3072}
    assert read(PUBLISHED) == change(**expected)


def test_absent_keys_mean_the_larger_xlnet() -> None:
    expected = {"vocab_size": 32000, "hidden_size": 1024, "num_layers": 24, "num_heads": 16, "intermediate_size": 4096}
    assert read({"model_type": "xlnet"}) == change(**expected, heads=())


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("attn_type", "uni"),
        ("bi_data", True),
        ("untie_r", False),
        ("is_encoder_decoder", True),
        ("pruned_heads", {"0": [1]}),
        ("quantization_config", {"bits": 8}),
        ("d_head", 32),
        ("n_head", 7),
        ("n_layer", 0),
        ("d_model", "768"),
        ("d_inner", 0),
        ("hidden_size", 1024),
        ("n_token", 31999),
        ("clamp_len", -2),
        ("clamp_len", 1.5),
        ("dropout", 1.0),
        ("dropout_by_place", 0.1),
        ("dropout_by_place", {"attention": 2.0}),
        ("dropout_by_place", {"somewhere": 0.1}),
        ("ff_activation", "gelu_10"),
        ("initializer_range", 0.0),
        ("layer_norm_eps", -1.0),
        ("max_sequence_length", 0),
        ("output_init", "orthogonal"),
        ("pad_token_id", 32000),
        ("summary_type", "mean"),
        ("summary_type", "cls_index"),
        ("summary_use_proj", False),
        ("summary_activation", "relu"),
        ("summary_activation", None),
        ("summary_first_dropout", 0.1),
        ("summary_proj_to_labels", True),
        ("tie_word_embeddings", "yes"),
        ("architectures", "XLNetModel"),
        ("architectures", ["XLNetForQuestionAnswering"]),
        ("architectures", ["BertModel"]),
    ],
)
def test_what_would_be_another_computation_is_refused_by_name(key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"config.json: {key}: "):
        read(PUBLISHED | {key: value})


@pytest.mark.parametrize(
    "entry",
    [
        {"mem_len": 512, "reuse_len": 256, "use_mems_train": True, "use_mems_eval": False},
        {"same_length": True},
        {"clamp_len": 0},
        {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "n_token": 32000},
        {"d_head": None, "untie_r": None, "bi_data": None},
        {"bos_token_id": None, "eos_token_id": [2, 3], "start_n_top": 1},
        {"transformers_version": "4.2.0", "dtype": "float32", "_name_or_path": "x"},
    ],
    ids=str,
)
def test_what_describes_changes_nothing(entry: dict[str, object]) -> None:
    assert read(PUBLISHED | entry) == read(PUBLISHED)


@pytest.mark.parametrize(
    ("key", "meant"), [("dropouts", "dropout"), ("clamp_lens", "clamp_len"), ("n_heads", "n_head")]
)
def test_a_misspelt_setting_is_not_taken_for_a_description(key: str, meant: str) -> None:
    with pytest.raises(ConfigError, match=f"{key}: .* did you mean '{meant}'"):
        read({"model_type": "xlnet", key: 0.5})


def test_the_head_comes_from_the_architecture_or_from_its_tensor() -> None:
    bare = PUBLISHED | {"architectures": ["XLNetModel"]}
    assert read(bare).heads == ()
    assert read(bare, ("lm_loss.bias",)).heads == (PermutedLMHead(),)
    assert read(bare, ("qa_outputs.weight",)).heads == (SpanHead(),)
    assert read(PUBLISHED, (), (TokenHead(num_labels=2),)).heads == (TokenHead(num_labels=2),)
    named = {
        "XLNetForSequenceClassification": ClassificationHead(num_labels=2),
        "XLNetForMultipleChoice": MultipleChoiceHead(),
    }
    for name, head in named.items():
        assert read(PUBLISHED | {"architectures": [name]}, ("logits_proj.weight",)).heads == (head,)
    with pytest.raises(ConfigError, match=r"does not say what `logits_proj.weight` is for"):
        read(bare, ("logits_proj.weight",))
    regression = PUBLISHED | {"architectures": ["XLNetForSequenceClassification"], "id2label": {"0": "score"}}
    assert read(regression).heads == (ClassificationHead(num_labels=1),)
    assert XLNET.is_backbone("transformer.layer.0.rel_attn.q") and XLNET.is_backbone("mask_emb")
    assert not XLNET.is_backbone("sequence_summary.summary.weight") and not XLNET.is_backbone("lm_loss.bias")


@given(
    head=st.sampled_from(
        [
            (),
            (PermutedLMHead(),),
            (ClassificationHead(num_labels=3, dropout=0.25),),
            (MultipleChoiceHead(dropout=0.5),),
            (TokenHead(num_labels=4, dropout=0.5),),
            (SpanHead(),),
        ]
    ),
    dropout=st.tuples(*[st.sampled_from([0.0, 0.1, 0.3])] * 5),
    eps=st.floats(1e-15, 1e-2),
    is_tied=st.booleans(),
    padding_id=st.one_of(st.none(), st.integers(0, 29)),
    clamp=st.one_of(st.none(), st.integers(1, 600)),
    pooled=st.sampled_from(["first", "last"]),
    length=st.integers(1, 5000),
    start=st.sampled_from(["normal", "scaled", "zero"]),
    activation=st.sampled_from(["gelu", "gelu_tanh", "relu", "silu", "tanh"]),
)
def test_every_design_that_xlnet_can_express_comes_back(
    head: tuple,
    dropout: tuple[float, ...],
    eps: float,
    is_tied: bool,
    padding_id: int | None,
    clamp: int | None,
    pooled: str,
    length: int,
    start: str,
    activation: str,
) -> None:
    config = change(
        heads=head,
        dropout=Dropout(**dict(zip(EVERYWHERE, dropout, strict=True))),
        norm=LayerNormConfig(eps=eps),
        tie_embeddings=is_tied,
        padding_id=padding_id,
        position=RelativePositions(clamp=clamp),
        pooled=pooled,
        max_length=length,
        output_init=start,
        feed_forward=PlainFeedForward(activation=activation),
    )
    written = XLNET.from_config(config)
    assert written is not None and read(written) == config
    assert ("dropout_by_place" in written) == (len(set(dropout)) > 1)
    assert next(family for family in FAMILIES if family.from_config(config) is not None) is XLNET


@pytest.mark.parametrize(
    "values",
    [
        {"position": RelativePositions(base=500.0)},
        {"position": RelativePositions(segments=False)},
        {"query_stream": False, "heads": ()},
        {"norm": RMSNormConfig()},
        {"norm": LayerNormConfig(bias=False)},
        {"norm_places": ("input", "final")},
        {"norm_places": ("embedding", "residual")},
        {"feed_forward": GatedFeedForward()},
        {"attention_bias": True},
        {"feed_forward_bias": False},
        {"attention_scale": 1.0},
        {"head_dim": 6},
        {"num_token_types": 2},
        {"pooler": True, "heads": ()},
        {"dropout": Dropout(**EVERYWHERE | {"attention_output": 0.2})},
        {"heads": (PermutedLMHead(bias=False),)},
        {"heads": (CausalLMHead(),)},
        {"heads": (MaskedLMHead(),)},
        {"heads": (PermutedLMHead(), TokenHead(num_labels=3))},
        {"heads": (SpanHead(dropout=0.1),)},
        {"heads": (ClassificationHead(num_labels=3, pooling="first"),)},
        {"heads": (ClassificationHead(num_labels=3, transform=HeadTransform()),)},
    ],
    ids=str,
)
def test_a_design_that_xlnet_cannot_express_is_written_in_our_own_format(values: dict[str, object]) -> None:
    config = change(**values)
    family = next(family for family in FAMILIES if family.from_config(config) is not None)
    if "attention_output" in str(values):  # which place of dropout it is matters to training alone
        assert family is XLNET and read(XLNET.from_config(config)) == config
        return
    assert family is NATIVE
    assert NATIVE.to_config(NATIVE.from_config(config), (), None, "config.json") == config


def test_keys_of_ours_are_written_only_where_they_are_needed() -> None:
    written = XLNET.from_config(BASE)
    assert not {"dropout_by_place", "max_sequence_length", "output_init", "classifier_dropout"} & written.keys()
    assert written["clamp_len"] == -1 and written["summary_type"] == "last"
    assert XLNET.from_config(change(max_length=512))["max_sequence_length"] == 512
    # transformers refuses to be told a longest sequence under its usual name.
    assert "max_position_embeddings" not in XLNET.from_config(change(max_length=512))


def test_a_tensor_of_another_number_of_heads_is_named() -> None:
    tensors = {"layer.0.rel_attn.q": torch.ones(12, 4, 3)}
    with pytest.raises(CheckpointError, match=r"'layer.0.rel_attn.q' must be of the shape \[any, 3, 4\], got"):
        XLNET.read_map({"d_model": 12, "n_head": 3}, tensors.keys()).read(tensors, "file")


def test_a_decoder_that_is_tied_must_be_the_embedding() -> None:
    def check(weight: torch.Tensor, **config: object) -> None:
        tensors = {"transformer.word_embedding.weight": torch.ones(3, 2), "lm_loss.weight": weight}
        XLNET.read_map({"d_model": 2, "n_head": 1, **config}, tensors.keys()).read(tensors, "file")

    check(torch.ones(3, 2))
    with pytest.raises(CheckpointError, match=r"differs from 'embedding.token.weight', with which it is tied"):
        check(torch.zeros(3, 2))
    check(torch.zeros(3, 2), tie_word_embeddings=False)
