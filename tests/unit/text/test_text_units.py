from __future__ import annotations

import numpy as np
import pytest
from nasty_text import NASTY

from groundup.text.tokenizer import ByteBPE, Characters, Tokenizer, Unigram, WordPiece, train_tokenizer
from groundup.text.units import Unit, align, join_units, split_units

TEXTS = [text for text in NASTY if text.strip()] * 3
TOKENIZERS = {
    "wordpiece": WordPiece(vocab_size=300, min_frequency=1, character_coverage=1.0),
    "bytes": ByteBPE(vocab_size=400, min_frequency=1),
    "unigram": Unigram(vocab_size=500),
    "characters": Characters(),
}


@pytest.fixture(scope="module", params=sorted(TOKENIZERS))
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    return train_tokenizer(TOKENIZERS[request.param], TEXTS)


def draw_units(rng: np.random.Generator) -> list[str]:
    """Pieces of nasty texts of up to four characters, empty ones and bare combining marks among them."""
    text = NASTY[int(rng.integers(len(NASTY)))]
    units, start = [], 0
    while start < len(text):
        size = int(rng.integers(0, 5))
        units.append(text[start : start + size])
        start += size
    return units


@pytest.mark.parametrize("unit", ["word", "character"])
def test_units_that_are_joined_are_found_again(unit: Unit) -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        units = draw_units(rng)
        joined = join_units(units, unit)
        spans = zip(joined.starts, joined.ends, strict=True)
        assert [joined.text[start:end] for start, end in spans] == units


def test_words_have_a_space_between_and_chinese_has_none() -> None:
    assert join_units(["EU", "rejects", "", "German"], "word").text == "EU rejects German"
    assert join_units(["中", "国", "EU", "北京"], "word").text == "中国EU北京"
    assert join_units(["2", "0", "年"], "character").text == "20年"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("U.N. official", ["U", ".", "N", ".", "official"]),
        ("他在iPhone 15发布会", ["他", "在", "iPhone", "15", "发", "布", "会"]),
        ("e\u0301te\u0301!", ["e\u0301te\u0301", "!"]),
        ("👩\u200d👧 a_b", ["👩\u200d👧", "a", "_", "b"]),
        ("ＡＢ　Ｃ。\r\n", ["ＡＢ", "Ｃ", "。"]),
        ("", []),
    ],
)
def test_words_of_a_text(text: str, words: list[str]) -> None:
    units = split_units(text, "word")
    assert [text[start:end] for start, end in zip(units.starts, units.ends, strict=True)] == words


def test_characters_keep_their_marks() -> None:
    units = split_units("か\u3099 e\u0301x", "character")
    assert (units.ends - units.starts).tolist() == [2, 2, 1]


@pytest.mark.parametrize("text", NASTY, ids=range(len(NASTY)))
def test_nothing_visible_is_outside_of_all_units(text: str) -> None:
    for unit in ("word", "character"):
        units = split_units(text, unit)
        inside = {place for start, end in zip(units.starts, units.ends, strict=True) for place in range(start, end)}
        assert {place for place, char in enumerate(text) if not char.isspace()} == inside
        assert (units.starts[1:] >= units.ends[:-1]).all()


def check_alignment(tokenizer: Tokenizer, units: list[str], unit: Unit) -> None:
    joined = join_units(units, unit)
    found = align(tokenizer, joined)
    assert len(found.input_ids) == len(found.units)
    for number, first in enumerate(found.firsts.tolist()):
        own = np.flatnonzero(found.units == number)
        assert (first == -1) == (len(own) == 0)
        if first >= 0:
            assert own[0] == first
            assert set(found.units[own[0] : own[-1] + 1].tolist()) <= {number, -1}, "but for blanks inside"
    alone = [tokenizer.encode_plain([each])[0] for each in units]
    for number, (each, ids) in enumerate(zip(units, alone, strict=True)):
        if not each.strip():
            assert found.firsts[number] == -1
        elif found.firsts[number] == -1:
            assert len(ids) == 0 or not tokenizer.decode(ids).strip("▁ "), "only what leaves no trace has no token"
    order = found.units[found.units >= 0]
    assert (np.diff(order) >= 0).all()


def test_no_token_is_in_two_units(tokenizer: Tokenizer) -> None:
    rng = np.random.default_rng(1)
    for number in range(150):
        check_alignment(tokenizer, draw_units(rng), ("word", "character")[number % 2])


def test_a_text_is_cut_only_where_a_token_would_cross() -> None:
    tokenizer = train_tokenizer(ByteBPE(vocab_size=400, min_frequency=1), ["旧磨坊 旧磨坊 the mill the mill"] * 9)
    whole = align(tokenizer, join_units(["the", "mill"], "word"))
    assert whole.input_ids.tolist() == tokenizer.encode_plain(["the mill"])[0].tolist()
    assert len(tokenizer.encode_plain(["旧磨坊"])[0]) == 1
    cut = align(tokenizer, join_units(["旧", "磨", "坊"], "character"))
    assert (cut.firsts >= 0).all() and len(set(cut.firsts.tolist())) == 3


def test_nothing_gives_nothing(tokenizer: Tokenizer) -> None:
    for units in ([], [""], [" ", "\r\n"]):
        found = align(tokenizer, join_units(units, "word"))
        assert (found.firsts == -1).all() and (found.units == -1).all()
