from __future__ import annotations

import sys
from pathlib import Path

import pytest

from groundup.config import parse
from groundup.errors import DataError, MissingExtraError
from groundup.readers.lines import iterate_whole_lines
from groundup.readers.records import Layout, iterate_rows
from groundup.readers.table import TableConfig, read_table


def write_parquet(path: Path, columns: dict[str, list]) -> Path:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pyarrow.table(columns), path)
    return path


def test_parquet_is_a_table_like_any_other(tmp_path: Path) -> None:
    file = write_parquet(tmp_path / "a.parquet", {"text": ["一个好天气", "a grey day"], "label": [1, 0]})
    rows = read_table(file, parse(TableConfig, {"train": str(file)}))
    assert [(row.text, row.label, row.line) for row in rows] == [("一个好天气", "1", 1), ("a grey day", "0", 2)]
    assert [row.offset for row in iterate_rows(file, Layout())][-1] == file.stat().st_size
    with pytest.raises(DataError, match=r"a\.parquet:1: has no column for `text`, got 'txt'; did you mean 'text'"):
        read_table(file, parse(TableConfig, {"train": str(file), "text": "txt"}))
    with pytest.raises(DataError, match=r"a\.parquet:1: column 'label' is no text, got 1"):
        read_table(file, parse(TableConfig, {"train": str(file), "text": "label", "label": "text"}))


def test_what_is_no_parquet_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyarrow")
    file = tmp_path / "a.parquet"
    with pytest.raises(DataError, match=r"a\.parquet: does not exist"):
        list(iterate_rows(file, Layout()))
    file.write_text("text,label\n")
    with pytest.raises(DataError, match=r"a\.parquet: is no parquet file that can be read"):
        list(iterate_rows(file, Layout()))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"needs the package 'pyarrow'; pip install 'groundup\[parquet\]'"):
        list(iterate_rows(file, Layout()))


def test_the_case_of_an_extension_says_nothing(tmp_path: Path) -> None:
    for name, text in (("rows.JSONL", '{"text": "好"}\n'), ("rows.CSV", "text\n好\n"), ("rows.Tsv", "text\n好\n")):
        (tmp_path / name).write_text(text, encoding="utf-8")
        assert [row.fields for row in iterate_rows(tmp_path / name, Layout())] == [{"text": "好"}], name


def test_objects_and_ragged_rows_by_the_layout(tmp_path: Path) -> None:
    file = tmp_path / "train.json"
    file.write_text('{"text": "a"}\n{"text": "b"}\n')
    assert [row.fields for row in iterate_rows(file, Layout(objects=True))] == [{"text": "a"}, {"text": "b"}]
    ragged = tmp_path / "a.tsv"
    ragged.write_text("text\tlabel\na\t1\nb\nc\t0\n")
    with pytest.raises(DataError, match=r"a\.tsv:3: has 1 field where the header has 2"):
        list(iterate_rows(ragged, Layout()))
    assert [row.line for row in iterate_rows(ragged, Layout(skips_ragged=True))] == [2, 4]


def test_bytes_that_are_no_text_are_replaced_only_where_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(b"a\xff\nb\n")
    with pytest.raises(DataError, match=r"a\.txt:1: is not utf-8"):
        list(iterate_whole_lines(file))
    assert [line.text for line in iterate_whole_lines(file, replaces_broken=True)] == ["a\ufffd", "b"]
