"""The part of the page about a task that finds stretches of texts: figures, faults, and texts with their marks."""

from __future__ import annotations

from itertools import pairwise

from groundup.reporting.content import Found, MarkedText, Report, Stretch
from groundup.reporting.language import say, say_name
from groundup.reporting.markup import Html, data, join, tag
from groundup.reporting.parts import Cell, find_language, note, number, prose, section, show_figure, table
from groundup.reporting.sections_classes import draw_buckets


def draw_found(report: Report) -> Html | None:
    """Figures of each part, how often what is wrong is wrong in which way, and texts with what was found in them."""
    found = report["found"]
    if found is None:
        return None
    rows, of = data(f"{found['rows']:,}"), data(f"{found['of']:,}")
    return section(
        "found",
        "found.title",
        note(say(f"found.measured.{found['split']}", rows=rows, of=of)),
        _draw_parts(found) if found["parts"] else None,
        draw_buckets(found["buckets"], say("found.buckets"), say("found.texts")),
        _draw_faults(found["faults"]) if any(found["faults"].values()) else None,
        _draw_list(found, False),
        _draw_list(found, True),
    )


def _draw_parts(found: Found) -> Html:
    """A row for each part, a column for each metric: `f1[PER]` stands in row PER, column F1.

    What is counted of a type are its entities, those that stand in the texts and those that were found; of another part
    its questions.
    """
    names, metrics = ({}, {})
    for figure in found["parts"]:
        metric, _, name = figure["name"].rstrip("]").partition("[")
        names.setdefault(name, {})[metric] = figure
        metrics[metric] = None
    has_types = bool(found["expected"] or found["found"])
    rows: list[list[Html | Cell]] = []
    for name, of in names.items():
        counts = [max(figure["count"] for figure in of.values())]
        if has_types:
            counts = [found[side].get(name, 0) for side in ("expected", "found")]
        first = (prose(name) if name else say("part.untyped")) if has_types else _say_part(name)
        cells = [Cell(show_figure(of[metric]), "number") if metric in of else Cell(Html("")) for metric in metrics]
        rows.append([first, *(number(f"{count:,}") for count in counts), *cells])
    caption, head = say("found.parts"), [say("found.part"), say("found.questions")]
    if has_types:
        caption, head = say("found.types"), [say("found.type"), say("found.expected"), say("found.found")]
    return table(caption, [*head, *(say_name("metric", metric) for metric in metrics)], rows, "numbers")


def _say_part(name: str) -> Html:
    kind, _, size = name.partition(" ")
    if kind == "words" and size:
        return say("part.words", size=data(size.replace("-", "–")))
    return say_name("part", name)


def _draw_faults(faults: dict[str, int]) -> Html:
    rows = [
        [say_name("fault", name), number(f"{count:,}")]
        for name, count in sorted(faults.items(), key=lambda item: -item[1])
        if count
    ]
    return table(say("found.faults"), [say("found.fault"), say("classes.times")], rows, "numbers")


def _draw_list(found: Found, is_right: bool) -> Html | None:
    texts = [text for text in found["shown"] if text["is_right"] is is_right]
    if not texts:
        return None
    which = "right" if is_right else "wrong"
    shown, count = data(str(len(texts))), data(f"{found[f'{which}_rows']:,}")  # type: ignore[literal-required]
    listed = tag("ul", *(_draw_text(each) for each in texts), class_="examples wide-examples")
    return join(tag("h3", say(f"found.{which}", shown=shown, count=count)), listed)


def _draw_text(each: MarkedText) -> Html:
    which = "right" if each["is_right"] else "wrong"
    sign = tag("span", "✓" if each["is_right"] else "✗", class_=f"sign {which}", aria_hidden="true")
    line = tag("small", say("examples.line", line=data(f"{each['line']:,}")))
    title = None if each["title"] is None else prose(each["title"], "p", class_="text")
    parts = [tag("div", tag("dt", say("found.found")), _draw_marks(each["text"], each["found"], ""))]
    if not each["is_right"]:
        expected = _draw_marks(each["text"], each["expected"], "expected")
        parts.append(tag("div", tag("dt", say("found.expected")), expected))
    head = tag("p", sign, tag("b", say(f"mark.{which}")), line, class_="head")
    return tag("li", head, title, tag("dl", *parts, class_="texts"), class_=f"example {which}")


def _draw_marks(text: str, stretches: list[Stretch], style: str) -> Html:
    """The text with every stretch marked and named at its end; where they overlap, pieces are marked together."""
    edges = sorted({0, len(text), *(place for each in stretches for place in (each["start"], each["end"]))})
    pieces: list[Html] = []
    for start, end in pairwise(edges):
        over = [each for each in stretches if each["start"] <= start and end <= each["end"]]
        piece = data(text[start:end])
        ending = sorted((each for each in over if each["end"] == end and each["name"]), key=lambda each: -each["start"])
        names = data(" · ".join(each["name"] for each in ending))  # the innermost first
        pieces.append(tag("mark", piece, tag("sub", names) if ending else None) if over else piece)
    return tag("dd", *pieces, class_=style or None, lang=find_language(text))
