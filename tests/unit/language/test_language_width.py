"""Full-width forms fold one character for one."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.language.width import fold_width


def test_letters_digits_space_and_signs_fold() -> None:
    assert fold_width("ＡＢＣ　ａｂｃ１２３，！￥") == "ABC abc123,!¥"


def test_chinese_punctuation_can_stay() -> None:
    assert fold_width("Ｐｙｔｈｏｎ３，好！（是）", punctuation=False) == "Python3，好！（是）"


def test_what_has_no_full_width_form_stays() -> None:
    assert fold_width("中文。「引」……é") == "中文。「引」……é"


@pytest.mark.parametrize("code", range(0xFF01, 0xFF5F))
def test_it_agrees_with_unicode(code: int) -> None:
    assert fold_width(chr(code)) == unicodedata.normalize("NFKC", chr(code))


@given(st.text())
def test_the_length_never_changes(text: str) -> None:
    assert len(fold_width(text)) == len(text)
    assert fold_width(fold_width(text)) == fold_width(text)
