"""Whole-word masking beside transformers' collator, which ends a word where the next token does not follow at once.

Between English words there is a space, so there the two agree but for marks, which the collator takes for a part of the
word before them. Between Chinese words there is nothing: a sentence is one word to it, all of which is hidden or none.
"""

from __future__ import annotations

import inspect
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, DataCollatorForLanguageModeling

from groundup.language.segment import Jieba, NoSegmenter, SegmenterConfig
from groundup.objectives.masked import Masked
from groundup.text.sample import Sample
from groundup.text.tokenizer import Tokenizer, WordPiece, train_tokenizer

pytestmark = pytest.mark.skipif(
    "whole_word_mask" not in inspect.signature(DataCollatorForLanguageModeling).parameters,
    reason="this version of transformers has another collator for whole words",
)

CHINESE = "这部电影节奏很慢但是结尾非常好看"
CHINESE_WORDS = ["这部", "电影", "节奏", "很慢", "但是", "结尾", "非常", "好看"]
ENGLISH = " ".join(["one unbelievable film undeniably finds its feet"] * 5)
NUM_DRAWS = 2000


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    texts = [CHINESE, "one believable film finds its feet and is undenied by any"] * 3
    return train_tokenizer(WordPiece(vocab_size=100, min_frequency=1, character_coverage=1.0), texts)


def ask_theirs(tokenizer: Tokenizer, folder: Path, text: str) -> tuple[np.ndarray, np.ndarray]:
    """Of each draw which tokens are asked for, and which of these are shown as the mask token."""
    tokenizer.save(folder)
    theirs = AutoTokenizer.from_pretrained(folder)
    encoded = theirs(text, return_offsets_mapping=True, return_special_tokens_mask=True)
    torch.manual_seed(0)
    collator = DataCollatorForLanguageModeling(
        theirs, mlm_probability=0.15, whole_word_mask=True, mask_replace_prob=1, random_replace_prob=0
    )
    batch = collator([dict(encoded) for _ in range(NUM_DRAWS)])
    is_asked = (batch["labels"] != -100).numpy()
    return is_asked[:, 1:-1], (batch["input_ids"] == theirs.mask_token_id).numpy()[:, 1:-1]


def ask_ours(tokenizer: Tokenizer, segmenter: SegmenterConfig, text: str) -> tuple[np.ndarray, np.ndarray]:
    ids = tokenizer.encode(text).input_ids
    samples = [Sample(number, ids) for number in range(NUM_DRAWS)]
    batch = Masked(unit="word", segmenter=segmenter).build(tokenizer).prepare(samples, seed=0, epoch=0)
    is_asked = np.zeros(batch.packed.num_tokens, dtype=bool)
    is_asked[batch.targets["rows"].numpy()] = True
    is_mask = (batch.packed.input_ids == tokenizer.mask_id).numpy()
    return is_asked.reshape(NUM_DRAWS, -1)[:, 1:-1], is_mask.reshape(NUM_DRAWS, -1)[:, 1:-1]


def test_a_chinese_sentence_is_one_word_to_the_collator_and_many_to_us(tokenizer: Tokenizer, tmp_path: Path) -> None:
    their_asked, _ = ask_theirs(tokenizer, tmp_path, CHINESE)
    assert their_asked.shape == (NUM_DRAWS, len(CHINESE))
    their_counts = their_asked.sum(axis=1)
    assert set(their_counts.tolist()) == {0, len(CHINESE)}, "all or nothing"
    assert (their_counts == 0).mean() == pytest.approx(0.85, abs=0.03)

    asked, is_mask = ask_ours(tokenizer, Jieba(), CHINESE)
    counts = asked.sum(axis=1)
    assert (np.abs(counts - 0.15 * len(CHINESE)) < 2).all(), "2 or 3 of 16 characters, give or take less than a word"
    assert asked.mean() == pytest.approx(0.15, abs=0.005)
    of_words = asked.reshape(NUM_DRAWS, len(CHINESE_WORDS), 2)
    is_whole = of_words[:, :, 0] == of_words[:, :, 1]
    words = [text for text in CHINESE_WORDS if text not in ("这部", "很慢")]  # two words each to jieba
    assert is_whole[:, [CHINESE_WORDS.index(word) for word in words]].all()
    assert is_mask[asked].mean() == pytest.approx(0.8, abs=0.03), "some are still shown as they are, or as another"

    broken, _ = ask_ours(tokenizer, NoSegmenter(), CHINESE)
    broken = broken.reshape(NUM_DRAWS, len(CHINESE_WORDS), 2)
    assert (broken[:, :, 0] != broken[:, :, 1]).mean() > 0.2, "characters alone break words"


def test_english_words_are_the_same_ones(tokenizer: Tokenizer, tmp_path: Path) -> None:
    pieces = tokenizer.tokens(tokenizer.encode(ENGLISH).input_ids)[1:-1]
    numbers = np.cumsum([not piece.startswith("##") for piece in pieces])
    assert len(pieces) > numbers[-1] == len(ENGLISH.split()) and "[UNK]" not in pieces
    their_asked, _ = ask_theirs(tokenizer, tmp_path, ENGLISH)
    asked, _ = ask_ours(tokenizer, Jieba(), ENGLISH)
    for each in (their_asked, asked):
        by_word = np.stack([each[:, numbers == number].mean(axis=1) for number in range(1, numbers[-1] + 1)], axis=1)
        assert set(np.unique(by_word)) == {0.0, 1.0}
        assert np.abs(by_word.mean(axis=0) - 0.15).max() < 0.035
    # Theirs draws each word alone, so the share of a sentence scatters; ours keeps it within a word.
    assert asked.sum(axis=1).std() < 0.6 * their_asked.sum(axis=1).std()


def test_the_collator_joins_marks_to_words(tokenizer: Tokenizer, tmp_path: Path) -> None:
    text = "film,film"
    wider = train_tokenizer(WordPiece(min_frequency=1, character_coverage=1.0), [text] * 3)
    assert wider.tokens(wider.encode(text).input_ids)[1:-1] == ["film", ",", "film"]
    their_asked, _ = ask_theirs(wider, tmp_path, text)
    asked, _ = ask_ours(wider, Jieba(), text)
    assert set(their_asked.sum(axis=1).tolist()) == {0, 3}
    assert set(asked.sum(axis=1).tolist()) == {0, 1}
