"""Attention on the packed run: softmax(Q K^T / sqrt(d)) V within each sequence, by whatever backend is fastest.

A backend is a function of flat queries, keys and values; it never lets a token see another sequence, and gives filler
tokens zeros.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Final, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import pad, scaled_dot_product_attention

from groundup.model.attention_dropout import DroppedAttention
from groundup.model.cache import LayerCache
from groundup.model.config import ModelConfig
from groundup.model.linear import Linear
from groundup.model.packed import Group, Packed
from groundup.model.position import Rotation

AttentionBackend = Literal["grouped", "varlen", "padded"]

LONGEST_STORED: Final = 512
"""Tokens of a sequence up to which probabilities are kept for the way back where that is faster than not to."""

Heads = Float[Tensor, "tokens heads head_dim"]
KvHeads = Float[Tensor, "tokens kv_heads head_dim"]


def attend_grouped(q: Heads, k: KvHeads, v: KvHeads, packed: Packed, *, causal: bool, dropout: float = 0.0) -> Heads:
    """One call per group of equal lengths, on views of the flat run: no padding, no mask, no gather."""
    if q.device.type == "cpu" and not torch.compiler.is_compiling():
        is_short = max(packed.lengths, default=0) <= LONGEST_STORED
        if dropout or (q.dtype == torch.bfloat16 and is_short):
            return DroppedAttention.apply(q, k, v, packed.groups, causal, dropout)
    if len(packed.groups) == 1 and packed.num_tokens == len(q):
        return _attend_group(packed.groups[0], q, k, v, causal=causal, dropout=dropout)
    # The gradient of a split is one concatenation; that of a slice would be a whole run of zeros for every group.
    sizes = [count * length for _, count, length in packed.groups]
    sizes.append(len(q) - sum(sizes))
    cut = zip(packed.groups, q.split(sizes), k.split(sizes), v.split(sizes), strict=False)
    parts = [_attend_group(group, *heads, causal=causal, dropout=dropout) for group, *heads in cut]
    return torch.cat([*parts, q.new_zeros(sizes[-1], *q.shape[1:])])


def _attend_group(group: Group, q: Heads, k: KvHeads, v: KvHeads, *, causal: bool, dropout: float) -> Heads:
    """Fused attention over `count` sequences of `length` tokens that are all of `q`."""
    if q.device.type == "cpu" and q.dtype == torch.bfloat16 and not torch.compiler.is_compiling():
        # Of torch's kernel for CPUs the way back took 4 times as long in bfloat16.
        with torch.autocast("cpu", enabled=False):
            return _attend_group(group, q.float(), k.float(), v.float(), causal=causal, dropout=dropout).to(q.dtype)
    query, key, value = (each.view(group.count, group.length, *each.shape[1:]).transpose(1, 2) for each in (q, k, v))
    out = scaled_dot_product_attention(
        query, key, value, is_causal=causal, dropout_p=dropout, enable_gqa=q.shape[1] != k.shape[1]
    )
    return out.transpose(1, 2).reshape(q.shape)


def attend_padded(q: Heads, k: KvHeads, v: KvHeads, packed: Packed, *, causal: bool, dropout: float = 0.0) -> Heads:
    """One call on a padded copy under a mask: the backend for what no variable-length kernel covers."""
    length = max(packed.lengths)
    offsets = torch.arange(length, device=q.device)
    lengths = packed.boundaries.diff().long()
    is_token = offsets < lengths[:, None]
    rows = torch.where(is_token, packed.starts[:, None] + offsets, 0)
    query, key, value = (each[rows].transpose(1, 2) for each in (q, k, v))
    out = scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask=_may_attend(is_token, causal),
        dropout_p=dropout,
        enable_gqa=q.shape[1] != k.shape[1],
    )
    flat = out.transpose(1, 2)[is_token]
    return pad(flat, (0, 0, 0, 0, 0, len(q) - packed.num_tokens))


def _may_attend(is_token: Bool[Tensor, "sequences length"], causal: bool) -> Bool[Tensor, "sequences 1 rows length"]:
    """Which keys a query may see. A padded query sees the keys of its sequence: a row without any would give NaN."""
    may_attend = is_token[:, None, None, :]
    if not causal:
        return may_attend.expand(-1, 1, is_token.shape[1], -1)
    return may_attend & torch.ones(2 * (is_token.shape[1],), dtype=torch.bool, device=is_token.device).tril()


def attend_varlen(q: Heads, k: KvHeads, v: KvHeads, packed: Packed, *, causal: bool, dropout: float = 0.0) -> Heads:
    """Flash attention over sequence boundaries (Dao 2023): CUDA, fp16 or bf16, without dropout."""
    # Only where it is used: the import registers CUDA operators and costs every start otherwise.
    from torch.nn.attention.varlen import varlen_attn

    total, length, share = packed.num_tokens, max(packed.lengths), q.shape[1] // k.shape[1]
    options = {}
    if share > 1:
        if "enable_gqa" in signature(varlen_attn).parameters:
            options["enable_gqa"] = True
        else:  # torch 2.11
            k, v = k.repeat_interleave(share, 1), v.repeat_interleave(share, 1)
    out = varlen_attn(
        q[:total],
        k[:total],
        v[:total],
        packed.boundaries,
        packed.boundaries,
        length,
        length,
        window_size=(-1, 0) if causal else (-1, -1),
        **options,
    )
    return pad(out, (0, 0, 0, 0, 0, len(q) - total))


BACKENDS: Final[dict[AttentionBackend, Callable[..., Heads]]] = {
    "grouped": attend_grouped,
    "varlen": attend_varlen,
    "padded": attend_padded,
}


def attention_backend(device: torch.device, dtype: torch.dtype, dropout: float) -> AttentionBackend:
    """The fastest backend that is correct for tensors like these."""
    if device.type != "cuda":
        return "grouped"
    if dtype in (torch.float16, torch.bfloat16) and not dropout:
        return "varlen"
    return "padded"


def take_rows(hidden: Float[Tensor, "tokens size"], rows: Int[Tensor, " rows"] | None) -> Float[Tensor, "rows size"]:
    """These rows of a run, in this order; None for all of it as it stands."""
    return hidden if rows is None else hidden.index_select(0, rows)


class Attention(nn.Module):
    """Multi-head attention (Vaswani et al. 2017, section 3.2); fewer key than query heads share them in groups."""

    backend: AttentionBackend | None = None
    """Set to force a backend; None takes the fastest one."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.head_dim, self.causal, self.dropout = config.resolved_head_dim, config.causal, config.dropout.attention
        self.shifted_heads = config.shifted_kv_heads
        width = config.num_heads * self.head_dim
        kv_width = config.resolved_num_kv_heads * self.head_dim
        self.q = Linear(config.hidden_size, width, config.attention_bias)
        self.k = Linear(config.hidden_size, kv_width, config.attention_bias)
        self.v = Linear(config.hidden_size, kv_width, config.attention_bias)
        self.o = Linear(width, config.hidden_size, config.attention_bias)

    def forward(
        self,
        hidden: Float[Tensor, "tokens hidden"],
        packed: Packed,
        rotation: Rotation | None = None,
        cache: LayerCache | None = None,
        rows: Int[Tensor, " rows"] | None = None,
    ) -> Float[Tensor, "rows hidden"]:
        """Each token attends within its sequence, what `cache` holds of it included; `rows` of the run alone go on."""
        q, k, v = (linear(hidden).unflatten(-1, (-1, self.head_dim)) for linear in (self.q, self.k, self.v))
        if rotation is not None:
            q, k = rotation.apply(q), rotation.apply(k)
        if cache is not None:
            attended = cache.attend(q, k, v, packed)
        else:
            if self.shifted_heads:
                before = k[:, : self.shifted_heads].index_select(0, packed.previous)
                k = torch.cat([before, k[:, self.shifted_heads :]], dim=1)
            dropout = self.dropout if self.training else 0.0
            backend = self.backend or attention_backend(q.device, q.dtype, dropout)
            attended = BACKENDS[backend](q, k, v, packed, causal=self.causal, dropout=dropout)
        return self.o(take_rows(attended.flatten(1), rows))
