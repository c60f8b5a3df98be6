"""Qwen3 (Yang et al. 2025) as Hugging Face stores it: a Llama with norms on queries and keys."""

from __future__ import annotations

from typing import Final

from groundup.families.llama_like import LlamaLike
from groundup.families.windows import WINDOWS_BY_LAYER

QWEN3: Final = LlamaLike(
    model_type="qwen3",
    name="Qwen3",
    defaults={
        "vocab_size": 151936,
        "intermediate_size": 22016,
        "num_key_value_heads": 32,
        "head_dim": 128,
        "max_position_embeddings": 32768,
    },
    design={"qk_norm": True},
    biases={"attention_bias": "attention_bias"},
    windows=WINDOWS_BY_LAYER,
)
