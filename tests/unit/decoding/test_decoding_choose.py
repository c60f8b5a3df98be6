"""What is drawn follows the distribution, and depends on seed, prompt and step alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from groundup.config import parse
from groundup.decoding.choose import choose, distribution
from groundup.decoding.config import Decoding
from groundup.errors import ConfigError

MIN_P = {"temperature": 1.5, "top_k": 20, "top_p": 0.95, "min_p": 0.1}


def draw_logits(rows: int = 4, vocab: int = 30) -> torch.Tensor:
    return 2.0 * torch.randn(rows, vocab, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("values", [{"temperature": 0.7}, {"temperature": 1.3, "top_k": 7}, {"top_p": 0.6}, MIN_P])
def test_the_distribution_is_that_of_transformers(values: dict) -> None:
    from transformers import (
        LogitsProcessorList,
        MinPLogitsWarper,
        TemperatureLogitsWarper,
        TopKLogitsWarper,
        TopPLogitsWarper,
    )

    decoding = Decoding(**{"temperature": 1.0, **values})
    theirs = LogitsProcessorList([TemperatureLogitsWarper(decoding.temperature)])
    if decoding.top_k is not None:
        theirs.append(TopKLogitsWarper(decoding.top_k))
    if decoding.top_p is not None:
        theirs.append(TopPLogitsWarper(decoding.top_p))
    if decoding.min_p is not None:
        theirs.append(MinPLogitsWarper(decoding.min_p))
    logits = draw_logits()
    expected = theirs(torch.zeros(4, 1, dtype=torch.int64), logits.double()).softmax(-1)
    shares, order = distribution(logits, decoding)
    assert torch.allclose(shares, expected.gather(-1, order), atol=1e-6)
    other, order = distribution(logits, decoding.model_copy(update={"temperature": 2.0}))
    assert not torch.allclose(other, expected.gather(-1, order), atol=1e-2)


def test_draws_are_as_frequent_as_probable() -> None:
    logits = draw_logits(1, 5).expand(20_000, 5)
    decoding = Decoding(temperature=1.0, top_k=4)
    tokens = choose(logits, decoding, np.arange(20_000), step=3)
    shares, order = distribution(logits[:1], decoding)
    found = torch.bincount(tokens, minlength=5)[order[0]] / 20_000
    assert torch.allclose(found.double(), shares[0], atol=4 * 0.5 / 20_000**0.5)
    assert found[-1] == 0


def test_a_draw_depends_on_seed_prompt_and_step_alone() -> None:
    logits, decoding = draw_logits(50), Decoding(temperature=1.0, seed=5)
    numbers = np.arange(50)
    together = choose(logits, decoding, numbers, step=2)
    alone = [
        choose(logits[number : number + 1], decoding, numbers[number : number + 1], 2).item() for number in numbers
    ]
    assert together.tolist() == alone
    assert together.tolist() != choose(logits, decoding, numbers, step=3).tolist()
    assert together.tolist() != choose(logits, decoding, numbers + 50, step=2).tolist()
    assert together.tolist() != choose(logits, Decoding(temperature=1.0, seed=6), numbers, step=2).tolist()


def test_greedy_takes_the_most_likely() -> None:
    logits = draw_logits()
    assert choose(logits, Decoding(), np.arange(4), 0).tolist() == logits.argmax(-1).tolist()
    assert choose(logits, Decoding(temperature=1.0, top_k=1), np.arange(4), 0).tolist() == logits.argmax(-1).tolist()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"top_k": 5}, "top_k: does nothing at temperature 0"),
        ({"top_p": 0.5}, "top_p: does nothing at temperature 0"),
        ({"min_p": 0.5}, "min_p: does nothing at temperature 0"),
        ({"temperature": 1.0, "min_p": 1.5}, "min_p"),
        ({"repetition_penalty": 0.0}, "repetition_penalty"),
        ({"no_repeat_ngram": 0}, "no_repeat_ngram"),
        ({"num_beams": 0}, "num_beams"),
        ({"num_beams": 2, "temperature": 1.0}, "num_beams: a search draws nothing, got 2 with temperature 1"),
        ({"length_penalty": 0.6}, "length_penalty: does nothing without beams, got 0.6; set num_beams"),
        ({"early_stopping": True}, "early_stopping: does nothing without beams"),
        ({"early_stopping": "sometimes", "num_beams": 2}, "early_stopping"),
        ({"num_return": 2}, "num_return: num_beams gives 1 and temperature 0 no more, got 2"),
        ({"num_return": 4, "num_beams": 3}, "num_return: num_beams gives 3"),
        ({"temperature": 1.0, "top_p": 1.5}, "top_p"),
        ({"temperature": -1.0}, "temperature"),
        ({"stop": [""]}, "stop"),
        ({"max_token": 5}, "did you mean 'max_tokens'"),
    ],
)
def test_bad_settings_are_refused(values: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(Decoding, values)
