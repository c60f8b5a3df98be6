"""The page: one HTML text that needs nothing beside it, neither network nor another file, and no script to be read."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib.resources import files
from typing import Final

from groundup.reporting.content import Report
from groundup.reporting.language import say
from groundup.reporting.markup import Html, data, join, tag
from groundup.reporting.sections_choices import draw_choices
from groundup.reporting.sections_classes import draw_classes, draw_examples
from groundup.reporting.sections_design import draw_advice, draw_data, draw_design_section, draw_machine, draw_recipe
from groundup.reporting.sections_found import draw_found
from groundup.reporting.sections_labels import draw_labels
from groundup.reporting.sections_masked import draw_masked
from groundup.reporting.sections_numbers import draw_numbers
from groundup.reporting.sections_results import draw_batch, draw_curves, draw_header, draw_results
from groundup.reporting.sections_written import draw_written

_PARTS: Final = (
    ("results", draw_results),
    ("curves", draw_curves),
    ("classes", draw_classes),
    ("examples", draw_examples),
    ("labels", draw_labels),
    ("numbers", draw_numbers),
    ("choices", draw_choices),
    ("masked", draw_masked),
    ("written", draw_written),
    ("found", draw_found),
    ("advice", draw_advice),
    ("batch", draw_batch),
    ("design", draw_design_section),
    ("data", draw_data),
    ("recipe", draw_recipe),
    ("machine", draw_machine),
)
"""In the order of the page; each draws a section of its name, or None where it has nothing to say."""


def render(report: Report) -> str:
    """The page of a report, as it is to be written to a file."""
    drawn = [(name, section) for name, draw in _PARTS if (section := draw(report)) is not None]
    run = report["run"]
    made = say("page.made", version=data(run["version"]), made=data(run["made"]))
    return frame(run["name"], draw_header(report), drawn, made)


def frame(title: str, header: Html, sections: Sequence[tuple[str, Html]], made: Html, *, more: str = "") -> str:
    """A page of any kind.

    Args:
        title: what the browser calls it.
        header: what stands above everything.
        sections: at least one; each with the name that it has as an anchor and in the bar (`nav.<name>`).
        made: the last line.
        more: a style and a script of this name besides those of every page.
    """
    names = ["page", more] if more else ["page"]
    style, script = (Html("".join(_asset(f"{name}.{kind}") for name in names)) for kind in ("css", "js"))
    digest = base64.b64encode(hashlib.sha256(f"\n{script}".encode()).digest()).decode()
    # Nothing is fetched, and no script runs but ours: what comes from the data could not do harm if it got through.
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; img-src data:"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"{title} · groundup"),
        tag("link", rel="icon", href="data:,"),
        Html(f"<style>\n{style}</style>"),
    )
    links = [tag("a", say(f"nav.{name}"), href=f"#{name}") for name, _ in sections]
    body = tag(
        "body",
        tag("a", say("page.skip"), href=f"#{sections[0][0]}", class_="skip"),
        _draw_switch(),
        tag("div", tag("nav", *links, aria_labelledby="parts"), _draw_choices(), class_="bar-top"),
        tag("span", say("page.parts"), id="parts", class_="visually-hidden"),
        tag("main", header, *(section for _, section in sections), tag("footer", made)),
        Html(f"<script>\n{script}</script>"),
    )
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _draw_switch() -> Html:
    """The switch works without a script: what follows it is shown or hidden by which of them is chosen."""
    options = (("en", True), ("zh", False))
    return join(
        *(
            tag("input", type="radio", name="language", id=f"language-{name}", class_="switch", checked=is_first)
            for name, is_first in options
        )
    )


def _draw_choices() -> Html:
    names = (("en", "en", "English"), ("zh", "zh-CN", "中文"))
    labels = [
        tag("label", text, for_=f"language-{name}", lang=code, translate="no", class_=f"choice-{name}")
        for name, code, text in names
    ]
    title = tag("span", say("page.language"), id="language", class_="visually-hidden")
    return tag("div", title, *labels, class_="choices", role="group", aria_labelledby="language")


def _asset(name: str) -> Html:
    return Html(files("groundup.reporting").joinpath("assets", name).read_text(encoding="utf-8"))
