"""Attention that also scores the distance of query and key (Dai et al. 2019, section 3.3), and whether both are of one
token type (Yang et al. 2019, section 2.5); two streams of queries over one set of keys.

The score of query i and key j is (q_i + u) k_j + (q_i + v) r_(i-j) + (q_i + s) e, where r is the projected wave of the
distance and e says whether the types differ. Every row is scored against all distances once, about two for each key,
and each key takes its own from that, so that no vector is kept for a pair.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from groundup.model.attention import take_rows
from groundup.model.config import ModelConfig
from groundup.model.dropout import Dropout
from groundup.model.history import LayerHistory
from groundup.model.linear import Linear
from groundup.model.packed import Group, Packed
from groundup.model.position import NOWHERE, Placement
from groundup.model.relative import Part

Heads = Float[Tensor, "rows heads head_dim"]


class RelativeAttention(nn.Module):
    """In place of `Attention` where positions are relative."""

    window: None = None

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.head_dim = config.resolved_head_dim
        self.scale = config.attention_scale or self.head_dim**-0.5
        width, by_head = config.num_heads * self.head_dim, (config.num_heads, self.head_dim)
        self.q = Linear(config.hidden_size, width, config.attention_bias)
        self.k = Linear(config.hidden_size, width, config.attention_bias)
        self.v = Linear(config.hidden_size, width, config.attention_bias)
        self.r = Linear(config.hidden_size, width, bias=False)
        self.o = Linear(width, config.hidden_size, config.resolved_attention_output_bias)
        self.content_bias = nn.Parameter(torch.zeros(by_head))
        self.distance_bias = nn.Parameter(torch.zeros(by_head))
        self.has_segments = config.position.segments
        if self.has_segments:
            self.segment_bias = nn.Parameter(torch.zeros(by_head))
            self.segment = nn.Parameter(torch.empty(2, *by_head))
        self.dropout = Dropout(config.dropout.attention)

    def forward(
        self,
        hidden: Float[Tensor, "queries_and_tokens hidden"],
        packed: Packed,
        placement: Placement = NOWHERE,
        history: LayerHistory | None = None,
        rows: Int[Tensor, " rows"] | None = None,
    ) -> Float[Tensor, "rows hidden"]:
        """Each token, and each row of the query stream behind the tokens, attends to the tokens of its sequence."""
        relation = placement.relation
        assert relation is not None
        tokens = hidden[: len(packed.input_ids)]
        past = tokens[:0] if history is None else history.recall(tokens)
        known = tokens if history is None else torch.cat([past, tokens])
        q, r = self._split(self.q(hidden)) * self.scale, self._split(self.r(relation.waves.to(hidden.dtype)))
        k, v = self._split(self.k(known)), self._split(self.v(known))
        parts = []
        for part in relation.parts:
            keys = (_take_keys(each, part, len(past)) for each in (k, v))
            parts.append(self._attend(part, q[part.rows], *keys, r[part.waves]).flatten(0, 1))
        filler = q.new_zeros(1, *q.shape[1:])
        attended = torch.cat([*parts, filler]).index_select(0, relation.places)
        return self.o(take_rows(attended.flatten(1), rows))

    def _attend(
        self,
        part: Part,
        q: Float[Tensor, "sequences rows heads head_dim"],
        k: Float[Tensor, "sequences keys heads head_dim"],
        v: Float[Tensor, "sequences keys heads head_dim"],
        r: Float[Tensor, "distances heads head_dim"],
    ) -> Float[Tensor, "sequences rows heads head_dim"]:
        """Probabilities over the keys of each sequence. A row that sees no key gets zeros."""
        by_content = self._meet(q, self.content_bias, k.permute(0, 2, 3, 1))
        by_distance = self._meet(q, self.distance_bias, r.permute(1, 2, 0))
        scores = by_content + by_distance.gather(-1, part.distances.expand(-1, q.shape[2], -1, -1))
        if part.is_other is not None:
            # What all keys of a row have in common changes no probability: the difference of the two vectors is enough.
            change = (self.segment[1] - self.segment[0])[:, :, None]
            scores = scores + part.is_other * self._meet(q, self.segment_bias, change)
        if part.is_visible is not None:
            scores = scores.masked_fill(~part.is_visible, torch.finfo(scores.dtype).min)
        probabilities = self.dropout(torch.softmax(scores, dim=-1)).to(v.dtype)
        attended = (probabilities @ v.transpose(1, 2)).transpose(1, 2)
        if part.is_visible is None:
            return attended
        return attended * part.is_visible.any(dim=-1).transpose(1, 2)[..., None]

    def _meet(
        self,
        q: Float[Tensor, "sequences rows heads head_dim"],
        bias: Float[Tensor, "heads head_dim"],
        others: Float[Tensor, "*sequences heads head_dim others"],
    ) -> Float[Tensor, "sequences heads rows others"]:
        """(q + bias) times each of the others."""
        return (q + bias * self.scale).transpose(1, 2) @ others

    def _split(self, hidden: Float[Tensor, "rows width"]) -> Heads:
        return hidden.unflatten(-1, (-1, self.head_dim))


def _take_keys(heads: Heads, part: Part, num_past: int) -> Float[Tensor, "sequences keys heads head_dim"]:
    """Those of a part: what is remembered of each sequence, then its tokens, which stand behind all that is."""
    own = _view(heads, part.tokens._replace(start=num_past + part.tokens.start))
    return torch.cat([_view(heads, part.past), own], dim=1) if part.past.length else own


def _view(heads: Heads, group: Group) -> Float[Tensor, "sequences length heads head_dim"]:
    cut = heads[group.start : group.start + group.count * group.length]
    return cut.view(group.count, group.length, *heads.shape[1:])
