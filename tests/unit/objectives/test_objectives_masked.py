from __future__ import annotations

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from tokenizers import Tokenizer as Backend
from tokenizers import models, pre_tokenizers

from groundup.errors import ConfigError, DataError
from groundup.model.transformer import Transformer
from groundup.objectives.masked import Masked, MaskedObjective, fill
from groundup.objectives.protocol import Batch
from groundup.text.sample import Sample
from groundup.text.tokenizer import Tokenizer


@pytest.fixture
def objective(tokenizer: Tokenizer) -> MaskedObjective:
    return Masked().build(tokenizer)


def masked_places(batch: Batch) -> dict[tuple[int, int], int]:
    """(sample, position) of every target, with the token shown there."""
    sequences = np.repeat(np.arange(len(batch.packed.lengths)), batch.packed.lengths)
    rows = batch.targets["rows"].numpy()
    numbers, positions = batch.samples[sequences[rows]], batch.packed.position_ids.numpy()[rows]
    return dict(
        zip(zip(numbers.tolist(), positions.tolist(), strict=True), batch.packed.input_ids[rows].tolist(), strict=True)
    )


def test_shares_of_masked_replaced_and_kept_tokens(objective: MaskedObjective, many: list[Sample]) -> None:
    shown, labels, words = [], [], 0
    for epoch in range(6):
        batch = objective.prepare(many, seed=1, epoch=epoch)
        shown.append(batch.packed.input_ids.numpy()[batch.targets["rows"].numpy()])
        labels.append(batch.targets["labels"].numpy())
        words += sum(len(sample.input_ids) - 2 for sample in many)
    shown, labels = np.concatenate(shown), np.concatenate(labels)
    assert len(labels) > 10_000
    regular = (~objective.is_special).sum()
    masked, kept = shown == objective.mask_id, shown == labels
    assert len(labels) / words == pytest.approx(0.15, rel=0.01)
    assert masked.mean() == pytest.approx(0.8, abs=0.01)
    assert kept.mean() == pytest.approx(0.1 + 0.1 / regular, abs=0.01)
    assert (~masked & ~kept).mean() == pytest.approx(0.1 - 0.1 / regular, abs=0.01)


def test_every_sequence_has_its_share_within_one_token(objective: MaskedObjective, many: list[Sample]) -> None:
    batch = objective.prepare(many, seed=0, epoch=0)
    sequences = np.repeat(np.arange(len(many)), batch.packed.lengths)[batch.targets["rows"].numpy()]
    counts = np.bincount(sequences, minlength=len(many))
    wanted = np.array([0.15 * (len(sample.input_ids) - 2) for sample in many])
    assert (np.abs(counts - wanted) < 1).all()
    assert (counts != np.round(wanted)).any()  # rounded by chance, or short texts would never be masked


@pytest.mark.parametrize("text", ["dull", "one of the best films of the year", "无聊", "今年最好的电影之一"])
def test_short_texts_of_either_language_are_masked_at_the_rate(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text).input_ids
    repeated = [Sample(number, ids) for number in range(4000)]
    batch = Masked(rate=0.2).build(tokenizer).prepare(repeated, seed=0, epoch=0)
    assert batch.count / (4000 * (len(ids) - 2)) == pytest.approx(0.2, abs=0.01)
    per_position = np.bincount(batch.packed.position_ids.numpy()[batch.targets["rows"].numpy()], minlength=len(ids))
    assert per_position[0] == per_position[-1] == 0
    np.testing.assert_allclose(per_position[1:-1] / 4000, 0.2, atol=0.03)


def test_random_tokens_are_drawn_evenly_from_the_regular_vocabulary(tokenizer: Tokenizer, many: list[Sample]) -> None:
    objective = Masked(rate=1.0, mask=0.0, random=1.0, keep=0.0).build(tokenizer)
    batches = [objective.prepare(many, seed=0, epoch=epoch) for epoch in range(3)]
    drawn = np.concatenate([batch.packed.input_ids[batch.targets["rows"]].numpy() for batch in batches])
    counts = np.bincount(drawn, minlength=tokenizer.vocab_size)
    regular = np.setdiff1d(np.arange(tokenizer.vocab_size), list(tokenizer.special_ids))
    assert counts[list(tokenizer.special_ids)].sum() == 0
    expected = len(drawn) / len(regular)
    chi_square = ((counts[regular] - expected) ** 2 / expected).sum()
    assert chi_square < len(regular) + 5 * np.sqrt(2 * len(regular))


def test_what_is_not_a_target_stays_and_labels_are_the_originals(
    objective: MaskedObjective, many: list[Sample]
) -> None:
    batch = objective.prepare(many, seed=3, epoch=2)
    original = torch.from_numpy(np.concatenate([sample.input_ids for sample in many])).long()
    rows, labels = batch.targets["rows"], batch.targets["labels"]
    assert torch.equal(original[rows], labels)
    restored = batch.packed.input_ids.clone()
    restored[rows] = labels
    assert torch.equal(restored, original)
    assert not np.isin(labels.numpy(), list(objective.tokenizer.special_ids)).any()


def test_the_mask_depends_on_seed_epoch_and_sample_alone(objective: MaskedObjective, samples: list[Sample]) -> None:
    whole = masked_places(objective.prepare(samples, seed=5, epoch=1))
    apart: dict[tuple[int, int], int] = {}
    for sample in reversed(samples):
        apart |= masked_places(objective.prepare([sample], seed=5, epoch=1))
    assert whole == apart
    assert whole != masked_places(objective.prepare(samples, seed=5, epoch=2))
    assert whole != masked_places(objective.prepare(samples, seed=6, epoch=1))


def test_the_choice_the_fate_and_the_replacement_are_unrelated(tokenizer: Tokenizer, many: list[Sample]) -> None:
    # The same draw used twice would mask the earliest chosen tokens and keep the last ones.
    objective = Masked(rate=0.5, mask=0.5, random=0.0, keep=0.5).build(tokenizer)
    batch = objective.prepare(many, seed=0, epoch=0)
    less = Masked(rate=0.25, mask=0.5, random=0.0, keep=0.5).build(tokenizer).prepare(many, seed=0, epoch=0)
    is_masked = batch.packed.input_ids[batch.targets["rows"]] == objective.mask_id
    is_masked_of_less = less.packed.input_ids[less.targets["rows"]] == objective.mask_id
    assert is_masked.float().mean().item() == pytest.approx(0.5, abs=0.02)
    assert is_masked_of_less.float().mean().item() == pytest.approx(0.5, abs=0.03)


def test_samples_of_special_tokens_alone_are_fine(objective: MaskedObjective, model: Transformer) -> None:
    tokenizer = objective.tokenizer
    bare = Sample(0, np.array([*tokenizer.prefix_ids, *tokenizer.suffix_ids], dtype=np.int32))
    batch = objective.prepare([bare], seed=0, epoch=0)
    assert batch.count == 0
    loss = objective.loss(model, batch)
    loss.sum.backward()
    assert (loss.sum.item(), loss.count) == (0.0, 0)


def test_token_types_travel_and_stay(objective: MaskedObjective) -> None:
    pair = objective.tokenizer.encode("dull", "无聊")
    plain = objective.tokenizer.encode("dull")
    both = [Sample(0, pair.input_ids, pair.token_type_ids), Sample(1, plain.input_ids, None)]
    batch = objective.prepare(both, seed=0, epoch=0)
    assert batch.packed.token_type_ids.tolist() == [*pair.token_type_ids, *([0] * len(plain.input_ids))]


def test_shares_must_sum_to_one_and_the_rate_lie_within_reach() -> None:
    with pytest.raises(ValidationError, match=r"must sum to 1, got 0\.9"):
        Masked(mask=0.8, random=0.1, keep=0.0)
    for rate in (0.0, 1.5):
        with pytest.raises(ValidationError):
            Masked(rate=rate)


def test_a_tokenizer_without_a_mask_token_is_refused() -> None:
    backend = Backend(models.WordLevel({"[UNK]": 0, "a": 1}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    with pytest.raises(ConfigError, match="mask"):
        Masked().build(Tokenizer(backend))


def test_show_marks_every_kind_of_target(tokenizer: Tokenizer, samples: list[Sample]) -> None:
    def shown(**shares: float) -> list[str]:
        objective = Masked(rate=1.0, **shares).build(tokenizer)
        return objective.show(objective.prepare(samples, seed=0, epoch=0))

    assert shown(mask=1.0, random=0.0, keep=0.0)[-1] == "[CLS] [MASK→无] [MASK→聊] [SEP]"
    assert shown(mask=0.0, random=0.0, keep=1.0)[-1] == "[CLS] [=无] [=聊] [SEP]"
    replaced = shown(mask=0.0, random=1.0, keep=0.0)[-1]
    assert replaced.split(" ")[1].endswith("→无]")
    assert "MASK" not in replaced
    mixed = Masked(rate=0.3).build(tokenizer)
    lines = mixed.show(mixed.prepare(samples, seed=0, epoch=0))
    assert len(lines) == len(samples)
    assert any(" film " in line or "电 影" in line for line in lines)


def test_measure_and_score_agree_with_the_loss(
    objective: MaskedObjective, model: Transformer, many: list[Sample]
) -> None:
    batch = objective.prepare(many[:60], seed=0, epoch=-1)
    with torch.inference_mode():
        measured = objective.measure(model.eval(), batch)
        loss = objective.loss(model, batch)
    metrics = objective.score(measured, ())
    assert metrics["loss"].value == pytest.approx(loss.sum.item() / loss.count, rel=1e-6)
    assert metrics["perplexity"].value == pytest.approx(np.exp(metrics["loss"].value))
    assert metrics["accuracy"].value == measured["correct"].mean()
    assert metrics["loss"].low < metrics["loss"].value < metrics["loss"].high
    assert metrics["loss"].count == batch.count == len(measured["nll"])
    for part in ("rate=0.15", "0.8/0.1/0.1", "resamples=1000", "seed=0", objective.tokenizer.digest[:12]):
        assert part in metrics["loss"].signature
    assert set(measured["sample"].tolist()) <= {sample.index for sample in many[:60]}
    places = masked_places(batch)
    assert measured["sample"].tolist() == [number for number, _ in places]
    assert objective.best[0] in metrics


def test_a_data_set_without_a_target_is_named(objective: MaskedObjective) -> None:
    nothing = {"nll": np.zeros(0), "correct": np.zeros(0, dtype=bool), "sample": np.zeros(0, dtype=np.int64)}
    with pytest.raises(DataError, match="no token of it was masked"):
        objective.score(nothing, ())


def test_a_model_learns_to_fill_the_mask(tokenizer: Tokenizer, model: Transformer, samples: list[Sample]) -> None:
    objective = Masked(rate=0.25).build(tokenizer)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for epoch in range(150):
        loss = objective.loss(model, objective.prepare(samples, seed=0, epoch=epoch))
        optimizer.zero_grad()
        (loss.sum / loss.count).backward()
        optimizer.step()
    english, chinese = (
        fill(model, tokenizer, "one of the best [MASK] of the year", 3),
        fill(model, tokenizer, "今年最好的电[MASK]之一"),
    )
    assert english[0][0].token == "films"
    assert chinese[0][0].token == "影"
    assert len(english) == 1
    assert len(english[0]) == 3
    assert len(chinese[0]) == 5
    probabilities = [candidate.probability for candidate in chinese[0]]
    assert probabilities == sorted(probabilities, reverse=True)
    assert model.training


def test_fill_refuses_what_it_cannot_answer(tokenizer: Tokenizer, model: Transformer) -> None:
    with pytest.raises(DataError, match="no mask token"):
        fill(model, tokenizer, "无聊")
    with pytest.raises(DataError, match="longer than 64 tokens"):
        fill(model, tokenizer, "[MASK] " + "无聊" * 64)
