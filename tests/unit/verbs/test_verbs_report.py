"""Report: runs of every kind, finished or not, on one page whose figures are those of the run."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from report_content import RULES, change
from report_pages import read_page, shown_numbers, texts, untranslated, written_numbers
from small_runs import small_recipe, write_small_data

import groundup
from groundup.cli.main import main
from groundup.config import parse
from groundup.errors import CheckpointError, DataError
from groundup.recipe import Recipe
from groundup.reporting.advice import find_advice
from groundup.reporting.content import Report
from groundup.training.log import read_lines
from groundup.training.trainer import Trainer
from groundup.verbs import report as report_module
from groundup.verbs import report_run, report_sample
from groundup.verbs.evaluate import evaluate
from groundup.verbs.report import report
from groundup.verbs.report_masked import _read_token, find_script
from groundup.verbs.report_run import read_curves, write_yaml
from groundup.verbs.report_sample import spread
from groundup.verbs.train import train
from groundup.yaml_reader import parse_yaml

Make = Callable[..., dict]


def read(folder: Path) -> Report:
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))


def page_of(folder: Path) -> str:
    return (folder / "report.html").read_text(encoding="utf-8")


def check_page(folder: Path) -> None:
    """Both languages, every figure in report.json or metrics.jsonl."""
    root = read_page(page_of(folder))
    assert untranslated(root) == []
    written = written_numbers(read(folder)) | written_numbers(read_lines(folder / "metrics.jsonl"))
    assert shown_numbers(root) - written == set()


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two finished runs, `masked` and `classification`, beside their data; no test changes them."""
    folder = write_small_data(tmp_path_factory.mktemp("runs"))
    for kind in ("masked", "classification"):
        train(small_recipe(folder, kind, kind), quiet=True)
    return folder


@pytest.fixture
def run(runs: Path, tmp_path: Path) -> Path:
    """A copy of the masked run, to do with as a test likes."""
    return Path(shutil.copytree(runs / "masked", tmp_path / "run"))


def stop_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Send SIGTERM within a step, as a machine that is taken away does."""
    original = Trainer._take_step

    def stopping(self: Trainer, *arguments: object) -> object:
        outcome = original(self, *arguments)  # type: ignore[arg-type]
        if self.state.progress.step == step:
            os.kill(os.getpid(), signal.SIGTERM)
        return outcome

    monkeypatch.setattr(Trainer, "_take_step", stopping)


def test_a_classifier(make_recipe: Make) -> None:
    done = train(make_recipe("classification"), quiet=True)
    folder = done.folder
    assert f"report: {folder / 'report.html'}" in str(done)
    content = read(folder)
    check_page(folder)
    scored = evaluate(folder)
    classes = content["classes"]
    assert classes is not None and content["masked"] is None
    assert classes["confusion"] == scored.confusion and classes["labels"] == list(scored.labels)
    assert {f"f1[{each['label']}]": each["f1"] for each in classes["classes"]} == {
        name: metric.to_json() for name, metric in scored.classes.items() if name.startswith("f1[")
    }
    assert {each["name"]: each for each in content["metrics"]} == {
        name: metric.to_json() for name, metric in done.metrics.items()
    }
    assert content["run"]["state"] == "finished" and content["run"]["model_step"] == done.step_of_model
    assert classes["rows"] == classes["of"] == 40 == classes["right_rows"] + classes["wrong_rows"]
    assert classes["right_rows"] == sum(row[place] for place, row in enumerate(scored.confusion))
    assert sum(each["count"] for each in classes["calibration"]["bins"]) == 40
    for by in ("language", "length"):
        buckets = [each for each in classes["buckets"] if each["by"] == by]
        assert sum(each["count"] for each in buckets) == 40
        rights = sum(each["accuracy"] * each["count"] for each in buckets)
        assert round(rights) == classes["right_rows"]


def test_examples_are_rows_of_the_file_with_the_worst_first(runs: Path) -> None:
    folder = runs / "classification"
    classes = read(folder)["classes"]
    assert classes is not None
    rows = (runs / "dev.tsv").read_text(encoding="utf-8").splitlines()
    predicted = groundup.predict(folder, [row.split("\t")[0] for row in rows[1:]])
    for which in ("wrong", "right"):
        shown = classes[which]  # type: ignore[literal-required]
        assert len(shown) == min(12 if which == "wrong" else 6, classes[f"{which}_rows"])  # type: ignore[literal-required]
        for each in shown:
            assert rows[each["line"] - 1] == f"{each['text']}\t{each['label']}"
            assert predicted[each["line"] - 2]["label"] == each["prediction"]
            assert (each["prediction"] == each["label"]) == (which == "right")
            for label, share in each["probabilities"].items():
                assert predicted[each["line"] - 2]["probabilities"][label] == pytest.approx(share, abs=1e-5)
        shares = [each["probabilities"][each["label"]] for each in shown]
        assert shares == sorted(shares)


def test_a_script_in_the_data_is_only_text(make_recipe: Make, small_data: Path) -> None:
    evil = "<script>document.title='owned'</script><img src=x onerror=alert(1)>"
    for name in ("train.tsv", "dev.tsv"):
        path = small_data / name
        head, *rows = path.read_text(encoding="utf-8").splitlines()
        rows = [row.replace("\tcat", "\t<b>cat") for row in rows]
        path.write_text("\n".join([head, *(f"{evil} {row}" for row in rows)]) + "\n", encoding="utf-8")
    folder = train(make_recipe("classification"), quiet=True).folder
    root = read_page(page_of(folder))
    assert len(root.find("script")) == 1 and not root.find("img")
    assert any(evil in text for _, text in texts(root)) and any("<b>cat" in text for _, text in texts(root))
    check_page(folder)


def test_a_masked_model(runs: Path) -> None:
    folder = runs / "masked"
    content, masked = read(folder), read(folder)["masked"]
    check_page(folder)
    assert masked is not None and content["classes"] is None and masked["split"] == "validation"
    (accuracy,) = (each for each in content["metrics"] if each["name"] == "accuracy")
    assert masked["targets"] == accuracy["count"], "the same masks as in every validation"
    for by in ("fate", "script"):
        buckets = [each for each in masked["buckets"] if each["by"] == by]
        assert sum(each["count"] for each in buckets) == masked["targets"]
        rights = sum(each["accuracy"] * each["count"] for each in buckets) / masked["targets"]
        assert rights == pytest.approx(accuracy["value"])
    shares = {each["name"]: each["count"] / masked["targets"] for each in masked["buckets"] if each["by"] == "fate"}
    assert shares["hidden"] == pytest.approx(0.8, abs=0.1)
    baseline = content["baseline"]
    assert baseline is not None and content["design"] is not None
    assert baseline["value"] == pytest.approx(math.log(content["design"]["config"]["vocab_size"]))
    for sequence in masked["shown"]:
        asked = [token for token in sequence["tokens"] if "answers" in token]
        assert len(asked) == sequence["num_asked"]
        assert sum(token["is_right"] for token in asked) == sequence["num_right"]
        for token in asked:
            assert (token["seen"] == token["text"]) == (token["fate"] == "kept")
            assert (token["seen"] == "[MASK]") == (token["fate"] == "hidden")
            shares_of = [answer["probability"] for answer in token["answers"]]
            assert shares_of == sorted(shares_of, reverse=True) and sum(shares_of) <= 1.0001
    files = content["data"][0]["files"]
    assert [file["name"] for file in files] == ["text.txt"] and len(files[0]["sha256"]) == 64


def test_what_is_shown_is_what_the_validation_asks(runs: Path) -> None:
    """Sequences read as their lines do, word for word, with the words that stood under the masks."""
    masked = read(runs / "masked")["masked"]
    assert masked is not None and len(masked["shown"]) == 6
    lines = {"".join(line.split()) for line in (runs / "valid.txt").read_text(encoding="utf-8").splitlines()}
    found = 0
    for sequence in masked["shown"]:
        assert sequence["num_asked"]
        text = "".join(token["text"] for token in sequence["tokens"] if token.get("fate") != "special")
        found += any(text in line for line in lines)
    assert found == len(masked["shown"])


def test_a_causal_model_has_its_figures_and_its_batch(make_recipe: Make, small_data: Path) -> None:
    data = {"kind": "corpus", "train": [str(small_data / "text.txt")], "validation": [str(small_data / "valid.txt")]}
    folder = train(make_recipe("causal", data=data, model={"causal": True}), quiet=True).folder
    content = read(folder)
    check_page(folder)
    assert content["masked"] is None and content["classes"] is None
    assert {"bits_per_byte", "character_perplexity"} <= {each["name"] for each in content["metrics"]}
    writing = content["writing"]
    assert writing is not None and writing["exact_rows"] is None and len(writing["shown"]) == 4
    lines = (small_data / "valid.txt").read_text(encoding="utf-8").splitlines()
    squeezed = ["".join(line.split()) for line in lines]
    for each in writing["shown"]:
        both = "".join((each["prompt"] + each["expected"]).split())
        assert each["prompt"] and each["expected"] and any(both in line for line in squeezed)
        assert groundup.generate(folder, [each["prompt"]], groundup.Decoding(max_tokens=48))[0].text == each["written"]
    assert content["batch"] is not None and all("⇒" in line for line in content["batch"]["lines"])
    root = read_page(page_of(folder))
    assert "decoder: a token sees what came before" in root.find("section", id="design")[0].text("en")


def test_completions_are_scored_to_the_last_character(make_recipe: Make, small_data: Path) -> None:
    """A copying task, so that some come out right; what is shown is what `predict` answers."""
    rows = [f"{word}\t{word}" for word in ("cat", "dog", "书", "山", "fish", "runs") for _ in range(12)]
    for name in ("train", "dev"):
        (small_data / f"{name}.tsv").write_text("\n".join(["prompt\tanswer", *rows]) + "\n", encoding="utf-8")
    data = {"text": "prompt", "pair": "answer", "label": None}
    settings = {"steps": 60, "evaluate_every": 60}
    folder = train(make_recipe("causal", data=data, model={"causal": True}, train=settings), quiet=True).folder
    writing = read(folder)["writing"]
    check_page(folder)
    assert writing is not None and writing["rows"] == 64 and writing["of"] == 72
    assert writing["exact_rows"] + writing["wrong_rows"] == 64 and writing["exact_rows"] > 10  # type: ignore[operator]
    (overall,) = (each for each in writing["buckets"] if each["by"] == "all")
    assert overall["accuracy"] == writing["exact_rows"] / 64  # type: ignore[operator]
    assert {each["name"] for each in writing["buckets"] if each["by"] == "language"} == {"en", "zh"}
    for each in writing["shown"]:
        assert rows[each["number"] - 2] == f"{each['prompt']}\t{each['expected']}"
        (answer,) = groundup.predict(folder, [each["prompt"]])
        assert answer["completion"] == each["written"]
        assert each["is_right"] == (each["written"] == each["expected"])


def test_the_batch_is_the_one_that_the_last_step_saw(runs: Path) -> None:
    batch = read(runs / "masked")["batch"]
    shown = groundup.show(small_recipe(runs, "masked", "masked"), count=4, step=11)
    assert batch is not None and batch["lines"] == [each.text for each in shown.sequences]
    assert (batch["step"], batch["epoch"]) == (12, shown.epoch + 1)


def test_a_report_can_be_made_again(runs: Path, tmp_path: Path) -> None:
    folder = runs / "classification"
    first = read(folder)
    written = report(folder)
    assert (written.page, written.data) == (folder / "report.html", folder / "report.json")
    first["run"]["made"] = read(folder)["run"]["made"]
    assert read(folder) == first
    path = tmp_path / "recipe.yaml"
    path.write_text(json.dumps(small_recipe(runs, "classification", "classification")), encoding="utf-8")
    assert report(path) == written and written.to_json()["state"] == "finished"


def test_a_moved_run_is_reported_where_it_is(make_recipe: Make, small_data: Path) -> None:
    folder = train(make_recipe("masked"), quiet=True).folder
    moved = small_data / "elsewhere"
    shutil.move(folder, moved)
    (small_data / "text.txt").unlink()  # A prepared corpus is enough.
    written = report(moved)
    assert written.page == moved / "report.html"
    commands = [piece["command"] for piece in read(moved)["advice"] if piece["command"]]
    assert commands and all(str(moved / "recipe.json") in command for command in commands)


@pytest.mark.parametrize("kind", ["masked", "classification"])
def test_a_run_that_was_stopped(make_recipe: Make, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    recipe = make_recipe(kind)
    with monkeypatch.context() as patch:
        stop_at(patch, 7)
        stopped = train(recipe, quiet=True)
    assert not stopped.is_finished and not (stopped.folder / "report.html").exists()
    before = {path: path.read_bytes() for path in stopped.folder.rglob("*") if path.is_file()}
    report(stopped.folder)
    assert all(path.read_bytes() == content for path, content in before.items())
    content = read(stopped.folder)
    assert content["run"]["state"] == "unfinished" and content["run"]["total_steps"] == 12
    assert content["run"]["step"] == 6 and content["run"]["model_step"] == 4, "lines come every second step"
    assert content["curves"]["validation_steps"] == [4]
    assert content[kind if kind == "masked" else "classes"] is not None  # type: ignore[literal-required]
    (piece,) = (piece for piece in content["advice"] if piece["rule"] == "continue")
    assert piece["command"] == f"groundup train {stopped.folder}/recipe.json"
    check_page(stopped.folder)
    done = train(recipe, quiet=True)
    assert done.is_finished and read(done.folder)["run"]["state"] == "finished"


def test_a_run_before_its_first_checkpoint(make_recipe: Make) -> None:
    recipe = Recipe.from_values(make_recipe("classification"))
    recipe.folder.mkdir()
    (recipe.folder / "recipe.json").write_text(json.dumps(recipe.to_json()), encoding="utf-8")
    assert "not started" in str(report(recipe.folder))
    content = read(recipe.folder)
    assert content["run"]["state"] == "not_started" and content["design"] is None and content["data"] == []
    check_page(recipe.folder)


def test_a_run_without_validation(make_recipe: Make) -> None:
    for kind in ("masked", "classification"):
        none: object = [] if kind == "masked" else None
        settings = {"evaluate_every": None}
        recipe = make_recipe(kind, f"run-{kind}", data={"validation": none}, train=settings)
        folder = train(recipe, quiet=True).folder
        content = read(folder)
        check_page(folder)
        assert content["metrics"] == [] and content["classes"] is None
        assert content["masked"] is None or content["masked"]["split"] == "train"
        assert "no_validation" in [piece["rule"] for piece in content["advice"]]


def test_a_run_that_stopped_early_says_so(make_recipe: Make) -> None:
    settings = {"steps": 200, "patience": 1, "evaluate_every": 2}
    folder = train(make_recipe("classification", train=settings), quiet=True).folder
    run = read(folder)["run"]
    assert run["state"] == "stopped_early" and run["step"] < 200 == run["total_steps"]


def test_skipped_steps_are_counted(run: Path) -> None:
    lines = (run / "metrics.jsonl").read_text().splitlines()
    event = {"step": 3, "kind": "bad_step", "loss": "nan", "grad_norm": "nan", "batch": "bad_batches/step-3.json"}
    (run / "metrics.jsonl").write_text("\n".join([*lines, json.dumps(event)]) + "\n")
    report(run)
    assert read(run)["run"]["skipped"] == 1
    assert read(run)["advice"][0]["rule"] == "skipped"


@pytest.mark.parametrize(("rule", "changes", "_"), RULES)
def test_every_command_is_one_that_the_recipe_takes(
    runs: Path, rule: str, changes: dict[str, object], _: object
) -> None:
    """Whatever is advised of a run is read by its own recipe, with PATH replaced."""
    folder = runs / "classification"
    content = read(folder)
    for path, value in changes.items():
        if not path.startswith("recipe."):
            change(content, path, value)
    content["curves"]["train"]["loss"][-1] = 0.3
    for piece in find_advice(content):
        overrides = [each.replace("PATH", str(runs / "masked")) for each in piece["overrides"]]
        Recipe.load(folder / "recipe.json", overrides)


def test_a_run_whose_data_changed_is_refused(make_recipe: Make, small_data: Path) -> None:
    folder = train(make_recipe("classification"), quiet=True).folder
    before = page_of(folder)
    path = small_data / "dev.tsv"
    path.write_text(path.read_text(encoding="utf-8").replace("dog", "bird"), encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"^data\.validation: has changed since the run; restore the data"):
        report(folder)
    path.unlink()
    with pytest.raises(DataError, match=r"^data\.validation \(.*dev\.tsv\): does not exist"):
        report(folder)
    assert page_of(folder) == before, "the report that was there is still there"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("metrics.jsonl", b"{]\n", r"metrics\.jsonl:1: is damaged, got '\{\]'"),
        ("recipe.json", b"{]\n", r"recipe\.json: is damaged"),
        ("recipe.json", None, r"is no run folder: it holds no recipe\.json"),
        ("model/model.safetensors", b"\0" * 64, r"model\.safetensors: .*"),
        ("model/groundup.json", None, r"holds no groundup\.json"),
        ("model/config.json", b"{]", r"config\.json: .*"),
    ],
)
def test_damage_is_one_clear_error(run: Path, name: str, content: bytes | None, message: str) -> None:
    before = page_of(run)
    if content is None:
        (run / name).unlink()
    else:
        (run / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        report(run)
    assert page_of(run) == before


def test_a_report_that_fails_loses_no_model(
    make_recipe: Make, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> object:
        raise RuntimeError("the pen is dry")

    monkeypatch.setattr(report_module, "render", broken)
    done = train(make_recipe("masked"), quiet=True)
    assert done.is_finished and (done.folder / "model" / "model.safetensors").is_file()
    assert not (done.folder / "report.html").exists() and "report:" not in str(done)
    error = capsys.readouterr().err
    assert "no report was made (the pen is dry)" in error and f"groundup report {done.folder}" in error
    assert groundup.predict(done.folder, ["the [MASK] sees"])


def test_a_report_changes_nothing_of_the_run(make_recipe: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same weights, bit by bit, with the report and without it."""
    with_it = train(make_recipe("masked", "one"), quiet=True).folder
    monkeypatch.setattr("groundup.verbs.train.make_report", lambda *_: None)
    without = train(make_recipe("masked", "other"), quiet=True).folder
    one, other = ((folder / "model" / "model.safetensors").read_bytes() for folder in (with_it, without))
    assert one == other and not (without / "report.html").exists()


def test_a_large_validation_is_measured_in_part(make_recipe: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_sample, "MOST_FLOPS", 1.0)
    monkeypatch.setattr(report_sample, "LEAST_ROWS", 8)
    folder = train(make_recipe("classification"), quiet=True).folder
    classes = read(folder)["classes"]
    assert classes is not None and (classes["rows"], classes["of"]) == (8, 40)
    assert sum(map(sum, classes["confusion"])) == 8
    (accuracy,) = (each for each in read(folder)["metrics"] if each["name"] == "accuracy")
    assert accuracy["count"] == 40, "the headline is over all rows"
    check_page(folder)
    folder = train(make_recipe("masked", "masked"), quiet=True).folder
    masked = read(folder)["masked"]
    assert masked is not None and masked["sequences"] == 8 < masked["of"]


def test_long_runs_are_thinned_out(make_recipe: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_run, "MOST_POINTS", 4)
    recipe = Recipe.from_values(make_recipe("masked"))
    losses = np.linspace(3.0, 2.0, 10)
    lines = [
        {"step": step, "kind": "train", "loss": loss, "learning_rate": 1.0, "time": {"tokens_per_second": 5.0}}
        for step, loss in enumerate(losses.tolist(), start=1)
    ]
    curves = read_curves(recipe, lines, ("loss", False))
    assert curves["lines_per_point"] == 3 and curves["train"]["step"] == [3, 6, 9, 10]
    assert curves["train"]["loss"][0] == pytest.approx(losses[:3].mean())
    assert curves["train"]["loss"][-1] == losses[-1] and curves["train"]["grad_norm"] == [None] * 4


TRICKY = {"a": "no", "b": "1e-4", "c": "010", "d": "", "e": "~", "f": "true", "g": "中文：a: b # c", "h": "two\nlines"}


def test_the_recipe_as_yaml_reads_back_as_it_was(make_recipe: Make) -> None:
    for values in (TRICKY, {"x": [*TRICKY.values(), 0.1, 1e-12, 5e-4, 3, True, None], "y": {}}):
        assert parse_yaml(write_yaml(values), "test") == values
    recipe = Recipe.from_values(make_recipe("classification", objective={"labels": ["no", "1e-4", "cat", "none"]}))
    assert parse(Recipe, parse_yaml(write_yaml(recipe.to_json()), "test")) == recipe


@pytest.mark.parametrize(
    ("token", "script"),
    [
        ("##ing", "latin"),
        ("猫", "zh"),
        ("##猫", "zh"),
        ("12", "digit"),
        ("...", "other"),
        ("é", "latin"),
        ("я", "other"),
    ],
)
def test_scripts_of_tokens(token: str, script: str) -> None:
    assert find_script(token) == script


@pytest.mark.parametrize(
    ("word", "before", "read_as"),
    [
        ("cat", "the", ("cat", True)),
        ("##s", "cat", ("s", False)),
        ("##", "a", ("##", True)),
        ("书", "看", ("书", False)),
        ("，", "书", ("，", False)),
        ("cat", "书", ("cat", True)),
        (",", "cat", (",", False)),
        ("a", "(", ("a", False)),
        (" the", "cat", ("the", True)),
        ("猫", "", ("猫", True)),
    ],
)
def test_tokens_are_joined_as_they_are_read(word: str, before: str, read_as: tuple[str, bool]) -> None:
    assert _read_token(word, before) == read_as


@pytest.mark.parametrize(
    ("count", "most", "numbers"), [(3, 5, [0, 1, 2]), (10, 3, [0, 4, 9]), (1, 1, [0]), (7, 1, [0])]
)
def test_samples_are_spread(count: int, most: int, numbers: list[int]) -> None:
    assert spread(count, most).tolist() == numbers


def test_the_command(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["groundup", "report", str(run)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"report of {run} (finished): {run / 'report.html'}\n"
    monkeypatch.setattr("sys.argv", ["groundup", "report", str(tmp_path / "nowhere")])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2 and "is no run folder" in capsys.readouterr().err
    assert groundup.report is report, "the verb is not hidden by a room of its name"
