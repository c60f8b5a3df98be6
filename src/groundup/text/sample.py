"""What stands between text and training: samples of token ids, addressed by number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int32


@dataclass(frozen=True)
class Sample:
    """One sequence as the model will see it before any corruption, special tokens included."""

    index: int
    """Its number in its collection: part of the key of every random draw about it."""
    input_ids: Int32[np.ndarray, " length"]
    token_type_ids: Int32[np.ndarray, " length"] | None = None
    """Which text of a pair each token belongs to; None where there is only one."""
    label: int | None = None
    """The class, for tasks that have one; None for text alone or an unlabelled row."""


@runtime_checkable
class Samples(Protocol):
    """A collection of samples of which only the lengths must be in memory."""

    @property
    def lengths(self) -> Int32[np.ndarray, " samples"]:
        """Tokens in each sample, special tokens included: all that planning needs."""
        ...

    @property
    def digest(self) -> str:
        """A hash of the content, recorded with every checkpoint."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...
