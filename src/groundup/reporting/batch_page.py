"""The page of a batch: what a step trains on, every sequence with its marks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from groundup.reporting.language import say
from groundup.reporting.markup import Html, data, join, tag
from groundup.reporting.page import frame
from groundup.reporting.parts import note, section
from groundup.reporting.sections_proofs import draw_marked


def render_batch(name: str, figures: Mapping[str, int], sequences: Sequence[Mapping[str, Any]], version: str) -> str:
    """The page, as it is to be written to a file.

    Args:
        name: of the recipe.
        figures: `step` and `epoch`, counted from 1, `sequences`, `tokens` and `micro_batches`.
        sequences: of each its `micro_batch`, `sample`, `start` and `end` in tokens, and its `text` with marks.
        version: of groundup.
    """
    kind = tag("p", data("groundup"), " · ", say("shown.kind"), class_="eyebrow")
    header = tag("header", kind, tag("h1", data(name)))
    shown = {key: data(f"{value:,}") for key, value in figures.items()}
    drawn = section(
        "batch", "batch.title", note(say("batch.what", **shown)), note(say("shown.marks")), *map(_draw, sequences)
    )
    return frame(name, header, [("batch", drawn)], join(say("desk.made", version=data(version))))


def _draw(sequence: Mapping[str, Any]) -> Html:
    places = {key: data(f"{sequence[key]:,}") for key in ("micro_batch", "start", "end", "sample")}
    return tag("article", tag("h3", say("shown.place", **places)), draw_marked(sequence["text"]), class_="sequence")
