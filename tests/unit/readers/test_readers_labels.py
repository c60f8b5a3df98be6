"""Rows with several labels, in every form in which they are written."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from groundup.errors import DataError
from groundup.readers.table import Example, TableConfig, read_table


def read(folder: Path, name: str, content: str, *, needs_label: bool = True, **columns: object) -> list[Example]:
    file = folder / name
    file.write_text(content, encoding="utf-8")
    return read_table(str(file), TableConfig(train=str(file), **columns), "data.train", needs_label=needs_label)


FORMS = {
    "separated": ("a.csv", "text,label\nfast,速度;price \nslow,\nfine,price;;price\n", {"separator": ";"}),
    "commas in quotes": ("a.csv", 'text,label\nfast,"速度, price"\nslow,\nfine,price\n', {"separator": ","}),
    "json in a field": (
        "a.csv",
        'text,label\nfast,"[""速度"", ""price""]"\nslow,[]\nfine,"[""price""]"\n',
        {"separator": "json"},
    ),
    "lists": (
        "a.jsonl",
        '{"text": "fast", "label": ["速度", "price"]}\n{"text": "slow", "label": []}\n'
        '{"text": "fine", "label": ["price"]}\n',
        {},
    ),
    "columns": ("a.csv", "text,速度,price\nfast,1,1\nslow,0,0.0\nfine,false,True\n", {"label": ("速度", "price")}),
    "columns in jsonl": (
        "a.jsonl",
        '{"text": "fast", "速度": 1, "price": true}\n{"text": "slow", "速度": 0, "price": false}\n'
        '{"text": "fine", "速度": 0, "price": 1.0}\n',
        {"label": ("速度", "price")},
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_reads_the_same(form: str, tmp_path: Path) -> None:
    name, content, columns = FORMS[form]
    rows = read(tmp_path, name, content, **columns)
    assert [(row.text, row.labels) for row in rows] == [("fast", ("速度", "price")), ("slow", ()), ("fine", ("price",))]
    assert all(row.label is None and row.label_names == row.labels for row in rows)
    # An empty place between separators is no label, so it is none twice.
    assert [row.repeated for row in rows] == [(), (), ("price",) if form == "separated" else ()]


def test_a_file_without_labels_has_none(tmp_path: Path) -> None:
    for columns in ({"separator": ";"}, {"label": ("x", "y")}):
        (row,) = read(tmp_path, "a.csv", "text\nfast\n", needs_label=False, **columns)
        assert row.label_names is None


@pytest.mark.parametrize(
    ("content", "columns", "message"),
    [
        ("text,x,y\nfast,1,2\n", {"label": ("x", "y")}, "a.csv:2.*: column 'y' says neither 1 nor 0, got '2'"),
        ("text,x\nfast,1\n", {"label": ("x", "yy")}, "has no column for `label`, got 'yy'"),
        ("text,label\nfast,a b\n", {"separator": "json"}, "column 'label' holds no JSON list"),
        ("text,label\nfast,[[1]]\n", {"separator": "json"}, "holds a label that is no text"),
    ],
    ids=["no flag", "no column", "no list", "nested"],
)
def test_what_is_no_list_of_labels_is_refused(
    content: str, columns: dict[str, object], message: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, "a.csv", content, **columns)


def test_settings_that_do_not_go_together() -> None:
    with pytest.raises(ValidationError, match="separator: is for labels in one column"):
        TableConfig(train="a.csv", label=("x", "y"), separator=";")
    with pytest.raises(ValidationError, match="must be different columns"):
        TableConfig(train="a.csv", label=("x", "text"))
    with pytest.raises(ValidationError, match="without a header a column is a number"):
        TableConfig(train="a.csv", header=False, text=0, label=(1, "x"))
