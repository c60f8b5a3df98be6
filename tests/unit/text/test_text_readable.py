"""Bytes shown to people: characters that tokens share, and what is no character."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.text.readable import number_parts, show_bytes


@pytest.mark.parametrize(
    ("parts", "shown"),
    [
        (["你好".encode(), b" x"], ["你好", " x"]),
        ([b"\xe4", b"\xbd", b"\xa0!"], ["你¹", "你²", "你³!"]),
        (["a你".encode()[:3], "a你b".encode()[3:]], ["a你¹", "你²b"]),
        ([b"\xe4\xbd", b"x"], ["<0xE4><0xBD>", "x"]),
        ([b"", b"y"], ["", "y"]),
        (["😀".encode()[:1], "😀".encode()[1:]], ["😀¹", "😀²"]),
    ],
)
def test_a_character_that_is_spread_is_numbered(parts: list[bytes], shown: list[str]) -> None:
    assert number_parts(parts) == shown


@given(st.text(max_size=20), st.lists(st.integers(0, 60), max_size=6))
def test_whole_characters_read_as_they_are(text: str, cuts: list[int]) -> None:
    places = sorted({min(cut, len(text)) for cut in cuts})
    parts = [text[start:end].encode() for start, end in zip([0, *places], [*places, len(text)], strict=True)]
    assert "".join(number_parts(parts)) == text == show_bytes(text.encode())
