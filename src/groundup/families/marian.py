"""Marian (Junczys-Dowmunt et al. 2018) as Hugging Face stores it: the encoder-decoder of 2017, here of OPUS-MT."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from groundup.families.bart import BartLike
from groundup.model.config import SinusoidalPositions
from groundup.model.position import sinusoids

_POSITION: Final = SinusoidalPositions(layout="halves", scale_embedding=False)


def _is_table(stored: Tensor) -> bool:
    """Some folders hold the sines, computed in float64 and rounded."""
    if stored.dim() != 2 or not stored.is_floating_point():
        return False
    expected = sinusoids(*stored.shape, _POSITION.base, torch.device("cpu"), _POSITION.layout)
    return torch.allclose(stored.float(), expected, atol=2 * torch.finfo(stored.dtype).eps)


MARIAN: Final = BartLike(
    model_type="marian",
    architectures={"MarianModel": False, "MarianMTModel": True},
    vocab_size=58101,
    pad_token_id=58100,
    has_embedding_norm=False,
    position=_POSITION,
    is_table=_is_table,
    own_keys={"share_encoder_decoder_embeddings": True},
)
