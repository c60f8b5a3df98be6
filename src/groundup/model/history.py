"""What earlier segments of the same sequences left behind, so that a text longer than one pass is read as a whole.

The inputs of every block's attention are kept, without a gradient (Dai et al. 2019, section 3.2). A history is made and
used within one call of whoever cuts the sequences: it is a function of them and of the weights, so that training
carries nothing of it from step to step.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from groundup.errors import ConfigError, DataError
from groundup.model.config import ModelConfig
from groundup.model.packed import Packed


class LayerHistory:
    """The remembered tokens of one block, those of each sequence side by side."""

    def __init__(self) -> None:
        """Nothing is remembered yet."""
        self.past: Float[Tensor, "remembered hidden"] | None = None
        self.new: Float[Tensor, "tokens hidden"] | None = None

    def recall(self, hidden: Float[Tensor, "tokens hidden"]) -> Float[Tensor, "remembered hidden"]:
        """What is remembered of the segments before; `hidden` is to be remembered after this one."""
        self.new = hidden.detach()
        return self.new[:0] if self.past is None else self.past

    def choose(self, rows: Int[Tensor, " kept"]) -> None:
        """Keep these of the remembered and the new tokens, counted through."""
        parts = [part for part in (self.past, self.new) if part is not None]
        self.past, self.new = torch.cat(parts).index_select(0, rows.to(parts[0].device)), None


class History:
    """The histories of all blocks, and how many tokens of each sequence they hold."""

    def __init__(self, config: ModelConfig, size: int | None = None, *, reuse: int | None = None) -> None:
        """An empty history.

        Args:
            config: the design; ConfigError for one whose positions do not reach before a sequence's first token.
            size: the most tokens to remember of a sequence, the latest ones; None for all.
            reuse: the tokens of a segment that are remembered, the first ones, where the next segment begins right
                behind them; None for all.
        """
        if config.position.kind != "relative":
            cure = "choose model.position.kind=relative"
            raise ConfigError("model.position", "reaches no earlier segment", got=config.position.kind, cure=cure)
        self.size, self.reuse = size, reuse
        self.layers = [LayerHistory() for _ in range(config.num_layers)]
        self.lengths: tuple[int, ...] = ()
        """Tokens remembered of each sequence; empty before the first segment."""

    def lengths_for(self, packed: Packed) -> tuple[int, ...]:
        """Tokens remembered of each sequence of a run. DataError where they are not the same sequences."""
        lengths = self.lengths or (0,) * len(packed.lengths)
        if len(lengths) != len(packed.lengths):
            what = f"holds {len(lengths)} sequences, and the run others"
            raise DataError("history", what, got=len(packed.lengths), cure="call `keep` for those that go on")
        return lengths

    def advance(self, packed: Packed) -> None:
        """Remember a run that went through the model."""
        lengths = self.lengths_for(packed)
        total, starts = sum(lengths), np.cumsum([0, *packed.lengths])
        rows, kept = list[np.ndarray](), list[int]()
        for start, length, past_end, past in zip(starts, packed.lengths, np.cumsum(lengths), lengths, strict=False):
            new = length if self.reuse is None else min(self.reuse, length)
            every = np.concatenate([np.arange(past_end - past, past_end), total + start + np.arange(new)])
            rows.append(every if self.size is None else every[max(0, len(every) - self.size) :])
            kept.append(len(rows[-1]))
        self._choose(rows, kept)

    def keep(self, sequences: Sequence[int]) -> None:
        """Go on with these sequences, in this order."""
        starts = np.cumsum([0, *self.lengths])
        rows = [np.arange(starts[number], starts[number + 1]) for number in sequences]
        self._choose(rows, [self.lengths[number] for number in sequences])

    def _choose(self, rows: Sequence[np.ndarray], lengths: Sequence[int]) -> None:
        chosen = torch.from_numpy(np.concatenate([np.zeros(0, dtype=np.int64), *rows]))
        for layer in self.layers:
            layer.choose(chosen)
        self.lengths = tuple(lengths)


class Segment(NamedTuple):
    """One pass over sequences that are read piece by piece."""

    packed: Packed
    tokens: Int[Tensor, " tokens"]
    """Its tokens, counted in the whole run."""
    going_on: tuple[int, ...]
    """Those of its sequences that the next segment goes on with."""


def cut_segments(packed: Packed, length: int) -> Iterator[Segment]:
    """Each sequence in pieces of `length` tokens, its last one shorter: the first pieces, then all second ones."""
    starts = np.cumsum([0, *packed.lengths])[:-1]
    left = list(packed.lengths)
    sequences = list(range(len(left)))
    while sequences:
        sizes = tuple(min(length, left[number]) for number in sequences)
        spans = [
            np.arange(starts[number], starts[number] + size) for number, size in zip(sequences, sizes, strict=True)
        ]
        tokens = torch.from_numpy(np.concatenate(spans)).to(packed.input_ids.device)
        for number, size in zip(sequences, sizes, strict=True):
            starts[number] += size
            left[number] -= size
        going_on = tuple(place for place, number in enumerate(sequences) if left[number])
        order = None if packed.order is None else packed.order[tokens]
        ids, types, positions = (
            each[tokens] for each in (packed.input_ids, packed.token_type_ids, packed.position_ids)
        )
        yield Segment(Packed(ids, types, positions, sizes, order), tokens, going_on)
        sequences = [sequences[place] for place in going_on]
