"""As much of the validation data as a report may spend seconds on, chosen the same way every time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import torch
from jaxtyping import Int32, Int64

from groundup.model.transformer import Transformer
from groundup.objectives.protocol import Objective
from groundup.recipe import Recipe
from groundup.text.sample import UNLABELLED, FlatSamples, Sample, Samples
from groundup.training.evaluate import measure_all

MOST_FLOPS: Final = 5e11
"""Of all forward passes for a report: some seconds on a small CPU."""
MOST_ROWS: Final = 20_000
LEAST_ROWS: Final = 32


@dataclass(frozen=True)
class Chosen:
    """Some samples of a collection, which keep their numbers (implements Samples)."""

    samples: Samples
    numbers: Int64[np.ndarray, " rows"]
    """Rising."""

    @cached_property
    def lengths(self) -> Int32[np.ndarray, " rows"]:
        """Tokens of each."""
        return self.samples.lengths[self.numbers]

    @property
    def digest(self) -> str:
        """Of the collection they are from."""
        return self.samples.digest

    @property
    def examples(self) -> Sequence[object]:
        """Those of the whole collection."""
        return self.samples.examples

    @property
    def all_labels(self) -> Int64[np.ndarray, " all_rows"]:
        """The class of every row of the collection, UNLABELLED for none."""
        labels = self.samples.labels if isinstance(self.samples, FlatSamples) else None
        return np.full(len(self.samples), UNLABELLED) if labels is None else labels

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> Sample:
        return self.samples[int(self.numbers[index])]


def choose(samples: Samples, flops_per_token: float) -> Chosen:
    """All samples where they are few or the model is small, else some that are spread evenly over them."""
    tokens = int(samples.lengths.sum(dtype=np.int64))
    share = MOST_FLOPS / max(1.0, flops_per_token * tokens)
    most = max(LEAST_ROWS, min(MOST_ROWS, int(share * len(samples))))
    return Chosen(samples, spread(len(samples), most))


def measure(
    recipe: Recipe, objective: Objective, model: Transformer, samples: Samples, device: torch.device
) -> dict[str, np.ndarray]:
    """What the objective finds in samples, in the recipe's precision and batches."""
    train = recipe.train
    return measure_all(
        model, objective, samples, device=device, precision=train.precision, max_tokens=train.micro_batch_tokens
    )


def spread(count: int, most: int) -> Int64[np.ndarray, " numbers"]:
    """At most so many numbers below `count`, evenly spread, rising."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))
