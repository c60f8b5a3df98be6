"""Two models, or two files of predictions, side by side: only on the same rows, and only what is computed alike."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pages import Run, run
from scipy import stats
from small_runs import small_recipe, write_small_data

from groundup.errors import ConfigError, DataError
from groundup.metrics.metric import Metric
from groundup.verbs.compare import CompareReport, compare
from groundup.verbs.compare_seeds import SeedsCompareReport, _compare
from groundup.verbs.evaluate import evaluate
from groundup.verbs.predict_file import predict_file
from groundup.verbs.series import train_seeds
from groundup.verbs.train import train

__all__ = ["run"]


@pytest.fixture(autouse=True, scope="module")
def no_pages() -> Iterator[None]:
    """The pages of runs take most of the time of runs as short as these."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("groundup.verbs.train.make_report", lambda *arguments: None)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classifiers, one of which learnt something, and two masked models."""
    folder = write_small_data(tmp_path_factory.mktemp("compare"))
    for name, steps in (("good", 60), ("poor", 1)):
        train(small_recipe(folder, "classification", name, train={"steps": steps, "evaluate_every": None}), quiet=True)
        train(small_recipe(folder, "masked", f"masked-{name}", train={"steps": 1}, seed=steps), quiet=True)
    return folder


def test_two_models_on_the_same_rows(folder: Path) -> None:
    found = compare(folder / "good", folder / "poor")
    metrics = [evaluate(folder / name).metrics for name in ("good", "poor")]
    assert set(found.metrics) == set(metrics[0]) and found.count == 40
    for name, each in found.metrics.items():
        assert (each.first, each.second) == pytest.approx([of[name].value for of in metrics]), name
        assert each.difference == each.first - each.second and each.low <= each.difference <= each.high
    assert found.first_better + found.second_better + found.alike == 40
    assert found.first_better - found.second_better == round(40 * found.metrics["accuracy"].difference)
    assert found.both_right + found.first_better == round(40 * found.metrics["accuracy"].first)
    # Exchanging answers is what McNemar's exact test does, where the metric is the share of right ones.
    exact = stats.binomtest(found.first_better, found.first_better + found.second_better).pvalue
    assert found.metrics["accuracy"].p_value == pytest.approx(exact, abs=0.02)
    back = compare(folder / "poor", folder / "good")
    assert back.metrics["accuracy"].difference == -found.metrics["accuracy"].difference
    assert (back.first_better, back.second_better) == (found.second_better, found.first_better)
    same = compare(folder / "good", folder / "good")
    assert {each.p_value for each in same.metrics.values()} == {1.0} and same.first_better == 0
    other = compare(folder / "good", folder / "poor", [f"data.validation={folder / 'train.tsv'}"])
    assert other.count == 160 and other.data.endswith("train.tsv")


@pytest.mark.parametrize("ending", ["jsonl", "csv"])
def test_their_predictions_in_files_compare_alike(folder: Path, tmp_path: Path, ending: str) -> None:
    files = [tmp_path / f"{name}.{ending}" for name in ("good", "poor")]
    for name, file in zip(("good", "poor"), files, strict=True):
        predict_file(folder / name, folder / "dev.tsv", file, keep={"label": "gold"}, quiet=True)
    found, models = compare(*files), compare(folder / "good", folder / "poor")
    assert set(found.metrics) == set(models.metrics)
    for name, each in found.metrics.items():
        assert (each.first, each.second, each.p_value) == pytest.approx(
            (models.metrics[name].first, models.metrics[name].second, models.metrics[name].p_value)
        ), name
    assert (found.first_better, found.both_right) == (models.first_better, models.both_right)


def test_files_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    def write(name: str, *rows: dict) -> Path:
        path = tmp_path / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return path

    rows = [{"text": text, "label": label, "gold": "a"} for text, label in (("x", "a"), ("y", "b"))]
    one = write("one.jsonl", *rows)
    assert compare(one, one).metrics["accuracy"].first == 0.5
    assert "loss" not in compare(one, one).metrics, "without probabilities there is none"
    sure = write("sure.jsonl", *(row | {"probabilities": {"a": 0.7, "b": 0.3}} for row in rows))
    assert compare(sure, sure).left_out == () and "loss" in compare(sure, sure).metrics
    assert compare(sure, one).left_out == compare(one, sure).left_out == ("calibration_error", "loss")
    with pytest.raises(DataError, match=r"rows: are 2 of .*one\.jsonl, but 1 of .*short\.jsonl"):
        compare(one, write("short.jsonl", rows[0]))
    with pytest.raises(
        DataError, match=r"row 2: of .*one.* is not that of .*other\.jsonl by its text, got \('y', 'z'\)"
    ):
        compare(one, write("other.jsonl", rows[0], rows[1] | {"text": "z"}))
    with pytest.raises(DataError, match=r"row 2: of .* by its label, got \('a', 'b'\); both must answer the same rows"):
        compare(one, write("right.jsonl", rows[0], rows[1] | {"gold": "b"}))
    with pytest.raises(DataError, match=r"one\.jsonl:1: has no column for `truth`, got 'truth'; columns are text"):
        compare(one, one, gold="truth")
    with pytest.raises(DataError, match=r"one\.jsonl: holds answers of another kind than .*spans\.jsonl"):
        compare(write("spans.jsonl", {"text": "x", "entities": [], "gold": []}), one)
    with pytest.raises(DataError, match=r"fills\.jsonl: holds no answers that can be compared, got \['text'"):
        compare(write("fills.jsonl", {"text": "x", "fills": [], "gold": "a"}), one)
    with pytest.raises(DataError, match=r"odd\.jsonl:1: has probabilities that are no numbers by label"):
        compare(one, write("odd.jsonl", *(row | {"probabilities": [0.5]} for row in rows)))
    with pytest.raises(ConfigError, match=r"override seed=1: changes nothing for files"):
        compare(one, one, ["seed=1"])


def test_files_compare_by_what_both_say_of_their_rows(tmp_path: Path) -> None:
    def write(name: str, **facts: object) -> Path:
        row = {"question": "谁?", "gold": 0, "answer": 0, "choice": "她"} | facts
        (path := tmp_path / name).write_text(json.dumps(row) + "\n", encoding="utf-8")
        return path

    whole = write("whole.jsonl", context="她", probabilities={"她": 0.6, "他": 0.4})
    found = compare(whole, write("bare.jsonl", answer=1, choice="他"))
    assert (found.first_better, found.left_out) == (1, ("calibration_error", "loss"))
    with pytest.raises(DataError, match=r"by its context, got \('她', '他'\)"):
        compare(whole, write("other.jsonl", context="他"))
    # Nothing in common but what is right does not tell that rows are the same.
    with pytest.raises(DataError, match=r"row 1: of .* is not that of .* by its context"):
        compare(whole, write("nothing.jsonl", question=""))


def test_models_that_do_not_fit_are_refused(folder: Path, tmp_path: Path) -> None:
    good = str(folder / "good")
    with pytest.raises(ConfigError, match=r"objective: is not the same for both, got \['classification', 'masked'\]"):
        compare(good, folder / "masked-good")
    (file := tmp_path / "rows.jsonl").write_text("{}\n")
    with pytest.raises(ConfigError, match=r"is a model, and .*rows\.jsonl a file of predictions; write"):
        compare(good, file)
    rows = (folder / "dev.tsv").read_text(encoding="utf-8").splitlines()
    for name, changed in (("cut.tsv", rows[:-1]), ("changed.tsv", [*rows[:-1], "the bird\tnone"])):
        (folder / name).write_text("\n".join(changed) + "\n", encoding="utf-8")
    # The two recipes themselves name different rows.
    for name, pattern in (
        ("cut.tsv", "rows: are 40 of .*, but 39 of "),
        ("changed.tsv", "row 40: of .* is not that of"),
    ):
        data = {"validation": str(folder / name)}
        recipe = small_recipe(folder, "classification", f"of-{name}", data=data, train={"steps": 1})
        train(recipe, quiet=True)
        with pytest.raises(DataError, match=pattern):
            compare(good, folder / f"of-{name}")
    micro = small_recipe(folder, "classification", "micro", objective={"average": "micro"}, train={"steps": 1})
    train(micro, quiet=True)
    with pytest.raises(ConfigError, match=r"(f1|precision|recall): is not computed alike for both.*average=binary"):
        compare(good, folder / "micro")
    lettered = small_recipe(folder, "classification", "labels", objective={"labels": ["none", "cat", "x"]})
    train(lettered | {"train": {**lettered["train"], "steps": 1}}, quiet=True)
    with pytest.raises(ConfigError, match="labels: are not the same for both"):
        compare(good, folder / "labels")


def test_language_models_are_compared_by_the_losses_of_texts(folder: Path) -> None:
    found = compare(folder / "masked-good", folder / "masked-poor")
    metrics = [evaluate(folder / f"masked-{name}").metrics["loss"].value for name in ("good", "poor")]
    loss = found.metrics["loss"]
    assert (loss.first, loss.second) == pytest.approx(metrics) and set(found.metrics) == {"loss"}
    assert found.both_right is None and found.first_better + found.second_better + found.alike == found.count
    assert "better than the other: first" in str(found) and "both right" not in str(found)
    with pytest.raises(ConfigError, match="override"):
        compare(folder / "masked-good", folder / "masked-poor", ["tokenizer.vocab_size=90"])


def test_losses_of_other_tokens_are_refused(folder: Path) -> None:
    letters = small_recipe(folder, "masked", "letters", train={"steps": 1}) | {"tokenizer": {"kind": "characters"}}
    train(letters, quiet=True)
    with pytest.raises(DataError, match=r"data\.validation: is not the same tokens for both models"):
        compare(folder / "masked-good", folder / "letters")


def test_two_recipes_are_compared_seed_by_seed(folder: Path, tmp_path: Path) -> None:
    """The figures are those of single runs; the test is scipy's paired one."""
    train_seeds(small_recipe(folder, "classification", "seeds-good", train={"steps": 30}), seeds=3, quiet=True)
    poor = small_recipe(folder, "classification", "seeds-poor", train={"steps": 1}, seed=6)
    train_seeds(poor, seeds=3, quiet=True)
    found = compare(folder / "seeds-good", folder / "seeds-poor")
    assert isinstance(found, SeedsCompareReport) and found.seeds == (6, 7)
    values = [
        [evaluate(folder / name / f"seed-{seed}").metrics["loss"].value for seed in found.seeds]
        for name in ("seeds-good", "seeds-poor")
    ]
    loss, expected = found.metrics["loss"], stats.ttest_rel(*values)
    assert (loss.first, loss.second) == pytest.approx([np.mean(each) for each in values])
    assert (loss.difference, loss.p_value) == pytest.approx((np.mean(values[0]) - np.mean(values[1]), expected.pvalue))
    assert (loss.low, loss.high) == pytest.approx(tuple(expected.confidence_interval()))
    assert "2 shared seeds" in str(found) and "paired differences" in loss.signature
    twice = compare(folder / "seeds-good", folder / "seeds-good")
    same = twice.metrics["loss"]
    assert (same.difference, same.low, same.high, same.p_value) == (0.0, None, None, None)
    assert "-: the difference is the same with each seed, so nothing tells of other seeds" in " ".join(
        str(twice).split()
    )
    assert "nothing tells" not in str(replace(found, metrics={"loss": loss}))
    # Beside a single model the best seed stands for its series.
    assert isinstance(compare(folder / "seeds-good", folder / "poor"), CompareReport)
    train_seeds(poor | {"seed": 8, "output": str(tmp_path / "others")}, seeds=2, quiet=True)
    with pytest.raises(ConfigError, match=r"seeds: of .* that finished are fewer than two, got \[\]"):
        compare(folder / "seeds-good", tmp_path / "others")


@pytest.mark.parametrize("third", [0.5, 0.5001])
def test_a_difference_that_is_the_same_with_each_seed_has_no_interval(third: float) -> None:
    values = {1: (0.9, 0.6), 2: (0.7, 0.4), 3: (0.8, third)}
    pairs = {seed: tuple(Metric("f1", value, 10, "") for value in pair) for seed, pair in values.items()}
    found = _compare("f1", pairs)
    assert found.difference == pytest.approx(0.3, abs=1e-3)
    if third == 0.5:
        assert (found.low, found.high, found.p_value) == (None, None, None)
    else:
        assert found.low < found.difference < found.high and 0.0 < found.p_value < 1e-5


def test_the_command_line(folder: Path, run: Run) -> None:
    ended = run("compare", str(folder / "good"), str(folder / "poor"))
    assert ended.code == 0 and "right where the other is wrong: first" in ended.out
    assert "first - second" in ended.out and "paired percentile bootstrap over rows" in ended.out
    values = json.loads(run("compare", str(folder / "good"), str(folder / "poor"), "--json").out)
    assert values["metrics"]["accuracy"]["difference"] == pytest.approx(
        values["metrics"]["accuracy"]["first"] - values["metrics"]["accuracy"]["second"]
    )
    assert np.isfinite(values["metrics"]["loss"]["p_value"])
