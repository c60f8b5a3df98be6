"""HTML that cannot be broken by what it shows: every text is escaped unless it is known to be HTML."""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import Final

VOID: Final = frozenset({"br", "hr", "input", "link", "meta"})
"""Elements without an end."""


class Html(str):
    """HTML as it goes into the page. Only this module and constants of this room make it."""

    __slots__ = ()


Child = str | Iterable["Child"] | None
"""A text, HTML, nothing, or many of them."""


def join(*children: Child) -> Html:
    """Texts and HTML one after another, the texts escaped."""
    parts: list[str] = []
    for child in children:
        if isinstance(child, Html):
            parts.append(child)
        elif isinstance(child, str):
            parts.append(html.escape(child))
        elif child is not None:
            parts.append(join(*child))
    return Html("".join(parts))


def tag(name: str, /, *children: Child, **attributes: str | int | float | bool | None) -> Html:
    """An element. `class_` becomes `class` and `data_x` becomes `data-x`; None and False leave an attribute out."""
    shown = "".join(
        f" {key}" if value is True else f' {key}="{html.escape(str(value))}"'
        for key, value in ((_name(key), value) for key, value in attributes.items())
        if value is not None and value is not False
    )
    return Html(f"<{name}{shown}>" if name in VOID else f"<{name}{shown}>{join(*children)}</{name}>")


def data(text: str, name: str = "span", /, **attributes: str | int | float | bool | None) -> Html:
    """What comes from the run and is the same in every language: a text of the data, a name, a figure."""
    return tag(name, text, translate="no", **attributes)


def commas(items: Iterable[Child]) -> Html:
    """Items with commas between them; a dash for none."""
    items = list(items)
    return join(*(part for item in items[:-1] for part in (item, ", ")), *items[-1:]) if items else Html("–")


def _name(key: str) -> str:
    return key.rstrip("_").replace("_", "-")
