"""The losses of classifiers against their formulas written out in float64, and against torch's own."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from sklearn.utils.class_weight import compute_class_weight
from torch.nn import functional

from groundup.errors import ConfigError, DataError
from groundup.tasks.class_loss import (
    CrossEntropy,
    Focal,
    balanced_weights,
    class_losses,
    describe_loss,
    label_losses,
    named_weights,
)

LOSSES = [CrossEntropy(), CrossEntropy(smoothing=0.3), Focal(gamma=0.5), Focal(), Focal(gamma=3.7)]


@pytest.fixture
def logits() -> torch.Tensor:
    return 3 * torch.randn(9, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


LABELS = torch.tensor([0, 1, 2, 3, 3, -100, 2, 0, -100])
WEIGHTS = torch.tensor([0.5, 2.0, 1.0, 7.0], dtype=torch.float64)


def reference_of_row(row: list[float], label: int, loss: CrossEntropy | Focal) -> float:
    total = math.fsum(math.exp(each) for each in row)
    shares = [math.exp(each) / total for each in row]
    if isinstance(loss, Focal):
        return -((1 - shares[label]) ** loss.gamma) * math.log(shares[label])
    wanted = [loss.smoothing / len(row) + (1 - loss.smoothing) * (number == label) for number in range(len(row))]
    return -math.fsum(share * math.log(found) for share, found in zip(wanted, shares, strict=True))


def reference_of_pair(logit: float, is_yes: bool, loss: CrossEntropy | Focal) -> float:
    yes = 1 / (1 + math.exp(-logit))
    right = yes if is_yes else 1 - yes
    if isinstance(loss, Focal):
        return -((1 - right) ** loss.gamma) * math.log(right)
    return -((1 - loss.smoothing / 2) * math.log(right) + loss.smoothing / 2 * math.log(1 - right))


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["even", "weighted"])
def test_the_loss_of_a_row_is_its_formula(
    loss: CrossEntropy | Focal, weights: torch.Tensor | None, logits: torch.Tensor
) -> None:
    found = class_losses(logits, LABELS, loss, weights)
    for row, label, each in zip(logits.tolist(), LABELS.tolist(), found.tolist(), strict=True):
        factor = 1.0 if weights is None else float(weights[max(label, 0)])
        expected = 0.0 if label < 0 else factor * reference_of_row(row, label, loss)
        assert each == pytest.approx(expected, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
@pytest.mark.parametrize("weights", [None, torch.stack([WEIGHTS.flip(0), WEIGHTS])], ids=["even", "weighted"])
def test_the_loss_of_a_pair_is_its_formula(
    loss: CrossEntropy | Focal, weights: torch.Tensor | None, logits: torch.Tensor
) -> None:
    has_label = torch.arange(36).reshape(9, 4) % 3 == 0
    found = label_losses(logits, has_label, loss, weights)
    for row in range(9):
        for label in range(4):
            is_yes = bool(has_label[row, label])
            factor = 1.0 if weights is None else float(weights[int(is_yes), label])
            expected = factor * reference_of_pair(float(logits[row, label]), is_yes, loss)
            assert float(found[row, label]) == pytest.approx(expected, rel=1e-12)


def test_the_plain_losses_are_those_of_torch(logits: torch.Tensor) -> None:
    smooth = CrossEntropy(smoothing=0.2)
    theirs = functional.cross_entropy(logits, LABELS, ignore_index=-100, reduction="none", label_smoothing=0.2)
    torch.testing.assert_close(class_losses(logits, LABELS, smooth), theirs)
    weighted = functional.cross_entropy(logits, LABELS, WEIGHTS, ignore_index=-100, reduction="none")
    torch.testing.assert_close(class_losses(logits, LABELS, CrossEntropy(), WEIGHTS), weighted)
    has_label = torch.arange(36).reshape(9, 4) % 2 == 0
    pairs = functional.binary_cross_entropy_with_logits(
        logits, has_label.double(), pos_weight=WEIGHTS, reduction="none"
    )
    ours = label_losses(logits, has_label, CrossEntropy(), torch.stack([torch.ones_like(WEIGHTS), WEIGHTS]))
    torch.testing.assert_close(ours, pairs)


def test_a_gamma_of_nothing_is_cross_entropy_and_a_larger_one_looks_away_from_what_is_easy(
    logits: torch.Tensor,
) -> None:
    plain, none = (class_losses(logits, LABELS, loss) for loss in (CrossEntropy(), Focal(gamma=0.0)))
    torch.testing.assert_close(plain, none)
    ratio = (class_losses(logits, LABELS, Focal()) / plain)[LABELS >= 0]
    assert torch.equal(ratio.argsort(), plain[LABELS >= 0].argsort()), "the smaller the loss, the less is left of it"
    assert bool((ratio < 1).all())


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
@pytest.mark.parametrize("size", [1.0, 30.0, 300.0])
def test_gradients_are_finite_where_the_model_is_certain(loss: CrossEntropy | Focal, size: float) -> None:
    """In float32, where 1 - p is 0: a formula that takes its power gives NaN for a gamma below 1."""
    for make in (
        lambda logits: class_losses(logits, torch.tensor([0, 1, -100]), loss),
        lambda logits: label_losses(logits, torch.tensor([[True, False]] * 3), loss),
    ):
        logits = torch.tensor([[size, -size], [size, -size], [0.0, 0.0]], requires_grad=True)
        make(logits).sum().backward()
        assert logits.grad is not None and bool(logits.grad.isfinite().all())


@given(st.lists(st.integers(0, 4), min_size=5, max_size=60).filter(lambda each: set(each) == set(range(5))))
@settings(max_examples=40, deadline=None)
def test_balanced_weights_are_those_of_scikit_learn(labels: list[int]) -> None:
    counts = np.bincount(labels, minlength=5)
    expected = compute_class_weight("balanced", classes=np.arange(5), y=np.array(labels))
    found = balanced_weights(counts, list("abcde"), "train")
    assert found == pytest.approx(expected.tolist(), rel=1e-12)
    assert (np.array(found) * counts).sum() == pytest.approx(len(labels)), "a row weighs 1 on average"


def test_weights_must_be_of_classes_that_there_are() -> None:
    assert named_weights({"b": 3.0}, ("a", "b", "c")) == (1.0, 3.0, 1.0)
    with pytest.raises(ConfigError, match=r"names no label, got 'postive'; did you mean 'positive'\? known labels: "):
        named_weights({"postive": 3.0}, ("negative", "positive"))
    with pytest.raises(DataError, match="no row of a class that is to be balanced, got 'b'"):
        balanced_weights(np.array([3, 0]), ("a", "b"), "train.csv")
    for wrong in ({"gamma": -1.0}, {"gamma": 11.0}):
        with pytest.raises(ValidationError):
            Focal(**wrong)
    with pytest.raises(ValidationError):
        CrossEntropy(smoothing=1.0)


def test_a_signature_says_which_loss_it_is() -> None:
    assert describe_loss(CrossEntropy(), "softmax", None) == "softmax cross-entropy"
    assert describe_loss(CrossEntropy(smoothing=0.1), "softmax", None) == "softmax cross-entropy, smoothing=0.1"
    assert describe_loss(Focal(), "sigmoid", (1.0, 2.0)) == "sigmoid focal loss, gamma=2, weighted by class"
