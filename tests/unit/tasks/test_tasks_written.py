"""Answers that are read back from files: every shape that gold comes in, and what is told of rows that say nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from groundup.errors import ConfigError, DataError
from groundup.readers.records import Layout, iterate_rows
from groundup.tasks.entity_answers import EntityAnswers
from groundup.tasks.kinds import find_kind
from groundup.tasks.row_answers import LabelAnswers, LabelsAnswers
from groundup.tasks.written import Answered, WrittenRow

TEXT = "🙂张伟去了北京"
FOUND = [{"start": 1, "end": 3, "type": "PER", "text": "张伟", "score": 0.9}]
LABELS = {"text": "x", "labels": ["快"], "probabilities": {"快": 0.9, "便宜": 0.2, "快, 好": 0.1}}
CHOICE = {"answer": 1, "choice": "书", "probabilities": {"山": 0.2, "书": 0.7, "水": 0.1}}
ASKED = {"question": "Where?", "context": "🙂 to Oslo", "answer": "Oslo", "start": 5, "end": 9}


def read(folder: Path, *rows: dict[str, Any], ending: str = "jsonl") -> Answered:
    """What a file of these rows says."""
    path = folder / f"rows.{ending}"
    if ending == "jsonl":
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    else:
        cells = [[each if isinstance(each, str) else json.dumps(each) for each in row.values()] for row in rows]
        quoted = [",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in [list(rows[0]), *cells]]
        path.write_text("\n".join(quoted) + "\n", encoding="utf-8")
    written = [WrittenRow(row, path, "gold") for row in iterate_rows(path, Layout())]
    return find_kind(written).read(written)


@pytest.mark.parametrize("ending", ["jsonl", "csv"])
@pytest.mark.parametrize(
    ("gold", "expected"),
    [
        (["便宜", "快"], {"便宜", "快"}),
        ("快；便宜", {"便宜", "快"}),
        ("便宜 / 快 / 便宜", {"便宜", "快"}),
        ("快, 好", {"快, 好"}),
        ("快", {"快"}),
        ("", set()),
        ([], set()),
    ],
    ids=["list", "semicolons", "slashes", "one with a comma", "one", "empty", "none"],
)
def test_labels_of_a_row_come_as_a_list_or_joined(tmp_path: Path, ending: str, gold: Any, expected: set[str]) -> None:
    found = read(tmp_path, LABELS | {"gold": gold}, ending=ending)
    (example,), (prediction,) = found.examples, found.predictions
    assert set(example.labels) == expected and prediction.labels == ("快",)
    assert found.answers == LabelsAnswers(("快", "便宜", "快, 好"))
    assert found.answers.find_errors([prediction], [example]) == len(expected ^ {"快"}) / 3


@pytest.mark.parametrize("ending", ["jsonl", "csv"])
@pytest.mark.parametrize(
    "gold",
    [
        [[1, 3, "PER"], [5, 7, "LOC"]],
        [{"start": 5, "end": 7, "label": "LOC"}, {"start": 1, "end": 3, "type": "PER", "text": "张伟"}],
        {"PER": {"张伟": [[1, 2]]}, "LOC": {"北京": [[5, 6]]}},
        ["O", "B-PER", "I-PER", "O", "O", "B-LOC", "I-LOC"],
        ["O", "B-PER", "E-PER", "O", "O", "B-LOC", "E-LOC"],
    ],
    ids=["spans", "objects", "cluener", "iob2", "bioes"],
)
def test_entities_come_as_spans_or_as_tags_of_any_scheme(tmp_path: Path, ending: str, gold: Any) -> None:
    found = read(tmp_path, {"text": TEXT, "tokens": list(TEXT), "gold": gold, "entities": FOUND}, ending=ending)
    (example,), (prediction,) = found.examples, found.predictions
    assert example.entities == ((1, 3, "PER"), (5, 7, "LOC")) and prediction.found == ((1, 3, "PER"),)
    tallies = found.answers.tallies([prediction], [example])
    assert {name: round(float(each.figure([[1.0]])[0]), 4) for name, each in tallies.items()} == {
        "precision": 1.0,
        "recall": 0.5,
        "f1": 0.6667,
        "macro_f1": 0.5,
    }


@pytest.mark.parametrize("gold", [1, "1", "B", "b", "书"], ids=["number", "digit", "letter", "small letter", "text"])
def test_a_choice_comes_as_number_letter_or_text(tmp_path: Path, gold: Any) -> None:
    found = read(tmp_path, CHOICE | {"gold": gold})
    assert found.examples[0].answer == found.predictions[0].number == 1
    bare = {name: each for name, each in CHOICE.items() if name != "probabilities"} | {"question": "kept"}
    if gold != "书":
        alone = read(tmp_path, bare | {"gold": gold})
        assert list(alone.answers.tallies(alone.predictions, alone.examples)) == ["accuracy"]
        assert found.answers.join(alone.answers) == alone.answers.join(found.answers) == alone.answers


@pytest.mark.parametrize("ending", ["jsonl", "csv"])
@pytest.mark.parametrize(
    ("gold", "expected"),
    [
        ("Oslo", ("Oslo",)),
        (["Oslo", "to Oslo"], ("Oslo", "to Oslo")),
        ([{"text": "Oslo", "answer_start": 5}], ("Oslo",)),
        ({"text": ["Oslo"], "answer_start": [5]}, ("Oslo",)),
        ("", ()),
        ([], ()),
        (None, ()),
    ],
    ids=["text", "texts", "squad", "columns of squad", "empty", "no text", "null"],
)
def test_answers_come_as_texts_or_as_squad_has_them(tmp_path: Path, ending: str, gold: Any, expected: Any) -> None:
    found = read(tmp_path, ASKED | {"gold": gold}, ending=ending)
    assert found.examples[0].answers == expected and found.answers.knows_none == (not expected)
    null = ASKED | {"gold": "null", "answer": "null", "start": 0, "end": 4, "context": "null it is"}
    assert read(tmp_path, null | {"gold": ["null"]}, ending=ending).predictions[0].text == "null"
    none = ASKED | {"gold": gold, "answer": None, "start": None, "end": None}
    assert read(tmp_path, none, ending=ending).predictions[0].text == ""


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            LABELS | {"gold": "快；慢"},
            r"rows\.jsonl:1: column 'gold' holds no list of known labels, got '快；慢'.*快, 便宜",
        ),
        (LABELS, r"rows\.jsonl:1: has no column for `gold`, got 'gold'; columns are text, labels"),
        ({"label": "a", "gold": ["a", "b"]}, r"rows\.jsonl:1: the label in column 'gold' is no single value"),
        ({"number": 1.0, "gold": "two"}, r"rows\.jsonl:1: is no number, got 'two'"),
        (CHOICE | {"gold": 3}, r"rows\.jsonl:1: column 'gold' names no choice, got 3; write 0 to 2, counted from 0"),
        (CHOICE | {"gold": 0, "answer": 2}, r"rows\.jsonl:1: has a choice that is not the one of its number"),
        (
            {"text": TEXT, "gold": [], "entities": [{"start": 7, "end": 9, "type": "LOC"}]},
            r"rows\.jsonl:1: has a span outside of its 7 characters, got \(7, 9, 'LOC'\).*UTF-16",
        ),
        (
            {"text": TEXT, "gold": [[2, 4, "PER", "张伟"]], "entities": FOUND},
            r"rows\.jsonl:1: has at 2 to 4 another text than '张伟', got '伟去'; count characters",
        ),
        ({"text": TEXT, "gold": ["O", "O"], "entities": FOUND}, r"rows\.jsonl:1: .*tags without their tokens.*--keep"),
        (
            {"text": TEXT, "gold": ["O", "I-PER"], "tokens": ["a", "b"], "entities": FOUND},
            r"rows\.jsonl:1: has tokens of another text than its own",
        ),
        (ASKED | {"gold": "Oslo", "start": 6, "end": 10}, r"rows\.jsonl:1: has an answer that does not stand where"),
        (ASKED | {"gold": 7}, r"rows\.jsonl:1: column 'gold' holds an answer that is no text, got 7"),
        (
            CHOICE | {"gold": 1, "probabilities": {"山": float("nan"), "书": 70, "水": 1.0000002}},
            r"rows\.jsonl:1: has probabilities that are none, got \{'山': nan, '书': 70\.0\}; write numbers",
        ),
        ({"text": "x", "gold": 1, "label": 1.0}, r"rows\.jsonl: writes a label in two ways, got \('1\.0', '1'\)"),
        ({"text": "x", "gold": "é", "label": "E\u0301"}, r"rows\.jsonl: writes a label in two ways"),
        ({"text": "x", "gold": [1], "labels": ["1.0"]}, r"rows\.jsonl: writes a label in two ways"),
        ({"text": "x", "gold": [], "labels": []}, r"rows\.jsonl: names no label in any row"),
        ({"text": "x", "fills": [], "gold": 1}, r"rows\.jsonl: holds no answers that can be compared"),
    ],
    ids=[
        "labels unknown",
        "no gold",
        "several labels",
        "no number",
        "choices from 1",
        "answers from 1",
        "outside",
        "another unit",
        "no tokens",
        "other tokens",
        "answer elsewhere",
        "no text",
        "percent",
        "number as text",
        "letters apart",
        "numbers in lists",
        "no label at all",
        "no kind",
    ],
)
def test_rows_that_say_nothing_are_told_of(tmp_path: Path, row: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, row)


@pytest.mark.parametrize("label", ["label", "labels"])
def test_rows_have_probabilities_of_the_same_labels_or_none(tmp_path: Path, label: str) -> None:
    def row(**shares: float) -> dict[str, Any]:
        return {"text": "x", "gold": "a", label: "a"} | ({"probabilities": shares} if shares else {})

    assert read(tmp_path, row(b=0.1, a=0.9), row(a=0.8, b=0.2)).answers.labels == ("b", "a")
    some = read(tmp_path, row(), row(b=0.1, a=0.9)).answers
    assert some.labels == ("b", "a") and not some.has_probabilities
    with pytest.raises(
        DataError, match=r"rows\.jsonl:2: has probabilities of other labels .*got \[\['a'\], \['a', 'b'\]\]"
    ):
        read(tmp_path, row(a=0.9, b=0.1), row(a=0.9))


def test_a_csv_means_nothing_by_null_and_no_answer_by_what_is_no_json(tmp_path: Path) -> None:
    bare = {"question": "Where?", "answer": "null", "gold": "null"}
    found = [read(tmp_path, bare, ending=ending) for ending in ("csv", "jsonl")]
    assert [(each.predictions[0].text, each.examples[0].answers) for each in found] == [("", ()), ("null", ("null",))]
    for gold in ("{'text': ['Oslo'], 'answer_start': [5]}", "[Oslo]"):
        with pytest.raises(DataError, match=r"rows\.csv:2: column 'gold' is no JSON, got .*Oslo.*; write JSON"):
            read(tmp_path, ASKED | {"gold": gold}, ending="csv")


@pytest.mark.parametrize(("gold", "rule"), [("Oslo", "squad2.0"), ("北京", "cmrc2018+none")], ids=["en", "zh"])
def test_answers_are_compared_with_those_of_a_system_that_may_give_none(tmp_path: Path, gold: str, rule: str) -> None:
    asked = {"question": "?", "gold": gold}
    sure, unsure = (read(tmp_path, asked | {"answer": answer}) for answer in (gold, None))
    joint, same = sure.answers.join(unsure.answers), unsure.answers.join(sure.answers)
    assert joint == same == unsure.answers != sure.answers
    figures = [joint.tallies(each.predictions, sure.examples)["exact"] for each in (sure, unsure)]
    assert [float(each.figure(np.ones((1, 1)))[0]) for each in figures] == [100.0, 0.0]
    assert all(each.signature.startswith(f"{rule}|") for each in figures)


@pytest.mark.parametrize(
    ("answer", "ways", "other"),
    [({"number": 1}, [1, 1.0, "1.00"], 2), ({"labels": []}, [["a", "b"], ["b", "a", "b"]], ["a"])],
    ids=["number", "labels"],
)
def test_what_is_right_is_the_same_however_it_is_written(tmp_path: Path, answer: dict, ways: list, other: Any) -> None:
    found = [read(tmp_path, {"text": "x", "gold": gold} | answer).examples for gold in ways]
    assert all(each == found[0] for each in found)
    assert read(tmp_path, {"text": "x", "gold": other} | answer).examples != found[0]


def test_kept_columns_stand_in_front_and_are_no_answers(tmp_path: Path) -> None:
    kept = {"question": "kept", "answer": "kept", "number": 3, "gold": "a"}
    assert read(tmp_path, kept | {"text": "x", "label": "a"}).answers == LabelAnswers(("a",), None, False)
    assert isinstance(read(tmp_path, {"label": 1, "text": TEXT, "gold": [], "entities": []}).answers, EntityAnswers)


def test_labels_are_joined_only_where_they_are_known_alike() -> None:
    sure, other, bare = LabelAnswers(("b", "a")), LabelAnswers(("a", "c")), LabelAnswers(("a",), None, False)
    assert sure.join(bare) == bare.join(sure) == LabelAnswers(("b", "a"), None, False)
    assert bare.join(LabelAnswers(("c",), None, False)) == LabelAnswers(("a", "c"), None, False)
    with pytest.raises(ConfigError, match="labels: are not the same for both"):
        sure.join(other)
    tags = EntityAnswers(("PER",), ("iob2", "word"))
    assert tags.join(EntityAnswers(("PER",))) == EntityAnswers(("PER",)) and tags.join(tags) == tags
    with pytest.raises(ConfigError, match="labels: are not the same for both"):
        tags.join(EntityAnswers(("LOC",)))
