"""The page of a design, or of two with what differs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from groundup.figures import Number, format_bytes, format_count
from groundup.reporting.content import Comparison, Design
from groundup.reporting.diagram import draw_design
from groundup.reporting.language import say, say_name
from groundup.reporting.markup import Html, data, join, tag
from groundup.reporting.page import frame
from groundup.reporting.parts import Cell, code, fold, note, number, section, table
from groundup.reporting.sections_design import draw_design_parts

Form = Callable[[Number], str]
_BOTH: Final = ("one", "other")


def _plain(value: Number) -> str:
    return f"{value:,}"


_FIGURES: Final[tuple[tuple[str, Form, str, str], ...]] = (
    ("num_parameters", _plain, "parameters", "part"),
    ("forward_flops_per_token", format_count, "forward_flops", "part"),
    ("training_flops_per_token", format_count, "", ""),
    ("total_memory", format_bytes, "memory", "memory"),
    ("cache_bytes_per_token", format_bytes, "", ""),
)
"""A figure of a design, how it is written, the parts that it is made of, and the texts of their names."""


def render_design(design: Design, version: str) -> str:
    """The page of one design, as it is to be written to a file."""
    facts = {
        "desk.parameters": f"{design['num_parameters']:,}",
        "desk.flops": format_count(design["forward_flops_per_token"], " "),
        "desk.memory": format_bytes(design["total_memory"]),
    }
    listed = [tag("div", tag("dt", say(key)), tag("dd", data(text))) for key, text in facts.items()]
    header = _draw_header("desk.kind", data(design["name"]), tag("dl", *listed, class_="facts"))
    return frame(design["name"], header, [("design", _draw_one("design", "design.title", design))], _made(version))


def render_comparison(comparison: Comparison, version: str) -> str:
    """The page of two designs, as it is to be written to a file."""
    one, other = comparison["one"], comparison["other"]
    names = [
        tag("div", tag("dt", say(f"desk.{key}")), tag("dd", data(design["name"], "code")))
        for key, design in (("one", one), ("other", other))
    ]
    header = _draw_header("desk.kind_two", say("desk.kind_two"), tag("dl", *names, class_="facts names"))
    sections = [
        ("differences", _draw_differences(comparison)),
        ("one", _draw_one("one", "desk.one", one)),
        ("other", _draw_one("other", "desk.other", other)),
    ]
    return frame(f"{one['name']} · {other['name']}", header, sections, _made(version))


def _draw_header(kind: str, title: Html, below: Html) -> Html:
    return tag("header", tag("p", data("groundup"), " · ", say(kind), class_="eyebrow"), tag("h1", title), below)


def _draw_one(name: str, title: str, design: Design) -> Html:
    values = code(json.dumps(design["config"], ensure_ascii=False, indent=1), "json")
    lead = None if name == "design" else note(data(design["name"], "code"))
    drawing = None if name != "design" else name
    return section(name, title, lead, *draw_design_parts(design, drawing), fold(say("desk.values"), values))


def _draw_differences(comparison: Comparison) -> Html:
    rows = [
        [data(key, "code"), Cell(data(_show(one), "code")), Cell(data(_show(other), "code"))]
        for key, (one, other) in comparison["differences"].items()
    ]
    head = [say("desk.key"), say("desk.one"), say("desk.other")]
    keys = table(None, head, rows) if rows else note(say("desk.same"))
    figures = [*_compare(comparison["one"], comparison["other"])]
    head = [say("desk.figure"), say("desk.one"), say("desk.other"), say("desk.ratio")]
    costs = table(say("desk.figures"), head, figures, "numbers")
    configs = {name: comparison[name]["config"] for name in _BOTH}  # type: ignore[literal-required]
    drawn = [
        draw_design(configs[name], name, say(f"desk.{name}"), beside=configs[other])
        for name, other in zip(_BOTH, reversed(_BOTH), strict=True)
    ]
    drawings = join(note(say("desk.marked")), tag("div", *drawn, class_="pair"))
    return section("differences", "desk.differences", drawings, keys, costs, _draw_modules(comparison))


def _draw_modules(comparison: Comparison) -> Html | None:
    rows = [
        [data(each["name"], "code"), *(Cell(data(each[side].replace("  ", ", ") or "–", "code")) for side in _BOTH)]
        for each in comparison["modules"]
    ]
    head = [say("design.module"), say("desk.one"), say("desk.other")]
    return table(say("desk.modules"), head, rows) if rows else None


def _compare(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[list[Html | Cell]]:
    for key, form, parts, names in _FIGURES:
        if one[key] is None and other[key] is None:
            continue
        yield [tag("b", say(f"figure.{key}")), *_row(one[key], other[key], form)]
        for part in dict.fromkeys([*one.get(parts, ()), *other.get(parts, ())]):
            values = one[parts].get(part, 0), other[parts].get(part, 0)
            if any(values):
                name = say_name("memory", part) if names == "memory" else say_name("part", part)
                yield [tag("span", name, class_="inner"), *_row(*values, form)]


def _row(one: Number | None, other: Number | None, form: Form) -> list[Cell]:
    ratio = "" if not one or other is None else "=" if one == other else f"× {other / one:.3g}"
    cells = [number("–" if value is None else form(value)) for value in (one, other)]
    return [*cells, Cell(data(ratio), "number" if ratio in ("", "=") else "number differs")]


def _show(value: object) -> str:
    return "–" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _made(version: str) -> Html:
    return join(say("desk.made", version=data(version)))
