"""A token computed with a cache is the token computed without one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from groundup.errors import ConfigError
from groundup.model.cache import Cache
from groundup.model.config import LearnedPositions, ModelConfig, RotaryPositions, SinusoidalPositions, Window
from groundup.model.initialize import initialize
from groundup.model.packed import Packed
from groundup.model.transformer import Transformer

POSITIONS = (LearnedPositions(), RotaryPositions(), SinusoidalPositions())


def build(**values: object) -> Transformer:
    plain = {"vocab_size": 50, "hidden_size": 32, "num_layers": 2, "num_heads": 4, "num_kv_heads": 2, "max_length": 16}
    config = ModelConfig(**{**plain, "causal": True, "norm_places": ("input", "final"), **values})
    model = Transformer(config)
    initialize(model, 0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    return model.eval()


@torch.no_grad()
def run_in_parts(model: Transformer, sequences: list[np.ndarray], cuts: list[list[int]]) -> list[torch.Tensor]:
    """Hidden states of every sequence, computed in as many parts as there are cuts."""
    cache = Cache(model.config, len(sequences))
    found: list[list[torch.Tensor]] = [[] for _ in sequences]
    for part in range(len(cuts[0]) - 1):
        new = [torch.tensor(ids[cut[part] : cut[part + 1]]) for ids, cut in zip(sequences, cuts, strict=True)]
        hidden = model(cache.pack(new), cache=cache)
        for rows, piece in zip(found, hidden.split([len(each) for each in new]), strict=True):
            rows.append(piece)
    assert cache.lengths.tolist() == [cut[-1] for cut in cuts]
    return [torch.cat(rows) for rows in found]


VARIANTS = (
    *({"position": position, "shifted_kv_heads": shifted} for position in POSITIONS for shifted in (0, 1, 2)),
    {"window": Window(size=3)},
    {"window": Window(size=3, layers=(1,), base=50.0), "position": RotaryPositions(), "attention_scale": 0.9},
)


@pytest.mark.parametrize("values", VARIANTS, ids=str)
def test_parts_give_what_the_whole_gives(values: dict) -> None:
    model = build(**values)
    draw = np.random.default_rng(0)
    sequences = [draw.integers(0, 50, length) for length in (16, 9, 12)]
    with torch.no_grad():
        whole = model(Packed.from_sequences(sequences)).split([16, 9, 12])
    cuts = [[0, 5, 6, 7, 16], [0, 1, 2, 3, 9], [0, 9, 10, 11, 12]]
    for expected, found in zip(whole, run_in_parts(model, sequences, cuts), strict=True):
        assert torch.allclose(expected, found, atol=1e-5)
    # The control: a cache that belongs to other tokens gives something else.
    sequences[0] = sequences[0][::-1].copy()
    assert not torch.allclose(whole[0][6], run_in_parts(model, sequences, cuts)[0][6], atol=1e-3)


def test_selected_sequences_go_on() -> None:
    model = build()
    draw = np.random.default_rng(1)
    sequences = [draw.integers(0, 50, 6) for _ in range(3)]
    with torch.no_grad():
        whole = model(Packed.from_sequences(sequences)).split(6)
        cache = Cache(model.config, 3)
        model(cache.pack([torch.tensor(ids[:5]) for ids in sequences]), cache=cache)
        cache.select([2, 0, 2])
        last = model(cache.pack([torch.tensor(sequences[number][5:]) for number in (2, 0, 2)]), cache=cache)
    for found, number in zip(last, (2, 0, 2), strict=True):
        assert torch.allclose(found, whole[number][5], atol=1e-5)


def test_an_encoder_has_no_cache() -> None:
    config = ModelConfig(vocab_size=10, hidden_size=8, num_heads=2)
    with pytest.raises(ConfigError, match=r"model\.causal: only a decoder stack"):
        Cache(config, 1)
