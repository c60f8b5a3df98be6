"""Folders that know when they are damaged: `manifest.json` holds the size and SHA-256 of every file, and its own."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from groundup.errors import CheckpointError

MANIFEST: Final = "manifest.json"


def encode_json(value: Mapping[str, Any], *, sort_keys: bool = True) -> bytes:
    """The one way this package writes a mapping to a checkpoint: sorted, equal mappings give equal bytes.

    Floats are written by `repr`, which Python reads back exactly; NaN and infinity in Python's spelling.
    """
    text = json.dumps(value, ensure_ascii=False, sort_keys=sort_keys, indent=1)
    return f"{text}\n".encode("utf-8", "surrogatepass")


def decode_json(data: bytes, where: Path) -> dict[str, Any]:
    """What `encode_json` wrote, CheckpointError for anything else."""
    try:
        value = json.loads(data.decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError) as error:
        raise CheckpointError(str(where), f"is no JSON text ({error})") from None
    if not isinstance(value, dict):
        raise CheckpointError(str(where), "is no JSON object", got=value)
    return value


def seal(folder: Path, facts: Mapping[str, Any]) -> None:
    """Write the manifest over the files of a folder; `facts` are what else it should vouch for."""
    files = {path.name: _fingerprint(path) for path in folder.iterdir()}
    content = {**facts, "files": files}
    (folder / MANIFEST).write_bytes(encode_json({**content, "checksum": _digest(content)}))


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a folder. CheckpointError where any of its bytes is not as it was written."""
    path = folder / MANIFEST
    data = read_bytes(path)
    content = decode_json(data, path)
    checksum = content.pop("checksum", None)
    files = content.get("files")
    # Compared as bytes too: a flipped bit may turn a space into another one that JSON does not mind.
    if checksum != _digest(content) or data != encode_json({**content, "checksum": checksum}):
        raise CheckpointError(str(path), "is damaged: its checksum is not that of its content")
    if not isinstance(files, dict) or not all(isinstance(entry, dict) for entry in files.values()):
        raise CheckpointError(str(path), "does not list files", got=files)
    return content


def find_damage(folder: Path, files: Mapping[str, Mapping[str, Any]]) -> list[CheckpointError]:
    """One error for each file that is missing or not as the manifest says. Files that it does not list are ignored."""
    problems = []
    for name, expected in files.items():
        path = folder / name
        if Path(name).name != name:
            problems.append(CheckpointError(str(path), "is listed, but lies outside the folder"))
        elif not path.is_file():
            problems.append(CheckpointError(str(path), "is missing" if not path.exists() else "is not a file"))
        elif (size := path.stat().st_size) != expected.get("size"):
            problems.append(CheckpointError(str(path), f"is damaged: it has {size} bytes, not {expected.get('size')}"))
        elif _fingerprint(path) != expected:
            problems.append(CheckpointError(str(path), "is damaged: its SHA-256 is not the one in the manifest"))
    return problems


def read_bytes(path: Path) -> bytes:
    """The bytes of a file, CheckpointError where it cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise CheckpointError(str(path), "is missing") from None
    except OSError as error:
        raise CheckpointError(str(path), f"cannot be read: {error.strerror}") from None


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk itself."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _fingerprint(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return {"size": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
    except OSError as error:
        raise CheckpointError(str(path), f"cannot be read: {error.strerror}") from None


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(encode_json(content)).hexdigest()
