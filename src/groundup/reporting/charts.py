"""Charts as inline SVG and HTML. A drawing stretches with the page; its labels are text of the page and do not."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from groundup.figures import Number
from groundup.reporting.markup import Html, data, join, tag

_SIDE: Final = 1000
"""Of the square that a drawing is stretched from."""
_TICKS: Final = 5
Format = Callable[[Number], str]


@dataclass(frozen=True)
class Series:
    """A line of a chart. A None breaks it."""

    name: Html
    style: str
    """Its class: `train`, `validation`, `second`, `ideal`."""
    x: Sequence[Number]
    y: Sequence[Number | None]
    low: Sequence[Number | None] | None = None
    high: Sequence[Number | None] | None = None
    has_dots: bool = False


@dataclass(frozen=True)
class Mark:
    """A dashed line at one x."""

    x: Number
    name: Html


@dataclass(frozen=True)
class Range:
    """What an axis shows, and where it has ticks."""

    low: Number
    high: Number
    ticks: tuple[Number, ...]

    def place(self, value: Number) -> float:
        """Where a value lies, from 0 to 1."""
        return (value - self.low) / (self.high - self.low)


def draw_lines(
    name: str,
    title: Html,
    series: Sequence[Series],
    *,
    x_name: Html,
    format_x: Format | None = None,
    format_y: Format | None = None,
    x_range: tuple[Number, Number] | None = None,
    y_range: tuple[Number, Number] | None = None,
    mark: Mark | None = None,
    note: Html | None = None,
    style: str = "",
) -> Html:
    """A chart of lines with its legend, which shows the newest values, and those under the pointer.

    Args:
        name: unique on the page.
        title: what is shown.
        series: at least one of them with a value.
        x_name: what stands along the bottom.
        format_x: how its values are written.
        format_y: how the values of the series are written.
        x_range: what the bottom shows; None for all values.
        y_range: what the side shows; None for all values.
        mark: a place to point at.
        note: a sentence below.
        style: further classes.
    """
    format_x, format_y = format_x or short_number, format_y or short_number
    shown = [each for each in series if any(value is not None for value in each.y)]
    xs = [value for each in shown for value in each.x]
    ys = [
        value for each in shown for part in (each.y, each.low, each.high) for value in part or () if value is not None
    ]
    across = choose_range(*(x_range or (min(xs), max(xs))), is_tight=True)
    up = choose_range(*(y_range or (min(ys), max(ys))), is_tight=y_range is not None)
    grid = join(*(_line(0, up.place(tick), 1, up.place(tick), "grid") for tick in up.ticks))
    bands = join(*(_draw_band(each, across, up) for each in shown))
    lines = join(*(_draw_line(each, across, up, format_x, format_y) for each in shown))
    marked = "" if mark is None else _line(across.place(mark.x), 0, across.place(mark.x), 1, "mark")
    picture = tag(
        "svg",
        tag("g", grid, marked, bands, lines, _line(0, 0, 0, 1, "hair")),
        viewBox=f"0 0 {_SIDE} {_SIDE}",
        preserveAspectRatio="none",
        role="img",
        aria_labelledby=f"{name}-title {name}-legend",
    )
    labels = [tag("span", format_y(tick), class_="y", style=f"bottom:{_percent(up.place(tick))}") for tick in up.ticks]
    labels += [
        tag("span", format_x(tick), class_="x", style=f"left:{_percent(across.place(tick))}") for tick in across.ticks
    ]
    if mark is not None:
        side = "mark-name" if across.place(mark.x) < 0.7 else "mark-name is-left"
        labels.append(tag("span", mark.name, class_=side, style=f"left:{_percent(across.place(mark.x))}"))
    plot = tag(
        "div",
        tag("div", picture, tag("div", *labels, aria_hidden="true", translate="no"), class_="area"),
        class_="plot",
    )
    return tag(
        "figure",
        tag("figcaption", title, id=f"{name}-title"),
        _draw_legend(name, shown, x_name, format_x, format_y),
        plot,
        None if note is None else tag("p", note, class_="note"),
        class_=f"chart {style}".strip(),
    )


def draw_points(name: str, title: Html, points: Sequence[Sequence[Number]], *, note: Html) -> Html:
    """Points on two axes of the same range, with the line on which both of their numbers are equal."""
    values = [value for point in points for value in point]
    both = choose_range(min(values), max(values), is_tight=False)
    grid = [_line(0, both.place(tick), 1, both.place(tick), "grid") for tick in both.ticks]
    places = [_point(both.place(x), both.place(y)) for x, y in points]
    # A line of no length with round ends stays a round dot however the drawing is stretched.
    dots = tag("path", class_="dots cloud", d=" ".join(f"M{x:g},{y:g}h0" for x, y in places))
    picture = tag(
        "svg",
        tag("g", *grid, _line(0, 0, 1, 1, "line ideal"), dots),
        viewBox=f"0 0 {_SIDE} {_SIDE}",
        preserveAspectRatio="none",
        role="img",
        aria_labelledby=f"{name}-title",
    )
    labels = [
        tag("span", short_number(tick), class_=axis, style=f"{side}:{_percent(both.place(tick))}")
        for axis, side in (("y", "bottom"), ("x", "left"))
        for tick in both.ticks
    ]
    area = tag("div", picture, tag("div", *labels, aria_hidden="true", translate="no"), class_="area")
    caption = tag("figcaption", title, id=f"{name}-title")
    return tag("figure", caption, tag("div", area, class_="plot"), tag("p", note, class_="note"), class_="points")


def draw_interval(value: Number, low: Number | None, high: Number | None, mark: Number | None = None) -> Html:
    """A share between 0 and 1 as a dot, its interval as a bar, a tick to compare with. The figures stand beside it."""
    parts = []
    if low is not None and high is not None:
        parts.append(tag("i", class_="span", style=f"left:{_percent(low)};right:{_percent(1 - high)}"))
    if mark is not None:
        parts.append(tag("i", class_="tick", style=f"left:{_percent(mark)}"))
    parts.append(tag("i", class_="dot", style=f"left:{_percent(value)}"))
    return tag("div", *parts, class_="interval", aria_hidden="true")


def draw_bar(share: Number, style: str = "") -> Html:
    """A bar in a table's cell, beside the figure it stands for."""
    bar = tag("i", class_=style or None, style=f"width:{_percent(min(1.0, max(0.0, share)))}")
    return tag("td", tag("div", bar), class_="bar", aria_hidden="true")


def draw_shares(shares: Sequence[Number]) -> Html:
    """A bar cut into parts; the table beside it names them in the same order and colours."""
    parts = [tag("i", class_=f"part-{n}", style=f"width:{_percent(share)}") for n, share in enumerate(shares) if share]
    return tag("div", *parts, class_="shares", aria_hidden="true")


def choose_range(low: Number, high: Number, *, is_tight: bool) -> Range:
    """Round ticks over the values; the range ends at ticks unless it is tight."""
    if high <= low:
        around = abs(low) * 0.1 or 1.0
        low, high = (low, low + around) if is_tight else (low - around, low + around)
    step = _round_step((high - low) / _TICKS)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    ticks = [number * step for number in range(first, last + 1)]
    if is_tight:
        ticks = [tick for tick in ticks if low - 1e-9 * step <= tick <= high + 1e-9 * step]
        return Range(low, high, tuple(ticks))
    return Range(ticks[0], ticks[-1], tuple(ticks))


def short_number(value: Number) -> str:
    """`0.0432`, `1.234`, `3.2e-05`, `12.3k`: what an axis has room for."""
    size = abs(value)
    if size < 1e-12:
        return "0"
    if size >= 1e6:
        return f"{value / 1e6:.3g}M"
    if size >= 1e4:
        return f"{value / 1e3:.3g}k"
    if size >= 100:
        return f"{value:.0f}"
    return f"{value:.4g}" if size >= 1e-3 else f"{value:.2g}"


def _round_step(step: Number) -> float:
    power = 10.0 ** math.floor(math.log10(step))
    return next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= step * 0.999)


def _draw_line(each: Series, across: Range, up: Range, format_x: Format, format_y: Format) -> Html:
    runs: list[list[tuple[Number, Number]]] = [[]]
    for x, y in zip(each.x, each.y, strict=True):
        if y is None:
            runs.append([])
        else:
            runs[-1].append(_point(across.place(x), up.place(y)))
    lines = " ".join("M" + " L".join(f"{x:g},{y:g}" for x, y in run) for run in runs if run)
    values = [(format_x(x), format_y(y), across.place(x)) for x, y in zip(each.x, each.y, strict=True) if y is not None]
    drawn = tag(
        "path",
        class_=f"line {each.style}",
        d=lines,
        data_at=" ".join(f"{place:.4f}" for _, _, place in values),
        data_x=" ".join(x for x, _, _ in values),
        data_y=" ".join(y for _, y, _ in values),
    )
    if not each.has_dots and len(values) > 1:
        return drawn
    # A line of no length with round ends stays a round dot however the drawing is stretched.
    dots = " ".join(f"M{x:g},{y:g}h0" for run in runs for x, y in run)
    return join(drawn, tag("path", class_=f"dots {each.style}", d=dots))


def _draw_band(each: Series, across: Range, up: Range) -> Html:
    if each.low is None or each.high is None:
        return Html("")
    bounds = [(x, low, high) for x, low, high in zip(each.x, each.low, each.high, strict=True) if low is not None]
    if len(bounds) < 2:
        return Html("")
    points = [_point(across.place(x), up.place(high)) for x, _, high in bounds if high is not None]
    points += [_point(across.place(x), up.place(low)) for x, low, _ in reversed(bounds)]
    return tag("path", class_=f"band {each.style}", d="M" + " L".join(f"{x:g},{y:g}" for x, y in points) + "Z")


def _draw_legend(name: str, shown: Sequence[Series], x_name: Html, format_x: Format, format_y: Format) -> Html:
    items = []
    for each in shown:
        last = next(value for value in reversed(each.y) if value is not None)
        value = None if each.style == "ideal" else data(format_y(last), "b")
        items.append(tag("li", tag("i", class_=f"key {each.style}"), each.name, " ", value, class_="series"))
    end = max(value for each in shown if each.style != "ideal" for value in each.x)
    items.append(tag("li", x_name, " ", data(format_x(end), "b"), class_="at"))
    return tag("ul", *items, class_="legend", id=f"{name}-legend")


def _line(x1: Number, y1: Number, x2: Number, y2: Number, style: str) -> Html:
    (left, top), (right, bottom) = _point(x1, y1), _point(x2, y2)
    return tag("path", class_=style, d=f"M{left:g},{top:g} L{right:g},{bottom:g}")


def _point(x: Number, y: Number) -> tuple[Number, Number]:
    """A place from 0 to 1, upwards, on the drawing, whose y runs downwards."""
    return round(_SIDE * x, 1), round(_SIDE * (1 - y), 1)


def _percent(share: Number) -> str:
    return f"{100 * share:.2f}%"
