from __future__ import annotations

import fcntl
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.errors import ConfigError, DataError
from groundup.text import prepare as preparing
from groundup.text.corpus import Corpus, CorpusConfig, Progress, prepare
from groundup.text.manifest import Manifest
from groundup.text.tokenizer import Tokenizer, WordPiece, train_tokenizer
from groundup.text.windows import Frame, lay_windows

FIXTURES = Path(__file__).parents[2] / "fixtures" / "text"
ENGLISH, CHINESE = str(FIXTURES / "english.txt"), str(FIXTURES / "chinese.txt")
LINES = [line for file in (ENGLISH, CHINESE) for line in Path(file).read_text(encoding="utf-8").splitlines()]
SUPPORT = Path(__file__).parents[2] / "support"
TOKENIZER = train_tokenizer(WordPiece(vocab_size=420, character_coverage=1.0), LINES)


def make(
    folder: Path, *files: str, tokenizer: Tokenizer = TOKENIZER, shard_tokens: int = 100, **values: object
) -> Manifest:
    config = CorpusConfig(train=files or (ENGLISH, CHINESE), **values)
    return prepare(config.train, tokenizer, folder, config, shard_tokens=shard_tokens)


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preparing, "_BATCH_CHARS", 120)


def test_samples_joined_are_a_plain_encode_of_the_documents(tmp_path: Path) -> None:
    manifest = make(tmp_path)
    corpus = Corpus.open(tmp_path, TOKENIZER, max_length=12, min_length=1)
    ids = TOKENIZER.encode_plain(LINES)
    windows = [line[start : start + 10].tolist() for line in ids for start in range(0, len(line), 10)]
    assert [corpus[index].input_ids.tolist() for index in range(len(corpus))] == [
        [TOKENIZER.cls_id, *window, TOKENIZER.sep_id] for window in windows
    ]
    assert corpus.lengths.tolist() == [len(window) + 2 for window in windows]
    assert [corpus[index].index for index in range(3)] == [0, 1, 2]
    assert len(manifest.shards) > 2
    assert manifest.counts["documents"] == len(LINES)
    assert manifest.counts["tokens"] == sum(map(len, ids)) == corpus.num_text_tokens
    assert manifest.counts["characters"] == sum(map(len, LINES))
    assert manifest.counts["unknown_tokens"] == 0
    with pytest.raises(IndexError):
        corpus[len(corpus)]


def test_parts_are_disjoint_and_make_up_the_whole(tmp_path: Path) -> None:
    make(tmp_path)
    frame = Frame("document", (), ())
    shares = ((0.0, 1.0), (0.0, 0.7), (0.7, 1.0))
    whole, first, second = (
        Corpus.open(tmp_path, TOKENIZER, max_length=9, min_length=1, frame=frame, part=part) for part in shares
    )
    texts = [
        [ids for index in range(len(corpus)) for ids in corpus[index].input_ids[1:].tolist()]
        for corpus in (whole, first, second)
    ]
    # Without a start token the first token of each document is not predicted; the cut makes one document more.
    assert len(texts[0]) - 1 <= len(texts[1]) + len(texts[2]) <= len(texts[0])
    assert texts[0][: len(texts[1])] == texts[1] and texts[0][-len(texts[2]) :] == texts[2]
    assert 0.6 < len(texts[1]) / len(texts[0]) < 0.8
    assert len({whole.digest, first.digest, second.digest}) == 3


@pytest.mark.parametrize("shard_tokens", [1, 37, 1 << 20])
def test_shards_are_of_no_consequence(tmp_path: Path, shard_tokens: int) -> None:
    make(tmp_path / "a")
    make(tmp_path / "b", shard_tokens=shard_tokens)
    one, other = (Corpus.open(tmp_path / name, TOKENIZER, max_length=16) for name in "ab")
    assert len(one) == len(other) > 20
    assert all(one[index].input_ids.tolist() == other[index].input_ids.tolist() for index in range(len(one)))


@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=30),
    window=st.integers(1, 12),
    min_length=st.integers(1, 12),
)
def test_windows(sizes: list[int], window: int, min_length: int) -> None:
    min_length = min(min_length, window)
    ends = np.cumsum(sizes).astype(np.int64)
    starts, lengths = lay_windows(ends, window, min_length)
    expected = []
    for end, size in zip(ends.tolist(), sizes, strict=True):
        for offset in range(0, size, window):
            length = min(window, size - offset)
            if length >= min_length:
                expected.append((end - size + offset, length))
    assert list(zip(starts.tolist(), lengths.tolist(), strict=True)) == expected


def test_short_documents_and_tails_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("the\nthe the the the the\nthe the the the the the the\n")
    make(tmp_path / "out", str(path))
    assert Corpus.open(tmp_path / "out", TOKENIZER, max_length=7, min_length=3).lengths.tolist() == [7, 7]
    with pytest.raises(DataError, match="holds no document of 9 tokens or more; lower"):
        Corpus.open(tmp_path / "out", TOKENIZER, max_length=30, min_length=9)
    with pytest.raises(ConfigError, match="max_length: leaves 5 tokens beside"):
        Corpus.open(tmp_path / "out", TOKENIZER, max_length=7, min_length=9)


@pytest.mark.parametrize(("vocab_size", "dtype"), [(1 << 16, "<u2"), ((1 << 16) + 1, "<u4")])
def test_the_width_of_tokens_follows_the_vocabulary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vocab_size: int, dtype: str
) -> None:
    tokenizer = Tokenizer(TOKENIZER._backend)
    monkeypatch.setitem(tokenizer.__dict__, "vocab_size", vocab_size)
    assert make(tmp_path, tokenizer=tokenizer).dtype == dtype
    assert Corpus.open(tmp_path, tokenizer, max_length=64)[0].input_ids[1] == TOKENIZER.encode(LINES[0]).input_ids[1]


def test_a_second_preparation_does_nothing(tmp_path: Path) -> None:
    first = make(tmp_path)
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert make(tmp_path) == first
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_the_same_text_gives_the_same_bytes_and_digest(tmp_path: Path) -> None:
    for name in "ab":
        make(tmp_path / name)
    files = [{path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in "ab"]
    assert files[0] == files[1]
    digests = {Corpus.open(tmp_path / name, TOKENIZER, max_length=16).digest for name in "ab"}
    assert len(digests | {Corpus.open(tmp_path / "a", TOKENIZER, max_length=17).digest}) == 2
    assert len(digests) == 1


def test_killed_at_every_file_operation_it_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    TOKENIZER.save(tmp_path / "tokenizer")
    text = tmp_path / "text.txt"
    text.write_text("\n".join(LINES * 2) + "\n" + "the river runs " * 200, encoding="utf-8")
    command = [
        sys.executable,
        str(SUPPORT / "kill_preparation.py"),
        str(tmp_path / "tokenizer"),
        str(text),
        str(tmp_path),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 30


def test_another_tokenizer_source_or_setting_is_refused(tmp_path: Path) -> None:
    source, out = tmp_path / "a.txt", tmp_path / "out"
    source.write_text("the river runs\n")
    make(out, str(source))
    other = train_tokenizer(WordPiece(vocab_size=300), LINES[:8])
    with pytest.raises(DataError, match=r"was prepared with another tokenizer; remove .*out to prepare it anew"):
        make(out, str(source), tokenizer=other)
    with pytest.raises(DataError, match="was prepared with document='line', got 'file'"):
        make(out, str(source), document="file")
    with pytest.raises(DataError, match="was prepared from 1 files, got 2"):
        make(out, str(source), ENGLISH)
    source.write_text("the river runs on\n")
    with pytest.raises(DataError, match=r"was prepared from another content of a\.txt"):
        make(out, str(source))
    with pytest.raises(DataError, match="was prepared with another tokenizer"):
        Corpus.open(out, other, max_length=32)


def test_damage_is_found_and_named(tmp_path: Path) -> None:
    make(tmp_path)
    shard = tmp_path / "tokens-00001.bin"
    sound = shard.read_bytes()
    flipped = bytearray(sound)
    flipped[len(sound) // 2] ^= 4
    shard.write_bytes(bytes(flipped))
    Corpus.open(tmp_path, TOKENIZER, max_length=32)
    with pytest.raises(DataError, match=r"tokens-00001\.bin: is damaged: its sha256"):
        Corpus.open(tmp_path, TOKENIZER, max_length=32, verify=True)
    with pytest.raises(DataError, match=r"tokens-00001\.bin: is damaged: its sha256.*and prepare it anew"):
        make(tmp_path)  # as every run does at its start
    shard.write_bytes(sound[:-2])
    with pytest.raises(DataError, match=rf"should hold {len(sound)} bytes, got {len(sound) - 2}; remove"):
        Corpus.open(tmp_path, TOKENIZER, max_length=32)
    shard.unlink()
    with pytest.raises(DataError, match="is missing"):
        make(tmp_path)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("{", "cannot be read"),
        ("[]", "is no manifest of prepared text"),
        ('{"format": "groundup-corpus", "version": 2}', "is of version 1 in this release, got 2"),
        ('{"format": "groundup-corpus", "version": 1}', "is damaged"),
    ],
)
def test_bad_manifests(tmp_path: Path, content: str, expected: str) -> None:
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(DataError) as caught:
        Corpus.open(tmp_path, TOKENIZER, max_length=32)
    assert expected in str(caught.value)


def test_unprepared_and_unfinished_folders(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no prepared text"):
        Corpus.open(tmp_path / "none", TOKENIZER, max_length=32)
    make(tmp_path)
    manifest = tmp_path / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"is_complete": true', '"is_complete": false'))
    with pytest.raises(DataError, match="is not prepared to the end"):
        Corpus.open(tmp_path, TOKENIZER, max_length=32)


def test_folders_of_others_are_not_touched(tmp_path: Path) -> None:
    (tmp_path / "thesis.doc").write_text("x")
    with pytest.raises(DataError, match="holds other files"):
        make(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.doc"]


def test_two_processes_do_not_write_at_once(tmp_path: Path) -> None:
    handle = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(DataError, match="is being prepared by another process"):
            make(tmp_path)
    finally:
        os.close(handle)
    make(tmp_path)


def test_bad_text_leaves_nothing_half_written(tmp_path: Path) -> None:
    bad = tmp_path / "bad.txt"
    bad.write_bytes(("\n".join(LINES) + "\n").encode() + b"caf\xe9\n")
    out = tmp_path / "out"
    with pytest.raises(DataError, match=r"data\.train \(.*bad\.txt:17\): is not utf-8: byte \d+"):
        make(out, ENGLISH, str(bad))
    assert not list(out.glob("*.part"))
    with pytest.raises(DataError, match="is not prepared to the end"):
        Corpus.open(out, TOKENIZER, max_length=32)


def test_blank_text(tmp_path: Path) -> None:
    (tmp_path / "blank.txt").write_text("\n \n\u200b\n")
    with pytest.raises(DataError, match=r"data\.train: holds no text"):
        make(tmp_path / "out", str(tmp_path / "blank.txt"))


def test_a_full_disk(tmp_path: Path) -> None:
    """A limit on the size of files fails like a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, before[1]))
    try:
        with pytest.raises(DataError, match=r"cannot be written \(.*\); free some space"):
            make(tmp_path, shard_tokens=10_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.glob("*.part"))
    make(tmp_path, shard_tokens=10_000)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="cannot be written"):
        make(tmp_path / "file" / "out")


def test_preparation_stops_early(tmp_path: Path) -> None:
    manifest = make(tmp_path, max_tokens=60)
    sizes = [len(ids) for ids in TOKENIZER.encode_plain(LINES)]
    needed = int(np.searchsorted(np.cumsum(sizes), 60)) + 1
    assert manifest.counts["documents"] == needed
    assert manifest.counts["tokens"] == sum(sizes[:needed])
    assert manifest.is_complete


def test_progress_reaches_the_end(tmp_path: Path) -> None:
    seen: list[Progress] = []
    config = CorpusConfig(train=(ENGLISH, CHINESE))
    manifest = prepare(config.train, TOKENIZER, tmp_path, config, progress=seen.append)
    total = Path(ENGLISH).stat().st_size + Path(CHINESE).stat().st_size
    assert [step.done_bytes for step in seen] == sorted(step.done_bytes for step in seen)
    assert (seen[-1].done_bytes, seen[-1].total_bytes) == (total, total)
    assert seen[-1].num_tokens == manifest.counts["tokens"]
    assert seen[-1].tokens_per_second > 0


@pytest.mark.slow
def test_a_line_of_50_megabytes_in_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "long.txt"
    path.write_bytes(("The river runs past the old mill. 河水流过旧磨坊。" * 900_000).encode())
    assert path.stat().st_size > 50_000_000
    TOKENIZER.save(tmp_path / "tokenizer")
    code = (
        "import resource, sys; from groundup.text.corpus import *; from groundup.text.tokenizer import Tokenizer\n"
        "config = CorpusConfig(train=(sys.argv[1],)); tokenizer = Tokenizer.load(sys.argv[2])\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "prepare(config.train, tokenizer, sys.argv[3], config)\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)\n"
    )
    arguments = [str(path), str(tmp_path / "tokenizer"), str(tmp_path / "out")]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 200


def test_real_text(data_folder: Path, tmp_path: Path) -> None:
    file = data_folder / "clue_corpus_small" / "sample.txt"
    manifest = make(tmp_path, str(file), shard_tokens=1 << 20, max_tokens=30_000)
    corpus = Corpus.open(tmp_path, TOKENIZER, max_length=64, min_length=1)
    lines = [line for line in file.read_text(encoding="utf-8").split("\n") if line.strip()]
    plain = TOKENIZER.encode_plain(lines[: int(manifest.counts["documents"])])
    joined = np.concatenate([corpus[index].input_ids[1:-1] for index in range(len(corpus))])
    assert joined.tolist() == np.concatenate(plain).tolist()
