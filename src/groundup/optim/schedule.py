"""How the learning rate moves over a run: a function of the step, never a state, so nothing of it is saved."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Annotated, Literal, Protocol, Self

from pydantic import AfterValidator, Field, model_validator

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


def _check_decay(decay: int | float) -> int | float:
    if isinstance(decay, float) and not 0.0 < decay <= 1.0:
        raise ValueError("a fraction of all steps must lie in (0, 1]; write steps as a whole number, without a point")
    if decay < 1 and not isinstance(decay, float):
        raise ValueError("must be at least one step; kind constant never falls")
    return decay


Warmup = Annotated[int | float, AfterValidator(_check_warmup)]
"""Steps as a whole number, or a fraction of all steps as a number with a point."""


def count_warmup_steps(warmup: int | float, total_steps: int) -> int:
    """Steps of the linear rise from 0. ConfigError where it lasts as long as the run, which then never peaks."""
    steps = _count_steps(warmup, total_steps)
    if steps and steps >= total_steps:
        raise ConfigError(
            "schedule.warmup",
            f"lasts as long as the whole run of {total_steps} steps",
            got=warmup,
            cure="lower it, train for more steps, or give a fraction such as 0.1",
        )
    return steps


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


class WarmupStableDecay(Config):
    """Stays at the peak and falls only at the end (Hu et al. 2024, "MiniCPM"; Hägele et al. 2024).

    How long the run is decides only where the fall begins, so a checkpoint from before it can be trained for longer.
    """

    kind: Literal["warmup_stable_decay"] = "warmup_stable_decay"
    warmup: Warmup = 0.02
    """Steps of linear rise from 0 (a whole number), or a fraction of all steps (0.02)."""
    decay: Annotated[int | float, AfterValidator(_check_decay)] = 0.2
    """Steps of the fall, the last of the run (a whole number), or a fraction of all steps (0.2)."""
    shape: Literal["linear", "1-sqrt", "cosine"] = "1-sqrt"
    """How it falls; Hägele et al. found `1-sqrt`, steep at first, the best of these."""
    final_fraction: float = Field(0.0, ge=0.0, le=1.0)
    """Where the fall ends, as a fraction of the peak."""

    def factor(self, step: int, total_steps: int) -> float:
        """See `Schedule.factor`."""
        warmup = count_warmup_steps(self.warmup, total_steps)
        decay = max(1, _count_steps(self.decay, total_steps))
        if warmup + decay > total_steps:
            raise ConfigError(
                "schedule.decay",
                f"begins before the warm-up of {warmup} steps ends in a run of {total_steps} steps",
                got=self.decay,
                cure=f"at most {total_steps - warmup} steps, or a shorter warm-up",
            )
        start = total_steps - decay
        if step < start:
            return _rise(step, warmup)
        progress = min(1.0, (step - start) / decay)
        return self.final_fraction + (1.0 - self.final_fraction) * _FALLS[self.shape](progress)

    @model_validator(mode="after")
    def _check_fractions(self) -> Self:
        if isinstance(self.warmup, float) and isinstance(self.decay, float) and self.warmup + self.decay > 1.0 + 1e-9:
            raise ValueError(
                f"decay: is more than what warmup={self.warmup} leaves of the run, got {self.decay}; lower it"
            )
        return self


ScheduleConfig = Annotated[Constant | Linear | Cosine | WarmupStableDecay, Field(discriminator="kind")]

_FALLS: Mapping[str, Callable[[float], float]] = {
    "linear": lambda progress: 1.0 - progress,
    "1-sqrt": lambda progress: 1.0 - math.sqrt(progress),
    "cosine": lambda progress: 0.5 * (1.0 + math.cos(math.pi * progress)),
}


def _count_steps(steps: int | float, total_steps: int) -> int:
    if isinstance(steps, float):
        return int(steps * total_steps + 1e-6)  # 0.29 * 100 is 28.999999999999996 in floating point
    return steps


def _rise(step: int, warmup: int) -> float:
    return min(1.0, step / warmup) if warmup else 1.0
