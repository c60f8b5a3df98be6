"""The page of a quickstart: what lies in its folder is looked up here, and drawn by the room that draws pages."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from groundup.reporting.content_tour import FILES, REPORTS, Tour
from groundup.reporting.tour import render_tour
from groundup.verbs.run_folder import write_text

PAGE_FILE: Final = "report.html"
_PLAN_FILE: Final = "quickstart.json"


def write_page(folder: Path, results: Mapping[str, Any]) -> Path:
    """Draw the results into `report.html`; nothing is shown that is not in them or in files beside them."""
    path = folder / PAGE_FILE
    write_text(path, render_tour(gather(folder, results)))
    return path


def gather(folder: Path, results: Mapping[str, Any]) -> Tour:
    """The results with what the folder tells about them."""
    plan_file = folder / _PLAN_FILE
    plan = json.loads(plan_file.read_text(encoding="utf-8")) if plan_file.is_file() else {}
    names = [*FILES, *(f"{run}/report.html" for run in REPORTS)]
    return {
        "folder": str(folder),
        # As it stands in the file: tuples are lists there, and figures have all their digits.
        "results": json.loads(json.dumps(results, ensure_ascii=False)),
        "asked": plan.get("asked", {}),
        "segmenter": plan.get("segmenter", "none"),
        "present": [name for name in names if (folder / name).is_file()],
    }
