"""Ids shown to people in real characters, never as the stand-ins that byte-level vocabularies are written in."""

from __future__ import annotations

import re
from collections.abc import Sequence

_CHINESE = "\u2e80-\u2fff\u3000-\u303f\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003134f"
_RAISED = "¹²³⁴"
_BETWEEN_CHINESE = re.compile(f"(?<=[{_CHINESE}]) (?=[{_CHINESE}])")


def join_chinese(text: str) -> str:
    """Drop the single spaces that a decoder of words puts between Chinese characters."""
    return _BETWEEN_CHINESE.sub("", text)


def show_bytes(raw: bytes) -> str:
    """UTF-8 as text, with `<0xE4>` for each byte that is no part of a whole character."""
    text = raw.decode("utf-8", errors="surrogateescape")
    return "".join(f"<0x{ord(char) - 0xDC00:02X}>" if "\udc80" <= char <= "\udcff" else char for char in text)


def number_parts(parts: Sequence[bytes]) -> list[str]:
    """UTF-8 that was cut anywhere, as text; a character that is spread over parts is in each of them, numbered.

    Bytes that are no part of any character are `<0xE4>`, as in `show_bytes`.
    """
    text = b"".join(parts).decode("utf-8", errors="surrogateescape")
    owners = [number for number, part in enumerate(parts) for _ in part]
    shown, start = [""] * len(parts), 0
    for char in text:
        end = start + len(char.encode("utf-8", errors="surrogateescape"))
        touched = list(dict.fromkeys(owners[start:end]))
        name = f"<0x{ord(char) - 0xDC00:02X}>" if "\udc80" <= char <= "\udcff" else char
        for place, number in enumerate(touched):
            shown[number] += name if len(touched) == 1 else name + _RAISED[place]
        start = end
    return shown


def _name_bytes() -> dict[str, int]:
    """The stand-in of each byte (Radford et al. 2019): itself where it prints, else the next from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in set(printable)]
    return {chr(byte): byte for byte in printable} | {chr(0x100 + rank): byte for rank, byte in enumerate(others)}


BYTE_OF_CHAR = _name_bytes()
