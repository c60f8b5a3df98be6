"""BERT and the encoders that followed it, as Hugging Face stores them: post-norm blocks under learned positions.

What they share is read and written here; where one differs, its own file says so in values.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, final

from groundup.config import parse, to_json
from groundup.errors import ConfigError
from groundup.families.encoder_names import find_prefix
from groundup.families.family import canonical
from groundup.families.keymap import KeyMap, Rule
from groundup.families.values import (
    ACTIVATIONS,
    Values,
    check_problem,
    default_labels,
    name_activation,
    read_labels,
    write_labels,
)
from groundup.model.config import (
    ClassificationHead,
    Dropout,
    Head,
    LayerNormConfig,
    LearnedPositions,
    MaskedLMHead,
    ModelConfig,
    MultipleChoiceHead,
    NextSentenceHead,
    PlainFeedForward,
    ReplacedHead,
    SentenceOrderHead,
    SpanHead,
    TokenHead,
)

_HEADS: Final[dict[str, type[Head]]] = {
    "masked_lm": MaskedLMHead,
    "next_sentence": NextSentenceHead,
    "sentence_order": SentenceOrderHead,
    "replaced": ReplacedHead,
    "classification": ClassificationHead,
    "multiple_choice": MultipleChoiceHead,
    "token": TokenHead,
    "span": SpanHead,
}
_PRETRAINING: Final = ("masked_lm", "next_sentence", "sentence_order", "replaced")
_DEFAULTS: Final[dict[str, Any]] = {
    "vocab_size": 30522,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
    "initializer_range": 0.02,
    "layer_norm_eps": 1e-12,
    "pad_token_id": 0,
    "tie_word_embeddings": True,
}
"""What absent keys mean to BERT."""
_OWN_DROPOUT: Final = "dropout_by_place"
"""A key that transformers does not read: dropout where the published settings cannot say it."""
_SETTINGS: Final = frozenset(
    {
        *_DEFAULTS,
        _OWN_DROPOUT,
        "add_cross_attention",
        "architectures",
        "id2label",
        "is_decoder",
        "is_encoder_decoder",
        "label2id",
        "model_type",
        "num_labels",
        "pooler_type",
        "position_embedding_type",
        "problem_type",
        "pruned_heads",
        "quantization_config",
    }
)


@dataclass(frozen=True)
class Naming:
    """What decides about the tensor names of one folder."""

    prefix: str
    """What stands before the names of the stack."""
    classifier: str | None
    """The kind of head that the tensors named `classifier` are, where several are called so."""
    has_decoder_bias: bool
    """Whether an untied decoder has its bias under its own name."""


@final
@dataclass(frozen=True, kw_only=True)
class EncoderFamily:
    """One of the families, by what it does not share with all."""

    model_type: str
    prefix: str
    """Before the names of the stack, where there is a head."""
    architectures: Mapping[str, tuple[str, ...]]
    """Hugging Face's classes and the kinds of their heads; one whose head stays after fine-tuning comes first."""
    markers: Mapping[str, str]
    """A tensor that tells of a kind of head."""
    classifiers: tuple[str, ...]
    """Kinds whose tensors are all called `classifier`, so that the architecture has to say which."""
    pooler: str | None
    """The matrix of the pooler; None where the family has none."""
    build_rules: Callable[[ModelConfig, Naming], Sequence[Rule]]
    """The tensor names of a design."""
    read_head: Callable[[str, Values], dict[str, Any]]
    """The slots of a head of some kind, the number of its labels aside; none for a kind that it does not have."""
    read_slots: Callable[[Values], dict[str, Any]] = lambda values: {}
    """Slots of the design that another setting decides than in BERT."""
    write_slots: Callable[[ModelConfig], dict[str, Any]] = lambda config: {}
    """The settings for what `read_slots` and `read_head` read."""
    backbone: tuple[str, ...] = ("embeddings.", "encoder.", "pooler.")
    """How the names of the stack itself begin."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """What absent keys mean, where it is not what they mean to BERT."""
    own_settings: frozenset[str] = frozenset()
    absent: frozenset[str] = frozenset()
    """Settings of BERT that are none here, whatever a config.json says of them: `read_slots` decides instead."""

    def to_config(
        self, config: Mapping[str, Any], names: Collection[str], heads: Sequence[Head] | None, where: str
    ) -> ModelConfig:
        """The design of a folder. Absent keys mean what they mean to Hugging Face's config class of the family."""
        own = {key: value for key, value in config.items() if key not in self.absent}
        values = Values({**_DEFAULTS, **self.defaults, **own}, where)
        Values(config, where).check_spelling(self.settings())
        _refuse_other_arithmetic(values)
        vocab_size, hidden_size = _count(values, "vocab_size"), _count(values, "hidden_size")
        num_heads = _count(values, "num_attention_heads")
        if hidden_size % num_heads:
            raise values.error("num_attention_heads", f"must divide hidden_size {hidden_size}")
        padding_id = None if values.config["pad_token_id"] is None else values.count("pad_token_id", 0, least=0)
        if padding_id is not None and padding_id >= vocab_size:
            raise values.error("pad_token_id", f"must be below vocab_size {vocab_size}")
        dropout, attention = (values.number(f"{name}_dropout_prob", 0.1) for name in ("hidden", "attention_probs"))
        slots = {
            "vocab_size": vocab_size,
            "hidden_size": hidden_size,
            "num_layers": _count(values, "num_hidden_layers"),
            "num_heads": num_heads,
            "intermediate_size": _count(values, "intermediate_size"),
            "max_length": _count(values, "max_position_embeddings"),
            "num_token_types": _count(values, "type_vocab_size"),
            "position": LearnedPositions(),
            "norm": LayerNormConfig(eps=values.number("layer_norm_eps", 1e-12, above=0.0)),
            "norm_places": ("embedding", "residual"),
            "feed_forward": PlainFeedForward(activation=values.choice("hidden_act", "gelu", ACTIVATIONS)),
            "dropout": Dropout(embedding=dropout, attention=attention, residual=dropout),
            "tie_embeddings": values.flag("tie_word_embeddings", True),
            "initializer_range": values.number("initializer_range", 0.02, above=0.0),
            "padding_id": padding_id,
        }
        found = self._read_heads(values, names) if heads is None else self._adapt_heads(values, heads)
        slots |= self.read_slots(values)
        design = ModelConfig(**{**slots, "dropout": _read_dropout(values, slots["dropout"])}, heads=found)
        has_pooler = self.pooler is not None and find_prefix(names, self.prefix) + self.pooler in names
        return design.model_copy(update={"pooler": heads is None and has_pooler and not design.has_pooler})

    def from_config(self, config: ModelConfig) -> dict[str, Any] | None:
        """The config.json of a design; None unless reading it again gives the same design."""
        kinds = {head.kind for head in config.heads}
        architecture = self._choose_architecture(kinds)
        if architecture is None:
            return None
        written = {
            "model_type": self.model_type,
            "architectures": [architecture],
            "vocab_size": config.vocab_size,
            "hidden_size": config.hidden_size,
            "num_hidden_layers": config.num_layers,
            "num_attention_heads": config.num_heads,
            "intermediate_size": config.intermediate_size,
            "hidden_act": name_activation(config.feed_forward.activation),
            "hidden_dropout_prob": config.dropout.embedding,
            "attention_probs_dropout_prob": config.dropout.attention,
            "max_position_embeddings": config.max_length,
            "type_vocab_size": config.num_token_types,
            "initializer_range": config.initializer_range,
            "layer_norm_eps": config.norm.eps,
            "pad_token_id": config.padding_id,
            "position_embedding_type": "absolute",
            "tie_word_embeddings": config.tie_embeddings,
        }
        written = {key: value for key, value in written.items() if key not in self.absent} | self.write_slots(config)
        labelled = next((head for head in config.heads if isinstance(head, ClassificationHead | TokenHead)), None)
        if labelled is not None:
            written |= write_labels(default_labels(labelled.num_labels))
        names = self.write_map(config).expand(_telling_names(config))
        try:
            again = self.to_config(written, names, None, "design")
            if canonical(again).dropout != canonical(config).dropout:
                written[_OWN_DROPOUT] = to_json(config.dropout)
                again = self.to_config(written, names, None, "design")
        except ConfigError:
            return None
        return written if canonical(again) == canonical(config) else None

    def read_map(self, config: Mapping[str, Any], names: Collection[str]) -> KeyMap:
        """The rules for a folder, whether its names carry the prefix or not."""
        declared = self._declared_heads(config)
        classifier = next((kind for kind in self.classifiers if kind in declared), None)
        naming = Naming(find_prefix(names, self.prefix), classifier, any("decoder.bias" in name for name in names))
        return KeyMap(tuple(self.build_rules(self.to_config(config, names, (), "config.json"), naming)))

    def write_map(self, config: ModelConfig) -> KeyMap:
        """The rules of a design: a stack alone has no prefix, as Hugging Face writes it."""
        kinds = [head.kind for head in config.heads]
        classifier = next((kind for kind in self.classifiers if kind in kinds), None)
        return KeyMap(tuple(self.build_rules(config, Naming(self.prefix if kinds else "", classifier, True))))

    def is_backbone(self, name: str) -> bool:
        """Whether a tensor belongs to the stack itself."""
        return name.removeprefix(self.prefix).startswith(self.backbone)

    def settings(self) -> frozenset[str]:
        """The keys of config.json that decide about arithmetic or heads."""
        return (_SETTINGS - self.absent) | self.own_settings

    def _choose_architecture(self, kinds: Collection[str]) -> str | None:
        """What transformers should open: a fine-tuned head before those of pretraining."""
        if not set(kinds) <= {kind for needed in self.architectures.values() for kind in needed}:
            return None
        tuned = set(kinds).difference(_PRETRAINING)
        for name, needed in self.architectures.items():
            if tuned & set(needed) or (not tuned and set(needed) == set(kinds)):
                return name
        return None

    def _declared_heads(self, config: Mapping[str, Any]) -> set[str]:
        """The heads that `architectures` names, as far as it is known."""
        return {kind for name in config.get("architectures") or () for kind in self.architectures.get(name, ())}

    def _read_heads(self, values: Values, names: Collection[str]) -> tuple[Head, ...]:
        """The heads of a folder: those that its architecture names, and those of which it holds tensors."""
        for name in values.names("architectures"):
            if name not in self.architectures:
                cure = f"known are {', '.join(self.architectures)}; or give other heads"
                raise values.error("architectures", f"{name!r} is not supported", cure)
        kinds = self._declared_heads(values.config) | {kind for kind, name in self.markers.items() if name in names}
        if "classifier.weight" in names and not kinds & set(self.classifiers):
            known = [name for name, needed in self.architectures.items() if set(needed) & set(self.classifiers)]
            cure = f"name {' or '.join(known)}, or give other heads"
            raise values.error("architectures", "does not say what `classifier.weight` classifies", cure)
        if "classification" in kinds:
            check_problem(values)
        return tuple(self._build_head(kind, values) for kind in _HEADS if kind in kinds)

    def _build_head(self, kind: str, values: Values) -> Head:
        slots = self.read_head(kind, values)
        if kind in ("classification", "token"):
            slots["num_labels"] = len(read_labels(values.config, values.where))
        return _HEADS[kind](**slots)

    def _adapt_heads(self, values: Values, heads: Sequence[Head]) -> tuple[Head, ...]:
        """A given head takes the form that the family's own has, and with it its weights, unless it names another."""
        adapted = []
        for head in heads:
            own = {name: value for name, value in self.read_head(head.kind, values).items() if name != "dropout"}
            unset = {name: value for name, value in own.items() if name not in head.model_fields_set}
            adapted.append(head.model_copy(update=unset) if unset else head)
        return tuple(adapted)


def _count(values: Values, key: str) -> int:
    return values.count(key, 0)


def _read_dropout(values: Values, published: Dropout) -> Dropout:
    """What the published settings say, unless a folder of ours says more, for whoever trains on from there."""
    found = values.config.get(_OWN_DROPOUT)
    if found is not None and not isinstance(found, Mapping):
        raise values.error(_OWN_DROPOUT, "must name probabilities by place")
    return published if found is None else parse(Dropout, found, where=f"{values.where}: {_OWN_DROPOUT}")


def _refuse_other_arithmetic(values: Values) -> None:
    values.names("architectures")
    values.require("position_embedding_type", ("absolute",), "is not supported; only 'absolute' is")
    values.require("is_decoder", (False,), "a decoder of this family is not supported")
    values.require("add_cross_attention", (False,), "cross-attention is not supported")
    values.require("is_encoder_decoder", (False,), "an encoder-decoder is not supported")
    values.require("pruned_heads", ({}, []), "single heads of attention cannot be missing")
    values.require("pooler_type", ("first_token_transform",), "is not supported; only 'first_token_transform' is")
    values.require("quantization_config", (), "quantised weights are not supported")


def read_classifier_dropout(values: Values) -> float:
    """On what a classifier reads: `classifier_dropout`, or the dropout of hidden states where that is null."""
    key = "hidden_dropout_prob" if values.config.get("classifier_dropout") is None else "classifier_dropout"
    return values.number(key, 0.1)


def write_classifier_dropout(config: ModelConfig) -> dict[str, Any]:
    """`classifier_dropout`, null where it is that of hidden states."""
    found = next((head.dropout for head in config.heads if head.kind not in _PRETRAINING and head.kind != "span"), None)
    return {"classifier_dropout": None if found == config.dropout.embedding else found}


def _telling_names(config: ModelConfig) -> list[str]:
    """Our names of the tensors by whose presence a folder tells what the design has."""
    names = ["pooler.weight"] if config.has_pooler else []
    return names + [
        f"heads.{head.kind}.{'dense' if head.kind == 'masked_lm' else 'linear'}.weight" for head in config.heads
    ]
