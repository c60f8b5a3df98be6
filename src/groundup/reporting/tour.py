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

_PARTS: Final = {
    "default": (
        ("resume", draw_resume),
        ("exact", draw_exact),
        ("samples", draw_samples),
        ("shown", draw_shown),
        ("sentiment", draw_sentiment),
        ("transformers", draw_transformers),
        ("pretrained", draw_pretrained),
        ("labels", draw_labels),
    ),
    "own": (
        ("resume", draw_resume),
        ("pretrained", draw_pretrained),
        ("shown", draw_shown),
        ("labels", draw_labels),
        ("transformers", draw_transformers),
    ),
}
"""Of each kind of quickstart, in the order in which it goes; None where one stopped short of a part."""
_END: Final = (("next", draw_next), ("files", draw_files))


def render_tour(tour: Tour) -> str:
    """The page, as it is to be written to a file."""
    parts = (*_PARTS[tour["results"]["kind"]], *_END)
    drawn = [(name, section) for name, draw in parts if (section := draw(tour)) is not None]
    return frame("quickstart", draw_tour_header(tour), drawn, say("tour.made"))
