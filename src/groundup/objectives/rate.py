"""How much is hidden: a constant share, or one that falls in a straight line in the course of training.

Much is hidden at first, when every target teaches something, and little in the end, when what is seen must suffice for
the rare words (GPT-BERT, Charpentier and Samuel 2024: from 30 to 15 %).
"""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from groundup.config import Config

Positive = Annotated[float, Field(gt=0.0, le=1.0)]


class FallingRate(Config):
    """start + (end - start) * (step / last step), both counted from 0. Whatever is not training has `end`."""

    start: Positive = 0.3
    """The share in the first step."""
    end: Positive = 0.15
    """The share in the last step, and in every validation."""

    @model_validator(mode="after")
    def _check_falling(self) -> Self:
        if self.start <= self.end:
            raise ValueError(f"start: must be more than end {self.end:g}, got {self.start:g}; a constant is a number")
        return self


Rate = Positive | FallingRate


def rate_at(rate: float | FallingRate, progress: float) -> float:
    """The share at a place in training, 0 its first step and 1 its last."""
    return rate if isinstance(rate, float) else rate.start + (rate.end - rate.start) * progress
