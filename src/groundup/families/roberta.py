"""RoBERTa (Liu et al. 2019) and XLM-R (Conneau et al. 2020) as Hugging Face stores them: BERT with positions that begin
behind the padding id, no sentence prediction, and a classifier on the first token itself.
"""

from __future__ import annotations

from typing import Any, Final

from groundup.families.encoder import EncoderFamily, Naming, read_classifier_dropout, write_classifier_dropout
from groundup.families.encoder_names import decoder_rules, linear_rules, norm_rules, stack_rules
from groundup.families.keymap import Rule
from groundup.families.values import Values
from groundup.model.config import HeadTransform, LearnedPositions, ModelConfig

_TRANSFORM: Final = HeadTransform(activation="tanh", norm=False, drop_input=True)


def _read_slots(values: Values) -> dict[str, Any]:
    """Tokens stand from `pad_token_id + 1` on in the table; a padding id within a text would be no position there."""
    if values.config["pad_token_id"] is None:
        raise values.error("pad_token_id", "must be an id: positions begin behind it")
    offset, rows = values.config["pad_token_id"] + 1, values.config["max_position_embeddings"]
    if rows <= offset:
        raise values.error("max_position_embeddings", f"must be above {offset}, the rows that no token uses")
    return {"position": LearnedPositions(offset=offset), "max_length": rows - offset}


def _write_slots(config: ModelConfig) -> dict[str, Any]:
    rows = config.max_length + getattr(config.position, "offset", 0)
    dropout = write_classifier_dropout(config)
    if any(head.kind == "multiple_choice" for head in config.heads):
        dropout = {"classifier_dropout": None}
    return {"max_position_embeddings": rows, **dropout}


def _read_head(kind: str, values: Values) -> dict[str, Any]:
    match kind:
        case "masked_lm":
            return {"activation": "gelu"}
        case "classification":
            return {"dropout": read_classifier_dropout(values), "pooling": "first", "transform": _TRANSFORM}
        case "token":
            return {"dropout": read_classifier_dropout(values)}
        case "multiple_choice":
            return {"dropout": values.number("hidden_dropout_prob", 0.1)}
        case _:
            return {}


def _build_rules(config: ModelConfig, naming: Naming) -> list[Rule]:
    rules = [
        *stack_rules(naming.prefix),
        *linear_rules(f"{naming.prefix}pooler.dense", "pooler"),
        *linear_rules("lm_head.dense", "heads.masked_lm.dense"),
        *norm_rules("lm_head.layer_norm", "heads.masked_lm.norm"),
        *decoder_rules("lm_head.bias", "lm_head.decoder", config.tie_embeddings, naming.has_decoder_bias),
        *linear_rules("classifier.dense", "heads.classification.transform.dense"),
        *linear_rules("classifier.out_proj", "heads.classification.linear"),
        *linear_rules("qa_outputs", "heads.span.linear"),
    ]
    return rules + (linear_rules("classifier", f"heads.{naming.classifier}.linear") if naming.classifier else [])


def _build(model_type: str, classes: str, vocab_size: int) -> EncoderFamily:
    kinds = {
        "ForSequenceClassification": ("classification",),
        "ForTokenClassification": ("token",),
        "ForMultipleChoice": ("multiple_choice",),
        "ForQuestionAnswering": ("span",),
        "ForMaskedLM": ("masked_lm",),
        "Model": (),
    }
    return EncoderFamily(
        model_type=model_type,
        prefix="roberta.",
        architectures={f"{classes}{name}": needed for name, needed in kinds.items()},
        markers={
            "masked_lm": "lm_head.dense.weight",
            "classification": "classifier.out_proj.weight",
            "span": "qa_outputs.weight",
        },
        classifiers=("token", "multiple_choice"),
        pooler="pooler.dense.weight",
        build_rules=_build_rules,
        read_head=_read_head,
        read_slots=_read_slots,
        write_slots=_write_slots,
        defaults={"vocab_size": vocab_size, "pad_token_id": 1},
        own_settings=frozenset({"classifier_dropout"}),
    )


ROBERTA: Final = _build("roberta", "Roberta", 50265)
XLM_ROBERTA: Final = _build("xlm-roberta", "XLMRoberta", 30522)
