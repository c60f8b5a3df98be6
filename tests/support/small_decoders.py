"""A small decoder whose tokens are letters."""

from __future__ import annotations

import numpy as np

from groundup.model.config import CausalLMHead, ModelConfig
from groundup.model.initialize import initialize
from groundup.model.transformer import Transformer

VOCAB = 26


def decode(ids: object) -> str:
    return "".join(chr(97 + each) for each in ids)


def build(**values: object) -> Transformer:
    plain = {"vocab_size": VOCAB, "hidden_size": 32, "num_layers": 2, "num_heads": 4, "max_length": 24, "causal": True}
    config = ModelConfig(
        **{**plain, "initializer_range": 0.3, "padding_id": None, "heads": (CausalLMHead(),), **values}
    )
    model = Transformer(config)
    initialize(model, 0)
    return model.eval()


def make_prompts(*lengths: int, vocab: int = VOCAB) -> list[np.ndarray]:
    draw = np.random.default_rng(0)
    return [draw.integers(0, vocab, length) for length in lengths]
