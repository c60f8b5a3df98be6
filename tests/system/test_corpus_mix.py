"""Sources mixed by weight, sequences that grow and steps of equal size: whole runs, killed and gone on with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from groundup.errors import ConfigError, GroundupError
from groundup.training.fingerprint import fingerprint
from groundup.training.log import read_lines
from groundup.training.trainer import Trainer
from groundup.verbs.check import check
from groundup.verbs.data import prepare
from groundup.verbs.report import report
from groundup.verbs.show import show
from groundup.verbs.train import train

Make = Callable[..., dict]


@pytest.fixture
def general(tmp_path: Path) -> Path:
    """Another text, in words that the small data never says."""
    lines = [
        f"general words number {number % 7} in a row of {number % 5} 旧语料第 {number % 9} 行" for number in range(60)
    ]
    (tmp_path / "general.txt").write_text("\n".join(lines[10:]) + "\n", encoding="utf-8")
    (tmp_path / "general-valid.txt").write_text("\n".join(lines[:10]) + "\n", encoding="utf-8")
    return tmp_path


def mixed(make_recipe: Make, folder: Path, name: str = "run", **sections: dict) -> dict:
    others = [
        {
            "name": "general",
            "share": 0.25,
            "train": [str(folder / "general.txt")],
            "validation": [str(folder / "general-valid.txt")],
        }
    ]
    settings = {"data": {"others": others}, **sections}
    return make_recipe("masked", name, **settings)


def is_general(text: str) -> bool:
    return "general" in text or "行" in text


def test_a_source_is_mixed_in_by_its_share_and_measured_alone(make_recipe: Make, general: Path) -> None:
    recipe = mixed(make_recipe, general, objective={"rate": 0.05})
    assert {split.name for split in prepare(recipe, quiet=True).splits} == {
        "train",
        "validation",
        "general train",
        "general validation",
    }
    texts, tokens = [], [0, 0]
    for step in range(12):
        for each in show(recipe, count=99, step=step).sequences:
            texts.append(each.text)
            tokens[is_general(each.text)] += each.length
    assert tokens[1] / sum(tokens) == pytest.approx(0.25, abs=0.03)
    done = train(recipe, quiet=True)
    assert {"loss", "loss[general]", "perplexity[general]"} <= done.metrics.keys()
    assert done.metrics["loss"].value != done.metrics["loss[general]"].value
    assert "loss[general]" in (Path(recipe["output"]) / "report.html").read_text(encoding="utf-8")
    report(recipe["output"])
    assert check(recipe).output_state == "finished"


def test_a_killed_mixture_ends_with_the_same_bits(make_recipe: Make, general: Path) -> None:
    changes = {
        "data": {"curriculum": [{"until": 0.3, "max_length": 12}, {"until": 0.6, "max_length": 20}]},
        "train": {"save_every": 1, "batch_size": 8},
    }

    def recipe(name: str) -> dict:
        values = mixed(make_recipe, general, name)
        return values | {"data": values["data"] | changes["data"], "train": values["train"] | changes["train"]}

    whole, again, cut = recipe("whole"), recipe("again"), recipe("cut")
    for each in (whole, again):
        train(each, quiet=True)
    assert fingerprint(Path(whole["output"])) == fingerprint(Path(again["output"]))

    class Killed(BaseException):
        pass

    take, steps = Trainer._take_step, []

    def killed(self: Trainer, *arguments: object) -> object:
        steps.append(None)
        if len(steps) in (3, 8):
            raise Killed
        return take(self, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "_take_step", killed)
        for _ in range(2):
            with pytest.raises(Killed):
                train(cut, quiet=True)
        assert train(cut, quiet=True).is_finished
    assert len(steps) > 12
    assert fingerprint(Path(cut["output"])) == fingerprint(Path(whole["output"]))


def test_sequences_grow_and_a_step_has_as_many_tokens(make_recipe: Make) -> None:
    stages = [{"until": 0.34, "max_length": 8}, {"until": 0.67, "max_length": 16}]
    recipe = make_recipe("masked", data={"curriculum": stages, "min_length": 4}, train={"batch_size": 8})
    longest, sizes = [], []
    for step in (0, 3, 4, 7, 8, 11):
        lengths = [length for each in show(recipe, step=step).micro_batches for length in each.lengths]
        longest.append(max(lengths))
        sizes.append(len(lengths))
    assert longest[:4] == [8, 8, 16, 16] and 16 < min(longest[4:]) <= max(longest) <= 32
    assert sizes == [32, 32, 16, 16, 8, 8]
    assert train(recipe, quiet=True).is_finished


def test_steps_of_equal_size_are_full(make_recipe: Make) -> None:
    recipe = make_recipe(
        "masked", train={"batch_tokens": 512, "micro_batch_tokens": 128, "steps": 4, "evaluate_every": 4}
    )
    del recipe["train"]["batch_size"]
    batches = [each for step in range(4) for each in show(recipe, step=step).micro_batches]
    assert len(batches) == 16
    assert sum(each.tokens > 0.9 * 128 for each in batches) >= 14, "one of an epoch takes what is left"
    assert train(recipe, quiet=True).is_finished
    check(recipe)
    lines = read_lines(Path(recipe["output"]) / "metrics.jsonl")
    trained = [line for line in lines if line["kind"] == "train"]
    assert all(0.0 <= line["time"]["data_share"] <= 1.0 for line in trained)
    assert trained[-1]["tokens"] == sum(each.tokens for each in batches)


PROBLEMS = {
    "shares": ({"others": [{"name": "a", "share": 0.7}, {"name": "b", "share": 0.4}]}, {}, "must sum to less than 1"),
    "names": (
        {"others": [{"name": "a", "share": 0.1}, {"name": "a", "share": 0.1}]},
        {},
        "each needs a name of its own",
    ),
    "name": ({"others": [{"name": "train", "share": 0.1}]}, {}, "none of them train or validation"),
    "budget": ({"others": [{"name": "a", "share": 0.1}]}, {"batch_tokens": 512}, "dealt by sequences, got 512"),
    "stages": (
        {"curriculum": [{"until": 0.5, "max_length": 8}, {"until": 0.4, "max_length": 9}]},
        {},
        "until must grow",
    ),
    "long": ({"curriculum": [{"until": 0.5, "max_length": 32}]}, {}, "must be shorter than objective.max_length 32"),
    "epochs": ({"curriculum": [{"until": 0.5, "max_length": 8}]}, {"steps": None, "epochs": 1.0}, "give the steps"),
}


@pytest.mark.parametrize("problem", PROBLEMS)
def test_what_does_not_go_together_is_told_before_anything_is_read(make_recipe: Make, problem: str) -> None:
    data, settings, message = PROBLEMS[problem]
    for source in data.get("others", ()):
        source["train"] = ["none.txt"]
    recipe = make_recipe("masked", data=data, train=settings)
    if "batch_tokens" in settings:
        del recipe["train"]["batch_size"]
    with pytest.raises(ConfigError, match=message):
        check(recipe)


def test_a_file_of_another_source_that_is_missing_is_named(make_recipe: Make, general: Path) -> None:
    (general / "general.txt").unlink()
    for verb in (check, train):
        with pytest.raises(GroundupError, match=r"data\.others\.0\.train.*general\.txt"):
            verb(mixed(make_recipe, general))


def test_both_sizes_of_a_step_are_refused(make_recipe: Make) -> None:
    with pytest.raises(ConfigError, match=r"batch_tokens: is in place of batch_size, got both"):
        check(make_recipe("masked", train={"batch_tokens": 512}))
