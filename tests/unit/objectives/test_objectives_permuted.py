"""Which tokens are predicted, in which order, from what; segments that remember; what is shown and refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from groundup.config import parse
from groundup.errors import ConfigError, DataError
from groundup.language.segment import Dictionary
from groundup.model.config import Dropout, ModelConfig, PermutedLMHead, RelativePositions
from groundup.model.initialize import initialize
from groundup.model.transformer import Transformer
from groundup.objectives.contexts import choose_in_contexts
from groundup.objectives.masked import fill
from groundup.objectives.permuted import Permuted, PermutedObjective
from groundup.objectives.protocol import Batch
from groundup.recipe import check_stream
from groundup.text.sample import Sample
from groundup.text.tokenizer import Tokenizer


@pytest.fixture
def objective(tokenizer: Tokenizer) -> PermutedObjective:
    return Permuted().build(tokenizer)


@pytest.fixture
def model(tokenizer: Tokenizer) -> Transformer:
    config = ModelConfig(
        vocab_size=tokenizer.vocab_size,
        hidden_size=32,
        num_layers=2,
        num_heads=2,
        intermediate_size=64,
        max_length=64,
        num_token_types=0,
        position=RelativePositions(),
        query_stream=True,
        norm_places=("residual",),
        dropout=Dropout(embedding=0.0, attention=0.0, residual=0.0),
        heads=(PermutedLMHead(),),
        initializer_range=0.2,
    )
    model = Transformer(config)
    initialize(model, 0)
    return model.double().eval()


def orders(batch: Batch) -> list[np.ndarray]:
    return np.split(batch.packed.order.numpy(), np.cumsum(batch.packed.lengths)[:-1])


@pytest.mark.parametrize(("rate", "longest"), [(1 / 6, 5), (0.15, 5), (0.5, 3), (0.9, 4), (1 / 6, 1), (1.0, 5)])
def test_every_place_is_predicted_with_the_asked_probability(rate: float, longest: int) -> None:
    """At the edges of a sequence as in its middle, and in short ones as in long ones."""
    for size in (1, 3, 40):
        count = 40_000 // min(size, 10)
        chosen = choose_in_contexts(np.full(count, size), np.arange(count), longest, rate, seed=1, epoch=2)
        shares = chosen.reshape(count, size).mean(axis=0)
        deviation = np.sqrt(rate * (1 - rate) / count)
        assert np.abs(shares - rate).max() < 4.5 * deviation + 1e-12, (size, shares)


def test_spans_have_all_lengths_equally_often_and_contexts_of_their_own() -> None:
    size, longest = 60_000, 5
    chosen = choose_in_contexts(np.array([size]), np.array([7]), longest, 1 / 12, seed=0, epoch=0)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], chosen, [0]])))
    starts, lengths = edges[::2], edges[1::2] - edges[::2]
    # Two spans touch where one ends its context and the next begins its own: rare in contexts of 12 words a word.
    shares = np.bincount(lengths, minlength=longest + 1)[1 : longest + 1] / len(lengths)
    np.testing.assert_allclose(shares, 0.2, atol=0.025)
    assert (lengths > longest).mean() < 0.03
    gaps = np.diff(starts)
    assert gaps.mean() == pytest.approx(36.0, rel=0.03) and gaps.std() > 10


def test_orders_are_permutations_of_what_is_predicted(objective: PermutedObjective, many: list[Sample]) -> None:
    batch = objective.prepare(many, seed=0, epoch=0)
    rows = batch.targets["rows"].numpy()
    assert (np.flatnonzero(batch.packed.order.numpy()) == rows).all()
    assert torch.equal(batch.packed.input_ids[rows], batch.targets["labels"])
    for sample, ids, order in zip(many, batch.packed.split(), orders(batch), strict=True):
        np.testing.assert_array_equal(ids, sample.input_ids)  # nothing is hidden: who may see it is the order's to say
        assert sorted(order[order > 0]) == list(range(1, np.count_nonzero(order) + 1))
        assert not objective.is_special[ids[torch.from_numpy(order > 0)]].any()
    words = sum(len(sample.input_ids) - 2 for sample in many)
    counts = [objective.prepare(many, seed=0, epoch=epoch).count for epoch in range(10)]
    assert np.mean(counts) / words == pytest.approx(1 / 6, rel=0.02)


def test_every_order_is_equally_likely(tokenizer: Tokenizer) -> None:
    objective = Permuted(rate=1.0).build(tokenizer)
    ids = np.array([*tokenizer.prefix_ids, 20, 21, 22, *tokenizer.suffix_ids], dtype=np.int32)
    batch = objective.prepare([Sample(number, ids) for number in range(6000)], seed=0, epoch=0)
    found = [tuple(order[1:4].tolist()) for order in orders(batch)]
    counts = {each: found.count(each) for each in set(found)}
    assert len(counts) == 6 and min(counts.values()) > 870 and max(counts.values()) < 1130


def test_what_is_drawn_does_not_depend_on_the_batch(objective: PermutedObjective, samples: list[Sample]) -> None:
    whole = orders(objective.prepare(samples, seed=4, epoch=2))
    for number, sample in enumerate(samples):
        alone = objective.prepare([sample], seed=4, epoch=2)
        np.testing.assert_array_equal(alone.packed.order, whole[number])
    assert any((a != b).any() for a, b in zip(whole, orders(objective.prepare(samples, seed=4, epoch=3)), strict=True))


def test_words_are_predicted_as_wholes_in_either_language(tokenizer: Tokenizer, tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("电影 9\n节奏 9\n结尾 9\n非常 9\n好看 9\n", encoding="utf-8")
    config = Permuted(rate=0.4, unit="word", segmenter=Dictionary(path=str(path)))
    objective = config.build(tokenizer)
    texts = [
        "这部电影节奏很慢但是结尾非常好看",
        "an unbelievably slow film that finds its feet",
        "电影 and 节奏 of films",
    ]
    ids = [tokenizer.encode(text).input_ids for text in texts]
    samples = [Sample(number, ids[number % 3]) for number in range(6000)]
    batch = objective.prepare(samples, seed=0, epoch=0)
    starts = objective._finder.find_starts(batch.packed.input_ids.numpy(), batch.packed.lengths)
    is_target = batch.packed.order.numpy() > 0
    words = np.cumsum(starts) - 1
    share = np.bincount(words, weights=is_target) / np.bincount(words)
    assert set(share) == {0.0, 1.0}
    assert (np.bincount(words)[share == 1.0] > 1).any(), "words of several tokens are among them"
    assert is_target.sum() / sum(len(each) - 2 for each in ids) / 2000 == pytest.approx(0.4, rel=0.03)


@pytest.mark.parametrize("segment_length", [None, 4])
def test_a_prediction_knows_what_is_before_it_in_the_order_alone(
    tokenizer: Tokenizer, model: Transformer, segment_length: int | None
) -> None:
    config = Permuted(rate=0.5, max_length=64, segment_length=segment_length)
    objective = config.build(tokenizer)
    sample = Sample(3, tokenizer.encode("a slow film that finds its feet in the last half hour").input_ids)
    batch = objective.prepare([sample], seed=0, epoch=0)
    rows, order = batch.targets["rows"].numpy(), batch.packed.order.numpy()

    def losses(ids: torch.Tensor) -> np.ndarray:
        changed = replace(batch, packed=replace(batch.packed, input_ids=ids))
        return objective.measure(model, changed)["nll"]

    with torch.inference_mode():
        before = losses(batch.packed.input_ids)
        for place in range(len(sample.input_ids)):
            ids = batch.packed.input_ids.clone()
            ids[place] = 40 if ids[place] != 40 else 41
            moved = losses(ids) != before
            segments = np.zeros(len(order), dtype=np.int64)
            if segment_length is not None:
                segments = np.arange(len(order)) // segment_length
            is_before = (segments[rows] > segments[place]) | (
                (segments[rows] == segments[place]) & (order[place] < order[rows])
            )
            np.testing.assert_array_equal(moved, is_before, err_msg=str(place))


def test_segments_remember_within_their_bound(tokenizer: Tokenizer, model: Transformer, many: list[Sample]) -> None:
    some = many[:12]

    def loss(**settings: object) -> float:
        objective = Permuted(rate=0.4, **settings).build(tokenizer)
        with torch.inference_mode():
            return float(objective.loss(model, objective.prepare(some, seed=0, epoch=0)).sum)

    whole = loss()
    assert loss(segment_length=60) == pytest.approx(whole, rel=1e-12), "no sequence is longer than a segment"
    by_memory = [loss(segment_length=8, memory_length=memory) for memory in (2, 20, 60)]
    assert len({round(each, 6) for each in [whole, *by_memory]}) == 4
    assert by_memory[-1] == pytest.approx(loss(segment_length=8), rel=1e-12)


def test_nothing_is_learnt_through_what_is_remembered(tokenizer: Tokenizer, model: Transformer) -> None:
    """The first segment's embeddings have no gradient from the second one's targets."""
    objective = Permuted(rate=1.0, segment_length=4).build(tokenizer)
    ids = np.array([20, 21, 22, 23, 30, 31, 32, 33], dtype=np.int32)
    batch = objective.prepare([Sample(0, ids)], seed=0, epoch=0)
    late = batch.targets["rows"] >= 4
    model.heads["permuted_lm"](objective._read(model, batch)[late]).sum().backward()
    # The decoder is tied, so only what reaches the rows beside the sum over the whole vocabulary tells.
    gradient = model.embedding.token.weight.grad
    same = gradient[50:60]
    assert (gradient[20:24] == same[0]).all()
    # Of the second segment the last token in the order is read by none.
    assert (gradient[30:34] != same[0]).any(dim=1).sum() == 3


def test_a_sequence_without_a_target_counts_nothing(tokenizer: Tokenizer, model: Transformer) -> None:
    for length in (None, 3):
        objective = Permuted(rate=0.01, max_length=9, segment_length=length).build(tokenizer)
        sample = Sample(0, tokenizer.encode("the films of the year").input_ids)
        batch = objective.prepare([sample], seed=0, epoch=0)
        assert batch.count == 0 and objective.loss(model, batch).sum.item() == 0.0
        with pytest.raises(DataError, match="no token of it is predicted"):
            objective.score(objective.measure(model, batch), ())


def test_targets_and_their_order_are_shown(tokenizer: Tokenizer) -> None:
    objective = Permuted(rate=0.5, longest_span=2, max_length=40, segment_length=5).build(tokenizer)
    sample = Sample(1, tokenizer.encode("one of the best films of the year").input_ids)
    batch = objective.prepare([sample], seed=1, epoch=0)
    (line,) = objective.show(batch)
    order = batch.packed.order.tolist()
    parts = [part.split(" ") for part in line.split(" | ")]
    assert [len(part) for part in parts[:-1]] == [5] * (len(parts) - 1)
    words = tokenizer.tokens(sample.input_ids)
    expected = [f"[{number}→{word}]" if number else word for number, word in zip(order, words, strict=True)]
    assert [each for part in parts for each in part] == expected and max(order) > 1


def test_masks_are_filled_from_all_that_is_not_masked(tokenizer: Tokenizer, model: Transformer) -> None:
    model.float()
    found = fill(model, tokenizer, "one of the [MASK] films of the [MASK]", top_k=3)
    assert [len(each) for each in found] == [3, 3]
    other = fill(model, tokenizer, "one of the [MASK] films of the year", top_k=3)
    changed = fill(model, tokenizer, "two of the [MASK] films of the year", top_k=3)
    assert other[0] != found[0] and other[0] != changed[0]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rate": 0.0}, "rate"),
        ({"rate": 1.1}, "rate"),
        ({"longest_span": 0}, "longest_span"),
        ({"memory_length": 8}, "memory_length: is for segments, got 8; set segment_length too"),
        ({"segment_length": 128}, "segment_length: must be below max_length 128, got 128"),
        ({"segmenter": {"kind": "jieba"}}, "segmenter: is for unit: word, got 'jieba' with unit: token"),
    ],
)
def test_settings_that_contradict_each_other(values: dict[str, object], message: str) -> None:
    with pytest.raises((ConfigError, ValidationError), match=message):
        parse(Permuted, {"kind": "permuted", **values})


def test_a_design_without_a_query_stream_is_refused_early() -> None:
    with pytest.raises(ConfigError, match=r"model.query_stream: the objective 'permuted' predicts from it, got False"):
        check_stream(Permuted(), has_query_stream=False)
    check_stream(Permuted(), has_query_stream=True)


def test_the_signature_says_what_was_predicted(tokenizer: Tokenizer) -> None:
    measured = {"nll": np.ones(4), "correct": np.ones(4, dtype=bool), "sample": np.array([0, 0, 1, 2])}
    config = Permuted(rate=0.25, segment_length=16, memory_length=48)
    signature = config.build(tokenizer).score(measured, ())["loss"].signature
    assert (
        "permuted spans (at most 5) of tokens, rate=0.25, segments of 16 remembering 48 tokens before|n=4" in signature
    )
