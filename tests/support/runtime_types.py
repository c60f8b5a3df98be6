"""The run-time check of types that jaxtyping's import hook puts on every function of the package."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

from beartype import beartype


def check(function: Callable[..., Any]) -> Callable[..., Any]:
    """`beartype`, which cannot know what `Self` is while it sees a method alone: such hints are left out."""
    hints = getattr(function, "__annotations__", {})
    unknown = [name for name, hint in hints.items() if hint is Self or hint == "Self"]
    if not unknown:
        return beartype(function)
    function.__annotations__ = {name: hint for name, hint in hints.items() if name not in unknown}
    return beartype(function)
