"""Their tensor names to ours and back, by rules that must account for every tensor in both directions."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache

import torch
from torch import Tensor

from groundup.errors import CheckpointError


@dataclass(frozen=True)
class Rename:
    """One name on each side; `{i}` stands for a number, `{name}` for any text, that is the same on both."""

    theirs: str
    """The name that is written, and read."""
    ours: str
    older: tuple[str, ...] = ()
    """Further names under which older folders hold the same tensor: read, never written."""
    is_transposed: bool = False
    """Whether their matrix is [in, out], as GPT-2's is; ours is [out, in]."""
    folded: tuple[int, ...] = ()
    """The sizes of all their axes but the first, where ours has them in one: heads and head width, as in XLNet's."""
    is_row: bool = False
    """Whether theirs is a matrix whose only row is our vector, as BART's bias of the head is."""


@dataclass(frozen=True)
class Split:
    """One tensor of theirs that holds several of ours of one shape, in this order: q, k and v for example."""

    theirs: str
    ours: tuple[str, ...]
    is_transposed: bool = False
    """As in `Rename`. Turned our way round, the tensors lie below each other."""


@dataclass(frozen=True)
class Copy:
    """A tensor of theirs that repeats one of ours: what they tie, and some files hold twice."""

    theirs: str
    ours: str
    is_written: bool = False
    """Whether to write the copy too; the format's own readers restore it where it is absent otherwise."""
    must_agree: bool = True
    """False for a tensor that the published model never computes with, and that may therefore differ."""
    cure: str = 'set "tie_word_embeddings": false in config.json if the two were trained apart'
    """What to do where the two differ and must not."""


@dataclass(frozen=True)
class Constant:
    """A tensor of theirs that is no weight, such as the numbers 0, 1, 2 ... of a buffer."""

    theirs: str
    is_expected: Callable[[Tensor], bool]
    """Whether it holds what the model would compute anyway."""


Rule = Rename | Split | Copy | Constant


@dataclass(frozen=True)
class Renamed:
    """A folder's tensors under our names."""

    tensors: dict[str, Tensor]
    theirs: dict[str, str]
    """Our name to the name in the folder."""
    unused: tuple[str, ...]
    """Names in the folder of tensors that the published model holds but never computes with, where they differ."""


@dataclass(frozen=True)
class KeyMap:
    """The rules of one folder or one design."""

    rules: tuple[Rule, ...]

    def read(self, tensors: Mapping[str, Tensor], where: str) -> Renamed:
        """Rename a folder's tensors.

        Raises:
            CheckpointError: a tensor that no rule knows, two for one of ours, or a copy that differs from its original.
        """
        ours, theirs = dict[str, Tensor](), dict[str, str]()
        others: list[tuple[str, Copy | Constant]] = []
        for name, tensor in tensors.items():
            rule, part = self._find(name)
            match rule:
                case Rename() | Split():
                    targets = _targets(rule, part)
                    if taken := next((target for target in targets if target in ours), None):
                        raise CheckpointError(where, f"the tensors {theirs[taken]!r} and {name!r} are the same one")
                    ours |= zip(targets, _cut(tensor, rule, where, name), strict=True)
                    theirs |= dict.fromkeys(targets, name)
                case Copy() | Constant():
                    others.append((name, rule))
        if left := self.unknown(tensors):
            raise CheckpointError(
                where, f"holds {describe_names(left, self.expand(ours))} that the design does not have"
            )
        unused = tuple(name for name, rule in others if not _is_redundant(tensors[name], rule, ours, where, name))
        return Renamed(ours, theirs, unused)

    def unknown(self, names: Iterable[str]) -> list[str]:
        """The names of theirs that no rule knows."""
        return [name for name in names if self._find(name)[0] is None]

    def write(self, tensors: Mapping[str, Tensor], unused: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        """Our tensors under their names.

        Args:
            tensors: ours.
            unused: theirs that the published model never computes with, as they were read (`Renamed.unused`). Those
                for which this design has a place are written as they are, the others left out.

        Raises:
            CheckpointError: one of ours has no name there, or one of theirs lacks a part.
        """
        written = dict[str, Tensor]()
        for ours in tensors:
            rule, part = self._find_ours(ours)
            if rule is None:
                raise CheckpointError(ours, "has no name in the published format")
            theirs = _fill(rule.theirs, part)
            if theirs not in written:
                written[theirs] = _join(theirs, rule, part, tensors)
        for rule in self.rules:
            if isinstance(rule, Copy) and rule.ours in tensors:
                if not rule.must_agree and unused and rule.theirs in unused:
                    written[rule.theirs] = unused[rule.theirs]
                elif rule.is_written:
                    written[rule.theirs] = tensors[rule.ours]
        return written

    def expand(self, ours: Iterable[str]) -> list[str]:
        """The names that `write` would give to tensors of these names of ours; those without one are left out."""
        return list(dict.fromkeys(name for name in map(self.name_of, ours) if name is not None))

    def name_of(self, ours: str) -> str | None:
        """Their name of one of our tensors, or of the one that holds it among others."""
        rule, part = self._find_ours(ours)
        return None if rule is None else _fill(rule.theirs, part)

    def shape_of(self, ours: str, shape: Sequence[int]) -> list[int]:
        """The shape of their tensor where ours has this one."""
        rule, _ = self._find_ours(ours)
        shape = [shape[0] * len(rule.ours), *shape[1:]] if isinstance(rule, Split) else list(shape)
        shape = shape[::-1] if rule is not None and rule.is_transposed else shape
        if isinstance(rule, Rename) and rule.is_row:
            return [1, *shape]
        return [shape[0], *rule.folded] if isinstance(rule, Rename) and rule.folded else shape

    def _find_ours(self, ours: str) -> tuple[Rename | Split | None, str]:
        for rule in self.rules:
            patterns = (rule.ours,) if isinstance(rule, Rename) else rule.ours if isinstance(rule, Split) else ()
            for pattern in patterns:
                if (part := _match(pattern, ours)) is not None:
                    return rule, part
        return None, ""

    def _find(self, theirs: str) -> tuple[Rule | None, str]:
        for rule in self.rules:
            patterns = (rule.theirs, *rule.older) if isinstance(rule, Rename) else (rule.theirs,)
            for pattern in patterns:
                if (part := _match(pattern, theirs)) is not None:
                    return rule, part
        return None, ""


def describe_names(names: Collection[str], known: Collection[str], limit: int = 4) -> str:
    """Some names for an error, each with the nearest known one."""
    parts = []
    for name in sorted(names)[:limit]:
        near = get_close_matches(name, known, n=1, cutoff=0.7)
        parts.append(repr(name) + (f" (nearest: {near[0]!r})" if near and near[0] != name else ""))
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return f"{'the tensors' if len(names) > 1 else 'the tensor'} {', '.join(parts)}{more}"


def _targets(rule: Rename | Split, part: str) -> tuple[str, ...]:
    """Our names of what their tensor holds."""
    return tuple(_fill(pattern, part) for pattern in ((rule.ours,) if isinstance(rule, Rename) else rule.ours))


def _cut(tensor: Tensor, rule: Rename | Split, where: str, name: str) -> tuple[Tensor, ...]:
    """What their tensor holds. Turned or cut, it is copied: no parameter should share its storage with another."""
    folded = rule.folded if isinstance(rule, Rename) else ()
    if folded:
        if tuple(tensor.shape[1:]) != folded:
            what = f"the tensor {name!r} must be of the shape [any, {', '.join(map(str, folded))}]"
            raise CheckpointError(where, what, got=list(tensor.shape))
        tensor = tensor.flatten(1)
    if isinstance(rule, Rename) and rule.is_row and len(tensor) == 1:
        tensor = tensor[0]  # with more rows, its shape is told of as wrong
    turned = _turn(tensor).contiguous() if rule.is_transposed else tensor
    if isinstance(rule, Rename):
        return (turned,)
    count = len(rule.ours)
    if not turned.dim() or len(turned) % count:
        what = f"the tensor {name!r} holds {count} of one shape and cannot be cut into as many"
        raise CheckpointError(where, what, got=list(tensor.shape))
    return tuple(piece.clone() for piece in turned.tensor_split(count))


def _join(theirs: str, rule: Rename | Split, part: str, tensors: Mapping[str, Tensor]) -> Tensor:
    """Their tensor, made of ours."""
    names = _targets(rule, part)
    if absent := [name for name in names if name not in tensors]:
        raise CheckpointError(theirs, f"cannot be written without {describe_names(absent, tensors)}")
    parts = [tensors[name] for name in names]
    if len({part.shape for part in parts}) > 1:
        shapes = [list(part.shape) for part in parts]
        raise CheckpointError(theirs, f"holds {', '.join(names)}, which must be of one shape", got=shapes)
    joined = parts[0] if len(parts) == 1 else torch.cat(parts)
    turned = _turn(joined).contiguous() if rule.is_transposed else joined
    if isinstance(rule, Rename) and rule.is_row:
        return turned[None]
    return turned.unflatten(1, rule.folded) if isinstance(rule, Rename) and rule.folded else turned


def _turn(tensor: Tensor) -> Tensor:
    """The axes in reverse, for any number of them: a wrong number is told where shapes are checked."""
    return tensor.permute(tuple(reversed(range(tensor.dim()))))


def _is_redundant(tensor: Tensor, rule: Copy | Constant, ours: Mapping[str, Tensor], where: str, name: str) -> bool:
    """Whether nothing is lost without this tensor; CheckpointError where that would change what the model computes."""
    if isinstance(rule, Constant):
        if not rule.is_expected(tensor):
            raise CheckpointError(where, f"the tensor {name!r} holds other values than the model computes with")
        return True
    original = ours.get(rule.ours)
    if original is None:
        raise CheckpointError(where, f"the tensor {name!r} repeats {rule.ours!r}, which is missing")
    is_equal = original.shape == tensor.shape and torch.equal(original, tensor)
    if not is_equal and rule.must_agree:
        raise CheckpointError(
            where,
            f"the tensor {name!r} differs from {rule.ours!r}, with which it is tied",
            cure=rule.cure,
        )
    return is_equal


def _match(pattern: str, name: str) -> str | None:
    """What stands at the placeholder, "" for a pattern without one, None where the name does not fit."""
    found = _compile(pattern).fullmatch(name)
    return None if found is None else (found.groupdict().get("part") or "")


def _fill(pattern: str, part: str) -> str:
    return pattern.replace("{i}", part).replace("{name}", part)


@lru_cache(maxsize=1024)
def _compile(pattern: str) -> re.Pattern[str]:
    text = re.escape(pattern).replace(r"\{i\}", "(?P<part>0|[1-9][0-9]*)").replace(r"\{name\}", "(?P<part>.+)")
    return re.compile(text, re.DOTALL)
