"""Vectors of texts: the loss of SimCSE against a plain reference, pairs, and the measure of similarity."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from groundup.errors import ConfigError, DataError, TrainingError
from groundup.model.config import Dropout, ModelConfig
from groundup.model.initialize import initialize
from groundup.model.transformer import Transformer
from groundup.objectives.contrastive import Contrastive
from groundup.readers.table import Example
from groundup.text.pack import StepPlan
from groundup.text.sample import Sample
from groundup.text.tokenizer import Tokenizer
from groundup.training.step import prepare_step

ROWS = [
    Example("one of the best films", "the best film of the year", "4.615", 2),
    Example("今年最好的电影", "这部电影非常好看", "3.0", 3),
    Example("dull", "无聊", "5", 4),
]


def make_model(tokenizer: Tokenizer, dropout: float = 0.0) -> Transformer:
    config = ModelConfig(
        vocab_size=tokenizer.vocab_size,
        hidden_size=32,
        num_layers=2,
        num_heads=2,
        intermediate_size=64,
        dropout=Dropout(embedding=dropout, attention=dropout, residual=dropout),
        initializer_range=0.2,
    )
    model = Transformer(config)
    initialize(model, 0)
    return model.double()


@pytest.mark.parametrize("pooling", ["first", "mean"])
@pytest.mark.parametrize("positives", ["dropout", "pair"])
def test_the_loss_is_that_of_a_float64_reference(tokenizer: Tokenizer, pooling: str, positives: str) -> None:
    objective = Contrastive(pooling=pooling, positives=positives, temperature=0.1).build(tokenizer)
    table = objective.encode(ROWS, "train")
    batch = objective.prepare([table[number] for number in range(3)], seed=0, epoch=0)
    model = make_model(tokenizer).eval()
    loss = objective.loss(model, batch)
    vectors = []
    for ids in batch.packed.split():
        hidden = model(replace(batch.packed, input_ids=ids, lengths=(len(ids),), **alone(len(ids))))
        vectors.append(hidden[0] if pooling == "first" else hidden.mean(dim=0))
    first, second = torch.stack(vectors[::2]), torch.stack(vectors[1::2])
    expected = torch.tensor(0.0, dtype=torch.float64)
    for place, one in enumerate(first):
        cosines = torch.stack([functional.cosine_similarity(one, other, dim=0) for other in second])
        expected = expected - (cosines / 0.1).log_softmax(dim=0)[place]
    assert loss.count == (3 if positives == "pair" else 6)
    assert loss.sum.item() == pytest.approx(expected.item(), rel=1e-10)
    other = Contrastive(pooling=pooling, positives=positives, temperature=0.2).build(tokenizer)
    assert other.loss(model, batch).sum.item() != pytest.approx(expected.item(), rel=1e-3)


def alone(length: int) -> dict[str, torch.Tensor]:
    return {"token_type_ids": torch.zeros(length, dtype=torch.int64), "position_ids": torch.arange(length)}


def test_two_passes_drop_different_values(tokenizer: Tokenizer, samples: list[Sample]) -> None:
    objective = Contrastive().build(tokenizer)
    batch = objective.prepare(samples, seed=0, epoch=0)
    texts = batch.packed.split()
    assert all(torch.equal(one, other) for one, other in zip(texts[::2], texts[1::2], strict=True))
    torch.manual_seed(0)
    views = objective.embed(make_model(tokenizer, dropout=0.1).train(), batch.packed)
    cosines = (views[::2] * views[1::2]).sum(dim=-1)
    assert (cosines < 0.999).all() and (cosines > 0.3).all()
    still = objective.embed(make_model(tokenizer, dropout=0.1).eval(), batch.packed)
    assert torch.allclose(still[::2], still[1::2])


def test_a_model_learns_which_texts_belong_together(tokenizer: Tokenizer) -> None:
    objective = Contrastive(positives="pair").build(tokenizer)
    table = objective.encode(ROWS, "train")
    rows = [table[number] for number in range(3)]
    model = make_model(tokenizer).float()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(40):
        loss = objective.loss(model, objective.prepare(rows, 0, 0))
        optimizer.zero_grad()
        (loss.sum / loss.count).backward()
        optimizer.step()
    with torch.inference_mode():
        metrics = objective.score(objective.measure(model.eval(), objective.prepare(rows, 0, -1)), ())
    assert metrics["accuracy"].value == 1.0 and metrics["loss"].value < 0.1


def test_spearman_is_that_of_the_cosines_and_the_labels(tokenizer: Tokenizer) -> None:
    """Counted by ranks: cosines made by hand against similarities with a tie."""
    objective = Contrastive(choose_by="spearman").build(tokenizer)
    count = 6
    angles = np.array([0.1, 0.5, 0.3, 0.9, 0.2, 0.7])
    first = np.stack([np.ones(count), np.zeros(count)], axis=1)
    measured = {
        "first": first,
        "second": first,
        "cosine": np.cos(angles),
        "label": np.array([5, 2, 3, 0, 3, 1]) * 1_000_000,
        "sample": np.arange(count),
    }
    ranks = [np.array([6, 3, 4, 1, 5, 2]), np.array([6, 3, 4.5, 1, 4.5, 2])]
    expected = np.corrcoef(*ranks)[0, 1]
    metric = objective.score(measured, ())["spearman"]
    assert metric.value == pytest.approx(expected) and metric.count == count and objective.best == ("spearman", True)
    with pytest.raises(DataError, match=r"says of no two texts how alike they are; name data\.label"):
        objective.score(measured | {"label": np.full(count, -100)}, ())


def test_rows_are_cut_counted_and_kept_apart(tokenizer: Tokenizer) -> None:
    objective = Contrastive(max_length=12, positives="pair").build(tokenizer)
    table = objective.encode(ROWS, "train")
    assert (table.lengths <= 12).all() and table.report.num_truncated == 2 and table.report.tokens_lost > 0
    one = table[2]
    assert tokenizer.decode(one.input_ids[: one.num_context], skip_special=True) == "dull"
    assert tokenizer.decode(one.input_ids[one.num_context :], skip_special=True) == "无聊"
    assert one.label == 5_000_000
    shown = objective.show(objective.prepare([one], 0, 0))
    assert shown == ["[text] [CLS] dull [SEP]", "[pair] [CLS] 无 聊 [SEP]"]


def test_bad_rows_and_cut_steps_are_refused(tokenizer: Tokenizer) -> None:
    objective = Contrastive(positives="pair").build(tokenizer)
    with pytest.raises(ConfigError, match=r"data\.pair: names no column"):
        objective.encode([Example("a", None, None, 2)], "train")
    for label in ("good", "-1", "nan", "inf"):
        with pytest.raises(DataError, match=r"train:2: is no similarity"):
            objective.encode([Example("a", "b", label, 2)], "train")
    plan = StepPlan(0, 0, (np.array([0, 1]), np.array([2])), 0)
    with pytest.raises(TrainingError, match="cuts a step whose parts are compared"):
        prepare_step(objective, objective.encode(ROWS, "train"), plan, 0, 10)
