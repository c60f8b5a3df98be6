"""Spans masked together, and a masking rate that falls in the course of training."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from groundup.config import parse
from groundup.errors import ConfigError
from groundup.language.segment import Jieba, NoSegmenter
from groundup.objectives.masked import Masked, MaskedObjective
from groundup.objectives.protocol import Batch, Paced
from groundup.objectives.rate import FallingRate, rate_at
from groundup.objectives.spans import SpanLengths, cut_spans
from groundup.text.sample import Sample
from groundup.text.tokenizer import Tokenizer

NUM_DRAWS = 10_000
ENGLISH = "a slow film that finds its feet in the last half hour one of the best films of the year"
CHINESE = "这部电影节奏很慢但是结尾非常好看今年最好的电影之一"


def spans(tokenizer: Tokenizer, **changed: object) -> MaskedObjective:
    return Masked(unit="span", **changed).build(tokenizer)


def asked(objective: MaskedObjective, text: str, num_draws: int = NUM_DRAWS) -> tuple[Batch, np.ndarray]:
    """Of each draw, which tokens of a text are asked for."""
    ids = objective.tokenizer.encode(text).input_ids
    batch = objective.prepare([Sample(number, ids) for number in range(num_draws)], seed=0, epoch=0)
    is_asked = np.zeros(batch.packed.num_tokens, dtype=bool)
    is_asked[batch.targets["rows"].numpy()] = True
    return batch, is_asked.reshape(num_draws, -1)[:, 1:-1]


def count_runs(rows: np.ndarray) -> np.ndarray:
    """How many runs of each length all rows have together."""
    edges = np.diff(np.pad(rows, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    sizes = np.argwhere(edges == -1)[:, 1] - np.argwhere(edges == 1)[:, 1]
    return np.bincount(sizes, minlength=rows.shape[1] + 1)


def test_lengths_are_those_of_the_paper() -> None:
    shares = SpanLengths().shares
    assert SpanLengths().mean == pytest.approx(3.8, abs=0.01)
    assert shares[0] == pytest.approx(0.2 / (1 - 0.8**10)) and len(shares) == 10
    words = np.repeat(np.arange(4000), 50)
    positions = np.tile(np.arange(50), 4000)
    is_first = cut_spans(words, words, positions, SpanLengths(), seed=0, epoch=0)
    assert is_first[::50].all()
    starts = np.flatnonzero(is_first)
    sizes = np.diff(starts)[(starts[:-1] % 50) < 40]  # those that the end of their sequence cannot have cut
    np.testing.assert_allclose(np.bincount(sizes, minlength=11)[1:] / len(sizes), shares, atol=0.005)


@pytest.mark.parametrize("text", [ENGLISH, CHINESE], ids=["english", "chinese"])
@pytest.mark.parametrize("segmenter", [None, Jieba(), NoSegmenter()], ids=["tokens", "jieba", "none"])
def test_the_share_is_the_asked_one_and_every_sentence_within_a_word_of_it(
    tokenizer: Tokenizer, text: str, segmenter: Jieba | NoSegmenter | None
) -> None:
    objective = spans(tokenizer, segmenter=segmenter)
    _, rows = asked(objective, text)
    assert rows.mean() == pytest.approx(0.15, rel=0.01)
    ids, longest = tokenizer.encode(text).input_ids.astype(np.int64), 1
    if segmenter is not None:
        firsts = np.flatnonzero(objective._finder.find_starts(ids, [len(ids)]))
        longest = np.diff(firsts).max()
        words = np.cumsum(np.isin(np.arange(len(ids)), firsts))[1:-1]
        inside = np.stack([rows[:, words == word].mean(axis=1) for word in np.unique(words)])
        assert np.isin(inside, (0, 1)).all(), "all of a word, or nothing of it"
    assert (np.abs(rows.sum(axis=1) - 0.15 * rows.shape[1]) < longest).all()
    assert np.abs(rows.mean(axis=0) - 0.15).max() < 0.0143, "every token equally likely"


@pytest.mark.parametrize("rate", [0.15, 0.4])
def test_runs_are_as_long_as_in_a_plain_reference(tokenizer: Tokenizer, rate: float) -> None:
    """The same in words, one sequence after another, with Python's own random numbers."""
    text = "的".join("这部电影节奏很慢但是结尾")
    num_words = len(text)
    _, rows = asked(spans(tokenizer, rate=rate), text)
    assert rows.shape[1] == num_words
    draw, sizes, shares = random.Random(0), range(1, 11), SpanLengths().shares.tolist()
    expected = np.zeros((NUM_DRAWS, num_words), dtype=bool)
    for row in expected:
        cuts, left = [], num_words
        while left:
            cuts.append(min(left, draw.choices(sizes, shares)[0]))
            left -= cuts[-1]
        starts = np.cumsum([0, *cuts[:-1]])
        order = draw.sample(range(len(cuts)), len(cuts))
        circle = [word for span in order for word in range(starts[span], starts[span] + cuts[span])]
        start, length = draw.random() * num_words, rate * num_words
        row[[word for place, word in enumerate(circle) if (place - start) % num_words < length]] = True
    found, wanted = count_runs(rows) / NUM_DRAWS, count_runs(expected) / NUM_DRAWS
    np.testing.assert_allclose(found, wanted, atol=0.025)
    single = count_runs(asked(Masked(rate=rate).build(tokenizer), text)[1]) / NUM_DRAWS
    assert np.abs(single - wanted).max() > 0.3, "single tokens make other runs"


def test_a_span_shares_its_fate(tokenizer: Tokenizer) -> None:
    """Inside a span all is hidden, replaced or kept; so it is for four neighbours in five, not for two in three."""
    batch, rows = asked(spans(tokenizer, rate=0.3, span=SpanLengths(p=0.01, longest=10)), CHINESE)
    seen = batch.packed.input_ids.numpy().reshape(NUM_DRAWS, -1)[:, 1:-1]
    is_hidden = seen == tokenizer.mask_id
    assert is_hidden[rows].mean() == pytest.approx(0.8, abs=0.01)
    both = rows[:, 1:] & rows[:, :-1]
    assert (is_hidden[:, 1:] & is_hidden[:, :-1])[both].mean() > 0.74
    _, single = asked(Masked(rate=0.3).build(tokenizer), CHINESE)
    assert (rows[:, 1:] & rows[:, :-1]).sum() > 2 * (single[:, 1:] & single[:, :-1]).sum()


def test_what_is_masked_depends_on_seed_epoch_and_sample_alone(tokenizer: Tokenizer, many: list[Sample]) -> None:
    objective = spans(tokenizer)

    def places(batch: Batch) -> set[tuple[int, int]]:
        sequences = np.repeat(batch.samples, batch.packed.lengths)[batch.targets["rows"].numpy()]
        return set(zip(sequences.tolist(), batch.packed.position_ids[batch.targets["rows"]].tolist(), strict=True))

    whole = places(objective.prepare(many[:40], seed=5, epoch=1))
    apart = set().union(*(places(objective.prepare([sample], seed=5, epoch=1)) for sample in many[39::-1]))
    assert whole == apart
    assert whole != places(objective.prepare(many[:40], seed=5, epoch=2))


@pytest.mark.parametrize("text", ["dull", "无聊"])
def test_a_text_shorter_than_a_span_is_hidden_as_often_as_others(tokenizer: Tokenizer, text: str) -> None:
    _, rows = asked(spans(tokenizer, span=SpanLengths(p=0.01, longest=50)), text)
    assert rows.mean() == pytest.approx(0.15, abs=0.012)
    empty = np.array([*tokenizer.prefix_ids, *tokenizer.suffix_ids], dtype=np.int32)
    assert spans(tokenizer).prepare([Sample(0, empty)], seed=0, epoch=0).count == 0


def test_special_tokens_in_a_text_are_never_asked_for(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("dull [MASK] 无聊 [SEP] 无聊").input_ids
    batch = spans(tokenizer, rate=1.0).prepare([Sample(0, ids)], seed=0, epoch=0)
    assert not np.isin(batch.targets["labels"].numpy(), list(tokenizer.special_ids)).any()
    assert batch.count == (~np.isin(ids, list(tokenizer.special_ids))).sum()


def test_span_settings_are_for_spans(tokenizer: Tokenizer) -> None:
    with pytest.raises(ValidationError, match="span: is for unit: span, got it with unit: word"):
        Masked(unit="word", span=SpanLengths())
    with pytest.raises(ConfigError, match=r"span\.p"):
        parse(Masked, {"unit": "span", "span": {"p": 0.0}})
    signature = {"nll": np.ones(4), "correct": np.ones(4, dtype=bool), "sample": np.arange(4)}
    found = spans(tokenizer).score(signature, ())["loss"].signature
    assert found.startswith("masked spans (p=0.2, at most 10) of tokens,")


def test_the_rate_falls_with_the_progress_of_training(tokenizer: Tokenizer, many: list[Sample]) -> None:
    objective = Masked(rate=FallingRate(start=0.4, end=0.1)).build(tokenizer)
    assert isinstance(objective, Paced)
    words = sum(len(sample.input_ids) - 2 for sample in many)
    for progress, expected in ((0.0, 0.4), (0.5, 0.25), (1.0, 0.1)):
        assert rate_at(objective.config.rate, progress) == pytest.approx(expected)
        count = objective.prepare_at(many, 0, 0, progress).count
        assert count / words == pytest.approx(expected, rel=0.02)
    last, evaluated = objective.prepare_at(many, 0, 3, 1.0), objective.prepare(many, 0, 3)
    assert torch.equal(last.targets["rows"], evaluated.targets["rows"])
    constant = Masked(rate=0.1).build(tokenizer).prepare(many, 0, 3)
    assert torch.equal(constant.packed.input_ids, evaluated.packed.input_ids)
    assert (
        "rate=0.1,"
        in objective.score({"nll": np.ones(4), "correct": np.ones(4, dtype=bool), "sample": np.arange(4)}, ())[
            "loss"
        ].signature
    )


def test_a_rate_that_does_not_fall_or_masks_nothing_is_refused() -> None:
    assert parse(Masked, {"rate": {"start": 0.3, "end": 0.15}}).rate == FallingRate()
    for rate in ({"start": 0.15, "end": 0.3}, {"start": 0.2, "end": 0.2}):
        with pytest.raises(ConfigError, match="start: must be more than end"):
            parse(Masked, {"rate": rate})
    for rate in ({"start": 0.3, "end": 0.0}, {"start": 1.3}, {"from": 0.3}, 0.0, "0.3"):
        with pytest.raises(ConfigError, match="rate"):
            parse(Masked, {"rate": rate})
