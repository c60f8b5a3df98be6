"""The tensor names of BERT's folders, with and without a prefix, and their older spellings."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor

from groundup.families.keymap import Constant, Copy, Rename, Rule


def find_prefix(names: Collection[str]) -> str:
    """What a folder puts before the names of the stack: a stack alone has no prefix."""
    return "bert." if any(name.startswith("bert.") for name in names) else ""


def build_rules(prefix: str, classifier: str | None, is_tied: bool, has_decoder_bias: bool) -> tuple[Rule, ...]:
    """The rules of one folder.

    Args:
        prefix: what stands before the names of the stack.
        classifier: the kind of head that the tensors named `classifier` are.
        is_tied: whether the decoder of the masked-LM head is the token embedding.
        has_decoder_bias: whether an untied decoder has its bias under its own name.
    """
    layer, block = f"{prefix}encoder.layer.{{i}}.", "blocks.{i}."
    rules: list[Rule] = [
        Rename(f"{prefix}embeddings.word_embeddings.weight", "embedding.token.weight"),
        Rename(f"{prefix}embeddings.position_embeddings.weight", "embedding.position.weight"),
        Rename(f"{prefix}embeddings.token_type_embeddings.weight", "embedding.token_type.weight"),
        *_norm(f"{prefix}embeddings.LayerNorm", "embedding.norm"),
        *_linear(f"{layer}attention.self.query", f"{block}attention.q"),
        *_linear(f"{layer}attention.self.key", f"{block}attention.k"),
        *_linear(f"{layer}attention.self.value", f"{block}attention.v"),
        *_linear(f"{layer}attention.output.dense", f"{block}attention.o"),
        *_norm(f"{layer}attention.output.LayerNorm", f"{block}attention_norms.residual"),
        *_linear(f"{layer}intermediate.dense", f"{block}feed_forward.up"),
        *_linear(f"{layer}output.dense", f"{block}feed_forward.down"),
        *_norm(f"{layer}output.LayerNorm", f"{block}feed_forward_norms.residual"),
        *_linear(f"{prefix}pooler.dense", "pooler"),
        *_linear("cls.predictions.transform.dense", "heads.masked_lm.dense"),
        *_norm("cls.predictions.transform.LayerNorm", "heads.masked_lm.norm"),
        *_linear("cls.seq_relationship", "heads.next_sentence.linear"),
        *_linear("qa_outputs", "heads.span.linear"),
        Constant(f"{prefix}embeddings.position_ids", _counts_up),
        Constant(f"{prefix}embeddings.token_type_ids", _is_zero),
    ]
    if classifier is not None:
        rules += _linear("classifier", f"heads.{classifier}.linear")
    return (*rules, *_decoder(is_tied, has_decoder_bias))


def _decoder(is_tied: bool, has_decoder_bias: bool) -> list[Rule]:
    bias, decoder = "cls.predictions.bias", "cls.predictions.decoder"
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


def _linear(theirs: str, ours: str) -> list[Rule]:
    return [Rename(f"{theirs}.{part}", f"{ours}.{part}") for part in ("weight", "bias")]


def _norm(theirs: str, ours: str) -> list[Rule]:
    """Folders converted from TensorFlow in early releases call a norm's weight gamma and its bias beta."""
    return [
        Rename(f"{theirs}.weight", f"{ours}.weight", (f"{theirs}.gamma",)),
        Rename(f"{theirs}.bias", f"{ours}.bias", (f"{theirs}.beta",)),
    ]


def _counts_up(tensor: Tensor) -> bool:
    return torch.equal(tensor.flatten(), torch.arange(tensor.numel(), dtype=tensor.dtype))


def _is_zero(tensor: Tensor) -> bool:
    return not tensor.any()
