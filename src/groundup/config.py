"""The base of all typed settings: strict, frozen, and an unknown key is an error with the nearest known one."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Config(BaseModel):
    """A set of values. Each field carries its own docstring, which is its help."""

    model_config = ConfigDict(
        strict=True, frozen=True, extra="forbid", use_attribute_docstrings=True, validate_default=True
    )
