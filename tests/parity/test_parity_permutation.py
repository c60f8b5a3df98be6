"""Permuted targets beside transformers' DataCollatorForPermutationLanguageModeling on the same sequences.

Its spans and contexts are ours. Three things of it are not what XLNet is, and are not followed:

- It shows the model a mask in place of every target, so that no target ever reads another, whatever the order says.
- It lets every token read the special ones, and those read targets, in an order of their own: with the real tokens in
  place, a target would read itself through them.
- Its first context begins with the sequence, so the first tokens are predicted half as often as others.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import (
    DataCollatorForPermutationLanguageModeling,
    PreTrainedTokenizerFast,
    XLNetConfig,
    XLNetLMHeadModel,
)

from groundup.objectives.permuted import Permuted, PermutedObjective
from groundup.objectives.protocol import Batch
from groundup.text.sample import Sample
from groundup.text.tokenizer import Tokenizer, WordPiece, train_tokenizer

TEXTS = ["a slow film that finds its feet in the last half hour", "这部电影节奏很慢但是结尾非常好看", "dull 无聊"]
LENGTH, COUNT = 240, 300


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer(WordPiece(vocab_size=300, min_frequency=1, character_coverage=1.0), TEXTS * 3)


@pytest.fixture(scope="module")
def ids(tokenizer: Tokenizer) -> np.ndarray:
    """Sequences of text alone, all of one even length, as the collator wants them."""
    regular = np.setdiff1d(np.arange(tokenizer.vocab_size), list(tokenizer.special_ids))
    return np.random.default_rng(0).choice(regular, (COUNT, LENGTH))


@pytest.fixture(scope="module")
def theirs(tokenizer: Tokenizer, ids: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tensor]:
    return collate(tokenizer, ids, tmp_path_factory.mktemp("tokenizer"))


def collate(tokenizer: Tokenizer, ids: np.ndarray, folder: Path) -> dict[str, Tensor]:
    tokenizer.save(folder)
    torch.manual_seed(0)
    collator = DataCollatorForPermutationLanguageModeling(PreTrainedTokenizerFast.from_pretrained(folder))
    return collator([{"input_ids": torch.from_numpy(row)} for row in ids])


def prepare(objective: PermutedObjective, ids: np.ndarray) -> Batch:
    return objective.prepare([Sample(number, row.astype(np.int32)) for number, row in enumerate(ids)], seed=0, epoch=0)


def list_runs(is_target: np.ndarray) -> np.ndarray:
    """The lengths of all runs of targets, those at the edges left out."""
    found = []
    for row in is_target:
        edges = np.flatnonzero(np.diff(np.concatenate([[0], row, [0]])))
        starts, ends = edges[::2], edges[1::2]
        found.append((ends - starts)[(starts > 0) & (ends < len(row))])
    return np.concatenate(found)


def test_spans_and_their_counts_are_those_of_the_collator(
    tokenizer: Tokenizer, ids: np.ndarray, theirs: dict[str, Tensor]
) -> None:
    batch = prepare(Permuted(max_length=LENGTH).build(tokenizer), ids)
    found = {"theirs": (theirs["labels"] != -100).numpy(), "ours": batch.packed.order.numpy().reshape(COUNT, -1) > 0}
    found["longer"] = (
        prepare(Permuted(max_length=LENGTH, longest_span=8).build(tokenizer), ids).packed.order.numpy() > 0
    )
    found["longer"] = found["longer"].reshape(COUNT, -1)
    counts = {name: each.sum(axis=1) for name, each in found.items()}
    assert counts["ours"].mean() == pytest.approx(counts["theirs"].mean(), rel=0.02)
    assert counts["ours"].mean() == pytest.approx(LENGTH / 6, rel=0.02)
    assert counts["ours"].std() == pytest.approx(counts["theirs"].std(), abs=0.8)
    runs = {name: np.bincount(list_runs(each), minlength=12)[:12] for name, each in found.items()}
    shares = {name: each / each.sum() for name, each in runs.items()}
    np.testing.assert_allclose(shares["ours"], shares["theirs"], atol=0.015)
    assert np.abs(shares["longer"] - shares["theirs"]).max() > 0.05, "the figures above must move with the settings"


def test_the_first_tokens_are_predicted_as_often_as_others(
    tokenizer: Tokenizer, ids: np.ndarray, theirs: dict[str, Tensor]
) -> None:
    """Where the collator predicts the first one half as often."""
    objective = Permuted(max_length=LENGTH).build(tokenizer)
    batches = [
        objective.prepare([Sample(n, row[:40].astype(np.int32)) for n, row in enumerate(ids)], 0, e) for e in range(8)
    ]
    ours = np.mean([batch.packed.order.numpy().reshape(COUNT, -1)[:, 0] > 0 for batch in batches])
    collated = (theirs["labels"] != -100).numpy()
    assert ours == pytest.approx(1 / 6, abs=0.025)
    assert collated[:, 0].mean() < 0.115 < collated[:, 10:].mean()


def test_what_the_order_allows_is_what_the_collator_allows(
    tokenizer: Tokenizer, ids: np.ndarray, theirs: dict[str, Tensor]
) -> None:
    """Of sequences without special tokens: what is given is seen by all, a target by those after it in the order."""
    for labels, perm_mask in zip(theirs["labels"][:40], theirs["perm_mask"][:40].bool(), strict=True):
        targets = (labels != -100).nonzero().flatten()
        ranks = (~perm_mask[targets][:, targets]).sum(dim=1)
        assert sorted(ranks.tolist()) == list(range(len(targets))), "it is an order of all targets"
        order = torch.zeros(LENGTH, dtype=torch.int64)
        order[targets] = 1 + ranks
        assert torch.equal(perm_mask, (order[:, None] <= order) & (order > 0)), "ours, of both streams"
        # It lets no target of the second half come before one of the first: ours come in any order.
        middle = int((targets < LENGTH // 2).sum())
        assert set(ranks[:middle].tolist()) == set(range(middle))
    batch = prepare(Permuted(max_length=LENGTH).build(tokenizer), ids)
    ours = batch.packed.order.view(COUNT, -1)
    assert all(order[: LENGTH // 2].max() > order[LENGTH // 2 :][order[LENGTH // 2 :] > 0].min() for order in ours)


def test_the_collator_hides_what_the_order_would_show(
    ids: np.ndarray, tokenizer: Tokenizer, theirs: dict[str, Tensor]
) -> None:
    is_target = theirs["labels"] != -100
    assert (theirs["input_ids"][is_target] == tokenizer.mask_id).all()
    batch = prepare(Permuted(max_length=LENGTH).build(tokenizer), ids)
    assert torch.equal(batch.packed.input_ids.view(COUNT, -1), torch.from_numpy(ids))


def test_no_target_reads_itself_through_a_special_token(tokenizer: Tokenizer, ids: np.ndarray, tmp_path: Path) -> None:
    """With the real tokens in place, as in XLNet, the collator's mask lets it, and ours does not."""
    some = ids[:8, :30].copy()
    some[:, 9], some[:, 20] = tokenizer.sep_id, tokenizer.cls_id
    batch = collate(tokenizer, some, tmp_path)
    torch.manual_seed(0)
    sizes = {"d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 32, "vocab_size": tokenizer.vocab_size}
    model = XLNetLMHeadModel(XLNetConfig(**sizes, pad_token_id=0, initializer_range=0.5)).eval()

    def leaks(perm_mask: Tensor, is_target: Tensor) -> list[bool]:
        mapping = torch.eye(30).expand(len(some), -1, -1)
        found = []
        for row, place in is_target.nonzero().tolist():
            logits = []
            for shift in (0, 1):
                tokens = torch.from_numpy(some).clone()
                tokens[row, place] = 30 + (tokens[row, place] + shift) % 50
                logits.append(model(tokens, perm_mask=perm_mask, target_mapping=mapping).logits[row, place])
            found.append(bool((logits[0] - logits[1]).abs().max() > 1e-4))
        return found

    with torch.no_grad():
        assert any(leaks(batch["perm_mask"], batch["labels"] != -100))
        order = prepare(Permuted(max_length=30).build(tokenizer), some).packed.order.view(len(some), -1)
        ours = ((order[:, :, None] <= order[:, None, :]) & (order[:, None, :] > 0)).float()
        assert not any(leaks(ours, order > 0))
