"""The position slot: hooks on the embedding and on queries and keys, each of which defaults to nothing.

Tables of sines are pure functions of their size, so they are remembered beside the modules and not stored in them: they
are never saved, never stale after a load, and always computed in float64.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final, NamedTuple, Protocol

import numpy as np
import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor, nn

from groundup.model.config import (
    LearnedPositions,
    ModelConfig,
    RelativeBias,
    RelativePositions,
    RotaryPositions,
    RotaryScaling,
    SinusoidalPositions,
)
from groundup.model.dropout import Dropout
from groundup.model.history import History
from groundup.model.packed import Packed
from groundup.model.relative import Relation, distance_waves, find_reach, relate
from groundup.model.scores import Bias


class Rotation(NamedTuple):
    """Cosine and sine of the angle of every token and pair of dimensions."""

    cos: Float[Tensor, "tokens 1 half"]
    sin: Float[Tensor, "tokens 1 half"]

    def apply(self, heads: Float[Tensor, "tokens heads head_dim"]) -> Float[Tensor, "tokens heads head_dim"]:
        """Rotate each pair (i, i + head_dim / 2), the order in which published weights are laid out."""
        first, second = heads.chunk(2, dim=-1)
        cos, sin = self.cos.to(heads.dtype), self.sin.to(heads.dtype)
        return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)

    def take(self, rows: Int[Tensor, " rows"]) -> Rotation:
        """That of these tokens."""
        return Rotation(self.cos.index_select(0, rows), self.sin.index_select(0, rows))


class Placement(NamedTuple):
    """What the position slot says to the attention of a block."""

    rotation: Rotation | None = None
    """How queries and keys are rotated."""
    bias: Bias | None = None
    """What is added to the scores."""
    relation: Relation | None = None
    """Who scores whom at which distance, for relative attention."""


NOWHERE: Final = Placement()
"""A block that knows nothing of positions."""


class Position(Protocol):
    """How a stack knows where its tokens stand. A hook that answers None changes nothing."""

    token_scale: float
    """What token embeddings are multiplied by before anything is added to them."""

    def embed(self, position_ids: Int[Tensor, " tokens"]) -> Float[Tensor, "tokens hidden"] | None:
        """What is added to the embedding."""
        ...

    def place(self, position_ids: Int[Tensor, " tokens"], *, is_local: bool = False) -> Placement:
        """What attention is told, the same in every block that sees all (or, `is_local`, a window alone)."""
        ...

    def relate(
        self, packed: Packed, queries: Int[Tensor, " queries"] | None, history: History | None
    ) -> Relation | None:
        """What relative attention is told of a pass; `queries` are the tokens whose query stream is asked for."""
        ...


class NoPosition(nn.Module):
    """No hook does anything."""

    token_scale = 1.0

    def embed(self, position_ids: Int[Tensor, " tokens"]) -> Float[Tensor, "tokens hidden"] | None:
        """Nothing."""
        return None

    def place(self, position_ids: Int[Tensor, " tokens"], *, is_local: bool = False) -> Placement:
        """Nothing."""
        return NOWHERE

    def relate(
        self, packed: Packed, queries: Int[Tensor, " queries"] | None, history: History | None
    ) -> Relation | None:
        """Nothing."""
        return None


class LearnedPosition(NoPosition):
    """One trained vector per position."""

    def __init__(self, config: LearnedPositions, length: int, size: int) -> None:
        super().__init__()
        self.offset = config.offset
        self.token_scale = math.sqrt(size) if config.scale_embedding else 1.0
        self.weight = nn.Parameter(torch.empty(length + config.offset, size))

    def embed(self, position_ids: Int[Tensor, " tokens"]) -> Float[Tensor, "tokens hidden"]:
        """The vector of each token's position."""
        return nn.functional.embedding(position_ids + self.offset if self.offset else position_ids, self.weight)


class SinusoidalPosition(NoPosition):
    """sin(p / base^(2i/size)) and its cosine for i = 0, 1 ... (Vaswani et al. 2017, section 3.5)."""

    def __init__(self, config: SinusoidalPositions, length: int, size: int) -> None:
        super().__init__()
        self.length, self.size, self.base, self.layout = length, size, config.base, config.layout
        self.token_scale = math.sqrt(size) if config.scale_embedding else 1.0

    def embed(self, position_ids: Int[Tensor, " tokens"]) -> Float[Tensor, "tokens hidden"]:
        """The waves at each token's position."""
        return sinusoids(self.length, self.size, self.base, position_ids.device, self.layout)[position_ids]


class RotaryPosition(NoPosition):
    """Angles position * base^(-2i/head_dim) on queries and keys (Su et al. 2021)."""

    def __init__(self, length: int, head_dim: int, values: RotaryPositions, local_base: float | None = None) -> None:
        """`local_base` is the base in blocks that see a window alone, unscaled; None for the same rotation."""
        super().__init__()
        self.length, self.head_dim, self.values = length, head_dim, values
        self.local = values if local_base is None else RotaryPositions(base=local_base)

    def place(self, position_ids: Int[Tensor, " tokens"], *, is_local: bool = False) -> Placement:
        """The angles of each token, looked up once for all blocks."""
        values = self.local if is_local else self.values
        cos, sin = rotations(self.length, self.head_dim, values, position_ids.device)
        return Placement(Rotation(cos[position_ids].unsqueeze(1), sin[position_ids].unsqueeze(1)))


class BucketPosition(NoPosition):
    """A trained number per head and bucket of distances, added to the scores (Raffel et al. 2020, section 2.1)."""

    def __init__(self, config: RelativeBias, num_heads: int, *, is_causal: bool) -> None:
        super().__init__()
        self.num_buckets, self.max_distance, self.is_causal = config.num_buckets, config.max_distance, is_causal
        self.weight = nn.Parameter(torch.empty(config.num_buckets, num_heads))

    def place(self, position_ids: Int[Tensor, " tokens"], *, is_local: bool = False) -> Placement:
        """The table looked up by distance, one table for all blocks."""
        return Placement(bias=self._look_up)

    def _look_up(
        self, query_positions: Int[Tensor, "_sequences queries"], key_positions: Int[Tensor, "_sequences keys"]
    ) -> Float[Tensor, "_sequences heads queries keys"]:
        of_distance = buckets(self.num_buckets, self.max_distance, self.is_causal, key_positions.device)
        distances = key_positions[:, None, :] - query_positions[:, :, None]
        places = distances.clamp(-self.max_distance, self.max_distance) + self.max_distance
        return nn.functional.embedding(of_distance[places], self.weight).permute(0, 3, 1, 2)


class RelativePosition(NoPosition):
    """The waves of all distances of a pass, which every block projects for itself (Dai et al. 2019, section 3.3)."""

    def __init__(self, config: RelativePositions, size: int, dropout: float) -> None:
        super().__init__()
        self.config, self.size = config, size
        self.dropout = Dropout(dropout)

    def relate(self, packed: Packed, queries: Int[Tensor, " queries"] | None, history: History | None) -> Relation:
        """The pass, with its waves dropped as embeddings are; one draw is for all of its sequences."""
        pasts = (0,) * len(packed.lengths) if history is None else history.lengths_for(packed)
        waves = distance_waves(find_reach(packed, pasts), self.size, self.config.base, self.config.clamp)
        waves = self.dropout(waves.to(packed.input_ids.device))
        return relate(packed, pasts, queries, waves, has_segments=self.config.segments)


def build_position(config: ModelConfig) -> NoPosition:
    """The position slot of a design."""
    position = config.position
    match position.kind:
        case "learned":
            return LearnedPosition(position, config.max_length, config.resolved_embedding_size)
        case "sinusoidal":
            return SinusoidalPosition(position, config.max_length, config.resolved_embedding_size)
        case "relative_bias":
            return BucketPosition(position, config.num_heads, is_causal=config.causal)
        case "rotary":
            local_base = config.window.base if config.window else None
            return RotaryPosition(config.max_length, config.resolved_head_dim, position, local_base)
        case "relative":
            return RelativePosition(position, config.hidden_size, config.dropout.embedding)
        case "none":
            return NoPosition()


@lru_cache(maxsize=8)
def sinusoids(
    length: int, size: int, base: float, device: torch.device, layout: str = "interleaved"
) -> Float[Tensor, "length size"]:
    """Sines in even dimensions or first, cosines in odd ones or last, in float64 and rounded to float32 once."""
    angles = np.arange(length)[:, None] * frequencies(size, base)
    sines, cosines = np.sin(angles), np.cos(angles[:, : size // 2])
    if layout == "halves":
        return _constant(np.concatenate([sines, cosines], axis=1).astype(np.float32), device)
    table = np.empty((length, size), dtype=np.float32)
    table[:, 0::2], table[:, 1::2] = sines, cosines
    return _constant(table, device)


@lru_cache(maxsize=8)
def buckets(num_buckets: int, max_distance: int, is_causal: bool, device: torch.device) -> Int[Tensor, " distances"]:
    """The bucket of every distance from query to key, from -max_distance to max_distance.

    Keys behind the query have buckets of their own, or, where it is causal, that of the query. In float32, as the
    published models were trained, so that a distance on the border of two buckets falls on their side of it.
    """
    distances = torch.arange(-max_distance, max_distance + 1)
    first = torch.zeros_like(distances)
    if is_causal:
        steps = (-distances).clamp(min=0)
    else:
        num_buckets //= 2
        first[distances > 0] = num_buckets
        steps = distances.abs()
    num_single = num_buckets // 2
    shares = torch.log(steps.clamp(min=1).float() / num_single) / math.log(max_distance / num_single)
    wide = (num_single + (shares * (num_buckets - num_single)).long()).clamp(max=num_buckets - 1)
    return _constant((first + torch.where(steps < num_single, steps, wide)).numpy(), device)


@lru_cache(maxsize=8)
def rotations(
    length: int, size: int, values: RotaryPositions, device: torch.device
) -> tuple[Float[Tensor, "length half"], Float[Tensor, "length half"]]:
    """Cosines and sines of the rotary angles, computed in float64 and rounded to float32 once."""
    angles = np.arange(length)[:, None] * frequencies(size, values.base, values.scaling)
    return _constant(np.cos(angles).astype(np.float32), device), _constant(np.sin(angles).astype(np.float32), device)


def frequencies(size: int, base: float, scaling: RotaryScaling | None = None) -> Float64[np.ndarray, " half"]:
    """The angle from one position to the next in each pair of dimensions: base^(-2i/size), then scaled."""
    plain = base ** -(np.arange(0, size, 2) / size)
    if scaling is None:
        return plain
    if scaling.kind == "linear":
        return plain / scaling.factor
    turns = scaling.original_length * plain / (2 * math.pi)
    share = ((turns - scaling.low) / (scaling.high - scaling.low)).clip(0, 1)
    return share * plain + (1 - share) * plain / scaling.factor


def _constant(table: np.ndarray, device: torch.device) -> Tensor:
    """A tensor fit for training, even where the first call comes from an evaluation."""
    with torch.inference_mode(False):
        return torch.from_numpy(table).to(device)
