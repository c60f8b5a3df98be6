"""Tiny models of transformers that are built as Llama is: Llama itself, Mistral, Qwen2 and Qwen3."""

from __future__ import annotations

import pytest
import torch
from decoder_peers import VOCAB_SIZE, perturb

transformers = pytest.importorskip("transformers")

SIZES = {
    "vocab_size": VOCAB_SIZE,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "max_position_embeddings": 32,
    "rms_norm_eps": 1e-3,
    "rope_parameters": {"rope_type": "default", "rope_theta": 500.0},
}
OWN = {
    "Llama": {},
    "Mistral": {"sliding_window": 4},
    "Qwen2": {"use_sliding_window": True, "sliding_window": 4, "max_window_layers": 1},
    "Qwen3": {"head_dim": 12, "use_sliding_window": True, "sliding_window": 4, "max_window_layers": 2},
}
"""Windows are shorter than most of the sequences, and in Qwen's models some layers have none."""
ARCHITECTURES = ("LlamaModel", "LlamaForCausalLM")


def build_peer(architecture: str = "LlamaForCausalLM", **values: object) -> torch.nn.Module:
    """A tiny random model of which no parameter is left at its neutral value."""
    torch.manual_seed(0)
    name = architecture.removesuffix("Model").removesuffix("ForCausalLM")
    config = getattr(transformers, f"{name}Config")(**{**SIZES, **OWN[name], **values})
    return perturb(getattr(transformers, architecture)(config))
