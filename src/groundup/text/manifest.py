"""What a folder of prepared tokens says of itself: `manifest.json`, rewritten whole after every shard."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from groundup.errors import DataError
from groundup.readers.lines import hash_file

FORMAT = "groundup-corpus"
VERSION = 1
FILE_NAME = "manifest.json"


@dataclass(frozen=True)
class Shard:
    """One file of tokens, one of document ends and, where they are noted, one of sentence ends."""

    tokens_file: str
    tokens_sha256: str
    num_tokens: int
    ends_file: str
    ends_sha256: str
    num_documents: int
    """Documents that end in this shard."""
    last_end: int
    """Where the last document that ended by now does, in tokens from the start of the corpus."""
    num_characters: int
    num_unknown: int
    sentences_file: str | None = None
    sentences_sha256: str = ""
    num_sentences: int = 0

    @property
    def files(self) -> tuple[str, ...]:
        """The names of its files."""
        sentences = () if self.sentences_file is None else (self.sentences_file,)
        return (self.tokens_file, self.ends_file, *sentences)


@dataclass(frozen=True)
class Origin:
    """Everything that decides the tokens; two equal ones give byte-identical files."""

    tokenizer_digest: str
    vocab_size: int
    settings: Mapping[str, object]
    sources: tuple[Mapping[str, object], ...]
    """Name, bytes and sha256 of each source file, in order."""


@dataclass(frozen=True)
class Manifest:
    """The content of a folder."""

    origin: Origin
    dtype: str
    shards: tuple[Shard, ...] = ()
    next_file: int = 0
    """The source file to go on with after the last shard."""
    next_piece: int = 0
    """How many pieces of that file the shards hold already."""
    is_complete: bool = False
    counts: Mapping[str, int | float] = field(default_factory=dict)
    """Documents, tokens, characters, unknown tokens and their rate, over all shards."""

    def with_shard(self, shard: Shard, next_file: int, next_piece: int) -> Manifest:
        """The same with one more shard."""
        shards = (*self.shards, shard)
        return replace(self, shards=shards, next_file=next_file, next_piece=next_piece, counts=_count(shards))

    def to_bytes(self) -> bytes:
        """As it lies on disk; no time, no machine in it."""
        values = {"format": FORMAT, "version": VERSION} | asdict(self)
        return (json.dumps(values, ensure_ascii=False, indent=2) + "\n").encode()


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of a folder; None if it has none. Raises DataError if it cannot be understood."""
    path = folder / FILE_NAME
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataError(str(path), f"cannot be read ({error})", cure=_again(folder)) from None
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise DataError(str(path), "is no manifest of prepared text", cure=_again(folder))
    if values.get("version") != VERSION:
        raise DataError(
            str(path), f"is of version {VERSION} in this release", got=values.get("version"), cure=_again(folder)
        )
    try:
        origin = values["origin"]
        return Manifest(
            origin=Origin(**origin | {"sources": tuple(origin["sources"])}),
            shards=tuple(Shard(**shard) for shard in values["shards"]),
            **{name: values[name] for name in ("dtype", "next_file", "next_piece", "is_complete", "counts")},
        )
    except (KeyError, TypeError) as error:
        raise DataError(str(path), f"is damaged ({error})", cure=_again(folder)) from None


def check_origin(folder: Path, found: Origin, wanted: Origin) -> None:
    """Raise DataError if a folder was prepared from other text, with another tokenizer or other settings."""
    cure = f"remove {folder} to prepare it anew, or choose another folder"
    if found.tokenizer_digest != wanted.tokenizer_digest:
        raise DataError(str(folder), "was prepared with another tokenizer", cure=cure)
    for name in sorted({*found.settings, *wanted.settings}):
        if found.settings.get(name) != wanted.settings.get(name):
            was = found.settings.get(name)
            raise DataError(str(folder), f"was prepared with {name}={was!r}", got=wanted.settings.get(name), cure=cure)
    if len(found.sources) != len(wanted.sources):
        raise DataError(
            str(folder), f"was prepared from {len(found.sources)} files", got=len(wanted.sources), cure=cure
        )
    for was, now in zip(found.sources, wanted.sources, strict=True):
        if was["sha256"] != now["sha256"]:
            raise DataError(str(folder), f"was prepared from another content of {now['name']}", cure=cure)


def check_shards(folder: Path, manifest: Manifest, *, verify: bool = False) -> None:
    """Raise DataError if a shard is missing or of another size; with `verify`, also if any bit of it differs."""
    width = int(manifest.dtype[-1])
    for shard in manifest.shards:
        files = [
            (shard.tokens_file, shard.num_tokens * width, shard.tokens_sha256),
            (shard.ends_file, shard.num_documents * 8, shard.ends_sha256),
        ]
        if shard.sentences_file is not None:
            files.append((shard.sentences_file, shard.num_sentences * 8, shard.sentences_sha256))
        for name, size, sha256 in files:
            path = folder / name
            if not path.is_file():
                raise DataError(str(path), "is missing", cure=_again(folder))
            if path.stat().st_size != size:
                raise DataError(str(path), f"should hold {size} bytes", got=path.stat().st_size, cure=_again(folder))
            if verify and hash_file(path) != sha256:
                raise DataError(str(path), "is damaged: its sha256 is not that of the manifest", cure=_again(folder))


def write_atomically(path: Path, content: bytes) -> None:
    """Write beside and rename, so that a reader sees the old content or the new one, also after a power cut."""
    beside = path.with_name(f"{path.name}.part")
    with beside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.rename(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames in a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _count(shards: tuple[Shard, ...]) -> dict[str, int | float]:
    num_tokens = sum(shard.num_tokens for shard in shards)
    num_unknown = sum(shard.num_unknown for shard in shards)
    return {
        "documents": sum(shard.num_documents for shard in shards),
        "tokens": num_tokens,
        "characters": sum(shard.num_characters for shard in shards),
        "unknown_tokens": num_unknown,
        "unknown_rate": num_unknown / max(num_tokens, 1),
    }


def _again(folder: Path) -> str:
    return f"remove {folder} and prepare it anew"
