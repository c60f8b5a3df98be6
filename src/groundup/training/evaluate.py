"""Metrics over a whole data set, in the same packed batches as training."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from groundup.metrics.metric import Metric
from groundup.model.transformer import Transformer
from groundup.objectives.protocol import Objective
from groundup.text.pack import cut_by_tokens
from groundup.text.sample import Samples
from groundup.training.config import Precision
from groundup.training.step import autocast

EVALUATION_SEED = 0
EVALUATION_EPOCH = -1
"""Validation draws its corruption from these, so that every validation of every run asks the same questions."""


def measure_all(
    model: Transformer,
    objective: Objective,
    samples: Samples,
    *,
    device: torch.device,
    precision: Precision = "fp32",
    max_tokens: int = 16384,
) -> dict[str, np.ndarray]:
    """The concatenated `measure` arrays of all samples, longest first. The model's mode is restored."""
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            parts = list(_measure_batches(model, objective, samples, device, precision, max_tokens))
    finally:
        model.train(was_training)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def evaluate(
    model: Transformer,
    objective: Objective,
    samples: Samples,
    *,
    device: torch.device,
    precision: Precision = "fp32",
    max_tokens: int = 16384,
) -> dict[str, Metric]:
    """The objective's metrics over all samples; the loss alone where it is not finite."""
    measured = measure_all(model, objective, samples, device=device, precision=precision, max_tokens=max_tokens)
    losses = next((measured[name] for name in ("loss", "nll", "log_probability") if name in measured), np.zeros(0))
    if not np.isfinite(losses).all():
        # What such a model answers is no answer, and thresholds and ranks cannot be drawn from it.
        return {"loss": Metric("loss", float(losses.mean()), len(losses), "mean of what is not finite")}
    return objective.score(measured, samples.examples)


def _measure_batches(
    model: Transformer,
    objective: Objective,
    samples: Samples,
    device: torch.device,
    precision: Precision,
    max_tokens: int,
) -> Iterator[dict[str, np.ndarray]]:
    for chosen in cut_by_tokens(np.arange(len(samples)), samples.lengths, max_tokens):
        batch = objective.prepare([samples[int(i)] for i in chosen], EVALUATION_SEED, EVALUATION_EPOCH)
        with autocast(device, precision):
            yield objective.measure(model, batch.to(device))
