"""Model folders from the hub, for those who have a network and the extra `hub`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from groundup.errors import CheckpointError, MissingExtraError

_FILES: Final = ["*.json", "*.txt", "model*.safetensors"]
_PATIENCE: Final = 10.0
"""Seconds for the hub's first answer. The client itself waits for ever on a network that swallows what is sent."""
_NAME: Final = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


def find_folder(folder_or_name: str | Path) -> Path:
    """The local folder, or the cached or freshly downloaded one of a name on the hub.

    Raises:
        CheckpointError: no such folder, or a name that cannot be fetched.
        MissingExtraError: a name on the hub without the package that fetches it.
    """
    path = Path(folder_or_name).expanduser()
    if path.is_dir():
        return path
    name = str(folder_or_name)
    if path.exists():
        raise CheckpointError(name, "is a file, not a model folder", cure="give the folder that holds it")
    left = path.with_name(f".{path.name}.replaced")
    if left.is_dir():
        raise CheckpointError(
            name, "a save into it was killed at its last moment", cure=f"rename {left} to {path.name}"
        )
    if not isinstance(folder_or_name, str) or _NAME.fullmatch(name) is None:
        raise CheckpointError(name, "no such folder", cure="give a model folder, or a name on the hub")
    return _download(name)


def _download(name: str) -> Path:
    try:
        from huggingface_hub import HfApi, snapshot_download
    except ImportError:
        raise MissingExtraError(
            f"no such folder, and a model named {name!r} on the hub", "huggingface_hub", "hub"
        ) from None
    silence = None
    try:
        HfApi().model_info(name, timeout=_PATIENCE)
    except Exception as error:  # of several libraries, which the client changes; what is in the cache is good without
        silence = _first_line(error)
    try:
        folder = Path(snapshot_download(name, allow_patterns=_FILES, local_files_only=silence is not None))
        if silence is None and not any(folder.glob("model*.safetensors")):
            folder = Path(snapshot_download(name, allow_patterns=[*_FILES, "pytorch_model*.bin"]))
    except Exception as error:
        raise CheckpointError(
            name,
            f"no such folder, and the hub does not answer with such a model ({silence or _first_line(error)})",
            cure=f"where there is a network, run `hf download {name} --local-dir FOLDER`, and give that FOLDER here",
        ) from error
    return folder


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
