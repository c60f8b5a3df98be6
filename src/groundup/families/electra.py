"""ELECTRA (Clark et al. 2020) as Hugging Face stores it: a generator that fills masks, a discriminator that finds them.

Both are BERT without a pooler, the small ones with an embedding narrower than the stack.
"""

from __future__ import annotations

from typing import Any, Final

from groundup.families.encoder import EncoderFamily, Naming, read_classifier_dropout, write_classifier_dropout
from groundup.families.encoder_names import linear_rules, norm_rules, stack_rules
from groundup.families.keymap import Copy, Rename, Rule
from groundup.families.values import ACTIVATIONS, Values, name_activation
from groundup.model.config import HeadTransform, ModelConfig

_TRANSFORM: Final = HeadTransform(activation="gelu", norm=False, drop_input=True)
_SUMMARY: Final = "summary_activation"


def _read_slots(values: Values) -> dict[str, Any]:
    """An embedding as wide as the stack is not mapped."""
    size = values.count("embedding_size", 128)
    return {"embedding_size": None if size == values.config["hidden_size"] else size}


def _write_slots(config: ModelConfig) -> dict[str, Any]:
    written = {"embedding_size": config.resolved_embedding_size, **write_classifier_dropout(config)}
    for head in config.heads:
        if head.kind == "multiple_choice" and head.transform is not None:
            own = {_SUMMARY: name_activation(head.transform.activation), "summary_last_dropout": head.dropout}
            written |= {"summary_type": "first", "summary_use_proj": True, **own, "classifier_dropout": None}
    return written


def _read_head(kind: str, values: Values) -> dict[str, Any]:
    match kind:
        case "masked_lm":
            return {"activation": "gelu"}
        case "replaced":
            activation = values.choice("hidden_act", "gelu", ACTIVATIONS)
            return {"transform": HeadTransform(activation=activation, norm=False)}
        case "classification":
            return {"dropout": read_classifier_dropout(values), "pooling": "first", "transform": _TRANSFORM}
        case "token":
            return {"dropout": read_classifier_dropout(values)}
        case "multiple_choice":
            return _read_summary(values)
        case _:
            return {}


def _read_summary(values: Values) -> dict[str, Any]:
    """The vector of a choice is that of the first token after a layer of its own."""
    values.require("summary_type", ("first",), "is not supported; only 'first' is")
    values.require("summary_use_proj", (True,), "choices without a layer on the first token are not supported")
    values.require("summary_proj_to_labels", (False,), "a layer as wide as the labels is not supported")
    values.require("summary_first_dropout", (0, 0.0), "dropout before the layer on the first token is not supported")
    transform = HeadTransform(activation=values.choice(_SUMMARY, "gelu", ACTIVATIONS), norm=False)
    return {"dropout": values.number("summary_last_dropout", 0.1), "pooling": "first", "transform": transform}


def _build_rules(config: ModelConfig, naming: Naming) -> list[Rule]:
    decoder = "generator_lm_head"
    rules = [
        *stack_rules(naming.prefix),
        *linear_rules(f"{naming.prefix}embeddings_project", "embedding.projection"),
        *linear_rules("generator_predictions.dense", "heads.masked_lm.dense"),
        *norm_rules("generator_predictions.LayerNorm", "heads.masked_lm.norm"),
        Rename(f"{decoder}.bias", "heads.masked_lm.bias"),
        Copy(f"{decoder}.weight", "embedding.token.weight")
        if config.tie_embeddings
        else Rename(f"{decoder}.weight", "heads.masked_lm.decoder.weight"),
        *linear_rules("discriminator_predictions.dense", "heads.replaced.transform.dense"),
        *linear_rules("discriminator_predictions.dense_prediction", "heads.replaced.linear"),
        *linear_rules("classifier.dense", "heads.classification.transform.dense"),
        *linear_rules("classifier.out_proj", "heads.classification.linear"),
        *linear_rules("sequence_summary.summary", "heads.multiple_choice.transform.dense"),
        *linear_rules("qa_outputs", "heads.span.linear"),
    ]
    return rules + (linear_rules("classifier", f"heads.{naming.classifier}.linear") if naming.classifier else [])


ELECTRA: Final = EncoderFamily(
    model_type="electra",
    prefix="electra.",
    architectures={
        "ElectraForSequenceClassification": ("classification",),
        "ElectraForTokenClassification": ("token",),
        "ElectraForMultipleChoice": ("multiple_choice",),
        "ElectraForQuestionAnswering": ("span",),
        "ElectraForPreTraining": ("replaced",),
        "ElectraForMaskedLM": ("masked_lm",),
        "ElectraModel": (),
    },
    markers={
        "masked_lm": "generator_predictions.dense.weight",
        "replaced": "discriminator_predictions.dense_prediction.weight",
        "classification": "classifier.out_proj.weight",
        "multiple_choice": "sequence_summary.summary.weight",
        "span": "qa_outputs.weight",
    },
    classifiers=("token", "multiple_choice"),
    pooler=None,
    build_rules=_build_rules,
    read_head=_read_head,
    read_slots=_read_slots,
    write_slots=_write_slots,
    backbone=("embeddings.", "embeddings_project.", "encoder."),
    defaults={"hidden_size": 256, "num_attention_heads": 4, "intermediate_size": 1024},
    own_settings=frozenset(
        {
            "classifier_dropout",
            "embedding_size",
            "summary_activation",
            "summary_first_dropout",
            "summary_last_dropout",
            "summary_proj_to_labels",
            "summary_type",
            "summary_use_proj",
        }
    ),
)
