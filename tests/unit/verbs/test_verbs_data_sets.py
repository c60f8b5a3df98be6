"""What is wrong with data is found, named with its place, and nothing is found in data that is sound."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from groundup.cli.main import app
from groundup.config import parse
from groundup.errors import ConfigError, DataError
from groundup.readers.choice_files import ChoicesConfig
from groundup.verbs.data_sets import DataCheckReport, check_data, list_data

FIXTURES = Path(__file__).parents[2] / "fixtures" / "data"


def write(folder: Path, name: str, text: str) -> str:
    (folder / name).write_text(text, encoding="utf-8")
    return str(folder / name)


def found(report: DataCheckReport) -> dict[str, int]:
    return {f"{Path(split).name}: {finding.what}": finding.count for split, finding in report.findings}


def test_all_data_sets_are_listed_with_what_is_there() -> None:
    report = list_data(FIXTURES)
    entries = {entry.name: entry for entry in report.data_sets}
    assert entries["qqp"].found == ("train", "test")
    assert entries["multi30k"].found == ()
    assert "squad1.1       en        question answering" in str(report)
    assert report.to_json()["folder"] == str(FIXTURES)


def test_without_a_folder_the_list_says_how_to_name_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GROUNDUP_DATA", raising=False)
    report = list_data()
    assert report.data_sets[0].found is None
    assert "set GROUNDUP_DATA, or give --folder" in str(report)


def test_a_table_of_ones_own(tmp_path: Path) -> None:
    train = write(tmp_path, "train.csv", "text,label\ngood,1\nbad,0\ngood ,0\ngood,1\n,1\n")
    test = write(tmp_path, "test.csv", "text,label\nbad,0\nnew,2\n")
    report = check_data([train, test], num_samples=2)
    assert found(report) == {
        "train.csv: stands there before": 1,
        "train.csv: stands there before with another label": 1,
        "train.csv: is empty": 1,
        "test.csv: stands in training too": 1,
        "test.csv: has a label that training never saw": 1,
    }
    places = {finding.what: finding.places for _, finding in report.findings}
    assert places["has a label that training never saw"] == (f"{test}:3: 2",)
    assert places["stands in training too"] == (f"{test}:2: [0] bad",)
    look = report.looks[0]
    assert (look.count, look.labels, look.lengths["longest"], len(look.samples)) == (5, {"1": 3, "0": 2}, 5, 2)
    assert "5 kinds of faults" in str(report)
    sound = write(tmp_path, "sound.csv", "text,label\ngood,1\nbad,0\n")
    assert str(check_data(sound)).endswith("no faults found")


def test_rows_without_a_label_are_a_fault_only_where_one_is_missing(tmp_path: Path) -> None:
    half = write(tmp_path, "half.csv", "text,label\ngood,1\nbad,0\nso so,\n")
    assert found(check_data(half)) == {"half.csv: has no label, where others have": 1}
    assert found(check_data(write(tmp_path, "none.csv", "text\ngood\nbad\n"))) == {}
    several = check_data(write(tmp_path, "several.csv", "text,label\ngood,a;b\nbad,\nso so,a\nnew,\n"), separator=";")
    assert found(several) == {} and several.looks[0].bare == 2
    assert "    a  2  50.0%" in str(several) and "with none of the labels: 2  50.0%" in str(several)


def test_one_class_and_a_class_for_every_row_are_told(tmp_path: Path) -> None:
    one = write(tmp_path, "one.csv", "text,label\na,1\nb,1\n")
    assert found(check_data(one)) == {"one.csv: all examples have one label": 1}
    rows = "".join(f"text {number},class {number}\n" for number in range(200))
    many = write(tmp_path, "many.csv", f"text,label\n{rows}")
    report = check_data(many)
    assert found(report) == {"many.csv: nearly every example has a label of its own": 1}
    assert "and 188 other labels" in str(report)


def test_columns_are_named_or_numbered(tmp_path: Path) -> None:
    file = write(tmp_path, "a.tsv", "1\tone\tuno\n2\ttwo\tdos\n")
    report = check_data(file, text=1, pair=2, label=0, header=False)
    assert report.looks[0].labels == {"1": 1, "2": 1}
    with pytest.raises(DataError, match=r"a\.tsv:2: has no column for `text`, got 'text'"):
        check_data(file)


def test_tags_are_held_against_a_scheme(tmp_path: Path) -> None:
    mixed = write(tmp_path, "mixed.txt", "a S-PER\n\nb B-PER\nc I-PER\nd O\n")
    assert found(check_data(mixed)) == {
        "mixed.txt: no scheme of tags fits: they are broken, or schemes are mixed": 1,
        "mixed.txt: breaks bioes": 1,
    }
    places = [finding.places[0] for _, finding in check_data(mixed).findings]
    assert f"{mixed}:5: O stands where an entity of type 'PER' has not ended" in places
    sound = write(tmp_path, "sound.txt", "a B-PER\nb I-PER\n\nc O\n")
    assert found(check_data(sound)) == {}
    other = write(tmp_path, "other.txt", "x S-PER\ny O\n")
    assert found(check_data([sound, other])) == {"other.txt: breaks iob2": 1}, "training keeps to another scheme"
    rows = write(
        tmp_path, "rows.jsonl", '{"tokens": ["a"], "tags": ["O"]}\n{"tokens": ["y", "z"], "tags": ["O", "I-PER"]}\n'
    )
    assert check_data([sound, rows]).findings[0][1].places[0].startswith(f"{rows}:2: I-PER "), "a sentence has one line"
    with pytest.raises(DataError, match="is no tag"):
        check_data(write(tmp_path, "none.txt", "a PER\n"))


def test_questions_with_answers_astray(tmp_path: Path) -> None:
    def question(name: str, text: str, start: int) -> dict:
        return {"id": name, "question": f"{name}?", "answers": [{"text": text, "answer_start": start}]}

    def squad(name: str, *questions: dict) -> str:
        data = {"data": [{"paragraphs": [{"context": "😀 the mill 磨坊", "qas": list(questions)}]}]}
        return write(tmp_path, name, json.dumps(data, ensure_ascii=False))

    train = squad("train.json", question("a", "mill", 6), question("a", "mill", 7), question("b", "磨坊", 5))
    test = squad("test.json", question("c", "磨", 11), question("d", "wind", 0))
    assert found(check_data([train, test])) == {
        "train.json: has an answer that counts UTF-16 units instead of characters": 1,
        "train.json: has the id of another question": 1,
        "train.json: stands there before": 1,
        "train.json: has an answer at another place": 1,
        "test.json: stands in training too": 2,
        "test.json: has an answer that is not in its passage": 1,
    }


def test_files_of_other_kinds_are_told_by_their_columns(tmp_path: Path) -> None:
    spans = [{"text": "😀😀 Anna went", "spans": [[5, 9, "PER"]]}, {"text": "我在青岛", "spans": [[2, 4, "LOC"]]}]
    marked = write(tmp_path, "spans.jsonl", "".join(json.dumps(row) + "\n" for row in spans))
    what = "has an entity that cuts a word: are these characters, not bytes or UTF-16 units?"
    assert found(check_data(marked)) == {f"spans.jsonl: {what}": 1}
    assert check_data(marked).looks[0].labels == {"PER": 1, "LOC": 1}
    tagged = write(tmp_path, "tags.csv", "sentence,token,tag\n1,Anna,B-PER\n1,went,O\n2,no,O\n")
    assert (check_data(tagged).looks[0].unit, check_data(tagged).looks[0].count) == ("tokens", 2)
    asked = "id,question,context,answer,answer_start\na,Where?,😀 in the mill,mill,10\na,What?,the mill,,\n"
    assert found(check_data(write(tmp_path, "asked.csv", asked))) == {
        "asked.csv: has an answer that counts UTF-16 units instead of characters": 1,
        "asked.csv: has the id of another question": 1,
    }
    rows = [{"question": "q", "choices": ["a", "a ", "b"], "answer": number} for number in (0, 2)]
    chosen = write(tmp_path, "chosen.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    assert found(check_data(chosen)) == {
        "chosen.jsonl: has the right choice twice": 1,
        "chosen.jsonl: has a choice twice": 1,
        "chosen.jsonl: stands there before with another label": 1,
    }
    several = write(tmp_path, "several.csv", "text,label\none,a;b\ntwo,\nthree,b\n")
    report = check_data(several, separator=";")
    assert report.looks[0].labels == {"b": 2, "a": 1} and found(report) == {}
    repeated = write(tmp_path, "repeated.csv", "text,label\none,a;b; a\ntwo,b;\nthree,a;b;;c\n")
    report = check_data(repeated, separator=";")
    assert found(report) == {"repeated.csv: has a label twice, which counts once": 1}
    assert report.looks[0].findings[0].places == (f"{repeated}:2: a of one",)


QUIZZES = {
    "lettered": ("question,choice_a,choice_b,choice_c,answer\nq,a,b,c,2\nr,a,b,c,0\n", {}, ("a", "b", "c")),
    "numbered from 1": ("context,question,Option 1,Option 2,label\nt,q,a,b,2\nt,r,a,b,1\n", {}, ("a", "b")),
    "letters alone": ("id,问题,A,B,答案\n1,谁,甲,乙,B\n2,哪,甲,乙,A\n", {}, ("甲", "乙")),
    "by name": ("stem,ending0,ending1,key\nq,a,b,1\nr,a,b,0\n", {"text": "stem", "label": "key"}, ("a", "b")),
}


@pytest.mark.parametrize("how", QUIZZES)
def test_a_column_for_each_choice_is_told_by_its_name(how: str, tmp_path: Path) -> None:
    content, columns, choices = QUIZZES[how]
    train = write(tmp_path, "quiz.csv", content)
    # An answer 1 alone could be counted from 0 or from 1: it is as in the first file.
    head, _, row = content.splitlines()
    test = write(tmp_path, "test.csv", f"{head}\n{row}\n")
    report = check_data([train, test], **columns)
    assert report.looks[0].labels == {str(len(choices) - 1): 1, "0": 1}
    assert f"-> {choices[-1]}" in report.looks[0].samples[0] + report.looks[0].samples[1]
    assert set(report.looks[1].samples) < set(report.looks[0].samples)
    # The recipe that is printed reads the same.
    assert report.recipe is not None and report.recipe in str(report).replace("\n" + " " * 13, " ")
    (data,) = yaml.safe_load(report.recipe).values()
    rows = parse(ChoicesConfig, data).read("train")
    assert [(row.choices, row.answer) for row in rows] == [(choices, len(choices) - 1), (choices, 0)]


def test_columns_of_one_letter_are_no_choices_by_themselves(tmp_path: Path) -> None:
    table = write(tmp_path, "table.csv", "text,a,b,label\none,1,0,x\ntwo,0,1,y\n")
    report = check_data(table)
    assert report.looks[0].labels == {"x": 1, "y": 1} and report.recipe is None
    with pytest.raises(DataError, match=r"quiz\.csv:2: names no choice as right, got 'c'"):
        check_data(write(tmp_path, "quiz.csv", "question,choice_a,choice_b,answer\nq,a,b,c\n"))


def test_numbers_are_no_labels(tmp_path: Path) -> None:
    train = write(tmp_path, "train.csv", "text,label\na,1\nb,2.5\nb,2.50\nc,4\n")
    test = write(tmp_path, "test.csv", "text,label\nd,3.7\n")
    report = check_data([train, test])
    assert found(report) == {"train.csv: stands there before": 1}, "2.50 is 2.5, and 3.7 need not be in training"
    look = report.looks[0]
    assert (look.labels, look.numbers["mean"], look.numbers["highest"]) == ({}, 2.5, 4.0)
    assert "numbers: lowest 1, median 2.5, mean 2.5, deviation 1.061, highest 4" in str(report)


def test_a_column_that_is_asked_for_must_be_there(tmp_path: Path) -> None:
    file = write(tmp_path, "a.csv", "text,lab\ngood,1\n")
    with pytest.raises(DataError, match=r"a\.csv:2: has no column for `label`, got 'tag'; columns are text, lab"):
        check_data(file, label="tag")
    assert "without a label: 1" in str(check_data(file))


@pytest.mark.parametrize("name", ["weibo", "cluener", "drcd", "c3", "swag", "ocnli", "qqp", "squad2.0", "tnews"])
def test_rows_by_hand_are_sound(name: str) -> None:
    report = check_data(name, folder=FIXTURES)
    whats = {finding.what for _, finding in report.findings}
    assert whats <= {"all examples have one label"}, "one row of a split is one label"
    assert report.about is not None and report.about.citation.split()[0] in str(report)


def test_labels_are_shown_with_their_meaning() -> None:
    assert "    108  1  50.0%  education\n" in str(check_data("tnews", folder=FIXTURES))
    # That of IFLYTEK's is the same for all.
    assert "label_des" not in str(check_data("iflytek", folder=FIXTURES))


def test_leaks_of_real_data_are_found(data_folder: Path) -> None:
    counts = found(check_data("trec"))
    assert counts == {"train: stands there before": 71, "test: stands in training too": 10}


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="data set: is unknown, got 'trek'; did you mean 'trec'"):
        check_data("trek")
    with pytest.raises(DataError, match=r"none\.csv: does not exist; check the path"):
        check_data(str(tmp_path / "none.csv"))
    with pytest.raises(ConfigError, match="targets: are missing"):
        check_data([])


def test_the_command_line_says_the_same(tmp_path: Path) -> None:
    file = write(tmp_path, "train.csv", "sentence,y\ngood,1\nbad,0\n")
    arguments = ["data", "check", file, "--text", "sentence", "--label", "y"]
    run = CliRunner().invoke(app, arguments)
    assert run.exit_code == 0 and run.output.rstrip() == str(check_data(file, text="sentence", label="y"))
    plain = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).output)
    assert plain["looks"][0]["labels"] == {"0": 1, "1": 1}
    listed = json.loads(CliRunner().invoke(app, ["data", "list", "--folder", str(FIXTURES), "--json"]).output)
    assert len(listed["data_sets"]) == len(list_data(FIXTURES).data_sets)
