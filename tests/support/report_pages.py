"""Reads a report's page as a browser would: elements, texts, and which language each text is in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

from groundup.figures import format_bytes, format_count, format_seconds, format_share
from groundup.reporting.charts import short_number
from groundup.reporting.markup import VOID
from groundup.reporting.parts import precise

NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?")


@dataclass
class Element:
    """An element of the page with what is in it."""

    name: str
    attributes: dict[str, str]
    parent: Element | None = None
    children: list[Element | str] = field(default_factory=list)

    def walk(self) -> Iterator[Element]:
        """This element and all below it."""
        yield self
        for child in self.children:
            if isinstance(child, Element):
                yield from child.walk()

    def find(self, name: str | None = None, **attributes: str) -> list[Element]:
        """All below with this name and these attributes; a class is one of several."""
        return [
            each
            for each in self.walk()
            if (name is None or each.name == name)
            and all(value in each.attributes.get(key.rstrip("_"), "").split() for key, value in attributes.items())
        ]

    def above(self) -> Iterator[Element]:
        """This element and all that it is in."""
        each: Element | None = self
        while each is not None:
            yield each
            each = each.parent

    def text(self, language: str | None = None) -> str:
        """All text in it, that of the other language left out where one is given."""
        hidden = {"en": "zh", "zh": "en"}.get(language or "", "-")
        if hidden in self.attributes.get("class", "").split():
            return ""
        return "".join(child if isinstance(child, str) else child.text(language) for child in self.children)


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = self.open = Element("", {})

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs}, self.open)
        self.open.children.append(element)
        if tag not in VOID:
            self.open = element

    def handle_endtag(self, tag: str) -> None:
        assert self.open.name == tag, f"</{tag}> closes <{self.open.name}>"
        assert self.open.parent is not None
        self.open = self.open.parent

    def handle_data(self, data: str) -> None:
        self.open.children.append(data)


def read_page(page: str) -> Element:
    """The page as a tree; an element that is not closed, or closed twice, fails the test."""
    parser = _Parser()
    parser.feed(page)
    parser.close()
    assert parser.open is parser.root, f"<{parser.open.name}> is never closed"
    return parser.root


def texts(root: Element) -> Iterator[tuple[Element, str]]:
    """Every text that is read, with the element it stands in."""
    for element in root.walk():
        if any(each.name in ("script", "style", "title") for each in element.above()):
            continue
        for child in element.children:
            if isinstance(child, str) and child.strip():
                yield element, child


def untranslated(root: Element) -> list[str]:
    """Texts with letters that are in neither language and are not marked as data of the run."""
    return [
        text
        for element, text in texts(root)
        if re.search(r"[^\W\d_]", text)
        and not any({"en", "zh"} & set(each.attributes.get("class", "").split()) for each in element.above())
        and not any(each.attributes.get("translate") == "no" for each in element.above())
    ]


def shown_numbers(root: Element) -> set[str]:
    """Every number that is shown as a figure: in data of the run, the ticks of axes aside."""
    found: set[str] = set()
    for element, text in texts(root):
        above = list(element.above())
        is_data = any(each.attributes.get("translate") == "no" for each in above)
        if is_data and not any(each.attributes.get("aria-hidden") == "true" for each in above):
            found.update(NUMBER.findall(text))
    return found


def written_numbers(value: object) -> set[str]:
    """Every number of plain data, in all the ways in which the page writes numbers, and those in its texts."""
    if isinstance(value, dict):
        return set().union(*map(written_numbers, value), *map(written_numbers, value.values()))
    if isinstance(value, list | tuple):
        return set().union(*map(written_numbers, value))
    if isinstance(value, str):
        return set(NUMBER.findall(value))
    if value is None or isinstance(value, bool):
        return set()
    assert isinstance(value, int | float)
    ways = [f"{value:,}", f"{value}", f"{value:.3g}", f"{value:g}", precise(value), short_number(value)]
    ways += [f"{100 * value:.0f}", format_count(value), format_bytes(value), format_share(value), format_seconds(value)]
    return set().union(*(NUMBER.findall(way) for way in ways))
