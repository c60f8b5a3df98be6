"""What is written is what transformers' `generate` writes, token for token, for every family that decodes."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest
import torch
from writing_peers import FAMILIES, Answer, Pair, draw_prompts, generate, load_pair, read

from groundup.decoding.config import Decoding

NEW = 12
SEARCHES = [
    {"num_beams": beams, "length_penalty": penalty, "early_stopping": stopping}
    for beams, penalty, stopping in product((2, 3, 4), (0.6, 1.0, 2.0), (True, False, "never"))
]


QUICK = ("gpt2", "mistral", "t5", "bart")
"""One of each kind: learned and rotary positions under a window, distances in buckets, an encoder of either norm."""


@pytest.fixture(
    scope="module", params=[pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in FAMILIES]
)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return load_pair(request.param, tmp_path_factory.mktemp("folder"))


def spoil(request: pytest.FixtureRequest, pair: Pair, folder: Path) -> Pair:
    """Ours has forgotten where its tokens stand."""
    family = request.node.callspec.params["pair"]
    other = load_pair(family, folder)
    with torch.no_grad():
        FAMILIES[family][1](other.ours)
    return other


def test_200_prompts_are_continued_alike(pair: Pair, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    prompts = draw_prompts(200)
    found = read(pair.write(prompts, Decoding(max_tokens=NEW)))
    assert found == generate(pair.theirs, prompts)
    assert 0 < sum(each.is_ended for each in found) < len(prompts), "some write their end, some are cut off"
    assert read(spoil(request, pair, tmp_path).write(prompts, Decoding(max_tokens=NEW))) != found


@pytest.mark.parametrize("count", [pytest.param(200, marks=pytest.mark.slow), 2 * len(SEARCHES)])
def test_prompts_are_searched_alike(pair: Pair, count: int, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Each way to search on some of them: all beams that are left, in their order, with their scores."""
    prompts, spoiled = draw_prompts(count, longest=6), spoil(request, pair, tmp_path)
    ended = answers = differences = 0
    for number, settings in enumerate(SEARCHES):
        some, beams = prompts[number :: len(SEARCHES)], settings["num_beams"]
        decoding = Decoding(max_tokens=NEW, num_return=beams, **settings)
        found = read(pair.write(some, decoding))
        expected = generate(pair.theirs, some, num_return_sequences=beams, **settings)
        assert are_alike(found, expected), settings
        differences += not are_alike(read(spoiled.write(some, decoding)), expected)
        ended, answers = ended + sum(each.is_ended for each in found), answers + len(found)
    assert differences == len(SEARCHES)
    assert 0.05 * answers < ended < 0.9 * answers, "some write their end, some are cut off"


def test_every_setting_of_a_search_matters(tmp_path: Path) -> None:
    """Were one of them ignored, the answers above would be alike by chance."""
    pair, prompts = load_pair("gpt2", tmp_path), draw_prompts(60, longest=6)
    plain = {"num_beams": 3, "length_penalty": 2.0, "early_stopping": False}
    found = read(pair.write(prompts, Decoding(max_tokens=NEW, **plain)))
    for change in ({"num_beams": 2}, {"length_penalty": 1.0}, {"early_stopping": True}, {"early_stopping": "never"}):
        assert not are_alike(found, read(pair.write(prompts, Decoding(max_tokens=NEW, **plain | change)))), change


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"repetition_penalty": 1.4}, {"repetition_penalty": 1.4}),
        ({"no_repeat_ngram": 1}, {"no_repeat_ngram_size": 1}),
        ({"repetition_penalty": 0.8, "no_repeat_ngram": 2}, {"repetition_penalty": 0.8, "no_repeat_ngram_size": 2}),
    ],
)
@pytest.mark.parametrize("beams", [1, 3])
def test_repetition_is_restrained_alike(pair: Pair, ours: dict, theirs: dict, beams: int) -> None:
    prompts = draw_prompts(20, longest=4)
    found = read(pair.write(prompts, Decoding(max_tokens=NEW, num_beams=beams, **ours)))
    assert are_alike(found, generate(pair.theirs, prompts, num_beams=beams, **theirs))
    assert not are_alike(found, read(pair.write(prompts, Decoding(max_tokens=NEW, num_beams=beams))))


def are_alike(ours: list[Answer], theirs: list[Answer]) -> bool:
    """The same tokens and ends, and scores equal to 1e-5."""
    assert len(ours) == len(theirs)
    return all(
        one[:2] == other[:2] and one.score == (None if other.score is None else pytest.approx(other.score, abs=1e-5))
        for one, other in zip(ours, theirs, strict=True)
    )
