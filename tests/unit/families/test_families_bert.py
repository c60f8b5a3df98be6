"""BERT's config.json both ways: what it can say comes back, what we cannot compute is refused by name."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.config import parse, to_json
from groundup.errors import ConfigError
from groundup.families.bert import BERT
from groundup.families.native import NATIVE
from groundup.families.registry import FAMILIES
from groundup.families.values import read_labels, write_labels
from groundup.model.config import (
    ClassificationHead,
    Dropout,
    GatedFeedForward,
    LayerNormConfig,
    MaskedLMHead,
    ModelConfig,
    NextSentenceHead,
    PlainFeedForward,
    RMSNormConfig,
    RotaryPositions,
    SpanHead,
    TokenHead,
)

BASE = ModelConfig(vocab_size=30, hidden_size=12, num_layers=2, num_heads=3, intermediate_size=16)
MINILM = {
    "architectures": ["BertModel"],
    "hidden_act": "gelu",
    "hidden_size": 384,
    "intermediate_size": 1536,
    "max_position_embeddings": 512,
    "model_type": "bert",
    "num_attention_heads": 12,
    "num_hidden_layers": 6,
    "vocab_size": 30522,
    "use_cache": True,
    "transformers_version": "4.8.2",
}


def read(config: dict[str, Any], names: tuple[str, ...] = (), heads: tuple | None = None) -> ModelConfig:
    return BERT.to_config(config, names, heads, "config.json")


def change(**values: object) -> ModelConfig:
    return parse(ModelConfig, to_json(BASE) | {name: _plain(value) for name, value in values.items()})


def _plain(value: Any) -> object:
    return (
        [_plain(item) for item in value]
        if isinstance(value, tuple)
        else to_json(value)
        if hasattr(value, "model_dump")
        else value
    )


def telling_names(config: ModelConfig) -> tuple[str, ...]:
    heads = [f"heads.{head.kind}.{'dense' if head.kind == 'masked_lm' else 'linear'}.weight" for head in config.heads]
    return tuple(BERT.write_map(config).expand(["pooler.weight"] * config.has_pooler + heads))


def test_a_published_config() -> None:
    config = read(MINILM, ("pooler.dense.weight",))
    assert (config.hidden_size, config.num_layers, config.num_heads, config.max_length) == (384, 6, 12, 512)
    assert config.pooler and config.heads == ()
    assert config.dropout == Dropout() and config.norm == LayerNormConfig(eps=1e-12)


def test_absent_keys_mean_bert_base() -> None:
    config = read({"model_type": "bert"})
    assert (config.vocab_size, config.hidden_size, config.num_layers, config.intermediate_size) == (
        30522,
        768,
        12,
        3072,
    )
    assert config.num_token_types == 2 and config.padding_id == 0 and config.tie_embeddings


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("position_embedding_type", "relative_key"),
        ("is_decoder", True),
        ("add_cross_attention", True),
        ("is_encoder_decoder", True),
        ("pruned_heads", {"0": [1]}),
        ("pooler_type", "mean"),
        ("quantization_config", {"bits": 8}),
        ("hidden_act", "gelu_10"),
        ("hidden_act", "geluu"),
        ("hidden_act", 3),
        ("hidden_size", "384"),
        ("hidden_size", 384.0),
        ("hidden_size", True),
        ("num_hidden_layers", 0),
        ("num_attention_heads", 7),
        ("hidden_dropout_prob", 1.0),
        ("hidden_dropout_prob", -0.1),
        ("layer_norm_eps", 0.0),
        ("layer_norm_eps", "1e-12"),
        ("layer_norm_eps", float("nan")),
        ("pad_token_id", 30522),
        ("pad_token_id", -1),
        ("tie_word_embeddings", "yes"),
        ("type_vocab_size", 0),
        ("architectures", "BertModel"),
        ("architectures", [["BertModel"]]),
        ("architectures", ["BertLMHeadModel"]),
        ("architectures", ["RobertaModel"]),
    ],
)
def test_what_would_be_another_computation_is_refused_by_name(key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"config.json: {key}: "):
        read(MINILM | {key: value})


@pytest.mark.parametrize(
    "entry",
    [
        {"position_embedding_type": "absolute"},
        {"is_decoder": False, "add_cross_attention": False, "pruned_heads": {}},
        {"chunk_size_feed_forward": 4},
        {"_name_or_path": "x", "finetuning_task": "sst2", "gradient_checkpointing": False, "directionality": "bidi"},
        {"pooler_fc_size": 768, "pooler_type": "first_token_transform"},
        {"sep_token_id": 102, "bos_token_id": None},
    ],
)
def test_what_describes_changes_nothing(entry: dict[str, object]) -> None:
    assert read(MINILM | entry) == read(MINILM)


@pytest.mark.parametrize(
    ("key", "meant"), [("layer_norm_epsilon", "layer_norm_eps"), ("hidden_droput_prob", "hidden_dropout_prob")]
)
def test_a_misspelt_setting_is_not_taken_for_a_description(key: str, meant: str) -> None:
    with pytest.raises(ConfigError, match=f"{key}: .* did you mean '{meant}'"):
        read(MINILM | {key: 0.5})
    assert read(MINILM | {key: 0.5, meant: 0.5}) == read(MINILM | {meant: 0.5}), "nothing is missing"
    read(MINILM | {"pad_token": "[PAD]"})


def test_heads_come_from_the_architecture_and_from_the_tensors() -> None:
    masked = MINILM | {"architectures": ["BertForMaskedLM"]}
    assert [head.kind for head in read(masked).heads] == ["masked_lm"]
    names = ("cls.seq_relationship.weight", "bert.pooler.dense.weight")
    config = read(masked, names)
    assert [head.kind for head in config.heads] == ["masked_lm", "next_sentence"]
    assert not config.pooler, "a head needs it anyway"
    assert [head.kind for head in read({"model_type": "bert"}, ("qa_outputs.weight",)).heads] == ["span"]
    with pytest.raises(ConfigError, match="does not say what"):
        read(MINILM, ("classifier.weight",))
    assert read(MINILM, ("classifier.weight",), ()).heads == ()


def test_the_head_follows_the_activation_of_the_folder_unless_told_not_to() -> None:
    folder = MINILM | {"hidden_act": "relu"}
    assert read(folder, (), (MaskedLMHead(),)).heads[0].activation == "relu"
    assert read(folder, (), (MaskedLMHead(activation="gelu"),)).heads[0].activation == "gelu"


def test_dropout_of_the_classifier() -> None:
    folder = MINILM | {"architectures": ["BertForSequenceClassification"], "hidden_dropout_prob": 0.3}
    assert read(folder).heads[0].dropout == 0.3
    assert read(folder | {"classifier_dropout": 0.05}).heads[0].dropout == 0.05


def test_what_logits_are_for_changes_none_of_them() -> None:
    folder = MINILM | {"architectures": ["BertForSequenceClassification"], "num_labels": 1}
    for problem in ("single_label_classification", "multi_label_classification", "regression", None):
        assert read(folder | {"problem_type": problem}).heads[0].num_labels == 1
    folder["problem_type"] = "ranking"
    with pytest.raises(
        ConfigError,
        match="problem_type: is none of single_label_classification, multi_label_classification, regression",
    ):
        read(folder)
    assert read(folder, (), (SpanHead(),)).heads == (SpanHead(),), "a head that is replaced is no obstacle"


HEADS = {
    "masked_lm": MaskedLMHead(),
    "next_sentence": NextSentenceHead(),
    "classification": ClassificationHead(num_labels=3, dropout=0.2),
    "token": TokenHead(num_labels=5),
    "span": SpanHead(),
}


@given(
    kinds=st.sets(st.sampled_from(sorted(HEADS))),
    dropout=st.floats(0, 0.9),
    attention=st.floats(0, 0.9),
    eps=st.floats(1e-15, 1e-2),
    is_tied=st.booleans(),
    padding_id=st.one_of(st.none(), st.integers(0, 29)),
    pooler=st.booleans(),
)
def test_every_design_that_bert_can_express_comes_back(
    kinds: set[str], dropout: float, attention: float, eps: float, is_tied: bool, padding_id: int | None, pooler: bool
) -> None:
    config = change(
        heads=tuple(HEADS[kind] for kind in HEADS if kind in kinds),
        dropout=Dropout(embedding=dropout, attention=attention, residual=dropout),
        norm=LayerNormConfig(eps=eps),
        tie_embeddings=is_tied,
        padding_id=padding_id,
        pooler=pooler and not kinds & {"classification", "next_sentence"},
    )
    written = BERT.from_config(config)
    if {"classification", "token"} <= kinds:
        assert written is None, "both would be called `classifier`"
    else:
        assert read(written, telling_names(config)) == config


@pytest.mark.parametrize(
    "values",
    [
        {"causal": True},
        {"position": RotaryPositions()},
        {"norm": RMSNormConfig()},
        {"norm": LayerNormConfig(bias=False)},
        {"norm_places": ("input", "final")},
        {"norm_places": ("residual",)},
        {"feed_forward": GatedFeedForward()},
        {"attention_bias": False},
        {"feed_forward_bias": False},
        {"num_kv_heads": 1},
        {"head_dim": 6},
        {"num_token_types": 0},
        {"heads": (MaskedLMHead(activation="relu"),)},
        {"heads": (MaskedLMHead(bias=False),)},
    ],
    ids=str,
)
def test_a_design_that_bert_cannot_express_is_written_in_our_own_format(values: dict[str, object]) -> None:
    config = change(**values)
    assert BERT.from_config(config) is None
    written = NATIVE.from_config(config)
    assert NATIVE.to_config(written, (), None, "config.json") == config
    assert FAMILIES[-1] is NATIVE


@pytest.mark.parametrize(
    "values", [{"num_kv_heads": 3}, {"head_dim": 4}, {"norm_places": ("residual", "embedding")}], ids=str
)
def test_another_spelling_of_the_same_design_is_bert(values: dict[str, object]) -> None:
    assert BERT.from_config(change(**values)) == BERT.from_config(BASE)


@pytest.mark.parametrize("activation", ["gelu", "gelu_tanh", "relu", "silu", "tanh"])
def test_every_activation_has_its_published_name(activation: str) -> None:
    config = change(feed_forward=PlainFeedForward(activation=activation))
    published = {"gelu_tanh": "gelu_new"}.get(activation, activation)
    assert BERT.from_config(config)["hidden_act"] == published


def test_our_own_format_of_another_release() -> None:
    written = NATIVE.from_config(BASE)
    with pytest.raises(ConfigError, match="format_version: is of another release, got 2"):
        NATIVE.to_config(written | {"format_version": 2}, (), None, "config.json")
    with pytest.raises(ConfigError, match="design: must hold"):
        NATIVE.to_config(written | {"design": None}, (), None, "config.json")
    with pytest.raises(ConfigError, match="did you mean 'hidden_size'"):
        NATIVE.to_config(written | {"design": written["design"] | {"hiden_size": 3}}, (), None, "config.json")


LABELS = ("否定", "positive", "neutral")


def test_labels_both_ways() -> None:
    assert read_labels(write_labels(LABELS), "c") == LABELS
    assert read_labels({}, "c") == ("LABEL_0", "LABEL_1")
    assert read_labels({"num_labels": 3}, "c") == ("LABEL_0", "LABEL_1", "LABEL_2")
    assert read_labels({"id2label": {"1": "b", "0": "a"}}, "c") == ("a", "b")


@pytest.mark.parametrize(
    "entry",
    [
        {"id2label": {"0": "a", "2": "b"}},
        {"id2label": {"one": "a"}},
        {"id2label": {}},
        {"id2label": {"0": 3}},
        {"id2label": ["a", "b"]},
        {"id2label": {"0": "a", "1": "b"}, "num_labels": 3},
        {"id2label": {"0": "a", "1": "b"}, "label2id": {"a": 1, "b": 0}},
        {"num_labels": "two"},
    ],
    ids=str,
)
def test_labels_that_contradict_themselves(entry: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=r"^c: (id2label|num_labels|label2id): "):
        read_labels(entry, "c")
