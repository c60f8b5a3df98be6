"""What a task can tell of its results beyond its metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Int64

from groundup.metrics.metric import Metric


@dataclass(frozen=True)
class Details:
    """The parts that results fall into."""

    classes: Mapping[str, Metric] = field(default_factory=dict)
    """Figures of each class, type or kind: `f1[label]`."""
    labels: tuple[str, ...] = ()
    """Of the confusion matrix, in its order."""
    confusion: Int64[np.ndarray, "label prediction"] | None = None
    """How often each label (row) was predicted as each label (column); None where there is no such thing."""
