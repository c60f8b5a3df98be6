"""New rows of a vocabulary: means of the rows they are made of, everything else as it was."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from groundup.model.config import CausalLMHead, MaskedLMHead, ModelConfig
from groundup.model.extend import extend_vocabulary
from groundup.model.initialize import initialize
from groundup.model.packed import Packed
from groundup.model.transformer import Transformer

PIECES = {20: [3, 5], 21: [7], 22: []}


def build(*, is_causal: bool, is_tied: bool) -> Transformer:
    config = ModelConfig(
        vocab_size=20,
        hidden_size=16,
        num_layers=1,
        num_heads=2,
        intermediate_size=20,  # as many as there are entries: no parameter may be taken for one by its shape
        max_length=20,
        causal=is_causal,
        tie_embeddings=is_tied,
        heads=(CausalLMHead(bias=True) if is_causal else MaskedLMHead(),),
    )
    model = Transformer(config)
    initialize(model, 0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    return model.eval()


@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.parametrize("is_tied", [False, True])
def test_rows_are_means_and_old_text_has_its_logits(is_causal: bool, is_tied: bool) -> None:
    model = build(is_causal=is_causal, is_tied=is_tied)
    grown = extend_vocabulary(model, PIECES, 23)
    name = "causal_lm" if is_causal else "masked_lm"
    packed = Packed.from_sequences([np.array([1, 5, 9, 3]), np.array([2, 2])])
    with torch.no_grad():
        before, after = (each.heads[name](each(packed)) for each in (model, grown))
        new = Packed.from_sequences([np.array([20, 21])])
        grown(new)
    assert torch.equal(after[:, :20], before)
    assert after.shape == (6, 23) and grown.config.vocab_size == 23 and not grown.training
    if is_tied or not is_causal:
        weight = grown.embedding.token.weight
        assert torch.allclose(weight[20], (weight[3] + weight[5]) / 2)
    expected = (before[:, 3] + before[:, 5]) / 2
    assert torch.allclose(after[:, 20], expected, atol=1e-6), "a mean of rows gives the mean of logits"
    assert torch.equal(after[:, 21], before[:, 7])
    assert torch.allclose(after[:, 22], before.mean(dim=1), atol=1e-6)
    assert len(model.embedding.token.weight) == 20


def test_rows_that_lay_idle_are_taken() -> None:
    """Some models have more rows than their tokenizer has entries."""
    model = build(is_causal=False, is_tied=True)
    grown = extend_vocabulary(model, {18: [1], 19: [2, 4], 20: []}, 21)
    weight = grown.embedding.token.weight
    assert torch.equal(weight[18], weight[1]) and torch.equal(weight[:18], model.embedding.token.weight[:18])
    assert torch.allclose(weight[20], weight[:18].mean(dim=0))
