"""Masked and causal sequences in one model: each token predicted at the place before it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer as Backend
from tokenizers import models

from groundup.config import parse, to_json
from groundup.errors import ConfigError
from groundup.model.config import Dropout, ModelConfig
from groundup.model.initialize import initialize
from groundup.model.transformer import Transformer
from groundup.objectives.hybrid import Hybrid, HybridObjective
from groundup.objectives.masked import Masked, fill
from groundup.text.sample import Sample
from groundup.text.tokenizer import Tokenizer

TEXTS = ["one of the best films of the year", "今年最好的电影之一"]


@pytest.fixture
def objective(tokenizer: Tokenizer) -> HybridObjective:
    return Hybrid(causal_share=0.4).build(tokenizer)


@pytest.fixture
def model(tokenizer: Tokenizer, objective: HybridObjective) -> Transformer:
    config = ModelConfig(
        vocab_size=tokenizer.vocab_size,
        hidden_size=32,
        num_layers=2,
        num_heads=2,
        intermediate_size=64,
        dropout=Dropout(embedding=0.0, attention=0.0, residual=0.0),
        heads=(objective.head,),
        initializer_range=0.1,
    )
    model = Transformer(config)
    initialize(model, 0)
    return model.double().eval()


def test_the_shares_are_the_asked_ones(objective: HybridObjective, many: list[Sample]) -> None:
    batch = objective.prepare(many, seed=0, epoch=0)
    is_causal = [bool(order.any()) for order in batch.packed.order.split(list(batch.packed.lengths))]
    long = [causal for causal, length in zip(is_causal, batch.packed.lengths, strict=True) if length > 1]
    assert np.mean(long) == pytest.approx(0.4, abs=0.05)
    words = np.array(batch.packed.lengths) - 2
    masked, causal = batch.parts
    assert (masked.weight, causal.weight) == (0.6, 0.4)
    assert causal.count == words[np.array(is_causal)].sum()
    assert masked.count / words[~np.array(is_causal)].sum() == pytest.approx(0.15, rel=0.05)


def test_what_is_asked_stands_one_place_after_its_row(objective: HybridObjective, many: list[Sample]) -> None:
    batch = objective.prepare(many, seed=0, epoch=0)
    original = np.concatenate([sample.input_ids for sample in many])
    rows, labels = batch.targets["rows"].numpy(), batch.targets["labels"].numpy()
    assert (original[rows + 1] == labels).all()
    assert not objective.masking.is_special[labels].any()
    assert (batch.packed.position_ids.numpy()[rows + 1] == batch.packed.position_ids.numpy()[rows] + 1).all()
    is_causal = batch.targets["is_causal"].numpy()
    shown = batch.packed.input_ids.numpy()
    assert (shown[rows + 1][is_causal] == labels[is_causal]).all(), "causal sequences are shown as they are"
    hidden = (shown[rows + 1] == objective.masking.mask_id)[~is_causal]
    assert hidden.mean() == pytest.approx(0.8, abs=0.03)
    masked = Masked().build(objective.tokenizer).prepare(many, seed=0, epoch=0)
    assert set((rows + 1)[~is_causal]) <= set(masked.targets["rows"].tolist())


@pytest.mark.parametrize("text", TEXTS, ids=["english", "chinese"])
def test_causal_sequences_are_blind_to_the_future_and_masked_ones_see_all(
    objective: HybridObjective, model: Transformer, text: str
) -> None:
    objective = Hybrid(masking=Masked(rate=1e-9)).build(objective.tokenizer)  # so that what is changed is seen
    ids = objective.tokenizer.encode(text).input_ids
    changed = ids.copy()
    changed[-2] = ids[1]
    seen: dict[bool, bool] = {}
    for number in range(12):
        batches = [objective.prepare([Sample(number, each)], seed=0, epoch=0) for each in (ids, changed)]
        is_causal = bool(batches[0].packed.order.any())
        with torch.inference_mode():
            before, after = (model(batch.packed)[2] for batch in batches)
        if is_causal:
            assert torch.equal(before, after)
        else:
            assert not torch.equal(before, after)
        seen[is_causal] = True
    assert seen == {True: True, False: True}


def test_the_loss_is_that_of_a_float64_reference(
    objective: HybridObjective, model: Transformer, samples: list[Sample]
) -> None:
    """Sequence by sequence, with masks of attention made by hand, each part a mean of its own."""
    batch = objective.prepare(samples, seed=0, epoch=0)
    loss = objective.loss(model, batch)
    logs = model.heads["causal_lm"](model(batch.packed, rows=batch.targets["rows"])).log_softmax(dim=-1)
    picked = -logs[torch.arange(len(logs)), batch.targets["labels"]]
    is_causal = batch.targets["is_causal"]
    expected = 0.6 * picked[~is_causal].mean() + 0.4 * picked[is_causal].mean()
    assert (loss.sum / loss.count).item() == pytest.approx(expected.item(), rel=1e-12)
    assert picked.mean().item() != pytest.approx(expected.item(), rel=1e-6)


def test_a_model_learns_to_fill_masks_and_to_go_on(
    objective: HybridObjective, model: Transformer, samples: list[Sample]
) -> None:
    objective = Hybrid(masking=Masked(rate=0.25)).build(objective.tokenizer)
    model = model.float().train()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for epoch in range(150):
        loss = objective.loss(model, objective.prepare(samples, seed=0, epoch=epoch))
        optimizer.zero_grad()
        (loss.sum / loss.count).backward()
        optimizer.step()
    assert fill(model, objective.tokenizer, "one of the best [MASK] of the year", 3)[0][0].token == "films"
    assert fill(model, objective.tokenizer, "今年最好的电[MASK]之一")[0][0].token == "影"


def test_show_names_how_each_sequence_is_read(objective: HybridObjective, samples: list[Sample]) -> None:
    lines = objective.show(objective.prepare(samples, seed=0, epoch=0))
    assert {line.split(" ")[0] for line in lines} == {"[masked]", "[causal]"}
    assert not any("→" in line for line in lines if line.startswith("[causal]"))


def test_settings_that_do_not_fit_are_refused() -> None:
    found = parse(Hybrid, {"max_length": 64, "masking": {"kind": "masked", "rate": 0.3}})
    assert found.masking.max_length == 64 and parse(Hybrid, to_json(found)) == found
    with pytest.raises(ConfigError, match=r"masking\.max_length: is the objective's 64, got 32"):
        parse(Hybrid, {"max_length": 64, "masking": {"kind": "masked", "max_length": 32}})
    for share in (0.0, 1.0, -0.1):
        with pytest.raises(ConfigError, match="causal_share"):
            parse(Hybrid, {"causal_share": share})
    with pytest.raises(ConfigError, match="puts no token before a text"):
        Hybrid().build(Tokenizer(Backend(models.WordLevel({"[MASK]": 0, "a": 1}, unk_token="a"))))
