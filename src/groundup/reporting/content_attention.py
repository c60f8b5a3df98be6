"""What the attention of a model on a text is, as plain data, from which the page is drawn."""

from __future__ import annotations

from typing import Literal, TypedDict

Habit = Literal["itself", "previous", "next", "first", "last", "same", "spread"]
"""What a head mostly looks at; `spread` where it is nothing of this."""


class HeadMap(TypedDict):
    """One head of one layer."""

    layer: int
    """Counted from 0, as in the names of weights."""
    head: int
    probabilities: list[list[float]]
    """What each query (a row) takes from each key."""
    habit: Habit
    share: float
    """Of the habit, over all queries that could have it."""


class Maps(TypedDict):
    """All heads of one kind of attention."""

    kind: Literal["attention", "encoder", "cross_attention"]
    queries: list[str]
    """The tokens that look, in characters that can be read."""
    keys: list[str]
    """The tokens that are looked at."""
    num_layers: int
    num_heads: int
    heads: list[HeadMap]
    """By layer, then by head."""


class Attention(TypedDict):
    """Where a model looks on a text."""

    model: str
    text: str
    pair: str | None
    maps: list[Maps]
