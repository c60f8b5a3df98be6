"""The tensor names that BERT's folders and those of its successors share, and their older spellings."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor

from groundup.families.keymap import Constant, Copy, Rename, Rule


def find_prefix(names: Collection[str], prefix: str) -> str:
    """What a folder puts before the names of the stack: a stack alone has no prefix."""
    return prefix if any(name.startswith(prefix) for name in names) else ""


def stack_rules(prefix: str) -> list[Rule]:
    """The stack, as BERT, RoBERTa and ELECTRA name it."""
    layer, block = f"{prefix}encoder.layer.{{i}}.", "blocks.{i}."
    return [
        *embedding_rules(prefix),
        *linear_rules(f"{layer}attention.self.query", f"{block}attention.q"),
        *linear_rules(f"{layer}attention.self.key", f"{block}attention.k"),
        *linear_rules(f"{layer}attention.self.value", f"{block}attention.v"),
        *linear_rules(f"{layer}attention.output.dense", f"{block}attention.o"),
        *norm_rules(f"{layer}attention.output.LayerNorm", f"{block}attention_norms.residual"),
        *linear_rules(f"{layer}intermediate.dense", f"{block}feed_forward.up"),
        *linear_rules(f"{layer}output.dense", f"{block}feed_forward.down"),
        *norm_rules(f"{layer}output.LayerNorm", f"{block}feed_forward_norms.residual"),
    ]


def embedding_rules(prefix: str) -> list[Rule]:
    """The embedding, and the buffers that older releases stored beside it."""
    return [
        Rename(f"{prefix}embeddings.word_embeddings.weight", "embedding.token.weight"),
        Rename(f"{prefix}embeddings.position_embeddings.weight", "embedding.position.weight"),
        Rename(f"{prefix}embeddings.token_type_embeddings.weight", "embedding.token_type.weight"),
        *norm_rules(f"{prefix}embeddings.LayerNorm", "embedding.norm"),
        Constant(f"{prefix}embeddings.position_ids", _counts_up),
        Constant(f"{prefix}embeddings.token_type_ids", _is_zero),
    ]


def decoder_rules(bias: str, decoder: str, is_tied: bool, has_decoder_bias: bool) -> list[Rule]:
    """The decoder of a masked-LM head whose bias stands under two names.

    Args:
        bias: the bias beside the decoder.
        decoder: the decoder, whose matrix and bias may stand there too.
        is_tied: whether its matrix is the token embedding.
        has_decoder_bias: whether an untied decoder has its bias under its own name.
    """
    if is_tied:
        return [
            Rename(bias, "heads.masked_lm.bias"),
            Copy(f"{decoder}.bias", "heads.masked_lm.bias"),
            Copy(f"{decoder}.weight", "embedding.token.weight"),
        ]
    weight = Rename(f"{decoder}.weight", "heads.masked_lm.decoder.weight")
    if not has_decoder_bias:
        return [weight, Rename(bias, "heads.masked_lm.bias")]
    # transformers 5 computes with the decoder's bias and keeps the other one unused; older releases tie the two.
    copy = Copy(bias, "heads.masked_lm.bias", is_written=True, must_agree=False)
    return [weight, Rename(f"{decoder}.bias", "heads.masked_lm.bias"), copy]


def linear_rules(theirs: str, ours: str) -> list[Rule]:
    """A matrix and its bias."""
    return [Rename(f"{theirs}.{part}", f"{ours}.{part}") for part in ("weight", "bias")]


def norm_rules(theirs: str, ours: str) -> list[Rule]:
    """Folders converted from TensorFlow in early releases call a norm's weight gamma and its bias beta."""
    return [
        Rename(f"{theirs}.weight", f"{ours}.weight", (f"{theirs}.gamma",)),
        Rename(f"{theirs}.bias", f"{ours}.bias", (f"{theirs}.beta",)),
    ]


def _counts_up(tensor: Tensor) -> bool:
    return torch.equal(tensor.flatten(), torch.arange(tensor.numel(), dtype=tensor.dtype))


def _is_zero(tensor: Tensor) -> bool:
    return not tensor.any()
