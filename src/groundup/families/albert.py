"""ALBERT (Lan et al. 2020) as Hugging Face stores it: blocks that are passed several times, a narrow embedding."""

from __future__ import annotations

from typing import Any, Final

from groundup.families.encoder import EncoderFamily, Naming
from groundup.families.encoder_names import decoder_rules, embedding_rules, linear_rules, norm_rules
from groundup.families.keymap import Rule
from groundup.families.values import ACTIVATIONS, Values, read_labels
from groundup.model.config import Dropout, ModelConfig, Sharing


def _read_slots(values: Values) -> dict[str, Any]:
    """A group is passed as a whole, `num_hidden_layers` times in all. What the feed-forward adds is not dropped."""
    sharing = Sharing(num_groups=values.count("num_hidden_groups", 1), group_size=values.count("inner_group_num", 1))
    rounds = values.config["num_hidden_layers"]
    if sharing.num_groups > rounds:
        raise values.error("num_hidden_groups", f"must be at most num_hidden_layers {rounds}")
    dropout, attention = (values.number(f"{name}_dropout_prob", 0.0) for name in ("hidden", "attention_probs"))
    return {
        "embedding_size": values.count("embedding_size", 128),
        "num_layers": rounds * sharing.group_size,
        "sharing": sharing,
        "dropout": Dropout(embedding=dropout, attention=attention, residual=0.0, attention_output=dropout),
    }


def _write_slots(config: ModelConfig) -> dict[str, Any]:
    sharing = _sharing_of(config)
    found = next((head.dropout for head in config.heads if getattr(head, "dropout", None) and head.kind != "span"), 0.1)
    return {
        "embedding_size": config.embedding_size,
        "num_hidden_layers": config.num_layers // sharing.group_size,
        "num_hidden_groups": sharing.num_groups,
        "inner_group_num": sharing.group_size,
        "classifier_dropout_prob": found,
    }


def _sharing_of(config: ModelConfig) -> Sharing:
    return config.sharing or Sharing(num_groups=config.num_layers)


def _read_head(kind: str, values: Values) -> dict[str, Any]:
    match kind:
        case "masked_lm":
            return {"activation": values.choice("hidden_act", "gelu_new", ACTIVATIONS)}
        case "sentence_order" | "classification" | "multiple_choice" | "token":
            if kind == "sentence_order" and len(read_labels(values.config, values.where)) != 2:
                raise values.error("id2label", "must name 2 labels: the order of sentences has as many")
            return {"dropout": values.number("classifier_dropout_prob", 0.1)}
        case _:
            return {}


def _build_rules(config: ModelConfig, naming: Naming) -> list[Rule]:
    prefix, sharing = naming.prefix, _sharing_of(config)
    rules = [
        *embedding_rules(prefix),
        *linear_rules(f"{prefix}encoder.embedding_hidden_mapping_in", "embedding.projection"),
        *linear_rules(f"{prefix}pooler", "pooler"),
        *linear_rules("predictions.dense", "heads.masked_lm.dense"),
        *norm_rules("predictions.LayerNorm", "heads.masked_lm.norm"),
        *decoder_rules("predictions.bias", "predictions.decoder", config.tie_embeddings, naming.has_decoder_bias),
        *linear_rules("sop_classifier.classifier", "heads.sentence_order.linear"),
        *linear_rules("qa_outputs", "heads.span.linear"),
    ]
    for group in range(sharing.num_groups):
        for member in range(sharing.group_size):
            layer = f"{prefix}encoder.albert_layer_groups.{group}.albert_layers.{member}."
            rules += _block_rules(layer, f"blocks.{group * sharing.group_size + member}.")
    return rules + (linear_rules("classifier", f"heads.{naming.classifier}.linear") if naming.classifier else [])


def _block_rules(layer: str, block: str) -> list[Rule]:
    return [
        *linear_rules(f"{layer}attention.query", f"{block}attention.q"),
        *linear_rules(f"{layer}attention.key", f"{block}attention.k"),
        *linear_rules(f"{layer}attention.value", f"{block}attention.v"),
        *linear_rules(f"{layer}attention.dense", f"{block}attention.o"),
        *norm_rules(f"{layer}attention.LayerNorm", f"{block}attention_norms.residual"),
        *linear_rules(f"{layer}ffn", f"{block}feed_forward.up"),
        *linear_rules(f"{layer}ffn_output", f"{block}feed_forward.down"),
        *norm_rules(f"{layer}full_layer_layer_norm", f"{block}feed_forward_norms.residual"),
    ]


ALBERT: Final = EncoderFamily(
    model_type="albert",
    prefix="albert.",
    architectures={
        "AlbertForSequenceClassification": ("classification",),
        "AlbertForTokenClassification": ("token",),
        "AlbertForMultipleChoice": ("multiple_choice",),
        "AlbertForQuestionAnswering": ("span",),
        "AlbertForPreTraining": ("masked_lm", "sentence_order"),
        "AlbertForMaskedLM": ("masked_lm",),
        "AlbertModel": (),
    },
    markers={
        "masked_lm": "predictions.dense.weight",
        "sentence_order": "sop_classifier.classifier.weight",
        "span": "qa_outputs.weight",
    },
    classifiers=("classification", "token", "multiple_choice"),
    pooler="pooler.weight",
    build_rules=_build_rules,
    read_head=_read_head,
    read_slots=_read_slots,
    write_slots=_write_slots,
    defaults={
        "vocab_size": 30000,
        "hidden_size": 4096,
        "num_attention_heads": 64,
        "intermediate_size": 16384,
        "hidden_act": "gelu_new",
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    },
    own_settings=frozenset({"classifier_dropout_prob", "embedding_size", "inner_group_num", "num_hidden_groups"}),
)
