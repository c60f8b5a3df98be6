"""Predictions of a named data set: the very file that GLUE or CLUE takes, or rows as of any other file."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from pages import Run, run
from small_runs import WORDS, small_recipe

from groundup.errors import ConfigError, DataError
from groundup.verbs import predict_file as module
from groundup.verbs.predict import answer_batches, predict
from groundup.verbs.predict_set import predict_set
from groundup.verbs.train import train
from groundup.verbs.trained import Trained, load_trained

__all__ = ["run"]


def write_rows(file: Path, count: int, labels: tuple[str, ...] = ()) -> None:
    """Pairs as GLUE releases them, with a label where there are labels."""
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = ["\t".join(["index", "sentence1", "sentence2", *(["label"] if labels else [])])]
    for number in range(count):
        first, second = WORDS[number % 8], WORDS[number * 5 % 24]
        label = [labels[number % len(labels)]] if labels else []
        lines.append("\t".join([str(number), f"{first} {second}", f"the {second} {first}", *label]))
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """WNLI with as many test rows as it has, RTE with fewer, SST-2 without any."""
    folder = tmp_path_factory.mktemp("sets")
    for name, labels, count in (("WNLI", ("0", "1"), 146), ("RTE", ("entailment", "not_entailment"), 3)):
        write_rows(folder / "glue" / name / "train.tsv", 24, labels)
        write_rows(folder / "glue" / name / "test.tsv", count)
    (folder / "glue" / "SST-2").mkdir()
    (folder / "glue" / "SST-2" / "train.tsv").write_text("sentence\tlabel\na cat\t1\n", encoding="utf-8")
    (folder / "iflytek").mkdir()
    rows = [{"id": number, "sentence": f"我 看 {WORDS[number % 24]}"} for number in range(2600)]
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (folder / "iflytek" / "test.json").write_text(text, encoding="utf-8")
    return folder


def train_on(folder: Path, name: str, output: str) -> Trained:
    data = {"kind": "set", "name": name, "folder": str(folder), "validation": None}
    recipe = small_recipe(folder, "classification", output, train={"steps": 2, "evaluate_every": None})
    return load_trained(train(recipe | {"data": data}, quiet=True).folder)


@pytest.fixture(scope="module")
def wnli(sets: Path) -> Trained:
    return train_on(sets, "wnli", "wnli")


def test_the_file_is_what_glue_takes_and_holds_what_the_model_says(
    wnli: Trained, sets: Path, tmp_path: Path, run: Run
) -> None:
    output = tmp_path / "WNLI.tsv"
    out = run("predict", str(wnli.folder), "--set", "wnli", "--folder", str(sets), "--output", str(output), "--quiet")
    assert out.code == 0 and "146 rows of wnli, test in" in out.out and str(output) in out.out
    header, *lines = output.read_text(encoding="utf-8").split("\n")
    texts = [tuple(line.split("\t")[1:]) for line in (sets / "glue/WNLI/test.tsv").read_text().splitlines()[1:]]
    expected = [row["label"] for row in predict(wnli, texts)]
    assert header == "index\tprediction" and lines == [*(f"{n}\t{each}" for n, each in enumerate(expected)), ""]
    predict_set(wnli, "wnli", tmp_path / "answers.jsonl", folder=sets, quiet=True)
    rows = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["label"] for row in rows] == expected and rows[0].keys() == {"text", "pair", "label", "probabilities"}
    assert predict_set(wnli, "wnli", tmp_path / "a.csv", split="train", folder=sets, quiet=True).rows == 24


def test_killed_it_goes_on_to_the_same_bytes(
    wnli: Trained, sets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, cut = tmp_path / "whole" / "WNLI.tsv", tmp_path / "WNLI.tsv"
    whole.parent.mkdir()
    predict_set(wnli, "wnli", whole, folder=sets, batch_rows=50, quiet=True)

    def kill(*given: object) -> object:
        yield next(answer_batches(*given))  # type: ignore[call-overload]
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, suppress(KeyboardInterrupt):
        patch.setattr(module, "answer_batches", kill)
        predict_set(wnli, "wnli", cut, folder=sets, batch_rows=50, quiet=True)
    assert not cut.exists()
    report = predict_set(wnli, "wnli", cut, folder=sets, batch_rows=50, quiet=True)
    assert report.resumed_after == 50 and cut.read_bytes() == whole.read_bytes()


def test_clue_takes_json_lines(wnli: Trained, sets: Path, tmp_path: Path) -> None:
    other = replace(wnli, recipe=None)  # what a folder from elsewhere knows: its labels
    predict_set(other, "iflytek", tmp_path / "iflytek_predict.json", folder=sets, quiet=True)
    rows = [json.loads(line) for line in (tmp_path / "iflytek_predict.json").read_text().splitlines()]
    assert [row["id"] for row in rows] == list(range(2600)) and {row["label"] for row in rows} <= {"0", "1"}
    assert all(list(row) == ["id", "label"] for row in rows)


@pytest.mark.parametrize(
    ("name", "file", "split", "error", "message"),
    [
        ("wnli", "RTE.tsv", None, ConfigError, "tells no format.*RTE.tsv.*jsonl or .csv, or call it WNLI.tsv"),
        ("mnli", "out.tsv", None, ConfigError, "call it MNLI-m.tsv or MNLI-mm.tsv to hand it in"),
        ("wnli", "WNLI.tsv", "train", ConfigError, "split: is not the one that WNLI.tsv answers, got 'train'"),
        ("rte", "RTE.tsv", None, DataError, "model: learnt another task than that of RTE.tsv, got 'wnli'"),
        ("sst2", "SST-2.tsv", None, DataError, r"sst2\.test: is not there"),
        ("cluener", "out.jsonl", "train", DataError, "has none of its files"),
        ("wnly", "WNLI.tsv", None, DataError, "did you mean 'wnli'"),
    ],
    ids=[
        "another task's file",
        "no file of it",
        "another split",
        "another task",
        "no test split",
        "no files",
        "no set",
    ],
)
def test_what_is_no_submission_is_refused_before_anything_is_computed(
    wnli: Trained, sets: Path, tmp_path: Path, name: str, file: str, split: str | None, error: type, message: str
) -> None:
    with pytest.raises(error, match=message):
        predict_set(wnli, name, tmp_path / file, split=split, folder=sets, quiet=True)
    assert not list(tmp_path.iterdir())


def test_a_model_of_other_labels_and_a_split_that_is_not_whole_are_refused(
    wnli: Trained, sets: Path, tmp_path: Path
) -> None:
    other = replace(wnli, recipe=None)
    with pytest.raises(DataError, match=r"model: has a label that rte has not, got '0'; RTE\.tsv takes entailment"):
        predict_set(other, "rte", tmp_path / "RTE.tsv", folder=sets, quiet=True)
    with pytest.raises(DataError, match="model: is none of regression, which stsb asks for, got 'classification'"):
        write_rows(sets / "glue" / "STS-B" / "test.tsv", 2)
        predict_set(other, "stsb", tmp_path / "STS-B.tsv", folder=sets, quiet=True)
    rte = train_on(sets, "rte", "rte")
    with pytest.raises(DataError, match=r"rte\.test: has 3 rows, where RTE.tsv answers 3000.*get the official files"):
        predict_set(rte, "rte", tmp_path / "RTE.tsv", folder=sets, quiet=True)


def test_numbers_stay_within_the_bounds_of_stsb(data_folder: Path, tmp_path: Path) -> None:
    data = {"kind": "set", "name": "stsb", "validation": None, "max_rows": 64}
    recipe = small_recipe(tmp_path, "regression", train={"steps": 2, "evaluate_every": None}) | {"data": data}
    trained = load_trained(train(recipe, quiet=True).folder)
    far = replace(trained, objective=replace(trained.objective, center=100.0))  # type: ignore[type-var]
    for model, name in ((trained, "near"), (far, "far")):
        (tmp_path / name).mkdir()
        predict_set(model, "stsb", tmp_path / name / "STS-B.tsv", quiet=True)
    near, beyond = ((tmp_path / name / "STS-B.tsv").read_text().splitlines()[1:] for name in ("near", "far"))
    assert beyond == [f"{number}\t5.000" for number in range(1379)]
    assert len(near) == 1379 and all(0.0 < float(line.split("\t")[1]) < 5.0 for line in near)


def test_a_model_of_mnli_answers_the_diagnostic_pairs(sets: Path, tmp_path: Path) -> None:
    write_rows(sets / "glue" / "diagnostic" / "diagnostic.tsv", 1104)
    header = "sentence1\tsentence2\tgold_label\n"
    rows = [f"{WORDS[n]} a\tthe {WORDS[n]}\t{('entailment', 'neutral', 'contradiction')[n % 3]}\n" for n in range(24)]
    (sets / "glue" / "MNLI").mkdir()
    (sets / "glue" / "MNLI" / "train.tsv").write_text(header + "".join(rows), encoding="utf-8")
    predict_set(train_on(sets, "mnli", "mnli"), "ax", tmp_path / "AX.tsv", folder=sets, quiet=True)
    assert (tmp_path / "AX.tsv").read_text(encoding="utf-8").count("\n") == 1105
