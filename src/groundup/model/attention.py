"""Attention on the packed run: softmax(Q K^T / sqrt(d)) V within each sequence, by whatever backend is fastest.

A backend is a function of flat queries, keys and values; it never lets a token see another sequence, and gives filler
tokens zeros.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Final, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import pad, scaled_dot_product_attention

from groundup.model.attention_dropout import DroppedAttention
from groundup.model.cache import LayerCache
from groundup.model.config import ModelConfig
from groundup.model.linear import Linear
from groundup.model.norm import build_norm
from groundup.model.packed import Group, Packed
from groundup.model.position import NOWHERE, Placement
from groundup.model.scores import Bias, Mask, dense_mask

AttentionBackend = Literal["grouped", "varlen", "padded"]

LONGEST_STORED: Final = 512
"""Tokens of a sequence up to which probabilities are kept for the way back where that is faster than not to."""

Heads = Float[Tensor, "tokens heads head_dim"]
KvHeads = Float[Tensor, "tokens kv_heads head_dim"]


def attend_grouped(
    q: Heads,
    k: KvHeads,
    v: KvHeads,
    packed: Packed,
    *,
    causal: bool,
    dropout: float = 0.0,
    window: int | None = None,
    scale: float | None = None,
    bias: Bias | None = None,
) -> Heads:
    """One call per group of equal lengths, on views of the flat run: no padding, no gather, a mask only where asked."""
    masks = [_group_mask(group, packed, causal=causal, window=window, bias=bias) for group in packed.groups]
    if q.device.type == "cpu" and not torch.compiler.is_compiling():
        is_short = max(packed.lengths, default=0) <= LONGEST_STORED
        # torch's kernel has no gradient for what is added to the scores; what it falls back to stores all as well.
        is_trained = any(mask is not None and mask.requires_grad for mask in masks)
        if dropout or is_trained or (q.dtype == torch.bfloat16 and is_short):
            return DroppedAttention.apply(q, k, v, packed.groups, causal, dropout, scale, *masks)
    options = {"causal": causal, "dropout": dropout, "scale": scale}
    if len(packed.groups) == 1 and packed.num_tokens == len(q):
        return _attend_group(packed.groups[0], q, k, v, masks[0], **options)
    # The gradient of a split is one concatenation; that of a slice would be a whole run of zeros for every group.
    sizes = [count * length for _, count, length in packed.groups]
    sizes.append(len(q) - sum(sizes))
    cut = zip(packed.groups, q.split(sizes), k.split(sizes), v.split(sizes), masks, strict=False)
    parts = [_attend_group(group, *heads, mask, **options) for group, *heads, mask in cut]
    return torch.cat([*parts, q.new_zeros(sizes[-1], *q.shape[1:])])


def _group_mask(group: Group, packed: Packed, *, causal: bool, window: int | None, bias: Bias | None) -> Mask | None:
    """None where every token sees its whole sequence, or what stands before it and `causal` says so to the kernel."""
    order = packed.order
    if order is not None:
        order = order[group.start : group.start + group.count * group.length].view(group.count, group.length)
    is_narrow = window is not None and window < group.length - 1
    if order is None and bias is None and not is_narrow:
        return None
    positions = torch.arange(group.length, device=packed.input_ids.device)[None]
    return dense_mask(positions, positions, causal=causal, window=window, order=order, bias=bias)


def _attend_group(
    group: Group, q: Heads, k: KvHeads, v: KvHeads, mask: Mask | None, *, causal: bool, **options: float | None
) -> Heads:
    """Fused attention over `count` sequences of `length` tokens that are all of `q`."""
    if q.device.type == "cpu" and q.dtype == torch.bfloat16 and not torch.compiler.is_compiling():
        # Of torch's kernel for CPUs the way back took 4 times as long in bfloat16.
        with torch.autocast("cpu", enabled=False):
            heads = (each.float() for each in (q, k, v))
            return _attend_group(group, *heads, mask, causal=causal, **options).to(q.dtype)
    query, key, value = (each.view(group.count, group.length, *each.shape[1:]).transpose(1, 2) for each in (q, k, v))
    return _attend(query, key, value, mask, causal=causal and mask is None, **options).transpose(1, 2).reshape(q.shape)


def _attend(
    query: Tensor, key: Tensor, value: Tensor, mask: Mask | None, *, causal: bool, dropout: float, scale: float | None
) -> Float[Tensor, "sequences _query_heads queries head_dim"]:
    """torch's attention on `[sequences, heads, length, head_dim]`."""
    if mask is not None and mask.dtype != torch.bool:
        mask = mask.to(query.dtype)
    return scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask=mask,
        is_causal=causal,
        dropout_p=dropout,
        scale=scale,
        enable_gqa=query.shape[1] != key.shape[1],
    )


def attend_padded(
    q: Heads,
    k: KvHeads,
    v: KvHeads,
    packed: Packed,
    *,
    causal: bool,
    dropout: float = 0.0,
    window: int | None = None,
    scale: float | None = None,
    bias: Bias | None = None,
) -> Heads:
    """One call on a padded copy under a mask: the backend for what no variable-length kernel covers."""
    positions = torch.arange(max(packed.lengths), device=q.device)[None]
    is_token = positions < packed.boundaries.diff().long()[:, None]
    rows = torch.where(is_token, packed.starts[:, None] + positions, 0)
    order = None if packed.order is None else packed.order[rows].masked_fill(~is_token, 0)
    query, key, value = (each[rows].transpose(1, 2) for each in (q, k, v))
    mask = dense_mask(positions, positions, causal=causal, window=window, order=order, bias=bias)
    # A padded query sees the same as others, its own padded key aside: a row without any key would give NaN.
    is_key = is_token[:, None, None, :] | torch.eye(len(positions[0]), dtype=torch.bool, device=q.device)
    mask = mask & is_key if mask.dtype == torch.bool else mask.masked_fill(~is_key, -torch.inf)
    flat = _attend(query, key, value, mask, causal=False, dropout=dropout, scale=scale).transpose(1, 2)[is_token]
    return pad(flat, (0, 0, 0, 0, 0, len(q) - packed.num_tokens))


def attend_varlen(
    q: Heads,
    k: KvHeads,
    v: KvHeads,
    packed: Packed,
    *,
    causal: bool,
    dropout: float = 0.0,
    window: int | None = None,
    scale: float | None = None,
    bias: Bias | None = None,
) -> Heads:
    """Flash attention over sequence boundaries (Dao 2023): CUDA, fp16 or bf16, without dropout, bias or order."""
    # Only where it is used: the import registers CUDA operators and costs every start otherwise.
    from torch.nn.attention.varlen import varlen_attn

    total, length, share = packed.num_tokens, max(packed.lengths), q.shape[1] // k.shape[1]
    options = {}
    if share > 1:
        if "enable_gqa" in signature(varlen_attn).parameters:
            options["enable_gqa"] = True
        else:  # torch 2.11
            k, v = k.repeat_interleave(share, 1), v.repeat_interleave(share, 1)
    reach = -1 if window is None else window
    out = varlen_attn(
        q[:total],
        k[:total],
        v[:total],
        packed.boundaries,
        packed.boundaries,
        length,
        length,
        scale=scale,
        window_size=(reach, 0 if causal else reach),
        **options,
    )
    return pad(out, (0, 0, 0, 0, 0, len(q) - total))


BACKENDS: Final[dict[AttentionBackend, Callable[..., Heads]]] = {
    "grouped": attend_grouped,
    "varlen": attend_varlen,
    "padded": attend_padded,
}


def attention_backend(
    device: torch.device, dtype: torch.dtype, dropout: float, *, is_dense: bool = False
) -> AttentionBackend:
    """The fastest backend that is correct for tensors like these; `is_dense`: under an order of tokens or a bias."""
    if device.type != "cuda":
        return "grouped"
    if dtype in (torch.float16, torch.bfloat16) and not dropout and not is_dense:
        return "varlen"
    return "padded"


def take_rows(hidden: Float[Tensor, "tokens size"], rows: Int[Tensor, " rows"] | None) -> Float[Tensor, "rows size"]:
    """These rows of a run, in this order; None for all of it as it stands."""
    return hidden if rows is None else hidden.index_select(0, rows)


class Attention(nn.Module):
    """Multi-head attention (Vaswani et al. 2017, section 3.2); fewer key than query heads share them in groups."""

    backend: AttentionBackend | None = None
    """Set to force a backend; None takes the fastest one."""

    def __init__(self, config: ModelConfig, layer: int = 0) -> None:
        """The attention of block `layer`, counted from 0."""
        super().__init__()
        self.head_dim, self.causal, self.dropout = config.resolved_head_dim, config.causal, config.dropout.attention
        self.scale, self.window = config.attention_scale, config.window_of(layer)
        self.shifted_heads = config.shifted_kv_heads
        width = config.num_heads * self.head_dim
        kv_width = config.resolved_num_kv_heads * self.head_dim
        self.q = Linear(config.hidden_size, width, config.attention_bias)
        self.k = Linear(config.hidden_size, kv_width, config.attention_bias)
        self.v = Linear(config.hidden_size, kv_width, config.attention_bias)
        self.o = Linear(width, config.hidden_size, config.resolved_attention_output_bias)
        if config.qk_norm:
            self.q_norm = build_norm(config.norm, self.head_dim)
            self.k_norm = build_norm(config.norm, self.head_dim)
        self.has_norms = config.qk_norm

    def forward(
        self,
        hidden: Float[Tensor, "tokens hidden"],
        packed: Packed,
        placement: Placement = NOWHERE,
        cache: LayerCache | None = None,
        rows: Int[Tensor, " rows"] | None = None,
    ) -> Float[Tensor, "rows hidden"]:
        """Each token attends within its sequence, what `cache` holds of it included; `rows` of the run alone go on."""
        q, k, v = (linear(hidden).unflatten(-1, (-1, self.head_dim)) for linear in (self.q, self.k, self.v))
        if self.has_norms:
            q, k = self.q_norm(q), self.k_norm(k)
        if placement.rotation is not None:
            q, k = placement.rotation.apply(q), placement.rotation.apply(k)
        options = {"window": self.window, "scale": self.scale, "bias": placement.bias}
        if cache is not None:
            attended = cache.attend(q, k, v, packed, **options)
        else:
            if self.shifted_heads:
                before = k[:, : self.shifted_heads].index_select(0, packed.previous)
                k = torch.cat([before, k[:, self.shifted_heads :]], dim=1)
            dropout = self.dropout if self.training else 0.0
            is_dense = placement.bias is not None or packed.order is not None
            backend = self.backend or attention_backend(q.device, q.dtype, dropout, is_dense=is_dense)
            attended = BACKENDS[backend](q, k, v, packed, causal=self.causal, dropout=dropout, **options)
        return self.o(take_rows(attended.flatten(1), rows))
