"""A design as a drawing: what stands in one block and around it, and how an encoder meets its decoder.

A stack grows upwards along its residual stream. A branch leaves the stream, passes its boxes and comes back:
`x -> N_residual(x + N_output(f(N_input(x))))`, with a norm at each place that the design has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

from groundup.figures import Number
from groundup.reporting.language import draw_text, say, say_name
from groundup.reporting.markup import Html, commas, tag
from groundup.reporting.texts import TEXTS

_WIDTH: Final = 372
_BOX: Final = 172
_STREAM: Final = 100
"""Where the residual stream runs; in a decoder beside an encoder as far from the right side."""
_BRANCH: Final = 264
_GAP: Final = 14
_LINE: Final = 14
_PILL: Final = 68


class Line(NamedTuple):
    """A small text in a box: a key of the texts with its values, or, without a key, a text of all languages."""

    key: str
    values: dict[str, str]
    differs: bool = False
    """Whether the design beside this one has no such line."""


def draw_design(
    config: Mapping[str, Any], name: str, caption: Html, *, beside: Mapping[str, Any] | None = None
) -> Html:
    """The drawing with its description.

    Args:
        config: the design.
        name: unique on the page.
        caption: what stands above the drawing.
        beside: another design; what it has not is marked.
    """
    encoder = config["encoder"]
    shapes: list[Html] = []
    if encoder is None:
        stack = _Stack(config, beside, 0, shapes)
        stack.draw()
        width, top = _WIDTH, stack.y
    else:
        left = _Stack(_of_encoder(config), None if beside is None else _of_encoder(beside), 0, shapes)
        left.draw("diagram.source")
        right = _Stack(config, beside, _WIDTH + 28, shapes, is_mirrored=True)
        right.draw("diagram.target")
        shapes.append(_cross(left, right))
        width, top = 2 * _WIDTH + 28, min(left.y, right.y)
    named = commas([say_name("place", place) for place in config["norm_places"]])
    description = say("diagram.describe", layers=str(config["num_layers"]), places=named)
    svg = tag(
        "svg",
        *shapes,
        viewBox=f"0 {top - 8:g} {width:g} {-top + 12:g}",
        width=f"{width:g}",
        role="img",
        aria_labelledby=f"{name}-drawing",
    )
    return tag(
        "figure",
        tag("figcaption", caption),
        svg,
        tag("p", description, id=f"{name}-drawing", class_="visually-hidden"),
        class_="diagram" if encoder is None else "diagram is-wide",
    )


def _of_encoder(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The encoder's stack alone; of a design without one, the design."""
    if config["encoder"] is None:
        return config
    own = {name: value for name, value in config["encoder"].items() if value is not None}
    return {**config, **own, "encoder": None, "causal": False, "heads": []}


def _cross(left: _Stack, right: _Stack) -> Html:
    """From the encoder's end to every attention of the decoder to it."""
    between, end, y = _WIDTH + 14, right.branch - _BOX / 2, right.crossing_y
    wire = f"M{left.stream:g},{left.top:g} H{between:g} V{y:g} H{end:g}"
    tip = f"M{end - 6:g},{y - 4:g} L{end:g},{y:g} L{end - 6:g},{y + 4:g}"
    return tag("g", tag("path", d=wire, class_="wire memory"), tag("path", d=tip, class_="wire memory"))


class _Stack:
    """One stack; `y` is where its stream has come to."""

    def __init__(
        self,
        config: Mapping[str, Any],
        beside: Mapping[str, Any] | None,
        offset: Number,
        shapes: list[Html],
        *,
        is_mirrored: bool = False,
    ) -> None:
        self.config, self.beside, self.offset, self.shapes = config, beside, offset, shapes
        self.places = set(config["norm_places"])
        self.stream, self.branch = (offset + (_WIDTH - x if is_mirrored else x) for x in (_STREAM, _BRANCH))
        self.side = -1 if is_mirrored else 1
        self.y: Number = 0
        self.top: Number = 0
        """Where the stream ends, below the heads."""
        self.crossing_y: Number = 0
        """Where the encoder's states come in."""

    def draw(self, start: str = "diagram.tokens") -> None:
        """All of it, from the tokens to the heads."""
        config = self.config
        self._text(start, self.stream, self.y - 4)
        self.y -= 22
        self._up(_GAP)
        self._box(self.stream, "diagram.embedding", "embedding", self._say(describe_embedding))
        self._up(_GAP)
        if "embedding" in self.places:
            self._norm(self.stream, "embedding")
            self._up(_GAP)
        self._up(10)
        bottom = self.y
        self._up(10)
        self._branch("diagram.attention", "attention", self._say(describe_attention))
        if config["encoder"] is not None:
            self._branch("diagram.cross_attention", "attention", self._say(describe_crossing), is_cross=True)
        self._branch("diagram.feed_forward", "feed-forward", self._say(describe_feed_forward))
        self._frame(bottom)
        self._up(_GAP)
        if "final" in self.places:
            self._norm(self.stream, "final")
            self._up(_GAP)
        self.top = self.y
        for head in config["heads"]:
            lines = self._say(partial(describe_head, kind=head["kind"]))
            self._box(self.stream, f"head.{head['kind']}", "head", lines, bare=head["kind"])
            self._up(_GAP)
        if config["heads"] or self.config["causal"]:
            self._path(f"M{self.stream - 4:g},{self.y + 5:g} l4,-5 l4,5")

    def _up(self, distance: Number) -> None:
        """Run the stream on."""
        self._path(f"M{self.stream:g},{self.y:g} v{-distance:g}")
        self.y -= distance

    def _branch(self, key: str, style: str, lines: Sequence[Line], *, is_cross: bool = False) -> None:
        self._up(10)
        start = self.y
        self.shapes.append(tag("circle", cx=f"{self.stream:g}", cy=f"{start:g}", r=3, class_="joint"))
        self._path(f"M{self.stream:g},{start:g} H{self.branch:g} v-12")
        self.y = start - 12
        if "input" in self.places:
            is_missing_once = style == "attention" and not is_cross and not self.config["first_input_norm"]
            self._norm(self.branch, "input", is_missing_once=is_missing_once)
            self._gap()
        is_gated = style == "feed-forward" and self.config["feed_forward"]["kind"] == "gated"
        self._box(self.branch, key, style, lines, is_gated=is_gated)
        if is_cross:
            self.crossing_y = self.y + self._height(lines) / 2
        if "output" in self.places:
            self._gap()
            self._norm(self.branch, "output")
        end = self.y - 14
        x = self.stream + 9 * self.side
        self._path(f"M{self.branch:g},{self.y:g} V{end:g} H{x:g}")
        self._path(f"M{x + 5 * self.side:g},{end - 4:g} L{x:g},{end:g} L{x + 5 * self.side:g},{end + 4:g}")
        self._path(f"M{self.stream:g},{start:g} V{end + 9:g}")
        self.shapes.append(tag("circle", cx=f"{self.stream:g}", cy=f"{end:g}", r=9, class_="sum"))
        self.shapes.append(_draw_plain("+", self.stream, end + 4.5))
        self.y = end - 9
        self._up(10)
        if "residual" in self.places:
            self._norm(self.stream, "residual")
            self._up(_GAP)

    def _box(
        self,
        x: Number,
        key: str,
        style: str,
        lines: Sequence[Line],
        *,
        bare: str = "",
        is_gated: bool = False,
    ) -> None:
        """A box with its name, what there is to say of it, and the two halves of a gated feed-forward."""
        height = self._height(lines) + (36 if is_gated else 0)
        self.y -= height
        edge = {"x": f"{x - _BOX / 2:g}", "y": f"{self.y:g}", "width": _BOX, "height": f"{height:g}", "rx": 6}
        self.shapes.append(tag("rect", **edge, class_=f"box {style}"))
        y = self.y + (20 if lines else height / 2 + 4)
        if key in TEXTS:
            self._text(key, x, y)
        else:
            self.shapes.append(_draw_plain(bare, x, y))
        for line in lines:
            y += _LINE
            style = "small differs" if line.differs else "small"
            if line.key:
                self._text(line.key, x, y, values=line.values, style=style)
            else:
                self.shapes.append(_draw_plain(line.values["text"], x, y, style=style))
        if is_gated:
            self._gate(x, y + 10)

    def _gate(self, x: Number, y: Number) -> None:
        """Two maps side by side whose product goes on."""
        is_new = self.beside is not None and self.beside["feed_forward"]["kind"] != "gated"
        left, right = (x + side * (_PILL / 2 + 12) for side in (-1, 1))
        for middle in (left, right):
            edge = {"x": f"{middle - _PILL / 2:g}", "y": f"{y:g}", "width": _PILL, "height": 20, "rx": 10}
            self.shapes.append(tag("rect", **edge, class_="pill differs" if is_new else "pill"))
        self.shapes.append(_draw_plain(self.config["feed_forward"]["activation"], left, y + 14, style="small"))
        self._text("diagram.up", right, y + 14, style="small")
        self.shapes.append(_draw_plain("×", x, y + 14.5))

    def _say(self, describe: Callable[[Mapping[str, Any]], list[Line]]) -> list[Line]:
        """What there is to say of a box, marked where the design beside has no such thing."""
        lines = describe(self.config)
        if self.beside is None:
            return lines
        others = describe(self.beside)
        return [line._replace(differs=line not in others) for line in lines]

    def _norm(self, x: Number, place: str, *, is_missing_once: bool = False) -> None:
        """A norm on the stream, or on a branch."""
        self.y -= 20
        kind, beside = self.config["norm"]["kind"], self.beside
        differs = beside is not None and not (place in beside["norm_places"] and beside["norm"]["kind"] == kind)
        edge = {"x": f"{x - _BOX / 2:g}", "y": f"{self.y:g}", "width": _BOX, "height": 20, "rx": 10}
        self.shapes.append(tag("rect", **edge, class_="box norm differs" if differs else "box norm"))
        self._text("diagram.norm_but_first" if is_missing_once else f"norm.{kind}", x, self.y + 14, style="small")

    def _frame(self, bottom: Number) -> None:
        """A frame around everything above `bottom`: what a token passes so many times."""
        config = self.config
        edge = {"x": f"{self.offset + 4:g}", "y": f"{self.y + 4:g}", "width": _WIDTH - 8}
        frame = tag("rect", **edge, height=f"{bottom - self.y - 8:g}", rx=12, class_="frame")
        self.shapes.insert(0, frame)
        x = self.offset + (_WIDTH - 16 if self.side > 0 else 16)
        anchor = "end" if self.side > 0 else "start"
        key, values = "diagram.times", {"layers": str(config["num_layers"])}
        self._text(key, x, self.y + 24, values=values, style="times", text_anchor=anchor)
        if (sharing := config["sharing"]) is not None:
            stored = {"stored": str(sharing["num_groups"] * sharing["group_size"])}
            self._text("diagram.shared", x, self.y + 40, values=stored, style="small", text_anchor=anchor)

    def _gap(self) -> None:
        self._path(f"M{self.branch:g},{self.y:g} v-10")
        self.y -= 10

    def _height(self, lines: Sequence[Line]) -> int:
        return 32 + _LINE * len(lines) - (2 if lines else 0)

    def _path(self, d: str) -> None:
        self.shapes.append(tag("path", d=d, class_="wire"))

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
        text = draw_text(key, values=values, x=f"{x:g}", y=f"{y:g}", text_anchor=text_anchor)
        self.shapes.append(tag("g", text, class_=style))


def describe_embedding(config: Mapping[str, Any]) -> list[Line]:
    """What is looked up and added."""
    size = config["embedding_size"]
    width = config["hidden_size"] if size is None else f"{size} → {config['hidden_size']}"
    lines = [_plain(f"{config['vocab_size']:,} × {width}")]
    if config["position"]["kind"] in ("learned", "sinusoidal"):
        lines.append(Line(f"diagram.positions.{config['position']['kind']}", {}))
    if config["num_token_types"]:
        lines.append(Line("diagram.token_types", {"count": str(config["num_token_types"])}))
    return lines


def describe_attention(config: Mapping[str, Any]) -> list[Line]:
    """Heads, and all that changes who looks where."""
    lines = [_plain(describe_heads(config))]
    kv_heads = config["num_kv_heads"] or config["num_heads"]
    if kv_heads != config["num_heads"]:
        lines.append(Line("diagram.kv_heads", {"count": str(kv_heads)}))
    if config["qk_norm"]:
        lines.append(Line("diagram.qk_norm", {}))
    if config["position"]["kind"] in ("rotary", "relative_bias", "relative", "none"):
        lines.append(Line(f"diagram.positions.{config['position']['kind']}", {}))
    reach = "diagram.causal" if config["causal"] else "diagram.all"
    lines.append(Line("diagram.prefix" if any(head.get("prefix") for head in config["heads"]) else reach, {}))
    if (window := config["window"]) is not None:
        size = {"size": str(window["size"])}
        layers = window["layers"]
        if layers is None or len(layers) == config["num_layers"]:
            lines.append(Line("diagram.window", size))
        else:
            share = {"count": str(len(layers)), "layers": str(config["num_layers"])}
            lines.append(Line("diagram.window_in", {**size, **share}))
    if config["shifted_kv_heads"]:
        lines.append(Line("diagram.shifted", {"count": str(config["shifted_kv_heads"])}))
    if config["query_stream"]:
        lines.append(Line("diagram.query_stream", {}))
    return lines


def describe_crossing(config: Mapping[str, Any]) -> list[Line]:
    """The heads of the attention to the encoder; nothing where there is none."""
    return [] if config["encoder"] is None else [_plain(describe_heads(config))]


def describe_heads(config: Mapping[str, Any]) -> str:
    """`4 × 64`."""
    return f"{config['num_heads']} × {config['head_dim'] or config['hidden_size'] // config['num_heads']}"


def describe_feed_forward(config: Mapping[str, Any]) -> list[Line]:
    """The widths, and the function where there is no gate to write it on."""
    inner, activation = config["intermediate_size"], config["feed_forward"]["activation"]
    widths = _plain(f"{config['hidden_size']} → {inner} → {config['hidden_size']}")
    return [widths] if config["feed_forward"]["kind"] == "gated" else [widths, _plain(activation)]


def describe_head(config: Mapping[str, Any], kind: str) -> list[Line]:
    """The labels of a head, or whose matrix it takes; nothing where the design has no such head."""
    head = next((head for head in config["heads"] if head["kind"] == kind), None)
    if head is None:
        return []
    if "num_labels" in head:
        return [Line("diagram.labels", {"count": str(head["num_labels"])})]
    if kind in ("masked_lm", "causal_lm", "permuted_lm"):
        return [Line("diagram.tied" if config["tie_embeddings"] else "diagram.untied", {})]
    return []


def _plain(text: str) -> Line:
    return Line("", {"text": text})


def _draw_plain(text: str, x: Number, y: Number, style: str = "name") -> Html:
    return tag("text", text, x=f"{x:g}", y=f"{y:g}", text_anchor="middle", class_=style, translate="no")
