"""What stands on top of the stack: hidden states to logits."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from groundup.model.config import CausalLMHead, Head, HeadTransform, MaskedLMHead, ModelConfig, PermutedLMHead
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
    ) -> None:
        super().__init__()
        self.transform = nn.Identity() if transform is None else Transform(config, transform, dropout)
        self.dropout = Dropout(dropout)
        self.linear = Linear(config.hidden_size, num_logits, bias)

    def forward(self, hidden: Float[Tensor, "rows hidden"]) -> Float[Tensor, "rows logits"]:
        """Logits of each row."""
        return self.linear(self.dropout(self.transform(hidden)))


def build_head(config: ModelConfig, head: Head, embedding: nn.Embedding) -> LanguageModelHead | LinearHead:
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
        case "multiple_choice" | "token" | "span":
            return LinearHead(config, count_logits(head), head.dropout, head.transform)
