"""What the training loop knows of an objective, and an objective of the loop: nothing but this file.

An objective turns samples into a packed batch (corruption included) and answers a loss as a sum and a count. The loop
divides once by the count of the whole step, all micro-batches and ranks together. A task is an objective that also
decodes predictions; its metrics come out of `score`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from groundup.metrics.metric import Metric
from groundup.model.config import Head
from groundup.model.packed import Packed
from groundup.model.transformer import Transformer
from groundup.text.sample import Sample, Samples

ExampleT = TypeVar("ExampleT", contravariant=True)
PredictionT = TypeVar("PredictionT", covariant=True)


class Loss(NamedTuple):
    """A loss before its division: the sum over targets (fp32, with its graph) and how many they are."""

    sum: Float[Tensor, ""]
    count: int


@dataclass(frozen=True)
class Batch:
    """A packed batch with the targets of its objective."""

    packed: Packed
    targets: Mapping[str, Tensor]
    """What the loss compares with, by the objective's own names."""
    count: int
    """How many targets the loss sums over; may be 0 for a micro-batch, never for a whole step."""
    samples: Int64[np.ndarray, " sequences"]
    """The number of the sample that each sequence came from."""

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on another device."""
        targets = {name: target.to(device, non_blocking=True) for name, target in self.targets.items()}
        return replace(self, packed=self.packed.to(device), targets=targets)


@runtime_checkable
class Objective(Protocol):
    """Corruption and loss in one place. The model never sees labels; the loop never sees what is masked."""

    head: Head
    """The head that the model must carry."""
    best: tuple[str, bool]
    """The metric that chooses the best checkpoint, and whether larger is better."""

    def prepare(self, samples: Sequence[Sample], seed: int, epoch: int) -> Batch:
        """Pack and corrupt. A function of its arguments alone; the samples are not changed."""
        ...

    def loss(self, model: Transformer, batch: Batch) -> Loss:
        """The summed loss of a batch and the number of its targets."""
        ...

    def measure(self, model: Transformer, batch: Batch) -> dict[str, np.ndarray]:
        """What `score` needs of a batch, as arrays over its sequences or targets (called without gradients)."""
        ...

    def score(self, measured: Mapping[str, np.ndarray]) -> dict[str, Metric]:
        """Metrics of a whole data set from the concatenated arrays of `measure`."""
        ...

    def show(self, batch: Batch) -> list[str]:
        """Each sequence decoded for people, with its targets marked."""
        ...


@runtime_checkable
class Paced(Protocol):
    """An objective whose corruption changes in the course of training; its `prepare` is that of the end."""

    def prepare_at(self, samples: Sequence[Sample], seed: int, epoch: int, progress: float) -> Batch:
        """`prepare` at a place in training, 0 its first step and 1 its last. A function of its arguments alone."""
        ...


@runtime_checkable
class Sourced(Protocol):
    """An objective that reads more than samples and tokenizer, such as a dictionary."""

    @property
    def sources(self) -> Mapping[str, str]:
        """What it reads, by the name of its setting, with a version or hash that changes when the content does."""
        ...


@runtime_checkable
class Task(Objective, Protocol[ExampleT, PredictionT]):
    """An objective whose examples people write and whose predictions people read."""

    def encode(self, examples: Sequence[ExampleT], where: str) -> Samples:
        """Examples as samples, in their order; one without a label is no error. `where` names their file in errors."""
        ...

    def decode(self, measured: Mapping[str, np.ndarray]) -> list[PredictionT]:
        """A prediction for every sample, in the order of the samples, from the concatenated arrays of `measure`."""
        ...
