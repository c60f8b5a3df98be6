"""A training state as one named tree, taken apart for the disk (tensors here, plain values there) and put together."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

from groundup.errors import CheckpointError

Tree: TypeAlias = Mapping[str, Any]
"""Names to tensors, to plain values (None, bool, int, float, str, lists and mappings of them), or to further trees."""


@dataclass(frozen=True)
class Parts:
    """A tree taken apart."""

    tensors: dict[str, Tensor]
    """Every tensor under its path, joined by slashes."""
    paths: dict[str, list[str]]
    """The path of each: a name inside the tree may hold a slash itself."""
    values: dict[str, Any]
    """The tree without its tensors."""


def split_tree(tree: Tree) -> Parts:
    """Take a tree apart. CheckpointError for whatever would not come back from the disk as the same value."""
    parts = Parts({}, {}, {})
    _check_keys(tree, [])
    _split(tree, [], parts, parts.values)
    return parts


def join_tree(parts: Parts) -> dict[str, Any]:
    """The tree again. CheckpointError where a tensor is missing or is one too many."""
    missing, extra = sorted(set(parts.paths) - set(parts.tensors)), sorted(set(parts.tensors) - set(parts.paths))
    if missing or extra:
        name, problem = (missing[0], "is missing") if missing else (extra[0], "is a tensor too many")
        count = len(missing or extra)
        raise CheckpointError(name, problem + (f" (and {count - 1} more)" if count > 1 else ""))
    tree = deepcopy(parts.values)
    for name, path in parts.paths.items():
        branch = tree
        for key in path[:-1]:
            branch = branch.get(key) if isinstance(branch, dict) else None
        if not isinstance(branch, dict) or path[-1] in branch:
            raise CheckpointError(name, "has no place in the tree", got=path)
        branch[path[-1]] = parts.tensors[name]
    return tree


def _split(tree: Tree, path: list[str], parts: Parts, values: dict[str, Any]) -> None:
    for key, value in tree.items():
        where = [*path, key]
        if isinstance(value, Mapping):
            _check_keys(value, where)
            values[key] = {}
            _split(value, where, parts, values[key])
        elif isinstance(value, Tensor):
            name = "/".join(where)
            if name in parts.tensors:
                raise CheckpointError(name, "is the path of two tensors", got=[parts.paths[name], where])
            if value.layout != torch.strided or value.is_quantized or value.is_meta:
                raise CheckpointError(name, "must be a dense tensor that holds values", got=str(value.layout))
            parts.tensors[name], parts.paths[name] = value.detach(), where
        else:
            values[key] = _check_plain(value, where)


def _check_plain(value: object, path: list[str]) -> object:
    """The value, as long as JSON gives back the very same: a tuple would come back as a list, so it is refused."""
    if isinstance(value, list):
        return [_check_plain(item, [*path, str(number)]) for number, item in enumerate(value)]
    if isinstance(value, Mapping):
        _check_keys(value, path)
        return {key: _check_plain(item, [*path, key]) for key, item in value.items()}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise CheckpointError(
        "/".join(path),
        f"cannot be stored: it is a {type(value).__name__}",
        cure="a tensor, None, bool, int, float, str, or lists and mappings of them",
    )


def _check_keys(mapping: Mapping[Any, Any], path: list[str]) -> None:
    for key in mapping:
        if not isinstance(key, str):
            raise CheckpointError("/".join([*path, str(key)]), "must be named by a text", got=key)
