"""The quickstart, shrunken: every stage, its proofs, a kill between stages, other settings, and the user's own data."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path

import pytest

import groundup
from groundup.errors import CheckpointError, ConfigError, DataError, TrainingError
from groundup.tour import labels, proofs, quickstart, recipes, written

WORDS = ("the", "a", "good", "bad", "slow", "film", "room", "was", "is", "not", "很", "好", "差", "电影", "服务")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few rows and steps in place of minutes."""
    monkeypatch.setattr(written, "TRAIN_ROWS", 400)
    monkeypatch.setattr(written, "TEST_ROWS", 30)
    monkeypatch.setattr(quickstart, "_steps", lambda *_: 24)
    monkeypatch.setattr(quickstart, "_count_threads", lambda: 1)
    make = recipes.make_sentiment
    monkeypatch.setattr(
        recipes, "make_sentiment", lambda data, output, epochs, threads: make(data, output, 1.0, threads)
    )


def write_own_data(folder: Path) -> tuple[Path, Path]:
    draw = random.Random(3)
    lines = [" ".join(draw.choices(WORDS, k=draw.randint(5, 25))) for _ in range(300)]
    corpus, table = folder / "my.txt", folder / "my.csv"
    corpus.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["review", "stars"])
        writer.writerows([[line, "up" if "good" in line or "好" in line else "down"] for line in lines[:200]])
    return corpus, table


def test_the_quickstart_runs_proves_and_goes_on(
    small: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "quick"
    first = groundup.quickstart(output=str(folder))
    said = capsys.readouterr().out
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    assert results == json.loads(json.dumps(first.results))
    assert results["resume"]["is_exact"] and results["resume"]["resumed"][:32] in said and "NOT EQUAL" not in said
    assert results["transformers"]["largest_difference"] < 1e-5
    assert len(results["masked"]) == 6
    counts = {tuple(sorted(group["name"].items())): group["count"] for group in results["written"]["groups"]}
    assert counts[()] == 60
    assert f"{results['sentiment']['all']['value']:.1%}" in said
    assert first.page.is_file()
    for run in ("written", "sentiment"):
        assert (folder / run / "report.html").is_file()
    # Stopped anywhere and started again it does what is left; with nothing left it answers the same.
    (folder / "sentiment" / "test.json").unlink()
    again = groundup.quickstart(output=str(folder), quiet=True)
    assert {**again.results, "sentiment": None} == {**first.results, "sentiment": None}
    assert again.results["sentiment"]["all"] == first.results["sentiment"]["all"]
    assert capsys.readouterr().out == ""
    with pytest.raises(CheckpointError, match="is a quickstart with other minutes"):
        groundup.quickstart(output=str(folder), minutes=5.0)


@pytest.mark.slow
def test_with_more_minutes_it_tries_whether_reading_helps(
    small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from groundup.tour import python_texts

    monkeypatch.setattr(python_texts, "_MOST_FILES", 12)
    folder = tmp_path / "long"
    results = groundup.quickstart(output=str(folder), minutes=20.0, quiet=True).results
    text = (folder / "python.txt").read_text(encoding="utf-8")
    assert len(text) > 100_000 and "assert" in text
    gain = results["pretrained_labels"]["all"]["value"] - results["fresh_labels"]["all"]["value"]
    assert results["gain"]["value"] == pytest.approx(gain) and results["gain"]["count"] == 300
    assert results["sentiment"]["all"]["count"] == 300


def test_it_runs_on_ones_own_text_and_labels(small: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus, table = write_own_data(tmp_path)
    done = groundup.quickstart(
        corpus=str(corpus), labels=str(table), text="review", label="stars", output=str(tmp_path / "own")
    )
    results = done.results
    assert results["kind"] == "own" and results["resume"]["is_exact"]
    parts = {name: labels.read_texts(tmp_path / "own" / "labels" / f"{name}.csv") for name in ("train", "test")}
    assert not set(parts["train"]) & set(parts["test"]) and len(parts["test"]) == 20
    assert results["pretrained_labels"]["all"]["count"] == results["fresh_labels"]["all"]["count"] == 20
    gain = results["pretrained_labels"]["all"]["value"] - results["fresh_labels"]["all"]["value"]
    assert results["gain"]["value"] == pytest.approx(gain)
    assert "read first minus fresh" in capsys.readouterr().out


def test_a_killed_run_is_told_from_one_that_differs(tmp_path: Path, make_recipe: object) -> None:
    recipe = make_recipe("masked")
    found = proofs.prove_resume(recipe, tmp_path / "proof", steps=8, kill_at=4)
    assert found.is_exact and len(found.resumed) == 64
    # The control: another seed gives other hashes.
    other = proofs.prove_resume(recipe | {"seed": 6}, tmp_path / "other", steps=8, kill_at=4)
    assert other.is_exact and other.resumed != found.resumed
    with pytest.raises(TrainingError, match=r"proof: a run ended with 1 instead of -9: error: .*did you mean 'masked'"):
        proofs.prove_resume(recipe | {"objective": {"kind": "maskd"}}, tmp_path / "bad", steps=8, kill_at=4)


def test_bad_input_is_one_message_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="minutes: must be from 1 to 1440, got 0"):
        groundup.quickstart(minutes=0.0, output=str(tmp_path / "a"))
    assert not (tmp_path / "a").exists()
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "mine.txt").touch()
    with pytest.raises(CheckpointError, match="holds other files"):
        groundup.quickstart(output=str(tmp_path / "b"), quiet=True)
    with pytest.raises(DataError, match=r"labels.*no\.csv"):
        groundup.quickstart(labels=str(tmp_path / "no.csv"), output=str(tmp_path / "c"), quiet=True)
    assert not (tmp_path / "c").exists()
    (tmp_path / "few.csv").write_text("text,label\na,x\nb,y\n", encoding="utf-8")
    with pytest.raises(DataError, match="labels: holds too few different texts"):
        groundup.quickstart(labels=str(tmp_path / "few.csv"), output=str(tmp_path / "d"), quiet=True)
    with pytest.raises(DataError, match=r"no\.txt"):
        groundup.quickstart(corpus=str(tmp_path / "no.txt"), output=str(tmp_path / "e"), quiet=True)
    assert not (tmp_path / "e").exists()
