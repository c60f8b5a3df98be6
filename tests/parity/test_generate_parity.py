"""Greedy writing is that of transformers' `generate`, token for token, for every family that decodes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from groundup.checkpoint import pretrained
from groundup.decoding.config import Decoding
from groundup.decoding.generate import Writer
from groundup.model.config import RotaryPositions
from groundup.model.transformer import Transformer

transformers = pytest.importorskip("transformers")

VOCAB, NEW = 60, 12
ENDS = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}


def build_gpt2() -> torch.nn.Module:
    config = transformers.GPT2Config(vocab_size=VOCAB, n_positions=64, n_embd=32, n_layer=2, n_head=4, **ENDS)
    return transformers.GPT2LMHeadModel(config)


def build_llama() -> torch.nn.Module:
    config = transformers.LlamaConfig(
        vocab_size=VOCAB,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        **ENDS,
    )
    return transformers.LlamaForCausalLM(config)


def move_positions(ours: Transformer) -> None:
    ours.embedding.position.weight.copy_(ours.embedding.position.weight.flip(0))


def turn_otherwise(ours: Transformer) -> None:
    ours.embedding.position.values = RotaryPositions(base=100.0)


FAMILIES: dict[str, tuple[Callable[[], torch.nn.Module], Callable[[Transformer], None]]] = {
    "gpt2": (build_gpt2, move_positions),
    "llama": (build_llama, turn_otherwise),
}
"""A model of transformers, and how ours forgets where its tokens stand."""


@pytest.mark.parametrize("family", FAMILIES)
def test_200_prompts_are_continued_alike(family: str, tmp_path: Path) -> None:
    build, spoil = FAMILIES[family]
    torch.manual_seed(0)
    theirs = build().eval()
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    theirs.save_pretrained(tmp_path / family)
    ours = pretrained.load(tmp_path / family).model.eval()
    draw = np.random.default_rng(0)
    prompts = [draw.integers(1, VOCAB, draw.integers(1, 40)) for _ in range(200)]
    written = Writer(ours, lambda ids: "", end_id=0).write(prompts, Decoding(max_tokens=NEW))
    ended = 0
    for prompt, found in zip(prompts, written, strict=True):
        ids = torch.tensor(prompt)[None]
        with torch.no_grad():
            whole = theirs.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=NEW, do_sample=False)
        expected = whole[0, len(prompt) :].tolist()
        assert list(found.token_ids) == [each for each in expected if each != 0]
        ended += expected[-1] == 0
    assert 0 < ended < len(prompts), "some write their end, some are cut off"
    # The control: greedy answers hang on where a token stands.
    with torch.no_grad():
        spoil(ours)
    assert Writer(ours, lambda ids: "", end_id=0).write(prompts, Decoding(max_tokens=NEW)) != written
