"""What an encoder reads and a decoder writes: spans and sentences taken out (T5, PEGASUS), texts restored (BART)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from groundup.config import parse
from groundup.errors import ConfigError, DataError
from groundup.language.segment import Jieba
from groundup.model.config import Dropout, ModelConfig
from groundup.model.initialize import initialize
from groundup.model.stack_config import Encoder
from groundup.model.transformer import Transformer
from groundup.objectives.denoising import Denoising, PoissonLengths, fill_in, shuffle_sentences
from groundup.objectives.protocol import Batch
from groundup.objectives.restoring import RestoringObjective
from groundup.objectives.span import SpanCorruption, name_sentinel, take_out
from groundup.objectives.spans import SpanLengths
from groundup.text.sample import Sample
from groundup.text.tokenizer import Tokenizer

NUM_DRAWS = 1500
TEXTS = {
    "english": "a slow film that finds its feet in the last half hour one of the best films of the year",
    "chinese": "这部电影节奏很慢但是结尾非常好看今年最好的电影之一",
}


@pytest.fixture
def extended(tokenizer: Tokenizer) -> Tokenizer:
    return SpanCorruption().extend(tokenizer)


@pytest.fixture(params=sorted(TEXTS))
def text(request: pytest.FixtureRequest) -> str:
    return TEXTS[request.param]


def repeat(tokenizer: Tokenizer, text: str, count: int = NUM_DRAWS) -> list[Sample]:
    ids = tokenizer.encode(text).input_ids
    return [Sample(number, ids) for number in range(count)]


def make_run(tokenizer: Tokenizer, number: int, sentences: list[str]) -> Sample:
    ids = tokenizer.encode_plain(sentences)
    return Sample(number, np.concatenate(ids), sentence_ends=np.cumsum(list(map(len, ids))).astype(np.int32))


def pairs_of(batch: Batch) -> dict[int, tuple[list[int], list[int]]]:
    """Of each sample what is read and what is to be written."""
    labels = batch.targets["labels"].split(list(batch.packed.lengths))
    both = zip(batch.samples.tolist(), batch.source.split(), labels, strict=True)
    return {number: (source.tolist(), asked.tolist()) for number, source, asked in both}


def put_back(source: list[int], target: list[int], sentinels: list[int]) -> list[int]:
    """The text again, by a plain walk over what stands for what."""
    spans: dict[int, list[int]] = {}
    current: list[int] = []
    for token in target:
        if token in sentinels:
            current = spans.setdefault(token, [])
        else:
            current.append(token)
    return [each for token in source for each in spans.get(token, [token])]


def test_what_is_taken_out_put_back_is_the_text(extended: Tokenizer, text: str) -> None:
    objective = SpanCorruption(rate=0.3).build(extended)
    original = extended.encode(text).input_ids.tolist()
    sentinels = [extended.id_of(name_sentinel(number)) for number in range(100)]
    batch = objective.prepare(repeat(extended, text), seed=0, epoch=0)
    hidden, firsts = [], []
    for source, target in pairs_of(batch).values():
        assert target[-1] == extended.end_id
        assert put_back(source, target[:-1], sentinels) == original
        used = [token for token in source if token in sentinels]
        assert used == [token for token in target if token in sentinels] == sentinels[: len(used)]
        hidden.append(len(target) - 1 - len(used))
        firsts.append(source[1] == sentinels[0])
    size = len(original) - 2
    assert np.mean(hidden) == pytest.approx(0.3 * size, rel=0.015)
    assert max(abs(count - 0.3 * size) for count in hidden) < 1, "every text within a word of the asked share"
    assert np.mean(firsts) == pytest.approx(0.3, abs=0.04), "the first word as often as any other"


def test_whole_words_are_taken_out_where_a_segmenter_is_given(extended: Tokenizer) -> None:
    objective = SpanCorruption(rate=0.3, segmenter=Jieba(), span=SpanLengths(p=1.0, longest=1)).build(extended)
    batch = objective.prepare(repeat(extended, TEXTS["chinese"]), seed=0, epoch=0)
    hidden = {" ".join(extended.tokens(ids)) for _, target in pairs_of(batch).values() for ids in split_spans(target)}
    assert {"电 影", "非 常"} <= hidden and "影" not in hidden and "非" not in hidden
    assert objective.sources["segmenter"].startswith("jieba")


def split_spans(target: list[int]) -> list[list[int]]:
    """What stands after each sentinel; these are the last entries of the vocabulary."""
    spans: list[list[int]] = []
    for token in target[:-1]:
        spans = [*spans, []] if token >= target[0] else [*spans[:-1], [*spans[-1], token]]
    return spans


def test_whole_sentences_are_taken_out(extended: Tokenizer) -> None:
    sentences = ["a slow film", "the best films of the year", "今年最好的电影之一", "无聊"]
    objective = SpanCorruption(hide="sentence", rate=0.4).build(extended)
    ids = [each.tolist() for each in extended.encode_plain(sentences)]
    sentinels = [extended.id_of(name_sentinel(number)) for number in range(4)]
    runs = [replace(make_run(extended, number, sentences)) for number in range(600)]
    chosen = np.zeros(4)
    for source, target in pairs_of(objective.prepare(runs, seed=0, epoch=0)).values():
        assert source[0] == extended.cls_id and source[-1] == extended.sep_id
        assert put_back(source, target[:-1], sentinels)[1:-1] == [token for each in ids for token in each]
        kept = " ".join(map(str, source))
        chosen += [" ".join(map(str, each)) not in kept for each in ids]
    assert np.abs(chosen / 600 - 0.4).max() < 0.07
    with pytest.raises(DataError, match=r"does not say where sentences end; set data\.sentences=true"):
        objective.prepare(repeat(extended, TEXTS["english"], 2), seed=0, epoch=0)


def test_runs_beyond_the_sentinels_stay() -> None:
    ids, hidden = np.arange(10, 20), np.array([1, 0, 1, 0, 1, 0, 0, 1, 1, 0], dtype=bool)
    source, target = take_out(ids, hidden, np.array([100, 101]))
    assert source.tolist() == [100, 11, 101, 13, 14, 15, 16, 17, 18, 19] and target.tolist() == [100, 10, 101, 12]
    source, target = take_out(ids, np.zeros(10, dtype=bool), np.array([100]))
    assert source.tolist() == ids.tolist() and len(target) == 0


def test_sentinels_are_added_once_and_a_tokenizer_without_them_is_refused(tokenizer: Tokenizer) -> None:
    config = SpanCorruption(num_sentinels=3)
    extended = config.extend(tokenizer)
    assert extended.vocab_size == tokenizer.vocab_size + 3 and config.extend(extended) is extended
    assert extended.id_of("<extra_id_2>") in extended.special_ids
    assert extended.encode("dull").input_ids.tolist() == tokenizer.encode("dull").input_ids.tolist()
    with pytest.raises(ConfigError, match="has no sentinels"):
        config.build(tokenizer)
    written = extended.encode("dull <extra_id_0> dull").input_ids.tolist()
    batch = config.build(extended).prepare([Sample(0, np.array(written, dtype=np.int32))], 0, 0)
    assert extended.id_of("<extra_id_0>") in batch.source.input_ids.tolist(), "a sentinel in the text is never hidden"


def test_infilling_hides_the_share_and_inserts_empty_spans(tokenizer: Tokenizer, text: str) -> None:
    objective = Denoising(rate=0.3, shuffle=False).build(tokenizer)
    original = tokenizer.encode(text).input_ids.tolist()
    batch = objective.prepare(repeat(tokenizer, text), seed=0, epoch=0)
    seen, empty = 0, 0
    for source, target in pairs_of(batch).values():
        assert target == original[1:], "all of the text is written, and its end"
        kept = [token for token in source if token != tokenizer.mask_id]
        seen += len(kept) - 2
        rest = iter(original)
        assert all(token in rest for token in kept), "what is seen keeps its order"
        empty += len(kept) == len(original) and len(source) > len(kept)
    assert seen / NUM_DRAWS == pytest.approx(0.7 * (len(original) - 2), rel=0.015)
    nothing = Denoising(rate=0.0, shuffle=False).build(tokenizer).prepare(repeat(tokenizer, text, 3), 0, 0)
    assert all(source == original for source, _ in pairs_of(nothing).values())


def test_lengths_of_poisson() -> None:
    lengths = PoissonLengths()
    assert lengths.shares.sum() == pytest.approx(1.0)
    assert lengths.shares[1] / lengths.shares[0] == pytest.approx(1.5)
    assert lengths.zeros == pytest.approx(np.exp(-3) / (1 - np.exp(-3)), rel=1e-2)


def test_fill_in_by_hand() -> None:
    ids = np.arange(10, 16)
    hidden, inserted = np.array([0, 1, 1, 0, 0, 1], dtype=bool), np.array([0, 0, 0, 0, 1, 0], dtype=bool)
    assert fill_in(ids, hidden, inserted, 1).tolist() == [10, 1, 13, 1, 14, 1]


def test_sentences_are_shuffled_whole_and_evenly(tokenizer: Tokenizer) -> None:
    sentences = ["a slow film", "今年最好的电影之一", "the best films"]
    objective = Denoising(rate=0.0).build(tokenizer)
    ids = [each.tolist() for each in tokenizer.encode_plain(sentences)]
    whole = [token for each in ids for token in each]
    seen: dict[tuple[int, ...], int] = {}
    runs = [make_run(tokenizer, number, sentences) for number in range(1200)]
    for source, target in pairs_of(objective.prepare(runs, seed=0, epoch=0)).values():
        assert target == [*whole, tokenizer.end_id] and (source[0], source[-1]) == (tokenizer.cls_id, tokenizer.sep_id)
        inner, order = source[1:-1], list[int]()
        while inner:
            number = next(each for each in range(3) if inner[: len(ids[each])] == ids[each] and each not in order)
            order.append(number)
            inner = inner[len(ids[number]) :]
        seen[tuple(order)] = seen.get(tuple(order), 0) + 1
    assert len(seen) == 6 and max(seen.values()) - min(seen.values()) < 90
    assert shuffle_sentences(np.array([True, False, False]), 0, 0).tolist() == [0, 1, 2]


@pytest.mark.parametrize("kind", ["span", "denoising"])
def test_the_loss_is_that_of_a_float64_reference(extended: Tokenizer, kind: str) -> None:
    config = SpanCorruption(rate=0.3) if kind == "span" else Denoising(shuffle=False)
    objective = config.build(extended)
    model = make_model(extended).double().eval()
    batch = objective.prepare(repeat(extended, TEXTS["english"], 3), seed=0, epoch=0)
    expected = torch.tensor(0.0, dtype=torch.float64)
    for number in range(3):
        alone = objective.prepare([Sample(number, extended.encode(TEXTS["english"]).input_ids)], seed=0, epoch=0)
        logits = model.heads["causal_lm"](model(alone.packed, memory=model.encode(alone.source)))
        logs = logits.log_softmax(dim=-1)
        expected = expected - logs[torch.arange(len(logs)), alone.targets["labels"]].sum()
    loss = objective.loss(model, batch)
    assert loss.sum.item() == pytest.approx(expected.item(), rel=1e-10) and loss.count == batch.count


def make_model(tokenizer: Tokenizer) -> Transformer:
    config = ModelConfig(
        vocab_size=tokenizer.vocab_size,
        hidden_size=32,
        num_layers=1,
        num_heads=2,
        intermediate_size=64,
        causal=True,
        encoder=Encoder(),
        num_token_types=0,
        dropout=Dropout(embedding=0.0, attention=0.0, residual=0.0),
        heads=SpanCorruption.heads,
        initializer_range=0.1,
    )
    model = Transformer(config)
    initialize(model, 0)
    return model


def test_a_model_learns_to_write_what_is_missing(extended: Tokenizer, samples: list[Sample]) -> None:
    objective = SpanCorruption(rate=0.3).build(extended)
    model = make_model(extended)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for epoch in range(60):
        loss = objective.loss(model, objective.prepare(samples, seed=0, epoch=epoch))
        optimizer.zero_grad()
        (loss.sum / loss.count).backward()
        optimizer.step()
    with torch.inference_mode():
        metrics = objective.score(objective.measure(model.eval(), objective.prepare(samples, seed=0, epoch=-1)), ())
    assert metrics["loss"].value < 0.5 * np.log(extended.vocab_size)


def test_a_text_shorter_than_a_span_and_settings_that_do_not_fit(extended: Tokenizer) -> None:
    def restore(objective: RestoringObjective, text: str) -> Batch:
        return objective.prepare([Sample(0, extended.encode(text).input_ids)], seed=0, epoch=0)

    longest = SpanLengths(p=0.01, longest=50)
    assert restore(SpanCorruption(span=longest, rate=0.5).build(extended), "无聊").count >= 1
    assert restore(Denoising(shuffle=False).build(extended), "").count == 1, "an empty text has its end to write"
    for values in ({"rate": 0.0}, {"rate": 0.6}, {"num_sentinels": 0}):
        with pytest.raises(ConfigError, match=next(iter(values))):
            parse(SpanCorruption, values)
    with pytest.raises(ConfigError, match="segmenter: is for hide: span"):
        parse(SpanCorruption, {"hide": "sentence", "segmenter": {"kind": "none"}})
    with pytest.raises(ConfigError, match="rate"):
        parse(Denoising, {"rate": 1.0})
