from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nasty_text import NASTY

from groundup.text.passage import Passage, lay_windows, trim
from groundup.text.tokenizer import ByteBPE, Characters, Tokenizer, Unigram, WordPiece, train_tokenizer

TEXTS = [
    *NASTY,
    "The quick brown fox has won 2,048 points in Café Ångström.",
    "２００８年北京奥运会，刘翔（Liu Xiang）没有跑完。",
]
KINDS = {
    "wordpiece": WordPiece(vocab_size=600, min_frequency=1, character_coverage=1.0),
    "cased": WordPiece(vocab_size=600, min_frequency=1, character_coverage=1.0, lowercase=False),
    "byte_bpe": ByteBPE(vocab_size=400, min_frequency=1),
    "unigram": Unigram(vocab_size=700),
    "characters": Characters(),
}


@pytest.fixture(scope="module", params=KINDS)
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    return train_tokenizer(KINDS[request.param], [text for text in TEXTS if text.strip()] * 2)


@pytest.mark.parametrize("number", range(len(TEXTS)))
def test_every_run_of_tokens_comes_back_as_its_characters(tokenizer: Tokenizer, number: int) -> None:
    text = TEXTS[number]
    passage = Passage.read(tokenizer, text)
    assert len(passage.input_ids) == len(passage.starts) == len(passage.ends)
    np.testing.assert_array_equal(passage.input_ids, tokenizer.encode_plain([text])[0])
    draw, firsts, lasts = np.random.default_rng(number), *map(np.flatnonzero, (passage.can_start, passage.can_end))
    for _ in range(40 if len(firsts) else 0):
        first = int(draw.choice(firsts))
        last = int(draw.choice(lasts[lasts >= first]))
        start, end = passage.find_characters(first, last)
        assert not text[start].isspace() and not text[end - 1].isspace()
        assert passage.find_tokens(start, end) == (first, last)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("He wrote Café Society in 1990.", "Cafe\u0301 Society"),
        ("The HMS Beagle sailed.", "HMS Beagle"),
        ("他说：“好”。👩‍👩‍👧 来了。", "👩‍👩‍👧"),
        ("公元２００８年举行", "２００８"),
        ("one\r\ntwo\r\nthree", "two\r\nthree"),
        ("𠮷野家 opened", "opened"),
        ("It is in İstanbul now", "İstanbul"),
    ],
)
@pytest.mark.parametrize("kind", ["wordpiece", "cased", "byte_bpe"])
def test_answers_survive_to_the_character(kind: str, text: str, answer: str) -> None:
    text = text.replace("Café", "Cafe\u0301")
    tokenizer = train_tokenizer(KINDS[kind], [*TEXTS, text])
    passage = Passage.read(tokenizer, text)
    start = text.index(answer)
    tokens = passage.find_tokens(start, start + len(answer))
    assert tokens is not None
    begin, end = passage.find_characters(*tokens)
    assert text[begin:end] == answer


def test_an_answer_inside_a_token_is_widened_to_it_and_one_without_a_token_is_not_found() -> None:
    tokenizer = train_tokenizer(WordPiece(vocab_size=400, min_frequency=1), ["year 1945"] * 4)
    passage = Passage.read(tokenizer, "year 1945")
    tokens = passage.find_tokens(5, 7)
    assert tokens is not None and passage.find_characters(*tokens) == (5, 9)
    assert Passage.read(tokenizer, "a \u200b\u200b year").find_tokens(2, 4) is None
    split = Passage.read(train_tokenizer(ByteBPE(vocab_size=300), ["ab"] * 4), "a👩b")
    assert len(split.input_ids) == 6 and split.find_tokens(1, 2) == (1, 4)
    assert split.can_start.tolist() == [True, True, False, False, False, True]
    assert split.can_end.tolist() == [True, False, False, False, True, True]
    empty = Passage.read(tokenizer, "")
    assert len(empty.input_ids) == 0 and empty.find_tokens(0, 1) is None


@given(st.integers(0, 60), st.integers(1, 12), st.data())
def test_windows_hold_every_token_and_no_more_than_fit(size: int, room: int, data: st.DataObject) -> None:
    stride = data.draw(st.integers(1, room))
    windows = lay_windows(size, room, stride)
    assert {token for start, end in windows for token in range(start, end)} == set(range(size))
    assert all(end - start <= room for start, end in windows) and windows[-1][1] == size
    assert [start for start, _ in windows] == [stride * number for number in range(len(windows))]
    assert all(end < size for _, end in windows[:-1]), "no window after one that reaches the end"


def test_white_space_is_trimmed() -> None:
    assert trim(" \n a b\u3000", 0, 7) == (3, 6)
    assert trim("   ", 0, 3) == (0, 0)


def test_the_parts_of_a_pair_are_those_around_its_texts() -> None:
    tokenizer = train_tokenizer(WordPiece(vocab_size=300, min_frequency=1), ["a b c d"])
    before, between, after = (part.tolist() for part in tokenizer.pair_parts)
    assert [*before, *tokenizer.encode_plain(["a"])[0], *between, *tokenizer.encode_plain(["b"])[0], *after] == (
        tokenizer.encode("a", "b").input_ids.tolist()
    )
