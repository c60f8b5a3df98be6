"""The page of a model's attention: every head of every layer as a small picture, one of them large, token by token."""

from __future__ import annotations

import base64
import json
from typing import Final

import numpy as np
from jaxtyping import UInt8

from groundup.figures import format_share
from groundup.reporting.bitmap import embed, pool, write_shades
from groundup.reporting.content_attention import Attention, HeadMap, Maps
from groundup.reporting.language import say
from groundup.reporting.markup import Html, data, join, tag
from groundup.reporting.page import frame
from groundup.reporting.parts import find_language, note, prose, section

_DARKNESS: Final = 0.6
"""The power of a probability that is its ink: a tenth can be seen, and is still far from a half."""
_MOST_LABELS: Final = 64
"""Tokens up to which the large picture names its rows and columns."""
_SMALL: Final = 48
"""Rows and columns of a small picture at most."""
_LONGEST: Final = 12
"""Characters of such a name."""
_WHITE: Final = {" ": "␣", "\n": "⏎", "\t": "⇥"}


def render_attention(attention: Attention, version: str, *, layer: int | None = None, head: int | None = None) -> str:
    """The page, as it is to be written to a file.

    Args:
        attention: what is shown.
        version: of groundup.
        layer: the one of which a head is large at first; None for any.
        head: which; None for the one that tells most.
    """
    sections = [(maps["kind"], _draw_maps(maps, layer, head)) for maps in attention["maps"]]
    made = say("desk.made", version=data(version))
    return frame(attention["text"], _draw_header(attention), sections, made, more="attention")


def _draw_header(attention: Attention) -> Html:
    maps = attention["maps"][0]
    facts = {
        "look.tokens": len(maps["queries"]),
        "look.layers": maps["num_layers"],
        "look.heads": maps["num_heads"],
    }
    listed = [tag("div", tag("dt", say(key)), tag("dd", data(f"{count:,}"))) for key, count in facts.items()]
    pair = attention["pair"]
    return tag(
        "header",
        tag("p", data("groundup"), " · ", say("look.kind"), " · ", data(attention["model"], "code"), class_="eyebrow"),
        tag("h1", prose(attention["text"]), class_="quoted"),
        None if pair is None else tag("p", prose(pair), class_="lead"),
        tag("dl", *listed, class_="facts"),
    )


def _draw_maps(maps: Maps, layer: int | None, head: int | None) -> Html:
    asked = [each for each in maps["heads"] if layer in (None, each["layer"]) and head in (None, each["head"])]
    chosen = max(asked or maps["heads"], key=_tell)
    stored = np.array([each["probabilities"] for each in maps["heads"]])
    values = base64.b64encode((stored * 65535).round().astype("<u2").tobytes()).decode()
    content = {name: maps[name] for name in ("queries", "keys", "num_heads")}  # type: ignore[literal-required]
    # In a script a browser looks for nothing but its end.
    plain = json.dumps({**content, "values": values}, ensure_ascii=False).replace("<", "\\u003c")
    return section(
        maps["kind"],
        f"look.{maps['kind']}",
        note(say(f"sees.{maps['kind']}")),
        tag(
            "div",
            tag("div", _draw_tiles(maps, chosen), _draw_scale()),
            _draw_large(maps, chosen),
            _draw_reading(maps, chosen),
            class_="look",
            style=f"--heads:{maps['num_heads']}",
        ),
        Html(f'<script type="application/json">{plain}</script>'),
    )


def _draw_tiles(maps: Maps, chosen: HeadMap) -> Html:
    names = [tag("span", data(str(number)), class_="axis") for number in range(maps["num_heads"])]
    cells = [tag("span", say("look.layer_head"), class_="axis corner"), *names]
    for number, each in enumerate(maps["heads"]):
        if not each["head"]:
            cells.append(tag("span", data(str(each["layer"])), class_="axis layer"))
        shades = _shade(each)
        small = pool(shades, _SMALL)
        picture = tag("img", src=embed(write_shades(small)), alt="", loading="lazy", decoding="async")
        full = None if small is shades else embed(write_shades(shades))
        cells.append(
            tag(
                "button",
                picture,
                tag("span", _name_head(each), class_="name visually-hidden"),
                type="button",
                class_="tile",
                data_number=number,
                data_full=full,
                aria_pressed="true" if each is chosen else "false",
            )
        )
    return tag("div", *cells, class_="tiles")


def _name_head(each: HeadMap) -> Html:
    place = say("look.place", layer=data(str(each["layer"])), head=data(str(each["head"])))
    habit = say(f"habit.{each['habit']}", share=data(format_share(each["share"])))
    return join(tag("b", place), " ", habit)


def _draw_large(maps: Maps, chosen: HeadMap) -> Html:
    is_labelled = max(len(maps["queries"]), len(maps["keys"])) <= _MOST_LABELS
    columns, rows = ([_draw_axis(token) for token in maps[side]] for side in ("keys", "queries"))
    size = f"--rows:{len(rows)};--columns:{len(columns)}"
    matrix = tag(
        "div",
        tag("div", *(columns if is_labelled else ()), class_="columns", aria_hidden="true", translate="no"),
        tag("div", *(rows if is_labelled else ()), class_="rows", aria_hidden="true", translate="no"),
        tag(
            "div",
            tag("img", src=embed(write_shades(_shade(chosen))), alt=""),
            tag("i", class_="cell"),
            class_="picture",
        ),
        class_="matrix",
        style=size,
    )
    return tag(
        "div",
        tag("p", _name_head(chosen), class_="of-head", aria_live="polite"),
        tag("p", data("\u00a0"), class_="under", aria_hidden="true"),
        matrix,
        class_="large",
    )


def _draw_axis(token: str) -> Html:
    """The name of a row or a column; Chinese stands upright above its column."""
    language = find_language(token)
    label = _label(token)
    label = label if len(label) <= _LONGEST else f"{label[: _LONGEST - 1]}…"
    return tag("span", label, lang=language, class_=None if language is None else "upright")


def _draw_reading(maps: Maps, chosen: HeadMap) -> Html:
    """The tokens as they are read, and what one of them takes from each."""
    query = _most_telling(chosen)
    return tag(
        "div",
        tag("h3", say("look.from")),
        tag("p", *_draw_tokens(maps["queries"], None, query), class_="tokens from"),
        tag("h3", say("look.to")),
        tag("p", *_draw_tokens(maps["keys"], chosen["probabilities"][query], None), class_="tokens to"),
        class_="reading",
    )


def _draw_tokens(tokens: list[str], shares: list[float] | None, chosen: int | None) -> list[Html]:
    """Tokens in the order of the text: those to choose from, or those that are looked at, each with its share."""
    drawn = []
    for number, token in enumerate(tokens):
        text = tag("span", _label(token), class_="text", lang=find_language(token))
        if shares is None:
            state = {"type": "button", "data_number": number, "aria_pressed": "true" if number == chosen else "false"}
            drawn.append(tag("button", text, class_="token", translate="no", **state))
        else:
            figure = tag("small", f"{shares[number]:.0%}" if shares[number] >= 0.005 else "\u00a0")
            style = f"--share:{shares[number] ** _DARKNESS:.3f}"
            drawn.append(tag("span", text, figure, class_="token", translate="no", style=style))
    return drawn


def _draw_scale() -> Html:
    """What ink means."""
    steps = [
        tag("span", tag("i", style=f"opacity:{share**_DARKNESS:.3f}"), data(text))
        for share, text in ((0.01, "1%"), (0.05, "5%"), (0.2, "20%"), (0.5, "50%"), (1.0, "100%"))
    ]
    return tag("p", say("look.scale"), *steps, class_="scale")


def _most_telling(each: HeadMap) -> int:
    """The query whose strongest link to another token is furthest above what an even look would give."""
    values = np.array(each["probabilities"])
    visible = (values > 0).sum(axis=1)
    np.fill_diagonal(values, 0.0)
    return int((values.max(axis=1) * visible).argmax())


def _tell(each: HeadMap) -> float:
    """How much a head says of the text: its strongest links, those to itself and to both ends aside."""
    values = np.array(each["probabilities"])
    np.fill_diagonal(values, 0.0)
    return float(values[:, 1:-1].max(axis=1, initial=0.0).mean())


def _shade(each: HeadMap) -> UInt8[np.ndarray, "queries keys"]:
    ink = np.array(each["probabilities"]).clip(0.0, 1.0) ** _DARKNESS
    return (255 * ink).round().astype(np.uint8)


def _label(token: str) -> str:
    """A token as it reads in a line, and something to see where it is white space alone."""
    return token.strip() or "".join(_WHITE.get(char, "␣") for char in token) or "∅"
