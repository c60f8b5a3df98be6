"""Samples laid end to end, as every objective starts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from groundup.model.packed import Packed
from groundup.text.sample import Sample


def pack_samples(samples: Sequence[Sample]) -> Packed:
    """A packed copy of the samples, in their order. Those without token types have type 0 throughout."""
    types = [
        np.zeros(len(sample.input_ids), dtype=np.int32) if sample.token_type_ids is None else sample.token_type_ids
        for sample in samples
    ]
    return Packed.from_sequences([sample.input_ids for sample in samples], types)
