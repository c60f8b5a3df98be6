"""The end of a quickstart's page: what to do next, the full reports, and where every number stands."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from groundup.reporting.content_tour import FILES, REPORTS, Tour
from groundup.reporting.language import say
from groundup.reporting.markup import Html, data, tag
from groundup.reporting.parts import Cell, code, note, section, table


def draw_next(tour: Tour) -> Html:
    """Commands to copy, with the real paths."""
    pieces = [tag("li", tag("p", say(f"next.{name}")), code("\n".join(lines))) for name, *lines in find_next(tour)]
    return section("next", "next.title", tag("ol", *pieces, class_="advice"))


def find_next(tour: Tour) -> Iterator[tuple[str, ...]]:
    """The name of each piece of advice, and its commands."""
    results, asked, folder = tour["results"], tour["asked"], tour["folder"]
    if "written" in results:
        run = results["written"]["run"]
        yield "write", *_predict(run, "write: three hundred and five dollars", "写：二〇二四年三月五号下午三点")
    if "sentiment" in results:
        run = results["sentiment"]["run"]
        yield "sentiment", *_predict(run, "the coffee was not bad at all", "说是新款，其实和旧的一样")
    if "pretrained_labels" in results and results["kind"] == "own":
        is_hurt = results.get("gain") is not None and results["gain"]["high"] < 0
        best = results["fresh_labels" if is_hurt else "pretrained_labels"]["run"]
        yield "labels", *_predict(best, "TEXT")
    if "pretrained" in results:
        yield "masks", *_predict(results["pretrained"]["folder"], "a text with a [MASK] in it")
    if results["kind"] == "default":
        yield "own", _quickstart(corpus="my.txt", labels="my.csv", output=f"{folder}-own")
    elif asked:
        given = {name: asked.get(name) for name in ("corpus", "labels", "text", "label")}
        if given["corpus"] is None:
            yield "corpus", _quickstart(**given | {"corpus": "my.txt"}, output=f"{folder}-corpus")
        if given["labels"] is None:
            yield "with_labels", _quickstart(**given | {"labels": "my.csv"}, output=f"{folder}-labels")
    minutes = max(30, 2 * results["minutes"])
    if results["kind"] == "default" or asked:
        more = {name: asked.get(name) for name in ("corpus", "labels", "text", "label")}
        yield "longer", _quickstart(**more, minutes=f"{minutes:g}", output=f"{folder}-{minutes:g}-minutes")


def _predict(run: str, *texts: str) -> list[str]:
    # Not shlex.join: it would quote Chinese texts alone, and both look alike this way.
    return [f'groundup predict {shlex.quote(run)} "{text}"' for text in texts]


def _quickstart(**given: Any) -> str:
    """Settings that are as they are by themselves stay unsaid. The folder never does: each holds one quickstart."""
    usual = {"text": "text", "label": "label"}
    words = ["groundup", "quickstart"]
    for name, value in given.items():
        if value is not None and usual.get(name) != value:
            words += [f"--{name}", str(value)]
    return shlex.join(words)


def draw_files(tour: Tour) -> Html:
    """Links to the reports and the files that are there."""
    present = set(tour["present"])
    reports = [
        tag("li", tag("a", say(f"report_of.{run}"), href=quote(f"{run}/report.html")), " ", data(run, "code"))
        for run in REPORTS
        if f"{run}/report.html" in present
    ]
    rows = [
        [tag("a", data(name, "code"), href=quote(name)), Cell(say(f"file.{title}"))]
        for name, title in FILES.items()
        if name in present
    ]
    return section(
        "files",
        "files.title",
        note(say("files.reports")) if reports else None,
        tag("ul", *reports, class_="links") if reports else None,
        table(None, [say("files.file"), say("files.holds")], rows) if rows else None,
    )
