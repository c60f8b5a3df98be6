"""What `check` finds out about a design and about one step of it, by really taking the step in memory."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch

from groundup.errors import TrainingError
from groundup.model.config import ModelConfig
from groundup.model.estimate import estimate
from groundup.model.initialize import parameter_role
from groundup.model.transformer import Transformer, check_packed
from groundup.objectives.protocol import Batch, Guessing, Indivisible, Objective, count_logit_rows
from groundup.recipe import Recipe
from groundup.tasks.multi_label import MultiLabelTask
from groundup.tasks.span_classification import SpanTask
from groundup.training.step import StepOutcome, compute_gradient
from groundup.verbs.assemble import Parts
from groundup.verbs.memory import available_memory

MEASURED_TOKENS: Final = 16_384
"""Tokens of the timed step at most: of a larger one some micro-batches are computed."""

MOST_REPEATS: Final = 6
LONGEST_SECONDS: Final = 2.0


@dataclass(frozen=True)
class DesignReport:
    """A model in figures."""

    hidden_size: int
    num_layers: int
    num_heads: int
    vocab_size: int
    max_length: int
    parameters: dict[str, int]
    memory: dict[str, int]
    """Bytes by kind while training on the recipe's micro-batches; the libraries come on top."""
    available_memory: int | None
    """Bytes that are free on the device now; None where that is not known."""
    training_flops_per_token: float

    @property
    def total_memory(self) -> int:
        """Bytes of all kinds."""
        return sum(self.memory.values())

    @property
    def num_parameters(self) -> int:
        """All of them."""
        return sum(self.parameters.values())


@dataclass(frozen=True)
class StepReport:
    """One step, taken for real and thrown away."""

    device: str
    threads: int | None
    sequences: int
    """Of the whole step."""
    tokens: int
    targets: int
    micro_batches: int
    measured_tokens: int
    """Tokens that were computed on: all, or those of the first micro-batches of a large step."""
    loss: float
    expected_loss: float
    """The logarithm of the number of choices: what a model that knows nothing loses."""
    num_choices: int
    grad_norm: float
    seconds_per_token: float
    """Forward, backward and update."""
    flops_per_second: float


def describe_design(
    config: ModelConfig, recipe: Recipe, objective: Objective, batches: Sequence[Batch], device: torch.device
) -> DesignReport:
    """Parameters, memory and FLOPs of the model on the recipe's micro-batches, which the objective has prepared."""
    lengths = [length for batch in batches for length in batch.packed.lengths]
    costs = estimate(
        config,
        batch_tokens=max(batch.packed.num_tokens for batch in batches),
        lengths=lengths,
        source_lengths=[length for batch in batches if batch.source for length in batch.source.lengths] or None,
        target_fraction=sum(count_logit_rows(objective, batch) for batch in batches) / sum(lengths),
        activation_bytes=2 if recipe.train.precision == "bf16" else 4,
        is_fused=device.type == "cuda" or not (config.dropout.attention or config.position.kind == "relative_bias"),
    )
    return DesignReport(
        hidden_size=config.hidden_size,
        num_layers=config.num_layers,
        num_heads=config.num_heads,
        vocab_size=config.vocab_size,
        max_length=config.max_length,
        parameters=costs.parameters,
        memory=costs.memory,
        available_memory=available_memory(device),
        training_flops_per_token=costs.training_flops_per_token,
    )


def take_step(
    recipe: Recipe,
    parts: Parts,
    model: Transformer,
    batches: Sequence[Batch],
    design: DesignReport,
    device: torch.device,
) -> StepReport:
    """Forward, backward and update on the first micro-batches of a step, some times; the fastest counts.

    Raises:
        TrainingError: the loss or the gradient is not finite.
    """
    measured = _take_some(batches)
    for batch in measured:
        check_packed(model.config, batch.packed)
        if batch.source is not None:
            check_packed(model.config.of_encoder, batch.source)
    model.to(device).train()
    optimizer = recipe.optimizer.build(model.named_parameters(), parameter_role)
    seconds: list[float] = []
    outcomes: list[StepOutcome] = []
    while len(seconds) < 2 or (len(seconds) < MOST_REPEATS and sum(seconds) < LONGEST_SECONDS):
        started = time.perf_counter()
        outcome = compute_gradient(
            model,
            parts.objective,
            measured,
            step=0,
            seed=recipe.seed,
            device=device,
            precision=recipe.train.precision,
            clip_norm=recipe.train.clip_norm,
        )
        if not outcome.is_finite:
            loss = outcome.loss / outcome.count
            raise TrainingError("step 0", f"is not finite: loss {loss}, gradient norm {outcome.grad_norm}")
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - started)
        outcomes.append(outcome)
        if seconds[0] > LONGEST_SECONDS * 5:
            break
    first = outcomes[0]
    objective = parts.objective
    expected = math.log(len(parts.labels) if parts.labels else model.config.vocab_size)
    if isinstance(objective, Indivisible):
        expected = math.log(first.count)
    elif isinstance(objective, Guessing):
        lengths = [length for batch in measured for length in batch.packed.lengths]
        expected = objective.guess_loss(model.config.vocab_size, lengths)
    per_token = min(seconds) / first.tokens
    return StepReport(
        device=device.type,
        threads=torch.get_num_threads() if device.type == "cpu" else None,
        sequences=sum(len(batch.packed.lengths) for batch in batches),
        tokens=sum(batch.num_tokens for batch in batches),
        targets=sum(batch.count for batch in batches),
        micro_batches=len(batches),
        measured_tokens=first.tokens,
        loss=first.loss / first.count,
        expected_loss=expected,
        num_choices=_count_choices(parts, expected),
        grad_norm=first.grad_norm,
        seconds_per_token=per_token,
        flops_per_second=design.training_flops_per_token
        * sum(batch.packed.num_tokens for batch in measured)
        / min(seconds),
    )


def _count_choices(parts: Parts, expected_loss: float) -> int:
    """Of labels that exclude each other, all of them; of those that do not, yes and no."""
    if isinstance(parts.objective, MultiLabelTask):
        return 2
    if isinstance(parts.objective, SpanTask):  # a span may be none of the types
        return len(parts.objective.labels) + 1
    return len(parts.labels) if parts.labels else round(math.exp(expected_loss))


def _take_some(batches: Sequence[Batch]) -> list[Batch]:
    """The first micro-batches up to the most tokens that are measured, at least one with a target."""
    taken: list[Batch] = []
    for batch in batches:
        total = sum(each.num_tokens for each in taken)
        if sum(each.count for each in taken) and total + batch.num_tokens > MEASURED_TOKENS:
            break
        taken.append(batch)
    return taken
