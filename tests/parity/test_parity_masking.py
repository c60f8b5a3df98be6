"""Masking statistics beside transformers' DataCollatorForLanguageModeling on the same sequences.

The collator decides on each token alone, so the number of targets of a sequence scatters; ours rounds the share of each
sequence to a neighbouring whole number. The expectations are the same. The collator draws random tokens from the whole
vocabulary, special tokens included; ours leaves these out.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, DataCollatorForLanguageModeling

from groundup.objectives.masked import Masked
from groundup.text.sample import Sample
from groundup.text.tokenizer import Tokenizer, WordPiece, train_tokenizer

TEXTS = ["a slow film that finds its feet in the last half hour", "这部电影节奏很慢但是结尾非常好看", "dull 无聊"]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer(WordPiece(vocab_size=300, min_frequency=1, character_coverage=1.0), TEXTS * 3)


def statistics(shown: np.ndarray, labels: np.ndarray, is_target: np.ndarray, mask_id: int) -> dict[str, float]:
    masked, kept = shown[is_target] == mask_id, shown[is_target] == labels[is_target]
    return {"masked": masked.mean(), "kept": kept.mean(), "random": (~masked & ~kept).mean()}


def test_shares_equal_those_of_the_collator(tokenizer: Tokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path)
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    ids = [tokenizer.encode(text).input_ids for text in TEXTS] * 2000
    samples = [Sample(number, each) for number, each in enumerate(ids)]
    num_words = sum(len(each) - 2 for each in ids)

    torch.manual_seed(0)
    collator = DataCollatorForLanguageModeling(theirs, mlm_probability=0.15)
    batch = collator([{"input_ids": each.tolist()} for each in ids])
    their_labels, their_shown = batch["labels"].numpy(), batch["input_ids"].numpy()
    expected = statistics(their_shown, their_labels, their_labels != -100, tokenizer.mask_id)

    found_batch = Masked().build(tokenizer).prepare(samples, seed=0, epoch=0)
    rows, labels = found_batch.targets["rows"].numpy(), found_batch.targets["labels"].numpy()
    shown = found_batch.packed.input_ids.numpy()[rows]
    found = statistics(shown, labels, np.ones(len(rows), dtype=bool), tokenizer.mask_id)

    assert len(rows) > 8000
    assert len(rows) / num_words == pytest.approx((their_labels != -100).sum() / num_words, abs=0.006)
    for name in expected:
        assert found[name] == pytest.approx(expected[name], abs=0.015), name
    assert not np.isin(their_labels[their_labels != -100], list(tokenizer.special_ids)).any()
    other = Masked(rate=0.3, mask=0.6, random=0.3, keep=0.1).build(tokenizer).prepare(samples, seed=0, epoch=0)
    assert other.count / num_words > 0.25, "the figures above must move with the settings"

    their_counts = (their_labels != -100).sum(axis=1)
    our_counts = np.bincount(np.repeat(np.arange(len(ids)), found_batch.packed.lengths)[rows], minlength=len(ids))
    longest = np.array([len(each) for each in ids]) == max(map(len, ids))
    assert our_counts[longest].std() < 0.6 < their_counts[longest].std()
