"""The choice of pieces against its definition, written out plainly, and against the library's own trainer."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Regex, models, pre_tokenizers, trainers
from tokenizers import Tokenizer as Backend

from groundup.text import unigram
from groundup.text.unigram import LONGEST_PIECE, LONGEST_UNSPACED, fit_pieces
from groundup.text.words import UNIGRAM_WORDS

WORDS = {"ababab": 5, "abc": 3, "cab": 2, "aaaa": 4, "bca": 1}
ALPHABET = ["a", "b", "c"]


def writings(text: str, pieces: dict[str, float]) -> Iterator[tuple[str, ...]]:
    """Every way to write a text with pieces."""
    if not text:
        yield ()
    for end in range(1, len(text) + 1):
        if text[:end] in pieces:
            yield from ((text[:end], *rest) for rest in writings(text[end:], pieces))


def expected_uses(words: dict[str, int], pieces: dict[str, float]) -> Counter[str]:
    """How often each piece is used, weighted by the probability of each way to write each word."""
    uses: Counter[str] = Counter()
    for word, count in words.items():
        weights = {way: math.exp(sum(pieces[piece] for piece in way)) for way in writings(word, pieces)}
        for way, weight in weights.items():
            for piece in way:
                uses[piece] += count * weight / sum(weights.values())
    return uses


@pytest.fixture
def lattice() -> tuple[unigram._Lattice, list[str], np.ndarray]:
    runs = unigram._Runs.of(WORDS, ALPHABET)
    tree = unigram._Tree.of(runs, len(ALPHABET), 12)
    scores = np.log(np.random.default_rng(0).dirichlet(np.ones(len(tree.uses))))
    return unigram._Lattice.of(runs, tree), [*ALPHABET, *tree.spell(ALPHABET)], scores


def test_uses_are_those_of_all_ways_to_write_the_words(lattice) -> None:
    found, pieces, scores = lattice
    assert len(pieces) == 15
    expected = expected_uses(WORDS, dict(zip(pieces, scores, strict=True)))
    assert found.count_uses(scores) == pytest.approx([expected[piece] for piece in pieces], rel=1e-12)
    assert found.count_uses(scores + 0.1 * np.arange(15)) != pytest.approx(
        [expected[piece] for piece in pieces], rel=0.01
    )


def test_the_best_way_is_the_best_of_all(lattice) -> None:
    found, pieces, scores = lattice
    known = dict(zip(pieces, scores, strict=True))
    expected = [max(sum(known[piece] for piece in way) for way in writings(text, known)) for text in found.texts]
    assert found.find_best(scores) == pytest.approx(expected, rel=1e-12)


def test_seeds_are_the_strings_with_the_most_characters(lattice) -> None:
    _, pieces, _ = lattice
    counts: Counter[str] = Counter()
    for word, count in WORDS.items():
        for start in range(len(word)):
            for end in range(start + 2, len(word) + 1):
                counts[word[start:end]] += count
    worth = sorted((len(text) * count for text, count in counts.items() if count >= 2), reverse=True)
    assert sorted((len(text) * counts[text] for text in pieces[3:]), reverse=True) == worth[:12]


def test_digamma() -> None:
    x = np.concatenate([np.linspace(0.4, 10, 97), [1e3, 1e7]])
    assert unigram._digamma(x) == pytest.approx(torch.digamma(torch.from_numpy(x)).numpy(), abs=1e-10)


@given(st.dictionaries(st.text("abcd 河水", min_size=1, max_size=40), st.integers(1, 9), min_size=1, max_size=12))
@settings(max_examples=60, deadline=None)
def test_what_every_choice_keeps_to(words: dict[str, int]) -> None:
    alphabet = sorted({char for word in words for char in word} - {"d"})
    for size in (len(alphabet), len(alphabet) + 3, 200):
        found = fit_pieces(words, alphabet, size)
        pieces = [piece for piece, _ in found]
        assert set(alphabet) <= set(pieces)
        assert len(pieces) == len(set(pieces)) <= size
        assert all(later <= earlier for (_, earlier), (_, later) in pairwise(found))
        for piece in pieces[len(alphabet) :]:
            assert "d" not in piece
            assert any(piece in word for word in words)
            assert len(piece) <= LONGEST_PIECE
        assert fit_pieces(dict(reversed(words.items())), alphabet, size) == found


def test_pieces_of_text_without_spaces_are_short() -> None:
    pieces = dict(
        fit_pieces(
            {"中华人民共和国": 50, "internationalisation": 50}, sorted({*"中华人民共和国internationalisation"}), 60
        )
    )
    assert max(len(piece) for piece in pieces if piece[0] > "z") == LONGEST_UNSPACED
    assert "internationalisa" in pieces


def test_no_word_is_too_long() -> None:
    assert set(dict(fit_pieces({"ha" * 5000: 2}, ["a", "h"], 3))) == {"a", "h", "ha" * (LONGEST_PIECE // 2)}


@pytest.mark.parametrize(
    ("file", "size"),
    [
        ("babylm_like/simple_wiki.txt", 4000),
        pytest.param("clue_corpus_small/sample.txt", 8000, marks=pytest.mark.slow),
    ],
)
def test_as_good_as_the_trainer_of_the_library(data_folder: Path, file: str, size: int) -> None:
    """Fewer or about as many tokens of text not trained on, from as many pieces of the same words."""
    text = (data_folder / file).read_text(encoding="utf-8")
    lines = [text[start : start + 2000] for start in range(0, 600_000, 2000)]
    train, test = lines[:250], lines[250:]
    splitter = pre_tokenizers.Split(Regex(UNIGRAM_WORDS), "isolated")
    words = Counter(word for line in train for word, _ in splitter.pre_tokenize_str(line))
    alphabet = sorted({char for word in words for char in word})
    trainer = trainers.UnigramTrainer(
        vocab_size=size, unk_token="<unk>", special_tokens=["<unk>"], initial_alphabet=alphabet, show_progress=False
    )
    theirs = Backend(models.Unigram())
    theirs.pre_tokenizer = splitter
    theirs.train_from_iterator(train, trainer)

    def count_tokens(num_pieces: int) -> int:
        pieces = fit_pieces(dict(sorted(words.items())), alphabet, num_pieces)
        ours = Backend(models.Unigram([("<unk>", 0.0), *pieces], 0))
        ours.pre_tokenizer = splitter
        assert ours.get_vocab_size() == num_pieces + 1
        return sum(map(len, ours.encode_batch(test)))

    limit = 1.01 * sum(map(len, theirs.encode_batch(test)))
    assert count_tokens(size - 1) < limit
    assert count_tokens(max(size // 4, len(alphabet))) > limit
