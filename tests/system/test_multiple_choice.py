"""Questions with choices: read from files of one's own, trained, predicted, and the same in transformers."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from compared_files import check_files_compare_alike
from pydantic import ValidationError
from small_runs import WORDS, small_recipe, write_small_data

from groundup.errors import ConfigError, DataError
from groundup.readers.choice_files import ChoicesConfig
from groundup.readers.examples import ChoiceExample
from groundup.tasks.multiple_choice import MultipleChoice, MultipleChoiceTask
from groundup.text.tokenizer import Tokenizer
from groundup.verbs.check import check
from groundup.verbs.compare import compare
from groundup.verbs.evaluate import evaluate
from groundup.verbs.predict import predict, predict_stream
from groundup.verbs.train import TrainReport, train

transformers = pytest.importorskip("transformers")


def write_questions(folder: Path) -> None:
    """A context of words, and choices of which one repeats its first two."""
    write_small_data(folder)
    draw = random.Random(3)
    for name, count in (("train", 60), ("dev", 20)):
        rows = []
        for _ in range(count):
            words = draw.sample(WORDS, 8)
            choices = [" ".join(draw.sample(WORDS, 2)) for _ in range(draw.choice((2, 3, 4)))]
            answer = draw.randrange(len(choices))
            choices[answer] = " ".join(words[:2])
            rows.append({"about": " ".join(words), "ask": "one two", "choices": choices, "answer": answer})
        content = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
        (folder / f"{name}.jsonl").write_text(content + "\n", encoding="utf-8")


def recipe_for(folder: Path) -> dict:
    recipe = small_recipe(folder, "multiple_choice", "choices")
    data = {"kind": "choices", "train": "train.jsonl", "validation": "dev.jsonl"}
    recipe["data"] = {key: str(folder / value) if key != "kind" else value for key, value in data.items()}
    recipe["data"] |= {"context": "about", "question": "ask"}
    recipe["model"]["initializer_range"] = 0.3  # or all choices would be alike, and no difference would be seen
    return recipe


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> TrainReport:
    folder = tmp_path_factory.mktemp("choices")
    write_questions(folder)
    return train(recipe_for(folder), quiet=True)


def test_transformers_chooses_the_same(trained: TrainReport) -> None:
    file = trained.folder.parent / "dev.jsonl"
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    peer = transformers.AutoModelForMultipleChoice.from_pretrained(trained.model).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(trained.model)
    apart, control = [], []
    for row, ours in zip(rows, predict_stream(trained.folder, str(file)), strict=True):
        joined = [f"{row['ask']} {choice}" for choice in row["choices"]]
        for kept, seconds in ((apart, joined), (control, row["choices"])):
            inputs = tokenizer([row["about"]] * len(joined), seconds, padding=True, return_tensors="pt")
            with torch.no_grad():
                theirs = peer(**{name: each[None] for name, each in inputs.items()}).logits[0].softmax(dim=0)
            kept.append(np.abs(theirs.numpy() - np.array(list(ours["probabilities"].values()))).max())
        assert ours["answer"] == int(np.argmax(list(ours["probabilities"].values())))
        assert ours["choice"] == row["choices"][ours["answer"]]
    assert max(apart) < 1e-5
    assert max(control) > 1e-3, "or the question would not be read"


def test_every_verb_takes_choices(trained: TrainReport) -> None:
    again = evaluate(trained.folder)
    assert {name: each.value for name, each in again.metrics.items()} == pytest.approx(
        {name: each.value for name, each in trained.metrics.items()}, rel=1e-5
    )
    shown = json.loads((trained.folder / "report.json").read_text(encoding="utf-8"))["choices"]
    assert shown["right_rows"] == round(20 * again.metrics["accuracy"].value) == 20 - shown["wrong_rows"]
    assert sum(each["count"] for each in shown["buckets"] if each["by"] == "length") == 20
    for which in ("wrong", "right"):
        of_true = [choice["probability"] for each in shown[which] for choice in each["choices"] if choice["is_true"]]
        assert of_true == sorted(of_true) and len(of_true) == len(shown[which])
        agree = [choice["is_true"] == choice["is_answer"] for each in shown[which] for choice in each["choices"]]
        assert all(agree) == (which == "right")
    recipe = recipe_for(trained.folder.parent) | {"output": str(trained.folder.parent / "other")}
    found = check(recipe)
    assert found.step is not None and np.log(2) < found.step.expected_loss < np.log(4)
    with pytest.raises(ConfigError, match="has no choices to choose from, got 'a text'"):
        predict(trained.folder, ["a text"])


def test_two_models_are_compared(trained: TrainReport, tmp_path: Path) -> None:
    folder = trained.folder.parent
    recipe = recipe_for(folder) | {"output": str(folder / "other"), "seed": 9}
    other = train(recipe, quiet=True)
    found = compare(trained.folder, other.folder)
    for name, each in found.metrics.items():
        figures = [run.metrics[name].value for run in (trained, other)]
        assert (each.first, each.second) == pytest.approx(figures, rel=1e-5), name
    assert set(found.metrics) == {"accuracy", "calibration_error", "loss"} and found.both_right is not None
    assert found.first_better - found.second_better == round(20 * found.metrics["accuracy"].difference)
    check_files_compare_alike((trained.folder, other.folder), folder / "dev.jsonl", "answer", tmp_path, wrong=1)
    rows = (folder / "dev.jsonl").read_text(encoding="utf-8")
    (folder / "changed.jsonl").write_text(rows.replace('"answer": 0', '"answer": 1', 1), encoding="utf-8")
    changed = recipe | {"data": recipe["data"] | {"validation": str(folder / "changed.jsonl")}}
    third = train(changed | {"output": str(folder / "third")}, quiet=True)
    with pytest.raises(DataError, match=r"row \d+: of .* is not that of"):
        compare(trained.folder, third.folder)


@pytest.fixture(scope="module")
def task(trained: TrainReport) -> MultipleChoiceTask:
    return MultipleChoice(max_length=32).build(Tokenizer.load(trained.model), ())


QUESTIONS = [
    ChoiceExample("a cat sees", "one", ("dog", "red fish"), 1, 2),
    ChoiceExample("", "我 看", ("书", "山", "水"), 0, 3),
    ChoiceExample("two", "", ("blue", "red"), None, 4),
]


def test_a_choice_is_read_beside_its_question(task: MultipleChoiceTask) -> None:
    samples = task.encode(QUESTIONS, "q.jsonl")
    batch = task.prepare([samples[number] for number in range(3)], 0, 0)
    pairs = [
        ("a cat sees", "one dog"),
        ("a cat sees", "one red fish"),
        ("我 看", "书"),
        ("我 看", "山"),
        ("我 看", "水"),
    ]
    pairs += [("two", "blue"), ("two", "red")]
    encoded = [task.tokenizer.encode(*pair) for pair in pairs]
    assert [ids.tolist() for ids in batch.packed.split()] == [each.input_ids.tolist() for each in encoded]
    assert batch.packed.token_type_ids.tolist() == np.concatenate([each.token_type_ids for each in encoded]).tolist()
    assert batch.samples.tolist() == [0, 0, 1, 1, 1, 2, 2] and batch.count == 2
    assert [line.split("]")[0] for line in task.show(batch)] == [
        f"[{mark}" for mark in ("wrong", "right", "right", "wrong", "wrong", "unknown", "unknown")
    ]
    assert samples.lengths.tolist() == [sum(map(len, part)) for part in _split(encoded)]


def _split(encoded: list) -> list[list]:
    ids = [each.input_ids for each in encoded]
    return [ids[:2], ids[2:5], ids[5:]]


def test_files_say_the_same_in_every_form(tmp_path: Path) -> None:
    expected = [("what", ("a, b", "c"), 1), ("第二题", ("d", "e"), 0)]
    forms = {
        "columns.csv": ('question,A,B,answer\nwhat,"a, b",c,1\n第二题,d,e,0\n', {"choices": ("A", "B")}),
        "letters.csv": ('question,A,B,answer\nwhat,"a, b",c,B\n第二题,d,e,a\n', {"choices": ("A", "B")}),
        "list.csv": (
            'question,choices,answer\nwhat,"[""a, b"", ""c""]",2\n第二题,"[""d"", ""e""]",1\n',
            {"first": 1},
        ),
        "list.jsonl": (
            '{"question": "what", "choices": ["a, b", "c"], "answer": 1}\n'
            '{"question": "第二题", "choices": ["d", "e"], "answer": "A"}\n',
            {},
        ),
    }
    for name, (content, columns) in forms.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
        rows = ChoicesConfig(train=str(tmp_path / name), **columns).read("train")
        assert [(row.question, row.choices, row.answer) for row in rows] == expected, name


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"question": "q", "choices": ["a", "b"], "answer": 2}', r"names no choice as right, got 2; write 0 to 1"),
        ('{"question": "q", "choices": ["a", "b"], "answer": "C"}', r"names no choice as right, got 'C'.*or A to B"),
        ('{"question": "q", "choices": ["a", "b"], "answer": null}', "names no choice as right"),
        ('{"question": "q", "choices": ["a", "b"]}', "has no column for `answer`"),
        ('{"question": "q", "choices": ["a"], "answer": 0}', "has fewer than two choices"),
        ('{"question": "q", "choices": ["a", ""], "answer": 0}', "column 'choices' holds no list of texts"),
        ('{"question": " ", "choices": ["a", "b"], "answer": 0}', "the text in column 'question' is empty"),
    ],
    ids=["number", "letter", "null", "no column", "one", "empty choice", "empty question"],
)
def test_what_is_no_question_is_refused_with_its_line(line: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "q.jsonl").write_text(line + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=rf"data\.train.*q\.jsonl:1\): {message}"):
        ChoicesConfig(train=str(tmp_path / "q.jsonl")).read("train")


def test_a_choice_of_one_column_is_none() -> None:
    with pytest.raises(ValidationError):
        ChoicesConfig(train="q.csv", choices=("only",))
