"""A prepared corpus as samples: windows of token ids that never cross the end of a document, read from mapped files."""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path
from typing import final

import numpy as np
from jaxtyping import Int32, Int64

from groundup.errors import ConfigError, DataError
from groundup.text.corpus_config import CorpusConfig
from groundup.text.documents import iterate_texts
from groundup.text.manifest import Manifest, check_shards, read_manifest
from groundup.text.prepare import Progress, prepare
from groundup.text.sample import Sample
from groundup.text.tokenizer import Tokenizer

__all__ = ["Corpus", "CorpusConfig", "Progress", "iterate_texts", "prepare"]


@final
class Corpus:
    """The windows of a prepared folder. In memory are 12 bytes a sample; the tokens stay on disk."""

    def __init__(
        self, folder: Path, manifest: Manifest, tokenizer: Tokenizer, max_length: int, min_length: int
    ) -> None:
        """Lay windows over documents; use `open`, which checks the folder first."""
        self.manifest = manifest
        self._prefix = np.array(tokenizer.prefix_ids, dtype=np.int32)
        self._suffix = np.array(tokenizer.suffix_ids, dtype=np.int32)
        self._window = max_length - len(self._prefix) - len(self._suffix)
        if self._window < min_length:
            raise ConfigError(
                "max_length",
                f"leaves {self._window} tokens beside the special ones, and data.min_length is {min_length}",
                got=max_length,
                cure="raise it, or lower data.min_length",
            )
        self._min_length = min_length
        self._shards = [np.memmap(folder / shard.tokens_file, manifest.dtype, "r") for shard in manifest.shards]
        self._shard_starts = np.cumsum([0, *(shard.num_tokens for shard in manifest.shards)])
        ends = [np.fromfile(folder / shard.ends_file, "<i8") for shard in manifest.shards]
        self._starts, sizes = lay_windows(np.concatenate(ends), self._window, min_length)
        if len(sizes) == 0:
            raise DataError(
                str(folder), f"holds no document of {min_length} tokens or more", cure="lower data.min_length"
            )
        self._sizes = sizes.astype(np.int32)
        self._lengths = self._sizes + np.int32(len(self._prefix) + len(self._suffix))

    @classmethod
    def open(
        cls,
        folder: str | Path,
        tokenizer: Tokenizer,
        *,
        max_length: int,
        min_length: int = 8,
        verify: bool = False,
    ) -> Corpus:
        """Open a folder that `prepare` finished.

        Args:
            folder: with a manifest and its shards.
            tokenizer: the one it was prepared with.
            max_length: the most tokens of a sample, special tokens included; longer documents give several samples.
            min_length: documents and ends of documents with fewer tokens give no sample.
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
        return cls(folder, manifest, tokenizer, max_length, min_length)

    @property
    def lengths(self) -> Int32[np.ndarray, " samples"]:
        """Tokens in each sample, special tokens included."""
        return self._lengths

    @property
    def num_text_tokens(self) -> int:
        """Tokens of text in all samples; `manifest.counts` has those of the files."""
        return int(self._sizes.sum(dtype=np.int64))

    @cached_property
    def digest(self) -> str:
        """A hash of what the samples are: the shards' hashes, the windows and the special tokens."""
        hashes = [part for shard in self.manifest.shards for part in (shard.tokens_sha256, shard.ends_sha256)]
        parts = [*hashes, self._window, self._min_length, self._prefix.tolist(), self._suffix.tolist()]
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < len(self):
            raise IndexError(index)
        start = int(self._starts[index])
        text = self._read(start, start + int(self._sizes[index]))
        return Sample(int(index), np.concatenate([self._prefix, text, self._suffix]))

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
