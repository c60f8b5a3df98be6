"""A small model in float64 under the head of a task, for tests that compute its formula by hand."""

from __future__ import annotations

from typing import Any

from groundup.model.config import Dropout, ModelConfig
from groundup.model.initialize import initialize
from groundup.model.transformer import Transformer


def make_task_model(task: Any) -> Transformer:
    """One layer without dropout, with weights so large that answers differ."""
    config = ModelConfig(
        vocab_size=task.tokenizer.vocab_size,
        hidden_size=16,
        num_layers=1,
        num_heads=2,
        intermediate_size=32,
        max_length=64,
        dropout=Dropout(embedding=0.0, attention=0.0, residual=0.0),
        initializer_range=0.5,
        heads=(task.head,),
    )
    model = Transformer(config)
    initialize(model, 0)
    return model.double().eval()
