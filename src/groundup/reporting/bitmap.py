"""Shades as a PNG image, by the format itself: a picture of so many numbers needs no library."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import Final

import numpy as np
from jaxtyping import UInt8

from groundup.reporting.markup import Html

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
INK: Final = (32, 112, 224)
"""A blue that stands out on white and on black: only how much of it there is says something."""


def write_shades(shades: UInt8[np.ndarray, "rows columns"]) -> bytes:
    """A PNG of one colour, as opaque as each number says: 0 is nothing, 255 all of it (W3C 2003, PNG, section 11.2)."""
    rows, columns = shades.shape
    header = struct.pack(">IIBBBBB", columns, rows, 8, 3, 0, 0, 0)
    lines = np.zeros((rows, columns + 1), dtype=np.uint8)  # every line begins with its filter: none
    lines[:, 1:] = shades
    chunks = (
        (b"IHDR", header),
        (b"PLTE", bytes(INK) * 256),
        (b"tRNS", bytes(range(256))),
        (b"IDAT", zlib.compress(lines.tobytes(), 9)),
        (b"IEND", b""),
    )
    return _SIGNATURE + b"".join(_chunk(name, content) for name, content in chunks)


def pool(shades: UInt8[np.ndarray, "rows columns"], most: int) -> UInt8[np.ndarray, "_rows _columns"]:
    """At most so many rows and columns, each with the darkest of those that it stands for: a thin line is not lost."""
    for axis in (0, 1):
        share = -(-shades.shape[axis] // most)
        if share > 1:
            shades = np.maximum.reduceat(shades, np.arange(0, shades.shape[axis], share), axis=axis)
    return shades


def embed(image: bytes) -> Html:
    """The address of an image that is its own content."""
    return Html(f"data:image/png;base64,{base64.b64encode(image).decode()}")


def _chunk(name: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)
