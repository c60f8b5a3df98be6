from __future__ import annotations

import json
from pathlib import Path

import pytest

from groundup.config import parse
from groundup.errors import DataError
from groundup.readers.examples import Answer, QuestionExample
from groundup.readers.question_files import QuestionsConfig
from groundup.readers.questions import find_answer_fault, mend_answer
from groundup.readers.source import ExampleSource

PASSAGE = "The mill stands by the river. The river is the Thur."


def read(folder: Path, name: str, text: str, *, needs_label: bool = True, **values: object) -> list[QuestionExample]:
    (folder / name).write_text(text, encoding="utf-8", newline="")
    config = parse(QuestionsConfig, {"train": str(folder / name)} | values)
    return list(config.iterate("train", needs_label=needs_label))


def lines(*rows: dict) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def test_a_csv_without_starts_finds_answers_that_stand_once(tmp_path: Path) -> None:
    text = (
        f'id,question,passage,answer\nq1,What stands?,"{PASSAGE}",mill\nq2,谁在读书？,"小明在读书，""好书""。",小明\n'
    )
    first, second = read(tmp_path, "a.csv", text)
    assert first == QuestionExample("q1", "What stands?", PASSAGE, (Answer("mill", 4),), 2)
    assert (second.passage, second.answers, second.line) == ('小明在读书，"好书"。', (Answer("小明", 0),), 3)


def test_starts_are_taken_as_they_are_and_empty_fields_mean_none(tmp_path: Path) -> None:
    text = f"question\tcontext\tanswers\tanswer_start\nWhich?\t{PASSAGE}\tThe river\t30\nWho?\t{PASSAGE}\t\t\n"
    first, second = read(tmp_path, "a.tsv", text)
    assert (first.id, first.answers) == ("2", (Answer("The river", 30),)), "named by its line"
    assert second.answers == ()
    assert [row.answers for row in read(tmp_path, "a.tsv", text, needs_label=False)] == [None, None]
    assert read(tmp_path, "b.tsv", f"question\tcontext\nWho?\t{PASSAGE}\n", needs_label=False)[0].answers is None


@pytest.mark.parametrize(
    "answers",
    [
        {"answers": {"text": ["mill", "The mill"], "answer_start": [4, 0]}},
        {"answers": [{"text": "mill", "answer_start": 4}, {"text": "The mill", "answer_start": 0}]},
        {"answer": ["mill", "The mill"], "answer_start": [4, 0]},
        {"answer": ["mill", "The mill"]},
    ],
    ids=["as in the hub's SQuAD", "as in SQuAD", "two lists", "texts alone"],
)
def test_jsonl_takes_several_answers(tmp_path: Path, answers: dict) -> None:
    (row,) = read(tmp_path, "a.jsonl", lines({"id": 7, "question": "What?", "context": PASSAGE} | answers))
    assert (row.id, row.answers) == ("7", (Answer("mill", 4), Answer("The mill", 0)))


def test_json_is_read_as_squad_is_released(tmp_path: Path) -> None:
    question = {"id": "x", "question": "What?", "answers": [{"text": "mill", "answer_start": 4}]}
    file = {"data": [{"paragraphs": [{"context": PASSAGE, "qas": [question]}]}]}
    (row,) = read(tmp_path, "a.json", json.dumps(file))
    assert (row.id, row.passage, row.answers) == ("x", PASSAGE, (Answer("mill", 4),))


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (
            {"answer": "river"},
            ":1): the answer to 'q' stands in its passage 2 times, got 'river'; say which one in the column "
            "'answer_start': its first character, counted from 0",
        ),
        ({"answer": "lake"}, "the answer to 'q' is not in its passage, got 'lake'; copy it from there"),
        ({"answer": "mill", "answer_start": "four"}, "has no whole number as its start, got 'four'"),
        ({"answer": ["mill", "river"], "answer_start": [4]}, "question 'q' has 2 answers and 1 starts"),
        ({"answer": 7}, "an answer to 'q' is no text, got 7"),
        ({"answer": "mill", "question": " "}, "the text in column 'question' is empty"),
        ({"anwser": "mill"}, "has no column for `answer`, got 'answer'; did you mean 'anwser'?"),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, row: dict, expected: str) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, "a.jsonl", lines({"id": "q", "question": "What?", "passage": PASSAGE} | row))
    assert expected in str(caught.value) and str(caught.value).startswith("data.train (")


def test_a_file_of_json_without_answers_is_for_predicting(tmp_path: Path) -> None:
    file = {"data": [{"paragraphs": [{"context": PASSAGE, "qas": [{"id": "x", "question": "What?"}]}]}]}
    with pytest.raises(DataError, match=r"a.json:1\): 'x' has no `answers`; give them, an empty list where"):
        read(tmp_path, "a.json", json.dumps(file))
    (row,) = QuestionsConfig(train="other.csv").iterate_file(tmp_path / "a.json")
    assert row.answers is None and row.question == "What?"


def test_it_is_a_source_of_questions(tmp_path: Path) -> None:
    config = QuestionsConfig(train=str(tmp_path / "a.csv"))
    assert isinstance(config, ExampleSource) and config.example_kind == "questions" and config.has_pair
    assert not config.has_validation and config.find_files("train") == (tmp_path / "a.csv",)


@pytest.mark.parametrize(
    ("passage", "start", "fault", "mended"),
    [
        ("ab答案", 2, None, None),
        ("🙂🙂答案，答案", 4, "counts UTF-16 units instead of characters", 2),
        ("水是答案，答案", 6, "counts bytes of UTF-8 instead of characters", 2),
        ("a\nb\n答案，答案", 6, "counts CR LF, where the passage has LF, instead of characters", 4),
        ("a\r\nb\r\n答案，答案", 4, "counts LF, where the passage has CR LF, instead of characters", 6),
        ("是答案。", 2, "stands -1 characters from where it is said to", 1),
        ("是答案。", -1, "stands +2 characters from where it is said to", 1),
        ("是答案，答案。", 0, "stands +1 characters from where it is said to", None),
        ("没有", 0, "is not in its passage", None),
    ],
)
def test_misplaced_answers_are_put_right_where_that_is_sure(
    passage: str, start: int, fault: str | None, mended: int | None
) -> None:
    answer = Answer("答案", start)
    assert find_answer_fault(passage, answer) == fault
    if fault is not None:
        assert mend_answer(passage, answer) == (None if mended is None else Answer("答案", mended))
