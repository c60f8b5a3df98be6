"""One block of the design as a drawing: the residual stream, its two branches, and the norms where they stand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from groundup.figures import Number
from groundup.reporting.language import draw_text, say, say_name
from groundup.reporting.markup import Html, commas, tag
from groundup.reporting.texts import TEXTS

_STREAM: Final = 92
"""Where the residual stream runs."""
_BRANCH: Final = 236
"""Where branches run."""
_WIDTH: Final = 350
_BOX: Final = 150
_HEIGHT: Final = 32
_GAP: Final = 16


def draw_block(config: Mapping[str, Any]) -> Html:
    """The drawing with its description."""
    drawing = _Drawing()
    places = set(config["norm_places"])
    drawing.label("diagram.tokens")
    drawing.up(_GAP)
    positions = f"diagram.positions.{config['position']['kind']}"
    is_added = config["position"]["kind"] in ("learned", "sinusoidal")
    drawing.box("diagram.embedding", "embedding", _size(config["vocab_size"], config["hidden_size"]))
    if is_added:
        drawing.aside(positions)
    if "embedding" in places:
        drawing.norm()
    drawing.up(10)
    bottom = drawing.y
    drawing.up(10)
    is_inside = config["position"]["kind"] in ("rotary", "relative")
    heads = f"{config['num_heads']} × {config['head_dim'] or config['hidden_size'] // config['num_heads']}"
    drawing.branch("diagram.attention", "attention", heads, places, note=positions if is_inside else None)
    feed_forward = f"{config['hidden_size']} → {config['intermediate_size']} → {config['hidden_size']}"
    drawing.branch("diagram.feed_forward", "feed-forward", feed_forward, places)
    drawing.frame(bottom, config["num_layers"])
    drawing.up(_GAP)
    if "final" in places:
        drawing.norm()
    for head in config["heads"]:
        drawing.box("diagram.head", "head", "", kind=head["kind"])
    drawing.arrow()
    named = commas([say_name("place", place) for place in config["norm_places"]])
    description = say("diagram.describe", layers=str(config["num_layers"]), places=named)
    return tag(
        "figure",
        tag("figcaption", say("design.diagram")),
        drawing.finish(),
        tag("p", description, id="diagram-description", class_="visually-hidden"),
        class_="diagram",
    )


class _Drawing:
    """Grows upwards: `y` is where the stream has come to."""

    def __init__(self) -> None:
        self.y: Number = 0
        self._shapes: list[Html] = []

    def up(self, distance: Number) -> None:
        """Run the stream on."""
        self._line(_STREAM, self.y, _STREAM, self.y - distance)
        self.y -= distance

    def label(self, key: str) -> None:
        """A text at the stream's beginning."""
        self._text(key, _STREAM, self.y - 4)
        self.y -= 22

    def aside(self, key: str) -> None:
        """A text beside the box that was drawn last."""
        self._text(key, _STREAM + _BOX / 2 + 12, self.y + _HEIGHT / 2 + 4, style="small", text_anchor="start")

    def box(
        self, key: str, style: str, size: str, *, x: Number = _STREAM, kind: str | None = None, note: str | None = None
    ) -> None:
        """A box on the stream, or on a branch."""
        self.y -= _HEIGHT
        self._rectangle(x, self.y, style)
        middle = self.y + _HEIGHT / 2
        name = f"head.{kind}" if kind is not None else key
        if name in TEXTS:
            self._text(name, x, middle + (-1 if size else 4))
        else:
            self._shapes.append(_plain(kind or "", x, middle + 4))
        if note is not None:
            self._text(note, x, middle + 12, values={"size": size}, style="small")
        elif size:
            self._shapes.append(_plain(size, x, middle + 12, style="small"))
        if x == _STREAM:
            self.up(_GAP)

    def norm(self, x: Number = _STREAM) -> None:
        """A norm on the stream, or on a branch."""
        self.y -= 20
        self._shapes.append(tag("rect", x=x - _BOX / 2, y=self.y, width=_BOX, height=20, rx=10, class_="box norm"))
        self._text("diagram.norm", x, self.y + 14, style="small")
        if x == _STREAM:
            self.up(_GAP)

    def branch(self, key: str, style: str, size: str, places: set[str], note: str | None = None) -> None:
        """`x -> N_residual(x + N_output(f(N_input(x))))`: off the stream, through its boxes, and back onto it."""
        self.up(10)
        start = self.y
        self._shapes.append(tag("circle", cx=_STREAM, cy=start, r=3, class_="joint"))
        self._path(f"M{_STREAM},{start} H{_BRANCH} V{start - 12}")
        self.y = start - 12
        if "input" in places:
            self.norm(_BRANCH)
            self._gap()
        self.box(key, style, size, x=_BRANCH, note=note)
        if "output" in places:
            self._gap()
            self.norm(_BRANCH)
        end = self.y - 14
        self._path(f"M{_BRANCH},{self.y} V{end} H{_STREAM + 9}", ends=True)
        self._line(_STREAM, start, _STREAM, end + 9)
        self._shapes.append(tag("circle", cx=_STREAM, cy=end, r=9, class_="sum"))
        self._shapes.append(_plain("+", _STREAM, end + 4.5))
        self.y = end - 9
        self.up(10)
        if "residual" in places:
            self.norm()

    def frame(self, bottom: Number, layers: int) -> None:
        """A frame around everything above `bottom`: what stands in the model so many times."""
        rectangle = tag("rect", x=6, y=self.y + 4, width=_WIDTH - 12, height=bottom - self.y - 8, rx=12, class_="frame")
        self._shapes.insert(0, rectangle)
        self._text(
            "diagram.times", _WIDTH - 18, self.y + 24, values={"layers": str(layers)}, style="times", text_anchor="end"
        )

    def arrow(self) -> None:
        """The end of the stream."""
        self._path(f"M{_STREAM - 4},{self.y + 5} L{_STREAM},{self.y} L{_STREAM + 4},{self.y + 5}")

    def finish(self) -> Html:
        """All of it as an SVG element."""
        top = self.y - 8
        return tag(
            "svg",
            *self._shapes,
            viewBox=f"0 {top:g} {_WIDTH:g} {-top + 4:g}",
            width=f"{_WIDTH:g}",
            role="img",
            aria_labelledby="diagram-description",
        )

    def _gap(self) -> None:
        self._line(_BRANCH, self.y, _BRANCH, self.y - 10)
        self.y -= 10

    def _rectangle(self, x: Number, y: Number, style: str) -> None:
        self._shapes.append(tag("rect", x=x - _BOX / 2, y=y, width=_BOX, height=_HEIGHT, rx=6, class_=f"box {style}"))

    def _line(self, x1: Number, y1: Number, x2: Number, y2: Number) -> None:
        self._path(f"M{x1:g},{y1:g} L{x2:g},{y2:g}")

    def _path(self, d: str, *, ends: bool = False) -> None:
        self._shapes.append(tag("path", d=d, class_="wire"))
        if ends:
            x, y = _STREAM + 9, float(d.rpartition(" V")[2].partition(" ")[0])
            self._shapes.append(tag("path", d=f"M{x + 5},{y - 4} L{x},{y} L{x + 5},{y + 4}", class_="wire"))

    def _text(
        self,
        key: str,
        x: Number,
        y: Number,
        *,
        values: dict[str, str] | None = None,
        style: str = "name",
        text_anchor: str = "middle",
    ) -> None:
        self._shapes.append(
            tag("g", draw_text(key, values=values, x=f"{x:g}", y=f"{y:g}", text_anchor=text_anchor), class_=style)
        )


def _plain(text: str, x: Number, y: Number, style: str = "name") -> Html:
    return tag("text", text, x=f"{x:g}", y=f"{y:g}", text_anchor="middle", class_=style, translate="no")


def _size(rows: int, columns: int) -> str:
    return f"{rows:,} × {columns}"
