"""YAML as people write it, read so that it means what they meant.

The YAML 1.2 core schema: `1e-4` is a number, `no` and `on` are texts, only `true` and `false` are booleans. What could
be read in two ways (`010`, a key given twice, an alias) is an error with its line, not a guess.
"""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from groundup.errors import ConfigError

_MAX_BYTES = 1 << 20
_ALIAS_CURE = "put a text that starts with * or & in quotes"
_NULL = re.compile(r"~|null|Null|NULL|")
_TRUE = re.compile(r"true|True|TRUE")
_FALSE = re.compile(r"false|False|FALSE")
_DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9]*|[1-9][0-9]{0,2}(_[0-9]{3})+)")
_HEX_OR_OCTAL = re.compile(r"0x[0-9a-fA-F]+|0o[0-7]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]+")
_SPECIAL_FLOAT = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


def load_yaml(path: Path) -> dict[str, object]:
    """The mapping that a YAML file holds.

    Raises:
        ConfigError: the file is missing, a folder, not UTF-8 text, larger than 1 MiB, empty, or no mapping of keys.
    """
    where = str(path)
    try:
        with open(path, "rb") as file:
            raw = file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(where, "no such file", cure=_name_neighbours(path)) from None
    except IsADirectoryError:
        raise ConfigError(where, "is a folder", cure=_name_neighbours(path / "_")) from None
    except (OSError, ValueError) as error:
        raise ConfigError(where, f"cannot be read ({getattr(error, 'strerror', None) or error})") from None
    if b"\0" in raw:
        raise ConfigError(where, "is a binary file, not YAML text")
    if len(raw) > _MAX_BYTES:
        raise ConfigError(where, "is larger than 1 MiB, so it is no recipe", cure="name the YAML file")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        byte = raw[error.start : error.start + 1]
        raise ConfigError(f"{where}:{line}", "is not UTF-8 text", got=byte, cure="save it as UTF-8") from None
    return parse_yaml(text, where)


def parse_yaml(text: str, where: str) -> dict[str, object]:
    """The mapping that a YAML text holds. `where` names the text in errors, which carry its line.

    Raises:
        ConfigError: wrong syntax, a key given twice, an alias or a tag, an ambiguous number, or no mapping at the top.
    """
    data = parse_value(text, where)
    if isinstance(data, dict):
        return data
    if data is None:
        raise ConfigError(where, "is empty", cure="write one `key: value` a line")
    if isinstance(data, list):
        raise ConfigError(where, "holds a list at the top", cure="write `key: value` lines without a leading dash")
    raise ConfigError(where, "holds no `key: value` lines", got=data, cure=_colon_cure(text))


def parse_value(text: str, where: str) -> object:
    """Any YAML value: a number, a text, a boolean, None, a list or a mapping with texts as keys."""
    try:
        node = _Loader(text, where).get_single_node()
        return None if node is None else _construct(node, where)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError(f"{where}:{line}", f"holds the character U+{error.character:04X}") from None
    except yaml.MarkedYAMLError as error:
        raise _explain(error, text, where) from None
    except RecursionError:
        raise ConfigError(where, "is nested too deeply") from None


class _Loader(yaml.SafeLoader):
    """Composes nodes only; nothing is constructed by tag, and aliases cannot blow a small text up."""

    def __init__(self, text: str, where: str) -> None:
        super().__init__(text)
        self._where = where

    def compose_node(self, parent: yaml.Node | None, index: object) -> yaml.Node | None:
        """The next node, refused where it carries an alias, an anchor or a tag."""
        event = self.peek_event()
        place = f"{self._where}:{event.start_mark.line + 1}"
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            raise ConfigError(place, "aliases are not allowed", cure=_ALIAS_CURE)
        if getattr(event, "tag", None) is not None:
            cure = "put a text that starts with ! in quotes"
            raise ConfigError(place, "tags are not allowed", got=event.tag, cure=cure)
        return super().compose_node(parent, index)


def _construct(node: yaml.Node, where: str) -> object:
    if isinstance(node, yaml.MappingNode):
        return _construct_mapping(node, where)
    if isinstance(node, yaml.SequenceNode):
        return [_construct(item, where) for item in node.value]
    return node.value if node.style in ("'", '"', "|", ">") else _read_plain(node, where)


def _construct_mapping(node: yaml.MappingNode, where: str) -> dict[str, object]:
    result: dict[str, object] = {}
    first_lines: dict[str, int] = {}
    for key_node, value_node in node.value:
        line = _line(key_node)
        if not isinstance(key_node, yaml.ScalarNode):
            raise ConfigError(f"{where}:{line}", "a key must be a plain text")
        key = key_node.value
        if key in result:
            raise ConfigError(f"{where}:{line}", f"the key {key!r} stands here again", cure=f"line {first_lines[key]}")
        first_lines[key] = line
        result[key] = _construct(value_node, where)
    return result


def _read_plain(node: yaml.ScalarNode, where: str) -> object:
    text = node.value
    if _NULL.fullmatch(text):
        return None
    if _TRUE.fullmatch(text) or _FALSE.fullmatch(text):
        return bool(_TRUE.fullmatch(text))
    if _LEADING_ZERO.fullmatch(text):
        number = text.lstrip("+-0") or "0"
        cure = f"write {number} for the number or '{text}' for the text"
        raise ConfigError(f"{where}:{_line(node)}", "a number with a leading zero", got=text, cure=cure)
    try:
        if _DECIMAL.fullmatch(text):
            return int(text)
        if _HEX_OR_OCTAL.fullmatch(text):
            return int(text, 0)
    except ValueError:  # Python refuses more than some thousand digits, because reading them takes quadratic time.
        raise ConfigError(f"{where}:{_line(node)}", "a number with too many digits", got=text) from None
    if _FLOAT.fullmatch(text):
        return float(text)
    return float(text.replace(".", "", 1)) if _SPECIAL_FLOAT.fullmatch(text) else text


def _line(node: yaml.Node) -> int:
    return node.start_mark.line + 1


def _explain(error: yaml.MarkedYAMLError, text: str, where: str) -> ConfigError:
    mark = error.problem_mark or error.context_mark
    place = where if mark is None else f"{where}:{mark.line + 1}"
    problem = error.problem or error.context or "wrong syntax"
    if error.context in ("while scanning an alias", "while scanning an anchor"):
        return ConfigError(place, "aliases are not allowed", cure=_ALIAS_CURE)
    return ConfigError(place, f"is not valid YAML, {problem}", cure=_syntax_cure(problem, text, mark))


def _syntax_cure(problem: str, text: str, mark: yaml.Mark | None) -> str:
    if "'\\t'" in problem:
        return "indent with spaces, not tabs"
    return "" if mark is None else _colon_cure("\n".join(text.split("\n")[max(0, mark.line - 1) : mark.line + 1]))


def _colon_cure(text: str) -> str:
    if "：" in text:
        return "write the ASCII colon and a space, `key: value`, not the full-width ："
    if re.search(r"^\s*[\w.]+:\S", text, re.MULTILINE):
        return "a space belongs after the colon: `key: value`"
    return "write one `key: value` a line; put a text that holds ': ' or starts with a sign in quotes"


def _name_neighbours(path: Path) -> str:
    try:
        names = sorted(entry.name for entry in path.parent.iterdir() if entry.suffix in (".yaml", ".yml"))
    except OSError:
        return f"the folder {path.parent} cannot be listed"
    return f"{path.parent} holds {', '.join(names[:8])}" if names else f"{path.parent} holds no YAML file"
