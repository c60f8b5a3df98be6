"""Greedy writing is that of transformers' `generate`, token for token."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from groundup.checkpoint import pretrained
from groundup.decoding.config import Decoding
from groundup.decoding.generate import Writer

VOCAB, NEW = 60, 12


@pytest.fixture(scope="module")
def theirs() -> object:
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=VOCAB, n_positions=64, n_embd=32, n_layer=2, n_head=4, bos_token_id=0, eos_token_id=0, pad_token_id=0
    )
    model = GPT2LMHeadModel(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model


def test_200_prompts_are_continued_alike(theirs: object, tmp_path: Path) -> None:
    theirs.save_pretrained(tmp_path / "gpt2")
    ours = pretrained.load(tmp_path / "gpt2").model.eval()
    draw = np.random.default_rng(0)
    prompts = [draw.integers(1, VOCAB, draw.integers(1, 40)) for _ in range(200)]
    written = Writer(ours, lambda ids: "", end_id=0).write(prompts, Decoding(max_tokens=NEW))
    for prompt, found in zip(prompts, written, strict=True):
        ids = torch.tensor(prompt)[None]
        with torch.no_grad():
            whole = theirs.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=NEW, do_sample=False)
        expected = whole[0, len(prompt) :].tolist()
        assert list(found.token_ids) == [each for each in expected if each != 0]
    # The control: greedy answers hang on every weight.
    with torch.no_grad():
        ours.embedding.position.weight.copy_(ours.embedding.position.weight.flip(0))
    assert Writer(ours, lambda ids: "", end_id=0).write(prompts, Decoding(max_tokens=NEW)) != written
