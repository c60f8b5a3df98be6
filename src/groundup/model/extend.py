"""A model whose vocabulary has grown: new rows start where the words that they stand for were written before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from groundup.model.transformer import Transformer


def extend_vocabulary(model: Transformer, pieces: Mapping[int, Sequence[int]], vocab_size: int) -> Transformer:
    """The model with `vocab_size` rows; each row named in `pieces` is the mean of the rows it is made of.

    That goes for the embedding, for a decoder of its own and for the biases of the vocabulary. A row that is made of
    none, such as that of a character unknown so far, is the mean of all (Hewitt 2021).

    Args:
        model: on the CPU; not changed.
        pieces: of each new id, the old ids; rows that are neither old nor new do not occur.
        vocab_size: at least that of the model.
    """
    old_size = model.config.vocab_size
    grown = Transformer(model.config.model_copy(update={"vocab_size": max(vocab_size, old_size)}))
    old = dict(model.named_parameters())
    with torch.no_grad():
        for name, parameter in grown.named_parameters():
            if parameter.shape == old[name].shape and not _has_rows(name):
                parameter.copy_(old[name])
            else:
                parameter.copy_(_extend_rows(old[name], pieces, parameter))
    return grown.train(model.training)


def _has_rows(name: str) -> bool:
    """Whether a parameter has a row, or a number, for each entry of the vocabulary."""
    return name == "embedding.token.weight" or (
        name.startswith("heads.") and name.endswith(("_lm.bias", "_lm.decoder.weight"))
    )


def _extend_rows(old: Tensor, pieces: Mapping[int, Sequence[int]], like: Tensor) -> Tensor:
    rows = torch.empty_like(like)
    rows[: len(old)] = old
    everywhere = [index for index in range(len(old)) if index not in pieces]
    mean = old[everywhere].mean(dim=0)
    for index, made_of in pieces.items():
        rows[index] = old[list(made_of)].mean(dim=0) if made_of else mean
    return rows
