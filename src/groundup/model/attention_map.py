"""Where a model looks: the attention probabilities of every layer, as a forward pass computes them.

The pass runs through the model's own projections, norms, rotations, windows and biases. Only the last step, which a
fused kernel takes without ever showing its probabilities, is taken in the open.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from groundup.model.attention import Heads, KvHeads, Projections
from groundup.model.packed import Packed
from groundup.model.relative_attention import RelativeAttention
from groundup.model.scores import Bias, dense_mask
from groundup.model.transformer import Transformer

MapKind = Literal["attention", "encoder", "cross_attention"]
"""Of a stack to itself, of the encoder beside it to itself, of the stack to that encoder."""

LayerMap = tuple[Float[Tensor, "heads queries keys"], ...]
"""Of one layer, sequence by sequence: what each query (a row) takes from each key. Rows sum to one."""


@torch.no_grad()
def map_attention(
    model: Transformer, packed: Packed, *, source: Packed | None = None
) -> dict[MapKind, tuple[LayerMap, ...]]:
    """The attention of every layer in a forward pass in evaluation mode, in float32.

    Args:
        model: any design.
        packed: the tokens; of an encoder-decoder those of its decoder.
        source: of an encoder-decoder, the tokens of its encoder.
    """
    found: dict[MapKind, list[LayerMap]] = {"attention": []}
    was_training = model.training
    with ExitStack() as stack:
        stack.callback(model.train, was_training)
        model.eval()
        stack.enter_context(_record((block.attention for block in model.blocks), found["attention"]))
        memory = None
        if source is not None:
            found |= {"encoder": [], "cross_attention": []}
            stack.enter_context(_record((block.attention for block in model.encoder.blocks), found["encoder"]))
            crossing = (block.cross_attention for block in model.blocks)
            stack.enter_context(_record(crossing, found["cross_attention"]))
            memory = model.encode(source)
        model(packed, memory=memory)
    return {kind: tuple(layers) for kind, layers in found.items()}


@contextmanager
def _record(modules: Iterator[Projections | RelativeAttention], into: list[LayerMap]) -> Iterator[None]:
    """Append the probabilities of every call, in the order of the calls; layers may share a module."""
    with ExitStack() as stack:
        for module in dict.fromkeys(modules):
            if isinstance(module, RelativeAttention):
                stack.enter_context(_listen(module, into))
            else:
                stack.callback(setattr, module, "backend", module.backend)
                module.backend = _open_backend(into)
        yield


@contextmanager
def _listen(module: RelativeAttention, into: list[LayerMap]) -> Iterator[None]:
    """Relative attention has its probabilities in hand: they go through its dropout, part by part."""
    parts: list[Tensor] = []
    hooks = [
        module.dropout.register_forward_pre_hook(lambda _, arguments: parts.extend(arguments[0].float().unbind())),
        module.register_forward_pre_hook(lambda *_: parts.clear()),
        module.register_forward_hook(lambda *_: into.append(tuple(parts))),
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _open_backend(into: list[LayerMap]) -> Callable[..., Heads]:
    """softmax(scale Q K^T + mask) V, one sequence after the other; zeros for filler. Nothing is dropped."""

    def attend(
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
        share, out = q.shape[1] // k.shape[1], torch.zeros_like(q)
        scale = q.shape[-1] ** -0.5 if scale is None else scale
        found: list[Tensor] = []
        for rows, keys in zip(_slices(packed.lengths), _slices((source or packed).lengths), strict=True):
            scores = q[rows].transpose(0, 1) @ k[keys].transpose(0, 1).repeat_interleave(share, 0).mT
            scores = scores.float() * scale
            if source is None:
                positions = torch.arange(scores.shape[-1], device=q.device)[None]
                order = None if packed.order is None else packed.order[None, rows]
                mask = dense_mask(positions, positions, causal=causal, window=window, order=order, bias=bias)[0]
                scores = scores.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else scores + mask
            found.append(scores.softmax(-1))
            value = v[keys].transpose(0, 1).repeat_interleave(share, 0)
            out[rows] = (found[-1].to(v.dtype) @ value).transpose(0, 1)
        into.append(tuple(found))
        return out

    return attend


def _slices(lengths: Sequence[int]) -> Iterator[slice]:
    start = 0
    for length in lengths:
        yield slice(start, start + length)
        start += length
