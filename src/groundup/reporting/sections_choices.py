"""The part of the page about questions with choices: accuracy by part, questions with what was chosen."""

from __future__ import annotations

from groundup.reporting.content import Report
from groundup.reporting.content_rows import Choices, ChosenQuestion
from groundup.reporting.language import say
from groundup.reporting.markup import Html, data, join, tag
from groundup.reporting.parts import note, prose, section
from groundup.reporting.sections_classes import draw_buckets, draw_share, say_measured


def draw_choices(report: Report) -> Html | None:
    """Accuracy by language and length, and all choices of some questions."""
    choices = report["choices"]
    if choices is None:
        return None
    return section(
        "choices",
        "choices.title",
        note(say_measured(choices["rows"], choices["of"])),
        draw_buckets(choices["buckets"], say("classes.buckets"), say("classes.count")),
        _draw_list(choices, "wrong"),
        _draw_list(choices, "right"),
    )


def _draw_list(choices: Choices, which: str) -> Html:
    questions, count = choices[which], choices[f"{which}_rows"]  # type: ignore[literal-required]
    if not questions:
        return note(say(f"examples.no_{which}"))
    title = say(f"examples.{which}", shown=data(str(len(questions))), count=data(f"{count:,}"))
    listed = tag("ul", *(_draw_question(each, which) for each in questions), class_="examples wide-examples")
    return join(tag("h3", title), listed)


def _draw_question(each: ChosenQuestion, which: str) -> Html:
    texts = [prose(text, "p", class_="text") for text in (each["context"], each["question"]) if text]
    shares = [
        draw_share(choice["text"], choice["probability"], is_answer=choice["is_answer"], is_true=choice["is_true"])
        for choice in each["choices"]
    ]
    sign = tag("span", "✓" if which == "right" else "✗", class_=f"sign {which}", aria_hidden="true")
    line = tag("small", say("examples.line", line=data(f"{each['line']:,}")))
    head = tag("p", sign, tag("b", say(f"mark.{which}")), line, class_="head")
    return tag("li", head, *texts, tag("ul", *shares, class_="shares-of long-labels"), class_=f"example {which}")
