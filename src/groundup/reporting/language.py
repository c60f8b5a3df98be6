"""Everything the page says, once in English and once in Chinese; the page's switch shows one of them."""

from __future__ import annotations

from typing import Final

from groundup.reporting.markup import Child, Html, data, join, tag
from groundup.reporting.texts import TEXTS

LANGUAGES: Final = (("en", "en"), ("zh", "zh-CN"))
"""In the order of the texts: the class that the switch shows or hides, and the name that browsers know."""


def say(key: str, **values: Child) -> Html:
    """A text in both languages with `{values}` put in, each escaped where it is no HTML yet."""
    shown = {name: join(value) for name, value in values.items()}
    return join(
        *(
            tag("span", Html(join(text).format_map(shown)), class_=name, lang=code)
            for (name, code), text in zip(LANGUAGES, TEXTS[key], strict=True)
        )
    )


def say_name(section: str, name: str) -> Html:
    """The text `section.name`; the bare name where there is none, such as that of a kind that was added later."""
    key = f"{section}.{name}"
    return say(key) if key in TEXTS else data(name)


def draw_text(key: str, *, values: dict[str, str] | None = None, **attributes: str | int | float) -> Html:
    """A text inside an SVG drawing, in both languages."""
    return join(
        *(
            tag("text", text.format_map(values or {}), class_=name, lang=code, **attributes)
            for (name, code), text in zip(LANGUAGES, TEXTS[key], strict=True)
        )
    )
