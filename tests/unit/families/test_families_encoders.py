"""config.json of RoBERTa, ALBERT and ELECTRA both ways: what they can say comes back, the rest is refused by name."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.errors import ConfigError
from groundup.families.albert import ALBERT
from groundup.families.bert import BERT
from groundup.families.electra import ELECTRA
from groundup.families.encoder import EncoderFamily
from groundup.families.registry import FAMILIES
from groundup.families.roberta import ROBERTA, XLM_ROBERTA
from groundup.model.config import (
    ClassificationHead,
    Dropout,
    Head,
    HeadTransform,
    LearnedPositions,
    MaskedLMHead,
    ModelConfig,
    MultipleChoiceHead,
    ReplacedHead,
    SentenceOrderHead,
    Sharing,
    SpanHead,
    TokenHead,
)

SUCCESSORS = (ROBERTA, XLM_ROBERTA, ALBERT, ELECTRA)
SMALL = {
    "vocab_size": 30,
    "hidden_size": 12,
    "num_hidden_layers": 4,
    "num_attention_heads": 3,
    "intermediate_size": 16,
    "max_position_embeddings": 24,
}
PLAIN = HeadTransform(activation="tanh", norm=False, drop_input=True)


def name_family(value: object) -> str:
    """The same name in every process: a set has no order of its own."""
    return value.model_type if isinstance(value, EncoderFamily) else str(value)


def read(
    family: EncoderFamily, heads: tuple[Head, ...] | None = None, names: tuple[str, ...] = (), **values: Any
) -> Any:
    return family.to_config({**SMALL, **values}, names, heads, "config.json")


def name_of(family: EncoderFamily, suffix: str) -> str:
    return next(name for name in family.architectures if name.endswith(suffix))


def test_absent_keys_mean_what_they_mean_to_each_family() -> None:
    found = {family.model_type: family.to_config({}, (), None, "config.json") for family in (BERT, *SUCCESSORS)}
    sizes = {name: (config.vocab_size, config.hidden_size, config.max_length) for name, config in found.items()}
    assert sizes == {
        "bert": (30522, 768, 512),
        "roberta": (50265, 768, 510),
        "xlm-roberta": (30522, 768, 510),
        "albert": (30000, 4096, 512),
        "electra": (30522, 256, 512),
    }
    assert found["roberta"].position == LearnedPositions(offset=2) and found["roberta"].padding_id == 1
    assert found["albert"].sharing == Sharing() and found["albert"].embedding_size == 128
    assert found["albert"].feed_forward.activation == "gelu_tanh" and found["albert"].dropout.embedding == 0.0
    assert found["electra"].embedding_size == 128 and found["electra"].num_heads == 4


@pytest.mark.parametrize("family", SUCCESSORS, ids=lambda family: family.model_type)
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("position_embedding_type", "relative_key_query"),
        ("is_decoder", True),
        ("add_cross_attention", True),
        ("pruned_heads", {"0": [1]}),
        ("quantization_config", {"bits": 8}),
        ("hidden_act", "gelu_10"),
        ("hidden_act", None),
        ("hidden_size", 13),
        ("num_attention_heads", 5),
        ("num_hidden_layers", 0),
        ("hidden_dropout_prob", 1),
        ("layer_norm_eps", 0),
        ("pad_token_id", 30),
        ("type_vocab_size", 0),
        ("tie_word_embeddings", 1),
        ("architectures", ["BertModel"]),
        ("architectures", ["RobertaForCausalLM"]),
        ("architectures", "RobertaModel"),
    ],
)
def test_what_would_be_another_computation_is_refused_by_name(family: EncoderFamily, key: str, value: object) -> None:
    named = "num_attention_heads" if key == "hidden_size" else key
    with pytest.raises(ConfigError, match=f"config.json: {named}: "):
        read(family, **{key: value})


@pytest.mark.parametrize(
    ("family", "values", "message"),
    [
        (ROBERTA, {"pad_token_id": None}, "pad_token_id: must be an id: positions begin behind it, got None"),
        (ROBERTA, {"pad_token_id": 23}, "max_position_embeddings: must be above 24, .* got 24"),
        (ALBERT, {"num_hidden_groups": 5}, "num_hidden_groups: must be at most num_hidden_layers 4, got 5"),
        (ALBERT, {"num_hidden_groups": 0}, "num_hidden_groups: must be a whole number from 1"),
        (ALBERT, {"inner_group_num": 1.5}, "inner_group_num: must be a whole number"),
        (ALBERT, {"embedding_size": "128"}, "embedding_size: must be a whole number"),
        (ALBERT, {"embeding_size": 12}, "embeding_size: .* did you mean 'embedding_size'"),
        (ELECTRA, {"embedding_size": 0}, "embedding_size: must be a whole number from 1"),
        (ROBERTA, {"clasifier_dropout": 0.3}, "clasifier_dropout: .* did you mean 'classifier_dropout'"),
    ],
    ids=name_family,
)
def test_what_only_one_family_can_get_wrong(family: EncoderFamily, values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read(family, **values)


@pytest.mark.parametrize(
    "values",
    [
        {"summary_type": "last"},
        {"summary_use_proj": False},
        {"summary_activation": "none"},
        {"summary_activation": None},
        {"summary_first_dropout": 0.1},
        {"summary_proj_to_labels": True},
        {"summary_last_dropout": 1.0},
    ],
    ids=str,
)
def test_a_summary_of_choices_that_would_be_another(values: dict[str, Any]) -> None:
    architecture = ["ElectraForMultipleChoice"]
    with pytest.raises(ConfigError, match=f"config.json: {next(iter(values))}: "):
        read(ELECTRA, architectures=architecture, **values)
    assert read(ELECTRA, **values).heads == (), "where there is none, it says nothing"


def test_the_order_of_sentences_has_two_labels() -> None:
    architecture = ["AlbertForPreTraining"]
    assert [head.kind for head in read(ALBERT, architectures=architecture).heads] == ["masked_lm", "sentence_order"]
    with pytest.raises(ConfigError, match="id2label: must name 2 labels"):
        read(ALBERT, architectures=architecture, num_labels=3)


@pytest.mark.parametrize("family", (BERT, *SUCCESSORS), ids=lambda family: family.model_type)
def test_a_classifier_that_nothing_names(family: EncoderFamily) -> None:
    with pytest.raises(ConfigError, match=r"does not say what `classifier\.weight` classifies.*ForTokenClassification"):
        read(family, names=("classifier.weight",))
    for architecture in ("ForTokenClassification", "ForMultipleChoice"):
        read(family, names=("classifier.weight",), architectures=[name_of(family, architecture)])
    number = read(family, architectures=[name_of(family, "ForSequenceClassification")], num_labels=1)
    assert number.heads[0].num_labels == 1


def test_a_given_head_takes_the_form_of_the_family_unless_it_names_another() -> None:
    mine = ClassificationHead(num_labels=3, dropout=0.4)
    assert read(BERT, (mine,)).heads == (mine,) and read(ALBERT, (mine,)).heads == (mine,)
    found = read(ROBERTA, (mine,)).heads[0]
    assert (found.pooling, found.transform, found.dropout) == ("first", PLAIN, 0.4)
    assert read(ELECTRA, (mine,)).heads[0].transform == PLAIN.model_copy(update={"activation": "gelu"})
    other = ClassificationHead(num_labels=3, pooling="mean", transform=None)
    assert read(ROBERTA, (other,)).heads == (other,)
    masked = {
        family.model_type: read(family, (MaskedLMHead(),), hidden_act="relu").heads[0].activation
        for family in SUCCESSORS
    }
    assert masked == {"roberta": "gelu", "xlm-roberta": "gelu", "albert": "relu", "electra": "gelu"}
    assert read(ELECTRA, (ReplacedHead(),), hidden_act="relu").heads[0].transform.activation == "relu"
    assert read(BERT, (ReplacedHead(),)).heads == (ReplacedHead(),), "a head of another family is as it is"


def form(family: EncoderFamily, kind: str, num_labels: int, dropout: float) -> Head:
    """A head of this kind as the family has it."""
    plain: dict[str, Head] = {
        "masked_lm": MaskedLMHead(),
        "sentence_order": SentenceOrderHead(dropout=dropout),
        "classification": ClassificationHead(num_labels=num_labels, dropout=dropout),
        "multiple_choice": MultipleChoiceHead(dropout=dropout),
        "token": TokenHead(num_labels=num_labels, dropout=dropout),
        "span": SpanHead(),
        "replaced": ReplacedHead(),
    }
    head = read(family, (plain[kind],)).heads[0]
    return (
        head.model_copy(update={"dropout": 0.1})
        if family in (ROBERTA, XLM_ROBERTA) and kind == "multiple_choice"
        else head
    )


@given(
    family=st.sampled_from(SUCCESSORS),
    kinds=st.lists(st.sampled_from(["masked_lm", "classification", "multiple_choice", "token", "span"]), max_size=1),
    dropout=st.floats(0.01, 0.9),
    pooler=st.booleans(),
    is_tied=st.booleans(),
    groups=st.sampled_from([1, 2, 4]),
    size=st.sampled_from([1, 2]),
)
def test_every_design_that_a_family_can_express_comes_back(
    family: EncoderFamily, kinds: list[str], dropout: float, pooler: bool, is_tied: bool, groups: int, size: int
) -> None:
    own = {"num_hidden_groups": groups, "inner_group_num": size} if family is ALBERT else {}
    config = read(family, tuple(form(family, kind, 5, dropout) for kind in kinds), tie_word_embeddings=is_tied, **own)
    has_own = pooler and family.pooler is not None and not config.has_pooler
    config = config.model_copy(update={"pooler": has_own})
    written = family.from_config(config)
    assert written is not None
    heads = [f"heads.{kind}.{'dense' if kind == 'masked_lm' else 'linear'}.weight" for kind in kinds]
    names = family.write_map(config).expand(["pooler.weight"] * config.has_pooler + heads)
    assert family.to_config(written, names, None, "config.json") == config


@pytest.mark.parametrize(
    ("family", "change"),
    [
        (ROBERTA, {"position": LearnedPositions(offset=3)}),
        (ROBERTA, {"padding_id": None}),
        (ROBERTA, {"heads": (ClassificationHead(num_labels=3),)}),
        (ROBERTA, {"heads": (MaskedLMHead(activation="relu"),)}),
        (ALBERT, {"embedding_size": None}),
        (ALBERT, {"heads": (SentenceOrderHead(),)}),
        (ELECTRA, {"pooler": True}),
        (ELECTRA, {"heads": (MultipleChoiceHead(),)}),
        (ELECTRA, {"heads": (MaskedLMHead(), ReplacedHead())}),
        (BERT, {"embedding_size": 6}),
        (BERT, {"sharing": Sharing()}),
        (BERT, {"position": LearnedPositions(offset=2)}),
        (BERT, {"heads": (ReplacedHead(),)}),
    ],
    ids=name_family,
)
def test_a_design_that_a_family_cannot_express(family: EncoderFamily, change: dict[str, Any]) -> None:
    config = read(family)
    assert family.from_config(config) is not None
    assert family.from_config(ModelConfig(**{**dict(config), **change})) is None


@pytest.mark.parametrize("family", (BERT, *SUCCESSORS), ids=lambda family: family.model_type)
def test_dropout_that_the_published_settings_cannot_say_is_kept_beside_them(family: EncoderFamily) -> None:
    config = read(family)
    own = {"embedding": 0.0, "attention": 0.25, "residual": 0.125, "feed_forward": 0.5}
    other = config.model_copy(update={"dropout": Dropout(**own)})
    assert "dropout_by_place" not in family.from_config(config)
    written = family.from_config(other)
    assert written["model_type"] == family.model_type and written["dropout_by_place"]["residual"] == 0.125
    assert family.to_config(written, (), None, "config.json") == other
    with pytest.raises(ConfigError, match="dropout_by_place: must name probabilities"):
        read(family, dropout_by_place=0.1)
    with pytest.raises(ConfigError, match=r"dropout_by_place.*embeding.*did you mean 'embedding'"):
        read(family, dropout_by_place={"embeding": 0.1})


def test_every_stack_is_written_by_its_own_family() -> None:
    """XLM-R alone is RoBERTa by another name, which only a folder can tell."""
    for family in SUCCESSORS:
        config = read(family, embedding_size=6) if family in (ALBERT, ELECTRA) else read(family)
        first = next(each for each in FAMILIES if each.from_config(config) is not None)
        assert first is (ROBERTA if family is XLM_ROBERTA else family)
