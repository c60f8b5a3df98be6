"""The part of the page about predicted numbers: beside the true ones, errors by part, the largest of them."""

from __future__ import annotations

from groundup.reporting.charts import draw_bar, draw_points
from groundup.reporting.content import Report
from groundup.reporting.content_rows import ErrorPart, NumberedRow, Numbers
from groundup.reporting.language import say
from groundup.reporting.markup import Html, data, join, tag
from groundup.reporting.parts import Cell, note, number, precise, prose, section, show_interval, table
from groundup.reporting.sections_classes import name_part, say_measured


def draw_numbers(report: Report) -> Html | None:
    """Predicted against true, mean error by part, rows with the largest errors."""
    numbers = report["numbers"]
    if numbers is None:
        return None
    shown = data(f"{len(numbers['points']):,}")
    picture = draw_points(
        "chart-numbers",
        say("numbers.points"),
        numbers["points"],
        note=say("numbers.points_note", shown=shown, rows=data(f"{numbers['rows']:,}")),
    )
    return section(
        "numbers",
        "numbers.title",
        note(say_measured(numbers["rows"], numbers["of"])),
        picture,
        _draw_parts(numbers["parts"]),
        _draw_list(numbers),
    )


def _draw_parts(parts: list[ErrorPart]) -> Html:
    largest = max(part["error"] for part in parts) or 1.0
    groups = [part["by"] for part in parts]
    rows: list[list[Html | Cell]] = []
    for place, part in enumerate(parts):
        by = part["by"]
        cells: list[Html | Cell] = []
        if place == 0 or groups[place - 1] != by:
            cells.append(Cell(say(f"by.{by}"), "by", is_head=True, rows=groups.count(by)))
        low, high = part["low"], part["high"]
        interval = None if low is None or high is None else show_interval(low, high)
        error = join(data(precise(part["error"])), " ", interval)
        bias = ("+" if part["bias"] > 0 else "−") + precise(abs(part["bias"]))
        cells += [Cell(name_part(by, part["name"]), is_head=True), number(f"{part['count']:,}"), Cell(error, "number")]
        rows.append([*cells, number(bias), draw_bar(part["error"] / largest)])
    head = [say("classes.by"), say("classes.part"), say("classes.count"), say("metric.mae"), say("numbers.bias"), ""]
    return table(say("numbers.parts"), head, rows, "numbers buckets")


def _draw_list(numbers: Numbers) -> Html:
    rows = numbers["worst"]
    title = say("numbers.worst", shown=data(str(len(rows))), count=data(f"{numbers['rows']:,}"))
    return join(tag("h3", title), tag("ul", *map(_draw_row, rows), class_="examples"))


def _draw_row(row: NumberedRow) -> Html:
    texts = [prose(text, "p", class_="text") for text in (row["text"], row["pair"]) if text is not None]
    head = tag(
        "p",
        tag("span", say("numbers.predicted", number=data(precise(row["predicted"]), "b"))),
        tag("span", say("examples.true", label=data(precise(row["true"]), "b"))),
        tag("small", say("examples.line", line=data(f"{row['line']:,}"))),
        class_="head",
    )
    return tag("li", head, *texts, class_="example")
