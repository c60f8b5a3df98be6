"""A prepared corpus as samples: windows of token ids that never cross the end of a document, read from mapped files."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import final

import numpy as np
from jaxtyping import Int32, Int64

from groundup.errors import DataError
from groundup.text.corpus_config import CorpusConfig
from groundup.text.documents import iterate_texts
from groundup.text.manifest import Manifest, check_shards, read_manifest
from groundup.text.pair_windows import PairFrame, PairWindows
from groundup.text.prepare import Progress, prepare
from groundup.text.sample import Sample
from groundup.text.tokenizer import Tokenizer
from groundup.text.windows import Frame, Windows

__all__ = ["Corpus", "CorpusConfig", "Progress", "iterate_texts", "prepare"]


@final
class Corpus:
    """The windows of a prepared folder. In memory are 12 bytes a sample; the tokens stay on disk."""

    examples: Sequence[object] = ()

    def __init__(
        self,
        folder: Path,
        manifest: Manifest,
        frame: Frame | PairFrame,
        max_length: int,
        min_length: int,
        part: tuple[float, float],
    ) -> None:
        """Lay windows over documents; use `open`, which checks the folder first."""
        self.manifest = manifest
        self._shards = [np.memmap(folder / shard.tokens_file, manifest.dtype, "r") for shard in manifest.shards]
        self._shard_starts = np.cumsum([0, *(shard.num_tokens for shard in manifest.shards)])
        ends = np.concatenate([np.fromfile(folder / shard.ends_file, "<i8") for shard in manifest.shards])
        self._first, last = (int(share * self._shard_starts[-1]) for share in part)
        ends = np.unique(ends.clip(self._first, last)) - self._first
        if isinstance(frame, PairFrame):
            sentences = _read_sentences(folder, manifest).clip(self._first, last) - self._first
            kept = np.unique(sentences[sentences > 0])
            self._windows = PairWindows(ends[ends > 0], kept, frame, max_length, min_length)
        else:
            self._windows = Windows(ends[ends > 0], frame, max_length, min_length)
        self._settings = (max_length, min_length, self._first, last)
        if len(self._windows) == 0:
            raise DataError(
                str(folder), f"holds no document of {min_length} tokens or more", cure="lower data.min_length"
            )

    @classmethod
    def open(
        cls,
        folder: str | Path,
        tokenizer: Tokenizer,
        *,
        max_length: int,
        min_length: int = 8,
        frame: Frame | PairFrame | None = None,
        part: tuple[float, float] = (0.0, 1.0),
        verify: bool = False,
    ) -> Corpus:
        """Open a folder that `prepare` finished.

        Args:
            folder: with a manifest and its shards.
            tokenizer: the one it was prepared with.
            max_length: the most tokens of a sample, special tokens included; longer documents give several samples.
            min_length: documents and ends of documents with fewer tokens give no sample.
            frame: where special tokens stand, or that samples are to become pairs; None for around every window.
            part: the share of all tokens at which this part of the corpus starts, and that at which it ends. A document
                that is cut there is treated as two.
            verify: compare every shard with its sha256; sizes are compared always.

        Raises:
            DataError: the folder is missing, unfinished, damaged or of another tokenizer.
        """
        folder = Path(folder)
        manifest = read_manifest(folder)
        if manifest is None:
            raise DataError(str(folder), "holds no prepared text", cure="run `groundup data prepare`")
        if not manifest.is_complete:
            raise DataError(str(folder), "is not prepared to the end", cure="run `groundup data prepare` again")
        if manifest.origin.tokenizer_digest != tokenizer.digest:
            raise DataError(str(folder), "was prepared with another tokenizer", cure="prepare it with this one")
        check_shards(folder, manifest, verify=verify)
        return cls(folder, manifest, frame or Frame.of_windows(tokenizer), max_length, min_length, part)

    @property
    def lengths(self) -> Int32[np.ndarray, " samples"]:
        """Tokens in each sample, special tokens included."""
        return self._windows.lengths

    @property
    def num_text_tokens(self) -> int:
        """Tokens of text in all samples; `manifest.counts` has those of the files."""
        return self._windows.num_text_tokens

    @cached_property
    def digest(self) -> str:
        """A hash of what the samples are: the shards' hashes, the windows and the special tokens."""
        hashes = [part for shard in self.manifest.shards for part in (shard.tokens_sha256, shard.ends_sha256)]
        if isinstance(self._windows, PairWindows):
            hashes += [shard.sentences_sha256 for shard in self.manifest.shards]
        parts = [*hashes, *self._settings, self._windows.frame]
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    @property
    def num_single(self) -> int:
        """Sentences left out because they have no neighbour; 0 where samples are no pairs."""
        return self._windows.num_single if isinstance(self._windows, PairWindows) else 0

    def __len__(self) -> int:
        return len(self._windows)

    def __getitem__(self, index: int) -> Sample:
        return self._windows.take(index, lambda start, end: self._read(self._first + start, self._first + end))

    def _read(self, start: int, end: int) -> Int32[np.ndarray, " tokens"]:
        """Tokens of the corpus, which may lie in several shards."""
        shard = int(np.searchsorted(self._shard_starts, start, side="right")) - 1
        parts: list[np.ndarray] = []
        while start < end:
            first = int(self._shard_starts[shard])
            parts.append(self._shards[shard][start - first : end - first])
            start += len(parts[-1])
            shard += 1
        return np.concatenate(parts).astype(np.int32)


def _read_sentences(folder: Path, manifest: Manifest) -> Int64[np.ndarray, " sentences"]:
    """Where sentences end, in tokens from the start of the corpus."""
    files = [shard.sentences_file for shard in manifest.shards]
    if None in files:
        cure = "set data.sentences=true and prepare it anew in another folder"
        raise DataError(str(folder), "was prepared without the ends of sentences", cure=cure)
    return np.concatenate([np.fromfile(folder / str(name), "<i8") for name in files])
