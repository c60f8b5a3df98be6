"""BERT (Devlin et al. 2019) as Hugging Face stores it: post-norm blocks, learned positions, two token types."""

from __future__ import annotations

from typing import Any, Final

from groundup.families.encoder import EncoderFamily, Naming, read_classifier_dropout, write_classifier_dropout
from groundup.families.encoder_names import decoder_rules, linear_rules, norm_rules, stack_rules
from groundup.families.keymap import Rule
from groundup.families.values import ACTIVATIONS, Values
from groundup.model.config import ModelConfig


def _read_head(kind: str, values: Values) -> dict[str, Any]:
    match kind:
        case "masked_lm":
            return {"activation": values.choice("hidden_act", "gelu", ACTIVATIONS)}
        case "classification" | "multiple_choice" | "token":
            return {"dropout": read_classifier_dropout(values)}
        case _:
            return {}


def _build_rules(config: ModelConfig, naming: Naming) -> list[Rule]:
    rules = [
        *stack_rules(naming.prefix),
        *linear_rules(f"{naming.prefix}pooler.dense", "pooler"),
        *linear_rules("cls.predictions.transform.dense", "heads.masked_lm.dense"),
        *norm_rules("cls.predictions.transform.LayerNorm", "heads.masked_lm.norm"),
        *decoder_rules(
            "cls.predictions.bias", "cls.predictions.decoder", config.tie_embeddings, naming.has_decoder_bias
        ),
        *linear_rules("cls.seq_relationship", "heads.next_sentence.linear"),
        *linear_rules("qa_outputs", "heads.span.linear"),
    ]
    return rules + (linear_rules("classifier", f"heads.{naming.classifier}.linear") if naming.classifier else [])


BERT: Final = EncoderFamily(
    model_type="bert",
    prefix="bert.",
    architectures={
        "BertForSequenceClassification": ("classification",),
        "BertForTokenClassification": ("token",),
        "BertForMultipleChoice": ("multiple_choice",),
        "BertForQuestionAnswering": ("span",),
        "BertForPreTraining": ("masked_lm", "next_sentence"),
        "BertForMaskedLM": ("masked_lm",),
        "BertForNextSentencePrediction": ("next_sentence",),
        "BertModel": (),
    },
    markers={
        "masked_lm": "cls.predictions.transform.dense.weight",
        "next_sentence": "cls.seq_relationship.weight",
        "span": "qa_outputs.weight",
    },
    classifiers=("classification", "token", "multiple_choice"),
    pooler="pooler.dense.weight",
    build_rules=_build_rules,
    read_head=_read_head,
    write_slots=write_classifier_dropout,
    own_settings=frozenset({"classifier_dropout"}),
)
