"""Every problem of a configuration in the project's own words: dotted path, what is wrong, the value, the cure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from groundup.config_schema import alternatives, field_help, is_list, item_type, kinds, literals
from groundup.errors import ConfigError

_NOTHING = object()
_TYPES = {
    "int_type": "an integer",
    "int_parsing": "an integer",
    "int_from_float": "an integer",
    "int_parsing_size": "an integer of less than 4300 digits",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "string_type": "a text",
    "path_type": "a path",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "set_type": "a list",
    "frozen_set_type": "a list",
    "dict_type": "a group of keys",
    "model_type": "a group of keys",
    "model_attributes_type": "a group of keys",
    "none_required": "null",
}
_BOUNDS = {
    "greater_than": "greater than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "multiple_of": "a multiple of {multiple_of}",
    "too_short": "at least {min_length} long",
    "too_long": "at most {max_length} long",
    "string_too_short": "at least {min_length} characters long",
    "string_too_long": "at most {max_length} characters long",
    "string_pattern_mismatch": "of the form {pattern}",
}


class _Place(NamedTuple):
    """Where pydantic's location leads, without the labels that it adds for the members of unions."""

    path: tuple[str, ...]
    annotation: object
    owner: type[BaseModel] | None
    union: tuple[str, ...] | None
    """The path of the innermost union without kinds that the location passes through."""


class _Problem(NamedTuple):
    path: tuple[str, ...]
    what: str
    got: object
    cure: str
    union: tuple[str, ...] | None


def list_problems(cls: type[BaseModel], data: object, error: ValidationError) -> list[str]:
    """One line per problem, `path: what is wrong, got value; cure`, in the order of the fields."""
    found = [_describe(cls, details) for details in error.errors(include_url=False)]
    lines = [_to_line(problem) for problem in _merge_unions(found)]
    return list(dict.fromkeys(lines))


def nearest(name: str, choices: Sequence[str]) -> str | None:
    """The choice that `name` was most likely meant to be: case, dashes and slips of the finger aside."""
    plain = {_normalise(choice): choice for choice in choices}
    close = difflib.get_close_matches(_normalise(name), list(plain), n=1, cutoff=0.6)
    return plain[close[0]] if close else None


def _describe(cls: type[BaseModel], details: ErrorDetails) -> _Problem:
    place = _locate(cls, details["loc"])
    kind, context, got = details["type"], details.get("ctx", {}), details["input"]
    if kind == "extra_forbidden":
        return _Problem(place.path, "unknown key", got, _unknown_key_cure(cls, place), place.union)
    if kind == "missing":
        return _Problem(place.path, "is missing", _NOTHING, _missing_cure(place), place.union)
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        return _describe_kind(place, got)
    if kind == "literal_error":
        return _Problem(place.path, "is no known choice", got, _choice_cure(str(got), place.annotation), place.union)
    if kind == "value_error":
        return _describe_own_check(place, got, str(context["error"]))
    if kind in _BOUNDS:
        return _Problem(place.path, f"must be {_BOUNDS[kind].format(**context)}", got, "", place.union)
    if kind in _TYPES:
        cure = _type_cure(kind, got, place.annotation)
        return _Problem(place.path, f"must be {_TYPES[kind]}", got, cure, place.union)
    return _Problem(place.path, details["msg"][:1].lower() + details["msg"][1:], got, "", place.union)


def _locate(cls: type[BaseModel], location: Sequence[str | int]) -> _Place:
    path: list[str] = []
    annotation: object = cls
    owner: type[BaseModel] | None = None
    union: tuple[str, ...] | None = None
    for part in location:
        members = alternatives(annotation)
        if len(members) > 1:
            by_kind = kinds(annotation)
            union = union if by_kind else tuple(path)
            annotation = by_kind.get(str(part)) or _member_of_label(members, str(part))
            continue
        if part == "[key]":
            continue
        member, owner = members[0], None
        path.append(str(part))
        if isinstance(member, type) and issubclass(member, BaseModel):
            owner = member
            annotation = member.model_fields[part].annotation if part in member.model_fields else Any
        else:
            annotation = item_type(member)
    return _Place(tuple(path), annotation, owner, union)


def _member_of_label(members: Sequence[object], label: str) -> object:
    names = [getattr(member, "__name__", str(member)).lower() for member in members]
    stem = re.split(r"[\[,]", label)[0].lower()
    return members[names.index(stem)] if stem in names else Any


def _describe_kind(place: _Place, got: object) -> _Problem:
    path = (*place.path, "kind")
    kind = got.get("kind", _NOTHING) if isinstance(got, Mapping) else _NOTHING
    if kind is _NOTHING:
        return _Problem(path, "is missing", _NOTHING, _choice_cure("", place.annotation), place.union)
    return _Problem(path, "is no known kind", kind, _choice_cure(str(kind), place.annotation), place.union)


def _describe_own_check(place: _Place, got: object, message: str) -> _Problem:
    # A check of a settings class writes `field: what, got value; cure` with a path relative to itself.
    head, colon, rest = message.partition(": ")
    if colon and re.fullmatch(r"[\w.]+", head):
        return _Problem((*place.path, *head.split(".")), rest, _NOTHING, "", place.union)
    return _Problem(place.path, message, _NOTHING, "", place.union)


def _unknown_key_cure(cls: type[BaseModel], place: _Place) -> str:
    known = list(place.owner.model_fields) if place.owner else []
    close = nearest(place.path[-1], known)
    if close:
        return f"did you mean '{close}'?"
    wanted = _normalise(place.path[-1])
    elsewhere = [re.sub(r"\[\w+\]", "", help.path) for help in field_help(cls)]
    matches = list(dict.fromkeys(path for path in elsewhere if path.split(".")[-1] == wanted))
    if ".".join(map(str, place.path)) in matches:
        return f"it belongs to another kind; known keys here: {', '.join(known)}"
    if matches:
        return "did you mean " + " or ".join(f"'{path}'" for path in matches[:3]) + "?"
    return f"known keys: {', '.join(known)}" if known else ""


def _missing_cure(place: _Place) -> str:
    field = place.owner.model_fields.get(place.path[-1]) if place.owner else None
    return " ".join((field.description or "").split()) if field else ""


def _choice_cure(given: str, annotation: object) -> str:
    choices = list(kinds(annotation)) or [str(value) for value in literals(annotation)]
    close = nearest(given, choices)
    listed = f"choose one of {', '.join(choices)}"
    return f"did you mean '{close}'? {listed}" if close else listed


def _type_cure(kind: str, got: object, annotation: object) -> str:
    if got is None:
        return "give it a value, or leave the line out"
    if kind.startswith("int"):
        return _integer_cure(got)
    if kind.startswith("bool"):
        yes_or_no = {"yes": "true", "on": "true", "no": "false", "off": "false", "1": "true", "0": "false"}
        plain = yes_or_no.get(str(got).lower())
        return f"write {plain}" if plain else ""
    if kind.startswith("string") and isinstance(got, bool | int | float):
        return "put it in quotes"
    by_kind = kinds(annotation)
    if by_kind and isinstance(got, str):
        close = nearest(got, list(by_kind))
        return f"write {{kind: {close}}}" if close else f"choose one of {', '.join(f'{{kind: {k}}}' for k in by_kind)}"
    takes_list = any(is_list(member) for member in alternatives(annotation))
    return f"write [{got}]" if takes_list and isinstance(got, str | int | float) else ""


def _integer_cure(got: object) -> str:
    if isinstance(got, float) and got.is_integer():
        return f"write {int(got)}"
    digits = str(got).replace(",", "").replace("_", "").replace(" ", "")
    return f"write {digits}" if isinstance(got, str) and re.fullmatch(r"[-+]?\d+", digits, re.ASCII) else ""


def _merge_unions(problems: Sequence[_Problem]) -> list[_Problem]:
    """A value that no member of a union takes is one problem, not one for each member."""
    merged: list[_Problem] = []
    for problem in problems:
        before = next((other for other in merged if other.union is not None and other.union == problem.union), None)
        if before is None:
            merged.append(problem)
        elif len(problem.path) > len(before.path):  # This member has the right shape; only something in it is wrong.
            merged[merged.index(before)] = problem
        elif problem.path == before.path and problem.what not in before.what:
            what = f"{before.what} or {problem.what.removeprefix('must be ')}"
            merged[merged.index(before)] = before._replace(what=what, cure=before.cure or problem.cure)
        elif len(problem.path) == len(before.path) and problem.path != before.path:
            merged.append(problem)
    return merged


def _to_line(problem: _Problem) -> str:
    if not problem.path:
        return problem.what
    where = ".".join(problem.path)
    if problem.got is _NOTHING:
        return str(ConfigError(where, problem.what, cure=problem.cure))
    return str(ConfigError(where, problem.what, got=problem.got, cure=problem.cure))


def _normalise(name: str) -> str:
    return name.strip().lower().replace("-", "_")
