"""XLNet (Yang et al. 2019) as Hugging Face stores it: post-norm blocks, relative positions, two streams."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from groundup.config import parse, to_json
from groundup.errors import ConfigError
from groundup.families.family import canonical
from groundup.families.keymap import Copy, KeyMap, Rename, Rule
from groundup.families.values import (
    ACTIVATIONS,
    OUTPUT_INITS,
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
    ModelConfig,
    MultipleChoiceHead,
    PermutedLMHead,
    PlainFeedForward,
    RelativePositions,
    SpanHead,
    TokenHead,
)

_PREFIX: Final = "transformer."
_ARCHITECTURES: Final[dict[str, str | None]] = {
    "XLNetModel": None,
    "XLNetLMHeadModel": "permuted_lm",
    "XLNetForSequenceClassification": "classification",
    "XLNetForMultipleChoice": "multiple_choice",
    "XLNetForTokenClassification": "token",
    "XLNetForQuestionAnsweringSimple": "span",
}
_MARKERS: Final = {
    "permuted_lm": "lm_loss.bias",
    "token": "classifier.weight",
    "span": "qa_outputs.weight",
}
"""A tensor that tells of a head. `logits_proj.weight` tells of two, so there the architecture has to say which."""
_POOLED: Final = ("classification", "multiple_choice")
_ALIASES: Final = {
    "d_model": "hidden_size",
    "n_layer": "num_hidden_layers",
    "n_head": "num_attention_heads",
    "vocab_size": "n_token",
}
"""Hugging Face reads these keys under either name."""
_OURS: Final = ("classifier_dropout", "dropout_by_place", "max_sequence_length", "output_init")
"""Keys that transformers does not read: what only training needs, and a bound that XLNet does not have."""
_MAX_LENGTH: Final = 4096
_SETTINGS: Final = frozenset(
    {
        *_ALIASES,
        *_ALIASES.values(),
        *_OURS,
        "architectures",
        "attn_type",
        "bi_data",
        "clamp_len",
        "d_head",
        "d_inner",
        "dropout",
        "ff_activation",
        "id2label",
        "initializer_range",
        "is_encoder_decoder",
        "label2id",
        "layer_norm_eps",
        "model_type",
        "num_labels",
        "pad_token_id",
        "problem_type",
        "pruned_heads",
        "quantization_config",
        "summary_activation",
        "summary_first_dropout",
        "summary_last_dropout",
        "summary_proj_to_labels",
        "summary_type",
        "summary_use_proj",
        "tie_word_embeddings",
        "untie_r",
    }
)


class XLNet:
    """The family `xlnet`."""

    model_type = "xlnet"

    def to_config(
        self, config: Mapping[str, Any], names: Collection[str], heads: Sequence[Head] | None, where: str
    ) -> ModelConfig:
        """The design of a folder. Absent keys mean what they mean to Hugging Face's XLNetConfig.

        How much is remembered of earlier segments (`mem_len`, `reuse_len`) is for whoever reads them to say.
        """
        values = Values(config, where)
        values.check_spelling(_SETTINGS)
        _refuse_other_arithmetic(values)
        hidden_size, num_heads = _size(values, "d_model", 1024), _size(values, "n_head", 16)
        if hidden_size % num_heads:
            raise values.error("n_head", f"{num_heads} heads do not divide d_model {hidden_size}")
        values.require("d_head", (hidden_size // num_heads,), f"is not d_model / n_head, {hidden_size // num_heads}")
        vocab_size = _size(values, "vocab_size", 32000)
        return ModelConfig(
            vocab_size=vocab_size,
            hidden_size=hidden_size,
            num_layers=_size(values, "n_layer", 24),
            num_heads=num_heads,
            intermediate_size=values.count("d_inner", 4096),
            max_length=values.count("max_sequence_length", _MAX_LENGTH),
            num_token_types=0,
            position=RelativePositions(clamp=_read_clamp(values)),
            query_stream=True,
            norm=LayerNormConfig(eps=values.number("layer_norm_eps", 1e-12, above=0.0)),
            norm_places=("residual",),
            feed_forward=PlainFeedForward(activation=values.choice("ff_activation", "gelu", ACTIVATIONS)),
            attention_bias=False,
            dropout=_read_dropout(values),
            tie_embeddings=values.flag("tie_word_embeddings", True),
            initializer_range=values.number("initializer_range", 0.02, above=0.0),
            output_init=values.choice("output_init", "normal", OUTPUT_INITS),
            padding_id=_read_padding(values, vocab_size),
            pooled=values.choice("summary_type", "last", {"last": "last", "first": "first"}),
            heads=_read_heads(values, names) if heads is None else tuple(heads),
        )

    def from_config(self, config: ModelConfig) -> dict[str, Any] | None:
        """The config.json of a design; None unless reading it again gives the same design."""
        kinds = {kind: name for name, kind in _ARCHITECTURES.items()}
        kind = config.heads[0].kind if config.heads else None
        if len(config.heads) > 1 or kind not in kinds or config.position.kind != "relative":
            return None
        dropout = config.dropout.residual
        written = {
            "model_type": self.model_type,
            "architectures": [kinds[kind]],
            "vocab_size": config.vocab_size,
            "d_model": config.hidden_size,
            "n_layer": config.num_layers,
            "n_head": config.num_heads,
            "d_head": config.resolved_head_dim,
            "d_inner": config.intermediate_size,
            "ff_activation": name_activation(config.feed_forward.activation),
            "attn_type": "bi",
            "bi_data": False,
            "clamp_len": -1 if config.position.clamp is None else config.position.clamp,
            "dropout": dropout,
            "initializer_range": config.initializer_range,
            "layer_norm_eps": config.norm.eps,
            "pad_token_id": config.padding_id,
            "summary_type": config.pooled,
            "summary_use_proj": True,
            "summary_activation": "tanh",
            "tie_word_embeddings": config.tie_embeddings,
        }
        if config.max_length != _MAX_LENGTH:
            written["max_sequence_length"] = config.max_length
        if config.output_init != "normal":
            written["output_init"] = config.output_init
        by_place = {name: value for name, value in to_json(config.dropout).items() if value is not None}
        if any(value != dropout for value in by_place.values()):
            written["dropout_by_place"] = by_place
        for head in config.heads:
            if isinstance(head, ClassificationHead | MultipleChoiceHead):
                written["summary_last_dropout"] = head.dropout
            if isinstance(head, TokenHead):
                written["classifier_dropout"] = head.dropout
            if isinstance(head, ClassificationHead | TokenHead):
                written |= write_labels(default_labels(head.num_labels))
        try:
            again = self.to_config(written, (), None, "design")
        except ConfigError:
            return None
        return written if canonical(again) == canonical(config) else None

    def read_map(self, config: Mapping[str, Any], names: Collection[str]) -> KeyMap:
        """The rules for a folder, whether its names carry `transformer.` or not."""
        prefix = _PREFIX if any(name.startswith(_PREFIX) for name in names) else ""
        values = Values(config, "config.json")
        hidden_size, num_heads = _size(values, "d_model", 1024), _size(values, "n_head", 16)
        chooser = next((kind for kind in _POOLED if kind in _declared_heads(config)), None)
        return KeyMap(_build_rules(prefix, hidden_size, num_heads, chooser, config.get("tie_word_embeddings", True)))

    def write_map(self, config: ModelConfig) -> KeyMap:
        """The rules of a design: a stack alone has no prefix, as Hugging Face writes it."""
        prefix = _PREFIX if config.heads else ""
        chooser = next((head.kind for head in config.heads if head.kind in _POOLED), None)
        return KeyMap(_build_rules(prefix, config.hidden_size, config.num_heads, chooser, config.tie_embeddings))

    def is_backbone(self, name: str) -> bool:
        """Whether a tensor belongs to the stack itself."""
        return name.removeprefix(_PREFIX).startswith(("word_embedding.", "mask_emb", "layer."))

    def settings(self) -> frozenset[str]:
        """The keys of config.json that decide about arithmetic or heads."""
        return _SETTINGS


XLNET: Final = XLNet()


def _size(values: Values, key: str, default: int) -> int:
    """A whole number under its own name or its alias."""
    alias = _ALIASES[key]
    if alias not in values.config:
        return values.count(key, default)
    found = values.count(alias, default)
    if key in values.config and found != values.count(key, default):
        raise values.error(alias, f"contradicts {key}, which is {values.config[key]}", "remove one of the two")
    return found


def _refuse_other_arithmetic(values: Values) -> None:
    values.names("architectures")
    values.require("attn_type", ("bi",), "is not supported; only 'bi' is")
    values.require("bi_data", (False,), "a batch of which one half is read backwards is not supported")
    values.require("untie_r", (True,), "biases that all blocks share are not supported")
    values.require("is_encoder_decoder", (False,), "an encoder-decoder is not supported")
    values.require("pruned_heads", ({}, []), "single heads of attention cannot be missing")
    values.require("quantization_config", (), "quantised weights are not supported")
    values.require("summary_use_proj", (True,), "classification without a layer on the pooled token is not supported")
    values.require("summary_activation", ("tanh",), "is not supported; only 'tanh' is")
    values.require("summary_proj_to_labels", (False,), "a layer as wide as the labels is not supported")
    values.require("summary_first_dropout", (0, 0.0), "dropout before the layer on the pooled token is not supported")
    if "summary_activation" in values.config and values.config["summary_activation"] is None:
        raise values.error("summary_activation", "is not supported; only 'tanh' is")


def _read_clamp(values: Values) -> int | None:
    """A bound that is not above zero is none."""
    found = values.count("clamp_len", -1, least=-1)
    return found if found > 0 else None


def _read_dropout(values: Values) -> Dropout:
    """One probability for all places, unless a folder of ours says more."""
    everywhere = values.number("dropout", 0.1)
    by_place = dict.fromkeys(Dropout.model_fields, everywhere) | {"attention_output": None}
    if (found := values.config.get("dropout_by_place")) is not None:
        if not isinstance(found, Mapping):
            raise values.error("dropout_by_place", "must name probabilities by place")
        by_place |= found
    return parse(Dropout, by_place, where=f"{values.where}: dropout_by_place")


def _read_padding(values: Values, vocab_size: int) -> int | None:
    """The row that never trains: no batch of ours holds padding."""
    if values.config.get("pad_token_id", 5) is None:
        return None
    padding_id = values.count("pad_token_id", 5, least=0)
    if padding_id >= vocab_size:
        raise values.error("pad_token_id", f"must be below vocab_size {vocab_size}")
    return padding_id


def _declared_heads(config: Mapping[str, Any]) -> set[str]:
    """The heads that `architectures` names, as far as it is known."""
    return {kind for name in config.get("architectures") or () if (kind := _ARCHITECTURES.get(name)) is not None}


def _read_heads(values: Values, names: Collection[str]) -> tuple[Head, ...]:
    """The head of a folder: that of its architecture, or that of which it holds tensors."""
    for name in values.names("architectures"):
        if name not in _ARCHITECTURES:
            known = ", ".join(_ARCHITECTURES)
            raise values.error("architectures", f"{name!r} is not supported", f"known are {known}; or give other heads")
    kinds = _declared_heads(values.config) | {kind for kind, name in _MARKERS.items() if name in names}
    if "logits_proj.weight" in names and not kinds.intersection(_POOLED):
        cure = "name XLNetForSequenceClassification or XLNetForMultipleChoice, or give other heads"
        raise values.error("architectures", "does not say what `logits_proj.weight` is for", cure)
    return tuple(_build_head(kind, values) for kind in (*_MARKERS, *_POOLED) if kind in kinds)


def _build_head(kind: str, values: Values) -> Head:
    match kind:
        case "permuted_lm":
            return PermutedLMHead()
        case "classification":
            check_problem(values)
            num_labels = len(read_labels(values.config, values.where))
            return ClassificationHead(num_labels=num_labels, dropout=values.number("summary_last_dropout", 0.1))
        case "multiple_choice":
            return MultipleChoiceHead(dropout=values.number("summary_last_dropout", 0.1))
        case "token":
            num_labels = len(read_labels(values.config, values.where))
            return TokenHead(num_labels=num_labels, dropout=values.number("classifier_dropout", 0.0))
        case _:
            return SpanHead()


def _build_rules(prefix: str, hidden_size: int, num_heads: int, chooser: str | None, is_tied: bool) -> tuple[Rule, ...]:
    """The rules of one folder; `chooser` is the kind of head that the tensors named `logits_proj` are."""
    theirs, ours = f"{prefix}layer.{{i}}.", "blocks.{i}."
    by_head = (num_heads, hidden_size // num_heads)
    attention = f"{theirs}rel_attn.", f"{ours}attention."
    biases = {"r_w_bias": "content_bias", "r_r_bias": "distance_bias", "r_s_bias": "segment_bias"}
    return (
        Rename(f"{prefix}word_embedding.weight", "embedding.token.weight"),
        Rename(f"{prefix}mask_emb", "embedding.query", folded=(1, hidden_size)),
        *(
            Rename(f"{attention[0]}{name}", f"{attention[1]}{name}.weight", is_transposed=True, folded=by_head)
            for name in ("q", "k", "v", "r")
        ),
        Rename(f"{attention[0]}o", f"{attention[1]}o.weight", folded=by_head),
        *(Rename(f"{attention[0]}{name}", f"{attention[1]}{bias}") for name, bias in biases.items()),
        Rename(f"{attention[0]}seg_embed", f"{attention[1]}segment"),
        *_both(f"{attention[0]}layer_norm", f"{ours}attention_norms.residual"),
        *_both(f"{theirs}ff.layer_1", f"{ours}feed_forward.up"),
        *_both(f"{theirs}ff.layer_2", f"{ours}feed_forward.down"),
        *_both(f"{theirs}ff.layer_norm", f"{ours}feed_forward_norms.residual"),
        *_both("sequence_summary.summary", "pooler"),
        *(_both("logits_proj", f"heads.{chooser}.linear") if chooser else ()),
        *_both("classifier", "heads.token.linear"),
        *_both("qa_outputs", "heads.span.linear"),
        Rename("lm_loss.bias", "heads.permuted_lm.bias"),
        Copy("lm_loss.weight", "embedding.token.weight")
        if is_tied
        else Rename("lm_loss.weight", "heads.permuted_lm.decoder.weight"),
    )


def _both(theirs: str, ours: str) -> tuple[Rule, ...]:
    return tuple(Rename(f"{theirs}.{part}", f"{ours}.{part}") for part in ("weight", "bias"))
