"""Tiny GPT-2 models of transformers."""

from __future__ import annotations

import pytest
import torch
from decoder_peers import VOCAB_SIZE, perturb

transformers = pytest.importorskip("transformers")

SIZES = {
    "vocab_size": VOCAB_SIZE,
    "n_embd": 48,
    "n_layer": 3,
    "n_head": 6,
    "n_inner": 80,
    "n_positions": 32,
    "layer_norm_epsilon": 1e-3,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
ARCHITECTURES = ("GPT2Model", "GPT2LMHeadModel")


def build_peer(architecture: str = "GPT2LMHeadModel", **values: object) -> torch.nn.Module:
    """A tiny random model of which no parameter is left at its neutral value."""
    torch.manual_seed(0)
    return perturb(getattr(transformers, architecture)(transformers.GPT2Config(**{**SIZES, **values})))
