"""Mistral (Jiang et al. 2023) as Hugging Face stores it: a Llama whose tokens may see a window alone."""

from __future__ import annotations

from typing import Final

from groundup.families.llama_like import LlamaLike
from groundup.families.windows import ONE_WINDOW

MISTRAL: Final = LlamaLike(
    model_type="mistral",
    name="Mistral",
    defaults={"intermediate_size": 14336, "num_key_value_heads": 8, "max_position_embeddings": 131072},
    windows=ONE_WINDOW,
)
