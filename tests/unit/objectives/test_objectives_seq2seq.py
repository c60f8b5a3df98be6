"""Sequence to sequence: what either side reads, what is learnt, how the loss is smoothed, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from groundup.errors import ConfigError, DataError
from groundup.model.config import Dropout, Encoder, ModelConfig
from groundup.model.initialize import initialize
from groundup.model.packed import Packed
from groundup.model.transformer import Transformer
from groundup.objectives.loss import cross_entropy_sum
from groundup.objectives.seq2seq import Seq2Seq, Seq2SeqObjective
from groundup.readers.table import Example
from groundup.text.sample import Sample
from groundup.text.tokenizer import Tokenizer, WordPiece, train_tokenizer

PAIRS = [
    ("a dog runs", "ein Hund rennt"),
    ("two men sit on a bench and talk", "zwei Männer sitzen auf einer Bank"),
    ("雨天", "ein Regentag mit viel Wasser"),
    ("a cat", "eine Katze"),
]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    texts = [text for pair in PAIRS for text in pair]
    return train_tokenizer(WordPiece(vocab_size=300, min_frequency=1, character_coverage=1.0), texts * 3)


@pytest.fixture
def objective(tokenizer: Tokenizer) -> Seq2SeqObjective:
    return Seq2Seq(max_length=20).build(tokenizer)


def rows(pairs: list[tuple[str, str | None]] = PAIRS) -> list[Example]:
    return [Example(text, pair, None, number) for number, (text, pair) in enumerate(pairs, start=2)]


def build(objective: Seq2SeqObjective) -> Transformer:
    model = Transformer(
        ModelConfig(
            vocab_size=objective.tokenizer.vocab_size,
            hidden_size=16,
            num_layers=1,
            num_heads=2,
            intermediate_size=20,
            num_token_types=0,
            causal=True,
            encoder=Encoder(),
            initializer_range=0.3,
            dropout=Dropout(embedding=0.0, attention=0.0, residual=0.0),
            heads=(objective.head,),
        )
    )
    initialize(model, 0)
    return model.double().eval()


def test_sources_and_targets_are_read_between_their_ends(objective: Seq2SeqObjective, tokenizer: Tokenizer) -> None:
    samples = objective.encode(rows(), "train.tsv")
    assert objective.start_id == tokenizer.cls_id
    batch = objective.prepare([samples[number] for number in range(4)], 0, 0)
    asked = batch.targets["labels"].split(list(batch.packed.lengths))
    runs = zip(batch.samples, batch.source.split(), batch.packed.split(), asked, strict=True)
    for number, source, ids, labels in runs:
        text, target = PAIRS[number]
        whole = tokenizer.encode(target).input_ids.tolist()
        assert source.tolist() == tokenizer.encode(text).input_ids.tolist()
        assert ids.tolist() == whole[:-1]
        assert labels.tolist() == whole[1:]
        assert labels[-1] == tokenizer.end_id
    assert batch.count == batch.packed.num_tokens
    assert batch.num_tokens == batch.packed.num_tokens + batch.source.num_tokens
    assert samples.lengths.sum() == batch.num_tokens
    assert sorted(batch.packed.lengths, reverse=True) == list(batch.packed.lengths), "neighbours are alike"


def test_another_start_stands_before_what_the_template_writes(tokenizer: Tokenizer) -> None:
    for objective in (Seq2Seq(start="[PAD]").build(tokenizer), Seq2Seq().build(tokenizer, start_id=tokenizer.pad_id)):
        sample = objective.encode(rows(), "x")[0]
        framed = sample.input_ids[sample.num_context :].tolist()
        assert framed == [tokenizer.pad_id, *tokenizer.encode(PAIRS[0][1]).input_ids.tolist()]
        assert objective.start_ids == (tokenizer.pad_id, tokenizer.cls_id)
    assert Seq2Seq(start="[SEP]").build(tokenizer, start_id=0).start_id == tokenizer.sep_id, "a setting overrules"


def test_both_sides_are_cut_to_their_length(tokenizer: Tokenizer) -> None:
    objective = Seq2Seq(max_length=5, max_target_length=6).build(tokenizer)
    samples = objective.encode(rows(), "x")
    contexts = [samples[number].num_context for number in range(4)]
    assert max(contexts) == 5
    assert max(samples.lengths - contexts) <= 6
    assert samples.report.num_truncated == 2
    whole = Seq2Seq(max_length=500).build(tokenizer).encode(rows(), "x")
    assert samples.report.tokens_lost == whole.lengths.sum() - samples.lengths.sum()


def test_the_loss_is_that_of_each_target_given_its_source(objective: Seq2SeqObjective) -> None:
    model, samples = build(objective), objective.encode(rows(), "x")
    batch = objective.prepare([samples[number] for number in range(4)], 0, 0)
    total = 0.0
    with torch.no_grad():
        for sample in (samples[number] for number in range(4)):
            source, target = np.split(sample.input_ids, [sample.num_context])
            memory = model.encode(Packed.from_sequences([source]))
            logits = model.heads["causal_lm"](model(Packed.from_sequences([target[:-1]]), memory=memory))
            labels = torch.from_numpy(target[1:].astype(np.int64))
            total += float(torch.nn.functional.cross_entropy(logits, labels, reduction="sum"))
        loss = objective.loss(model, batch)
    assert loss.sum.item() == pytest.approx(total, rel=1e-9)
    assert loss.count == sum(batch.packed.lengths)
    shown = objective.show(batch)
    assert all(" ⇒ " in each for each in shown)
    assert any("[CLS] a dog" in each for each in shown)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.6])
def test_a_smoothed_loss_is_that_of_torch_with_its_gradient(smoothing: float) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(9, 12, generator=generator, dtype=torch.float64, requires_grad=True)
    labels = torch.randint(0, 12, (9,), generator=generator)
    expected = torch.nn.functional.cross_entropy(logits, labels, reduction="sum", label_smoothing=smoothing)
    (wanted,) = torch.autograd.grad(expected * 3, logits)
    found = cross_entropy_sum(logits, labels, smoothing)
    (gradient,) = torch.autograd.grad(found * 3, logits)
    assert torch.allclose(found, expected, atol=1e-12)
    assert torch.allclose(gradient, wanted, atol=1e-12)
    assert (found - cross_entropy_sum(logits.detach(), labels, smoothing + 0.1)).abs() > 1e-3


def test_the_loss_is_smoothed_and_its_figures_are_not(objective: Seq2SeqObjective, tokenizer: Tokenizer) -> None:
    model, smoothed = build(objective), Seq2Seq(max_length=20, label_smoothing=0.3).build(tokenizer)
    samples = [objective.encode(rows(), "x")[number] for number in range(4)]
    batch = objective.prepare(samples, 0, 0)
    with torch.no_grad():
        assert objective.loss(model, batch).sum != smoothed.loss(model, batch).sum
        plain, other = (each.score(each.measure(model, batch), ()) for each in (objective, smoothed))
    assert plain["loss"] == other["loss"]
    written = [tokenizer.decode(tokenizer.encode(target).input_ids, skip_special=True) for _, target in PAIRS]
    assert plain["bits_per_byte"].count == sum(len(each.encode()) for each in written)


def test_a_source_without_a_target_and_a_token_that_is_none_are_refused(
    objective: Seq2SeqObjective, tokenizer: Tokenizer
) -> None:
    with pytest.raises(DataError, match=r"data\.train:3: is a source without a target, got 'b'; name the column"):
        objective.encode(rows([("a", "x"), ("b", None)]), "data.train")
    with pytest.raises(DataError, match="holds no row"):
        objective.encode([], "data.train")
    with pytest.raises(ConfigError, match=r"objective\.start: is no token of the tokenizer, got '<go>'"):
        Seq2Seq(start="<go>").build(tokenizer)


def test_samples_of_any_cut_are_pairs(objective: Seq2SeqObjective) -> None:
    batch = objective.prepare([Sample(4, np.array([5, 6, 7, 8], dtype=np.int32), num_context=2)], 0, 0)
    assert batch.source.input_ids.tolist() == [5, 6]
    assert batch.packed.input_ids.tolist() == [7]
    assert batch.targets["labels"].tolist() == [8]
