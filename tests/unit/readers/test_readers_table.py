from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.config import parse
from groundup.errors import ConfigError, DataError
from groundup.readers.table import Example, TableConfig, collect_labels, read_table

FIXTURES = Path(__file__).parents[2] / "fixtures" / "tables"


def config(path: Path | str, **values: object) -> TableConfig:
    return parse(TableConfig, {"train": str(path)} | values)


def read(name: str, **values: object) -> list:
    return read_table(FIXTURES / name, config(name, **values), "data.train")


def written(folder: Path, text: str, name: str = "a.tsv") -> Path:
    (folder / name).write_text(text, encoding="utf-8", newline="")
    return folder / name


def test_sst2_has_a_header_and_literal_quotes() -> None:
    rows = read("sst2.tsv", text="sentence")
    assert [(row.text, row.label, row.line) for row in rows] == [
        ("a gentle , funny film ", "1", 2),
        ('"the plot is " thin " and long ', "0", 3),
        ("never dull ", "1", 4),
    ]


def test_cola_has_no_header() -> None:
    rows = read("cola.tsv", header=False, text=3, label=1)
    assert [row.label for row in rows] == ["1", "0", "1"]
    assert rows[2].text == 'She said, "I won\'t."'


def test_mrpc_pairs_with_a_byte_order_mark_and_crlf() -> None:
    rows = read("mrpc.tsv", text="#1 String", pair="#2 String", label="Quality")
    assert rows[0].text == 'The firm, known as "the bank", sold a branch.'
    assert rows[1] == Example("Rain fell in the north.", "Shares fell by $2 billion.", "0", 3)


def test_stsb_scores_stay_as_written() -> None:
    rows = read("stsb.tsv", text="sentence1", pair="sentence2", label="score")
    assert [(row.text, row.pair, row.label) for row in rows] == [
        ("A dog runs.", "A dog is running.", "4.800"),
        ('Rain in "May"', "Snow in June", "0.600"),
    ]


def test_chnsenticorp() -> None:
    rows = read("chnsenticorp.tsv", text="text_a")
    assert rows[0][:3] == ("房间很干净，“服务”也好。", None, "1")
    assert collect_labels(rows) == ("0", "1")


def test_label_then_text_in_latin1() -> None:
    values: dict = {"header": False, "delimiter": " ", "num_columns": 2, "label": 0, "text": 1}
    with pytest.raises(DataError, match=r"trec\.txt:2\): is not utf-8: byte 41 .*0xE9; set `encoding: latin-1`"):
        read("trec.txt", **values)
    assert [row.text for row in read("trec.txt", encoding="latin-1", **values)] == [
        "How far is the moon ?",
        "Who wrote Fiancée in 1890 ?",
    ]
    assert read("sst5.txt", **values)[0][:3] == ("a joy from start to end", None, "4")


def test_csv_quotes_hold_delimiters_quotes_and_lines() -> None:
    rows = read("quoted.csv")
    assert [(row.text, row.label, row.line) for row in rows] == [
        ('Well, he said "no".', "neg", 2),
        ("two\nlines", "pos", 3),
        ("plain", "neg", 5),
    ]


def test_jsonl_names_its_columns_in_every_line() -> None:
    assert [row.label for row in read("rows.jsonl")] == ["1", "0", "true"]


@given(st.lists(st.lists(st.text(st.sampled_from('ab,"\n 一'), max_size=6), min_size=3, max_size=3), min_size=1))
def test_csv_is_read_as_the_standard_library_reads_it(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]
) -> None:
    rows = [[f"t{text}", f"p{pair}", f"l{label}"] for text, pair, label in rows]
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    path = written(tmp_path_factory.mktemp("csv"), buffer.getvalue(), "a.csv")
    settings = config(path, header=False, text=0, pair=1, label=2)
    found = [[row.text, row.pair, row.label] for row in settings.iterate_file(path, needs_label=True)]
    assert found == [[text, pair, label.strip()] for text, pair, label in rows]


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("text\tlabel\n", {}, "holds no row"),
        ("text\tlabel\na\t1\nb\n", {}, ":3): has 1 field where the header has 2; check the delimiter"),
        ("text\tlabel\na\t1\tx\n", {}, ":2): has 3 fields where the header has 2"),
        ("a\t1\nb\t0\t\n", {"header": False, "text": 0, "label": 1}, ":2): has 3 fields where the first row has 2"),
        (
            "txet\tlabel\na\t1\n",
            {},
            "has no column for `text`, got 'text'; did you mean 'txet'? columns are txet, label",
        ),
        ("a\tb\n", {"header": False, "text": 0, "label": 5}, "no column for `label`, got 5; columns are 0 to 1"),
        ("text\tlabel\n \t1\n", {}, ":2): the text in column 'text' is empty"),
        ("text\tlabel\na\t\n", {}, ":2): the label in column 'label' is missing"),
        ("text\ttext\na\t1\n", {}, ":1): names the column 'text' twice"),
        ('text\tlabel\n"a\t1\nb\t2\n', {"quoting": True}, ":2): opens a quote that is never closed"),
        ('text\tlabel\n"a"b\t1\n', {"quoting": True}, ":2): has text after the closing quote of field 1"),
        ("", {}, "is empty"),
    ],
)
def test_bad_tables_are_named_with_file_and_line(tmp_path: Path, text: str, values: dict, expected: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(DataError) as caught:
        read_table(path, config(path, **values), "data.train")
    assert expected in str(caught.value)
    assert str(caught.value).startswith("data.train")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"text": "a", "label": 1}\n{"text": \n', ":2: is not JSON"),
        ("[1]\n", ":1: is no JSON object"),
        ('{"text": 3, "label": 1}\n', ":1: column 'text' is no text, got 3"),
        ('{"text": "a", "label": {"b": 1}}\n', ":1: the label in column 'label' is no single value"),
        ('{"text": "a"}\n', ":1: has no column for `label`"),
        ("[" * 200_000, ":1: is n"),
    ],
)
def test_bad_jsonl(tmp_path: Path, text: str, expected: str) -> None:
    path = written(tmp_path, text, "a.jsonl")
    with pytest.raises(DataError) as caught:
        read_table(path, config(path))
    assert expected in str(caught.value)


def test_a_file_without_labels_can_be_read_for_prediction(tmp_path: Path) -> None:
    path = written(tmp_path, "index\tsentence\n0\tuneasy\n")
    settings = config(path, text="sentence")
    assert read_table(path, settings, needs_label=False)[0] == Example("uneasy", None, None, 2)
    with pytest.raises(DataError, match="label"):
        read_table(path, settings)


def test_an_extension_that_tells_no_delimiter(tmp_path: Path) -> None:
    path = written(tmp_path, "a\t1\n", "a.txt")
    with pytest.raises(ConfigError, match=r"data\.delimiter: must be given for a\.txt"):
        read_table(path, config(path, header=False, text=0, label=1), "data.train")


@pytest.mark.parametrize(
    "values",
    [
        {"header": False, "text": "sentence"},
        {"text": "label"},
        {"num_columns": 2},
        {"encoding": "utf-16"},
        {"text": -1},
        {"txet": "a"},
    ],
)
def test_contradictory_settings_are_refused(values: dict) -> None:
    with pytest.raises(ConfigError):
        config("a.tsv", **values)


def test_reading_is_streamed(tmp_path: Path) -> None:
    path = written(tmp_path, "text\tlabel\n" + "good\t1\n" * 3 + "ragged\n")
    rows = config(path).iterate_file(path, needs_label=True)
    assert [next(rows).text for _ in range(3)] == ["good"] * 3
    with pytest.raises(DataError, match=":5: has 1 field"):
        next(rows)


def test_labels_in_natural_order() -> None:
    assert collect_labels(Example("a", None, label, 1) for label in ("10", "9", "-1", "9")) == ("-1", "9", "10")
    assert collect_labels([Example("a", None, "pos", 1), Example("a", None, "10", 2)]) == ("10", "pos")
    assert collect_labels([Example("a", None, None, 1)]) == ()


@pytest.mark.parametrize(
    ("name", "values", "rows", "labels"),
    [
        ("glue/SST-2/train.tsv", {"text": "sentence"}, 67_349, 2),
        ("glue/CoLA/train.tsv", {"header": False, "text": 3, "label": 1}, 8_551, 2),
        ("glue/MRPC/train.tsv", {"text": "#1 String", "pair": "#2 String", "label": "Quality"}, 3_668, 2),
        ("glue/STS-B/train.tsv", {"text": "sentence1", "pair": "sentence2", "label": "score"}, 5_749, None),
        ("chnsenticorp/train.tsv", {"text": "text_a"}, 9_600, 2),
        ("thucnews_titles/dev.txt", {"header": False, "text": 0, "label": 1, "delimiter": "\t"}, 10_000, 10),
        (
            "trec/TREC.train.all",
            {"header": False, "text": 1, "label": 0, "delimiter": " ", "num_columns": 2, "encoding": "latin-1"},
            5_452,
            6,
        ),
        (
            "sst5/stsa.fine.train",
            {"header": False, "text": 1, "label": 0, "delimiter": " ", "num_columns": 2},
            8_544,
            5,
        ),
    ],
)
def test_released_files_are_read_whole(
    data_folder: Path, name: str, values: dict, rows: int, labels: int | None
) -> None:
    examples = read_table(data_folder / name, config(name, **values))
    assert len(examples) == rows
    assert labels is None or len(collect_labels(examples)) == labels
    assert all(example.text.strip() and example.label for example in examples)
