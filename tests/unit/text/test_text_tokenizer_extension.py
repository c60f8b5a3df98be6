"""Extended vocabularies: old text as before, new words in fewer pieces, every new entry made of old ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from tokenizers import Tokenizer as Backend
from tokenizers import models

from groundup.errors import ConfigError, DataError
from groundup.text.tokenizer import ByteBPE, Characters, Tokenizer, Unigram, WordPiece, train_tokenizer
from groundup.text.tokenizer_extension import join_pairs

OLD = ["the cat sees a red bird and the dog runs home", "猫看见一只红色的鸟，狗跑回家", "old words stay old words"] * 40
NEW = ["thrombocytopenia is a bloodclotting disorder", "血小板减少症是一种凝血障碍", "thrombocytopenia again"] * 40
KINDS = {
    "wordpiece": WordPiece(vocab_size=90, min_frequency=1, character_coverage=1.0),
    "byte_bpe": ByteBPE(vocab_size=300, min_frequency=1),
    "unigram": Unigram(vocab_size=330, character_coverage=1.0),
}


@pytest.fixture(params=KINDS)
def base(request: pytest.FixtureRequest) -> Tokenizer:
    return train_tokenizer(KINDS[request.param], OLD)


def test_new_words_take_fewer_pieces_and_old_text_stays_as_it_was(base: Tokenizer) -> None:
    longer = base.extend(NEW, add=60, min_frequency=10)
    assert 0 < longer.vocab_size - base.vocab_size <= 60
    for text in NEW[:2]:
        before, after = base.encode_plain([text])[0], longer.encode_plain([text])[0]
        if base.unknown_id in before:
            assert base.unknown_id not in after
        else:
            assert len(after) < 0.7 * len(before)
        assert max(longer.encode_plain([text])[0]) >= base.vocab_size
    for text in OLD[:3]:
        before, after = base.encode_plain([text])[0], longer.encode_plain([text])[0]
        assert base.decode(before) == longer.decode(after)
        new = {longer.entry(index) for index in range(base.vocab_size, longer.vocab_size)}
        if not any(longer.entry(index) in new for index in after.tolist()):
            assert before.tolist() == after.tolist()
    assert [longer.entry(index) for index in range(base.vocab_size)] == [base.entry(i) for i in range(base.vocab_size)]
    assert longer.special_ids == base.special_ids and longer.digest != base.digest


def test_every_new_entry_is_made_of_old_ones_or_was_unknown(base: Tokenizer) -> None:
    longer = base.extend(NEW, add=60, min_frequency=10)
    for index in range(base.vocab_size, longer.vocab_size):
        entry, pieces = longer.entry(index), base.split_entry(longer.entry(index))
        written = base.decode(pieces) if base.entry(100).startswith("<0x") else "".join(map(base.entry, pieces))
        assert written.replace("##", "") == entry.replace("##", "") or (not pieces and len(entry.strip("#")) == 1)
        assert all(each < base.vocab_size for each in pieces)


def test_unknown_characters_come_first() -> None:
    base = train_tokenizer(KINDS["wordpiece"], OLD)
    assert base.unknown_id in base.encode_plain(["血小板"])[0]
    longer = base.extend(NEW, add=60, min_frequency=10)
    assert longer.decode(longer.encode_plain(["血小板减少症"])[0]) == "血小板减少症"
    assert base.split_entry("血") == []
    few = base.extend(NEW, add=5, min_frequency=10)
    assert few.vocab_size == base.vocab_size + 5
    assert all(len(few.entry(index).removeprefix("##")) == 1 for index in range(base.vocab_size, few.vocab_size))


def test_what_is_saved_is_what_was_made(base: Tokenizer, tmp_path: Path) -> None:
    longer = base.extend(NEW, add=30, min_frequency=10)
    longer.save(tmp_path)
    again = Tokenizer.load(tmp_path)
    assert again.digest == longer.digest
    assert again.encode(NEW[0]).input_ids.tolist() == longer.encode(NEW[0]).input_ids.tolist()
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(tmp_path)
    for text in (*NEW[:2], *OLD[:2]):
        assert theirs(text)["input_ids"] == longer.encode(text).input_ids.tolist()


def test_the_same_text_gives_the_same_entries(base: Tokenizer) -> None:
    assert (
        base.extend(NEW, add=40, min_frequency=5).digest == base.extend(reversed(NEW), add=40, min_frequency=5).digest
    )


def join_plainly(words: Counter[tuple[str, ...]], count: int, least: int) -> list[tuple[str, str, str]]:
    """Count all pairs anew before every join."""
    words, joins = Counter(words), []
    while len(joins) < count:
        pairs: Counter[tuple[str, str]] = Counter()
        for word, times in words.items():
            for pair in pairwise(word):
                pairs[pair] += times
        best = min(pairs, key=lambda pair: (-pairs[pair], pair), default=None)
        if best is None or pairs[best] < least:
            break
        joins.append((*best, "".join(best)))
        joined: Counter[tuple[str, ...]] = Counter()
        for word, times in words.items():
            parts, place = [], 0
            while place < len(word):
                if word[place : place + 2] == best:
                    parts.append("".join(best))
                    place += 2
                else:
                    parts.append(word[place])
                    place += 1
            joined[tuple(parts)] += times
        words = joined
    return joins


def test_joins_are_those_of_counting_anew_each_time() -> None:
    words = Counter(
        {tuple(word): times for word, times in [("banana", 7), ("bandana", 5), ("aaaa", 3), ("cabana", 9), ("nab", 2)]}
    )
    assert join_pairs(words, 20, 2, str.__add__) == join_plainly(words, 20, 2)
    assert join_pairs(words, 20, 12, str.__add__) == join_plainly(words, 20, 12) != []
    assert join_pairs(words, 3, 2, str.__add__) == join_plainly(words, 3, 2)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: train_tokenizer(Characters(), OLD).extend(NEW, add=5, min_frequency=1),
            ConfigError,
            "cannot be extended",
        ),
        (
            lambda: train_tokenizer(KINDS["wordpiece"], OLD).extend(NEW, add=5, min_frequency=10**6),
            DataError,
            "no new entry that occurs 1000000 times",
        ),
        (lambda: Tokenizer(crowded()).extend(NEW, add=5, min_frequency=2), ConfigError, "stand behind the pieces"),
    ],
)
def test_what_cannot_be_extended_says_so(make: Callable[[], object], error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def crowded() -> Backend:
    backend = Backend(models.Unigram([("<unk>", 0.0), *((letter, -3.0) for letter in "thromb")], 0))
    backend.add_special_tokens(["<mask>"])
    return backend
