"""What a settings class holds, read from its annotations: for `--help`, the generated docs and the cures of errors."""

from __future__ import annotations

import json
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

_NAMES = {int: "integer", float: "number", str: "text", bool: "true or false", Path: "path", type(None): "null"}


class FieldHelp(NamedTuple):
    """One setting: `position[rotary].base`, where the bracket names the kind, and `heads.0` an item of a list."""

    path: str
    type: str
    default: str
    """As JSON; `required` where there is none."""
    doc: str


def field_help(cls: type[BaseModel]) -> list[FieldHelp]:
    """Every setting of a class and of the classes inside it, in the order in which they are written."""
    return list(_walk(cls, ""))


def alternatives(annotation: object) -> tuple[object, ...]:
    """The members of a union, None left out; a single type is its own only member."""
    bare = _bare(annotation)
    if get_origin(bare) in (Union, types.UnionType):
        return tuple(inner for member in get_args(bare) for inner in alternatives(member) if inner is not type(None))
    return (bare,)


def kinds(annotation: object) -> dict[str, type[BaseModel]]:
    """The classes of a union by their `kind`; empty where the annotation is no such union."""
    found: dict[str, type[BaseModel]] = {}
    for member in alternatives(annotation):
        if not _is_model(member) or "kind" not in member.model_fields:
            return {}
        for kind in literals(member.model_fields["kind"].annotation):
            found[str(kind)] = member
    return found


def literals(annotation: object) -> tuple[object, ...]:
    """The values that a Literal allows, wherever it stands in a union."""
    found: list[object] = []
    for member in alternatives(annotation):
        if get_origin(member) is Literal:
            found += [value for value in get_args(member) if value is not None]
    return tuple(found)


def item_type(annotation: object) -> object:
    """The type of the items of a list or of the values of a mapping; Any for everything else."""
    arguments = [argument for argument in get_args(annotation) if argument is not Ellipsis]
    return arguments[-1] if arguments and get_origin(annotation) is not Literal else Any


def is_list(annotation: object) -> bool:
    """Whether a type takes a list."""
    return get_origin(annotation) in (tuple, list, set, frozenset)


def is_mapping(annotation: object) -> bool:
    """Whether a type takes any keys."""
    origin = get_origin(annotation)
    return isinstance(origin, type) and issubclass(origin, Mapping)


def type_name(annotation: object) -> str:
    """A type in words: `integer`, `list of text`, `one of gelu, relu`."""
    bare = _bare(annotation)
    members = alternatives(bare)
    if kinds(bare) and len(members) > 1:
        words = ["one of " + ", ".join(f"{{kind: {kind}}}" for kind in kinds(bare))]
    elif len(members) > 1:
        words = [type_name(member) for member in members]
    else:
        words = [_single_name(members[0])]
    if get_origin(bare) in (Union, types.UnionType) and type(None) in get_args(bare):
        words.append("null")
    return " or ".join(words)


def _single_name(annotation: object) -> str:
    if get_origin(annotation) is Literal:
        return "one of " + ", ".join(str(value) for value in literals(annotation))
    if is_list(annotation):
        return f"list of {type_name(item_type(annotation))}"
    if is_mapping(annotation):
        return f"mapping to {type_name(item_type(annotation))}"
    if _is_model(annotation):
        return "keys"
    return _NAMES.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _walk(cls: type[BaseModel], prefix: str) -> Iterator[FieldHelp]:
    for name, field in cls.model_fields.items():
        path = f"{prefix}{name}"
        yield FieldHelp(path, type_name(field.annotation), _default(field), " ".join((field.description or "").split()))
        yield from _walk_inside(field.annotation, path)


def _walk_inside(annotation: object, path: str) -> Iterator[FieldHelp]:
    by_kind = kinds(annotation)
    for member in alternatives(annotation):
        if _is_model(member):
            names = [kind for kind, cls in by_kind.items() if cls is member]
            bracket = f"[{names[0]}]" if names and len(by_kind) > 1 else ""
            yield from _walk(member, f"{path}{bracket}.")
        elif is_list(member):
            yield from _walk_inside(item_type(member), f"{path}.0")


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True) if field.default_factory is None else field.default_factory()
    if value is PydanticUndefined:
        return "required"
    return json.dumps(_plain(value), ensure_ascii=False)


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def _bare(annotation: object) -> object:
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    return annotation


def _is_model(annotation: object) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
