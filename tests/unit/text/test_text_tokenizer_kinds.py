"""What every kind of tokenizer trained here keeps to, over a text made to break it."""

from __future__ import annotations

import os
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from nasty_text import NASTY
from tokenizers import Tokenizer as Backend
from tokenizers import models, pre_tokenizers

from groundup.errors import ConfigError, DataError
from groundup.text import tokenizer_training
from groundup.text.cut import find_cut, make_check
from groundup.text.tokenizer import ByteBPE, Characters, Tokenizer, Unigram, WordPiece, train_tokenizer
from groundup.text.tokenizer_report import measure_fit

FIXTURES = Path(__file__).parents[2] / "fixtures" / "text"
LINES = [
    line
    for name in ("english.txt", "chinese.txt")
    for line in (FIXTURES / name).read_text(encoding="utf-8").splitlines()
]
TEXTS = [*LINES, *NASTY, "\n"]
CONFIGS = {
    "wordpiece": WordPiece(vocab_size=900, character_coverage=1.0),
    "byte_bpe": ByteBPE(vocab_size=500),
    "byte_bpe split_digits": ByteBPE(vocab_size=500, split_digits=True),
    "byte_bpe split_chinese": ByteBPE(vocab_size=500, split_chinese=True),
    "unigram": Unigram(vocab_size=700),
    "unigram nfkc": Unigram(vocab_size=700, normalization="nfkc", lowercase=True, split_digits=True),
    "unigram none": Unigram(vocab_size=500, normalization="none", character_coverage=0.9),
    "characters": Characters(),
    "characters lowercase": Characters(lowercase=True),
}
TOKENIZERS = {name: train_tokenizer(config, TEXTS) for name, config in CONFIGS.items()}


def unchanged(text: str) -> str:
    return text


def lowered(text: str) -> str:
    return "".join(char.lower() for char in text)  # a whole text would have a final sigma


KEPT: dict[str, Callable[[str], str]] = {
    "byte_bpe": unchanged,
    "byte_bpe split_digits": unchanged,
    "byte_bpe split_chinese": unchanged,
    "unigram": lambda text: unicodedata.normalize("NFC", text),
    "unigram nfkc": lambda text: lowered(unicodedata.normalize("NFKC", text)),
    "unigram none": unchanged,
    "characters": unchanged,
    "characters lowercase": lowered,
}
"""What comes back of a text; WordPiece does not keep white space."""


@pytest.fixture(params=list(CONFIGS))
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.mark.parametrize("kind", list(KEPT))
def test_decoding_gives_the_text_back(kind: str) -> None:
    tokenizer = TOKENIZERS[kind]
    for text in [*NASTY, *LINES]:
        ids = tokenizer.encode_plain([text])[0]
        assert tokenizer.decode(ids) == KEPT[kind](text)
        assert tokenizer.decode(tokenizer.encode(text).input_ids, skip_special=True) == KEPT[kind](text)


@pytest.mark.parametrize("kind", list(KEPT))
def test_bytes_are_exact_wherever_the_ids_are_cut(kind: str) -> None:
    tokenizer = TOKENIZERS[kind]
    for text in [*NASTY, "龘龘 rare 🜚"]:
        ids = tokenizer.encode(text).input_ids
        if tokenizer.unknown_id in ids:
            continue  # characters never met are lost to that kind
        whole = tokenizer.to_bytes(ids)
        assert whole == KEPT[kind](text).encode()
        for at in range(len(ids)):
            assert tokenizer.to_bytes(ids[:at]) + tokenizer.to_bytes(ids[at:]) == whole


def test_a_tokenizer_that_keeps_no_white_space_is_told_apart() -> None:
    tokenizer = TOKENIZERS["wordpiece"]
    assert tokenizer.decode(tokenizer.encode_plain(["a  b"])[0]) != "a  b"


def test_transformers_give_the_same_ids_and_text(name: str, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = TOKENIZERS[name]
    tokenizer.save(tmp_path)
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    assert len(theirs) == tokenizer.vocab_size
    for text in NASTY:
        ids = tokenizer.encode(text).input_ids.tolist()
        assert theirs(text)["input_ids"] == ids
        if name in KEPT:
            assert theirs.decode(ids, skip_special_tokens=True) == KEPT[name](text)
    assert theirs("b")["input_ids"] != tokenizer.encode("a").input_ids.tolist()
    assert Tokenizer.load(tmp_path).files() == tokenizer.files()


def test_training_repeats_in_other_processes(name: str, tmp_path: Path) -> None:
    code = (
        "import sys; from groundup.text.tokenizer import *; "
        f"texts = open({str(tmp_path / 'text')!r}, encoding='utf-8', newline='').read().split('|'); "
        f"print(train_tokenizer({CONFIGS[name]!r}, texts).digest)"
    )
    (tmp_path / "text").write_text("|".join(TEXTS), encoding="utf-8", newline="")
    digests = {TOKENIZERS[name].digest}
    for hash_seed, threads in (("1", "1"), ("2", "2"), ("3", "3")):
        environment = os.environ | {"PYTHONHASHSEED": hash_seed, "RAYON_NUM_THREADS": threads}
        environment |= {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        digests.add(done.stdout.strip())
    assert len(digests) == 1


def test_remembered_words_have_the_ids_of_a_plain_encode(name: str) -> None:
    tokenizer = TOKENIZERS[name]
    together = ["".join(NASTY), " ".join(NASTY), "\n".join(NASTY)]
    for texts in (list(NASTY), together, list(NASTY)):
        plain = [encoding.ids for encoding in tokenizer.encode_raw(texts)]
        assert [ids.tolist() for ids in tokenizer.encode_plain(texts)] == plain


def test_long_text_is_cut_without_a_trace(name: str) -> None:
    tokenizer = TOKENIZERS[name]
    text = " ".join([*LINES, *NASTY] * 3)
    check, cuts = make_check(tokenizer), [0]
    while (cut := find_cut(text, cuts[-1] + 200, check)) is not None:
        cuts.append(cut)
    assert len(cuts) > 10
    pieces = [text[start:end] for start, end in zip(cuts, [*cuts[1:], len(text)], strict=True)]
    ids = [index for piece in tokenizer.encode_plain(pieces) for index in piece.tolist()]
    assert ids == tokenizer.encode_plain([text])[0].tolist()


def test_the_fit_counts_every_character_and_token(name: str) -> None:
    tokenizer = TOKENIZERS[name]
    report = measure_fit(tokenizer, TEXTS)
    tokens = sum(map(len, tokenizer.encode_plain(TEXTS)))
    assert report.chinese.tokens + report.other.tokens == tokens
    ink = sum(not char.isspace() for text in TEXTS for char in text)
    assert report.chinese.characters + report.other.characters == ink
    assert report.chinese.unknown_characters == 0
    if name in KEPT:
        assert report.other.unknown_characters == 0


@pytest.mark.parametrize("kind", ["byte_bpe", "byte_bpe split_digits"])
def test_digits_stand_alone_where_they_are_to(kind: str) -> None:
    tokenizer = train_tokenizer(CONFIGS[kind], ["in 1947, 1948 and 1947 again, 1947年３３"] * 20)
    tokens = tokenizer.tokens(tokenizer.encode_plain([" 1947 x19年"])[0])
    digits = [token for token in tokens if any(unicodedata.category(char) == "Nd" for char in token)]
    assert (digits == list("194719")) == (kind == "byte_bpe split_digits")


def test_each_character_has_one_id() -> None:
    tokenizer = TOKENIZERS["characters"]
    text = "河 e\u0301\r\n🙂"
    assert tokenizer.tokens(tokenizer.encode_plain([text])[0]) == list(text)
    assert tokenizer.vocab_size == 5 + len(set("".join(TEXTS)))


def test_unigram_pieces_are_words_and_parts_of_words_not_phrases() -> None:
    texts = ["我们在学习人工智能的基础知识和应用方法", "the running runner ran and 2024 ended"] * 200
    tokenizer = train_tokenizer(Unigram(vocab_size=400), texts)
    longest = max(len(token) for token in tokenizer.tokens(range(261, tokenizer.vocab_size)) if "学" in token)
    assert longest == 4
    tokens = tokenizer.tokens(tokenizer.encode_plain([texts[0] + texts[1]])[0])
    assert "".join(tokens) == texts[0] + texts[1]
    assert max(map(len, tokens[: len(texts[0]) // 4])) == 4
    assert " running" in tokens
    assert not any(" " in token[1:] for token in tokens)


def test_a_character_outside_the_coverage_is_its_bytes() -> None:
    tokenizer = train_tokenizer(Unigram(vocab_size=300), ["the river and the mill"] * 20)
    ids = tokenizer.encode_plain(["龘龘"])[0]
    assert tokenizer.tokens(ids) == ["<0xE9>", "<0xBE>", "<0x98>"] * 2
    assert tokenizer.decode(ids) == "龘龘"
    assert measure_fit(tokenizer, ["龘龘"]).chinese.tokens == 6
    assert tokenizer.unknown_id not in ids


def test_a_byte_written_out_is_text() -> None:
    tokenizer = TOKENIZERS["unigram"]
    ids = tokenizer.encode_plain(["<0x41>"])[0]
    assert tokenizer.tokens(ids) != ["<0x41>"]
    assert tokenizer.decode(ids) == "<0x41>"


@pytest.mark.parametrize(("form", "expected"), [("none", "e\u0301Ａ"), ("nfc", "éＡ"), ("nfkc", "éA")])
def test_forms_of_unicode(form: str, expected: str) -> None:
    tokenizer = train_tokenizer(Unigram(vocab_size=320, normalization=form), TEXTS[:3])
    assert tokenizer.decode(tokenizer.encode_plain(["e\u0301Ａ"])[0]) == expected


@pytest.mark.parametrize(
    ("config", "texts", "error", "expected"),
    [
        (Unigram(), [], DataError, "tokenizer: found no word in the text"),
        (Unigram(), ["", ""], DataError, "found no word in the text"),
        (Unigram(vocab_size=270), LINES, ConfigError, "tokenizer.vocab_size: cannot hold the 256 bytes and the"),
    ],
)
def test_unigram_training_that_cannot_be(config: Unigram, texts: list[str], error: type, expected: str) -> None:
    with pytest.raises(error) as caught:
        train_tokenizer(config, texts)
    assert expected in str(caught.value)


def test_a_text_too_large_is_sampled_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = np.random.default_rng(0)
    texts = ["".join(chr(0x4E00 + code) for code in numbers.integers(40, size=30)) + "。" for _ in range(4000)]
    words = [f"{text}, {text[:3]}" for text in texts]
    monkeypatch.setattr(tokenizer_training, "_MOST_CHARACTERS", 20_000)
    small = train_tokenizer(Unigram(vocab_size=320), words)
    assert train_tokenizer(Unigram(vocab_size=320), words).digest == small.digest
    splitter = Backend(models.Unigram())
    splitter.pre_tokenizer = pre_tokenizers.Split("。", "isolated")
    kept = tokenizer_training._sample_words(splitter, texts)
    assert 10_000 < sum(len(word) for word in kept) <= 20_000
    first_half = sum(word in kept for text in texts[:2000] for word in [text[:-1]])
    assert 0.4 < first_half / (len(kept) - 1) < 0.6
    monkeypatch.setattr(tokenizer_training, "_MOST_CHARACTERS", 1 << 22)
    assert len(tokenizer_training._sample_words(splitter, texts)) == len({*texts}) + 1


def test_rare_characters_are_unknown_one_by_one() -> None:
    tokenizer = train_tokenizer(Characters(character_coverage=0.98), ["ab" * 49 + "yz"])
    assert tokenizer.tokens(tokenizer.encode_plain(["ayzb"])[0]) == ["a", "[UNK]", "[UNK]", "b"]
    assert measure_fit(tokenizer, ["ayzb"]).other.unknown_rate == pytest.approx(0.5)


def test_capital_letters_are_folded() -> None:
    tokenizer = train_tokenizer(Characters(lowercase=True), ["Ab aB"])
    assert tokenizer.vocab_size == 5 + len("ab ")
    assert tokenizer.decode(tokenizer.encode_plain(["AB ba"])[0]) == "ab ba"


def test_characters_of_no_text() -> None:
    with pytest.raises(DataError, match="tokenizer: found no character in the text"):
        train_tokenizer(Characters(), ["", ""])


def test_split_chinese_keeps_every_character_apart() -> None:
    texts = ["二〇二四年三月五号 and 三月五号", "三月五号下午三点 or 三月五号"] * 5
    joined, apart = (train_tokenizer(ByteBPE(vocab_size=400, split_chinese=split), texts) for split in (False, True))
    assert apart.tokens(apart.encode_plain(["三月五号 and"])[0]) == ["三", "月", "五", "号", " and"]
    assert any(len(token) > 1 for token in joined.tokens(joined.encode_plain(["三月五号"])[0]))
