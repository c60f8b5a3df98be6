"""The attention of a model as one PNG: all heads as small pictures, or one head with the names of its tokens.

Pillow draws it, with a font of the system that has every character of the text; a page needs neither.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from groundup.errors import ConfigError, MissingExtraError
from groundup.reporting.bitmap import INK, pool
from groundup.reporting.content_attention import Attention, HeadMap, Maps

if TYPE_CHECKING:
    from PIL.Image import Image

FONTS: Final = (
    "NotoSansCJK-Regular.ttc",
    "NotoSansCJKsc-Regular.otf",
    "NotoSansSC-Regular.otf",
    "SourceHanSansSC-Regular.otf",
    "wqy-microhei.ttc",
    "wqy-zenhei.ttc",
    "PingFang.ttc",
    "Hiragino Sans GB.ttc",
    "msyh.ttc",
    "simhei.ttf",
    "DejaVuSans.ttf",
    "Arial.ttf",
    "LiberationSans-Regular.ttf",
)
"""Files of fonts, those with Chinese first."""
FOLDERS: Final = (
    "/usr/share/fonts",
    "/usr/local/share/fonts",
    "~/.local/share/fonts",
    "~/.fonts",
    "/System/Library/Fonts",
    "/Library/Fonts",
    "~/Library/Fonts",
    "C:/Windows/Fonts",
)
_SIDE: Final = 26
"""Of the picture of a token's look at another, in a large map."""
_TILE: Final = 132
_MOST_LARGE: Final = 2400
_MARGIN, _GAP, _SIZE = 28, 10, 18
_LONGEST: Final = 14
_DARKNESS: Final = 0.6
_BLACK, _GRAY, _LINE = (29, 28, 26), (93, 90, 85), (214, 209, 200)


def draw_picture(attention: Attention, heads: Sequence[tuple[Maps, HeadMap]]) -> bytes:
    """The bytes of a PNG.

    Args:
        attention: where the model looks.
        heads: which heads are drawn, each with the maps it is of; a single one is drawn large.

    Raises:
        MissingExtraError: Pillow is not installed.
        ConfigError: no font of the system has the characters of the text.
    """
    try:
        from PIL import Image, ImageDraw
    except ImportError:
        raise MissingExtraError("png", "pillow", "plots") from None
    font = find_font(
        "".join([attention["text"], attention["pair"] or "", *heads[0][0]["keys"], *heads[0][0]["queries"]])
    )
    canvas = _Canvas(Image, ImageDraw, font)
    image = canvas.draw_head(*heads[0]) if len(heads) == 1 else canvas.draw_heads(attention, heads)
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def find_font(text: str) -> Any:
    """A font of the system in which every character of a text has a glyph of its own."""
    from PIL import ImageFont

    needed = sorted({char for char in text if char.isprintable() and not char.isspace()})
    for path in _list_fonts():
        font = ImageFont.truetype(str(path), _SIZE)
        missing = _glyph(font, "\U0010ffff")
        if all(_glyph(font, char) != missing for char in needed):
            return font
    strange = "".join(char for char in needed if ord(char) > 0x2FF)[:20]
    cure = "install one, such as Noto Sans CJK, or write a page with --html, which the browser's fonts draw"
    raise ConfigError("png", "no font here has all characters of the text", got=strange or text[:20], cure=cure)


def _list_fonts() -> Iterator[Path]:
    found: dict[str, Path] = {}
    for folder in FOLDERS:
        for path in sorted(Path(folder).expanduser().rglob("*.[to]t[cf]")):
            found.setdefault(path.name, path)
    yield from (found[name] for name in FONTS if name in found)


def _glyph(font: Any, char: str) -> tuple[tuple[int, int], bytes]:
    mask = font.getmask(char)
    return mask.size, bytes(mask)


class _Canvas:
    """What draws."""

    def __init__(self, images: Any, draws: Any, font: Any) -> None:
        self.images, self.draws, self.font = images, draws, font

    def draw_head(self, maps: Maps, head: HeadMap) -> Image:
        """One map, its rows and columns named."""
        rows, columns = maps["queries"], maps["keys"]
        side = max(4, min(_SIDE, _MOST_LARGE // max(len(rows), len(columns))))
        is_named = side >= _SIZE
        left = _MARGIN + (max(self._width(_label(token)) for token in rows) + _GAP if is_named else 0)
        above = [self._write_down(token) for token in columns] if is_named else []
        title, top = _name(head), _MARGIN + 2 * _SIZE
        top += max((each.height for each in above), default=0) + _GAP
        image = self._new(left + side * len(columns) + _MARGIN, top + side * len(rows) + _MARGIN, self._width(title))
        draw = self.draws.Draw(image)
        draw.text((_MARGIN, _MARGIN - 8), title, _BLACK, self.font)
        self._paste(image, head, (left, top), (side * len(columns), side * len(rows)))
        for number, label in enumerate(above):
            x = left + side * number + (side - label.width) // 2
            image.paste(_GRAY, (x, top - _GAP - label.height), label)
        for number, token in enumerate(rows if is_named else ()):
            y = top + side * number + side // 2
            draw.text((left - _GAP, y), _label(token), _GRAY, self.font, anchor="rm")
        return image

    def draw_heads(self, attention: Attention, heads: Sequence[tuple[Maps, HeadMap]]) -> Image:
        """A tile for each head, a row for each layer, kind below kind; the text above them."""
        kinds = list({maps["kind"]: maps for maps, _ in heads}.values())
        columns = sorted({head["head"] for _, head in heads})
        left, step = _MARGIN + 2 * _SIZE, _TILE + _GAP
        lines = self._wrap([attention["text"], attention["pair"] or ""], max(6 * step, len(columns) * step))
        image_rows = sum(len({head["layer"] for maps, head in heads if maps is kind}) for kind in kinds)
        top = _MARGIN + (len(lines) + 1) * (_SIZE + 8)
        height = top + image_rows * step + len(kinds) * 3 * _SIZE + _MARGIN
        image = self._new(left + len(columns) * step + _MARGIN, height, max(map(self._width, lines)))
        draw = self.draws.Draw(image)
        for number, line in enumerate(lines):
            draw.text((_MARGIN, _MARGIN + number * (_SIZE + 8)), line, _BLACK, self.font)
        y = top
        for kind in kinds:
            if len(kinds) > 1:
                draw.text((_MARGIN, y), kind["kind"].replace("_", " "), _BLACK, self.font)
            y += int(1.6 * _SIZE)
            for number, head in enumerate(columns):
                draw.text((left + number * step + _TILE // 2, y), str(head), _GRAY, self.font, anchor="mm")
            y += int(0.8 * _SIZE)
            for layer in sorted({head["layer"] for maps, head in heads if maps is kind}):
                draw.text((left - _GAP, y + _TILE // 2), str(layer), _GRAY, self.font, anchor="rm")
                for maps, head in heads:
                    if maps is kind and head["layer"] == layer:
                        place = left + columns.index(head["head"]) * step
                        self._paste(image, head, (place, y), (_TILE, _TILE))
                y += step
            y += int(0.6 * _SIZE)
        return image

    def _new(self, width: int, height: int, text_width: int) -> Image:
        return self.images.new("RGB", (max(width, text_width + 2 * _MARGIN), height), "white")

    def _paste(self, image: Image, head: HeadMap, place: tuple[int, int], size: tuple[int, int]) -> None:
        ink = (255 * np.array(head["probabilities"]).clip(0.0, 1.0) ** _DARKNESS).round().astype(np.uint8)
        ink = pool(ink, min(size))
        shades = self.images.fromarray(ink).resize(size, self.images.Resampling.NEAREST)
        image.paste(INK, place, shades)
        self.draws.Draw(image).rectangle(
            (place[0] - 1, place[1] - 1, place[0] + size[0], place[1] + size[1]), None, _LINE
        )

    def _write_down(self, token: str) -> Image:
        """A token along a column: Chinese characters below each other, others turned."""
        text = _label(token)
        if all(ord(char) > 0x2E7F for char in text):
            return self._mask(list(text))
        return self._mask([text]).transpose(self.images.Transpose.ROTATE_90)

    def _mask(self, lines: Sequence[str]) -> Image:
        width, height = max(map(self._width, lines)), len(lines) * (_SIZE + 4)
        mask = self.images.new("L", (width + 2, height), 0)
        draw = self.draws.Draw(mask)
        for number, line in enumerate(lines):
            draw.text((width // 2 + 1, number * (_SIZE + 4) + _SIZE // 2 + 2), line, 255, self.font, anchor="mm")
        return mask

    def _wrap(self, texts: Sequence[str], width: int) -> list[str]:
        lines = []
        for text in filter(None, texts):
            line = ""
            for char in " ".join(text.split()):
                if self._width(line + char) > width:
                    lines.append(line)
                    line = ""
                line += char
            lines.append(line)
        return lines or [" "]

    def _width(self, text: str) -> int:
        return int(self.font.getlength(text)) + 1


def _name(head: HeadMap) -> str:
    share = "" if head["habit"] == "spread" else f" {head['share']:.0%}"
    return f"layer {head['layer']}, head {head['head']}: {head['habit']}{share}"


def _label(token: str) -> str:
    text = token.strip() or "_" * len(token)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
