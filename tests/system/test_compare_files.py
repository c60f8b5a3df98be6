"""Files of predictions of entities and of answers, English and Chinese: compared as the models that wrote them are."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from compared_files import check_files_compare_alike

from groundup.errors import DataError
from groundup.language.tags import Span, write_tags
from groundup.verbs.compare import compare
from groundup.verbs.evaluate import evaluate
from groundup.verbs.predict_file import predict_file
from groundup.verbs.train import train

MODEL = {"kind": "transformer", "hidden_size": 32, "num_layers": 1, "num_heads": 2, "max_length": 48}
NAMES = {"PER": ("Mary Smith", "Anna", "张伟", "李娜"), "LOC": ("Paris", "New York", "北京", "上海")}
FRAMES = (("{PER} went to {LOC} .", "We saw {LOC} .", "No news ."), ("{PER}去了{LOC}。", "看见了{LOC}。", "没有消息。"))


@pytest.fixture(autouse=True, scope="module")
def no_pages() -> Iterator[None]:
    """The pages of runs take most of the time of runs as short as these."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("groundup.verbs.train.make_report", lambda *arguments: None)
        yield


def make_spans(draw: random.Random) -> dict[str, Any]:
    side = draw.randrange(2)
    text, spans = "🙂", []
    for part in draw.choice(FRAMES[side]).replace("}", "{").split("{"):
        name = draw.choice(NAMES[part][2 * side :][:2]) if part in NAMES else part
        spans += [[len(text), len(text) + len(name), part]] if part in NAMES else []
        text += name
    return {"text": text, "spans": spans}


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def train_one(folder: Path, name: str, data: dict[str, str], steps: int, **objective: Any) -> Path:
    recipe = {
        "output": str(folder / name),
        "tokenizer": {"kind": "wordpiece", "vocab_size": 160, "min_frequency": 1},
        "data": data,
        "model": MODEL,
        "objective": {"max_length": 48, **objective},
        "optimizer": {"kind": "adamw", "learning_rate": 1e-2},
        "train": {"steps": steps, "batch_size": 16, "device": "cpu", "threads": 1, "evaluate_every": None},
    }
    return train(recipe, quiet=True).folder


@pytest.fixture(scope="module")
def taggers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Taggers of two schemes and a classifier of spans on the same marked texts."""
    folder, draw = tmp_path_factory.mktemp("taggers"), random.Random(3)
    for name, count in (("train", 64), ("dev", 24)):
        write_rows(folder / f"{name}.jsonl", [make_spans(draw) for _ in range(count)])
    data = {"kind": "tagged", **{name: str(folder / file) for name, file in FILES.items()}}
    train_one(folder, "iob2", data, 24, kind="tagging")
    train_one(folder, "bioes", data, 12, kind="tagging", scheme="bioes")
    train_one(folder, "spans", data, 20, kind="span_classification", size=16)
    return folder


FILES = {"train": "train.jsonl", "validation": "dev.jsonl"}


@pytest.mark.parametrize("second", ["bioes", "spans"])
def test_taggers_of_two_schemes_and_span_models_compare_by_entities(taggers: Path, tmp_path: Path, second: str) -> None:
    runs = (taggers / "iob2", taggers / second)
    found = check_files_compare_alike(runs, taggers / "dev.jsonl", "spans", tmp_path, wrong=[])
    assert set(found.metrics) == {"precision", "recall", "f1", "macro_f1"} and found.left_out == ("tag_accuracy",)
    assert "left out, as it does not mean the same of both: tag_accuracy" in str(found)
    assert found.metrics["f1"].first > 0.0 and found.first_better + found.second_better > 0
    same = compare(taggers / "iob2", taggers / "iob2")
    assert "tag_accuracy" in same.metrics and not same.left_out and "left out" not in str(same)
    assert same.metrics["f1"].first == found.metrics["f1"].first
    assert same.metrics["f1"].signature == found.metrics["f1"].signature


def test_taggers_are_compared_each_on_tags_of_its_own_scheme(tmp_path: Path) -> None:
    draw, runs = random.Random(4), []
    rows = [row for row in (make_spans(draw) for _ in range(120)) if " " not in row["text"]][:48]
    for scheme in ("iob2", "bmes"):
        tagged = [
            {
                "tokens": list(row["text"]),
                "tags": write_tags([Span(*span) for span in row["spans"]], len(row["text"]), scheme),
            }
            for row in rows
        ]
        write_rows(tmp_path / f"{scheme}-train.jsonl", tagged[:32])
        write_rows(tmp_path / f"{scheme}-dev.jsonl", tagged[32:])
        data = {"kind": "tagged", **{name: str(tmp_path / f"{scheme}-{file}") for name, file in FILES.items()}}
        runs.append(train_one(tmp_path, scheme, data, 6, kind="tagging", unit="character"))
    found = compare(*runs)
    assert found.count == 16 and found.left_out == ("tag_accuracy",)
    values = [evaluate(run).metrics["recall"].value for run in runs]
    assert [found.metrics["recall"].first, found.metrics["recall"].second] == pytest.approx(values)
    # Files with a token a line hold tokens and tags; those are read in either scheme.
    lines = [f"{token} {tag}\n" for row in tagged[32:] for token, tag in [*zip(*row.values(), strict=True), ("", "")]]
    (tmp_path / "dev.conll").write_text("".join(lines).replace(" \n", "\n"), encoding="utf-8")
    files = [tmp_path / f"{run.name}.csv" for run in runs]
    for run, file in zip(runs, files, strict=True):
        predict_file(run, tmp_path / "dev.conll", file, keep={"tags": "gold", "tokens": "tokens"}, quiet=True)
    assert compare(*files).metrics == found.metrics
    write_rows(tmp_path / "bmes-dev.jsonl", [row | {"tags": ["O"] * len(row["tags"])} for row in tagged[32:]])
    with pytest.raises(DataError, match=r"row \d+: of .*iob2-dev\.jsonl is not that of .*bmes-dev\.jsonl"):
        compare(*runs)


ASKED = {
    "en": ("The train to {} leaves at {} .", "Where does it go ?", "Why is it late ?", ("Oslo", "New York", "Lima")),
    "zh": ("火车开往{}，{}出发。", "它去哪里？", "为什么晚点？", ("北京", "上海", "乌鲁木齐")),
}


@pytest.mark.parametrize("language", ASKED)
def test_answers_compare_by_the_rule_of_their_language_each_with_its_own_threshold(
    tmp_path: Path, language: str
) -> None:
    frame, where, why, places = ASKED[language]
    rows = []
    for number in range(24):
        passage, place = frame.format(places[number % 3], number), places[number % 3]
        asked, texts = (where, [place, place]) if number % 2 else (why, [])
        answers = {"text": texts, "answer_start": [passage.index(place)] * len(texts)}
        rows.append({"id": f"q{number}", "question": asked, "context": passage, "answers": answers})
    file = str(write_rows(tmp_path / "rows.jsonl", rows))
    data = {"kind": "questions", "train": file, "validation": file}
    sizes = {"stride": 16, "max_question_length": 12, "max_answer_length": 8, "no_answer": True}
    runs = tuple(
        train_one(tmp_path, f"run-{steps}", data, steps, kind="question_answering", **sizes) for steps in (16, 2)
    )
    found = check_files_compare_alike(runs, Path(file), "answers", tmp_path, wrong="x" if language == "en" else "错")
    rule = "squad2.0" if language == "en" else "cmrc2018+none"
    assert set(found.metrics) >= {"exact", "f1", "answerable_f1"} and found.metrics["f1"].signature.startswith(rule)
    squad = [
        {"context": row["context"], "qas": [{"id": row["id"], "question": row["question"], "answers": answers}]}
        for row in rows
        for texts, starts in [row["answers"].values()]
        for answers in [[{"text": text, "answer_start": start} for text, start in zip(texts, starts, strict=True)]]
    ]
    (tmp_path / "squad.json").write_text(json.dumps({"data": [{"paragraphs": squad}]}), encoding="utf-8")
    files = [tmp_path / f"{run.name}.jsonl" for run in runs]
    for run, written in zip(runs, files, strict=True):
        predict_file(run, tmp_path / "squad.json", written, keep={"answers": "gold"}, quiet=True)
    assert compare(*files).metrics == found.metrics
    values = [evaluate(run).metrics for run in runs]
    assert values[0]["f1"].signature.split("|")[4] != values[1]["f1"].signature.split("|")[4], "thresholds differ"
    assert (found.metrics["f1"].first, found.metrics["f1"].second) == pytest.approx(
        tuple(each["f1"].value for each in values)
    )
