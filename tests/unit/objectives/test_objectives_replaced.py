"""Replaced tokens: what is drawn, and both losses against a plain reference in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from groundup.config import parse
from groundup.errors import ConfigError
from groundup.model.config import Dropout, ModelConfig
from groundup.model.estimate import count_parameters
from groundup.model.generator import shrink
from groundup.model.initialize import initialize
from groundup.model.packed import Packed
from groundup.model.transformer import Transformer
from groundup.objectives.masked import Masked
from groundup.objectives.replaced import Replaced, ReplacedObjective, draw_tokens
from groundup.text.sample import Sample
from groundup.text.tokenizer import Tokenizer


@pytest.fixture
def objective(tokenizer: Tokenizer) -> ReplacedObjective:
    masking = Masked(rate=0.4, mask=1.0, random=0.0, keep=0.0)
    return Replaced(generator_size=0.5, weight=7.0, masking=masking).build(tokenizer)


@pytest.fixture
def model(tokenizer: Tokenizer, objective: ReplacedObjective) -> Transformer:
    config = ModelConfig(
        vocab_size=tokenizer.vocab_size,
        hidden_size=16,
        num_layers=2,
        num_heads=2,
        intermediate_size=32,
        dropout=Dropout(embedding=0.0, attention=0.0, residual=0.0),
        heads=objective.heads,
        initializer_range=0.3,
    )
    model = Transformer(config)
    initialize(model, 0)
    return model.double().eval()


def test_both_losses_are_those_of_a_plain_reference(
    objective: ReplacedObjective, model: Transformer, samples: list[Sample]
) -> None:
    batch = objective.prepare(samples, seed=1, epoch=2)
    rows, labels, draws = (batch.targets[name] for name in ("rows", "labels", "draws"))
    with torch.no_grad():
        logits = model.heads["generator"](batch.packed, rows)
        shares = logits.softmax(dim=-1).numpy()
        drawn = []
        for row, draw in zip(shares, draws.tolist(), strict=True):
            below = 0.0
            for token, share in enumerate(row):  # noqa: B007
                below += share
                if draw < below:
                    break
            drawn.append(token)
        ids = batch.packed.input_ids.clone()
        ids[rows] = torch.tensor(drawn)
        original = np.concatenate([sample.input_ids for sample in samples])
        is_replaced = torch.from_numpy(ids.numpy()[: len(original)] != original).double()
        packed = Packed.from_sequences(np.split(ids.numpy()[: len(original)], np.cumsum(batch.packed.lengths)[:-1]))
        found = model.heads["replaced"](model(packed))[: len(original), 0]
        generator = functional.cross_entropy(logits, labels)
        discriminator = functional.binary_cross_entropy_with_logits(found, is_replaced)
    assert 0 < is_replaced.sum() <= len(rows)
    loss = objective.loss(model, batch)
    assert loss.sum.item() / loss.count == pytest.approx((generator + 7 * discriminator).item(), rel=1e-12)
    wrong = functional.binary_cross_entropy_with_logits(found, 1 - is_replaced)
    assert loss.sum.item() / loss.count != pytest.approx((generator + 7 * wrong).item(), rel=1e-3)


def test_draws_follow_the_distribution() -> None:
    shares = torch.tensor([0.5, 0.0, 0.2, 0.3], dtype=torch.float64)
    draws = (torch.arange(1000, dtype=torch.float64) + 0.5) / 1000
    drawn = draw_tokens(shares.log().expand(1000, -1), draws)
    assert drawn.bincount(minlength=4).tolist() == [500, 0, 200, 300]
    assert draw_tokens(torch.zeros(1, 4), torch.tensor([1.0 - 2.0**-53], dtype=torch.float64)).tolist() == [3]


def test_the_model_learns_nothing_through_the_draw(
    objective: ReplacedObjective, model: Transformer, samples: list[Sample]
) -> None:
    """The generator's own parameters have the gradient of its loss alone, whatever the weight of the other."""
    batch = objective.prepare(samples, seed=1, epoch=2)
    found = []
    for factor in (1.0, 5.0):
        generator, discriminator = batch.parts
        parts = (generator, discriminator._replace(factor=discriminator.factor * factor))
        model.zero_grad(set_to_none=True)
        objective.loss(model, type(batch)(**{**vars(batch), "parts": parts})).sum.backward()
        found.append([parameter.grad.clone() for parameter in model.heads["generator"].parameters()])
        found[-1].append(model.embedding.token.weight.grad.clone())
    assert all(torch.equal(first, second) for first, second in zip(found[0][:-1], found[1][:-1], strict=True))
    assert not torch.equal(found[0][-1], found[1][-1]), "the embedding is that of both"


def test_a_generator_that_is_no_whole_share_is_refused(model: Transformer) -> None:
    head = model.config.heads[1].model_copy(update={"fraction": 0.25})
    with pytest.raises(ConfigError, match=r"objective\.generator_size: must leave a whole number of model\.num_heads"):
        shrink(model.config, head)
    shares = (
        Replaced(masking=Masked(rate=0.3)).masking,
        Replaced(masking=Masked(mask=0.9, random=0.1, keep=0.0)).masking,
    )
    assert [masking.mask for masking in shares] == [1.0, 0.9]
    with pytest.raises(ConfigError, match=r"masking\.max_length: is the objective's 64, got 32"):
        parse(Replaced, {"kind": "replaced", "max_length": 64, "masking": {"max_length": 32}})


def test_sizes_are_counted_before_anything_is_built(model: Transformer) -> None:
    """Parameters of the generator as it is, with the embedding that is not its own counted once."""
    for fraction, change in ((0.5, {}), (1.0, {}), (0.5, {"embedding_size": 12}), (0.5, {"tie_embeddings": False})):
        head = model.config.heads[1].model_copy(update={"fraction": fraction})
        config = model.config.model_copy(update={**change, "heads": (model.config.heads[0], head)})
        built = Transformer(config)
        assert sum(count_parameters(config).values()) == sum(each.numel() for each in built.parameters())
