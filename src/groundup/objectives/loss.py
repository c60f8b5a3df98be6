"""Cross-entropy as a sum over targets, without a second copy of the logits."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

_BLOCK_ELEMENTS = {"cpu": 1 << 19}
"""Logits handled at a time: on CPU 2 MiB in fp32, so that a block stays in cache between its passes."""
_LARGE_BLOCK = 1 << 26
"""The same on other devices (256 MiB in fp32), where large blocks keep the device busy."""


def cross_entropy_sum(
    logits: Float[Tensor, "rows classes"], labels: Int[Tensor, " rows"], smoothing: float = 0.0
) -> Float[Tensor, ""]:
    """The summed negative log-likelihood of `labels`, in fp32 (float64 for float64 logits).

    With `smoothing`, that share of every label is spread evenly over all classes (Szegedy et al. 2016, section 7).

    The backward pass writes the gradient over the logits, so the peak is one `[rows, classes]` tensor, where
    `torch.nn.functional.cross_entropy` holds two. Hence the logits must have no other use whose backward needs them;
    autograd refuses such a graph with an error.
    """
    return _CrossEntropySum.apply(logits, labels, smoothing)


@torch.no_grad()
def token_losses(logits: Float[Tensor, "rows classes"], labels: Int[Tensor, " rows"]) -> Float[Tensor, " rows"]:
    """The negative log-likelihood of each label, in fp32 (float64 for float64 logits), without a gradient."""
    blocks = [_block_losses(block, wanted)[0] for block, wanted in _blocks(logits, labels)]
    return torch.cat(blocks) if blocks else logits.new_zeros(0, dtype=_accumulate_dtype(logits))


class _CrossEntropySum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
        ctx.smoothing = smoothing
        parts = [_block_losses(block, wanted, smoothing) for block, wanted in _blocks(logits, labels)]
        empty = logits.new_zeros(0, dtype=_accumulate_dtype(logits))
        ctx.save_for_backward(logits, labels, torch.cat([empty, *(normalizer for _, normalizer in parts)]))
        return torch.cat([empty, *(losses for losses, _ in parts)]).sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor, None, None]:
        """(softmax(logits) - smoothed labels) * grad, written over the logits."""
        logits, labels, normalizers = ctx.saved_tensors
        start = 0
        for block, wanted in _blocks(logits, labels):
            values = block if block.dtype == normalizers.dtype else block.to(normalizers.dtype)
            values.sub_(normalizers[start : start + len(wanted), None]).exp_()
            if ctx.smoothing:
                values -= ctx.smoothing / values.shape[1]
            values[torch.arange(len(wanted), device=wanted.device), wanted] -= 1 - ctx.smoothing
            values.mul_(grad)
            if values is not block:
                block.copy_(values)
            start += len(wanted)
        return logits, None, None


def _blocks(logits: Tensor, labels: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Views of some rows each."""
    if len(logits) == 0:
        return []
    rows = max(1, _BLOCK_ELEMENTS.get(logits.device.type, _LARGE_BLOCK) // logits.shape[1])
    return list(zip(logits.split(rows), labels.split(rows), strict=True))


def _block_losses(block: Tensor, labels: Tensor, smoothing: float = 0.0) -> tuple[Tensor, Tensor]:
    """Losses and the logarithms of the softmax's denominators."""
    values = block.to(_accumulate_dtype(block))
    normalizers, wanted = values.logsumexp(dim=-1), values.gather(1, labels[:, None])[:, 0]
    if smoothing:
        wanted = (1 - smoothing) * wanted + smoothing * values.mean(dim=-1)
    return normalizers - wanted, normalizers


def _accumulate_dtype(logits: Tensor) -> torch.dtype:
    return torch.float64 if logits.dtype == torch.float64 else torch.float32
