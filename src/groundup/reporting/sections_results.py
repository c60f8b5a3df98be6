"""The parts of the page about what came out: how the run ended, its figures, its curves, a batch."""

from __future__ import annotations

from typing import Any

from groundup.figures import Number, format_count, format_seconds, format_share
from groundup.reporting.charts import Mark, Series, draw_interval, draw_lines
from groundup.reporting.content import Baseline, Curves, Report
from groundup.reporting.content_rows import Figure
from groundup.reporting.language import say, say_name
from groundup.reporting.markup import Html, data, join, tag
from groundup.reporting.parts import fold, name_metric, note, number, precise, prose, section, show_interval, table

_SHARES = (
    "accuracy",
    "precision",
    "recall",
    "f1",
    "macro_f1",
    "weighted_f1",
    "samples_f1",
    "exact_match",
    "tag_accuracy",
    "hamming_loss",
    "auc",
    "calibration_error",
)
"""Metrics between 0 and 1."""
_CHARTED = ("macro_f1", "f1", "pearson", "bits_per_byte", "accuracy", "character_perplexity", "perplexity")
"""Metrics that have a chart, the first of those that a run has."""
_SMALL = (
    ("learning_rate", "curves.learning_rate"),
    ("tokens_per_second", "curves.speed"),
    ("grad_norm", "curves.grad_norm"),
)
"""Curves of training and their titles."""


def draw_header(report: Report) -> Html:
    """What was done, and how it ended."""
    run, design = report["run"], report["design"]
    objective, data_kind = say_name("objective", run["objective"]), say_name("data_kind", run["data_kind"])
    start = say("run.fresh") if run["start"] is None else data(run["start"], "code")
    facts = [("run.steps", _done(run["step"], run["total_steps"]))]
    if run["epochs"] is not None:
        facts.append(("run.epochs", data(f"{run['epochs']:.3g}")))
    facts.append(("run.tokens", data(format_count(run["tokens"]))))
    facts.append(("run.seconds", data(format_seconds(run["seconds"]))))
    if design is not None:
        facts.append(("run.parameters", data(format_count(design["num_parameters"]))))
    if run["model_step"] is not None:
        facts.append(("run.model_step", data(f"{run['model_step']:,}")))
    if run["skipped"]:
        facts.append(("run.skipped", data(f"{run['skipped']:,}")))
    listed = [tag("div", tag("dt", say(key)), tag("dd", value)) for key, value in facts]
    state = tag("span", say(f"state.{run['state']}"), class_=f"state {run['state']}")
    return tag(
        "header",
        tag("p", data("groundup"), " · ", say("page.kind"), class_="eyebrow"),
        tag("h1", prose(run["name"]), " ", state),
        tag("p", say("run.what", objective=objective, data=data_kind, start=start), class_="lead"),
        tag("dl", *listed, class_="facts"),
    )


def draw_results(report: Report) -> Html:
    """The headline figures with their intervals."""
    run, baseline, metrics = report["run"], report["baseline"], report["metrics"]
    if not metrics:
        return section("results", "results.title", note(say("results.none")))
    cards = [draw_card(figure, baseline) for figure in metrics]
    signatures: dict[str, list[str]] = {}
    for figure in metrics:
        signatures.setdefault(figure["signature"], []).append(figure["name"])
    how = [
        tag("li", join(*(part for name in names for part in (name_metric(name), " "))), data(signature, "code"))
        for signature, names in signatures.items()
    ]
    of_step = say("results.of_step", step=data(f"{run['model_step'] or run['step']:,}"))
    return section(
        "results",
        "results.title",
        note(of_step),
        tag("div", *cards, class_="cards"),
        fold(say("results.how"), tag("ul", *how, class_="signatures")),
    )


def draw_card(figure: Figure, baseline: Baseline | None) -> Html:
    """A figure in large, with its interval and what it is to be compared with."""
    is_percent, low, high = "percent" in figure["signature"].split("|"), figure["low"], figure["high"]
    is_share, whole = is_percent or figure["name"] in _SHARES, 100.0 if is_percent else 1.0
    has_baseline = baseline is not None and baseline["metric"] == figure["name"]
    mark = baseline["value"] if baseline is not None and has_baseline else None
    compared = None
    if baseline is not None and mark is not None:
        value = data(format_share(mark / whole) if is_share else precise(mark))
        label = baseline["label"]
        compared = say("results.guess", value=value) if label is None else _name_baseline(label, value)
    return tag(
        "div",
        tag("h3", name_metric(figure["name"])),
        tag("p", data(precise(figure["value"])), class_="value"),
        None if low is None or high is None else tag("p", show_interval(low, high)),
        draw_interval(*(each if each is None else each / whole for each in (figure["value"], low, high, mark)))
        if is_share
        else None,
        tag("p", say("results.over", count=data(f"{figure['count']:,}"))),
        None
        if compared is None
        else tag("p", tag("i", class_="tick-key") if is_share else None, compared, class_="baseline"),
        class_="card",
    )


def _name_baseline(label: str, value: Html) -> Html:
    return say("results.baseline", label=prose(label), value=value)


def draw_curves(report: Report) -> Html:
    """Losses, the metric that chose the model, and how training went."""
    curves = report["curves"]
    train, steps = curves["train"], curves["validation_steps"]
    if not train["step"] and not steps:
        return section("curves", "curves.title", note(say("curves.none")))
    names = _choose_metrics(curves)
    wide = "wide" if len(names) % 2 else "half"
    charts = [_draw_losses(report), *(_draw_metric(report, name, wide) for name in names)]
    charts += [draw for name, title in _SMALL if (draw := _draw_small(report, name, title)) is not None]
    thinned = curves["lines_per_point"] > 1
    lines = note(say("curves.thinned", lines=data(str(curves["lines_per_point"])))) if thinned else None
    return section("curves", "curves.title", lines, tag("div", *charts, class_="charts"), _draw_validations(curves))


def _choose_metrics(curves: Curves) -> list[str]:
    """Two besides the loss, the one that chooses the model first."""
    names = [curves["best_metric"], *(name for name in _CHARTED if name != curves["best_metric"])]
    return [name for name in names if name != "loss" and name in curves["validation"]][:2]


def _draw_small(report: Report, name: str, title: str) -> Html | None:
    train = report["curves"]["train"]
    if all(value is None for value in train.get(name, ())):
        return None
    is_speed = name == "tokens_per_second"
    line = Series(say("curves.tokens_per_second" if is_speed else title), "train", _numbers(train["step"]), train[name])
    comment = say("curves.speed_note") if is_speed and report["curves"]["validation_steps"] else None
    return draw_lines(
        f"chart-{name}",
        say(title),
        [line],
        x_name=say("curves.step"),
        x_range=_steps(report),
        note=comment,
        style="small",
    )


def _draw_losses(report: Report) -> Html:
    curves = report["curves"]
    lines = [Series(say("curves.train"), "train", _numbers(curves["train"]["step"]), curves["train"]["loss"])]
    if "loss" in curves["validation"]:
        lines.append(_validation_line(curves, "loss", say("curves.validation")))
    return draw_lines(
        "chart-loss",
        say("curves.loss"),
        lines,
        x_name=say("curves.step"),
        x_range=_steps(report),
        mark=_mark_best(report),
        note=say("curves.loss_note"),
        style="wide",
    )


def _draw_metric(report: Report, name: str, style: str) -> Html:
    curves = report["curves"]
    return draw_lines(
        f"chart-{name}",
        name_metric(name),
        [_validation_line(curves, name, say("curves.validation"))],
        x_name=say("curves.step"),
        x_range=_steps(report),
        mark=_mark_best(report),
        note=say("curves.metric_note"),
        style=style,
    )


def _validation_line(curves: Curves, name: str, title: Html) -> Series:
    figures = curves["validation"][name]
    return Series(
        title,
        "validation",
        curves["validation_steps"],
        [figure["value"] for figure in figures],
        [figure["low"] for figure in figures],
        [figure["high"] for figure in figures],
        has_dots=True,
    )


def _mark_best(report: Report) -> Mark | None:
    step = report["run"]["model_step"]
    return None if step is None or len(report["curves"]["validation_steps"]) < 2 else Mark(step, say("curves.kept"))


def _steps(report: Report) -> tuple[Number, Number]:
    return 0, max(1, report["run"]["step"])


def _draw_validations(curves: Curves) -> Html | None:
    names = list(curves["validation"])
    if not names:
        return None
    rows = [
        [data(f"{step:,}"), *(number(precise(curves["validation"][name][place]["value"])) for name in names)]
        for place, step in enumerate(curves["validation_steps"])
    ]
    shown = table(None, [say("curves.step"), *(name_metric(name) for name in names)], rows, "numbers")
    return fold(say("curves.table"), shown)


def draw_batch(report: Report) -> Html | None:
    """What a step trains on, in the objective's own words."""
    batch = report["batch"]
    if batch is None:
        return None
    figures: dict[str, Any] = {
        name: data(f"{batch[name]:,}") for name in ("step", "epoch", "sequences", "tokens", "micro_batches")
    }
    lines = [prose(line, "li") for line in batch["lines"]]
    return section("batch", "batch.title", note(say("batch.what", **figures)), tag("ul", *lines, class_="lines"))


def _done(step: int, total: int | None) -> Html:
    if total is None or step == total:
        return data(f"{step:,}")
    return say("run.of", done=data(f"{step:,}"), total=data(f"{total:,}"))


def _numbers(values: list[Number | None]) -> list[Number]:
    return [value for value in values if value is not None]
