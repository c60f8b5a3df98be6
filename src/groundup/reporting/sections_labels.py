"""The part of the page about rows with several labels: each label with its threshold, and rows right and wrong."""

from __future__ import annotations

from collections.abc import Mapping

from groundup.reporting.content import Report
from groundup.reporting.content_rows import LabelledRow, Labels
from groundup.reporting.language import say
from groundup.reporting.markup import Html, data, join, tag
from groundup.reporting.parts import Cell, note, number, precise, prose, section, show_figure, table
from groundup.reporting.sections_classes import draw_buckets, draw_share, say_measured


def draw_labels(report: Report) -> Html | None:
    """Figures and threshold of each label, rows wholly right by part, rows with what they are given."""
    labels = report["labels"]
    if labels is None:
        return None
    exact = say("metric.exact_match")
    return section(
        "labels",
        "labels.title",
        note(say_measured(labels["rows"], labels["of"])),
        _draw_figures(labels),
        draw_buckets(labels["buckets"], say("labels.buckets"), say("classes.count"), exact),
        _draw_list(labels, "wrong"),
        _draw_list(labels, "right"),
    )


def _draw_figures(labels: Labels) -> Html:
    metrics = ("precision", "recall", "f1")
    head = [
        say("labels.label"),
        say("classes.count"),
        say("labels.threshold"),
        *(say(f"metric.{name}") for name in metrics),
    ]
    rows = [
        [
            prose(each["label"]),
            number(f"{each['count']:,}"),
            number(precise(each["threshold"])),
            *(Cell(show_figure(each[name]), "number") for name in metrics),  # type: ignore[literal-required]
        ]
        for each in labels["figures"]
    ]
    return table(say("labels.figures"), head, rows, "numbers")


def _draw_list(labels: Labels, which: str) -> Html:
    rows, count = labels[which], labels[f"{which}_rows"]  # type: ignore[literal-required]
    if not rows:
        return note(say(f"examples.no_{which}"))
    thresholds = {each["label"]: each["threshold"] for each in labels["figures"]}
    title = say(f"labels.{which}", shown=data(str(len(rows))), count=data(f"{count:,}"))
    listed = tag("ul", *(_draw_row(row, which, thresholds) for row in rows), class_="examples")
    return join(tag("h3", title), note(say("labels.note")) if which == "wrong" else "", listed)


def _draw_row(row: LabelledRow, which: str, thresholds: Mapping[str, float]) -> Html:
    sign = "✓" if which == "right" else "✗"
    texts = [prose(text, "p", class_="text") for text in (row["text"], row["pair"]) if text is not None]
    shares = [
        draw_share(
            label,
            share,
            is_answer=label in row["given"],
            is_true=label in row["true"],
            threshold=thresholds.get(label),
        )
        for label, share in row["probabilities"].items()
    ]
    head = tag(
        "p",
        tag("span", sign, class_=f"sign {which}", aria_hidden="true"),
        tag("span", say(f"mark.{which}"), class_="visually-hidden"),
        tag("b", _name_all(row["given"])),
        "" if which == "right" else tag("span", say("examples.true", label=tag("b", _name_all(row["true"])))),
        tag("small", say("examples.line", line=data(f"{row['line']:,}"))),
        class_="head",
    )
    return tag("li", head, *texts, tag("ul", *shares, class_="shares-of"), class_=f"example {which}")


def _name_all(labels: list[str]) -> Html:
    return prose(" · ".join(labels)) if labels else say("labels.none")
