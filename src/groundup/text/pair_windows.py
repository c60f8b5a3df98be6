"""Documents cut into runs of whole sentences, out of which an objective makes pairs of two segments.

A run holds as many sentences of one document as fit beside the special tokens, and at least two: one alone has no
neighbour. Runs of one are left out and counted: documents of one sentence, the last sentences of others, and those
beside which no second one fits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Int32, Int64

from groundup.errors import ConfigError, DataError
from groundup.text.sample import Sample
from groundup.text.tokenizer import Tokenizer
from groundup.text.windows import Read


@dataclass(frozen=True)
class PairFrame:
    """That samples are to become pairs of segments."""

    num_special: int
    """The special tokens around and between two texts."""
    needs_others: bool
    """Whether segments of other documents are asked for."""

    @classmethod
    def of(cls, tokenizer: Tokenizer, *, needs_others: bool) -> PairFrame:
        """With the special tokens that the tokenizer puts around a pair."""
        return cls(len(tokenizer.join_pair(*[np.zeros(0, dtype=np.int32)] * 2).input_ids), needs_others)


@final
class PairWindows:
    """Where the runs of sentences of some documents lie (as `Windows`): 24 bytes a run and 8 a sentence, no token."""

    def __init__(
        self,
        ends: Int64[np.ndarray, " documents"],
        sentences: Int64[np.ndarray, " sentences"],
        frame: PairFrame,
        max_length: int,
        min_length: int,
        where: str = "objective.max_length",
    ) -> None:
        """Lay runs over documents.

        Args:
            ends: where each document ends in the text of all.
            sentences: where each sentence does, rising; a document's end is one too.
            frame: the special tokens.
            max_length: the most tokens that a model reads of a pair, special tokens included.
            min_length: runs with fewer tokens of text are left out.
            where: the setting that `max_length` is, for errors.
        """
        self.frame = frame
        room = max_length - frame.num_special
        if room < max(2, min_length):
            what = f"leaves {room} tokens beside the special ones, and data.min_length is {min_length}"
            raise ConfigError(where, what, got=max_length, cure="raise it, or lower data.min_length")
        self._sentences = np.union1d(sentences, ends)
        starts = np.concatenate([[0], self._sentences[:-1]])
        document = np.searchsorted(ends, starts, side="right")
        last = np.searchsorted(self._sentences, ends)  # the last sentence of each document
        fits = np.searchsorted(self._sentences, starts + room, side="right")
        after = np.minimum(fits, last[document] + 1)  # the first sentence that a run from here does not hold
        first = _walk(np.concatenate([[0], last[:-1] + 1]), np.maximum(after, np.arange(len(after)) + 1), last + 1)
        counts = after[first] - first
        self.num_single = int((counts == 1).sum())
        """Sentences left out because no neighbour fits beside them."""
        self.num_too_long = int((counts < 1).sum())
        """Sentences left out because they are longer than a model reads."""
        sizes = self._sentences[np.maximum(after[first], 1) - 1] - starts[first]
        kept = (counts >= 2) & (sizes >= min_length)
        self._first, self._after = first[kept], after[first[kept]]
        self._documents = document[self._first]
        self._starts = starts
        self.lengths: Int32[np.ndarray, " samples"] = (sizes[kept] + frame.num_special).astype(np.int32)
        """The most tokens of the pair that is made of each run."""
        self._check(where)

    @property
    def num_text_tokens(self) -> int:
        """Tokens of text in all runs."""
        return int(self.lengths.sum(dtype=np.int64)) - self.frame.num_special * len(self)

    def __len__(self) -> int:
        return len(self.lengths)

    def take(self, index: int, read: Read) -> Sample:
        """The run of a number: its text without special tokens, where its sentences end, and a way to other runs."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        first, after = int(self._first[index]), int(self._after[index])
        start, ends = int(self._starts[first]), self._sentences[first:after]
        return Sample(
            int(index),
            read(start, int(ends[-1])),
            sentence_ends=(ends - start).astype(np.int32),
            draw_other=lambda share: self.take(self._find_other(index, share), read),
        )

    def _find_other(self, index: int, share: float) -> int:
        """The run at `share`, from 0 to below 1, of all runs of other documents."""
        low, high = (int(np.searchsorted(self._documents, self._documents[index], side)) for side in ("left", "right"))
        place = int(share * (len(self) - (high - low)))
        return place if place < low else place + high - low

    def _check(self, where: str) -> None:
        if not len(self):
            found = f"{self.num_single} single and {self.num_too_long} too long sentences"
            raise DataError(
                "data",
                "holds no two neighbouring sentences",
                got=found,
                cure=f"take longer documents, or raise {where}",
            )
        if self.frame.needs_others and self._documents[0] == self._documents[-1]:
            cure = "take more documents, or objective.form=order, which needs one"
            raise DataError("data", "has two sentences or more in a single document", got=1, cure=cure)


def _walk(
    starts: Int64[np.ndarray, " documents"],
    following: Int64[np.ndarray, " sentences"],
    ends: Int64[np.ndarray, " documents"],
) -> Int64[np.ndarray, " runs"]:
    """From each start by `following` to its end: every sentence that is come to, rising."""
    found: list[np.ndarray] = []
    while len(starts):  # one turn for the first runs of all documents, one for the second ones
        found.append(starts)
        starts = following[starts]
        is_inside = starts < ends
        starts, ends = starts[is_inside], ends[is_inside]
    return np.sort(np.concatenate(found)) if found else np.zeros(0, dtype=np.int64)
