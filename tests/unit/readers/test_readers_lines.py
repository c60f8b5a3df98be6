from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.errors import DataError
from groundup.readers.lines import find_files, hash_file, iterate_lines, iterate_whole_lines

CHARACTERS = st.characters(codec="utf-8", exclude_characters="\n\r\0")


def write(folder: Path, raw: bytes, name: str = "a.txt") -> Path:
    (folder / name).write_bytes(raw)
    return folder / name


@given(
    lines=st.lists(st.text(CHARACTERS, max_size=40), min_size=1, max_size=8),
    ending=st.sampled_from(["\n", "\r\n"]),
    ends_file=st.booleans(),
    max_bytes=st.integers(1, 16),
)
def test_pieces_joined_are_the_lines_whatever_the_size_of_pieces(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], ending: str, ends_file: bool, max_bytes: int
) -> None:
    text = ending.join(lines) + (ending if ends_file else "")
    if not text or text.encode().startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        return
    path = write(tmp_path_factory.mktemp("lines"), text.encode())
    joined: dict[int, str] = {}
    for line in iterate_lines(path, max_bytes=max_bytes):
        joined[line.number] = joined.get(line.number, "") + line.text
    kept = lines if ends_file or lines[-1] else lines[:-1]
    assert list(joined.values()) == kept
    assert list(joined) == list(range(1, len(kept) + 1))


def test_byte_order_mark_and_crlf_are_no_text(tmp_path: Path) -> None:
    path = write(tmp_path, "\ufeffone\r\n二\r\nthree".encode())
    assert [(line.number, line.text) for line in iterate_whole_lines(path)] == [(1, "one"), (2, "二"), (3, "three")]


def test_separators_of_unicode_end_no_line(tmp_path: Path) -> None:
    path = write(tmp_path, "a\u2028b\x85c\x0bd\re\n".encode())
    assert [line.text for line in iterate_whole_lines(path)] == ["a\u2028b\x85c\x0bd\re"]


def test_offsets_end_at_the_size_of_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, "河水\nab".encode())
    assert [line.offset for line in iterate_whole_lines(path)] == [7, 9]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", "is empty"),
        (b"good\nbad \xe9t\xe9\n", "a.txt:2: is not utf-8: byte 9 of the file is 0xE9; set `encoding: latin-1`"),
        ("天气真好啊\n".encode("gb18030"), "set `encoding: gb18030`"),
        (b"PK\x03\x04\x00\x00", "a.txt:1: is binary: byte 4 is 0x00"),
        ("text".encode("utf-16"), "is in utf-16; convert it: iconv"),
        ("cut 河".encode()[:-1], "a.txt:1: is not utf-8: byte 4"),
    ],
)
def test_what_is_no_utf8_text_is_named_with_its_cure(tmp_path: Path, raw: bytes, expected: str) -> None:
    with pytest.raises(DataError) as caught:
        list(iterate_lines(write(tmp_path, raw)))
    assert expected in str(caught.value)


@pytest.mark.parametrize("encoding", ["latin-1", "gb18030", "big5"])
def test_other_encodings_are_read_in_pieces_too(tmp_path: Path, encoding: str) -> None:
    text = "café été" if encoding == "latin-1" else "一二三 abc 天氣"
    path = write(tmp_path, f"{text}\n{text}".encode(encoding))
    for max_bytes in range(1, 9):
        pieces = list(iterate_lines(path, encoding, max_bytes=max_bytes))  # type: ignore[arg-type]
        assert "".join(piece.text for piece in pieces) == text * 2


def test_a_long_line_never_stands_in_memory_whole(tmp_path: Path) -> None:
    path = write(tmp_path, "一行很长的文字 ".encode() * 400_000)
    tracemalloc.start()
    total = sum(len(line.text) for line in iterate_lines(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == 8 * 400_000
    assert peak < path.stat().st_size / 4


def test_missing_files_name_what_exists(tmp_path: Path) -> None:
    write(tmp_path, b"x", "train.txt")
    with pytest.raises(DataError, match=r"data\.train\.0: does not exist, got .*trian\.txt.*holds train\.txt"):
        find_files([str(tmp_path / "trian.txt")], "data.train")
    with pytest.raises(DataError, match="matches no file"):
        find_files([str(tmp_path / "*.csv")], "data.train")
    with pytest.raises(DataError, match=r"is a folder.*\*\.txt"):
        find_files([str(tmp_path)], "data.train")
    with pytest.raises(DataError, match="does not exist"):
        list(iterate_lines(tmp_path / "none" / "a.txt"))


def test_globs_are_sorted_and_no_file_comes_twice(tmp_path: Path) -> None:
    for name in ("b.txt", "a.txt", "c.md"):
        write(tmp_path, b"x", name)
    found = find_files([str(tmp_path / "b.txt"), str(tmp_path / "*.txt")], "data.train")
    assert [path.name for path in found] == ["b.txt", "a.txt"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    path = write(tmp_path, b"x")
    path.chmod(0)
    with pytest.raises(DataError, match="may not be read; check its permissions"):
        list(iterate_lines(path))
    with pytest.raises(DataError, match="may not be read"):
        hash_file(path)
