"""Our models behind transformers' interface, and batches as its users hand them in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

pytest.importorskip("transformers")

import groundup.integrations.transformers
from groundup.checkpoint import pretrained
from groundup.families.native import NATIVE
from groundup.integrations.auto_config import GroundupConfig
from groundup.integrations.auto_models import MODELS, GroundupPreTrainedModel
from groundup.model.config import ModelConfig, RMSNormConfig, RotaryPositions
from groundup.model.initialize import initialize
from groundup.model.transformer import Transformer

groundup.integrations.transformers.register()

UNLIKE_ANY = {
    "vocab_size": 26,
    "hidden_size": 32,
    "num_layers": 2,
    "num_heads": 4,
    "num_kv_heads": 2,
    "intermediate_size": 48,
    "max_length": 40,
    "position": RotaryPositions(),
    "norm": RMSNormConfig(eps=1e-5),
    "norm_places": ("input", "output", "final"),
    "initializer_range": 0.3,
    "padding_id": None,
}
"""A design that no class of transformers expresses."""


def build(**values: object) -> Transformer:
    model = Transformer(ModelConfig(**{**UNLIKE_ANY, **values}))
    initialize(model, 0)
    return model.eval()


def wrap(auto: str, model: Transformer) -> GroundupPreTrainedModel:
    """The same weights as the class of transformers' `auto` opens them."""
    wrapped = MODELS[auto](GroundupConfig(**NATIVE.from_config(model.config)))
    wrapped.model.load_state_dict(model.state_dict())
    return wrapped.eval()


def save(folder: Path, model: Transformer, **values: object) -> Path:
    pretrained.save(folder, model, **{"tokenizer_files": {}, "manifest": {}, "card": "", **values})
    return folder


def pad(ids: Sequence[np.ndarray], *, left: bool = False, fill: int = 0) -> dict[str, Tensor]:
    longest = max(map(len, ids))
    padded = torch.full((len(ids), longest), fill)
    mask = torch.zeros_like(padded)
    for row, each in enumerate(ids):
        columns = slice(longest - len(each), None) if left else slice(len(each))
        padded[row, columns], mask[row, columns] = torch.from_numpy(each), 1
    return {"input_ids": padded, "attention_mask": mask}


def draw(*lengths: int, vocab: int = 26) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.integers(0, vocab, length) for length in lengths]
