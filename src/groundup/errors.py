"""What can be wrong with what a user hands in. Every error says where, what, what was found, and the cure."""

from __future__ import annotations

from typing import Final

_ABSENT: Final = object()


class GroundupError(ValueError):
    """`<where>: <what is wrong>, got <value>; <nearest or cure>`: the one form of every message for users."""

    def __init__(self, where: str, what: str, *, got: object = _ABSENT, cure: str = "") -> None:
        """Compose the message.

        Args:
            where: a dotted path of the recipe, a file with its line, or the name of a tensor.
            what: what is wrong, in a few words.
            got: the value found; left out of the message when it is not given.
            cure: the nearest valid choice or what to do about it.
        """
        found = "" if got is _ABSENT else f", got {_shorten(got)}"
        super().__init__(f"{where}: {what}{found}" + (f"; {cure}" if cure else ""))
        self.where, self.what, self.cure = where, what, cure


class ConfigError(GroundupError):
    """A setting is unknown, of a wrong type, out of range, or contradicts another."""


class DataError(GroundupError):
    """A file of text, labels or tokens is missing, unreadable or not what the recipe says it is."""


class CheckpointError(GroundupError):
    """A model folder or a training checkpoint is missing, damaged, incomplete or of another run."""


class TrainingError(GroundupError):
    """Training cannot go on: a loss that is not finite, a step without a single target."""


class MissingExtraError(ConfigError):
    """An optional dependency is needed; the message names the extra that brings it."""

    def __init__(self, where: str, package: str, extra: str) -> None:
        super().__init__(where, f"needs the package {package!r}", cure=f"pip install 'groundup[{extra}]'")


def _shorten(value: object, limit: int = 120) -> str:
    text = repr(value)
    return text if len(text) <= limit else f"{text[: limit - 3]}..."
