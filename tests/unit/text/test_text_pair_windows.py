"""Ends of sentences noted in a prepared corpus, and runs of neighbouring ones laid over it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from groundup.errors import ConfigError, DataError
from groundup.language.sentences import split_sentences
from groundup.text import prepare as preparing
from groundup.text.corpus import Corpus, CorpusConfig, prepare
from groundup.text.pair_windows import PairFrame, PairWindows
from groundup.text.sentence_ends import encode_sentences, find_sentences
from groundup.text.tokenizer import ByteBPE, Tokenizer, WordPiece, train_tokenizer

ENGLISH = [
    "The river ran high. Nobody crossed it that week! Mr. Hall paid 3.50 for a boat.",
    "She asked why. He did not say. They left at noon, and it rained.",
    "One sentence alone",
]
CHINESE = ["河水很高。那一周没有人过河！他花了三块钱买船。", "她问为什么。“我不说。”他们中午走了，下着雨。", "只有一句"]
DOCUMENTS = [*ENGLISH, *CHINESE]
TOKENIZERS = {
    "uncased": train_tokenizer(WordPiece(vocab_size=300, min_frequency=1, character_coverage=1.0), DOCUMENTS * 2),
    "bytes": train_tokenizer(ByteBPE(vocab_size=320), DOCUMENTS * 2),
}


def write(folder: Path, name: str, documents: list[str]) -> str:
    (folder / name).write_text("\n".join(documents) + "\n", encoding="utf-8")
    return str(folder / name)


def open_pairs(folder: Path, tokenizer: Tokenizer, *, max_length: int = 48, needs_others: bool = False) -> Corpus:
    frame = PairFrame.of(tokenizer, needs_others=needs_others)
    return Corpus.open(folder, tokenizer, max_length=max_length, min_length=2, frame=frame)


@pytest.fixture(params=sorted(TOKENIZERS))
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    return TOKENIZERS[request.param]


@pytest.mark.parametrize("text", [*DOCUMENTS, "", "  ", "a.  b\n\nc。 d", " Led by a space. And so on "])
def test_sentences_joined_are_the_text_and_spaces_stand_in_front(text: str) -> None:
    found = find_sentences(text)
    assert "".join(found.texts) == text
    assert not any(each.startswith(tuple(" \n")) for each in found.texts[:1] if not text.startswith(" "))
    assert not any(each.endswith(" ") for each in found.texts[:-1])
    assert len([each for each in found.texts if each.strip()]) == len([s for s in split_sentences(text) if s.strip()])


def test_a_text_is_closed_by_a_mark_with_its_quotes() -> None:
    assert [find_sentences(text).is_closed for text in ("End.", "“结束。”  ", "no end", "他说：", "3.5")] == [
        True,
        True,
        False,
        False,
        False,
    ]


@pytest.mark.parametrize("shard_tokens", [7, 1000])
def test_ends_are_noted_where_the_text_has_them(
    tmp_path: Path, tokenizer: Tokenizer, shard_tokens: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparing, "_BATCH_CHARS", 60)
    files = (write(tmp_path, "en.txt", ENGLISH), write(tmp_path, "zh.txt", CHINESE))
    config = CorpusConfig(train=files, sentences=True)
    manifest = prepare(files, tokenizer, tmp_path / "out", config, shard_tokens=shard_tokens)
    sizes = [len(tokenizer.encode_plain([each])[0]) for text in DOCUMENTS for each in find_sentences(text).texts]
    found = np.concatenate(
        [np.fromfile(tmp_path / "out" / str(shard.sentences_file), "<i8") for shard in manifest.shards]
    )
    assert found.tolist() == np.cumsum(sizes).tolist()
    assert sum(shard.num_sentences for shard in manifest.shards) == len(sizes) == 14
    assert manifest.counts["documents"] == len(DOCUMENTS) and (len(manifest.shards) > 2) == (shard_tokens == 7)
    again = prepare(files, tokenizer, tmp_path / "out", config, shard_tokens=shard_tokens)
    assert again == manifest
    texts, ends = encode_sentences(tokenizer, DOCUMENTS)
    assert ends.tolist() == found.tolist() and sum(map(len, texts)) == sum(sizes)


def test_ids_are_those_of_the_whole_text_but_for_marks_that_meet(tokenizer: Tokenizer) -> None:
    """Only byte pairs across `。“` are lost, of which one mark ends a sentence and the other begins the next."""
    pairs = zip(DOCUMENTS, encode_sentences(tokenizer, DOCUMENTS)[0], strict=True)
    differing = [text for text, ids in pairs if ids.tolist() != tokenizer.encode_plain([text])[0].tolist()]
    assert differing == ([CHINESE[1]] if tokenizer is TOKENIZERS["bytes"] else [])


def test_a_long_document_is_cut_into_pieces_without_false_ends(tmp_path: Path) -> None:
    tokenizer, text = TOKENIZERS["uncased"], "the river ran high, " * 4000 + "and stopped. Then it ran again."
    files = (write(tmp_path, "long.txt", [text]),)
    manifest = prepare(files, tokenizer, tmp_path / "out", CorpusConfig(train=files, sentences=True))
    assert manifest.shards[0].num_sentences == 2 and manifest.counts["documents"] == 1


def test_folders_prepared_before_there_were_sentences_stay_valid(tmp_path: Path) -> None:
    files = (write(tmp_path, "en.txt", ENGLISH),)
    plain = prepare(files, TOKENIZERS["uncased"], tmp_path / "out", CorpusConfig(train=files))
    assert "sentences" not in plain.origin.settings
    with pytest.raises(DataError, match="was prepared with sentences=None, got True"):
        prepare(files, TOKENIZERS["uncased"], tmp_path / "out", CorpusConfig(train=files, sentences=True))
    with pytest.raises(DataError, match=r"without the ends of sentences.*data\.sentences=true"):
        open_pairs(tmp_path / "out", TOKENIZERS["uncased"])


def test_a_damaged_file_of_ends_is_named(tmp_path: Path) -> None:
    files = (write(tmp_path, "en.txt", ENGLISH),)
    config = CorpusConfig(train=files, sentences=True)
    prepare(files, TOKENIZERS["uncased"], tmp_path / "out", config)
    path = tmp_path / "out" / "sentences-00000.bin"
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(DataError, match="should hold 56 bytes, got 48"):
        open_pairs(tmp_path / "out", TOKENIZERS["uncased"])


def test_runs_hold_whole_neighbouring_sentences_of_one_document(tmp_path: Path, tokenizer: Tokenizer) -> None:
    files = (write(tmp_path, "both.txt", DOCUMENTS),)
    prepare(files, tokenizer, tmp_path / "out", CorpusConfig(train=files, sentences=True))
    split = [[tokenizer.encode_plain([each])[0] for each in find_sentences(text).texts] for text in DOCUMENTS]
    longest = max(sum(map(len, sentences)) for sentences in split)
    corpus = open_pairs(tmp_path / "out", tokenizer, max_length=longest + 3)
    expected = [np.concatenate(sentences).tolist() for sentences in split if len(sentences) > 1]
    assert [corpus[index].input_ids.tolist() for index in range(len(corpus))] == expected
    assert corpus.num_single == 2, "documents of one sentence are left out and counted"
    assert corpus.lengths.tolist() == [len(each) + 3 for each in expected]
    ends = [corpus[index].sentence_ends.tolist() for index in range(len(corpus))]
    assert ends == [np.cumsum(list(map(len, sentences))).tolist() for sentences in split if len(sentences) > 1]

    smaller = open_pairs(tmp_path / "out", tokenizer, max_length=longest)
    assert len(smaller) > 0 and smaller.lengths.max() <= longest and smaller.digest != corpus.digest
    assert all(len(smaller[index].sentence_ends) >= 2 for index in range(len(smaller)))


def test_runs_of_a_reference_that_walks_sentence_by_sentence() -> None:
    generator = np.random.default_rng(0)
    documents = [generator.integers(1, 30, size=generator.integers(1, 12)).tolist() for _ in range(200)]
    sentences = np.cumsum(np.concatenate(documents))
    ends = np.cumsum([sum(document) for document in documents])
    windows = PairWindows(ends, sentences, PairFrame(3, False), 43, 4)
    expected, single, start = [], 0, 0
    for document in documents:
        run: list[int] = []
        for size in [*document, 1000]:
            if sum(run) + size <= 40:
                run.append(size)
                continue
            single += len(run) == 1
            if len(run) >= 2 and sum(run) >= 4:
                expected.append((start, sum(run)))
            start += sum(run)
            run = [size] if size <= 40 else []
    ids = np.arange(ends[-1], dtype=np.int32)
    found = [windows.take(index, lambda low, high: ids[low:high]).input_ids for index in range(len(windows))]
    assert [(int(each[0]), len(each)) for each in found] == expected
    assert windows.num_single == single > 0


def test_other_runs_are_of_other_documents_and_equally_likely(tmp_path: Path) -> None:
    tokenizer = TOKENIZERS["uncased"]
    files = (write(tmp_path, "both.txt", DOCUMENTS * 2),)
    prepare(files, tokenizer, tmp_path / "out", CorpusConfig(train=files, sentences=True))
    corpus = open_pairs(tmp_path / "out", tokenizer, max_length=30, needs_others=True)
    sample = corpus[3]
    shares = (np.arange(6000) + 0.5) / 6000
    found = np.bincount([sample.draw_other(share).index for share in shares], minlength=len(corpus))
    document = corpus._windows._documents
    assert (found[document == document[3]] == 0).all()
    others = found[document != document[3]]
    assert others.max() - others.min() <= 1


def test_what_makes_no_pair_is_refused(tmp_path: Path) -> None:
    tokenizer = TOKENIZERS["uncased"]
    single = (write(tmp_path, "single.txt", [ENGLISH[2], CHINESE[2]]),)
    prepare(single, tokenizer, tmp_path / "single", CorpusConfig(train=single, sentences=True))
    with pytest.raises(DataError, match="holds no two neighbouring sentences, got '2 single and 0 too long sentences'"):
        open_pairs(tmp_path / "single", tokenizer)
    one = (write(tmp_path, "one.txt", ENGLISH[:1]),)
    prepare(one, tokenizer, tmp_path / "one", CorpusConfig(train=one, sentences=True))
    assert len(open_pairs(tmp_path / "one", tokenizer)) == 1
    with pytest.raises(DataError, match=r"a single document, got 1; .*objective\.form=order"):
        open_pairs(tmp_path / "one", tokenizer, needs_others=True)
    with pytest.raises(ConfigError, match=r"objective\.max_length: leaves 1 tokens"):
        open_pairs(tmp_path / "one", tokenizer, max_length=4)
