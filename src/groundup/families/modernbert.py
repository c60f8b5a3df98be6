"""ModernBERT (Warner et al. 2024) as Hugging Face stores it: pre-norm, rotated, with a gate, most layers local."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from groundup.families.encoder import EncoderFamily, Naming
from groundup.families.encoder_names import linear_rules, norm_rules
from groundup.families.keymap import Copy, Rename, Rule, Split
from groundup.families.rotation import read_rotation, write_rotation
from groundup.families.values import ACTIVATIONS, Values, name_activation
from groundup.families.windows import read_layer_types, write_layer_types
from groundup.model.config import (
    Dropout,
    GatedFeedForward,
    HeadTransform,
    LayerNormConfig,
    ModelConfig,
    Pooling,
    RotaryPositions,
    Window,
)

_POOLINGS: Final[dict[str, Pooling]] = {"cls": "first", "mean": "mean"}
_ROTATIONS: Final = "rope_parameters"
_BASES: Final = {
    "full_attention": ("global_rope_theta", 160_000.0),
    "sliding_attention": ("local_rope_theta", 10_000.0),
}
"""Where releases before 5 have the base of each kind of layer, and what it is where it is not said."""
_EVERY: Final = "global_attn_every_n_layers"
_ABSENT: Final = (
    "attention_probs_dropout_prob",
    "hidden_act",
    "hidden_dropout_prob",
    "layer_norm_eps",
    "pooler_type",
    "position_embedding_type",
    "pruned_heads",
    "type_vocab_size",
)


def _read_slots(values: Values) -> dict[str, Any]:
    values.require("rope_scaling", (), "a scaling for all layers is not supported")
    values.require("partial_rotary_factor", (1, 1.0), "a rotation of a part of each head is not supported")
    width = values.config["hidden_size"] // values.config["num_attention_heads"]
    values.require("head_dim", (width,), f"must be hidden_size / num_attention_heads, which is {width}")
    if width % 2:
        raise values.error(
            "num_attention_heads", f"a rotation turns pairs, so the width of a head, {width}, must be even"
        )
    attention = values.number("attention_dropout", 0.0)
    local = _read_rotation(values, "sliding_attention")
    if local is not None and local.scaling is not None:
        raise values.error(_ROTATIONS, "a scaled rotation in layers with a window is not supported")
    layers = _read_local_layers(values)
    size = values.count("local_attention", 128, least=0) // 2
    values.require("sliding_window", (size,), f"contradicts local_attention, half of which is {size}")
    return {
        "num_token_types": 0,
        "position": _read_rotation(values, "full_attention"),
        "window": Window(size=size, layers=layers, base=local and local.base) if layers else None,
        "norm": LayerNormConfig(eps=values.number("norm_eps", 1e-5, above=0.0), bias=values.flag("norm_bias", False)),
        "norm_places": ("embedding", "input", "final"),
        "first_input_norm": False,
        "feed_forward": GatedFeedForward(activation=values.choice("hidden_activation", "gelu", ACTIVATIONS)),
        "attention_bias": values.flag("attention_bias", False),
        "feed_forward_bias": values.flag("mlp_bias", False),
        "dropout": Dropout(
            embedding=values.number("embedding_dropout", 0.0),
            attention=attention,
            residual=0.0,
            attention_output=attention,
            feed_forward=values.number("mlp_dropout", 0.0),
        ),
    }


def _read_local_layers(values: Values) -> tuple[int, ...]:
    """The layers that see a window alone: all but every third one, as long as nothing else is said."""
    num_layers, step = values.config["num_hidden_layers"], values.count(_EVERY, 3)
    found, usual = read_layer_types(values, num_layers), _local_layers(num_layers, step)
    if found is not None and _EVERY in values.config and found != usual:
        raise values.error(_EVERY, "contradicts layer_types", "remove one of the two")
    return usual if found is None else found


def _local_layers(num_layers: int, step: int) -> tuple[int, ...]:
    return tuple(layer for layer in range(num_layers) if layer % step)


def _read_rotation(values: Values, kind: str) -> RotaryPositions | None:
    """The rotation of one kind of layer; None for windows that turn as the others do: null in releases before 5."""
    (key, default), parameters = _BASES[kind], values.config.get(_ROTATIONS)
    parameters = {} if parameters is None else parameters
    if not isinstance(parameters, Mapping) or parameters.keys() - _BASES.keys():
        raise values.error(_ROTATIONS, f"must say how {' and '.join(_BASES)} turn, or be null")
    own = parameters.get(kind)
    if kind == "sliding_attention" and key in values.config and values.config[key] is None and not own:
        return None
    outer = {"rope_theta": values.number(key, default, above=1.0)} if key in values.config else {}
    inner = Values({**outer, _ROTATIONS: own}, f"{values.where}: {kind}")
    return read_rotation(inner, values.count("max_position_embeddings", 8192), default)


def _write_slots(config: ModelConfig) -> dict[str, Any]:
    window, layers = config.window, config.num_layers
    kinds = write_layer_types(window, layers)
    local = tuple(layer for layer, kind in enumerate(kinds) if kind == "sliding_attention")
    step = next((step for step in range(1, layers + 1) if _local_layers(layers, step) == local), None)
    written = {
        "attention_bias": config.attention_bias,
        "attention_dropout": config.dropout.attention,
        "embedding_dropout": config.dropout.embedding,
        "hidden_activation": name_activation(config.feed_forward.activation),
        "layer_types": kinds,
        "local_attention": 128 if window is None else 2 * window.size,
        "mlp_bias": config.feed_forward_bias,
        "mlp_dropout": config.dropout.feed_forward,
        "norm_bias": getattr(config.norm, "bias", False),
        "norm_eps": config.norm.eps,
        # Releases before 5 know this one alone, and no other choice of layers.
        **({} if step is None else {_EVERY: step}),
        **_write_rotations(config),
    }
    for head in config.heads:
        if head.kind == "masked_lm":
            own = {"classifier_bias": head.dense_bias, "decoder_bias": head.bias}
            written |= own | {"classifier_activation": name_activation(head.activation)}
        elif (transform := getattr(head, "transform", None)) is not None:
            own = {"classifier_bias": transform.bias, "classifier_dropout": getattr(head, "dropout", 0.0)}
            written |= own | {"classifier_activation": name_activation(transform.activation)}
            if getattr(head, "pooling", "first") == "mean":
                written["classifier_pooling"] = "mean"
    return written


def _write_rotations(config: ModelConfig) -> dict[str, Any]:
    """In the places of releases before 5 and from there on."""
    if not isinstance(config.position, RotaryPositions):
        return {}
    base, window = config.position.base, config.window
    local = _BASES["sliding_attention"][1] if window is None else window.base or base
    rotations = {"full_attention": config.position, "sliding_attention": RotaryPositions(base=local)}
    return {
        "global_rope_theta": base,
        "local_rope_theta": local,
        _ROTATIONS: {kind: write_rotation(rotation)[_ROTATIONS] for kind, rotation in rotations.items()},
    }


def _read_head(kind: str, values: Values) -> dict[str, Any]:
    activation = values.choice("classifier_activation", "gelu", ACTIVATIONS)
    has_bias = values.flag("classifier_bias", False)
    if kind == "masked_lm":
        return {"activation": activation, "dense_bias": has_bias, "bias": values.flag("decoder_bias", True)}
    slots = {
        "dropout": values.number("classifier_dropout", 0.0),
        "transform": HeadTransform(activation=activation, bias=has_bias),
    }
    match kind:
        case "classification" | "multiple_choice":
            return slots | {"pooling": values.choice("classifier_pooling", "cls", _POOLINGS)}
        case "token" | "span":
            return slots
        case _:
            return {}


def _build_rules(config: ModelConfig, naming: Naming) -> list[Rule]:
    theirs, ours = f"{naming.prefix}layers.{{i}}.", "blocks.{i}."
    head = f"heads.{naming.classifier}.transform" if naming.classifier else "heads.masked_lm"
    rules: list[Rule] = [
        Rename(f"{naming.prefix}embeddings.tok_embeddings.weight", "embedding.token.weight"),
        *norm_rules(f"{naming.prefix}embeddings.norm", "embedding.norm"),
        *norm_rules(f"{theirs}attn_norm", f"{ours}attention_norms.input"),
        *_split_rules(f"{theirs}attn.Wqkv", *(f"{ours}attention.{name}" for name in ("q", "k", "v"))),
        *linear_rules(f"{theirs}attn.Wo", f"{ours}attention.o"),
        *norm_rules(f"{theirs}mlp_norm", f"{ours}feed_forward_norms.input"),
        *_split_rules(f"{theirs}mlp.Wi", f"{ours}feed_forward.gate", f"{ours}feed_forward.up"),
        *linear_rules(f"{theirs}mlp.Wo", f"{ours}feed_forward.down"),
        *norm_rules(f"{naming.prefix}final_norm", "final_norm"),
        *linear_rules("head.dense", f"{head}.dense"),
        *norm_rules("head.norm", f"{head}.norm"),
        Rename("decoder.bias", "heads.masked_lm.bias"),
        Copy("decoder.weight", "embedding.token.weight")
        if config.tie_embeddings
        else Rename("decoder.weight", "heads.masked_lm.decoder.weight"),
    ]
    return rules + (linear_rules("classifier", f"heads.{naming.classifier}.linear") if naming.classifier else [])


def _split_rules(theirs: str, *ours: str) -> list[Rule]:
    return [Split(f"{theirs}.{part}", tuple(f"{name}.{part}" for name in ours)) for part in ("weight", "bias")]


MODERNBERT: Final = EncoderFamily(
    model_type="modernbert",
    prefix="model.",
    architectures={
        "ModernBertForSequenceClassification": ("classification",),
        "ModernBertForTokenClassification": ("token",),
        "ModernBertForMultipleChoice": ("multiple_choice",),
        "ModernBertForQuestionAnswering": ("span",),
        "ModernBertForMaskedLM": ("masked_lm",),
        "ModernBertModel": (),
    },
    markers={"masked_lm": "decoder.bias"},
    classifiers=("classification", "token", "multiple_choice", "span"),
    pooler=None,
    build_rules=_build_rules,
    read_head=_read_head,
    read_slots=_read_slots,
    write_slots=_write_slots,
    backbone=("embeddings.", "layers.", "final_norm."),
    defaults={
        "vocab_size": 50368,
        "num_hidden_layers": 22,
        "intermediate_size": 1152,
        "max_position_embeddings": 8192,
        "pad_token_id": 50283,
    },
    own_settings=frozenset(
        {
            _EVERY,
            _ROTATIONS,
            *(key for key, _ in _BASES.values()),
            "attention_bias",
            "attention_dropout",
            "classifier_activation",
            "classifier_bias",
            "classifier_dropout",
            "classifier_pooling",
            "decoder_bias",
            "embedding_dropout",
            "head_dim",
            "hidden_activation",
            "layer_types",
            "local_attention",
            "mlp_bias",
            "mlp_dropout",
            "norm_bias",
            "norm_eps",
            "partial_rotary_factor",
            "rope_scaling",
            "sliding_window",
        }
    ),
    absent=frozenset(_ABSENT),
)
