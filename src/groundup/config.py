"""The base of all typed settings: strict, frozen, and an unknown key is an error with the nearest known one.

Settings come from YAML (`load_yaml`), take overrides by dotted path (`apply_overrides`) and become values in `parse`,
which names every problem at once, one a line.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from groundup.config_problems import list_problems
from groundup.config_schema import FieldHelp, field_help
from groundup.errors import ConfigError
from groundup.yaml_reader import load_yaml, parse_value, parse_yaml

__all__ = [
    "Config",
    "FieldHelp",
    "apply_overrides",
    "expand_path",
    "field_help",
    "load_yaml",
    "parse",
    "parse_yaml",
    "to_json",
]


class Config(BaseModel):
    """A set of values. Each field carries its own docstring, which is its help."""

    model_config = ConfigDict(
        strict=True,
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        validate_default=True,
        allow_inf_nan=False,
    )


C = TypeVar("C", bound=Config)


def parse(cls: type[C], data: Mapping[str, object], *, where: str = "") -> C:
    """Plain data as settings of `cls`. `where` names the source, such as the recipe's file, in front of every error.

    Raises:
        ConfigError: names each unknown, missing or wrong key by its dotted path, one a line, all of them at once.
    """
    try:
        # Through JSON, so that lists become tuples and texts become paths while numbers and booleans stay strict.
        text = json.dumps(data, default=_to_plain, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise ConfigError(where or cls.__name__, "holds bytes that are no UTF-8 text", got=error.object) from None
    except (TypeError, RecursionError, ValueError) as error:
        raise ConfigError(where or cls.__name__, f"is no plain data ({error})") from None
    try:
        return cls.model_validate_json(text)
    except ValidationError as error:
        problems = list_problems(cls, data, error)
    prefix = f"{where}: " if where else ""
    if len(problems) == 1:
        head, _, rest = problems[0].partition(": ")
        raise ConfigError(prefix + head, rest)
    raise ConfigError(where or cls.__name__, f"{len(problems)} problems\n  " + "\n  ".join(problems))


def to_json(config: Config) -> dict[str, object]:
    """The settings as plain JSON data; `parse` turns it into an equal value again."""
    return config.model_dump(mode="json")


def apply_overrides(data: Mapping[str, object], overrides: Sequence[str]) -> dict[str, object]:
    """A copy of `data` with every `dotted.path=value` applied in order; the value is read as YAML.

    An item of a list is named by its number (`heads.0.kind=span`). Keys that are missing are added, so that `parse`
    answers for a mistyped one in its own words.

    Raises:
        ConfigError: an override without `=`, a path through a value, a number outside its list, or no YAML.
    """
    result = _copy(data)
    for override in overrides:
        path, equals, text = override.partition("=")
        parts = path.strip().split(".")
        if not equals or not all(parts):
            cure = _override_cure(override)
            raise ConfigError("override", "is not of the form key.path=value", got=override, cure=cure)
        _set(result, parts, _read_override(text, path.strip()))
    return result


def expand_path(text: str, where: str) -> Path:
    """A path with `${NAME}` replaced by environment variables and `~` by the home folder.

    Raises:
        ConfigError: a variable that is not set or empty, with how to set it; `$NAME` without braces; an empty path.
    """

    def replace(match: re.Match[str]) -> str:
        name = match[1]
        value = os.environ.get(name, "")
        if not value:
            cure = f"export {name}=/your/folder, or write the path itself"
            raise ConfigError(where, f"the environment variable {name} is not set", got=text, cure=cure)
        return value

    if not text.strip() or "\0" in text:
        raise ConfigError(where, "is no path", got=text, cure="name a file or folder")
    bare = re.search(r"\$([A-Za-z_]\w*)", text)
    if bare:
        raise ConfigError(where, "a variable needs braces", got=text, cure=f"write ${{{bare[1]}}}")
    expanded = re.sub(r"\$\{(\w+)\}", replace, text)
    try:
        return Path(expanded).expanduser()
    except RuntimeError:
        raise ConfigError(where, "names the home folder of nobody", got=text, cure="write the path itself") from None


def _to_plain(value: object) -> object:
    if isinstance(value, Config):
        return to_json(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"a value of type {type(value).__name__}")


def _copy(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list | tuple) else value


def _read_override(text: str, path: str) -> object:
    # These begin no YAML value that we accept, and a shell makes quotes inside quotes hard: they can only mean a text.
    if text.lstrip()[:1] in ("*", "&", "!", "%", "@", "`", "#") and text.strip():
        return text.strip()
    return parse_value(text, f"override {path}")


def _set(tree: object, parts: Sequence[str], value: object) -> None:
    for depth, part in enumerate(parts):
        is_last = depth == len(parts) - 1
        if isinstance(tree, list):
            index = _list_index(tree, parts, depth)
            if is_last:
                tree[index] = value
            tree = tree[index]
        elif isinstance(tree, dict):
            if is_last:
                tree[part] = value
            elif tree.get(part) is None:
                tree[part] = {}
            tree = tree[part]
        else:
            path = ".".join(parts[:depth])
            raise ConfigError(path, "is a value and holds no keys", got=tree, cure=f"write {path}={{{part}: ...}}")


def _list_index(items: list[object], parts: Sequence[str], depth: int) -> int:
    path, part = ".".join(parts[:depth]), parts[depth]
    if not re.fullmatch(r"[0-9]{1,9}", part) or int(part) >= len(items):
        numbers = f"number its items 0 to {len(items) - 1}" if items else "it has no items"
        raise ConfigError(path, f"is a list of {len(items)}", got=part, cure=f"{numbers}, or write {path}=[...]")
    return int(part)


def _override_cure(override: str) -> str:
    guess = re.fullmatch(r"-*([\w.]+)[ :]+(\S+)", override)
    return f"write {guess[1]}={guess[2]}" if guess else "for example steps=1000 or optimizer.learning_rate=1e-4"
