"""What a classifier loses on a row: cross-entropy or focal loss, smoothed or weighted by class, over one label or many.

Every function answers one loss an item, so that a task sums those that count. Weights multiply the loss of an item and
not the count it is divided by: a step stays the same however it is cut into micro-batches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Annotated, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from groundup.config import Config
from groundup.errors import ConfigError, DataError


class CrossEntropy(Config):
    """The negative log-likelihood of the labels."""

    kind: Literal["cross_entropy"] = "cross_entropy"
    smoothing: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    """The share of every label that is spread evenly over all classes (Szegedy et al. 2016, section 7)."""


class Focal(Config):
    """Cross-entropy times (1 - p)^gamma, p the probability of the label: what is easy counts less (Lin et al. 2017)."""

    kind: Literal["focal"] = "focal"
    gamma: Annotated[float, Field(ge=0.0, le=10.0)] = 2.0
    """How much less; 0 is cross-entropy."""


ClassLoss = Annotated[CrossEntropy | Focal, Field(discriminator="kind")]
Weight = Annotated[float, Field(gt=0.0)]
ClassWeights = Literal["balanced"] | dict[str, Weight]
"""`balanced`, or a weight for each class that is named, 1 for the others."""


def class_losses(
    logits: Float[Tensor, "rows classes"],
    labels: Int[Tensor, " rows"],
    loss: CrossEntropy | Focal,
    weights: Float[Tensor, " classes"] | None = None,
) -> Float[Tensor, " rows"]:
    """The loss of each row with one label out of several; 0 for a label below 0.

    Args:
        logits: of every class.
        labels: the class of each row.
        loss: which.
        weights: what the loss of a row is multiplied with, by its class.
    """
    is_labelled = labels >= 0
    wanted = labels.clamp(min=0)[:, None]
    logs = logits.log_softmax(dim=1)
    right = logs.gather(1, wanted)[:, 0]
    if isinstance(loss, Focal):
        # log(1 - p) from the other classes: no digit is lost where p is near 1, nor a gradient.
        others = logs.scatter(1, wanted, -torch.inf).logsumexp(dim=1)
        losses = -(loss.gamma * others).exp() * right
    else:
        losses = -((1.0 - loss.smoothing) * right + loss.smoothing * logs.mean(dim=1))
    if weights is not None:
        losses = losses * weights.to(losses)[wanted[:, 0]]
    return torch.where(is_labelled, losses, 0.0)


def label_losses(
    logits: Float[Tensor, "rows labels"],
    has_label: Bool[Tensor, "rows names"],
    loss: CrossEntropy | Focal,
    weights: Float[Tensor, "2 labels"] | None = None,
) -> Float[Tensor, "rows labels"]:
    """The loss of each pair of a row and a label, every label a question of its own: yes or no.

    Args:
        logits: of the labels; their sigmoid is the probability of yes.
        has_label: the answers.
        loss: which; smoothing moves an answer towards one half.
        weights: what the loss of a pair is multiplied with: the first row where the answer is no, the second for yes.
    """
    signed = torch.where(has_label, logits, -logits)
    right, wrong = functional.logsigmoid(signed), functional.logsigmoid(-signed)
    if isinstance(loss, Focal):
        losses = -(loss.gamma * wrong).exp() * right
    else:
        losses = -((1.0 - loss.smoothing / 2.0) * right + loss.smoothing / 2.0 * wrong)
    if weights is not None:
        no, yes = weights.to(losses)
        losses = losses * torch.where(has_label, yes, no)
    return losses


def balanced_weights(counts: Int[np.ndarray, " classes"], labels: Sequence[str], where: str) -> tuple[float, ...]:
    """rows / (classes * rows of the class), as scikit-learn's `balanced`: all classes weigh alike, 1 a row on average.

    Raises:
        DataError: a class has no row.
    """
    empty = [label for label, count in zip(labels, counts, strict=True) if not count]
    if empty:
        cure = "add rows of it, or give objective.class_weights by label"
        raise DataError(where, "has no row of a class that is to be balanced", got=empty[0], cure=cure)
    return tuple((counts.sum() / (len(counts) * counts.astype(np.float64))).tolist())


def named_weights(weights: Mapping[str, float], labels: Sequence[str]) -> tuple[float, ...]:
    """A weight for every label, 1 for those that are not named. Raises ConfigError for a name that is no label."""
    for name in weights:
        if name not in labels:
            near = get_close_matches(name, labels, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise ConfigError(
                "objective.class_weights", "names no label", got=name, cure=f"{hint}known labels: {', '.join(labels)}"
            )
    return tuple(weights.get(label, 1.0) for label in labels)


def describe_loss(loss: CrossEntropy | Focal, function: str, weights: Sequence[float] | None) -> str:
    """How it is computed, for the signature of a metric; `function` is softmax or sigmoid."""
    if isinstance(loss, Focal):
        what = f"{function} focal loss, gamma={loss.gamma:g}"
    else:
        what = f"{function} cross-entropy" + (f", smoothing={loss.smoothing:g}" if loss.smoothing else "")
    return what if weights is None else f"{what}, weighted by class"
