from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer as Backend
from tokenizers import models, pre_tokenizers, trainers

from groundup.config import parse
from groundup.errors import ConfigError, DataError
from groundup.language.sentences import split_sentences
from groundup.text import documents
from groundup.text.corpus_config import CorpusConfig
from groundup.text.cut import always_safe, find_cut, make_check
from groundup.text.documents import iterate_pieces, iterate_texts
from groundup.text.tokenizer import ByteBPE, Tokenizer, WordPiece, train_tokenizer

FIXTURES = Path(__file__).parents[2] / "fixtures" / "text"
ENGLISH = (FIXTURES / "english.txt").read_text(encoding="utf-8")
CHINESE = (FIXTURES / "chinese.txt").read_text(encoding="utf-8")
TOKENIZERS = {
    "wordpiece": train_tokenizer(WordPiece(vocab_size=420, character_coverage=1.0), [ENGLISH, CHINESE]),
    "byte_bpe": train_tokenizer(ByteBPE(vocab_size=500), [ENGLISH, CHINESE]),
}
WORDS = st.sampled_from(
    [
        "river",
        "the",
        " ",
        "  ",
        ".",
        "!",
        '"',
        "'s",
        "\t",
        "河水",
        "磨坊",
        "。",
        "，",
        "”",
        "\u3000",
        "12",
        "é",
        "[MASK]",
        "🙂",
        "-",
    ]
)


def read(path: Path, is_safe=always_safe, **values: object) -> list[str]:
    """The documents of a file, pieces joined."""
    found, parts = [], []
    for piece in iterate_pieces(path, CorpusConfig(train=(str(path),), **values), is_safe):
        parts.append(piece.text)
        if piece.is_end:
            found.append("".join(parts))
            parts = []
    assert not parts
    return found


def written(folder: Path, text: str, name: str = "a.txt") -> Path:
    (folder / name).write_bytes(text.encode())
    return folder / name


@given(words=st.lists(WORDS, min_size=30, max_size=300), start=st.integers(0, 100))
@pytest.mark.parametrize("name", list(TOKENIZERS))
def test_a_safe_cut_changes_no_id(name: str, words: list[str], start: int) -> None:
    text, tokenizer = "".join(words) + " the river" * 20, TOKENIZERS[name]
    cut = find_cut(text, start, make_check(tokenizer))
    assert cut is not None
    whole, left, right = tokenizer.encode_plain([text, text[:cut], text[cut:]])
    assert whole.tolist() == left.tolist() + right.tolist()


def test_the_check_refuses_what_would_change_ids() -> None:
    check = make_check(TOKENIZERS["byte_bpe"])
    text = "the river runs" * 30
    assert check(text, text.index(" river", 150))
    assert not check(text, text.index("river", 150))
    assert not check(text, text.index("iver", 150))
    assert not check("河水流过旧磨坊" * 40, 140)
    assert make_check(TOKENIZERS["wordpiece"])("河水流过旧磨坊" * 40, 140)


def test_a_tokenizer_without_words_is_never_cut() -> None:
    backend = Backend(models.BPE())
    backend.train_from_iterator([ENGLISH], trainers.BpeTrainer(vocab_size=200, show_progress=False))
    assert find_cut(ENGLISH * 4, 50, make_check(Tokenizer(backend))) is None
    backend = Backend(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.train_from_iterator([ENGLISH], trainers.BpeTrainer(vocab_size=200, show_progress=False))
    assert find_cut(ENGLISH.replace("\n", " ") * 4, 50, make_check(Tokenizer(backend))) is not None


@pytest.mark.parametrize("name", list(TOKENIZERS))
@pytest.mark.parametrize("text", [ENGLISH.replace("\n", " "), CHINESE.replace("\n", ""), "".join([ENGLISH, CHINESE])])
def test_long_documents_keep_their_ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> None:
    monkeypatch.setattr(documents, "PIECE_CHARS", 300)
    path, tokenizer = written(tmp_path, text * 12), TOKENIZERS[name]
    config = CorpusConfig(train=(str(path),), document="file")
    pieces = [piece.text for piece in iterate_pieces(path, config, make_check(tokenizer))]
    assert len(pieces) > 4
    assert max(map(len, pieces)) < 1000
    whole = tokenizer.encode_plain([(text * 12).removesuffix("\n")])[0].tolist()
    assert [index for ids in tokenizer.encode_plain(pieces) for index in ids] == whole


def test_lines(tmp_path: Path) -> None:
    assert read(written(tmp_path, "\ufeffone\r\n\r\n  \r\ntwo  \r\n三")) == ["one", "two  ", "三"]


def test_paragraphs_and_files(tmp_path: Path) -> None:
    path = written(tmp_path, "\n\na\nb\n\n \n\nc\n  d\n\n\n")
    assert read(path, document="paragraph") == ["a\nb", "c\n  d"]
    assert read(path, document="file") == ["a\nb\n\n\n\nc\n  d"]


@given(
    lines=st.lists(st.sampled_from(["", " ", "one", "two words", "三", "  x"]), max_size=12),
    piece=st.integers(1, 9),
)
def test_paragraphs_by_definition(tmp_path_factory: pytest.TempPathFactory, lines: list[str], piece: int) -> None:
    path = written(tmp_path_factory.mktemp("lines"), "\n".join(lines) + "\n")
    expected: list[list[str]] = [[]]
    for line in lines:
        if line.strip():
            expected[-1].append(line)
        else:
            expected.append([])
    assert read(path, document="paragraph") == ["\n".join(group) for group in expected if group]


def test_sentences(tmp_path: Path) -> None:
    path = written(tmp_path, "Dr. Lee came. She sat down! “Well?” he said.\n第一句。第二句！\n")
    assert read(path, document="sentence") == [
        sentence for line in path.read_text(encoding="utf-8").splitlines() for sentence in split_sentences(line)
    ]
    assert read(path, document="sentence", sentences_per_document=2)[-1] == "第一句。第二句！"


def test_sentences_of_a_long_line_do_not_depend_on_how_it_is_read(tmp_path: Path) -> None:
    line = (ENGLISH.replace("\n", " ") + CHINESE.replace("\n", "")) * 500
    path = written(tmp_path, line)
    assert path.stat().st_size > 1 << 19
    assert read(path, document="sentence") == split_sentences(line)


def test_columns(tmp_path: Path) -> None:
    path = FIXTURES / "mixed.tsv"
    assert read(path, column=2) == CHINESE.splitlines()
    assert read(path, column=1) == ENGLISH.splitlines()
    named = written(tmp_path, 'id\ttext\n1\ta "quoted" word\n2\t\n', "a.tsv")
    assert read(named, column="text", header=True) == ['a "quoted" word']
    assert read(written(tmp_path, '{"text": "一\\n二"}\n', "a.jsonl"), column="text") == ["一\n二"]
    with pytest.raises(DataError, match=r"holds columns, and data\.column is null; name the one"):
        read(path)
    with pytest.raises(DataError, match=r"a\.tsv:2: has no column for `column`, got 'txt'; did you mean 'text'"):
        read(named, column="txt", header=True)


@pytest.mark.parametrize(
    "values", [{"header": True}, {"column": 1, "document": "file"}, {"sentences_per_document": 3}, {"train": ()}]
)
def test_contradictory_settings(values: dict) -> None:
    with pytest.raises(ConfigError):
        parse(CorpusConfig, {"train": ["a.txt"]} | values)


@pytest.mark.parametrize("unit", ["河水流过旧磨坊。夏天", "the river "])
def test_a_line_of_megabytes_takes_little_memory(tmp_path: Path, unit: str) -> None:
    path = written(tmp_path, unit * (6_000_000 // len(unit.encode())))
    config = CorpusConfig(train=(str(path),))
    tracemalloc.start()
    longest = max(len(piece.text) for piece in iterate_pieces(path, config, always_safe))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert longest < 4 * documents.PIECE_CHARS
    assert peak < 4 << 20


@pytest.mark.parametrize("document", ["line", "file", "sentence"])
def test_a_megabyte_without_any_place_to_cut_at(tmp_path: Path, document: str) -> None:
    path = written(tmp_path, "short line\n" + "x" * 3_000_000)
    with pytest.raises(DataError, match=r"a\.txt:2: has \d+ characters without a place to cut at"):
        read(path, make_check(TOKENIZERS["wordpiece"]), document=document)


def test_texts_for_a_tokenizer_are_all_of_the_text(tmp_path: Path) -> None:
    files = (str(FIXTURES / "english.txt"), str(FIXTURES / "chinese.txt"))
    assert "".join(iterate_texts(files, CorpusConfig(train=files))) == (ENGLISH + CHINESE).replace("\n", "")


@pytest.mark.parametrize("name", list(TOKENIZERS))
@pytest.mark.parametrize("file", ["babylm_like/gutenberg.txt", "classical_modern/valid.tsv"])
def test_real_lines_keep_their_ids(data_folder: Path, tmp_path: Path, name: str, file: str) -> None:
    text = (data_folder / file).read_text(encoding="utf-8")
    longest = max(text.split("\n"), key=len) if file.endswith(".txt") else "".join(text.split())
    path, tokenizer = written(tmp_path, longest), TOKENIZERS[name]
    config = CorpusConfig(train=(str(path),))
    pieces = [piece.text for piece in iterate_pieces(path, config, make_check(tokenizer))]
    assert len(pieces) > 8
    joined = [index for encoding in tokenizer.encode_raw(pieces) for index in encoding.ids]
    assert joined == tokenizer.encode_raw([longest])[0].ids
