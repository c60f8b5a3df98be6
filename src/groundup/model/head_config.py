"""The heads of a design as values: what stands on top of the stack."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from groundup.config import Config

Probability = Annotated[float, Field(ge=0.0, lt=1.0)]
Activation = Literal["gelu", "gelu_tanh", "relu", "silu", "tanh"]
Pooling = Literal["pooler", "first", "mean"]


class HeadTransform(Config):
    """norm(activation(dense(x))) before the logits (ModernBERT)."""

    activation: Activation = "gelu"
    """The function after the dense map."""
    bias: bool = True
    """Whether the dense map has a bias."""


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


class PermutedLMHead(Config):
    """Logits over the vocabulary from the query stream: the tied or own decoder alone (XLNet)."""

    kind: Literal["permuted_lm"] = "permuted_lm"
    bias: bool = True
    """Whether the decoder adds a bias per vocabulary entry."""


class NextSentenceHead(Config):
    """Two logits on the pooled token: 0 = B follows A, 1 = B is random (BERT)."""

    kind: Literal["next_sentence"] = "next_sentence"


class ClassificationHead(Config):
    """One logit per class on one vector for the sequence (tanh pooler, dropout, linear: BERT)."""

    kind: Literal["classification"] = "classification"
    num_labels: PositiveInt
    """The number of classes."""
    dropout: Probability = 0.1
    """On the vector, after the transform."""
    pooling: Pooling = "pooler"
    """The vector: tanh of a dense map of the pooled token, the first token as it is, or the mean over all tokens."""
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


class SpanHead(Config):
    """A start and an end logit for every token (extractive question answering)."""

    kind: Literal["span"] = "span"
    dropout: Probability = 0.0
    """On the hidden states, after the transform."""
    transform: HeadTransform | None = None
    """What the hidden states pass before the dropout; null for nothing."""


Head = Annotated[
    MaskedLMHead | CausalLMHead | PermutedLMHead | NextSentenceHead | ClassificationHead | TokenHead | SpanHead,
    Field(discriminator="kind"),
]
