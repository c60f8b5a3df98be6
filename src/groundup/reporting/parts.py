"""What the parts of the page are made of: sections, tables, folded details, code to copy."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from groundup.figures import Number
from groundup.reporting.content_rows import Figure
from groundup.reporting.language import say, say_name
from groundup.reporting.markup import Child, Html, data, join, tag

_HAN: Final = re.compile(r"[\u3400-\u9fff\U00020000-\U0003fffd]")
_BLOCKS: Final = re.compile(r"(.+\.)?blocks\.[^.]+")


class Cell(NamedTuple):
    """A cell of a table's body."""

    content: Child
    style: str = ""
    is_head: bool = False
    rows: int = 1
    """Rows that it spans."""


def section(name: str, title: str, *children: Child) -> Html:
    """A part of the page with a heading that can be linked to."""
    return tag("section", tag("h2", say(title)), *children, id=name)


def table(
    caption: Html | None, head: Sequence[Child] | None, rows: Sequence[Sequence[Html | Cell]], style: str = ""
) -> Html:
    """A table that scrolls by itself where the screen is narrow. The first cell of each row is its heading.

    Args:
        caption: what it shows.
        head: the columns' names, over numbers where the first row has one; None where the rows' headings say
            everything.
        rows: cells; HTML that is a whole `td` already is taken as it is.
        style: further classes.
    """
    first = rows[0] if rows else ()
    is_number = [isinstance(cell, Cell) and cell.style == "number" for cell in first] + [False] * len(head or ())
    names = [
        tag("th", name, scope="col", class_="number" if is_number[at] else None) for at, name in enumerate(head or ())
    ]
    body = [tag("tr", *(_draw_cell(cell, place) for place, cell in enumerate(row))) for row in rows]
    content = tag(
        "table",
        None if head is None else tag("thead", tag("tr", *names)),
        tag("tbody", *body),
        class_=style or None,
    )
    # A caption inside the table would scroll away with it.
    scrolling = tag("div", content, class_="scroll", tabindex=0)
    return scrolling if caption is None else tag("figure", tag("figcaption", caption), scrolling, class_="table")


def number(text: str) -> Cell:
    """A cell with a number."""
    return Cell(data(text), "number")


def fold(summary: Html, *children: Child, is_open: bool = False) -> Html:
    """Something that is shown when it is asked for."""
    return tag("details", tag("summary", summary), *children, open=is_open)


def note(*children: Child) -> Html:
    """A sentence under a heading."""
    return tag("p", *children, class_="note")


def verdict(which: Literal["right", "wrong", "open"], *children: Child) -> Html:
    """What a part comes to, in a sentence."""
    sign = tag("span", {"right": "✓", "wrong": "✗", "open": "?"}[which], class_="sign", aria_hidden="true")
    return tag("p", sign, tag("span", *children), class_=f"verdict {which}")


def code(text: str, language: str = "") -> Html:
    """Text to copy, as it is."""
    names = (tag("span", say("page.copy"), class_="before"), tag("span", say("page.copied"), class_="after"))
    button = tag("button", *names, type="button", class_="copy", hidden=True)
    content = tag("pre", tag("code", text, class_=language or None), tabindex=0, translate="no")
    return tag("div", content, button, class_="code")


def prose(text: str, name: str = "span", /, **attributes: str | None) -> Html:
    """A text of the data, with the language that its characters are of, so that browsers choose fitting glyphs."""
    return data(text, name, lang=find_language(text), **attributes)


def find_language(text: str) -> str | None:
    """What a browser is to be told about a text of the data; None where its characters do not tell."""
    return "zh-CN" if _HAN.search(text) else None


def is_block(module: str) -> bool:
    """Whether a module of a tree is a block, or some that are alike: `blocks.*`, `encoder.blocks.1-11`."""
    return _BLOCKS.fullmatch(module) is not None


def name_metric(name: str) -> Html:
    """The name of a metric."""
    return say_name("metric", name)


def show_figure(figure: Figure) -> Html:
    """A metric with its interval."""
    interval = "" if figure["low"] is None or figure["high"] is None else show_interval(figure["low"], figure["high"])
    return join(data(precise(figure["value"])), " ", interval)


def show_interval(low: Number, high: Number) -> Html:
    """`[0.712, 0.845]`."""
    return data(f"[{precise(low)}, {precise(high)}]", class_="range")


def precise(value: Number) -> str:
    """`0.987`, `12.35`, `398.1`, `1,234`, `1.234e+09`: as many digits as a metric is read with."""
    size = abs(value)
    if size >= 1e7:
        return f"{value:.4g}"
    return f"{value:.3f}" if size < 10 else f"{value:.2f}" if size < 100 else f"{value:,.{1 if size < 1000 else 0}f}"


def _draw_cell(cell: Html | Cell, place: int) -> Html:
    if isinstance(cell, Cell):
        scope = None if not cell.is_head else "row" if cell.rows == 1 else "rowgroup"
        rows = None if cell.rows == 1 else cell.rows
        return tag("th" if cell.is_head else "td", cell.content, class_=cell.style or None, scope=scope, rowspan=rows)
    if cell.startswith("<td"):
        return cell
    return tag("th", cell, scope="row") if place == 0 else tag("td", cell)
