"""What stands on top of the stack: hidden states to logits."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from groundup.model.config import Activation, Head, ModelConfig
from groundup.model.dropout import Dropout
from groundup.model.feed_forward import ACTIVATIONS
from groundup.model.linear import Linear, linear
from groundup.model.norm import build_norm


class LanguageModelHead(nn.Module):
    """decoder(x) + bias; a masked-LM head has norm(activation(dense(x))) in front.

    Call it on the rows to predict alone, the rest is wasted work.
    """

    def __init__(
        self,
        config: ModelConfig,
        embedding: nn.Embedding,
        *,
        bias: bool,
        activation: Activation | None = None,
        scale: float = 1.0,
    ) -> None:
        """`activation` is that of the transform in front, None for none; hidden states are multiplied by `scale`."""
        super().__init__()
        self.scale = scale
        self.activation = None if activation is None else ACTIVATIONS[activation]
        if self.activation is not None:
            self.dense = Linear(config.hidden_size, config.hidden_size)
            self.norm = build_norm(config.norm, config.hidden_size)
        if not config.tie_embeddings:
            self.decoder = Linear(config.hidden_size, config.vocab_size, bias=False)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size)) if bias else None
        # In a tuple the module is not registered a second time: the shared weight is saved once, under its own name.
        self._source = (embedding if config.tie_embeddings else self.decoder,)

    @property
    def weight(self) -> Float[Tensor, "vocab hidden"]:
        """The decoder's matrix: the token embedding's own storage where the two are tied."""
        return self._source[0].weight

    def forward(self, hidden: Float[Tensor, "rows hidden"]) -> Float[Tensor, "rows vocab"]:
        """Logits over the vocabulary."""
        if self.activation is not None:
            hidden = self.norm(self.activation(self.dense(hidden)))
        if self.scale != 1.0:
            hidden = hidden * self.scale
        return linear(hidden, self.weight, self.bias)


class LinearHead(nn.Module):
    """Dropout, then one linear map, on whatever rows it is given: pooled sequences or tokens."""

    def __init__(self, hidden_size: int, num_logits: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = Dropout(dropout)
        self.linear = Linear(hidden_size, num_logits)

    def forward(self, hidden: Float[Tensor, "rows hidden"]) -> Float[Tensor, "rows logits"]:
        """Logits of each row."""
        return self.linear(self.dropout(hidden))


def build_head(config: ModelConfig, head: Head, embedding: nn.Embedding) -> LanguageModelHead | LinearHead:
    """The head that the config names; `embedding` is what a tied head shares its weight with."""
    match head.kind:
        case "masked_lm":
            return LanguageModelHead(config, embedding, bias=head.bias, activation=head.activation)
        case "causal_lm":
            scale = config.hidden_size**-0.5 if head.scale_hidden else 1.0
            return LanguageModelHead(config, embedding, bias=head.bias, scale=scale)
        case "classification" | "token":
            return LinearHead(config.hidden_size, head.num_labels, head.dropout)
        case "next_sentence" | "span":
            return LinearHead(config.hidden_size, 2)
