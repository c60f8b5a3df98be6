"""The parts of a quickstart's page that prove something: an exact resume, masks over whole words, equal logits."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from groundup.reporting.content_tour import Tour
from groundup.reporting.language import say
from groundup.reporting.markup import Html, data, join, tag
from groundup.reporting.parts import code, find_language, note, section, verdict

SAME_LOGITS: Final = 1e-5
"""Logits that are no further apart are the same: float32 sums in another order differ by less."""
_SPECIAL: Final = re.compile(r"\[[A-Z]+\]|<[^<> ]+>")
_WIDE: Final = re.compile(r"[\u3000-\u303f\u3400-\u9fff\uff00-\uffef\U00020000-\U0003fffd]")
_CLOSING: Final = re.compile(r"[.,;:!?%)\]}’”…]+")
_ENDINGS: Final = frozenset({"s", "t", "m", "d", "ll", "re", "ve"})
"""What stands behind an apostrophe in English."""


class Piece(NamedTuple):
    """A token of a shown sequence, or a mark over some of them."""

    text: str
    """What stands there."""
    seen: str | None = None
    """What the model sees in its place; None where nothing is asked."""


def draw_resume(tour: Tour) -> Html:
    """Both runs as bars, their hashes, and whether they are equal."""
    found = tour["results"]["resume"]
    steps, killed, start = found["steps"], found["killed_in_save_of"], found.get("resumed_from") or 0
    figures = {"steps": data(str(steps)), "killed": data(str(killed))}
    whole = _draw_run(say("resume.whole", **figures), [(0, steps, "")], steps, found["uninterrupted"])
    title = say("resume.killed_from" if start else "resume.killed_anew", **figures, start=data(str(start)))
    broken = _draw_run(title, [(0, killed, "killed"), (start, steps, "resumed")], steps, found["resumed"])
    end = "equal" if found["is_exact"] else "different"
    return section(
        "resume",
        "resume.title",
        note(say("resume.what", **figures)),
        tag("div", whole, broken, class_="runs"),
        verdict("right" if found["is_exact"] else "wrong", say(f"resume.{end}")),
    )


def _draw_run(title: Html, parts: list[tuple[int, int, str]], steps: int, digest: str) -> Html:
    bars = [
        tag("i", class_=style or None, style=f"left:{100 * start / steps:.2f}%;right:{100 - 100 * stop / steps:.2f}%")
        for start, stop, style in parts
    ]
    tracks = [tag("div", bar, class_="track") for bar in bars]
    picture = tag("div", *tracks, aria_hidden="true")
    return tag("div", tag("h3", title), picture, data(f"sha256 {digest}", "code"), class_="run")


def draw_shown(tour: Tour) -> Html | None:
    """Sequences of a batch with a frame around each word to predict."""
    sequences = tour["results"].get("masked")
    if not sequences:
        return None
    # The quickstart's own sentences always go by words; without a segmenter those of Chinese are single characters.
    is_word = tour["results"]["kind"] == "default" or tour["segmenter"] != "none"
    unit = "word" if is_word else "token"
    hidden = ("教材", "MASK MASK") if is_word else ("教", "MASK")
    marks = (("hidden", *hidden), ("replaced", "was", "blue"), ("kept", "是", "是"))
    legend = [tag("li", _draw_chip(Piece(text, seen)), " ", say(f"shown.{name}")) for name, text, seen in marks]
    missing = None
    if tour["segmenter"] == "none":
        missing = join(note(say("shown.no_segmenter")), code("pip install 'groundup[chinese]'"))
    return section(
        "shown",
        f"shown.title.{unit}",
        note(say(f"shown.what.{unit}")),
        tag("ul", *legend, class_="legend marks"),
        *(_draw_sequence(each) for each in sequences),
        missing,
    )


def _draw_sequence(sequence: dict[str, Any]) -> Html:
    title = tag("h3", say("masked.sample", number=data(f"{sequence['sample']:,}")))
    return tag("article", title, draw_marked(sequence["text"]), class_="sequence")


def draw_marked(text: str) -> Html:
    """A sequence as `groundup data show` writes it, with a frame around each word to predict."""
    parts: list[Html | str] = []
    before: Piece | None = None
    for piece in read_pieces(text):
        if before is not None and has_space(before, piece):
            parts.append(" ")
        if piece.seen is None:
            is_special = _SPECIAL.fullmatch(piece.text) is not None
            parts.append(tag("span", piece.text, class_="special") if is_special else piece.text.removeprefix("##"))
        else:
            parts.append(_draw_chip(piece))
        before = piece
    return tag("p", *parts, class_="masked", translate="no", lang=find_language(text))


def _draw_chip(piece: Piece) -> Html:
    seen = piece.seen or ""
    parts = seen.split(" ")
    kind = "hidden" if set(parts) == {"MASK"} else "kept" if seen == piece.text else "replaced"
    shown = "".join("■" if part == "MASK" else part.removeprefix("##") for part in parts)
    above = tag("span", shown, class_="seen")
    return tag("span", above, tag("b", piece.text.removeprefix("##")), class_=f"chip asked {kind}", translate="no")


def read_pieces(text: str) -> Iterator[Piece]:
    """Take apart what `groundup show` writes: `[MASK MASK→word]`, `[seen→word]`, `[=word]`, and tokens between them."""
    tokens = text.split(" ")
    place = 0
    while place < len(tokens):
        size, piece = _read_mark(tokens[place:])
        yield piece
        place += size


def _read_mark(tokens: list[str]) -> tuple[int, Piece]:
    first = tokens[0]
    if not first.startswith("[") or len(first) < 3 or _SPECIAL.fullmatch(first):
        return 1, Piece(first)
    if first.startswith("[=") and first.endswith("]"):
        return 1, Piece(first[2:-1], first[2:-1])
    for size, token in enumerate(tokens, start=1):
        if "→" in token and token.endswith("]"):
            left, _, right = " ".join(tokens[:size])[1:-1].rpartition("→")
            return size, Piece(right, left)
    return 1, Piece(first)


def has_space(before: Piece, after: Piece) -> bool:
    """Whether people put a space between two tokens."""
    left, right = before.text, after.text
    if _SPECIAL.fullmatch(left) or _SPECIAL.fullmatch(right):
        return True
    if right.startswith("##") or _CLOSING.fullmatch(right) or _WIDE.match(right) or _WIDE.match(left[-1:]):
        return False
    return right not in ("'", "’") and not (left in ("'", "’") and right in _ENDINGS) and left not in ("(", "[")


def draw_transformers(tour: Tour) -> Html | None:
    """How far the logits of the trained folder are apart in transformers."""
    same = tour["results"].get("transformers")
    if same is None:
        return None
    difference = same["largest_difference"]
    if difference is None:
        install = code("pip install 'groundup[interop]'")
        return section("transformers", "transformers.title", note(say("transformers.not")), install)
    is_same = difference <= SAME_LOGITS
    figures = {"texts": data(str(same["texts"])), "difference": data(f"{difference:.1e}")}
    return section(
        "transformers",
        "transformers.title",
        verdict("right", say("transformers.same", **figures))
        if is_same
        else verdict("wrong", say("transformers.apart", **figures)),
        note(say("transformers.bound", bound=tag("span", f"{SAME_LOGITS:.0e}".replace("e-0", "e-")))),
    )
