"""Predictions of whole files: read first, written whole or not at all, gone on with after a kill, a piece at a time."""

from __future__ import annotations

import csv
import fcntl
import io
import json
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice, repeat
from pathlib import Path

import pytest
from pages import Run, run
from small_runs import small_recipe, write_small_data

from groundup.cli.main import main
from groundup.errors import ConfigError, DataError
from groundup.verbs import predict_file as module
from groundup.verbs.predict import Watch, answer_batches, predict, predict_stream
from groundup.verbs.predict_file import predict_file
from groundup.verbs.predict_source import Given, open_source
from groundup.verbs.predict_write import RowWriter
from groundup.verbs.train import train
from groundup.verbs.trained import Trained, load_trained

__all__ = ["run"]
TEXTS = ["the cat", "a dog sees", "我 看 书", 'one "red" fish, two', "a bird", "the blue dog runs", "他 见 山"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = write_small_data(tmp_path_factory.mktemp("predict"))
    return load_trained(train(small_recipe(folder, "classification", train={"steps": 2}), quiet=True).folder)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerows([("id", "text", "label"), *((f"r{n}", text, "none") for n, text in enumerate(TEXTS))])
    return path


def read_jsonl(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_both_formats_hold_the_same_and_what_is_kept_of_the_input(trained: Trained, table: Path) -> None:
    lines, cells = table.with_name("out.jsonl"), table.with_name("out.csv")
    keep = {"id": "id", "label": "gold"}
    for output in (lines, cells):
        report = predict_file(trained, table, output, keep=keep, quiet=True)
        assert (report.rows, report.resumed_after) == (len(TEXTS), 0) and str(output) in str(report)
    expected = predict(trained, TEXTS)
    rows = read_jsonl(lines)
    assert rows == [{"id": f"r{n}", "gold": "none"} | row for n, row in enumerate(expected)]
    with cells.open(encoding="utf-8", newline="") as file:
        first, *found = csv.reader(file)
    assert first == ["id", "gold", "text", "label", "probabilities.cat", "probabilities.none"]
    assert [(*row[:4], *map(float, row[4:])) for row in found] == [
        (row["id"], row["gold"], row["text"], row["label"], *row["probabilities"].values()) for row in rows
    ]
    assert {path.name for path in table.parent.iterdir()} == {"rows.csv", "out.csv", "out.jsonl"}


def test_what_is_no_single_value_is_json_in_its_cell() -> None:
    rows = [{"text": "a", "fills": [[{"token": "猫"}]], "votes": {"x": 1}, "score": None}]
    text = RowWriter("csv", ["cat", "none"]).write(rows)
    assert list(csv.reader(io.StringIO(text))) == [
        ["text", "fills", "votes", "score"],
        ["a", '[[{"token": "猫"}]]', '{"x": 1}', "null"],
    ]
    with pytest.raises(DataError, match="answers differ in their fields"):
        RowWriter("csv").write([{"text": "a"}, {"text": "b", "label": "c"}])


@pytest.mark.parametrize("ending", ["jsonl", "csv"])
def test_killed_between_two_pieces_it_goes_on_to_the_same_bytes(
    trained: Trained, table: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, output = table.with_name(f"whole.{ending}"), table.with_name(f"out.{ending}")
    predict_file(trained, table, whole, batch_rows=2, quiet=True)

    def die(*arguments: object) -> Iterator[list]:
        answers = answer_batches(*arguments)
        yield next(answers)
        yield next(answers)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(module, "answer_batches", die)
        predict_file(trained, table, output, batch_rows=2, quiet=True)
    assert not output.exists(), "half a file must not look whole"
    part = output.with_name(f".{output.name}.part")
    part.write_bytes(part.read_bytes() + b"half of a ro")  # a kill within a write
    assert predict_file(trained, table, output, batch_rows=2, quiet=True).resumed_after == 4
    assert output.read_bytes() == whole.read_bytes()
    assert not list(table.parent.glob(".*"))


def test_rows_of_something_else_are_not_gone_on_with(trained: Trained, table: Path, monkeypatch) -> None:
    output = table.with_name("out.jsonl")

    def die(*arguments: object) -> Iterator[list]:
        yield next(answer_batches(*arguments))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(module, "answer_batches", die)
        predict_file(trained, table, output, batch_rows=2, quiet=True)
    table.write_text(table.read_text(encoding="utf-8").replace("a dog sees", "the cat sees"), encoding="utf-8")
    assert predict_file(trained, table, output, batch_rows=2, quiet=True).resumed_after == 0
    assert read_jsonl(output)[1]["text"] == "the cat sees"


def test_one_process_writes_a_file(trained: Trained, table: Path) -> None:
    output = table.with_name("out.jsonl")
    with (table.parent / ".out.jsonl.part").open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(DataError, match=r"out\.jsonl: is being written by another process; wait for it"):
            predict_file(trained, table, output, quiet=True)
    predict_file(trained, table, output, quiet=True)


@pytest.mark.parametrize(
    ("name", "content", "pattern"),
    [
        ("rows.csv", "text\n" + "the cat\n" * 5 + '""\n', r"rows\.csv:7: the text in column 'text' is empty"),
        ("rows.jsonl", '{"text": "a"}\n' * 3 + '{"text": 7}\n', r"rows\.jsonl:4: column 'text' is no text, got 7"),
        ("rows.jsonl", '{"text": "a"}\n{"text": "\\ud800"}\n', r"rows\.jsonl:2: is no UTF-8 text"),
    ],
)
def test_a_row_that_cannot_be_read_is_told_of_before_anything_is_computed(
    trained: Trained, tmp_path: Path, name: str, content: str, pattern: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    computed: list[object] = []
    monkeypatch.setattr(module, "answer_batches", lambda *given: computed.append(given))
    with pytest.raises(DataError, match=pattern):
        predict_file(trained, path, tmp_path / "out.jsonl", quiet=True)
    with pytest.raises(DataError, match=pattern):
        list(module.stream_text(trained, str(path)))
    assert computed == [] and not (tmp_path / "out.jsonl").exists()


def test_what_does_not_go_together_is_refused(trained: Trained, table: Path) -> None:
    def refuse(pattern: str, source: Path | str = table, output: str = "out.jsonl", **options: object) -> None:
        with pytest.raises((ConfigError, DataError), match=pattern):
            predict_file(trained, source, table.parent / output, quiet=True, **options)

    refuse("output: has an ending that tells no format.*end it in .jsonl or .csv", output="out.txt")
    refuse("output: is in a folder that does not exist", output="nowhere/out.csv")
    refuse("output: is the file that is read", output="rows.csv")
    refuse(r"rows\.csv:2: has no column for `keep`, got 'ids'; did you mean 'id'", keep=["ids"])
    refuse("keep: has the name of an answer, got 'label'; give it another name there: keep label=NAME", keep=["label"])
    refuse("is no file here", source="missing.csv")
    (lines := table.with_name("rows.txt")).write_text("the cat\n")
    refuse("keep: is for columns of tables, not for a .txt file, got 'id'", source=lines, keep=["id"])


def test_an_empty_text_that_is_typed_is_refused_and_an_empty_line_keeps_its_place(
    trained: Trained, tmp_path: Path
) -> None:
    for ask in (lambda: predict(trained, ["the cat", " "]), lambda: list(predict_stream(trained, ""))):
        with pytest.raises(DataError, match="text: is empty, so there is nothing to label"):
            ask()
    (lines := tmp_path / "rows.txt").write_text("the cat\n\na dog\n", encoding="utf-8")
    assert len(list(predict_stream(trained, str(lines)))) == 3


def test_parquet_is_read_with_its_columns(trained: Trained, tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = tmp_path / "rows.parquet"
    parquet.write_table(pyarrow.table({"number": list(range(len(TEXTS))), "text": TEXTS}), path)
    rows = list(predict_stream(trained, str(path), keep=["number"]))
    assert rows == [{"number": n} | row for n, row in enumerate(predict(trained, TEXTS))]


def test_a_large_file_is_held_a_piece_at_a_time(trained: Trained) -> None:
    read = 0

    def give() -> Iterator[Given]:
        nonlocal read
        for given in repeat(next(open_source(trained, "the cat", None, {}).iterate())):
            read += 1
            yield given

    for number, answers in enumerate(islice(answer_batches(trained, give(), 8, Watch()), 4), start=1):
        assert len(answers) == 8 and read == 8 * number


def test_progress_has_a_rate_and_what_is_left(
    trained: Trained, table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    predict_file(trained, table, table.with_name("out.csv"))
    assert "row 7/7 (100%)  " in capsys.readouterr().err
    predict_file(trained, table, table.with_name("out.csv"), quiet=True)
    assert capsys.readouterr().err == ""


def test_rows_that_are_cut_are_told_of(trained: Trained, tmp_path: Path) -> None:
    (path := tmp_path / "rows.txt").write_text("the cat\n" + "a dog " * 60 + "\n", encoding="utf-8")
    report = predict_file(trained, path, tmp_path / "out.jsonl", quiet=True)
    assert report.cut == 1 and "1 row longer than the model reads" in str(report)


def test_the_command_line(trained: Trained, table: Path, run: Run) -> None:
    model, output = str(trained.folder), table.with_name("out.csv")
    printed = run("predict", model, str(table), "--format", "csv", "--keep", "id", "--keep", "label=gold")
    assert printed.code == 0 and printed.out.startswith("id,gold,text,label,probabilities.cat")
    written = run("predict", model, str(table), "--keep", "id", "--keep", "label=gold", "--output", str(output))
    assert written.code == 0 and output.read_text(encoding="utf-8") == printed.out
    assert run("predict", model, str(table), "--format", "xml").code == 2


def test_a_pipe_that_nobody_reads_ends_quietly(
    trained: Trained, table: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    pipe = os.fdopen(writer, "w", encoding="utf-8")
    monkeypatch.setattr(sys, "stdout", pipe)
    monkeypatch.setattr(sys, "argv", ["groundup", "predict", str(trained.folder), str(table)])
    with pytest.raises(SystemExit) as ending:
        main()
    with suppress(BrokenPipeError):
        pipe.close()
    assert ending.value.code == 1 and capfd.readouterr().err == ""
