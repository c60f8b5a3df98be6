"""Texts are found by what they say: whatever order they come in, each token is read once."""

from __future__ import annotations

import pytest
import torch
from small_decoders import build

from groundup.integrations.recall import Recall
from groundup.model.packed import Packed
from groundup.model.transformer import Transformer

TEXTS = [[1, 2, 3], [4, 5], [6, 7, 8, 9]]


@torch.inference_mode()
def read_plainly(model: Transformer, texts: list[list[int]]) -> torch.Tensor:
    return torch.cat(
        [model.heads["causal_lm"](model(Packed.from_sequences([torch.tensor(ids).numpy()])))[-1:] for ids in texts]
    )


def test_texts_may_change_places_double_and_end(monkeypatch: pytest.MonkeyPatch) -> None:
    model = build()
    recall, read = Recall(model), []
    forward = Transformer.forward
    monkeypatch.setattr(
        Transformer,
        "forward",
        lambda self, packed, **rest: (read.append(packed.num_tokens), forward(self, packed, **rest))[1],
    )
    steps = [
        TEXTS,
        [[*TEXTS[2], 1], [*TEXTS[0], 2], [*TEXTS[2], 3]],
        [[*TEXTS[2], 3, 4], [*TEXTS[2], 1, 4], [*TEXTS[2], 1, 5]],
        [[9, 9], [*TEXTS[0]]],  # unknown texts are read whole
    ]
    found = [recall.next_logits(texts) for texts in steps]
    assert read == [9, 3, 3, 5]
    for texts, logits in zip(steps, found, strict=True):
        assert torch.allclose(logits, read_plainly(model, texts), atol=1e-4)
    assert not found[0].is_inference(), "whoever chooses may change it"
