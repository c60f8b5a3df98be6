"""One optimizer step: batches prepared for the whole step, one division by the count of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch

from groundup.errors import TrainingError
from groundup.model.transformer import Transformer
from groundup.objectives.protocol import Batch, Indivisible, Objective, Paced, balance
from groundup.randomness import make_key
from groundup.text.pack import StepPlan
from groundup.text.sample import Samples
from groundup.training.config import Precision


@dataclass(frozen=True)
class StepOutcome:
    """What one step did, as plain numbers."""

    loss: float
    """The summed loss over all micro-batches."""
    count: int
    """The targets it is summed over."""
    tokens: int
    """Tokens computed on."""
    grad_norm: float
    """The norm of the gradient before clipping."""
    bad_batches: tuple[int, ...]
    """Micro-batches whose own loss is not finite; all of them where only the gradient is not."""

    @property
    def is_finite(self) -> bool:
        """Whether the optimizer may use the gradient."""
        return not self.bad_batches


def prepare_step(objective: Objective, samples: Samples, plan: StepPlan, seed: int, total_steps: int) -> list[Batch]:
    """Read and corrupt the samples of every micro-batch. A pure function, so it may run ahead in a thread."""
    if isinstance(objective, Indivisible) and len(plan.micro_batches) > 1:
        cure = "raise train.micro_batch_tokens, or lower train.batch_size"
        raise TrainingError("train.micro_batch_tokens", "cuts a step whose parts are compared", cure=cure)
    progress = plan.step / max(1, total_steps - 1)
    batches = []
    for chosen in plan.micro_batches:
        found = [samples[int(index)] for index in chosen]
        if isinstance(objective, Paced):
            batches.append(objective.prepare_at(found, seed, plan.draw, progress))
        else:
            batches.append(objective.prepare(found, seed, plan.draw))
    return batches


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager:
    """Matrix products in bfloat16 where the recipe says so."""
    return torch.autocast(device.type, dtype=torch.bfloat16) if precision == "bf16" else nullcontext()


def compute_gradient(
    model: Transformer,
    objective: Objective,
    batches: Sequence[Batch],
    *,
    step: int,
    seed: int,
    device: torch.device,
    precision: Precision = "fp32",
    clip_norm: float | None = None,
    rank: int = 0,
) -> StepOutcome:
    """Leave in `.grad` the gradient of the mean loss over all targets of the step.

    Every micro-batch is divided by the count of the whole step, so without dropout the cut into micro-batches changes
    nothing but rounding. Dropout is seeded by (seed, step, micro-batch, rank) and needs no saved state.

    Raises:
        TrainingError: the whole step holds not a single target.
    """
    batches = balance(batches)
    count = sum(batch.count for batch in batches)
    if count == 0:
        raise TrainingError(
            f"step {step + 1}",
            "none of its tokens or rows is a target, so there is no loss to learn from",
            cure="raise the masking rate or the batch size, or check the labels",
        )
    losses = []
    for number, batch in enumerate(batches):
        torch.manual_seed(make_key(seed, step, number, rank, "dropout") >> 1)
        with autocast(device, precision):
            loss = objective.loss(model, batch.to(device))
        (loss.sum / count).backward()
        losses.append(loss.sum.detach())
    parameters = [parameter for parameter in model.parameters() if parameter.grad is not None]
    norm = torch.nn.utils.get_total_norm([parameter.grad for parameter in parameters])
    if clip_norm is not None:
        torch.nn.utils.clip_grads_with_norm_(parameters, clip_norm, norm)
    *sums, grad_norm = torch.stack([*(loss.double() for loss in losses), norm.double()]).tolist()  # one sync a step
    bad = tuple(number for number, value in enumerate(sums) if not np.isfinite(value))
    if not bad and not np.isfinite(grad_norm):
        bad = tuple(range(len(batches)))
    tokens = sum(batch.num_tokens for batch in batches)
    return StepOutcome(sum(sums), count, tokens, grad_norm, bad)
