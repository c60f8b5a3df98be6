"""Whole words masked: all of a word or nothing, at the asked rate, whatever the words' sizes."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from groundup.config import parse
from groundup.errors import ConfigError, DataError, MissingExtraError
from groundup.language import segment
from groundup.language.segment import Dictionary, Jieba, NoSegmenter, SegmenterConfig
from groundup.model.transformer import Transformer
from groundup.objectives.masked import Masked, MaskedObjective, fill
from groundup.objectives.protocol import Batch, Sourced
from groundup.objectives.words import Places, choose_words
from groundup.text.sample import Sample
from groundup.text.tokenizer import ByteBPE, Tokenizer, Unigram, WordPiece, train_tokenizer

ENGLISH = [
    "a slow film that finds its feet in the last half hour, unbelievably and undeniably so",
    "the acting is fine but the storytelling goes nowhere at all",
    "dull",
]
CHINESE = [
    "这部电影节奏很慢但是结尾非常好看",
    "演员不错可惜故事没有意思，北京大学的学生都这么说",
    "今年最好的电影之一",
    "无聊",
]
WORDS = "电影 节奏 但是 结尾 非常 好看 演员 不错 可惜 故事 没有 意思 北京大学 学生 这么 今年 最好 之一 无聊"
TOKENIZERS = {
    "wordpiece": train_tokenizer(
        WordPiece(vocab_size=150, min_frequency=1, character_coverage=1.0), [*ENGLISH, *CHINESE]
    ),
    "bytes": train_tokenizer(ByteBPE(vocab_size=300), [*ENGLISH, *CHINESE]),
    "unigram": train_tokenizer(Unigram(vocab_size=400, character_coverage=1.0), [*ENGLISH, *CHINESE]),
}
NUM_DRAWS = 10_000


@pytest.fixture(scope="module")
def dictionary(tmp_path_factory: pytest.TempPathFactory) -> Dictionary:
    path = tmp_path_factory.mktemp("words") / "words.txt"
    path.write_text(WORDS.replace(" ", "\n"), encoding="utf-8")
    return Dictionary(path=str(path))


def build(tokenizer: Tokenizer, segmenter: SegmenterConfig, **changed: float) -> MaskedObjective:
    return Masked(unit="word", segmenter=segmenter, **changed).build(tokenizer)


def repeat(tokenizer: Tokenizer, texts: list[str], times: int) -> list[Sample]:
    ids = [tokenizer.encode(text).input_ids for text in texts]
    return [Sample(number, ids[number % len(ids)]) for number in range(times * len(ids))]


def restore(batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    """The ids before masking, and which of them are asked for."""
    ids, rows = batch.packed.input_ids.clone(), batch.targets["rows"]
    ids[rows] = batch.targets["labels"]
    is_asked = np.zeros(len(ids), dtype=bool)
    is_asked[rows.numpy()] = True
    return ids.numpy(), is_asked


def words_of(tokenizer: Tokenizer, text: str, words: list[str]) -> list[int]:
    """Of each token of a text (special ones: -1) the number of its word, found by spelling, not by the code tested."""
    numbers, place, number = [], 0, 0
    for index in tokenizer.encode(text).input_ids:
        if int(index) in tokenizer.special_ids:
            numbers.append(-1)
            continue
        numbers.append(number)
        place += len(tokenizer.to_bytes([index]).decode().strip().removeprefix("##"))
        if place == len(words[number]):
            place, number = 0, number + 1
    assert number == len(words) and place == 0
    return numbers


SENTENCES = [
    ("wordpiece", ENGLISH[0], "a slow film that finds its feet in the last half hour , unbelievably and undeniably so"),
    ("unigram", ENGLISH[0], "a slow film that finds its feet in the last half hour , unbelievably and undeniably so"),
    ("wordpiece", CHINESE[0], "这 部 电影 节奏 很 慢 但是 结尾 非常 好看"),
    ("wordpiece", CHINESE[1], "演员 不错 可惜 故事 没有 意思 ， 北京大学 的 学生 都 这么 说"),
]


@pytest.mark.parametrize(("name", "text", "words"), SENTENCES, ids=["english", "unigram", "chinese", "mixed sizes"])
def test_every_masked_word_is_whole_and_every_word_equally_likely(
    dictionary: Dictionary, name: str, text: str, words: str
) -> None:
    tokenizer = TOKENIZERS[name]
    numbers = np.array(words_of(tokenizer, text, words.split()))
    sizes = np.bincount(numbers[numbers >= 0])
    assert sizes.max() > 1

    def asked(segmenter: SegmenterConfig) -> np.ndarray:
        objective = build(tokenizer, segmenter)
        _, is_asked = restore(objective.prepare(repeat(tokenizer, [text], NUM_DRAWS), seed=0, epoch=0))
        is_asked = is_asked.reshape(NUM_DRAWS, -1)
        assert not is_asked[:, numbers < 0].any()
        return np.stack([is_asked[:, numbers == word].sum(axis=1) for word in range(len(sizes))], axis=1)

    counts = asked(dictionary)
    assert ((counts == 0) | (counts == sizes)).all(), "all of a word, or nothing of it"
    assert counts.sum() / NUM_DRAWS == pytest.approx(0.15 * sizes.sum(), rel=0.01)
    assert (np.abs(counts.sum(axis=1) - 0.15 * sizes.sum()) < sizes.max()).all()
    # 0.15 of 10,000 draws scatter by 0.0036; a word of three tokens must not be rarer than one of one.
    assert np.abs((counts > 0).mean(axis=0) - 0.15).max() < 0.0143

    if text in CHINESE:  # without a segmenter each character is drawn alone, so most words that are hit are broken
        broken = asked(NoSegmenter())
        is_hit = (broken > 0)[:, sizes > 1]
        assert ((broken < sizes)[:, sizes > 1] & is_hit).sum() > 0.6 * is_hit.sum()
        assert is_hit.mean() > 0.25


@pytest.mark.parametrize("rate", [0.02, 0.15, 0.5, 1.0])
@pytest.mark.parametrize("name", list(TOKENIZERS))
def test_the_rate_is_the_asked_one(dictionary: Dictionary, name: str, rate: float) -> None:
    tokenizer = TOKENIZERS[name]
    samples = repeat(tokenizer, [*ENGLISH, *CHINESE], NUM_DRAWS // 7)
    objective = build(tokenizer, dictionary, rate=rate)
    batch = objective.prepare(samples, seed=1, epoch=2)
    ids, is_asked = restore(batch)
    available = sum(len(sample.input_ids) - 2 for sample in samples)
    error = 0.01 if rate >= 0.15 else 0.05  # so few are drawn at 0.02 that chance alone makes 1 %
    assert batch.count == is_asked.sum() == pytest.approx(rate * available, rel=error)
    starts = objective._finder.find_starts(ids, batch.packed.lengths)
    longest = np.diff([*np.flatnonzero(starts), len(ids)])
    sequences = np.repeat(np.arange(len(samples)), batch.packed.lengths)
    counts = np.bincount(sequences, weights=is_asked)
    limits = np.zeros(len(samples))
    np.maximum.at(limits, sequences[starts], longest)
    wanted = rate * np.array([len(sample.input_ids) - 2 for sample in samples])
    assert (np.abs(counts - wanted) < limits).all()
    assert (counts != np.round(wanted)).any() or rate == 1.0


def test_filling_a_budget_would_hide_long_words_less_often() -> None:
    """The control of the equal chances above: the usual way, on the same words."""
    sizes = np.array([1] * 12 + [3] * 4)
    generator = np.random.default_rng(0)
    counts = np.zeros(len(sizes))
    for _ in range(4000):
        left = round(0.15 * sizes.sum())
        for word in generator.permutation(len(sizes)):
            if sizes[word] <= left:
                left -= sizes[word]
                counts[word] += 1
    assert counts[sizes == 3].mean() < 0.8 * counts[sizes == 1].mean()

    starts = np.zeros(sizes.sum() * 4000, dtype=bool)
    starts[np.concatenate([[0], np.cumsum(np.tile(sizes, 4000))[:-1]])] = True
    numbers = np.repeat(np.arange(4000), sizes.sum())
    places = Places(numbers, numbers, np.tile(np.arange(sizes.sum()), 4000))
    rows, _ = choose_words(starts, np.arange(len(starts)), places, 0.15, 0, 0)
    hits = np.bincount(rows[starts[rows]] % sizes.sum(), minlength=sizes.sum())[np.cumsum(sizes) - sizes]
    assert hits[sizes == 3].mean() == pytest.approx(hits[sizes == 1].mean(), rel=0.05)


def test_what_becomes_of_a_token_is_drawn_for_each_alone(dictionary: Dictionary) -> None:
    tokenizer = TOKENIZERS["wordpiece"]
    objective = build(tokenizer, dictionary)
    batch = objective.prepare(repeat(tokenizer, [*ENGLISH, *CHINESE], 3000), seed=0, epoch=0)
    seen, labels = batch.packed.input_ids[batch.targets["rows"]].numpy(), batch.targets["labels"].numpy()
    regular = (~objective.is_special).sum()
    assert (seen == objective.mask_id).mean() == pytest.approx(0.8, abs=0.01)
    assert (seen == labels).mean() == pytest.approx(0.1 + 0.1 / regular, abs=0.01)
    # Where one draw decided for a whole word, neighbours would always share it.
    is_pair = np.flatnonzero(np.diff(batch.targets["rows"].numpy()) == 1)
    both = (seen[is_pair] == objective.mask_id) & (seen[is_pair + 1] == objective.mask_id)
    assert both.mean() == pytest.approx(0.64, abs=0.02)


def test_what_is_masked_depends_on_seed_epoch_and_sample_alone(dictionary: Dictionary) -> None:
    tokenizer = TOKENIZERS["bytes"]
    samples = repeat(tokenizer, [*ENGLISH, *CHINESE], 2)
    objective = build(tokenizer, dictionary)

    def places(batch: Batch) -> set[tuple[int, int]]:
        sequences = np.repeat(batch.samples, batch.packed.lengths)[batch.targets["rows"].numpy()]
        return set(zip(sequences.tolist(), batch.packed.position_ids[batch.targets["rows"]].tolist(), strict=True))

    whole = places(objective.prepare(samples, seed=5, epoch=1))
    apart: set[tuple[int, int]] = set()
    for sample in reversed(samples):
        apart |= places(build(tokenizer, dictionary).prepare([sample], seed=5, epoch=1))
    assert whole == apart
    assert whole != places(objective.prepare(samples, seed=5, epoch=2))
    assert whole != places(objective.prepare(samples, seed=6, epoch=1))


def test_single_tokens_are_drawn_as_ever(dictionary: Dictionary) -> None:
    """Draws are kept for good: a run that began before words could be masked goes on as it began."""
    samples = [Sample(number, np.arange(5, 25, dtype=np.int32)) for number in (3, 7)]
    batch = Masked(rate=0.3).build(TOKENIZERS["wordpiece"]).prepare(samples, seed=2, epoch=1)
    assert batch.targets["rows"].tolist() == [0, 2, 4, 6, 8, 15, 22, 23, 24, 25, 26, 27]
    assert batch.packed.input_ids[batch.targets["rows"]].tolist() == [4, 7, 9, 4, 4, 4, 4, 4, 4, 4, 4, 4]
    words = build(TOKENIZERS["wordpiece"], dictionary, rate=0.3).prepare(samples, seed=2, epoch=1)
    assert words.targets["rows"].tolist() != batch.targets["rows"].tolist()


def test_sequences_without_a_word_are_fine(dictionary: Dictionary) -> None:
    tokenizer = TOKENIZERS["wordpiece"]
    objective = build(tokenizer, dictionary, rate=1.0)
    bare = np.array([*tokenizer.prefix_ids, *tokenizer.suffix_ids], dtype=np.int32)
    assert objective.prepare([Sample(0, bare)], seed=0, epoch=0).count == 0
    text = tokenizer.encode("无聊").input_ids
    batch = objective.prepare([Sample(0, bare), Sample(1, text), Sample(2, bare)], seed=0, epoch=0)
    assert batch.targets["rows"].tolist() == [3, 4]


def test_show_has_one_pair_of_brackets_a_word(dictionary: Dictionary) -> None:
    tokenizer = TOKENIZERS["wordpiece"]
    samples = repeat(tokenizer, ["无聊，的", "undeniably dull"], 1)
    pieces = tokenizer.tokens(tokenizer.encode_plain(["undeniably"])[0])
    dull = tokenizer.tokens(tokenizer.encode_plain(["dull"])[0])
    assert len(pieces) > 1

    def shown(**shares: float) -> list[str]:
        objective = build(tokenizer, dictionary, rate=1.0, **shares)
        return objective.show(objective.prepare(samples, seed=0, epoch=0))

    masks = [" ".join(["MASK"] * len(each)) for each in (pieces, dull)]
    assert shown(mask=1.0, random=0.0, keep=0.0) == [
        "[CLS] [MASK MASK→无聊] [MASK→，] [MASK→的] [SEP]",
        f"[CLS] [{masks[0]}→undeniably] [{masks[1]}→dull] [SEP]",
    ]
    assert shown(mask=0.0, random=0.0, keep=1.0) == [
        "[CLS] [=无聊] [=，] [=的] [SEP]",
        "[CLS] [=undeniably] [=dull] [SEP]",
    ]
    mixed = build(tokenizer, dictionary, rate=0.4)
    batch = mixed.prepare(repeat(tokenizer, CHINESE, 30), seed=0, epoch=0)
    lines = mixed.show(batch)
    assert any("[MASK MASK→电影]" in line for line in lines)
    assert any(" 电 影 " in line for line in lines), "what is not asked for is shown token by token"
    assert any("→电影]" in line and "MASK MASK→电影" not in line for line in lines), "one of its tokens was not hidden"


def test_show_spells_words_out_of_parts_of_characters(dictionary: Dictionary) -> None:
    tokenizer = train_tokenizer(ByteBPE(vocab_size=262), [*ENGLISH, *CHINESE])
    objective = build(tokenizer, dictionary, rate=1.0, mask=1.0, random=0.0, keep=0.0)
    [line] = objective.show(objective.prepare(repeat(tokenizer, ["无聊 so "], 1), seed=0, epoch=0))
    assert line == f"[CLS] [{' '.join(['MASK'] * 6)}→无聊] [MASK MASK MASK→so] [MASK→␣] [SEP]"


def test_the_segmenter_is_part_of_the_signature_and_of_the_sources(dictionary: Dictionary) -> None:
    tokenizer = TOKENIZERS["wordpiece"]
    measured = {"nll": np.ones(4), "correct": np.ones(4, dtype=bool), "sample": np.arange(4)}
    words, tokens = build(tokenizer, dictionary), Masked().build(tokenizer)
    name = dictionary.build().name
    assert words.score(measured, ())["loss"].signature.startswith(f"masked words, segmenter={name}, rate=0.15, mask/")
    assert tokens.score(measured, ())["loss"].signature.startswith(
        "masked tokens, rate=0.15, mask/random/keep=0.8/0.1/0.1|"
    )
    assert isinstance(words, Sourced) and words.sources == {"segmenter": name}
    assert tokens.sources == {}
    assert Masked(unit="word").build(tokenizer).sources == {"segmenter": Jieba().build().name}


def test_a_segmenter_is_for_words_alone() -> None:
    with pytest.raises(ValidationError, match=r"segmenter: is for unit: word, got 'none' with unit: token; leave"):
        Masked(segmenter=NoSegmenter())
    with pytest.raises(ConfigError, match=r"segmenter\.kind"):
        parse(Masked, {"unit": "word", "segmenter": {"kind": "pkuseg"}})
    with pytest.raises(ConfigError, match=r"segmenter"):
        parse(Masked, {"unit": "word", "segmenter": {"kind": "dictionary"}})


def test_a_dictionary_that_is_missing_is_named_before_anything_is_masked(tmp_path: Path) -> None:
    config = Masked(unit="word", segmenter=Dictionary(path=str(tmp_path / "nowhere.txt")))
    with pytest.raises(DataError, match=r"objective\.segmenter\.path: cannot be read"):
        config.load_segmenter()


def test_filling_masks_needs_no_segmenter(
    monkeypatch: pytest.MonkeyPatch, model: Transformer, tokenizer: Tokenizer
) -> None:
    segment._read_jieba.cache_clear()
    monkeypatch.setitem(sys.modules, "jieba", None)
    objective = Masked(unit="word").build(tokenizer)
    assert len(fill(model, objective.tokenizer, "无[MASK]", 3)[0]) == 3
    sample = Sample(0, tokenizer.encode("无聊").input_ids)
    with pytest.raises(MissingExtraError, match=r"objective\.segmenter: needs the package 'jieba'"):
        objective.prepare([sample], seed=0, epoch=0)
    build(tokenizer, NoSegmenter()).prepare([sample], seed=0, epoch=0)


def test_the_loss_counts_every_token_of_the_words(
    dictionary: Dictionary, model: Transformer, tokenizer: Tokenizer
) -> None:
    objective = build(tokenizer, dictionary, rate=0.3)
    samples = repeat(tokenizer, CHINESE, 8)
    batch = objective.prepare(samples, seed=0, epoch=0)
    loss = objective.loss(model, batch)
    assert loss.count == len(batch.targets["rows"]) == len(objective.measure(model, batch)["nll"])
    assert torch.isfinite(loss.sum)
