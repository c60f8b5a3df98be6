"""Grouped attention with dropout on its probabilities, or in bfloat16, for CPUs.

torch's fused kernel takes no dropout on a CPU; what it falls back to took 1.6 times as long as this on 32 sequences of
8 to 128 tokens (8 heads of 64, forward and backward). In bfloat16 the kernel took 6 times as long as this on 12
sequences of 64 tokens (4 heads of 32). Every group is written into one output and one set of gradients, so the flat run
is neither cut up nor put together again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from groundup.model.dropout import draw_signs, keep_rate
from groundup.model.packed import Group

_NUM_ARGUMENTS: Final = 8
"""Arguments of `DroppedAttention` before the masks."""


class DroppedAttention(torch.autograd.Function):
    """dropout(softmax(scale Q K^T + mask)) V for every group of sequences of equal length; zeros for filler.

    Query heads that share a key head are stacked as more rows of it, so keys and values are never repeated. All that
    is kept for the way back is the probabilities, with a minus sign on those that were dropped. A mask that adds to the
    scores may have a gradient.
    """

    @staticmethod
    def forward(
        ctx: FunctionCtx,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        groups: tuple[Group, ...],
        key_groups: tuple[Group, ...],
        causal: bool,
        p: float,
        scale: float | None,
        *masks: Tensor | None,
    ) -> Tensor:
        """Attend; `p` is the probability of dropping a probability, 0 for never. A group's mask replaces `causal`.

        Each group of queries attends to the group of keys at its place, the same one unless another run is attended to.
        """
        ctx.groups, ctx.key_groups, ctx.kept = groups, key_groups, keep_rate(p)
        ctx.scale = q.shape[-1] ** -0.5 if scale is None else scale
        ctx.mask_shapes = [None if mask is None else mask.shape for mask in masks]
        share = q.shape[1] // k.shape[1]
        out = _empty_run(q, groups)
        pairs = list(zip(groups, key_groups, strict=True))
        sizes = [group.count * group.length * keys.length * q.shape[1] for group, keys in pairs]
        drawn = draw_signs(sum(sizes), p).split(sizes) if p else [None] * len(groups)
        saved = []
        for (group, keys), signs, mask in zip(pairs, drawn, masks, strict=True):
            query, key, value = _rows(q, group, share), _rows(k, keys, 1), _rows(v, keys, 1)
            scores = _product(query, key.mT, ctx.scale)
            if mask is not None:
                _apply_mask(scores, mask, group)
            elif causal:
                _hide_future(scores, group.length)
            signed = torch.softmax(scores, -1, dtype=torch.promote_types(scores.dtype, torch.float32))
            if signs is not None:
                torch.copysign(signed, signs.view(signed.shape), out=signed)
            _write(out, group, share, _product(_kept(signed, ctx.kept).to(value.dtype), value, 1.0 / ctx.kept))
            saved.append(signed)
        ctx.save_for_backward(q, k, v, *saved)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients of q, k and v, and of masks that have one."""
        q, k, v, *saved = ctx.saved_tensors
        share = q.shape[1] // k.shape[1]
        to_q = _empty_run(q, ctx.groups)
        to_k, to_v = (_empty_run(each, ctx.key_groups) for each in (k, v))
        to_masks: list[Tensor | None] = [None] * len(ctx.groups)
        for number, (group, keys, signed) in enumerate(zip(ctx.groups, ctx.key_groups, saved, strict=True)):
            query, key, value = _rows(q, group, share), _rows(k, keys, 1), _rows(v, keys, 1)
            rows = _rows(gradient, group, share)
            _write(to_v, keys, 1, _product(_kept(signed, ctx.kept).to(rows.dtype).mT, rows, 1.0 / ctx.kept))
            to_probabilities = _product(rows, value.mT, 1.0 / ctx.kept).to(signed.dtype)
            if ctx.kept < 1.0:
                to_probabilities = torch.ops.aten.threshold_backward(to_probabilities, signed, 0)
                signed = signed.abs()
            to_scores = torch._softmax_backward_data(to_probabilities, signed, -1, signed.dtype)
            if ctx.needs_input_grad[_NUM_ARGUMENTS + number]:
                to_masks[number] = _by_head(to_scores, group).sum_to_size(ctx.mask_shapes[number])
            to_scores = to_scores.to(q.dtype)
            _write(to_q, group, share, _product(to_scores, key, ctx.scale))
            _write(to_k, keys, 1, _product(to_scores.mT, query, ctx.scale))
        return to_q, to_k, to_v, None, None, None, None, None, *to_masks


def _kept(signed: Tensor, keep_rate: float) -> Tensor:
    """The probabilities, zero where they were dropped."""
    return signed if keep_rate == 1.0 else signed.clamp_min(0)


def _empty_run(like: Tensor, groups: Sequence[Group]) -> Tensor:
    """An unfilled flat run; filler behind the last group is zero."""
    run = torch.empty(like.shape, dtype=like.dtype)
    end = groups[-1].start + groups[-1].count * groups[-1].length if groups else 0
    run[end:].zero_()
    return run


def _rows(flat: Tensor, group: Group, share: int) -> Tensor:
    """Heads of a group as matrices [count * kv heads, share * length, head_dim]; a view where one sequence is alone."""
    return _heads(flat, group, share).reshape(-1, share * group.length, flat.shape[2])


def _write(flat: Tensor, group: Group, share: int, rows: Tensor) -> None:
    """Put such matrices back where `_rows` took them from."""
    heads = _heads(flat, group, share)
    heads.copy_(rows.view(heads.shape))


def _heads(flat: Tensor, group: Group, share: int) -> Tensor:
    """A view [count, kv heads, share, length, head_dim] of a group."""
    heads = flat[group.start : group.start + group.count * group.length]
    heads = heads.view(group.count, group.length, flat.shape[1] // share, share, flat.shape[2])
    return heads.permute(0, 2, 3, 1, 4)


def _product(left: Tensor, right: Tensor, scale: float) -> Tensor:
    """scale * left @ right, without a pass of its own for the scale."""
    if scale == 1.0:
        return torch.bmm(left, right)
    return torch.baddbmm(left.new_empty(()), left, right, beta=0, alpha=scale)


def _by_head(scores: Tensor, group: Group) -> Tensor:
    """Scores as [count, heads, queries, keys], a view."""
    return scores.view(group.count, -1, group.length, scores.shape[-1])


def _apply_mask(scores: Tensor, mask: Tensor, group: Group) -> None:
    """Add the mask, or put minus infinity where it is False, in place."""
    if mask.dtype == torch.bool:
        _by_head(scores, group).masked_fill_(~mask, -torch.inf)
    else:
        _by_head(scores, group).add_(mask)


def _hide_future(scores: Tensor, length: int) -> None:
    """Minus infinity for keys behind the query, in place."""
    future = torch.ones(length, length, dtype=torch.bool).triu_(1)
    scores.view(len(scores), -1, length, length).masked_fill_(future, -torch.inf)
