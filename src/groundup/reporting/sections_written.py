"""The part of the page about a decoder: what it writes after prompts, beside what stands in the data."""

from __future__ import annotations

from groundup.reporting.content import Report, Writing, WrittenText
from groundup.reporting.language import say
from groundup.reporting.markup import Html, data, join, tag
from groundup.reporting.parts import note, prose, section
from groundup.reporting.sections_classes import draw_buckets


def draw_written(report: Report) -> Html | None:
    """Completions right and wrong, or texts that are written on."""
    writing = report["writing"]
    if writing is None:
        return None
    rows, of = data(f"{writing['rows']:,}"), data(f"{writing['of']:,}")
    if writing["exact_rows"] is None:
        measured = say(f"written.on.{writing['split']}", rows=rows, of=of)
        return section("written", "written.title", note(measured), _draw_texts(writing["shown"]))
    measured = say(f"written.measured.{writing['split']}", rows=rows, of=of)
    buckets = draw_buckets(writing["buckets"], say("written.buckets"), say("classes.count"))
    lists = (_draw_list(writing, "wrong", False), _draw_list(writing, "exact", True))
    return section("written", "written.title", note(measured), buckets, *lists)


def _draw_list(writing: Writing, which: str, is_right: bool) -> Html | None:
    texts = [text for text in writing["shown"] if text["is_right"] is is_right]
    if not texts:
        return None
    shown, count = data(str(len(texts))), data(f"{writing[f'{which}_rows']:,}")  # type: ignore[literal-required]
    return join(tag("h3", say(f"written.{which}", shown=shown, count=count)), _draw_texts(texts))


def _draw_texts(texts: list[WrittenText]) -> Html:
    return tag("ul", *(_draw_text(each) for each in texts), class_="examples wide-examples")


def _draw_text(each: WrittenText) -> Html:
    is_right, key = each["is_right"], "examples.line" if each["is_right"] is not None else "written.sample"
    parts = [("written.prompt", each["prompt"], ""), ("written.written", each["written"], "written")]
    if not is_right:
        parts.append(("written.expected", each["expected"], "expected"))
    listed = [tag("div", tag("dt", say(name)), prose(text, "dd", class_=style or None)) for name, text, style in parts]
    number = tag("small", say(key, line=data(f"{each['number']:,}")))
    mark = None
    if is_right is not None:
        style = "right" if is_right else "wrong"
        sign = tag("span", "✓" if is_right else "✗", class_=f"sign {style}", aria_hidden="true")
        mark = join(sign, tag("b", say(f"mark.{style}")))
    kind = "" if is_right is None else " right" if is_right else " wrong"
    return tag("li", tag("p", mark, number, class_="head"), tag("dl", *listed, class_="texts"), class_=f"example{kind}")
