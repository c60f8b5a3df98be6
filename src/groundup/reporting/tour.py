"""The page of a quickstart, drawn from its results."""

from __future__ import annotations

from typing import Final

from groundup.reporting.content_tour import Tour
from groundup.reporting.language import say
from groundup.reporting.page import frame
from groundup.reporting.sections_next import draw_files, draw_next
from groundup.reporting.sections_proofs import draw_resume, draw_shown, draw_transformers
from groundup.reporting.sections_tour import (
    draw_exact,
    draw_labels,
    draw_pretrained,
    draw_samples,
    draw_sentiment,
    draw_tour_header,
)

_PARTS: Final = (
    ("resume", draw_resume),
    ("exact", draw_exact),
    ("samples", draw_samples),
    ("pretrained", draw_pretrained),
    ("shown", draw_shown),
    ("sentiment", draw_sentiment),
    ("labels", draw_labels),
    ("transformers", draw_transformers),
    ("next", draw_next),
    ("files", draw_files),
)
"""In the order of the page, which is that of the quickstart; None where a quickstart has no such part."""


def render_tour(tour: Tour) -> str:
    """The page, as it is to be written to a file."""
    drawn = [(name, section) for name, draw in _PARTS if (section := draw(tour)) is not None]
    return frame("quickstart", draw_tour_header(tour), drawn, say("tour.made"))
