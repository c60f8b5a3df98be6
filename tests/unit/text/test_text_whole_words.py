"""Words found from token ids alone, for every kind of tokenizer, in windows that start and end anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, pre_tokenizers

from groundup.language.segment import Dictionary, NoSegmenter, Segmenter
from groundup.text import whole_words
from groundup.text.tokenizer import ByteBPE, Characters, Tokenizer, Unigram, WordPiece, train_tokenizer
from groundup.text.whole_words import WordFinder

FIXTURES = Path(__file__).parents[2] / "fixtures" / "text"
LINES = [
    line
    for name in ("english.txt", "chinese.txt")
    for line in (FIXTURES / name).read_text(encoding="utf-8").splitlines()
]
WORDS = ["电影", "结尾", "非常", "好看", "苹果", "维生素C", "維生素", "蘋果", "公里", "河流"]


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory: pytest.TempPathFactory) -> Segmenter:
    path = tmp_path_factory.mktemp("words") / "words.txt"
    path.write_text("\n".join(WORDS), encoding="utf-8")
    return Dictionary(path=str(path)).build()


def plain_backend(model: models.Model, splitter: object, decoder: object = None) -> Backend:
    backend = Backend(model)
    backend.pre_tokenizer = splitter
    if decoder is not None:
        backend.decoder = decoder
    return backend


def metaspace() -> Tokenizer:
    """As SentencePiece writes: a mark in place of each space, and bytes for what the vocabulary lacks."""
    pieces = [
        "<unk>",
        *(f"<0x{byte:02X}>" for byte in range(256)),
        "▁",
        "▁film",
        "▁the",
        "s",
        "电影",
        "的电",
        "结尾",
        "影",
    ]
    backend = plain_backend(
        models.Unigram([(piece, -float(len(piece) < 2)) for piece in pieces], unk_id=0, byte_fallback=True),
        pre_tokenizers.Metaspace(),
        decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(), decoders.Fuse()]),
    )
    return Tokenizer(backend)


TEXTS = [*LINES, "这部电影的结尾非常好看，苹果！有吗", "don't mask films", "维生素C 3.14"] * 2
TOKENIZERS = {
    "wordpiece": train_tokenizer(WordPiece(vocab_size=420, character_coverage=1.0), TEXTS),
    "bytes": train_tokenizer(ByteBPE(vocab_size=420), TEXTS),
    "unigram": train_tokenizer(Unigram(vocab_size=800), TEXTS),
    "characters": train_tokenizer(Characters(), TEXTS),
    "metaspace": metaspace(),
}


def find(finder: WordFinder, ids: Sequence[int]) -> list[list[int]]:
    """The ids of each word."""
    starts = finder.find_starts(np.array(ids, dtype=np.int64), [len(ids)])
    return [part.tolist() for part in np.split(np.array(ids), np.flatnonzero(starts)[1:])] if len(ids) else []


def read(tokenizer: Tokenizer, segmenter: Segmenter, text: str) -> list[str]:
    """The words of a text, encoded and found again."""
    ids = tokenizer.encode_plain([text])[0].tolist()
    return [tokenizer.decode(word).strip().replace("##", "") for word in find(WordFinder(tokenizer, segmenter), ids)]


SENTENCE = "这部电影的结尾非常好看，苹果！"
SEGMENTED = ["这", "部", "电影", "的", "结尾", "非常", "好看", "，", "苹果", "！"]


@pytest.mark.parametrize("name", ["wordpiece", "characters", "bytes"])
def test_chinese_words_are_whole(segmenter: Segmenter, name: str) -> None:
    tokenizer = TOKENIZERS[name]
    if name == "bytes":  # of no more than the bytes: no token holds parts of two words
        tokenizer = train_tokenizer(ByteBPE(vocab_size=262), TEXTS)
    assert read(tokenizer, segmenter, SENTENCE) == SEGMENTED
    assert read(tokenizer, NoSegmenter().build(), SENTENCE) == list(SENTENCE)


@pytest.mark.parametrize("name", ["wordpiece", "bytes", "unigram"])
def test_english_words_are_whole_over_all_their_tokens(segmenter: Segmenter, name: str) -> None:
    tokenizer, words = TOKENIZERS[name], ["mask", "unbelievable", "films"]
    assert len(tokenizer.encode_plain(["unbelievable"])[0]) > 1
    assert read(tokenizer, segmenter, "mask unbelievable films") == words
    assert read(tokenizer, segmenter, "don't") == (["don", "'", "t"] if name == "wordpiece" else ["don't"])
    assert read(tokenizer, segmenter, "3.14,") == (["3", ".", "14", ","] if name == "wordpiece" else ["3.14", ","])


def test_wordpiece_hides_no_space_beside_chinese(segmenter: Segmenter) -> None:
    tokenizer = train_tokenizer(WordPiece(lowercase=False, min_frequency=1, character_coverage=1.0), TEXTS)
    assert read(tokenizer, segmenter, "有维生素C吗 films") == ["有", "维生素 C", "吗", "films"]
    assert read(tokenizer, segmenter, "电 影") == ["电影"]  # the ids are those of 电影
    assert read(TOKENIZERS["bytes"], segmenter, "电 影") == ["电", "影"]


def test_an_unknown_token_ends_a_word(segmenter: Segmenter) -> None:
    tokenizer = TOKENIZERS["wordpiece"]
    ids = tokenizer.encode("电影电☃影").input_ids.tolist()
    assert ids.count(tokenizer.unknown_id) == 1
    assert [tokenizer.tokens(word) for word in find(WordFinder(tokenizer, segmenter), ids)] == [
        ["[CLS]"], ["电", "影"], ["电"], ["[UNK]"], ["影"], ["[SEP]"],
    ]  # fmt: skip


def test_words_that_share_a_token_are_one(segmenter: Segmenter) -> None:
    tokenizer = TOKENIZERS["metaspace"]
    finder = WordFinder(tokenizer, segmenter)
    vocab = {token: index for index, token in enumerate(tokenizer.tokens(range(tokenizer.vocab_size)))}

    def words(*tokens: str) -> list[list[str]]:
        return [tokenizer.tokens(word) for word in find(finder, [vocab[token] for token in tokens])]

    assert words("的电", "影", "结尾") == [["的电", "影"], ["结尾"]]
    assert words("电影", "的电", "影") == [["电影"], ["的电", "影"]]
    assert words("▁film", "s", "▁the") == [["▁film", "s"], ["▁the"]]
    assert words("▁", "电影", "▁", "▁", "s") == [["▁", "电影"], ["▁"], ["▁", "s"]]
    chinese = [f"<0x{byte:02X}>" for byte in "苹果".encode()]
    assert words("▁the", *chinese, "电影") == [["▁the"], chinese, ["电影"]]
    assert words(*chinese[2:], "电影", *chinese[:2]) == [[chinese[2]], chinese[3:], ["电影"], chinese[:2]]


def test_white_space_stands_alone_but_for_the_one_before_a_word(segmenter: Segmenter) -> None:
    tokenizer = train_tokenizer(ByteBPE(vocab_size=262), TEXTS)
    ids = tokenizer.encode_plain(["a  b\n\nc d "])[0].tolist()
    found = [tokenizer.decode(word) for word in find(WordFinder(tokenizer, segmenter), ids)]
    assert found == ["a", " ", " b", "\n", "\n", "c", " d", " "]


def test_a_vocabulary_without_decoder_has_a_space_before_every_token(segmenter: Segmenter) -> None:
    vocab = {"[UNK]": 0, "new": 1, "films": 2, "电影": 3, "的": 4}
    tokenizer = Tokenizer(plain_backend(models.WordLevel(vocab, "[UNK]"), pre_tokenizers.Whitespace()))
    assert find(WordFinder(tokenizer, segmenter), [1, 2, 3, 4]) == [[1], [2], [3], [4]]


def test_a_mark_at_the_end_of_words_is_read(segmenter: Segmenter) -> None:
    vocab = {"<unk>": 0, "film": 1, "s</w>": 2, "new</w>": 3, ".</w>": 4, "电": 5, "影</w>": 6}
    model = models.BPE(vocab, [], unk_token="<unk>", end_of_word_suffix="</w>")
    tokenizer = Tokenizer(plain_backend(model, pre_tokenizers.Whitespace(), decoders.BPEDecoder()))
    assert find(WordFinder(tokenizer, segmenter), [3, 1, 2, 4, 5, 6]) == [[3], [1, 2], [4], [5, 6]]


def test_added_tokens_are_text_and_special_ones_are_none(segmenter: Segmenter) -> None:
    tokenizer = train_tokenizer(ByteBPE(vocab_size=262), TEXTS)
    backend = Backend.from_str(tokenizer.files()["tokenizer.json"].decode())
    backend.add_tokens(["é影"])
    backend.add_special_tokens(["<sep>"])
    wider = Tokenizer(backend)
    ids = wider.encode_plain(["电é影<sep>果"])[0].tolist()
    assert [wider.decode(word) for word in find(WordFinder(wider, segmenter), ids)] == ["电", "é影", "<sep>", "果"]


PIECES = st.sampled_from(
    [*"这部电影的结尾非常好看苹果，。 \n", "don't ", "unbelievable", " films", "3.14", "𠮷", "🙂", "é", "[MASK]"]
)


@pytest.mark.parametrize("name", list(TOKENIZERS))
@given(texts=st.lists(st.lists(PIECES, max_size=12).map("".join), min_size=1, max_size=4), cut=st.integers(0, 7))
@settings(max_examples=30)
def test_a_window_is_answered_alone(name: str, texts: list[str], cut: int, segmenter: Segmenter) -> None:
    """Together or apart, first or again, framed or cut off: words are those of the window, in one piece each."""
    tokenizer = TOKENIZERS[name]
    windows = [ids[cut:].astype(np.int64) for ids in tokenizer.encode_plain(texts)]
    lengths = [len(window) for window in windows]
    flat = np.concatenate(windows)
    finder = WordFinder(tokenizer, segmenter)
    together = finder.find_starts(flat, lengths)
    assert np.array_equal(finder.find_starts(flat, lengths), together)
    finder._memory.clear()
    apart = [finder.find_starts(window, [len(window)]) for window in windows]
    assert np.array_equal(np.concatenate(apart), together)
    assert all(part[0] for part in apart if len(part))
    assert all(together[place] for place in np.flatnonzero(np.isin(flat, list(tokenizer.special_ids))))


def test_every_character_of_a_word_lies_in_its_tokens(segmenter: Segmenter) -> None:
    """Against a plain reading of byte pairs: no token of a word holds a character of another one."""
    tokenizer = TOKENIZERS["bytes"]
    finder = WordFinder(tokenizer, segmenter)
    for text in TEXTS:
        ids = tokenizer.encode_plain([text])[0].tolist()
        words = find(finder, ids)
        assert b"".join(tokenizer.to_bytes(word) for word in words) == text.encode()
        spans = segmenter.segment(text)
        place = 0
        for word in words:
            end = place + len(tokenizer.to_bytes(word))
            for start, stop in spans:
                low, high = len(text[:start].encode()), len(text[:stop].encode())
                assert end <= low or high <= place or (place <= low and high <= end)
            place = end


def test_the_memory_is_bounded(segmenter: Segmenter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole_words, "_MOST_REMEMBERED", 3)
    tokenizer = TOKENIZERS["wordpiece"]
    finder = WordFinder(tokenizer, segmenter)
    for text in LINES * 2:
        ids = tokenizer.encode_plain([text])[0].astype(np.int64)
        first, again = finder.find_starts(ids, [len(ids)]), finder.find_starts(ids, [len(ids)])
        assert np.array_equal(first, again) and first[0]
    assert len(finder._memory) == 3


def test_nothing_is_no_word(segmenter: Segmenter) -> None:
    finder = WordFinder(TOKENIZERS["wordpiece"], segmenter)
    assert finder.find_starts(np.zeros(0, dtype=np.int64), []).tolist() == []
    assert finder.find_starts(np.zeros(0, dtype=np.int64), [0, 0]).tolist() == []
