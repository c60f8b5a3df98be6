"""Where tokens stand and how far they see, as values."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from groundup.config import Config


class LearnedPositions(Config):
    """One trained vector per position, added to the embedding (BERT, GPT-2)."""

    kind: Literal["learned"] = "learned"
    offset: int = Field(0, ge=0)
    """Rows before that of the first position, which no token uses (RoBERTa, BART: 2)."""
    scale_embedding: bool = False
    """Multiply token embeddings by sqrt(hidden_size) before the sum."""


class SinusoidalPositions(Config):
    """sin and cos of geometrically spaced wavelengths, added to the embedding (Vaswani et al. 2017, section 3.5)."""

    kind: Literal["sinusoidal"] = "sinusoidal"
    base: float = Field(10000.0, gt=1.0)
    """The ratio between the longest and the shortest wavelength."""
    scale_embedding: bool = True
    """Multiply token embeddings by sqrt(hidden_size) before the sum, as the paper does."""
    layout: Literal["interleaved", "halves"] = "interleaved"
    """sin and cos in turns, as in the paper, or all of sin and then all of cos (Marian)."""


class LinearScaling(Config):
    """All angles divided by one factor, so that a longer text turns no further (Chen et al. 2023)."""

    kind: Literal["linear"] = "linear"
    factor: float = Field(ge=1.0)
    """How many times longer texts may be."""


class Llama3Scaling(Config):
    """Slow rotations divided by a factor, fast ones left, those between blended (Llama 3.1, Dubey et al. 2024)."""

    kind: Literal["llama3"] = "llama3"
    factor: float = Field(ge=1.0)
    """What the angles of slow rotations are divided by."""
    low: float = Field(1.0, gt=0.0)
    """A rotation that turns fewer times than this over `original_length` is slow."""
    high: float = Field(4.0, gt=0.0)
    """One that turns more times than this is fast."""
    original_length: PositiveInt = 8192
    """The longest text, in tokens, before the model was made to read longer ones."""

    @model_validator(mode="after")
    def _check_bounds(self) -> Self:
        if self.high <= self.low:
            raise ValueError(f"high: must be above low {self.low:g}, got {self.high:g}")
        return self


RotaryScaling = Annotated[LinearScaling | Llama3Scaling, Field(discriminator="kind")]


class RotaryPositions(Config):
    """Queries and keys rotated by an angle that grows with their position (Su et al. 2021)."""

    kind: Literal["rotary"] = "rotary"
    base: float = Field(10000.0, gt=1.0)
    """The ratio between the longest and the shortest wavelength."""
    scaling: RotaryScaling | None = None
    """How angles were made smaller for longer texts; null for not. A window with a base of its own has none."""


class RelativeBias(Config):
    """A trained number per head and range of distances, added to the scores of every block (Raffel et al. 2020)."""

    kind: Literal["relative_bias"] = "relative_bias"
    num_buckets: int = Field(32, ge=4)
    """Ranges of distances: half of them single distances, the others ever wider. An encoder has as many to the left as
    to the right."""
    max_distance: PositiveInt = 128
    """The distance from which all share one range."""

    @model_validator(mode="after")
    def _check_buckets(self) -> Self:
        if self.num_buckets % 2:
            raise ValueError(f"num_buckets: must be even, got {self.num_buckets}")
        if self.max_distance <= self.num_buckets // 2:
            raise ValueError(
                f"max_distance: must be above the {self.num_buckets // 2} distances that have a bucket of their own, "
                f"got {self.max_distance}"
            )
        return self


class RelativePositions(Config):
    """Scores that also depend on the distance of query and key, by waves projected in every block (Dai et al. 2019,
    section 3.3)."""

    kind: Literal["relative"] = "relative"
    base: float = Field(10000.0, gt=1.0)
    """The ratio between the longest and the shortest wavelength."""
    clamp: PositiveInt | None = None
    """The distance from which on all are alike; null for none."""
    segments: bool = True
    """Whether scores also depend on whether both are of one token type, whichever it is (Yang et al. 2019, 2.5)."""


class NoPositions(Config):
    """No position information: only for causal stacks, which can count."""

    kind: Literal["none"] = "none"


Position = Annotated[
    LearnedPositions | SinusoidalPositions | RotaryPositions | RelativeBias | RelativePositions | NoPositions,
    Field(discriminator="kind"),
]


class Window(Config):
    """Attention to the neighbourhood alone, in all layers or in some (Beltagy et al. 2020)."""

    size: int = Field(ge=0)
    """The furthest distance that a token sees, to either side; itself aside."""
    layers: tuple[int, ...] | None = None
    """The layers that see no further, counted from 0; null for all."""
    base: float | None = Field(None, gt=1.0)
    """The base of rotary positions in these layers; null for that of the others."""
