"""What the page of a quickstart is drawn from: its results, and what lies beside them."""

from __future__ import annotations

from typing import Any, Final, TypedDict

REPORTS: Final = (
    "written",
    "sentiment",
    "pretrained",
    "pretrained_labels",
    "fresh_labels",
    "proof/uninterrupted",
    "proof/killed",
)
"""Run folders of a quickstart; each may hold a `report.html`."""
FILES: Final = {
    "results.json": "results",
    "quickstart.json": "plan",
    "proof/resume.json": "resume",
    "spoken/test.jsonl": "spoken",
    "written/exact_match.json": "exact",
    "sentences/test.csv": "sentences",
    "sentiment/test.json": "sentiment",
    "pretrained/metrics.jsonl": "pretrained",
    "labels/test.csv": "labels",
    "pretrained_labels/test.json": "pretrained_labels",
    "fresh_labels/test.json": "fresh_labels",
}
"""Where figures of the page stand, each with the name that the page has for what it holds."""


class Tour(TypedDict):
    """A quickstart."""

    folder: str
    results: dict[str, Any]
    """`results.json`."""
    asked: dict[str, Any]
    """The arguments it was started with; empty where they are not known."""
    segmenter: str
    """`none` where Chinese words cannot be found."""
    present: list[str]
    """Those of the files, and of the reports as `RUN/report.html`, that are there."""
