"""How the next token is chosen, and when to stop."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from groundup.config import Config


class Decoding(Config):
    """Greedy as it stands; a temperature above 0 draws."""

    max_tokens: PositiveInt = 128
    """The most tokens to write."""
    temperature: float = Field(0.0, ge=0.0)
    """Logits are divided by it before a token is drawn; 0 takes the most likely token."""
    top_k: PositiveInt | None = None
    """Draw among so many of the most likely tokens; null for all."""
    top_p: float | None = Field(None, gt=0.0, le=1.0)
    """Draw among the fewest tokens that together have this probability (Holtzman et al. 2020); null for all."""
    stop: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """Texts that end the writing; they are left out of it."""
    seed: NonNegativeInt = 0
    """Of the draws: each is a function of it, the number of the prompt and that of the token, and of no batch."""

    @model_validator(mode="after")
    def _check_choices(self) -> Self:
        if self.temperature == 0.0 and (self.top_k is not None or self.top_p is not None):
            name = "top_k" if self.top_k is not None else "top_p"
            raise ValueError(
                f"{name}: does nothing at temperature 0, which takes the most likely token, got "
                f"{getattr(self, name)}; set temperature"
            )
        return self
