"""The page of several seeds: what each came to, and what all of them come to together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from groundup.reporting.language import say, say_name
from groundup.reporting.markup import Html, data, tag
from groundup.reporting.page import frame
from groundup.reporting.parts import (
    Cell,
    fold,
    name_metric,
    note,
    number,
    precise,
    prose,
    section,
    show_interval,
    table,
)


def render_seeds(
    name: str,
    runs: Sequence[Mapping[str, Any]],
    metrics: Mapping[str, Mapping[str, Any]],
    test_metrics: Mapping[str, Mapping[str, Any]],
    chosen_by: str | None,
    version: str,
) -> str:
    """The page, as it is to be written to a file.

    Args:
        name: of the folder.
        runs: of each its `seed`, `state`, `is_best`, the judge by which it `collapsed`, the error with which it
            `diverged`, its `metrics`, and the `report` beside this page.
        metrics: on validation, over the seeds: `mean`, `spread`, `low`, `high`, `signature`.
        test_metrics: the same on the test data.
        chosen_by: the metric that the best seed was chosen by.
        version: of groundup.
    """
    header = tag(
        "header",
        tag("p", data("groundup"), " · ", say("seeds.kind"), class_="eyebrow"),
        tag("h1", prose(name)),
        tag("p", say("seeds.what"), class_="lead"),
    )
    sections = [("together", _draw_together(metrics, test_metrics)), ("seeds", _draw_runs(runs, metrics, chosen_by))]
    return frame(name, header, sections, say("desk.made", version=data(version)))


def _draw_together(metrics: Mapping[str, Mapping[str, Any]], test_metrics: Mapping[str, Mapping[str, Any]]) -> Html:
    if not metrics:
        return section("together", "seeds.together", note(say("seeds.none")))
    tables = [_draw_metrics("seeds.on_validation", metrics)]
    tables += [_draw_metrics("seeds.on_test", test_metrics)] if test_metrics else []
    how = [
        tag("li", name_metric(name), " ", data(each["signature"], "code"))
        for name, each in {**metrics, **test_metrics}.items()
    ]
    return section(
        "together",
        "seeds.together",
        note(say("seeds.student")),
        *tables,
        fold(say("results.how"), tag("ul", *how, class_="signatures")),
    )


def _draw_metrics(caption: str, metrics: Mapping[str, Mapping[str, Any]]) -> Html:
    rows = [
        [
            name_metric(name),
            number(precise(each["mean"])),
            number("–" if each["spread"] is None else precise(each["spread"])),
            Cell("–" if each["low"] is None else show_interval(each["low"], each["high"]), "number"),
        ]
        for name, each in metrics.items()
    ]
    head = [say("seeds.metric"), say("seeds.mean"), say("seeds.spread"), say("seeds.interval")]
    return table(say(caption), head, rows)


def _draw_runs(
    runs: Sequence[Mapping[str, Any]], metrics: Mapping[str, Mapping[str, Any]], chosen_by: str | None
) -> Html:
    rows = [[_name_run(run), *(_show(run, name) for name in metrics), _say_state(run)] for run in runs]
    head = [say("seeds.seed"), *map(name_metric, metrics), say("seeds.state")]
    why = [tag("li", _explain(run)) for run in runs if run["collapsed"] or run["diverged"]]
    chosen = None if chosen_by is None else note(say("seeds.chosen", metric=name_metric(chosen_by)))
    return section(
        "seeds", "seeds.each", chosen, table(None, head, rows), tag("ul", *why, class_="signatures") if why else None
    )


def _explain(run: Mapping[str, Any]) -> Html:
    """Why a seed is no good."""
    seed, judge = data(str(run["seed"])), run["collapsed"]
    if judge is None:
        return say("seeds.diverged", seed=seed, error=data(run["diverged"]))
    name, value = name_metric(judge["metric"]), data(precise(run["metrics"][judge["metric"]]))
    if judge["label"] is None and judge["is_larger_better"] and not judge["floor"]:
        return say("seeds.nothing", seed=seed, metric=name, value=value)
    floor = data(precise(judge["floor"]))
    if judge["label"] is None:
        return say("seeds.guess", seed=seed, metric=name, value=value, floor=floor)
    return say("seeds.label", seed=seed, metric=name, value=value, floor=floor, label=prose(judge["label"]))


def _name_run(run: Mapping[str, Any]) -> Html:
    seed = data(str(run["seed"]))
    return seed if run["report"] is None else tag("a", seed, href=run["report"])


def _show(run: Mapping[str, Any], name: str) -> Cell:
    return number(precise(run["metrics"][name]) if name in run["metrics"] else "–")


def _say_state(run: Mapping[str, Any]) -> Html:
    return say_name("fate_of_seed", "best" if run["is_best"] and run["state"] == "finished" else run["state"])
