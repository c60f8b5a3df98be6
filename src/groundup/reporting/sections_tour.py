"""The parts of a quickstart's page that measure: what was written exactly, and what classifiers are worth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from groundup.figures import format_seconds, format_share
from groundup.reporting.charts import draw_interval
from groundup.reporting.content_tour import Tour
from groundup.reporting.language import say, say_name
from groundup.reporting.markup import Html, data, join, tag
from groundup.reporting.parts import Cell, find_language, note, number, prose, section, table, verdict
from groundup.reporting.sections_results import draw_card

_HELD_OUT: Final = ("test_values", "test_patterns")
_CLASSIFIERS: Final = ("pretrained_labels", "fresh_labels")
_LONGEST: Final = 160
"""Characters of an answer that are shown: one that never ends would fill the page."""
_AROUND: Final = 1.15
"""How much wider than the interval of a difference its scale is."""

Row = list[Html | Cell]


def draw_tour_header(tour: Tour) -> Html:
    """What was done, and the figures that say most."""
    results = tour["results"]
    facts = [
        ("tour.minutes", data(f"{results['minutes']:g}")),
        ("tour.threads", data(str(results["threads"]))),
        ("tour.bits", say(f"tour.bits.{'equal' if results['resume']['is_exact'] else 'different'}")),
    ]
    if "written" in results:
        best = _find(results["written"]["groups"], {"split": "test_values"})
        facts += [] if best is None else [("tour.exact", data(format_share(best["exact"])))]
    which = ("sentiment", "tour.sentiment") if results["kind"] == "default" else ("pretrained_labels", "tour.labels")
    if which[0] in results:
        facts.append((which[1], data(format_share(results[which[0]]["all"]["value"]))))
    difference = (results.get("transformers") or {}).get("largest_difference")
    if difference is not None:
        facts.append(("tour.logits", data(f"{difference:.1e}")))
    return tag(
        "header",
        tag("p", data("groundup"), " · ", say("tour.kind"), class_="eyebrow"),
        tag("h1", say(f"tour.title.{results['kind']}")),
        tag("p", say(f"tour.lead.{results['kind']}"), class_="lead"),
        tag("dl", *(tag("div", tag("dt", say(key)), tag("dd", value)) for key, value in facts), class_="facts"),
    )


def draw_exact(tour: Tour) -> Html | None:
    """Shares of exact answers: at large, by language and direction, by kind."""
    written = tour["results"].get("written")
    if written is None:
        return None
    groups = written["groups"]
    cards = [
        _draw_card(say(f"held_out.{split}"), group)
        for split in _HELD_OUT
        if (group := _find(groups, {"split": split})) is not None
    ]
    steps, seconds = data(f"{written['steps']:,}"), data(format_seconds(written["seconds"]))
    head = [say("tour.rows"), say("exact.share"), say("exact.neighbour_head"), ""]
    kinds = sorted((each for each in groups if set(each["name"]) == {"kind"}), key=lambda each: -each["exact"])
    by_kind: list[Row] = [[_name_kind(each), *_draw_group(each)] for each in kinds]
    by_part = [
        table(say(f"exact.table.{split}"), [say("exact.part"), *head], rows, "numbers kinds")
        for split in _HELD_OUT
        if (rows := _draw_split(groups, split))
    ]
    return section(
        "exact",
        "exact.title",
        note(say("exact.what", steps=steps, seconds=seconds)),
        tag("div", *cards, class_="cards"),
        *by_part,
        table(say("exact.kinds"), [say("exact.kind"), *head], by_kind, "numbers kinds") if kinds else None,
        note(say("exact.tick")),
    )


def _draw_split(groups: Sequence[Mapping[str, Any]], split: str) -> list[Row]:
    fine = [each for each in groups if set(each["name"]) == {"split", "language", "direction"}]
    chosen = [each for each in fine if each["name"]["split"] == split]
    chosen.sort(key=lambda each: (each["name"]["direction"] != "to_written", each["name"]["language"]))
    rows: list[Row] = [[_name_part(each["name"]), *_draw_group(each)] for each in chosen]
    whole = _find(groups, {"split": split})
    if whole is not None:
        rows.append([Cell(say("exact.all"), is_head=True), *_draw_group(whole)])
    return rows


def _draw_group(group: Mapping[str, Any]) -> Row:
    beside = number(format_share(group["nearest_neighbour"]))
    return [*_draw_share(group["exact"], group), beside, _draw_bar(group["exact"], group, group["nearest_neighbour"])]


def _draw_share(value: float, group: Mapping[str, Any]) -> Row:
    return [number(f"{group['count']:,}"), Cell(join(_share(value), " ", _interval(group)), "number")]


def _draw_bar(value: float, group: Mapping[str, Any], mark: float | None) -> Html:
    return tag("td", draw_interval(value, group["low"], group["high"], mark), class_="bar")


def _draw_card(title: Html, group: Mapping[str, Any]) -> Html:
    beside = say("exact.neighbour", share=_share(group["nearest_neighbour"]))
    return tag(
        "div",
        tag("h3", title),
        tag("p", _share(group["exact"]), class_="value"),
        tag("p", _interval(group)),
        draw_interval(group["exact"], group["low"], group["high"], group["nearest_neighbour"]),
        tag("p", say("results.over", count=data(f"{group['count']:,}"))),
        tag("p", tag("i", class_="tick-key"), beside, class_="baseline"),
        class_="card",
    )


def draw_samples(tour: Tour) -> Html | None:
    """Sentences with the model's answers, right and wrong marked, what was expected beside what is wrong."""
    samples = (tour["results"].get("written") or {}).get("examples")
    if not samples:
        return None
    is_cut = any(len(each["answer"]) > _LONGEST for each in samples)
    return section(
        "samples",
        "samples.title",
        note(say("samples.what")),
        note(say("samples.cut")) if is_cut else None,
        tag("ul", *(_draw_sample(each) for each in samples), class_="examples wide-examples"),
    )


def _draw_sample(each: Mapping[str, str]) -> Html:
    which = "right" if each["verdict"] == "right" else "wrong"
    answer, expected = each["answer"], each["expected"]
    written, wanted = mark_difference(answer, expected) if which == "wrong" else (join(answer), None)
    parts = [("samples.prompt", join(each["prompt"]), each["prompt"], None)]
    parts.append(("samples.answer", written, answer, "written"))
    if wanted is not None:
        parts.append(("samples.expected", wanted, expected, "expected"))
    listed = [
        tag("div", tag("dt", say(name)), tag("dd", html, translate="no", lang=find_language(text), class_=style))
        for name, html, text, style in parts
    ]
    sign = tag("span", "✓" if which == "right" else "✗", class_=f"sign {which}", aria_hidden="true")
    where = tag("small", _name_part(each), " · ", say(f"held_out.{each['split']}"))
    head = tag("p", sign, tag("b", say(f"mark.{which}")), where, class_="head")
    return tag("li", head, tag("dl", *listed, class_="texts"), class_=f"example {which}")


def mark_difference(answer: str, expected: str) -> tuple[Html, Html]:
    """Both texts with what lies between their common beginning and their common end marked, no word or figure cut."""
    texts, shorter = (answer, expected), min(len(answer), len(expected))
    start = next((n for n in range(shorter) if answer[n] != expected[n]), shorter)
    while any(_is_inside(text, start) for text in texts):
        start -= 1
    end = next((n for n in range(shorter - start) if answer[-1 - n] != expected[-1 - n]), shorter - start)
    while any(_is_inside(text, len(text) - end) for text in texts):
        end -= 1

    def mark(text: str) -> Html:
        inner, rest = text[start : len(text) - end], text[len(text) - end :]
        if len(text) > _LONGEST:
            inner, rest = f"{inner[: max(0, _LONGEST - start)]}…", ""
        return join(text[:start], tag("mark", inner) if inner else None, rest)

    return mark(answer), mark(expected)


def _is_inside(text: str, place: int) -> bool:
    """Whether a word, or a figure such as `95.1` or `07:48`, goes on at this place."""
    around = text[place - 1 : place + 1] if place > 0 else ""
    return len(around) == 2 and all(each.isascii() and (each.isalnum() or each in ".,:-") for each in around)


def draw_sentiment(tour: Tour) -> Html | None:
    """Accuracy in all and by language, beside the commonest answer."""
    judged = tour["results"].get("sentiment")
    if judged is None:
        return None
    return section(
        "sentiment",
        "sentiment.title",
        note(say("sentiment.what", seconds=data(format_seconds(judged["seconds"])))),
        _judge(judged),
        _draw_judged([("", judged)]),
        note(say("judged.tick")),
    )


def draw_labels(tour: Tour) -> Html | None:
    """Both classifiers on the same labels, and what reading first was worth."""
    results = tour["results"]
    found = [(name, results[name]) for name in _CLASSIFIERS if name in results]
    if not found:
        return None
    gain = results.get("gain")
    return section(
        "labels",
        f"labels.title.{results['kind']}",
        note(say(f"labels.what.{results['kind']}")),
        None if gain is None else _draw_gain(gain),
        _draw_judged(found),
        note(say("judged.tick")),
        _judge(found[0][1], say("labels.judged")),
    )


def _judge(judged: Mapping[str, Any], which: Html | None = None) -> Html:
    is_learnt = judged["all"]["low"] > judged["commonest"]["value"]
    sentence = say("judged.beats" if is_learnt else "judged.fails")
    return verdict("right" if is_learnt else "open", which, sentence)


def _draw_judged(found: Sequence[tuple[str, Mapping[str, Any]]]) -> Html:
    has_names = len(found) > 1
    rows: list[Row] = []
    for name, judged in found:
        mark = judged["commonest"]["value"]
        parts = [(say("judged.all"), judged["all"])]
        parts += [(say_name("language", each["name"]), each) for each in judged["groups"]]
        if judged is found[-1][1]:
            label = prose(judged["commonest"]["name"])
            parts.append((say("judged.commonest", label=label), judged["commonest"]))
        for title, each in parts:
            head = join(say(f"labels.{name}"), " · ", title) if has_names and each is not judged["commonest"] else title
            rows.append([head, *_draw_share(each["value"], each), _draw_bar(each["value"], each, mark)])
    head = [say("judged.which" if has_names else "judged.part"), say("tour.rows"), say("metric.accuracy"), ""]
    return table(None, head, rows, "numbers kinds")


def _draw_gain(gain: Mapping[str, Any]) -> Html:
    value, low, high = gain["value"], gain["low"], gain["high"]
    which = ("right", "helped") if low > 0 else ("wrong", "hurt") if high < 0 else ("open", "open")
    # The middle of the bar is no difference.
    scale = _AROUND * 2 * max(abs(low), abs(high), 1e-3)
    placed = [0.5 + each / scale for each in (value, low, high)]
    card = tag(
        "div",
        tag("h3", say("labels.gain")),
        tag("p", data(_points(value)), class_="value"),
        tag("p", data(f"[{_points(low)}, {_points(high)}]", class_="range")),
        draw_interval(*placed, mark=0.5),
        tag("p", say("labels.gain_note", count=data(f"{gain['count']:,}"))),
        class_="card",
    )
    return join(tag("div", card, class_="cards single"), verdict(which[0], say(f"labels.{which[1]}")))


def draw_pretrained(tour: Tour) -> Html | None:
    """Figures of the encoder that reads before labels are learnt."""
    run, kind = tour["results"].get("pretrained"), tour["results"]["kind"]
    if run is None:
        return None
    figures = {"steps": data(f"{run['step']:,}"), "seconds": data(format_seconds(run["seconds"]))}
    model = data("–" if run["step_of_model"] is None else f"{run['step_of_model']:,}")
    cards = [draw_card(metric, None) for metric in run["metrics"].values()]
    body = tag("div", *cards, class_="cards") if cards else note(say("pretrained.none"))
    return section("pretrained", f"pretrained.title.{kind}", note(say("pretrained.what", **figures, model=model)), body)


def _find(groups: Iterable[Mapping[str, Any]], name: Mapping[str, str]) -> Mapping[str, Any] | None:
    return next((group for group in groups if group["name"] == name), None)


def _name_part(name: Mapping[str, str]) -> Html:
    return join(say_name("language", name["language"]), " · ", say_name("direction", name["direction"]))


def _name_kind(group: Mapping[str, Any]) -> Html:
    return say_name("spoken_kind", group["name"]["kind"])


def _share(value: float) -> Html:
    return data(format_share(value))


def _interval(group: Mapping[str, Any]) -> Html:
    return data(f"[{format_share(group['low'])}, {format_share(group['high'])}]", class_="range")


def _points(value: float) -> str:
    """`+3.2`, `−1.4`: percentage points."""
    return f"{100 * value:+.1f}".replace("-", "−")
