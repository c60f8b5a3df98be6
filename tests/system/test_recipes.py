"""The recipes that come with the project: all are sound, and those of the tutorial are run, shrunken."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from groundup.checkpoint import pretrained
from groundup.decoding.config import Decoding
from groundup.recipe import Recipe
from groundup.training.log import read_lines
from groundup.verbs.generate import generate
from groundup.verbs.train import train

RECIPES = Path(__file__).parents[2] / "recipes"
SHAKESPEARE = ("shakespeare-char", "shakespeare-char-best")


@pytest.fixture
def play(tmp_path: Path) -> Path:
    """Forty speeches of few words."""
    draw = random.Random(3)
    words = ["thou", "art", "my", "lord", "and", "king", "who", "will", "not", "speak", "of", "love"]
    speeches = [f"{name}:\n{' '.join(draw.choices(words, k=20))}.\n" for name in ("ROMEO", "JULIET") * 20]
    path = tmp_path / "play.txt"
    path.write_text("\n".join(speeches), encoding="utf-8")
    return path


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_recipe_is_sound(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROUNDUP_DATA", "/nowhere")
    assert Recipe.load(path).output == f"runs/{path.stem}"


@pytest.mark.parametrize("name", SHAKESPEARE)
def test_the_tutorials_recipes_shrunken(name: str, play: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROUNDUP_DATA", "/nowhere")
    steps = ["train.steps=30", "train.evaluate_every=15", "train.log_every=1", "schedule.warmup=3", "train.threads=1"]
    small = ["model.num_layers=2", "train.batch_size=6", f"output={tmp_path / 'run'}", f'data.train=["{play}"]']
    report = train(RECIPES / f"{name}.yaml", [*steps, *small], quiet=True)
    assert report.is_finished and report.step_of_model in (15, 30)
    losses = [line["loss"] for line in read_lines(report.folder / "metrics.jsonl") if line["kind"] == "train"]
    assert losses[0] > 3.0 and losses[-1] < 0.8 * losses[0]
    assert report.metrics["loss"].value < 0.8 * losses[0]
    config = pretrained.load(report.folder / "model").config
    assert config.causal and config.num_layers == 2
    (written,) = generate(report.folder, ["ROMEO:"], Decoding(max_tokens=20))
    assert len(written.text) == 20
