"""Choices of the grammar, each a function of (key, number of the attempt, number of the choice)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

import numpy as np

from groundup.randomness import draw_bits

_Item = TypeVar("_Item")

_BLOCK: Final = 512
"""Attempts whose first draws are made in one call; it changes speed, not results."""
_WIDTH: Final = 32


class Dice:
    """The choices of one attempt, in the order in which they are asked for."""

    def __init__(self, key: int, attempt: int, bits: Sequence[int] = ()) -> None:
        """Start at the first choice; `bits` are the draws already made for it."""
        self._key, self._attempt = key, attempt
        self._bits, self._next = list(bits), 0
        self._settled: dict[str, str] = {}

    def below(self, count: int) -> int:
        """A number from 0 to `count - 1`."""
        if self._next == len(self._bits):
            columns = np.arange(self._next, self._next + _WIDTH)
            self._bits += draw_bits(self._key, self._attempt, columns).tolist()
        bits = self._bits[self._next]
        self._next += 1
        # The remainder of 64 bits favours small numbers by less than count / 2**64.
        return bits % count

    def between(self, low: int, high: int) -> int:
        """A number from `low` to `high`, both included."""
        return low + self.below(high - low + 1)

    def chance(self, percent: int) -> bool:
        """True in `percent` of 100 cases."""
        return self.below(100) < percent

    def pick(self, items: Sequence[_Item]) -> _Item:
        """One of the items."""
        return items[self.below(len(items))]

    def settle(self, name: str, items: Sequence[str]) -> str:
        """One of the items, the same one whenever the attempt asks for it by this name."""
        if name not in self._settled:
            self._settled[name] = self.pick(items)
        return self._settled[name]


def iterate_dice(key: int) -> Iterator[Dice]:
    """The dice of attempt 0, 1, 2 ... without end."""
    start = 0
    while True:
        attempts = np.arange(start, start + _BLOCK)
        rows = draw_bits(key, attempts[:, None], np.arange(_WIDTH)[None, :]).tolist()
        for attempt, bits in zip(attempts.tolist(), rows, strict=True):
            yield Dice(key, attempt, bits)
        start += _BLOCK
