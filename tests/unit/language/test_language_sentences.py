"""Sentences of English and Chinese text: where they end, and that no character is lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.language.sentences import split_sentences


@pytest.mark.parametrize(
    "pieces",
    [
        ["He left. ", "She stayed."],
        ["Really?! ", "Yes... ", "No. ", "It is."],
        ["Wait... what did you say? ", "Nothing."],
        ["Dr. Smith met Mr. J. K. Rowling, e.g. in Washington. ", "They talked."],
        ["It costs $3.50 or 1,000.25 in version 2.1. ", "See Fig. 3 and p. 5 on No. 7."],
        ["In the U.S. Senate nobody spoke. ", "He lives in the U.S. ", "The law is new."],
        ["We met at 5 p.m. ", "It rained."],
        ["Smith et al. (2019) did it. ", "Apple Inc. Director Cook said so."],
        ['"Really?" he asked. ', '"Go," she said. ', "He went."],
        ["(He left.) ", "[She stayed.] ", "“They know.” ", "Good."],
        ["Yahoo! is a company. ", "So did I. ", "Then we left."],
        ["1. First item. ", "2. Second item. ", "(a). Third item."],
        ["A title\n\n", "A line that is\nwrapped. ", "Another."],
        ["one\r\n\r\n", "two"],
        ["Visit www.example.com or a.b.c now. ", "Use file.txt please."],
        ["no end at all"],
        ["  leading space stays. ", "So does this.  \n"],
    ],
)
def test_english(pieces: list[str]) -> None:
    assert split_sentences("".join(pieces)) == pieces


@pytest.mark.parametrize(
    "pieces",
    [
        ["今天天气很好。", "我们去公园吧！", "你去吗？", "去。"],
        ["“你好！”", "他说。"],
        ["他说：“走吧。”", "然后走了。"],
        ["他问：“真的吗？”，没有人回答。", "大家都走了。"],
        ["《为什么？》的作者来了。", "（他姓王。）", "【注：完。】"],
        ["真的！！！", "不会吧？！", "好……", "我知道了。"],
        ["「你来了。」", "『他也来了！』", "好。"],
        ['他说:"走吧。"', "然后走了。"],
        ["他走了。", '"你好。"', "她说。"],
        ["价格是3.14元。", "长度为2．5米。"],
        ["真的吗?", "是的!", "好."],
        ["第一句。 ", "第二句。\n", "第三句"],
        ["没有标点的一段话"],
    ],
)
def test_chinese(pieces: list[str]) -> None:
    assert split_sentences("".join(pieces)) == pieces


@pytest.mark.parametrize(
    "pieces",
    [
        ["我用Python 3.11。", "It works. ", "很好!", "Node.js也行。"],
        ["这是iPhone 15 Pro. ", "很好!"],
        ["Hello。", "World! ", "你好 Dr. Wang。"],
    ],
)
def test_mixed(pieces: list[str]) -> None:
    assert split_sentences("".join(pieces)) == pieces


def test_nothing_has_no_sentences() -> None:
    assert split_sentences("") == []
    assert split_sentences("", 5) == []


TEXTS = st.text() | st.text("aA.!?。！？…”\"') \n\r1的，", max_size=80)


@given(TEXTS)
def test_the_pieces_are_the_text(text: str) -> None:
    pieces = split_sentences(text)
    assert "".join(pieces) == text
    assert all(pieces)


@given(TEXTS, st.integers(1, 20))
def test_the_pieces_are_the_text_and_no_longer_than_asked(text: str, max_length: int) -> None:
    pieces = split_sentences(text, max_length)
    assert "".join(pieces) == text
    assert all(0 < len(piece) <= max_length for piece in pieces)


def test_long_pieces_are_cut_where_it_hurts_least() -> None:
    assert split_sentences("one two three four", 10) == ["one two ", "three four"]
    assert split_sentences("今天天气很好，我们去公园吧", 10) == ["今天天气很好，", "我们去公园吧"]
    assert split_sentences("a" * 25, 10) == ["a" * 10, "a" * 10, "a" * 5]
    assert split_sentences("e\u0301" * 5, 5) == ["e\u0301e\u0301", "e\u0301e\u0301", "e\u0301"]
    with pytest.raises(ValueError, match="max_length: must be at least 1, got 0"):
        split_sentences("a", 0)


class _Counted(str):
    """A text that counts the characters that are cut out of it."""

    num_read = 0

    def __getitem__(self, key: object) -> str:
        piece = super().__getitem__(key)
        _Counted.num_read += len(piece)
        return piece


@pytest.mark.parametrize("unit", ["a", "Dr. ", "A. ", '!"a', '。"', "...a ", "\n ", " ", "，", "e.g. x ", "。"])
def test_the_work_grows_with_the_text_and_no_faster(unit: str) -> None:
    """Counted, not timed: twice the text makes twice the characters looked at."""

    def work(num_units: int) -> int:
        _Counted.num_read = 0
        assert "".join(split_sentences(_Counted(unit * num_units))) == unit * num_units
        return _Counted.num_read

    assert work(4000) <= 2.2 * work(2000) + 100


@pytest.mark.slow
@pytest.mark.parametrize(
    "unit", ["a", "没有句号的一行", "Dr. Li and Mr. Wang spoke of No. 5 and of nothing else at all, "]
)
def test_one_line_of_fifty_megabytes(unit: str) -> None:
    text = unit * (50_000_000 // len(unit.encode()))
    pieces = split_sentences(text, max_length=2000)
    assert sum(map(len, pieces)) == len(text)
    assert max(map(len, pieces)) <= 2000


def test_real_chinese_reviews_and_english_articles(data_folder: Path) -> None:
    """Released text: pieces are neither whole documents nor crumbs."""
    lines = (data_folder / "wikitext2").glob("*valid*")
    for path in lines:
        text = path.read_text(encoding="utf-8")
        pieces = split_sentences(text)
        assert "".join(pieces) == text
        assert 40 < sum(map(len, pieces)) / len(pieces) < 300
