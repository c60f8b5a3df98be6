"""Qwen2 and Qwen2.5 (Yang et al. 2024) as Hugging Face stores them: a Llama with biases on q, k and v alone."""

from __future__ import annotations

from typing import Final

from groundup.families.llama_like import LlamaLike
from groundup.families.windows import WINDOWS_BY_LAYER

QWEN2: Final = LlamaLike(
    model_type="qwen2",
    name="Qwen2",
    defaults={
        "vocab_size": 151936,
        "intermediate_size": 22016,
        "num_key_value_heads": 32,
        "max_position_embeddings": 32768,
    },
    design={"attention_bias": True, "attention_output_bias": False},
    windows=WINDOWS_BY_LAYER,
)
