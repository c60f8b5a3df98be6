"""Pieces of text: whole characters, nothing of a stop text, and joined they are the whole."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.decoding.text import TextStream, read_text


def decode(ids: Sequence[int]) -> str:
    return bytes(ids).decode("utf-8", errors="replace")


def stream(raw: bytes, *stop: str) -> tuple[list[str], TextStream]:
    """Each byte is a token."""
    made = TextStream(decode, stop)
    pieces = []
    for byte in raw:
        pieces.append(made.push(byte))
        if made.is_stopped:
            break
    return [*pieces, made.finish()], made


@given(st.text(max_size=20).map(lambda text: text.encode("utf-8", errors="ignore").decode().rstrip("\ufffd")))
def test_pieces_joined_are_the_text(text: str) -> None:
    pieces, made = stream(text.encode())
    assert "".join(pieces) == made.text == text == read_text(decode, text.encode(), ())
    assert not any("\ufffd" in piece for piece in pieces) or "\ufffd" in text


def test_a_character_is_handed_out_whole() -> None:
    pieces, _ = stream("猫a".encode())
    assert pieces == ["", "", "猫", "a", ""]


@pytest.mark.parametrize(
    ("text", "stop", "expected"),
    [
        ("one two three", ["two"], "one "),
        ("abab", ["abb"], "abab"),
        ("你好。再见", ["。"], "你好"),
        ("xyz", ["z", "yz"], "x"),
    ],
)
def test_nothing_of_a_stop_text_is_handed_out(text: str, stop: list[str], expected: str) -> None:
    pieces, made = stream(text.encode(), *stop)
    assert "".join(pieces) == expected
    assert made.is_stopped == any(each in text for each in stop)
    assert read_text(decode, text.encode(), stop) == expected


def test_half_a_character_at_the_end_is_not_shown() -> None:
    pieces, _ = stream("很好".encode()[:5])
    assert "".join(pieces) == "很" == read_text(decode, "很好".encode()[:5], ())
    assert read_text(decode, "很好".encode(), ()) == "很好"
