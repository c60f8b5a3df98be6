"""Baselines that learn nothing: answer what the most similar training prompt was answered with, or the prompt itself.

On test splits the first is a control more than a rival: their values or patterns are in no training row, so that it can
be right only by chance, and a model that beats it does more than look up.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from jaxtyping import Float32

from groundup.errors import DataError
from groundup.spoken.rows import Row, text_of

_SIZES: Final = (2, 3)


class NearestNeighbour:
    """Finds rows by the cosine between counts of character pairs and triples, rare ones weighing more (tf-idf).

    An index from each of them to the rows that have it: a search reads the rows of its own only.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        """Index the prompts. Raises DataError where there are none."""
        if not rows:
            raise DataError("spoken.nearest", "there is no row to answer from", cure="draw training rows first")
        self._completions = [row["completion"] for row in rows]
        postings: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for number, row in enumerate(rows):
            for gram, count in _count_grams(row["prompt"]).items():
                postings[gram].append((number, count))
        self._rarity = {gram: float(np.log1p(len(rows) / len(found))) for gram, found in postings.items()}
        squares = np.zeros(len(rows))
        self._postings: dict[str, tuple[np.ndarray, Float32[np.ndarray, " rows"]]] = {}
        for gram, found in postings.items():
            numbers, counts = np.array(found, dtype=np.int32).T
            weights = (counts * self._rarity[gram]).astype(np.float32)
            squares[numbers] += weights.astype(np.float64) ** 2
            self._postings[gram] = (numbers, weights)
        self._inverse_norms = 1.0 / np.sqrt(np.maximum(squares, 1e-12))

    def find(self, prompt: str) -> int:
        """The number of the most similar row, the first of those equally similar."""
        grams = [(gram, count) for gram, count in _count_grams(prompt).items() if gram in self._postings]
        if not grams:
            return 0
        numbers = np.concatenate([self._postings[gram][0] for gram, _ in grams])
        weights = np.concatenate([self._postings[gram][1] * (count * self._rarity[gram]) for gram, count in grams])
        sums = np.bincount(numbers, weights=weights, minlength=len(self._completions))
        return int(np.argmax(sums * self._inverse_norms))

    def answer(self, prompts: Iterable[str]) -> list[str]:
        """The completions of the most similar rows."""
        return [self._completions[self.find(prompt)] for prompt in prompts]


def copy_texts(rows: Iterable[Row]) -> list[str]:
    """The answers of who changes nothing: right where there is nothing to convert."""
    return [text_of(row) for row in rows]


def _count_grams(text: str) -> Counter[str]:
    return Counter(text[start : start + size] for size in _SIZES for start in range(len(text) - size + 1))
