"""Documents cut into samples: where windows lie, and which special tokens stand around what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, final

import numpy as np
from jaxtyping import Int32, Int64

from groundup.errors import ConfigError
from groundup.text.sample import Sample
from groundup.text.tokenizer import Tokenizer

Read = Callable[[int, int], Int32[np.ndarray, " _tokens"]]
"""Tokens `start` to `end` of the text of all documents."""


@dataclass(frozen=True)
class Frame:
    """Which special tokens stand around what.

    Around a `window`: every window is a text of its own between them, as an encoder reads it. Around a `document`: they
    mark its start and its end, and windows are cut out of all of it; each window then starts with the last token of the
    one before it, so that a decoder predicts every token exactly once.
    """

    of: Literal["window", "document"]
    prefix: tuple[int, ...]
    suffix: tuple[int, ...]

    @classmethod
    def of_windows(cls, tokenizer: Tokenizer) -> Frame:
        """As the tokenizer frames a single text."""
        return cls("window", tokenizer.prefix_ids, tokenizer.suffix_ids)

    @classmethod
    def of_documents(cls, tokenizer: Tokenizer) -> Frame:
        """The tokens that a document starts and ends with, where the tokenizer has such."""
        start, end = tokenizer.start_id, tokenizer.end_id
        return cls("document", () if start is None else (start,), () if end is None else (end,))


@final
class Windows:
    """Where the samples of some documents lie: 12 bytes a sample, no token."""

    def __init__(
        self,
        ends: Int64[np.ndarray, " documents"],
        frame: Frame,
        max_length: int,
        min_length: int,
        where: str = "objective.max_length",
    ) -> None:
        """Lay windows over documents.

        Args:
            ends: where each document ends in the text of all.
            frame: the special tokens.
            max_length: the most tokens that a model reads of a sample, special tokens included.
            min_length: windows with fewer tokens of text (or, around documents, of targets) are left out.
            where: the setting that `max_length` is, for errors.
        """
        self.frame, self._ends = frame, ends
        special = len(frame.prefix) + len(frame.suffix)
        self._is_of_documents = frame.of == "document"
        room = max_length if self._is_of_documents else max_length - special
        if room < min_length:
            beside = "" if self._is_of_documents else " beside the special ones"
            cure = "raise it, or lower data.min_length"
            what = f"leaves {room} tokens{beside}, and data.min_length is {min_length}"
            raise ConfigError(where, what, got=max_length, cure=cure)
        if self._is_of_documents:
            sizes = np.diff(ends, prepend=0)
            targets = np.where(sizes < min_length, 0, sizes + special - 1)
            starts, found = lay_windows(np.cumsum(targets), room, min_length)
            self._documents = np.searchsorted(np.cumsum(targets), starts, side="right").astype(np.int32)
            self._starts = starts - (np.cumsum(targets) - targets)[self._documents]  # within its framed document
            self.lengths: Int32[np.ndarray, " samples"] = found.astype(np.int32)
            """Tokens that a model reads of each sample; around documents it holds one more, the last to predict."""
        else:
            self._starts, found = lay_windows(ends, room, min_length)
            self.lengths = (found + special).astype(np.int32)

    @property
    def num_text_tokens(self) -> int:
        """Tokens of text in all samples (around documents: of targets, which include their ends)."""
        taken = 0 if self._is_of_documents else len(self.frame.prefix) + len(self.frame.suffix)
        return int(self.lengths.sum(dtype=np.int64)) - taken * len(self)

    def __len__(self) -> int:
        return len(self.lengths)

    def take(self, index: int, read: Read) -> Sample:
        """The sample of a number."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        start, length = int(self._starts[index]), int(self.lengths[index])
        prefix, suffix = (np.array(ids, dtype=np.int32) for ids in (self.frame.prefix, self.frame.suffix))
        if not self._is_of_documents:
            text = read(start, start + length - len(prefix) - len(suffix))
            return Sample(int(index), np.concatenate([prefix, text, suffix]))
        document = int(self._documents[index])
        first = int(self._ends[document - 1]) if document else 0
        size, begin, end = int(self._ends[document]) - first, start - len(prefix), start + length + 1 - len(prefix)
        text = read(first + max(0, begin), first + min(size, end))
        return Sample(
            int(index), np.concatenate([prefix[start : start + length + 1], text, suffix[: max(0, end - size)]])
        )


def lay_windows(
    ends: Int64[np.ndarray, " documents"], window: int, min_length: int
) -> tuple[Int64[np.ndarray, " samples"], Int64[np.ndarray, " samples"]]:
    """Start and size of every window of at most `window` tokens, those under `min_length` left out."""
    starts = np.concatenate([[0], ends[:-1]])
    sizes = ends - starts
    counts = sizes // window + (sizes % window >= min_length)
    document = np.repeat(np.arange(len(ends)), counts)
    offset = (np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)) * window
    return starts[document] + offset, np.minimum(window, sizes[document] - offset)
