"""The settings of the loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Self

from pydantic import Field, PositiveInt, model_serializer, model_validator

from groundup.config import Config

Precision = Literal["fp32", "bf16"]
DeviceChoice = Literal["auto", "cpu", "cuda"]


class TrainConfig(Config):
    """How long, how much at a time, and what is kept."""

    steps: PositiveInt | None = None
    """Optimizer steps in all; give this or `epochs`."""
    epochs: float | None = Field(None, gt=0.0)
    """Passes over the training data; give this or `steps`."""
    batch_size: PositiveInt = 32
    """Sequences of one optimizer step, over all micro-batches."""
    batch_tokens: PositiveInt | None = None
    """In place of `batch_size`: tokens that a step has room for; sequences are packed so that next to none stays empty.
    A multiple of `micro_batch_tokens`, or less than it."""
    micro_batch_tokens: PositiveInt = 16384
    """The most tokens computed at once. It bounds memory; the gradient stays the same, but dropout draws anew."""
    clip_norm: float | None = Field(1.0, gt=0.0)
    """Gradients are scaled down to this norm where they exceed it; null for never."""
    precision: Precision = "fp32"
    """`bf16` computes matrix products in bfloat16 and keeps weights and optimizer in fp32."""
    device: DeviceChoice = "auto"
    """`auto` takes a GPU where there is one."""
    threads: int | None = Field(None, gt=0, le=1024)
    """CPU threads; null leaves the default. Exact resume holds for an equal number of threads."""
    log_every: PositiveInt = 10
    """Steps between two lines of `metrics.jsonl`."""
    evaluate_every: PositiveInt | None = None
    """Steps between two validations; null for the end of every epoch. The last step is always validated."""
    save_every: PositiveInt | None = None
    """Steps between two checkpoints, besides those of a new best and of the end; null for none."""
    keep_last: PositiveInt = 2
    """The newest checkpoints that are kept; the best one always is."""
    patience: PositiveInt | None = None
    """Stop after so many validations without a better figure of the metric that chooses; null for never."""
    on_nonfinite: Literal["stop", "skip"] = "stop"
    """What to do with a step whose loss or gradient is NaN or infinite; its batch is written out either way."""
    max_skipped_in_a_row: PositiveInt = 10
    """With `on_nonfinite: skip`, stop after so many bad steps one after another."""

    @model_validator(mode="after")
    def _check_length(self) -> Self:
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("steps: give exactly one of steps and epochs")
        if self.batch_tokens is not None and "batch_size" in self.model_fields_set:
            raise ValueError(
                f"batch_tokens: is in place of batch_size, got both; leave batch_size {self.batch_size} out"
            )
        return self

    @model_serializer(mode="wrap")
    def _leave_out_what_is_replaced(self, serialize: Callable[[Self], dict[str, object]]) -> dict[str, object]:
        """What is stored is read again, so it holds one of the two sizes of a step, as it was written."""
        values = serialize(self)
        return values if self.batch_tokens is None else {key: values[key] for key in values if key != "batch_size"}
