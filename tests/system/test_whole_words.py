"""Whole words through the verbs: shown, trained on, resumed, recorded; a missing segmenter stops no prediction."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from groundup.errors import CheckpointError, DataError, MissingExtraError
from groundup.language import segment
from groundup.training.trainer import Trainer
from groundup.verbs.data import show
from groundup.verbs.evaluate import evaluate
from groundup.verbs.predict import predict
from groundup.verbs.train import train

Make = Callable[..., dict]
LINES = ["我看见山，我看见水", "他看见你，你看书", "我 sees 山水", "看书的猫看见狗"]


@pytest.fixture
def make_words(make_recipe: Make, small_data: Path) -> Make:
    """`make_recipe` for whole words of Chinese written as it is, without spaces."""
    for name in ("text.txt", "valid.txt"):
        with (small_data / name).open("a", encoding="utf-8") as file:
            file.write("\n".join(LINES * 30) + "\n")
    (small_data / "words.txt").write_text("看见\n山水\n看书\n", encoding="utf-8")

    def make(kind: str, name: str = "run", **sections: dict) -> dict:
        segmenter = {"kind": kind} | ({"path": str(small_data / "words.txt")} if kind == "dictionary" else {})
        recipe = make_recipe("masked", name, **sections)
        recipe["objective"] |= {"unit": "word", "segmenter": segmenter, "rate": 0.4}
        return recipe

    return make


@pytest.fixture
def no_jieba(monkeypatch: pytest.MonkeyPatch) -> None:
    segment._read_jieba.cache_clear()
    monkeypatch.setitem(sys.modules, "jieba", None)


def test_show_marks_whole_words(make_words: Make) -> None:
    text = str(show(make_words("dictionary"), ["objective.mask=1", "objective.random=0", "objective.keep=0"], count=16))
    found = set(re.findall(r"\[((?:MASK\s+)*MASK)→([^\]]+)\]", text))
    assert {("MASK MASK", "看见"), ("MASK", "我")} <= {(" ".join(masks.split()), word) for masks, word in found}
    assert all(len(masks.split()) == len(word) for masks, word in found if not word.isascii())
    assert " 看 见 " in text
    plain = str(show(make_words("none"), ["objective.mask=1", "objective.random=0", "objective.keep=0"], count=16))
    assert "MASK MASK" not in plain and "[MASK→看]" in plain


def test_a_run_records_its_words_and_evaluates_to_the_same_figures(make_words: Make, small_data: Path) -> None:
    recipe = make_words("dictionary")
    report = train(recipe, quiet=True)
    manifest = json.loads((report.model / "groundup.json").read_text(encoding="utf-8"))
    name = manifest["data"]["segmenter"]
    assert name.startswith("dictionary ") and manifest["recipe"]["objective"]["segmenter"]["kind"] == "dictionary"
    assert all(f"masked words, segmenter={name}," in metric["signature"] for metric in manifest["metrics"].values())
    assert evaluate(report.model).metrics["loss"] == report.metrics["loss"]
    (small_data / "words.txt").write_text("我看\n", encoding="utf-8")
    assert evaluate(report.model).metrics["loss"].signature != report.metrics["loss"].signature


def test_a_resume_with_another_dictionary_is_refused(
    make_words: Make, small_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = make_words("dictionary")
    take_step = Trainer._take_step

    def stopping(self: Trainer, *arguments: object) -> object:
        outcome = take_step(self, *arguments)
        if self.state.progress.step == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return outcome

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_take_step", stopping)
        assert not train(recipe, quiet=True).is_finished
    words = (small_data / "words.txt").read_text(encoding="utf-8")
    (small_data / "words.txt").write_text(f"{words}的猫\n", encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"^objective\.segmenter: has changed since the checkpoint was written"):
        train(recipe, quiet=True)
    (small_data / "words.txt").write_text(words, encoding="utf-8")
    assert train(recipe, quiet=True).is_finished


def test_prediction_needs_no_segmenter(make_words: Make, no_jieba: None, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = make_words("jieba", train={"steps": 2, "evaluate_every": 2})
    with monkeypatch.context() as patch:
        patch.delitem(sys.modules, "jieba")
        model = train(recipe, quiet=True).model
    segment._read_jieba.cache_clear()
    [row] = predict(model, ["我看[MASK]山"])
    assert len(row["fills"]) == 1
    with pytest.raises(MissingExtraError, match=r"objective\.segmenter"):
        evaluate(model)


def test_a_missing_segmenter_is_told_of_before_anything_is_made(make_words: Make, no_jieba: None) -> None:
    recipe = make_words("jieba")
    with pytest.raises(MissingExtraError, match=r"^objective\.segmenter: needs the package 'jieba'; pip install"):
        train(recipe, quiet=True)
    assert not Path(recipe["output"]).exists()
    recipe = make_words("dictionary")
    Path(recipe["objective"]["segmenter"]["path"]).unlink()
    with pytest.raises(DataError, match=r"^objective\.segmenter\.path: cannot be read"):
        train(recipe, quiet=True)
    assert not Path(recipe["output"]).exists()
