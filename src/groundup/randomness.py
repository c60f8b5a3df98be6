"""Randomness is a function of named coordinates, never a state.

Every draw is the hash of a key (seed, epoch, purpose) and coordinates (sample, position). The same coordinates give the
same number in any process, in any order, on any number of workers, so nothing random needs saving. The hash is
splitmix64's finalizer (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators"); it is written out
here so that no release of a library can change what a run draws.
"""

from __future__ import annotations

import hashlib

import numpy as np
from jaxtyping import Float64, Int64, UInt64

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def make_key(*parts: int | str) -> int:
    """Fold seed, epoch, purpose and the like into one 64-bit key. Different parts give unrelated keys."""
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def draw_bits(key: int, *coordinates: np.ndarray | int) -> UInt64[np.ndarray, "*shape"]:
    """64 uniform bits for every (broadcast) tuple of integer coordinates."""
    bits = np.uint64(key)
    with np.errstate(over="ignore"):
        for coordinate in coordinates:
            bits = _mix(bits + _GOLDEN * (np.asarray(coordinate).astype(np.uint64) + np.uint64(1)))
    return np.asarray(bits, dtype=np.uint64)


def draw_uniform(key: int, *coordinates: np.ndarray | int) -> Float64[np.ndarray, "*shape"]:
    """A number in [0, 1) for every (broadcast) tuple of integer coordinates."""
    return np.asarray((draw_bits(key, *coordinates) >> np.uint64(11)).astype(np.float64) * 2.0**-53)


def draw_permutation(key: int, size: int) -> Int64[np.ndarray, " size"]:
    """The numbers 0 to `size - 1` in the order that `key` gives them."""
    return np.argsort(draw_bits(key, np.arange(size)), kind="stable").astype(np.int64)


def _mix(bits: np.ndarray | np.uint64) -> np.ndarray | np.uint64:
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))
