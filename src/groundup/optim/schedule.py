"""How the learning rate moves over a run: a function of the step, never a state, so nothing of it is saved."""

from __future__ import annotations

import math
from typing import Annotated, Literal, Protocol

from pydantic import AfterValidator, Field

from groundup.config import Config
from groundup.errors import ConfigError


class Schedule(Protocol):
    """What the loop asks of a schedule."""

    def factor(self, step: int, total_steps: int) -> float:
        """What the peak learning rate is multiplied with at a step, counted from 0."""
        ...


def _check_warmup(warmup: int | float) -> int | float:
    if isinstance(warmup, float) and not 0.0 <= warmup < 1.0:
        raise ValueError("a fraction of all steps must lie in [0, 1); write steps as a whole number, without a point")
    if warmup < 0:
        raise ValueError("must not be negative")
    return warmup


Warmup = Annotated[int | float, AfterValidator(_check_warmup)]
"""Steps as a whole number, or a fraction of all steps as a number with a point."""


def count_warmup_steps(warmup: int | float, total_steps: int) -> int:
    """Steps of the linear rise from 0. ConfigError where it lasts as long as the run, which then never peaks."""
    if isinstance(warmup, float):
        return int(warmup * total_steps + 1e-6)  # 0.29 * 100 is 28.999999999999996 in floating point
    if warmup and warmup >= total_steps:
        raise ConfigError(
            "schedule.warmup",
            f"lasts as long as the whole run of {total_steps} steps",
            got=warmup,
            cure="lower it, train for more steps, or give a fraction such as 0.1",
        )
    return warmup


class Constant(Config):
    """The peak from the end of the warm-up to the end of the run."""

    kind: Literal["constant"] = "constant"
    warmup: Warmup = 0
    """Steps of linear rise from 0 (a whole number), or a fraction of all steps (0.1)."""

    def factor(self, step: int, total_steps: int) -> float:
        """See `Schedule.factor`."""
        return _rise(step, count_warmup_steps(self.warmup, total_steps))


class Linear(Config):
    """Falls along a straight line from the peak to 0, as BERT was trained (Devlin et al. 2019, appendix A.2)."""

    kind: Literal["linear"] = "linear"
    warmup: Warmup = 0.1
    """Steps of linear rise from 0 (a whole number), or a fraction of all steps (0.1)."""

    def factor(self, step: int, total_steps: int) -> float:
        """See `Schedule.factor`."""
        warmup = count_warmup_steps(self.warmup, total_steps)
        if step < warmup:
            return _rise(step, warmup)
        return max(0.0, (total_steps - step) / max(1, total_steps - warmup))


class Cosine(Config):
    """Falls along half a cosine wave from the peak (Loshchilov and Hutter 2017, "SGDR", without its restarts)."""

    kind: Literal["cosine"] = "cosine"
    warmup: Warmup = 0.1
    """Steps of linear rise from 0 (a whole number), or a fraction of all steps (0.1)."""
    final_fraction: float = Field(0.0, ge=0.0, le=1.0)
    """Where the wave ends, as a fraction of the peak."""

    def factor(self, step: int, total_steps: int) -> float:
        """See `Schedule.factor`."""
        warmup = count_warmup_steps(self.warmup, total_steps)
        if step < warmup:
            return _rise(step, warmup)
        progress = min(1.0, (step - warmup) / max(1, total_steps - warmup))
        wave = 0.5 * (1.0 + math.cos(math.pi * progress))
        return self.final_fraction + (1.0 - self.final_fraction) * wave


ScheduleConfig = Annotated[Constant | Linear | Cosine, Field(discriminator="kind")]


def _rise(step: int, warmup: int) -> float:
    return min(1.0, step / warmup) if warmup else 1.0
