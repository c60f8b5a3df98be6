"""Llama (Touvron et al. 2023; from 3.1 on with a scaled rotation: Dubey et al. 2024) as Hugging Face stores it."""

from __future__ import annotations

from typing import Final

from groundup.families.llama_like import LlamaLike

LLAMA: Final = LlamaLike(
    model_type="llama",
    name="Llama",
    biases={"attention_bias": "attention_bias", "feed_forward_bias": "mlp_bias"},
    always={"pretraining_tp": 1},
    is_strict=True,
)
