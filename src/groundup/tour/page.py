"""The page of a quickstart."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write_page(folder: Path, results: Mapping[str, Any]) -> Path:
    """Draw the results into `report.html`."""
    return folder / "report.html"
