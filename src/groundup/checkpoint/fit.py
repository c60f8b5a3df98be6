"""A folder's tensors fitted to a model: every one of either side is accounted for, or it is an error."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor

from groundup.errors import CheckpointError
from groundup.families.family import Family
from groundup.families.keymap import KeyMap, Renamed, describe_names
from groundup.model.transformer import Transformer

_DTYPES: Final = (torch.float32, torch.float16, torch.bfloat16)


@dataclass(frozen=True)
class Fitted:
    """What a model is to be filled with."""

    state: dict[str, Tensor]
    """A float32 tensor for every parameter; those of `fresh` hold nothing yet."""
    fresh: tuple[str, ...]
    dropped: tuple[str, ...]
    unused: dict[str, Tensor]
    """Those of the dropped that the published model holds too, but never computes with."""


def fit(
    model: Transformer,
    tensors: Mapping[str, Tensor],
    family: Family,
    content: Mapping[str, Any],
    where: str,
    *,
    has_new_heads: bool,
) -> Fitted:
    """Give each parameter its tensor.

    Where the heads are new, a head (or the pooler) that the folder does not have at all, or has for another number of
    classes, is fresh; and what no parameter needs is dropped, as long as it belongs to a head or the pooler.

    Raises:
        CheckpointError: a tensor too many or too few, of another shape, or of a type that is not float32 or narrower.
    """
    keymap = family.read_map(content, tensors.keys())
    foreign = [name for name in keymap.unknown(tensors) if has_new_heads and not family.is_backbone(name)]
    renamed = keymap.read({name: tensor for name, tensor in tensors.items() if name not in foreign}, where)
    expected = {name: tuple(parameter.shape) for name, parameter in model.state_dict().items()}
    unlike = {name for name, shape in expected.items() if name in renamed.tensors and _shape(renamed, name) != shape}
    replaced = _replaced_parts(model, expected, renamed, unlike) if has_new_heads else frozenset[str]()
    fresh = tuple(name for name in expected if _part(name) in replaced)
    known = set(expected) - set(fresh)
    surplus = [name for name in renamed.tensors if name not in known]
    dropped = [name for name in surplus if has_new_heads and _part(name) is not None]
    extra = list(dict.fromkeys(renamed.theirs[name] for name in surplus if name not in dropped))
    _check_names(keymap, known, renamed, extra, where)
    for name in sorted(known):
        _check_tensor(keymap, renamed, name, expected[name], where)
    state = {name: renamed.tensors[name].float() for name in known} | {
        name: torch.empty(expected[name]) for name in fresh
    }
    return Fitted(
        state=state,
        fresh=fresh,
        dropped=tuple(sorted([renamed.theirs[name] for name in dropped] + foreign + list(renamed.unused))),
        unused={name: tensors[name].float() for name in renamed.unused},
    )


def _part(name: str) -> str | None:
    """The exchangeable part of the model that a parameter belongs to; None for the stack itself."""
    first, *rest = name.split(".")
    if rest[1:2] == ["chain"]:  # other programs' heads for tokens have none
        return f"heads.{rest[0]}.chain"
    return f"heads.{rest[0]}" if first == "heads" else "pooler" if first == "pooler" else None


def _replaced_parts(
    model: Transformer, expected: Collection[str], renamed: Renamed, unlike: Collection[str]
) -> frozenset[str]:
    """Parts of which the folder has nothing, and heads that it has for another number of classes."""
    parts = {part for name in expected if (part := _part(name)) is not None}
    absent = parts - {_part(name) for name in renamed.tensors}
    labelled = {f"heads.{head.kind}" for head in model.config.heads if hasattr(head, "num_labels")}
    labelled |= {f"{part}.chain" for part in labelled}
    return frozenset(absent | (labelled & {_part(name) for name in unlike}))


def _check_names(keymap: KeyMap, known: Collection[str], renamed: Renamed, extra: Collection[str], where: str) -> None:
    absent = sorted(name for name in known if name not in renamed.tensors)
    missing = list(dict.fromkeys(keymap.name_of(name) or name for name in absent))
    problems = []
    if missing:
        problems.append(f"lacks {describe_names(missing, extra)}")
    if extra:
        problems.append(f"holds {describe_names(extra, missing or keymap.expand(known))} that the design does not have")
    if problems:
        cure = "config.json and the weights do not belong together, or the file is damaged"
        raise CheckpointError(where, " and ".join(problems), cure=cure)


def _check_tensor(keymap: KeyMap, renamed: Renamed, name: str, shape: tuple[int, ...], where: str) -> None:
    tensor, theirs = renamed.tensors[name], renamed.theirs[name]
    if tuple(tensor.shape) != shape:
        what = f"the tensor {theirs!r} has another shape than config.json gives it, {keymap.shape_of(name, shape)}"
        raise CheckpointError(where, what, got=keymap.shape_of(name, tensor.shape))
    if tensor.dtype not in _DTYPES:
        raise CheckpointError(where, f"the tensor {theirs!r} is not of float32, float16 or bfloat16", got=tensor.dtype)
    if not torch.isfinite(tensor).all():
        count = int((~torch.isfinite(tensor)).sum())
        cure = "copy or download it again, or go back to a checkpoint before its loss went wrong"
        raise CheckpointError(where, f"the tensor {theirs!r} holds NaN or infinity in {count} places", cure=cure)


def _shape(renamed: Renamed, name: str) -> tuple[int, ...]:
    return tuple(renamed.tensors[name].shape)
