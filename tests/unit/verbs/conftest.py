"""Small runs on text and tables written here."""

from __future__ import annotations

from small_runs import make_recipe, small_data

__all__ = ["make_recipe", "small_data"]
