"""Text files to memory-mapped shards of token ids. Killed at any instant, it goes on and ends with the same bytes."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from groundup.errors import DataError
from groundup.readers.lines import find_files, hash_file
from groundup.text.corpus_config import CorpusFiles
from groundup.text.cut import make_check
from groundup.text.documents import Piece, iterate_pieces
from groundup.text.manifest import (
    FILE_NAME,
    Manifest,
    Origin,
    Shard,
    check_origin,
    check_shards,
    read_manifest,
    write_atomically,
)
from groundup.text.sentence_ends import find_sentences
from groundup.text.tokenizer import Tokenizer

SHARD_TOKENS = 1 << 23
"""Tokens after which a shard is closed: what a killed preparation can lose, some ten seconds of work."""

_BATCH_CHARS = 1 << 20
_OURS = re.compile(r"(tokens|ends|sentences)-\d{5}\.bin(\.part)?|manifest\.json\.part")


class Progress(NamedTuple):
    """How far a preparation is."""

    done_bytes: int
    total_bytes: int
    num_tokens: int
    """Tokens on disk or in work, those of an earlier, killed preparation included."""
    tokens_per_second: float
    """Of this process alone."""


def prepare(
    files: Sequence[str],
    tokenizer: Tokenizer,
    folder: str | Path,
    config: CorpusFiles,
    *,
    where: str = "data.train",
    progress: Callable[[Progress], None] | None = None,
    shard_tokens: int = SHARD_TOKENS,
) -> Manifest:
    """Make `folder` hold the tokens of all files; at once if it does already, from where it stopped if it was killed.

    Args:
        files: paths and globs, in the order of the corpus.
        tokenizer: gives the ids; no special tokens are stored.
        folder: is made; must hold nothing else, or what a preparation of the same text left.
        config: what a document is, the column, the encoding.
        where: the setting that `files` come from, for messages.
        progress: called after every batch of about a million characters.
        shard_tokens: tokens after which a shard is closed.

    Raises:
        DataError: a file cannot be read as text; the folder holds other text; the disk is full or may not be written.
    """
    folder = Path(folder)
    paths = find_files(files, where)
    origin = _describe(paths, tokenizer, config, shard_tokens)
    with _writing(folder):
        manifest = _resume(folder, origin)
        if not manifest.is_complete:
            manifest = _Preparation(paths, tokenizer, folder, config, where, progress, shard_tokens).run(manifest)
    return manifest


def check_prepared(
    files: Sequence[str], tokenizer: Tokenizer, folder: str | Path, config: CorpusFiles, *, where: str = "data.train"
) -> None:
    """DataError where `folder` holds tokens of other text, or other tokens of it, so that `prepare` would refuse."""
    found = read_manifest(Path(folder))
    if found is not None:
        check_origin(Path(folder), found.origin, _describe(find_files(files, where), tokenizer, config, SHARD_TOKENS))


class _Preparation:
    """One run over the files, from where the manifest stops."""

    def __init__(
        self,
        paths: list[Path],
        tokenizer: Tokenizer,
        folder: Path,
        config: CorpusFiles,
        where: str,
        progress: Callable[[Progress], None] | None,
        shard_tokens: int,
    ) -> None:
        self._paths, self._tokenizer, self._folder, self._config = paths, tokenizer, folder, config
        self._where, self._progress, self._shard_tokens = where, progress, shard_tokens
        self._sizes = [path.stat().st_size for path in paths]
        self._started = time.perf_counter()

    def run(self, manifest: Manifest) -> Manifest:
        writer = _ShardWriter(self._folder, manifest)
        before, limit = writer.total_tokens, self._config.max_tokens or sys.maxsize
        for index, done, batch in self._batches(manifest.next_file, manifest.next_piece):
            if writer.total_tokens >= limit:
                break
            texts, ends, closed = self._split(batch)
            ids, sizes = self._tokenizer.encode_flat(texts)
            if writer.total_tokens + len(ids) >= limit:
                ids, sizes, ends = _stop_at(limit - writer.total_tokens, ids, sizes, ends)
            num_characters = sum(map(len, texts[: len(sizes)]))
            sentences = None if closed is None else closed[: len(sizes)] | ends
            writer.add(ids, sizes, ends, sentences, num_characters, self._count_unknown(ids))
            self._report(index, batch[-1].offset, writer.total_tokens, before)
            if writer.num_tokens >= self._shard_tokens:
                manifest = writer.close(index, done)
        if writer.num_tokens:
            manifest = writer.close(len(self._paths), 0)
        if not manifest.counts.get("documents"):
            raise DataError(self._where, "holds no text", got=[str(path) for path in self._paths], cure="check them")
        manifest = replace(manifest, next_file=len(self._paths), next_piece=0, is_complete=True)
        write_atomically(self._folder / FILE_NAME, manifest.to_bytes())
        return manifest

    def _batches(self, first_file: int, first_piece: int) -> Iterator[tuple[int, int, list[Piece]]]:
        """The number of a file, how many of its pieces are read after this batch, and the batch."""
        check = make_check(self._tokenizer)
        for index in range(first_file, len(self._paths)):
            done = first_piece if index == first_file else 0
            pieces = iterate_pieces(self._paths[index], self._config, check, self._where)
            for batch in _gather(islice(pieces, done, None)):
                done += len(batch)
                yield index, done, batch

    def _split(self, batch: list[Piece]) -> tuple[list[str], np.ndarray, np.ndarray | None]:
        """What is tokenized at a time, whether a document ends after it, and, where it is noted, a sentence."""
        if not self._config.sentences:
            return [piece.text for piece in batch], np.array([piece.is_end for piece in batch], dtype=bool), None
        texts: list[str] = []
        ends: list[bool] = []
        closed: list[bool] = []
        for piece in batch:
            found = find_sentences(piece.text)
            texts += found.texts
            ends += [False] * (len(found.texts) - 1) + [piece.is_end]
            closed += [True] * (len(found.texts) - 1) + [found.is_closed]
        return texts, np.array(ends, dtype=bool), np.array(closed, dtype=bool)

    def _count_unknown(self, ids: np.ndarray) -> int:
        unknown = self._tokenizer.unknown_id
        return 0 if unknown is None else int(np.count_nonzero(ids == unknown))

    def _report(self, index: int, offset: int, num_tokens: int, before: int) -> None:
        if self._progress is not None:
            rate = (num_tokens - before) / max(time.perf_counter() - self._started, 1e-9)
            self._progress(Progress(sum(self._sizes[:index]) + offset, sum(self._sizes), num_tokens, rate))


class _ShardWriter:
    """Writes one shard after another; a shard that is not closed is not there."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self._folder, self._manifest = folder, manifest
        self._file: BinaryIO | None = None
        self._start()

    @property
    def total_tokens(self) -> int:
        """Tokens of all shards, the open one included."""
        return self._before + self.num_tokens

    def add(
        self,
        ids: np.ndarray,
        sizes: np.ndarray,
        ends: np.ndarray,
        sentences: np.ndarray | None,
        num_characters: int,
        num_unknown: int,
    ) -> None:
        """Append pieces: their ids end to end, their sizes, and which of them end a document, which a sentence."""
        if self._file is None:
            self._file = self._part.open("wb")
        raw = ids.astype(self._manifest.dtype).tobytes()
        self._file.write(raw)
        self._hash.update(raw)
        after = self.total_tokens + np.cumsum(sizes)
        self._ends.append(after[ends])
        if sentences is not None:
            self._sentences.append(after[sentences])
        self.num_tokens += len(ids)
        self._num_characters += num_characters
        self._num_unknown += num_unknown

    def close(self, next_file: int, next_piece: int) -> Manifest:
        """Make the shard part of the folder, and remember where to go on."""
        assert self._file is not None
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._file = None
        self._part.rename(self._folder / self._name("tokens"))
        before = self._manifest.shards[-1].last_end if self._manifest.shards else 0
        ends = _keep_filled(np.concatenate(self._ends), before)
        write_atomically(self._folder / self._name("ends"), ends.tobytes())
        sentences: dict[str, Any] = {}
        if self._sentences:
            # None ends before the shard's first token: where a sentence goes on, its end is in the next shard.
            found = _keep_filled(np.concatenate(self._sentences), self._before)
            write_atomically(self._folder / self._name("sentences"), found.tobytes())
            sentences = {
                "sentences_file": self._name("sentences"),
                "sentences_sha256": hashlib.sha256(found.tobytes()).hexdigest(),
                "num_sentences": len(found),
            }
        shard = Shard(
            tokens_file=self._name("tokens"),
            tokens_sha256=self._hash.hexdigest(),
            num_tokens=self.num_tokens,
            ends_file=self._name("ends"),
            ends_sha256=hashlib.sha256(ends.tobytes()).hexdigest(),
            num_documents=len(ends),
            last_end=int(ends[-1]) if len(ends) else before,
            num_characters=self._num_characters,
            num_unknown=self._num_unknown,
            **sentences,
        )
        self._manifest = self._manifest.with_shard(shard, next_file, next_piece)
        write_atomically(self._folder / FILE_NAME, self._manifest.to_bytes())
        self._start()
        return self._manifest

    def _start(self) -> None:
        self._before = int(self._manifest.counts.get("tokens", 0))
        self._part = self._folder / f"{self._name('tokens')}.part"
        self._hash = hashlib.sha256()
        self._ends: list[np.ndarray] = []
        self._sentences: list[np.ndarray] = []
        self.num_tokens = self._num_characters = self._num_unknown = 0

    def _name(self, what: str) -> str:
        return f"{what}-{len(self._manifest.shards):05d}.bin"


def _describe(paths: Sequence[Path], tokenizer: Tokenizer, config: CorpusFiles, shard_tokens: int) -> Origin:
    return Origin(
        tokenizer_digest=tokenizer.digest,
        vocab_size=tokenizer.vocab_size,
        settings=config.settings | {"shard_tokens": shard_tokens},
        sources=tuple({"name": path.name, "bytes": path.stat().st_size, "sha256": hash_file(path)} for path in paths),
    )


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """The folder, made and held by this process alone; nothing half-written stays in it after a failure."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise _unwritable(folder, error) from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise DataError(str(folder), "is being prepared by another process", cure="wait for it") from None
        try:
            yield
        except OSError as error:
            raise _unwritable(folder, error) from None
        finally:
            for part in folder.glob("*.part"):
                part.unlink(missing_ok=True)
    finally:
        os.close(handle)


def _unwritable(folder: Path, error: OSError) -> DataError:
    is_full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    cure = "free some space and start again: finished shards are kept" if is_full else "check its permissions"
    return DataError(str(folder), f"cannot be written ({error.strerror})", cure=cure)


def _resume(folder: Path, origin: Origin) -> Manifest:
    """Where a preparation stands: its manifest, checked, with everything removed that no finished shard owns."""
    found = read_manifest(folder)
    if found is None:
        strange = sorted(path.name for path in folder.iterdir() if not _OURS.fullmatch(path.name))
        if strange:
            raise DataError(str(folder), "holds other files", got=strange[:3], cure="choose an empty folder")
        dtype = "<u2" if origin.vocab_size <= 1 << 16 else "<u4"
        found = Manifest(origin, dtype)
    check_origin(folder, found.origin, origin)
    check_shards(folder, found, verify=True)  # the sources are read anew too, to know that they are the same
    owned = {name for shard in found.shards for name in shard.files}
    for path in folder.iterdir():
        if _OURS.fullmatch(path.name) and path.name not in owned:
            path.unlink()
    return found


def _gather(pieces: Iterator[Piece]) -> Iterator[list[Piece]]:
    batch: list[Piece] = []
    num_characters = 0
    for piece in pieces:
        batch.append(piece)
        num_characters += len(piece.text)
        if num_characters >= _BATCH_CHARS:
            yield batch
            batch, num_characters = [], 0
    if batch:
        yield batch


def _keep_filled(ends: np.ndarray, before: int) -> np.ndarray:
    """Ends of what has a token: a document of control characters, say, is none."""
    return ends[np.diff(ends, prepend=before) > 0].astype("<i8")


def _stop_at(
    room: int, ids: np.ndarray, sizes: np.ndarray, ends: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Only the pieces up to the one that reaches `room` tokens, whose document ends there."""
    kept = int(np.searchsorted(np.cumsum(sizes), room)) + 1
    ends = ends[:kept].copy()
    ends[-1] = True
    return ids[: int(sizes[:kept].sum())], sizes[:kept], ends
