"""How the next token is chosen, and when to stop."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from groundup.config import Config


class Decoding(Config):
    """Greedy as it stands; a temperature above 0 draws, several beams search."""

    max_tokens: PositiveInt = 128
    """The most tokens to write."""
    num_return: PositiveInt = 1
    """Answers to each prompt: so many draws, or the best so many beams."""
    temperature: float = Field(0.0, ge=0.0)
    """Logits are divided by it before a token is drawn; 0 takes the most likely token."""
    top_k: PositiveInt | None = None
    """Draw among so many of the most likely tokens; null for all."""
    top_p: float | None = Field(None, gt=0.0, le=1.0)
    """Draw among the fewest tokens that together have this probability (Holtzman et al. 2020); null for all."""
    min_p: float | None = Field(None, gt=0.0, le=1.0)
    """Draw among tokens at least so probable, as a share of the most likely one (Nguyen et al. 2025); null for all."""
    repetition_penalty: float = Field(1.0, gt=0.0)
    """What logits of tokens that stand in the prompt or were written are divided by, or multiplied if they are
    negative; 1 for no penalty (Keskar et al. 2019)."""
    no_repeat_ngram: PositiveInt | None = None
    """No run of so many tokens is written that stands there already, prompt included; null for no such rule."""
    num_beams: PositiveInt = 1
    """Texts that are kept for each prompt, the likeliest ones, where one alone would be greedy."""
    length_penalty: float = 1.0
    """Beams are compared by log probability / tokens^length_penalty: above 0 for longer texts, below for shorter."""
    early_stopping: bool | Literal["never"] = False
    """When `num_beams` texts have ended: true stops at once, false when the best open one, as it stands, is worse than
    all of them, never when it cannot become better (`max_tokens` decides where longer texts win)."""
    stop: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """Texts that end the writing; they are left out of it. A beam that holds one has ended."""
    seed: NonNegativeInt = 0
    """Of the draws: each is a function of it, the numbers of the prompt, answer and token, and of no batch."""

    @model_validator(mode="after")
    def _check_choices(self) -> Self:
        if self.temperature == 0.0:
            self._refuse_changed(
                ("top_k", "top_p", "min_p"),
                "does nothing at temperature 0, which takes the most likely token",
                "set temperature",
            )
        elif self.num_beams > 1:
            raise ValueError(
                f"num_beams: a search draws nothing, got {self.num_beams} with temperature {self.temperature:g}; "
                "leave one of the two out"
            )
        if self.num_beams == 1:
            self._refuse_changed(("length_penalty", "early_stopping"), "does nothing without beams", "set num_beams")
        if self.temperature == 0.0 and self.num_return > self.num_beams:
            raise ValueError(
                f"num_return: num_beams gives {self.num_beams} and temperature 0 no more, got {self.num_return}; "
                "raise num_beams, or set temperature"
            )
        return self

    def _refuse_changed(self, names: tuple[str, ...], what: str, cure: str) -> None:
        for name in names:
            if getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{name}: {what}, got {getattr(self, name)}; {cure}")
