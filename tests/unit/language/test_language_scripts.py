"""Scripts and the language of a text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.language.scripts import guess_language, is_cjk


@pytest.mark.parametrize("char", ["中", "一", "龥", "〇", "々", "㐀", "豈", "\U00020000", "\U00030000", "\u9fff"])
def test_ideographs_are_cjk(char: str) -> None:
    assert is_cjk(char)


@pytest.mark.parametrize("char", ["a", "é", "1", "。", "，", "Ａ", "あ", "ア", "한", "😀", " ", "", "中文"])
def test_everything_else_is_not(char: str) -> None:
    assert not is_cjk(char)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The cat sat on the mat.", "en"),
        ("Café déjà vu", "en"),
        ("今天天气很好。", "zh"),
        ("今天天气很好，我们用PyTorch训练了一个很大的语言模型，效果不错。", "zh"),
        (
            "In the year 2020 the city of Beijing (北京) had more than twenty million inhabitants, as the census says.",
            "en",
        ),
        ("深度学习 deep learning 模型 model 训练 training", "mixed"),
        ("ＡＢＣ full width", "en"),
        ("これは日本語の文章です。", "other"),
        ("한국어 문장입니다", "other"),
        ("Это русский текст", "other"),
        ("123 + 456 = ?", "other"),
        ("", "other"),
    ],
)
def test_the_language_of_a_text(text: str, language: str) -> None:
    assert guess_language(text) == language


@given(st.text())
def test_every_text_has_an_answer(text: str) -> None:
    assert guess_language(text) in ("en", "zh", "mixed", "other")
