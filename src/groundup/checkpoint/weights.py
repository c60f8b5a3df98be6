"""The tensors of a model folder, in any of the layouts in which Hugging Face stores them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from groundup.checkpoint.manifest import decode_json, read_bytes
from groundup.checkpoint.tensors import read_names, read_tensors
from groundup.errors import CheckpointError

WEIGHTS: Final = "model.safetensors"
LEGACY_WEIGHTS: Final = "pytorch_model.bin"
_OTHERS: Final = ("tf_model.h5", "flax_model.msgpack", "model.ckpt.index", "bert_model.ckpt.index")


def read_weights(folder: Path) -> tuple[dict[str, Tensor], Path]:
    """All tensors of a folder under the names they have there, and the file that held or listed them.

    Raises:
        CheckpointError: there are none, a file is damaged, a shard is missing, or shards and index disagree.
    """
    layouts: tuple[tuple[str, Callable[[Path], dict[str, Tensor]]], ...] = (
        (WEIGHTS, read_tensors),
        (LEGACY_WEIGHTS, _read_pickled),
    )
    for name, read in layouts:
        path, index = folder / name, folder / f"{name}.index.json"
        if path.exists():
            return read(path), path
        if index.exists():
            return _read_shards(index, read), index
    others = [name for name in _OTHERS if (folder / name).exists()]
    raise CheckpointError(
        str(folder),
        f"holds no {WEIGHTS}" + (f", only {', '.join(others)} of another framework" if others else ""),
        cure="save it again with transformers: model.save_pretrained(folder)" if others else "is it a model folder?",
    )


def find_names(folder: Path) -> list[str]:
    """The names of a folder's tensors, read without them; none where it holds no weights."""
    if (folder / WEIGHTS).exists():
        return read_names(folder / WEIGHTS)
    for name in (WEIGHTS, LEGACY_WEIGHTS):
        index = folder / f"{name}.index.json"
        if index.exists():
            return list(_read_places(index))
    return list(_read_pickled(folder / LEGACY_WEIGHTS)) if (folder / LEGACY_WEIGHTS).exists() else []


def _read_places(index: Path) -> Mapping[str, str]:
    """Which file holds which tensor."""
    places = decode_json(read_bytes(index), index).get("weight_map")
    if not isinstance(places, Mapping) or not places or not all(map(_is_file_name, places.values())):
        raise CheckpointError(str(index), "does not say which file holds which tensor", got=places)
    return places


def _read_shards(index: Path, read: Callable[[Path], dict[str, Tensor]]) -> dict[str, Tensor]:
    places = _read_places(index)
    tensors: dict[str, Tensor] = {}
    shards = sorted(set(places.values()))
    missing = [name for name in shards if not (index.parent / name).is_file()]
    if missing:
        cure = "copy or download it again"
        raise CheckpointError(
            str(index), f"lists {len(shards)} files, of which {', '.join(missing)} is missing", cure=cure
        )
    for name in shards:
        shard = read(index.parent / name)
        listed = {tensor for tensor, place in places.items() if place == name}
        if shard.keys() != listed:
            wrong = sorted(shard.keys() ^ listed)
            what = f"holds other tensors than {index.name} lists, such as {wrong[0]!r}"
            raise CheckpointError(str(index.parent / name), what, cure="copy or download both again")
        tensors |= shard
    return tensors


def _is_file_name(name: object) -> bool:
    return isinstance(name, str) and name != "" and Path(name).name == name


def _read_pickled(path: Path) -> dict[str, Tensor]:
    print(
        f"note: {path.name} is read by torch's restricted unpickler; saved again, it becomes {WEIGHTS}",
        file=sys.stderr,
    )
    try:
        tensors = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # Whatever a damaged or hostile file makes the unpickler raise, it means one thing to the user. Its further
        # sentences advise to load the file with all that is in it, which is the one thing not to do.
        reason = str(error).strip().splitlines()[0].split(". ")[0] if str(error).strip() else type(error).__name__
        cure = "copy or download it again, or convert it to safetensors where you trust it"
        raise CheckpointError(str(path), f"is damaged, or holds more than tensors ({reason})", cure=cure) from None
    if not isinstance(tensors, Mapping) or not all(isinstance(tensor, Tensor) for tensor in tensors.values()):
        raise CheckpointError(str(path), "is no mapping of names to tensors", got=type(tensors).__name__)
    return {str(name): tensor for name, tensor in tensors.items()}
