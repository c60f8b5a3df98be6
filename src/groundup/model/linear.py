"""Linear maps, by the faster of the two libraries that torch brings for products of fp32 matrices on a CPU.

torch takes MKL, which keeps to 256-bit instructions on processors of other makers than its own. On an EPYC with AVX-512
it reached 105 GFLOP/s a core where oneDNN reached 250, forward and backward alike. Both compute in fp32 and round in
another order.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn import functional

FEWEST_PRODUCTS: Final = 1 << 23
"""Multiplications under which MKL stays: oneDNN writes code for every new shape, which took 0.6 ms at this size."""


class Linear(nn.Linear):
    """x W^T + b."""

    def forward(self, hidden: Float[Tensor, "*rows inner"]) -> Float[Tensor, "*rows outer"]:
        """Each row alone."""
        return linear(hidden, self.weight, self.bias)


def linear(
    hidden: Float[Tensor, "*rows inner"], weight: Float[Tensor, "outer inner"], bias: Float[Tensor, " outer"] | None
) -> Float[Tensor, "*rows outer"]:
    """`torch.nn.functional.linear`, but for the library."""
    if _is_onednns(hidden, weight):
        return _OneDnnLinear.apply(hidden, weight, bias)
    return functional.linear(hidden, weight, bias)


@lru_cache(maxsize=1)
def product_library() -> str:
    """What multiplies large fp32 matrices on this CPU: `oneDNN` where MKL would be slow, otherwise `torch`'s choice."""
    is_wide = torch.backends.cpu.get_cpu_capability() == "AVX512"
    is_there = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    return "oneDNN" if is_wide and is_there and _processor_maker() != "GenuineIntel" else "torch"


class _OneDnnLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, hidden: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(hidden, weight)
        return _multiply(hidden, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        hidden, weight = ctx.saved_tensors
        to_hidden, to_weight, to_bias = ctx.needs_input_grad
        return (
            _multiply(gradient, weight.mT) if to_hidden else None,
            _weight_gradient(gradient, hidden) if to_weight else None,
            gradient.sum(0) if to_bias else None,
        )


def _multiply(left: Tensor, right: Tensor, bias: Tensor | None = None) -> Tensor:
    """left right^T + bias."""
    return torch.ops.mkldnn._linear_pointwise(left, right, bias, "none", [], "")


def _weight_gradient(
    gradient: Float[Tensor, "rows outer"], hidden: Float[Tensor, "rows inner"]
) -> Float[Tensor, "outer inner"]:
    """gradient^T hidden. oneDNN copies a left side that lies crosswise, so that is the narrower one."""
    if gradient.shape[1] <= hidden.shape[1]:
        return _multiply(gradient.mT, hidden.mT)
    return _multiply(hidden.mT, gradient.mT).mT


def _is_onednns(hidden: Tensor, weight: Tensor) -> bool:
    return (
        hidden.dtype == weight.dtype == torch.float32
        and hidden.ndim == 2
        and len(hidden) * weight.numel() >= FEWEST_PRODUCTS
        and hidden.device.type == "cpu"
        and product_library() == "oneDNN"
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()
    )


def _processor_maker() -> str:
    """As the kernel tells it; empty where it does not."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("vendor_id")), "GenuineIntel")
