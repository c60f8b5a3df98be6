"""Grouped attention with dropout on its probabilities, or in bfloat16, for CPUs.

torch's fused kernel takes no dropout on a CPU; what it falls back to took 1.3 to 1.7 times as long as this on 32
sequences of 8 to 128 tokens (8 heads of 64, forward and backward, two threads). In bfloat16 the kernel took 4 times as
long as this on 12 sequences of 64 tokens (4 heads of 32).
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from groundup.model.attention_layout import AttentionLayout, Extent
from groundup.model.dropout import draw_signs, keep_rate

_NUM_ARGUMENTS: Final = 7
"""Arguments of `DroppedAttention` before the masks."""


class DroppedAttention(torch.autograd.Function):
    """dropout(softmax(scale Q K^T + mask)) V for every group of a layout; zeros for filler.

    Query heads that share a key head are stacked as more rows of it, so keys and values are never repeated. Beside its
    rows only the probabilities are kept for the way back, with a minus sign on those that were dropped. A mask that
    adds to the scores may have a gradient.
    """

    @staticmethod
    def forward(
        ctx: FunctionCtx,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        layout: AttentionLayout,
        causal: bool,
        p: float,
        scale: float | None,
        *masks: Tensor | None,
    ) -> Tensor:
        """Attend; `p` is the probability of dropping a probability, 0 for never.

        The mask of a group, for layouts without padding alone, replaces `causal`.
        """
        ctx.layout, ctx.kept, ctx.run, ctx.key_run = layout, keep_rate(p), q.shape, k.shape
        ctx.scale = q.shape[-1] ** -0.5 if scale is None else scale
        ctx.mask_shapes = [None if mask is None else mask.shape for mask in masks]
        queries, keys = layout.queries, layout.keys
        rows = queries.gather(q), keys.gather(k), keys.gather(v)
        out = torch.empty_like(rows[0])
        sizes = [extent.area * q.shape[1] for extent in layout.extents]
        drawn = draw_signs(sum(sizes), p).split(sizes) if p else [None] * len(sizes)
        hidden = zip(layout.extents, layout.padded_keys, masks or [None] * len(sizes), strict=True)
        matrices = zip(queries.cut(rows[0]), keys.cut(rows[1]), keys.cut(rows[2]), queries.cut(out), strict=True)
        saved = []
        for hide, (query, key, value, attended), signs in zip(hidden, matrices, drawn, strict=True):
            scores = _product(query, key.mT, ctx.scale)
            _hide_keys(scores, *hide, causal)
            signed = torch.softmax(scores, -1, dtype=torch.promote_types(scores.dtype, torch.float32))
            if signs is not None:
                torch.copysign(signed, signs.view(signed.shape), out=signed)
            _product(_kept(signed, ctx.kept).to(value.dtype), value, 1.0 / ctx.kept, attended)
            saved.append(signed)
        ctx.save_for_backward(*rows, *saved)
        return queries.put_back(out, q.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients of q, k and v, and of masks that have one."""
        q, k, v, *saved = ctx.saved_tensors
        queries, keys = ctx.layout.queries, ctx.layout.keys
        rows = queries.gather(gradient).index_fill_(0, queries.padding, 0)
        to_q, to_k, to_v = (torch.empty_like(each) for each in (q, k, v))
        to_masks: list[Tensor | None] = [None] * len(ctx.mask_shapes)
        of_queries = zip(queries.cut(q), queries.cut(rows), queries.cut(to_q), strict=True)
        of_keys = zip(*(keys.cut(each) for each in (k, v, to_k, to_v)), strict=True)
        parts = zip(ctx.layout.extents, saved, of_queries, of_keys, strict=True)
        for number, (extent, signed, (query, row, to_query), (key, value, to_key, to_value)) in enumerate(parts):
            _product(_kept(signed, ctx.kept).to(row.dtype).mT, row, 1.0 / ctx.kept, to_value)
            to_probabilities = _product(row, value.mT, 1.0 / ctx.kept).to(signed.dtype)
            if ctx.kept < 1.0:
                to_probabilities = torch.ops.aten.threshold_backward(to_probabilities, signed, 0)
                signed = signed.abs()
            to_scores = torch._softmax_backward_data(to_probabilities, signed, -1, signed.dtype)
            if to_masks and ctx.needs_input_grad[_NUM_ARGUMENTS + number]:
                to_masks[number] = _by_head(to_scores, extent).sum_to_size(ctx.mask_shapes[number])
            to_scores = to_scores.to(query.dtype)
            _product(to_scores, key, ctx.scale, to_query)
            _product(to_scores.mT, query, ctx.scale, to_key)
        gradients = queries.put_back(to_q, ctx.run), *(keys.put_back(each, ctx.key_run) for each in (to_k, to_v))
        return *gradients, None, None, None, None, *to_masks


def _kept(signed: Tensor, keep_rate: float) -> Tensor:
    """The probabilities, zero where they were dropped."""
    return signed if keep_rate == 1.0 else signed.clamp_min(0)


def _product(left: Tensor, right: Tensor, scale: float, out: Tensor | None = None) -> Tensor:
    """scale * left @ right, without a pass of its own for the scale."""
    if scale == 1.0:
        return torch.bmm(left, right, out=out)
    return torch.baddbmm(left.new_empty(()), left, right, beta=0, alpha=scale, out=out)


def _by_head(scores: Tensor, extent: Extent) -> Tensor:
    """Scores as [count, heads, queries, keys], a view."""
    return scores.view(extent.count, -1, extent.length, extent.key_length)


def _hide_keys(scores: Tensor, extent: Extent, padded: Tensor | None, mask: Tensor | None, causal: bool) -> None:
    """Add the mask, or put minus infinity where it is False, for keys behind the query and for padding; in place."""
    if mask is not None and mask.dtype != torch.bool:
        _by_head(scores, extent).add_(mask)
        return
    if mask is not None:
        hidden = ~mask
    elif causal:  # padding is behind every query that is none
        hidden = torch.ones(extent.length, extent.length, dtype=torch.bool).triu_(1)
    else:
        hidden = padded
    if hidden is not None:
        _by_head(scores, extent).masked_fill_(hidden, -torch.inf)
