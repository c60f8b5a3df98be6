"""Attention on the packed run: softmax(Q K^T / sqrt(d)) V within each sequence, by whatever backend is fastest.

A backend is a function of flat queries, keys and values; it never lets a token see another sequence, and gives filler
tokens zeros. Keys and values are those of the same run, or of a `source`: another run with a sequence for each of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from inspect import signature
from typing import Final, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import pad, scaled_dot_product_attention

from groundup.errors import ConfigError
from groundup.model.attention_dropout import DroppedAttention
from groundup.model.attention_layout import SPARE, lay_out
from groundup.model.cache import LayerCache, MemoryCache
from groundup.model.config import ModelConfig
from groundup.model.linear import Linear
from groundup.model.norm import build_norm
from groundup.model.packed import Group, Memory, Packed, pair_groups
from groundup.model.position import NOWHERE, Placement
from groundup.model.scores import Bias, Mask, dense_mask

AttentionBackend = Literal["grouped", "varlen", "padded"]

LONGEST_STORED: Final = 512
"""Tokens of a sequence up to which probabilities are kept for the way back where that is faster than not to."""

Heads = Float[Tensor, "tokens heads head_dim"]
KvHeads = Float[Tensor, "key_tokens kv_heads head_dim"]


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
    source: Packed | None = None,
) -> Heads:
    """One call per group of equal lengths, on views of the flat run: no padding, no gather, a mask only where asked.

    What torch's kernel is slow at on a CPU goes to `DroppedAttention`, where lengths may be about equal.
    """
    keys = packed if source is None else source
    groups, key_groups = pair_groups(packed.lengths, keys.lengths)
    if source is None:
        masks = [_group_mask(group, packed, causal=causal, window=window, bias=bias) for group in groups]
    else:
        masks = [None] * len(groups)
    if q.device.type == "cpu" and not torch.compiler.is_compiling():
        is_short = max(packed.lengths, default=0) <= LONGEST_STORED
        # torch's kernel has no gradient for what is added to the scores; what it falls back to stores all as well.
        is_trained = any(mask is not None and mask.requires_grad for mask in masks)
        if dropout or is_trained or (q.dtype == torch.bfloat16 and is_short):
            has_masks = any(mask is not None for mask in masks)
            spare = 0 if has_masks else SPARE
            layout = lay_out(packed.lengths, keys.lengths, q.shape[1], k.shape[1], spare)
            return DroppedAttention.apply(q, k, v, layout, causal, dropout, scale, *(masks if has_masks else ()))
    options = {"causal": causal, "dropout": dropout, "scale": scale}
    if len(groups) == 1 and packed.num_tokens == len(q) and keys.num_tokens == len(k):
        return _attend_group(groups[0], q, k, v, masks[0], **options)
    # The gradient of a split is one concatenation; that of a slice would be a whole run of zeros for every group.
    sizes, key_sizes = _sizes(groups, len(q)), _sizes(key_groups, len(k))
    cut = zip(groups, q.split(sizes), k.split(key_sizes), v.split(key_sizes), masks, strict=False)
    parts = [_attend_group(group, *heads, mask, **options) for group, *heads, mask in cut]
    return torch.cat([*parts, q.new_zeros(sizes[-1], *q.shape[1:])])


def _sizes(groups: Sequence[Group], total: int) -> list[int]:
    """Tokens of each group, and of the filler behind them."""
    sizes = [count * length for _, count, length in groups]
    return [*sizes, total - sum(sizes)]


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
    """Fused attention over `count` sequences of `length` tokens that are all of `q`, as `k` is all of their keys."""
    if q.device.type == "cpu" and q.dtype == torch.bfloat16 and not torch.compiler.is_compiling():
        # Of torch's kernel for CPUs the way back took 4 times as long in bfloat16.
        with torch.autocast("cpu", enabled=False):
            heads = (each.float() for each in (q, k, v))
            return _attend_group(group, *heads, mask, causal=causal, **options).to(q.dtype)
    query, key, value = (each.view(group.count, -1, *each.shape[1:]).transpose(1, 2) for each in (q, k, v))
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
    source: Packed | None = None,
) -> Heads:
    """One call on a padded copy under a mask: the backend for what no variable-length kernel covers."""
    positions, is_token, rows = _pad_places(packed)
    if source is None:
        key_rows = rows
        order = None if packed.order is None else packed.order[rows].masked_fill(~is_token, 0)
        mask = dense_mask(positions, positions, causal=causal, window=window, order=order, bias=bias)
        # A padded query sees the same as others, its own padded key aside: a row without any key would give NaN.
        is_key = is_token[:, None, None, :] | torch.eye(len(positions[0]), dtype=torch.bool, device=q.device)
        mask = mask & is_key if mask.dtype == torch.bool else mask.masked_fill(~is_key, -torch.inf)
    else:
        _, is_key, key_rows = _pad_places(source)
        mask = is_key[:, None, None, :].expand(-1, -1, len(positions[0]), -1)
    query, key, value = (each[of].transpose(1, 2) for each, of in ((q, rows), (k, key_rows), (v, key_rows)))
    flat = _attend(query, key, value, mask, causal=False, dropout=dropout, scale=scale).transpose(1, 2)[is_token]
    return pad(flat, (0, 0, 0, 0, 0, len(q) - packed.num_tokens))


def _pad_places(
    packed: Packed,
) -> tuple[Int[Tensor, "1 length"], Bool[Tensor, "sequences length"], Int[Tensor, "sequences length"]]:
    """Positions up to the longest sequence; of each sequence which of them it has, and their tokens in the run."""
    positions = torch.arange(max(packed.lengths), device=packed.input_ids.device)[None]
    is_token = positions < packed.boundaries.diff().long()[:, None]
    return positions, is_token, torch.where(is_token, packed.starts[:, None] + positions, 0)


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
    source: Packed | None = None,
) -> Heads:
    """Flash attention over sequence boundaries (Dao 2023): CUDA, fp16 or bf16, without dropout, bias or order."""
    if bias is not None or (packed.order is not None and source is None):
        what = f"has no {'order of tokens' if bias is None else 'bias'}"
        raise ConfigError("attention backend", what, got="varlen", cure="leave the choice to the model")
    # Only where it is used: the import registers CUDA operators and costs every start otherwise.
    from torch.nn.attention.varlen import varlen_attn

    keys = packed if source is None else source
    total, share = packed.num_tokens, q.shape[1] // k.shape[1]
    options = {}
    if share > 1:
        if "enable_gqa" in signature(varlen_attn).parameters:
            options["enable_gqa"] = True
        else:  # torch 2.11
            k, v = k.repeat_interleave(share, 1), v.repeat_interleave(share, 1)
    reach = -1 if window is None else window
    out = varlen_attn(
        q[:total],
        k[: keys.num_tokens],
        v[: keys.num_tokens],
        packed.boundaries,
        keys.boundaries,
        max(packed.lengths),
        max(keys.lengths),
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


class Projections(nn.Module):
    """The matrices of multi-head attention (Vaswani et al. 2017, section 3.2.2); fewer key than query heads share them
    in groups."""

    backend: AttentionBackend | Callable[..., Heads] | None = None
    """Set to force a backend, or to put a function in the place of one; None takes the fastest one."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.head_dim, self.dropout = config.resolved_head_dim, config.dropout.attention
        self.scale = config.attention_scale
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

    def choose_backend(self, q: Heads, dropout: float, *, is_dense: bool = False) -> Callable[..., Heads]:
        """What computes attention for queries like these."""
        chosen = self.backend or attention_backend(q.device, q.dtype, dropout, is_dense=is_dense)
        return BACKENDS[chosen] if isinstance(chosen, str) else chosen

    def queries(self, hidden: Float[Tensor, "tokens hidden"]) -> Heads:
        """What searches."""
        q = self.q(hidden).unflatten(-1, (-1, self.head_dim))
        return self.q_norm(q) if self.has_norms else q

    def keys_and_values(self, hidden: Float[Tensor, "key_tokens hidden"]) -> tuple[KvHeads, KvHeads]:
        """What is found."""
        k, v = (linear(hidden).unflatten(-1, (-1, self.head_dim)) for linear in (self.k, self.v))
        return self.k_norm(k) if self.has_norms else k, v


class Attention(Projections):
    """Attention of each token to its own sequence."""

    def __init__(self, config: ModelConfig, layer: int = 0) -> None:
        """The attention of block `layer`, counted from 0."""
        super().__init__(config)
        self.causal, self.window = config.causal, config.window_of(layer)
        self.shifted_heads = config.shifted_kv_heads

    def forward(
        self,
        hidden: Float[Tensor, "tokens hidden"],
        packed: Packed,
        placement: Placement = NOWHERE,
        cache: LayerCache | None = None,
        rows: Int[Tensor, " rows"] | None = None,
    ) -> Float[Tensor, "rows hidden"]:
        """Each token attends within its sequence, what `cache` holds of it included; `rows` of the run alone go on."""
        if cache is None and rows is not None and self._is_summary(rows, packed, placement):
            return self._summarize(hidden, packed, placement, rows)
        q, (k, v) = self.queries(hidden), self.keys_and_values(hidden)
        if placement.rotation is not None:
            q, k = placement.rotation.apply(q), placement.rotation.apply(k)
        options = {"window": self.window, "scale": self.scale, "bias": placement.bias}
        if cache is not None:
            attended = cache.attend(q, k, v, packed, **options)
        else:
            k = self._shift(k, packed)
            dropout = self.dropout if self.training else 0.0
            is_dense = placement.bias is not None or packed.order is not None
            attend = self.choose_backend(q, dropout, is_dense=is_dense)
            attended = attend(q, k, v, packed, causal=self.causal, dropout=dropout, **options)
        return self.o(take_rows(attended.flatten(1), rows))

    def _is_summary(self, rows: Int[Tensor, " rows"], packed: Packed, placement: Placement) -> bool:
        """Whether the rows are the first tokens of all sequences or the last ones, and see all of them."""
        sees_all = rows is packed.ends or (rows is packed.starts and not self.causal)
        is_dense = placement.bias is not None or packed.order is not None
        return sees_all and not is_dense and self.window is None

    def _summarize(
        self,
        hidden: Float[Tensor, "tokens hidden"],
        packed: Packed,
        placement: Placement,
        rows: Int[Tensor, " sequences"],
    ) -> Float[Tensor, "sequences hidden"]:
        """One query for each sequence: the others' scores, which would be thrown away, are not computed."""
        q, (k, v) = self.queries(hidden.index_select(0, rows)), self.keys_and_values(hidden)
        if placement.rotation is not None:
            q, k = placement.rotation.take(rows).apply(q), placement.rotation.apply(k)
        dropout = self.dropout if self.training else 0.0
        options = {"causal": False, "dropout": dropout, "scale": self.scale, "source": packed}
        attended = self.choose_backend(q, dropout)(q, self._shift(k, packed), v, packed.take_one(rows), **options)
        return self.o(attended.flatten(1))

    def _shift(self, k: KvHeads, packed: Packed) -> KvHeads:
        """Some heads look for the key of the token before."""
        if not self.shifted_heads:
            return k
        before = k[:, : self.shifted_heads].index_select(0, packed.previous)
        return torch.cat([before, k[:, self.shifted_heads :]], dim=1)


class CrossAttention(Projections):
    """Attention of a decoder's tokens to the encoder's states of their source (Vaswani et al. 2017, section 3.2.3)."""

    def forward(
        self,
        hidden: Float[Tensor, "tokens hidden"],
        packed: Packed,
        memory: Memory | None,
        cache: LayerCache | None = None,
        rows: Int[Tensor, " rows"] | None = None,
    ) -> Float[Tensor, "rows hidden"]:
        """Each token attends to the whole source of its sequence; no memory means the one that `cache` remembers."""
        q = self.queries(hidden)
        if cache is not None:
            if memory is not None:
                cache.memory = MemoryCache.of(*self.keys_and_values(memory.hidden), memory.packed)
            attended = cache.memory.attend(q, packed, scale=self.scale)
        else:
            dropout = self.dropout if self.training else 0.0
            options = {"causal": False, "dropout": dropout, "scale": self.scale, "source": memory.packed}
            attended = self.choose_backend(q, dropout)(q, *self.keys_and_values(memory.hidden), packed, **options)
        return self.o(take_rows(attended.flatten(1), rows))
