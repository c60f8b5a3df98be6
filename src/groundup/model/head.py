"""What stands on top of the stack: hidden states to logits."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from groundup.model.config import (
    BiaffineHead,
    CausalLMHead,
    Head,
    HeadTransform,
    MaskedLMHead,
    ModelConfig,
    PermutedLMHead,
)
from groundup.model.dropout import Dropout
from groundup.model.feed_forward import ACTIVATIONS
from groundup.model.head_config import count_logits
from groundup.model.linear import Linear, linear
from groundup.model.norm import build_norm


class LanguageModelHead(nn.Module):
    """decoder(x) + bias; a masked-LM head has norm(activation(dense(x))) in front.

    Call it on the rows to predict alone, the rest is wasted work.
    """

    def __init__(
        self, config: ModelConfig, head: MaskedLMHead | CausalLMHead | PermutedLMHead, embedding: nn.Embedding
    ) -> None:
        super().__init__()
        self.scale = config.hidden_size**-0.5 if isinstance(head, CausalLMHead) and head.scale_hidden else 1.0
        self.activation = ACTIVATIONS[head.activation] if isinstance(head, MaskedLMHead) else None
        width = config.hidden_size
        if isinstance(head, MaskedLMHead):
            width = config.resolved_embedding_size
            self.dense = Linear(config.hidden_size, width, head.dense_bias)
            self.norm = build_norm(config.norm, width)
        if not config.tie_embeddings:
            self.decoder = Linear(width, config.vocab_size, bias=False)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size)) if head.bias else None
        # In a tuple the module is not registered a second time: the shared weight is saved once, under its own name.
        self._source = (embedding if config.tie_embeddings else self.decoder,)

    @property
    def weight(self) -> Float[Tensor, "vocab inner"]:
        """The decoder's matrix: the token embedding's own storage where the two are tied."""
        return self._source[0].weight

    def forward(self, hidden: Float[Tensor, "rows hidden"]) -> Float[Tensor, "rows vocab"]:
        """Logits over the vocabulary."""
        if self.activation is not None:
            hidden = self.norm(self.activation(self.dense(hidden)))
        if self.scale != 1.0:
            hidden = hidden * self.scale
        return linear(hidden, self.weight, self.bias)


class Transform(nn.Module):
    """norm(activation(dense(dropout(x)))), norm and dropout where the design has them."""

    def __init__(self, config: ModelConfig, transform: HeadTransform, dropout: float) -> None:
        """`dropout` is that of the head."""
        super().__init__()
        self.dropout = Dropout(dropout if transform.drop_input else 0.0)
        self.activation = ACTIVATIONS[transform.activation]
        self.dense = Linear(config.hidden_size, config.hidden_size, transform.bias)
        self.norm = build_norm(config.norm, config.hidden_size) if transform.norm else nn.Identity()

    def forward(self, hidden: Float[Tensor, "rows hidden"]) -> Float[Tensor, "rows hidden"]:
        """Each row alone."""
        return self.norm(self.activation(self.dense(self.dropout(hidden))))


class Chain(nn.Module):
    """Scores of a class behind another one, as the first and as the last of a sequence (Lafferty et al. 2001)."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.transitions = nn.Parameter(torch.empty(num_classes, num_classes))
        """From the class of the row to that of the column."""
        self.starts = nn.Parameter(torch.empty(num_classes))
        self.ends = nn.Parameter(torch.empty(num_classes))


class LinearHead(nn.Module):
    """A transform where the design has one, dropout, one linear map; on any rows: vectors of sequences or tokens."""

    def __init__(
        self,
        config: ModelConfig,
        num_logits: int,
        dropout: float = 0.0,
        transform: HeadTransform | None = None,
        *,
        bias: bool = True,
        has_chain: bool = False,
    ) -> None:
        super().__init__()
        self.transform = nn.Identity() if transform is None else Transform(config, transform, dropout)
        self.dropout = Dropout(dropout)
        self.linear = Linear(config.hidden_size, num_logits, bias)
        if has_chain:
            self.chain = Chain(num_logits)

    def forward(self, hidden: Float[Tensor, "rows hidden"]) -> Float[Tensor, "rows logits"]:
        """Logits of each row."""
        return self.linear(self.dropout(self.transform(hidden)))


class Biaffine(nn.Module):
    """s^T U e + W [s, e] + b for a class, where s is made of a span's first row and e of its last (Yu et al. 2020)."""

    def __init__(self, config: ModelConfig, head: BiaffineHead) -> None:
        super().__init__()
        num_classes = count_logits(head)
        self.dropout = Dropout(head.dropout)
        self.start = Linear(config.hidden_size, head.size)
        self.end = Linear(config.hidden_size, head.size)
        self.bilinear = nn.Parameter(torch.empty(num_classes, head.size, head.size))
        """U of each class, from the start (columns) to the end (rows)."""
        self.linear = Linear(2 * head.size, num_classes)

    def forward(self, hidden: Float[Tensor, "rows hidden"], longest: int) -> Float[Tensor, "rows classes longest"]:
        """Of each row and class, the spans of 1 to `longest` rows that begin there; beyond the last row, of zeros."""
        hidden = self.dropout(hidden)
        starts, ends = self.start(hidden).relu(), self.end(hidden).relu()
        num_classes, size, _ = self.bilinear.shape
        of_starts, of_ends = self.linear.weight.split(size, dim=1)
        # (s^T U + w) e: what every end meets is made once of its start.
        met = linear(starts, self.bilinear.flatten(0, 1), of_ends.flatten())
        # A view, in which each row's ends lie beside each other: nothing of [rows, longest, size] is stored.
        ends = functional.pad(ends, (0, 0, 0, longest)).unfold(0, longest, 1)[:-1]
        alone = linear(starts, of_starts, self.linear.bias)
        return met.unflatten(1, (num_classes, size)) @ ends + alone[:, :, None]


def build_head(config: ModelConfig, head: Head, embedding: nn.Embedding) -> LanguageModelHead | LinearHead | Biaffine:
    """The head that the config names; `embedding` is what a tied head shares its weight with."""
    match head.kind:
        case "masked_lm" | "causal_lm" | "permuted_lm":
            return LanguageModelHead(config, head, embedding)
        case "next_sentence":
            return LinearHead(config, count_logits(head))
        case "sentence_order":
            return LinearHead(config, count_logits(head), head.dropout)
        case "replaced":
            return LinearHead(config, count_logits(head), 0.0, head.transform)
        case "classification":
            return LinearHead(config, count_logits(head), head.dropout, head.transform, bias=head.bias)
        case "token":
            return LinearHead(config, count_logits(head), head.dropout, head.transform, has_chain=head.chain)
        case "biaffine":
            return Biaffine(config, head)
        case "multiple_choice" | "span":
            return LinearHead(config, count_logits(head), head.dropout, head.transform)
