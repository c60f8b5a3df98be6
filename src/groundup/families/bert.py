"""BERT (Devlin et al. 2019) as Hugging Face stores it: post-norm blocks, learned positions, two token types."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from groundup.errors import ConfigError
from groundup.families.bert_names import build_rules, find_prefix
from groundup.families.family import canonical
from groundup.families.keymap import KeyMap
from groundup.families.values import ACTIVATIONS, Values, default_labels, name_activation, read_labels, write_labels
from groundup.model.config import (
    Activation,
    ClassificationHead,
    Dropout,
    Head,
    LayerNormConfig,
    LearnedPositions,
    MaskedLMHead,
    ModelConfig,
    NextSentenceHead,
    PlainFeedForward,
    SpanHead,
    TokenHead,
)

_ARCHITECTURES: Final[dict[str, tuple[str, ...]]] = {
    "BertModel": (),
    "BertForPreTraining": ("masked_lm", "next_sentence"),
    "BertForMaskedLM": ("masked_lm",),
    "BertForNextSentencePrediction": ("next_sentence",),
    "BertForSequenceClassification": ("classification",),
    "BertForTokenClassification": ("token",),
    "BertForQuestionAnswering": ("span",),
}
_HEADS: Final = ("masked_lm", "next_sentence", "classification", "token", "span")
_MARKERS: Final = {
    "masked_lm": "cls.predictions.transform.dense.weight",
    "next_sentence": "cls.seq_relationship.weight",
    "span": "qa_outputs.weight",
}
"""A tensor that tells of a head. `classifier.weight` tells of two, so there the architecture has to say which."""
_SETTINGS: Final = frozenset(
    {
        "add_cross_attention",
        "architectures",
        "attention_probs_dropout_prob",
        "classifier_dropout",
        "hidden_act",
        "hidden_dropout_prob",
        "hidden_size",
        "id2label",
        "initializer_range",
        "intermediate_size",
        "is_decoder",
        "is_encoder_decoder",
        "label2id",
        "layer_norm_eps",
        "max_position_embeddings",
        "model_type",
        "num_attention_heads",
        "num_hidden_layers",
        "num_labels",
        "pad_token_id",
        "pooler_type",
        "position_embedding_type",
        "problem_type",
        "pruned_heads",
        "quantization_config",
        "tie_word_embeddings",
        "type_vocab_size",
        "vocab_size",
    }
)


class Bert:
    """The family `bert`."""

    model_type = "bert"

    def to_config(
        self, config: Mapping[str, Any], names: Collection[str], heads: Sequence[Head] | None, where: str
    ) -> ModelConfig:
        """The design of a folder. Absent keys mean what they mean to Hugging Face's BertConfig."""
        values = Values(config, where)
        values.check_spelling(_SETTINGS)
        _refuse_other_arithmetic(values)
        vocab_size, hidden_size = values.count("vocab_size", 30522), values.count("hidden_size", 768)
        num_heads = values.count("num_attention_heads", 12)
        if hidden_size % num_heads:
            raise values.error("num_attention_heads", f"must divide hidden_size {hidden_size}")
        padding_id = None if config.get("pad_token_id", 0) is None else values.count("pad_token_id", 0, least=0)
        if padding_id is not None and padding_id >= vocab_size:
            raise values.error("pad_token_id", f"must be below vocab_size {vocab_size}")
        activation = values.choice("hidden_act", "gelu", ACTIVATIONS)
        dropout = values.number("hidden_dropout_prob", 0.1)
        found = _read_heads(values, names, activation, dropout) if heads is None else _adapt_heads(heads, activation)
        return ModelConfig(
            vocab_size=vocab_size,
            hidden_size=hidden_size,
            num_layers=values.count("num_hidden_layers", 12),
            num_heads=num_heads,
            intermediate_size=values.count("intermediate_size", 3072),
            max_length=values.count("max_position_embeddings", 512),
            num_token_types=values.count("type_vocab_size", 2),
            position=LearnedPositions(),
            norm=LayerNormConfig(eps=values.number("layer_norm_eps", 1e-12, above=0.0)),
            norm_places=("embedding", "residual"),
            feed_forward=PlainFeedForward(activation=activation),
            dropout=Dropout(
                embedding=dropout, attention=values.number("attention_probs_dropout_prob", 0.1), residual=dropout
            ),
            tie_embeddings=values.flag("tie_word_embeddings", True),
            initializer_range=values.number("initializer_range", 0.02, above=0.0),
            padding_id=padding_id,
            pooler=heads is None and find_prefix(names) + "pooler.dense.weight" in names and not _needs_pooler(found),
            heads=found,
        )

    def from_config(self, config: ModelConfig) -> dict[str, Any] | None:
        """The config.json of a design; None unless reading it again gives the same design."""
        if any(head.kind not in _HEADS for head in config.heads):
            return None
        labelled = next((head for head in config.heads if isinstance(head, ClassificationHead | TokenHead)), None)
        hidden_dropout = config.dropout.residual
        own_dropout = None if labelled is None or labelled.dropout == hidden_dropout else labelled.dropout
        written = {
            "model_type": self.model_type,
            "architectures": [_architecture({head.kind for head in config.heads})],
            "vocab_size": config.vocab_size,
            "hidden_size": config.hidden_size,
            "num_hidden_layers": config.num_layers,
            "num_attention_heads": config.num_heads,
            "intermediate_size": config.intermediate_size,
            "hidden_act": name_activation(config.feed_forward.activation),
            "hidden_dropout_prob": hidden_dropout,
            "attention_probs_dropout_prob": config.dropout.attention,
            "classifier_dropout": own_dropout,
            "max_position_embeddings": config.max_length,
            "type_vocab_size": config.num_token_types,
            "initializer_range": config.initializer_range,
            "layer_norm_eps": config.norm.eps,
            "pad_token_id": config.padding_id,
            "position_embedding_type": "absolute",
            "tie_word_embeddings": config.tie_embeddings,
        }
        if labelled is not None:
            written |= write_labels(default_labels(labelled.num_labels))
        try:
            again = self.to_config(written, self.write_map(config).expand(_telling_names(config)), None, "design")
        except ConfigError:
            return None
        return written if canonical(again) == canonical(config) else None

    def read_map(self, config: Mapping[str, Any], names: Collection[str]) -> KeyMap:
        """The rules for a folder, whether its names carry `bert.` or not."""
        declared = _declared_heads(config)
        classifier = next((kind for kind in ("classification", "token") if kind in declared), None)
        is_tied = config.get("tie_word_embeddings", True)
        return KeyMap(build_rules(find_prefix(names), classifier, is_tied, "cls.predictions.decoder.bias" in names))

    def write_map(self, config: ModelConfig) -> KeyMap:
        """The rules of a design: a stack alone has no prefix, as Hugging Face writes it."""
        kinds = [head.kind for head in config.heads]
        classifier = next((kind for kind in ("classification", "token") if kind in kinds), None)
        return KeyMap(build_rules("bert." if kinds else "", classifier, config.tie_embeddings, has_decoder_bias=True))

    def is_backbone(self, name: str) -> bool:
        """Whether a tensor belongs to the stack itself."""
        return name.removeprefix("bert.").startswith(("embeddings.", "encoder.", "pooler."))

    def settings(self) -> frozenset[str]:
        """The keys of config.json that decide about arithmetic or heads."""
        return _SETTINGS


BERT: Final = Bert()


def _refuse_other_arithmetic(values: Values) -> None:
    values.names("architectures")
    values.require("position_embedding_type", ("absolute",), "is not supported; only 'absolute' is")
    values.require("is_decoder", (False,), "a BERT decoder is not supported")
    values.require("add_cross_attention", (False,), "cross-attention is not supported")
    values.require("is_encoder_decoder", (False,), "an encoder-decoder is not supported")
    values.require("pruned_heads", ({}, []), "single heads of attention cannot be missing")
    values.require("pooler_type", ("first_token_transform",), "is not supported; only 'first_token_transform' is")
    values.require("quantization_config", (), "quantised weights are not supported")


def _declared_heads(config: Mapping[str, Any]) -> set[str]:
    """The heads that `architectures` names, as far as it is known."""
    return {kind for name in config.get("architectures") or () for kind in _ARCHITECTURES.get(name, ())}


def _read_heads(values: Values, names: Collection[str], activation: Activation, dropout: float) -> tuple[Head, ...]:
    """The heads of a folder: those that its architecture names, and those of which it holds tensors."""
    for name in values.names("architectures"):
        if name not in _ARCHITECTURES:
            known = ", ".join(_ARCHITECTURES)
            raise values.error("architectures", f"{name!r} is not supported", f"known are {known}; or give other heads")
    kinds = _declared_heads(values.config) | {kind for kind, name in _MARKERS.items() if name in names}
    if "classifier.weight" in names and not kinds & {"classification", "token"}:
        cure = "name BertForSequenceClassification or BertForTokenClassification, or give other heads"
        raise values.error("architectures", "does not say what `classifier.weight` classifies", cure)
    own_dropout = dropout
    if values.config.get("classifier_dropout") is not None:
        own_dropout = values.number("classifier_dropout", dropout)
    if "classification" in kinds:
        _refuse_other_tasks(values)
    heads: list[Head] = []
    for kind in _HEADS:
        if kind in kinds:
            heads.append(_build_head(kind, values, activation, own_dropout))
    return tuple(heads)


def _refuse_other_tasks(values: Values) -> None:
    why = "only single-label classification is supported"
    values.require("problem_type", ("single_label_classification",), why)
    if len(read_labels(values.config, values.where)) == 1 and values.config.get("problem_type") is None:
        raise values.error("id2label", f"one label means regression; {why}", "give other heads")


def _build_head(kind: str, values: Values, activation: Activation, dropout: float) -> Head:
    match kind:
        case "masked_lm":
            return MaskedLMHead(activation=activation)
        case "next_sentence":
            return NextSentenceHead()
        case "classification":
            return ClassificationHead(num_labels=len(read_labels(values.config, values.where)), dropout=dropout)
        case "token":
            return TokenHead(num_labels=len(read_labels(values.config, values.where)), dropout=dropout)
        case _:
            return SpanHead()


def _adapt_heads(heads: Sequence[Head], activation: Activation) -> tuple[Head, ...]:
    """A masked-LM head takes the activation that the folder's weights were trained with, unless it names one."""
    return tuple(
        head.model_copy(update={"activation": activation})
        if isinstance(head, MaskedLMHead) and "activation" not in head.model_fields_set
        else head
        for head in heads
    )


def _needs_pooler(heads: Sequence[Head]) -> bool:
    return any(head.kind in ("classification", "next_sentence") for head in heads)


def _architecture(kinds: set[str]) -> str:
    """What transformers should open: a fine-tuned head before those of pretraining."""
    for name in ("BertForSequenceClassification", "BertForTokenClassification", "BertForQuestionAnswering"):
        if kinds & set(_ARCHITECTURES[name]):
            return name
    return next(name for name, needed in _ARCHITECTURES.items() if set(needed) == kinds)


def _telling_names(config: ModelConfig) -> list[str]:
    """Our names of the tensors by whose presence a folder tells what the design has."""
    names = ["pooler.weight"] if config.has_pooler else []
    return names + [
        f"heads.{head.kind}.{'dense' if head.kind == 'masked_lm' else 'linear'}.weight" for head in config.heads
    ]
