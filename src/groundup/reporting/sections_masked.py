"""The part of the page about a masked model: sequences as it saw them, and what it reads into the masks."""

from __future__ import annotations

from groundup.figures import format_share
from groundup.reporting.content import MaskedSequence, Report, Token
from groundup.reporting.language import say
from groundup.reporting.markup import Html, data, join, tag
from groundup.reporting.parts import Cell, fold, note, prose, section, table
from groundup.reporting.sections_classes import draw_buckets


def draw_masked(report: Report) -> Html | None:
    """Accuracy by how tokens were shown, and sequences with the answers under the masks."""
    masked = report["masked"]
    if masked is None:
        return None
    figures = {name: data(f"{masked[name]:,}") for name in ("targets", "sequences", "of")}
    buckets = draw_buckets(masked["buckets"], say("masked.buckets"), say("masked.tokens"))
    return section(
        "masked",
        "masked.title",
        note(say(f"masked.measured.{masked['split']}", **figures)),
        buckets,
        note(say("masked.legend")),
        *(_draw_sequence(each) for each in masked["shown"]),
    )


def _draw_sequence(sequence: MaskedSequence) -> Html:
    asked = [token for token in sequence["tokens"] if "answers" in token]
    right, count = data(str(sequence["num_right"])), data(str(sequence["num_asked"]))
    score = say("masked.score", right=right, count=count)
    title = tag("h3", say("masked.sample", number=data(f"{sequence['sample']:,}")), " · ", score)
    text = tag("p", *(_draw_token(token) for token in sequence["tokens"]), class_="masked", translate="no")
    rows = [
        [
            prose(token["text"]),
            Cell(join(say(f"fate.{token['fate']}"), " ", prose(token["seen"], "small"))),
            Cell(join(*(_draw_answer(answer["token"], answer["probability"]) for answer in token["answers"]))),
        ]
        for token in asked
    ]
    head = [say("masked.truth"), say("masked.seen"), say("masked.answers")]
    return tag("article", title, text, fold(say("masked.candidates"), table(None, head, rows)), class_="sequence")


def _draw_token(token: Token) -> Html:
    before = " " if token["space"] else ""
    if "answers" not in token:
        style = "special" if token.get("fate") == "special" else None
        return join(before, tag("span", token["text"], class_=style) if style else token["text"])
    best = token["answers"][0]
    result = "right" if token["is_right"] else "wrong"
    sign = "✓" if token["is_right"] else "✗"
    chip = tag(
        "span",
        tag("span", token["seen"], class_="seen"),
        tag("b", token["text"]),
        tag(
            "span",
            f"{sign} {'' if token['is_right'] else best['token']} {format_share(best['probability'])}",
            class_="answer",
        ),
        class_=f"chip {token['fate']} {result}",
    )
    return join(before, chip)


def _draw_answer(token: str, probability: float) -> Html:
    return tag("span", prose(token), " ", data(format_share(probability), "small"), class_="candidate")
