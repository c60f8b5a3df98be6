"""The heads of a design as values: what stands on top of the stack."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveInt

from groundup.config import Config

Probability = Annotated[float, Field(ge=0.0, lt=1.0)]
Activation = Literal["gelu", "gelu_tanh", "relu", "silu", "tanh"]
Pooling = Literal["pooler", "first", "last", "mean"]


class HeadTransform(Config):
    """norm(activation(dense(x))) before the logits (ModernBERT; RoBERTa and ELECTRA without the norm)."""

    activation: Activation = "gelu"
    """The function after the dense map."""
    bias: bool = True
    """Whether the dense map has a bias."""
    norm: bool = True
    """Whether a norm comes last."""
    drop_input: bool = False
    """Whether the dropout of the head is also on what the dense map reads (RoBERTa)."""


class MaskedLMHead(Config):
    """Logits over the vocabulary for masked tokens: transform, norm, tied or own decoder (BERT)."""

    kind: Literal["masked_lm"] = "masked_lm"
    activation: Activation = "gelu"
    """The function after the head's dense transform."""
    dense_bias: bool = True
    """Whether the dense transform has a bias."""
    bias: bool = True
    """Whether the decoder adds a bias per vocabulary entry."""


class CausalLMHead(Config):
    """Logits over the vocabulary for the next token: the tied or own decoder alone (GPT-2)."""

    kind: Literal["causal_lm"] = "causal_lm"
    bias: bool = False
    """Whether the decoder adds a bias per vocabulary entry."""
    scale_hidden: bool = False
    """Divide hidden states by sqrt(hidden_size) first, as T5 does because its embedding has entries of size 1."""
    prefix: bool = False
    """Whether what it goes on from, a prompt, is seen by itself in both directions (a prefix language model, Liu et al.
    2018): the head was trained on a stack that read it so."""


class PermutedLMHead(Config):
    """Logits over the vocabulary from the query stream: the tied or own decoder alone (XLNet)."""

    kind: Literal["permuted_lm"] = "permuted_lm"
    bias: bool = True
    """Whether the decoder adds a bias per vocabulary entry."""


class NextSentenceHead(Config):
    """Two logits on the pooled token: 0 = B follows A, 1 = B is random (BERT)."""

    kind: Literal["next_sentence"] = "next_sentence"
    pooling: ClassVar[Pooling] = "pooler"


class SentenceOrderHead(Config):
    """Two logits on the pooled token: 0 = A stood before B, 1 = the two were exchanged (ALBERT)."""

    kind: Literal["sentence_order"] = "sentence_order"
    pooling: ClassVar[Pooling] = "pooler"
    dropout: Probability = 0.1
    """On the pooled vector."""


class ClassificationHead(Config):
    """One logit per class on one vector for the sequence (tanh pooler, dropout, linear: BERT)."""

    kind: Literal["classification"] = "classification"
    num_labels: PositiveInt
    """The number of classes."""
    dropout: Probability = 0.1
    """On the vector, after the transform."""
    pooling: Pooling = "pooler"
    """The vector: tanh of a dense map of the pooled token, the first or the last token as it is, or the mean over all
    tokens."""
    transform: HeadTransform | None = None
    """What the vector passes before the dropout; null for nothing."""
    bias: bool = True
    """Whether a bias is added per class."""


class MultipleChoiceHead(Config):
    """One logit for a sequence, which is one of several answers; the task compares those of one question."""

    kind: Literal["multiple_choice"] = "multiple_choice"
    dropout: Probability = 0.1
    """On the vector, after the transform."""
    pooling: Pooling = "pooler"
    """The vector: tanh of a dense map of the first token, the first token as it is, or the mean over all tokens."""
    transform: HeadTransform | None = None
    """What the vector passes before the dropout; null for nothing."""


class TokenHead(Config):
    """One logit per class for every token."""

    kind: Literal["token"] = "token"
    num_labels: PositiveInt
    """The number of classes."""
    dropout: Probability = 0.1
    """On the hidden states, after the transform."""
    transform: HeadTransform | None = None
    """What the hidden states pass before the dropout; null for nothing."""
    chain: bool = False
    """Whether there are scores for each class after each other one, too, for a linear-chain CRF."""


class SpanHead(Config):
    """A start and an end logit for every token (extractive question answering)."""

    kind: Literal["span"] = "span"
    dropout: Probability = 0.0
    """On the hidden states, after the transform."""
    transform: HeadTransform | None = None
    """What the hidden states pass before the dropout; null for nothing."""


class BiaffineHead(Config):
    """A score of every span of tokens for each type, and for none (Yu et al. 2020; Dozat and Manning 2017)."""

    kind: Literal["biaffine"] = "biaffine"
    num_labels: PositiveInt
    """The number of types; what is none of them is one class more, the first."""
    size: PositiveInt = 150
    """The width to which a token is mapped, once as the start and once as the end of a span."""
    dropout: Probability = 0.1
    """On the hidden states."""


class ReplacedHead(Config):
    """One logit for every token: whether another one stood there before (Clark et al. 2020)."""

    kind: Literal["replaced"] = "replaced"
    transform: HeadTransform | None = HeadTransform(norm=False)
    """What the hidden states pass before; null for nothing."""


class GeneratorHead(Config):
    """A small stack of its own beside the other one, that fills masks while training (Clark et al. 2020, section 3.2).

    It reads the model's token embedding. Folders leave it out: what it is for ends with the training.
    """

    kind: Literal["generator"] = "generator"
    fraction: float = Field(0.25, gt=0.0, le=1.0)
    """Its width, heads and inner width as a share of the stack's; heads are as wide as there."""


Head = Annotated[
    MaskedLMHead
    | CausalLMHead
    | PermutedLMHead
    | NextSentenceHead
    | SentenceOrderHead
    | ClassificationHead
    | MultipleChoiceHead
    | TokenHead
    | SpanHead
    | BiaffineHead
    | ReplacedHead
    | GeneratorHead,
    Field(discriminator="kind"),
]


def count_logits(head: Head) -> int:
    """The logits of a head on each vector, token or span; of those over the vocabulary it says 0."""
    match head.kind:
        case "masked_lm" | "causal_lm" | "permuted_lm" | "generator":
            return 0
        case "classification" | "token":
            return head.num_labels
        case "biaffine":
            return head.num_labels + 1
        case "next_sentence" | "sentence_order" | "span":
            return 2
        case "multiple_choice" | "replaced":
            return 1


def of_decoder(heads: Sequence[Head]) -> tuple[Head, ...]:
    """Heads as decoders have them: classes are read off the last token, which alone has seen the text (GPT-2, Llama).

    What a head names itself stays.
    """
    form = {"pooling": "last", "bias": False}
    adapted = list[Head]()
    for head in heads:
        unset = {name: value for name, value in form.items() if name not in head.model_fields_set}
        adapted.append(head.model_copy(update=unset) if isinstance(head, ClassificationHead) and unset else head)
    return tuple(adapted)
