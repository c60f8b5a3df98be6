"""The parts of the page about a classifier: its classes, its confusions, its calibration, rows right and wrong."""

from __future__ import annotations

from groundup.figures import format_share
from groundup.reporting.charts import Series, draw_interval, draw_lines
from groundup.reporting.content import Report
from groundup.reporting.content_rows import Bucket, Classes, Example
from groundup.reporting.language import say, say_name
from groundup.reporting.markup import Html, data, join, tag
from groundup.reporting.parts import Cell, note, number, prose, section, show_figure, show_interval, table

MOST_COLUMNS = 16
"""Classes of a confusion matrix that is shown whole."""
_PAIRS = 15


def draw_classes(report: Report) -> Html | None:
    """Figures of each class, what is taken for what, accuracy by part, calibration."""
    classes = report["classes"]
    if classes is None:
        return None
    return section(
        "classes",
        "classes.title",
        note(say_measured(classes["rows"], classes["of"])),
        tag("div", _draw_confusion(classes), _draw_calibration(classes), class_="pair"),
        _draw_figures(classes),
        draw_buckets(classes["buckets"], say("classes.buckets"), say("classes.count")),
    )


def say_measured(rows: int, of: int) -> Html:
    """On how many of the validation rows figures were measured."""
    if rows == of:
        return say("classes.measured", rows=data(f"{rows:,}"))
    return say("classes.sampled", rows=data(f"{rows:,}"), of=data(f"{of:,}"))


def _draw_figures(classes: Classes) -> Html:
    head = [
        say("classes.label"),
        say("classes.count"),
        *(say(f"metric.{name}") for name in ("precision", "recall", "f1")),
    ]
    rows = [
        [
            prose(each["label"]),
            number(f"{each['count']:,}"),
            *(Cell(show_figure(each[name]), "number") for name in ("precision", "recall", "f1")),  # type: ignore[literal-required]
        ]
        for each in classes["classes"]
    ]
    return table(say("classes.figures"), head, rows, "numbers")


def _draw_confusion(classes: Classes) -> Html:
    if len(classes["labels"]) > MOST_COLUMNS:
        return _draw_pairs(classes)
    corner = join(say("classes.true"), " ↓ · ", say("classes.answer"), " →")
    head = [corner, *(prose(label) for label in classes["labels"])]
    rows = []
    for place, (label, counts) in enumerate(zip(classes["labels"], classes["confusion"], strict=True)):
        total = max(1, sum(counts))
        cells = [
            tag(
                "td",
                data(f"{count:,}"),
                class_="hit" if column == place else "miss",
                style=f"--share:{count / total:.3f}",
            )
            for column, count in enumerate(counts)
        ]
        rows.append([prose(label), *cells])
    return table(say("classes.confusion"), head, rows, "confusion")


def _draw_pairs(classes: Classes) -> Html:
    pairs = sorted(
        (-count, true, answer)
        for true, counts in enumerate(classes["confusion"])
        for answer, count in enumerate(counts)
        if count and true != answer
    )
    labels = classes["labels"]
    rows = [
        [prose(labels[true]), Cell(prose(labels[answer])), number(f"{-count:,}")]
        for count, true, answer in pairs[:_PAIRS]
    ]
    head = [say("classes.true"), say("classes.answer"), say("classes.times")]
    return table(say("classes.pairs"), head, rows)


def draw_buckets(buckets: list[Bucket], caption: Html, counted: Html, measure: Html | None = None) -> Html:
    """Accuracy of every part of the rows, or a share by another name."""
    has_loss = any(bucket["loss"] is not None for bucket in buckets)
    rows: list[list[Html | Cell]] = []
    groups = [bucket["by"] for bucket in buckets]
    for place, bucket in enumerate(buckets):
        by, interval = bucket["by"], None
        is_first = place == 0 or groups[place - 1] != by
        if bucket["low"] is not None and bucket["high"] is not None:
            interval = show_interval(bucket["low"], bucket["high"])
        cells: list[Html | Cell] = []
        if is_first:
            cells.append(Cell(say(f"by.{by}"), "by", is_head=True, rows=groups.count(by)))
        accuracy = Cell(join(data(f"{bucket['accuracy']:.3f}"), " ", interval), "number")
        cells += [Cell(name_part(by, bucket["name"]), is_head=True), number(f"{bucket['count']:,}"), accuracy]
        if has_loss:
            cells.append(number("" if bucket["loss"] is None else f"{bucket['loss']:.3f}"))
        bar = draw_interval(bucket["accuracy"], bucket["low"], bucket["high"])
        rows.append([*cells, tag("td", bar, class_="bar")])
    losses = [say("metric.loss")] if has_loss else []
    head = [say("classes.by"), say("classes.part"), counted, measure or say("metric.accuracy"), *losses, ""]
    return table(caption, head, rows, "numbers buckets")


def name_part(by: str, name: str) -> Html:
    """A part of the rows by what it is a part by."""
    return name_range(*name.split("-")) if by == "length" else say_name(by, name)


def name_range(low: str, high: str) -> Html:
    """`9 to 16`, `65 or more` where `high` is empty, `8` where both are equal."""
    if not high:
        return say("data.or_more", low=data(low))
    return data(low) if low == high else say("data.range", low=data(low), high=data(high))


def _draw_calibration(classes: Classes) -> Html | None:
    calibration = classes["calibration"]
    bins = [each for each in calibration["bins"] if each["confidence"] is not None]
    if len(bins) < 2:
        return None
    confidence = [each["confidence"] or 0.0 for each in bins]
    lines = [
        Series(say("classes.ideal"), "ideal", [0.0, 1.0], [0.0, 1.0]),
        Series(
            say("classes.share_right"), "validation", confidence, [each["accuracy"] for each in bins], has_dots=True
        ),
    ]
    return draw_lines(
        "chart-calibration",
        say("classes.calibration"),
        lines,
        x_name=say("classes.confidence"),
        format_x=lambda share: f"{100 * share:.0f}%",
        format_y=lambda share: f"{100 * share:.0f}%",
        x_range=(0.0, 1.0),
        y_range=(0.0, 1.0),
        note=say("classes.calibration_note", error=data(f"{calibration['error']:.3f}")),
    )


def draw_examples(report: Report) -> Html | None:
    """Rows of the validation data with what the model makes of them."""
    classes = report["classes"]
    if classes is None:
        return None
    return section(
        "examples",
        "examples.title",
        _draw_list("wrong", classes["wrong"], classes["wrong_rows"]),
        _draw_list("right", classes["right"], classes["right_rows"]),
    )


def _draw_list(which: str, examples: list[Example], count: int) -> Html:
    if not examples:
        return note(say(f"examples.no_{which}"))
    title = say(f"examples.{which}", shown=data(str(len(examples))), count=data(f"{count:,}"))
    return join(tag("h3", title), tag("ul", *(_draw_example(each, which) for each in examples), class_="examples"))


def draw_share(label: str, share: float, *, is_answer: bool, is_true: bool, threshold: float | None = None) -> Html:
    """A label with its probability as a bar, on which a line tells from where on it is given."""
    line = None if threshold is None else tag("b", style=f"left:{100 * threshold:.1f}%")
    bar = tag("span", tag("i", style=f"width:{100 * share:.1f}%"), line, class_="meter", aria_hidden="true")
    style = " ".join(name for name, is_so in (("is-answer", is_answer), ("is-true", is_true)) if is_so)
    name = prose(label, class_="label")
    return tag("li", name, bar, data(format_share(share), class_="share"), class_=style or None)


def _draw_example(example: Example, which: str) -> Html:
    sign = "✓" if which == "right" else "✗"
    texts = [prose(text, "p", class_="text") for text in (example["text"], example["pair"]) if text is not None]
    shares = [
        draw_share(label, share, is_answer=label == example["prediction"], is_true=label == example["label"])
        for label, share in example["probabilities"].items()
    ]
    head = tag(
        "p",
        tag("span", sign, class_=f"sign {which}", aria_hidden="true"),
        tag("span", say(f"mark.{which}"), class_="visually-hidden"),
        prose(example["prediction"], "b"),
        "" if which == "right" else tag("span", say("examples.true", label=prose(example["label"], "b"))),
        tag("small", say("examples.line", line=data(f"{example['line']:,}"))),
        class_="head",
    )
    return tag("li", head, *texts, tag("ul", *shares, class_="shares-of"), class_=f"example {which}")
