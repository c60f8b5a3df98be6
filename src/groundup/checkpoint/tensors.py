"""Safetensors files that are checked before they are believed, and folders that are either whole or not there."""

from __future__ import annotations

import fcntl
import json
import math
import os
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from groundup.checkpoint.manifest import sync
from groundup.errors import CheckpointError

_MAX_HEADER: Final = 100_000_000
"""Bytes; the limit of the format itself."""
_NAMES: Final = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.float8_e4m3fn: "F8_E4M3",
    torch.float8_e5m2: "F8_E5M2",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
_CURE: Final = "copy or download it again"


def read_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a safetensors file, on the CPU and in memory of their own.

    Raises:
        CheckpointError: the file is missing, cut off, too long, or its header is not that of a safetensors file.
    """
    _read_header(path)
    try:
        # Copies, so that nothing that is later done to the file reaches the tensors, and all of them are aligned.
        return {name: tensor.clone() for name, tensor in load_file(path).items()}
    except SafetensorError as error:
        raise CheckpointError(str(path), f"is damaged ({error})", cure=_CURE) from None
    except OSError as error:
        raise CheckpointError(str(path), f"cannot be read: {error.strerror}") from None


def read_names(path: Path) -> list[str]:
    """The names of the tensors of a safetensors file, by its header alone. CheckpointError as `read_tensors`."""
    return [name for name in _read_header(path) if name != "__metadata__"]


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write a safetensors file and wait until it is on the disk. Equal tensors give equal bytes.

    One tensor after another, so no second copy of all of them is in memory. The library's own writer refuses tensors
    that share storage, which live states may do, and hides why a disk refuses.

    Raises:
        CheckpointError: a tensor has a dtype that the format does not know.
        OSError: the disk is full or the file cannot be written; whoever owns the folder says what that means.
    """
    names = sorted(tensors, key=lambda name: (-tensors[name].itemsize, name))  # the format's order: all are aligned
    header: dict[str, object] = {"__metadata__": dict(sorted(metadata.items()))} if metadata else {}
    end = 0
    for name in names:
        tensor = tensors[name]
        if tensor.dtype not in _NAMES:
            raise CheckpointError(name, "has a dtype that cannot be stored", got=tensor.dtype)
        start, end = end, end + tensor.numel() * tensor.itemsize
        header[name] = {"dtype": _NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [start, end]}
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in names:
            file.write(tensors[name].detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    sync(path)


def write_folder(folder: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a hidden folder beside `folder`, bring it to the disk, and put it in the place of `folder`.

    Whatever was at `folder` is replaced as a whole. Where `write` fails, everything is as it was before.

    Raises:
        CheckpointError: no permission, a full disk, or another process is writing the same folder.
    """
    folder = folder.resolve()
    hidden, replaced = (folder.with_name(f".{folder.name}.{state}") for state in ("writing", "replaced"))
    try:
        if folder.exists() and not folder.is_dir():
            raise CheckpointError(str(folder), "is a file, not a folder", cure="choose another name")
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = _claim(hidden, folder)
        try:
            if replaced.exists():
                _settle(folder, replaced)
            write(hidden)
            _sync_all(hidden)
            if folder.exists():
                os.rename(folder, replaced)
            os.rename(hidden, folder)
            sync(folder.parent)
            shutil.rmtree(replaced, ignore_errors=True)
        except BaseException:
            shutil.rmtree(hidden, ignore_errors=True)
            if replaced.exists() and not folder.exists():
                os.rename(replaced, folder)
            raise
        finally:
            os.close(lock)
    except OSError as error:
        raise CheckpointError(
            str(folder),
            f"cannot be written: {error.strerror or error}",
            cure="nothing was changed; free some space, or choose another folder",
        ) from error


def _read_header(path: Path) -> dict[str, object]:
    """The header of a file. CheckpointError unless it describes exactly the bytes that follow it."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            prefix = file.read(8)
            length = int.from_bytes(prefix, "little")
            if len(prefix) < 8:
                raise _damaged(path, f"is cut off: it has {size} bytes")
            if length > size - 8 or length > _MAX_HEADER:
                raise _damaged(path, f"is cut off or no safetensors file: a header of {length} bytes in {size}")
            text = file.read(length)
    except FileNotFoundError:
        raise CheckpointError(str(path), "is missing") from None
    except OSError as error:
        raise CheckpointError(str(path), f"cannot be read: {error.strerror}") from None
    header = _parse_header(path, text)
    expected = 8 + length + _check_header(path, header)
    if expected != size:
        problem = "is cut off" if size < expected else "holds bytes behind its tensors"
        raise _damaged(path, f"{problem}: its header tells of {expected} bytes, it has {size}")
    return header


def _parse_header(path: Path, text: bytes) -> dict[str, object]:
    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        names = [name for name, _ in pairs]
        if len(set(names)) != len(names):
            raise ValueError("a name stands twice")
        return dict(pairs)

    try:
        header = json.loads(text.decode("utf-8"), object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, f"is damaged or no safetensors file: its header is no JSON ({error})") from None
    if not isinstance(header, dict):
        raise _damaged(path, "is no safetensors file: its header is no JSON object")
    return header


def _check_header(path: Path, header: Mapping[str, object]) -> int:
    """The bytes of all tensors together, which must lie end to end."""
    spans = []
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        match entry:
            case {"dtype": str(dtype), "shape": list(shape), "data_offsets": [int(start), int(end)]}:
                width = _width(dtype)
            case _:
                width = None
        if width is None or not all(isinstance(size, int) and size >= 0 for size in shape):
            raise _damaged(path, f"is damaged: its header does not describe the tensor {name!r}")
        if end - start != width * math.prod(shape):
            raise _damaged(path, f"is damaged: {end - start} bytes for the tensor {name!r}, {dtype} {shape}")
        spans.append((start, end, name))
    last = 0
    for start, end, name in sorted(spans):
        if start != last:
            raise _damaged(path, f"is damaged: the tensor {name!r} starts at byte {start}, not {last}")
        last = end
    return last


def _width(dtype: str) -> int | None:
    """Bytes of a value; None for types of less than a byte, and for what is no type."""
    named = re.fullmatch(r"(?:F|I|U|BF|C)(8|16|32|64)|F(8)_E\w+", dtype)
    return 1 if dtype == "BOOL" else int(named[1] or named[2]) // 8 if named else None


def _damaged(path: Path, what: str) -> CheckpointError:
    return CheckpointError(str(path), what, cure=_CURE)


def _claim(hidden: Path, folder: Path) -> int:
    """Make the hidden folder, empty, and lock it; the lock is gone with the process, whatever ends it."""
    hidden.mkdir(exist_ok=True)
    lock = os.open(hidden, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not hidden.exists() or os.fstat(lock).st_ino != hidden.stat().st_ino:  # renamed by whoever had it
            raise BlockingIOError
    except BlockingIOError:
        os.close(lock)
        raise CheckpointError(str(folder), "another process is writing it", cure="wait for it") from None
    for leftover in hidden.iterdir():
        shutil.rmtree(leftover) if leftover.is_dir() and not leftover.is_symlink() else leftover.unlink()
    return lock


def _settle(folder: Path, replaced: Path) -> None:
    """Finish what a process killed between its two renames left behind."""
    if folder.exists():
        shutil.rmtree(replaced)
    else:
        os.rename(replaced, folder)


def _sync_all(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        sync(path)
    sync(folder)
