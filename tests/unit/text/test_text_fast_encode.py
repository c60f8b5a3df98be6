from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, models, normalizers, pre_tokenizers
from tokenizers import Tokenizer as Backend

from groundup.text import fast_encode
from groundup.text.fast_encode import FastEncoder
from groundup.text.tokenizer import ByteBPE, Characters, Tokenizer, Unigram, WordPiece, train_tokenizer

FIXTURES = Path(__file__).parents[2] / "fixtures" / "text"
LINES = [
    line
    for name in ("english.txt", "chinese.txt")
    for line in (FIXTURES / name).read_text(encoding="utf-8").splitlines()
]
TOKENIZERS = {
    "uncased": train_tokenizer(WordPiece(vocab_size=420, character_coverage=1.0), LINES),
    "cased": train_tokenizer(WordPiece(vocab_size=420, character_coverage=1.0, lowercase=False), LINES),
    "accents": train_tokenizer(WordPiece(vocab_size=420, character_coverage=1.0, strip_accents=False), LINES),
    "bytes": train_tokenizer(ByteBPE(vocab_size=500), LINES),
    "lower bytes": train_tokenizer(ByteBPE(vocab_size=500, lowercase=True), LINES),
    "split digits": train_tokenizer(ByteBPE(vocab_size=500, split_digits=True), [*LINES, "in 1947 and 1948"] * 2),
    "split all": train_tokenizer(
        ByteBPE(vocab_size=500, split_digits=True, split_chinese=True), [*LINES, "in 1947"] * 2
    ),
    "unigram": train_tokenizer(Unigram(vocab_size=500), LINES),
    "unigram nfkc": train_tokenizer(
        Unigram(vocab_size=500, normalization="nfkc", lowercase=True, split_digits=True), [*LINES, "1947 ½"]
    ),
    "unigram as it is": train_tokenizer(Unigram(vocab_size=500, normalization="none"), LINES),
    "characters": train_tokenizer(Characters(), LINES),
    "small characters": train_tokenizer(Characters(lowercase=True), [*LINES, "i\u0307"]),
}
PARTS = st.one_of(
    st.text(max_size=6),
    st.sampled_from(
        ["river", "River's", "'ll", "[MASK]", "[mask]", "##s", "12.5", "a" * 101, "é", "Σ.", "İ", "가", "ガ", "１", "٣"]
    ),
    st.sampled_from(
        [" ", "  ", "\n", "\t", "\u3000", "\u200b", "\x1c", "\x85", "\u0301", "\ufffd", "—", "…", "“", "”"]
    ),
    st.sampled_from(["河", "水。", "，", "豈", "𠮷", "🙂"]),
)


def plain(tokenizer: Tokenizer, texts: list[str]) -> list[list[int]]:
    return [encoding.ids for encoding in tokenizer.encode_raw(texts)]


@pytest.mark.parametrize("name", list(TOKENIZERS))
def test_words_of_every_kind_trained_here_are_remembered(name: str) -> None:
    assert TOKENIZERS[name]._encoder._split is not None


@pytest.mark.parametrize("name", list(TOKENIZERS))
@given(texts=st.lists(st.lists(PARTS, max_size=12).map("".join), max_size=4))
@example(texts=["", "Σ. \u0301a", "豈\u0301 [MASK]x"])
@settings(max_examples=200, deadline=None)
def test_ids_are_those_of_a_plain_encode(name: str, texts: list[str]) -> None:
    tokenizer = TOKENIZERS[name]
    assert [ids.tolist() for ids in tokenizer.encode_plain(texts)] == plain(tokenizer, texts)


def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast_encode, "_MOST_CHARACTERS", 200)
    tokenizer = TOKENIZERS["uncased"]
    encoder = FastEncoder(tokenizer._backend)
    for line in LINES * 2:
        assert encoder.encode([line]).ids.tolist() == plain(tokenizer, [line])[0]
        assert encoder._num_characters <= 200 + len(line)


def test_unknown_rules_are_left_to_the_tokenizer() -> None:
    def backend(**changed: object) -> Backend:
        made = Backend(models.WordPiece({"[UNK]": 0, "a": 1, "##a": 2, "a-a": 3}, unk_token="[UNK]"))
        made.normalizer = normalizers.BertNormalizer()
        made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        for name, value in changed.items():
            setattr(made, name, value)
        return made

    assert FastEncoder(backend())._split is not None
    whitespace = backend(pre_tokenizer=pre_tokenizers.WhitespaceSplit())
    assert FastEncoder(whitespace)._split is None
    assert FastEncoder(whitespace).encode(["a-a aa"]).ids.tolist() == [3, 1, 2]
    assert FastEncoder(backend(normalizer=normalizers.NFD()))._split is None
    assert FastEncoder(backend(normalizer=normalizers.BertNormalizer(handle_chinese_chars=False)))._split is None
    other_pieces = backend(pre_tokenizer=pre_tokenizers.Split(Regex(r"[\s\S]"), "merged_with_next"))
    other_pieces.model = models.WordLevel({"[UNK]": 0, "a": 1}, unk_token="[UNK]")
    assert FastEncoder(other_pieces)._split is None
    matched_late = backend()
    matched_late.add_tokens([AddedToken("a a", normalized=True)])
    assert FastEncoder(matched_late)._split is None


@pytest.mark.parametrize("name", ["uncased", "bytes", "split digits", "unigram", "unigram nfkc", "characters"])
@pytest.mark.parametrize(
    "file", ["babylm_like/childes.txt", "clue_corpus_small/sample.txt", "glue/SST-2/dev.tsv", "chnsenticorp/dev.tsv"]
)
def test_real_text(data_folder: Path, name: str, file: str) -> None:
    text = (data_folder / file).read_text(encoding="utf-8")[:400_000]
    texts = [piece for line in text.split("\n") for piece in (line[:20_000], line[20_000:40_000])]
    assert [ids.tolist() for ids in TOKENIZERS[name].encode_plain(texts)] == plain(TOKENIZERS[name], texts)
