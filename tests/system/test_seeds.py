"""One recipe, several seeds: each a run of its own, killed and gone on with, summed up, and the best one taken."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pages import Run, run
from report_pages import read_page, untranslated

from groundup.errors import CheckpointError, ConfigError, DataError, TrainingError
from groundup.metrics.interval import mean_interval
from groundup.metrics.metric import Metric
from groundup.reporting.seeds_page import render_seeds
from groundup.verbs import series
from groundup.verbs.evaluate import SeedsEvaluation, evaluate
from groundup.verbs.inspect import inspect
from groundup.verbs.predict import predict
from groundup.verbs.report import report
from groundup.verbs.series import train_seeds
from groundup.verbs.series_folder import Judge, find_run
from groundup.verbs.series_report import SeriesReport
from groundup.verbs.train import train

__all__ = ["run"]
Make = Callable[..., dict]
SHORT = {"steps": 2, "evaluate_every": 1}


@pytest.fixture
def recipe(make_recipe: Make, small_data: Path) -> dict:
    data = {"test": str(small_data / "dev.tsv")}
    return make_recipe("classification", "series", data=data, train=SHORT)


def test_each_seed_is_the_run_that_its_seed_alone_would_be(recipe: dict, make_recipe: Make) -> None:
    found = train_seeds(recipe, seeds=3, quiet=True)
    folder = Path(found.folder)
    assert [run.seed for run in found.runs] == [5, 6, 7] and found.stopped_by is None
    alone = train(recipe | {"seed": 6, "output": str(folder.parent / "alone")}, quiet=True)
    assert alone.metrics == found.runs[1].metrics and alone.test_metrics == found.runs[1].test_metrics
    weights = [each / "model/model.safetensors" for each in (alone.folder, folder / "seed-6", folder / "seed-7")]
    assert weights[0].read_bytes() == weights[1].read_bytes() != weights[2].read_bytes()

    losses = [run.metrics["loss"].value for run in found.runs]
    assert len(set(losses)) == 3
    loss = found.metrics["loss"]
    assert (loss.mean, loss.spread) == pytest.approx((statistics.mean(losses), statistics.stdev(losses)))
    assert (loss.low, loss.high) == pytest.approx(mean_interval(np.array(losses))[1:])
    assert loss.signature.startswith("mean over seeds 5,6,7|spread=standard deviation|interval=Student's t over seeds")
    assert found.test_metrics["loss"].values == {run.seed: run.test_metrics["loss"].value for run in found.runs}

    # The best by validation stands for the series in every verb.
    ranks = {run.seed: (run.metrics["accuracy"].value, -run.metrics["loss"].value) for run in found.runs}
    assert found.best == max(ranks, key=ranks.__getitem__) and found.chosen_by == "accuracy"
    assert find_run(folder) == folder / f"seed-{found.best}"
    assert json.loads((folder / "series.json").read_text(encoding="utf-8"))["best"] == found.best
    assert predict(folder, ["the cat"]) == predict(folder / f"seed-{found.best}", ["the cat"])
    model = {"kind": "pretrained", "path": str(folder)}
    further = make_recipe("classification", "further", train={"steps": 1}) | {"model": model, "tokenizer": None}
    assert train(further, quiet=True).is_finished

    seen = inspect(folder)
    assert isinstance(seen, SeriesReport) and seen == found
    assert "3 of 3 seeds finished" in str(seen) and "report the mean, or the test data" in str(seen)
    scored = evaluate(folder)
    assert isinstance(scored, SeedsEvaluation) and scored.metrics["loss"].mean == pytest.approx(loss.mean)
    assert set(scored.runs) == {5, 6, 7} and "3 seeds of" in str(scored)
    names = list(evaluate(find_run(folder)).metrics)
    assert list(found.metrics) == list(found.test_metrics) == list(scored.metrics) == names != sorted(names)
    assert evaluate(folder, [f"data.validation={recipe['data']['train']}"]).metrics["loss"].mean != loss.mean

    page = report(folder)
    root = read_page(page.page.read_text(encoding="utf-8"))
    assert page.state == "finished" and untranslated(root) == []
    assert f"{loss.mean:.3f}" in root.text("zh") and "学生 t 区间" in root.text("zh")


@pytest.fixture(autouse=True)
def no_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pages of single seeds take most of the time of runs as short as these."""
    monkeypatch.setattr("groundup.verbs.train.make_report", lambda *arguments: None)


def test_killed_between_and_within_seeds_it_goes_on(recipe: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = train_seeds(recipe | {"output": f"{recipe['output']}-whole"}, seeds=3, quiet=True)
    seen: list[int] = []

    def die_in_the_second(one, **options: object):
        seen.append(one.seed)
        if len(seen) == 2:
            raise KeyboardInterrupt
        return train(one, **options)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(series, "train", die_in_the_second)
        train_seeds(recipe, seeds=3, quiet=True)
    half = inspect(recipe["output"])
    assert [run.state for run in half.runs] == ["finished", "not finished", "not finished"] and half.best == 5
    assert half.metrics["loss"].spread is None
    assert report(recipe["output"]).state == "unfinished"
    monkeypatch.setattr(series, "train", lambda one, **options: seen.append(one.seed) or train(one, **options))
    found = train_seeds(recipe, seeds=3, quiet=True)
    assert seen == [5, 6, 6, 7], "what is done is not done again"
    assert found.metrics == whole.metrics
    more = train_seeds(recipe, seeds=4, quiet=True)
    assert seen[4:] == [8] and [run.seed for run in more.runs] == [5, 6, 7, 8]


def test_what_collapsed_is_told_and_still_counts(recipe: dict) -> None:
    """With a learning rate of next to nothing no seed gets above the most frequent label, or one that it repeats."""
    found = train_seeds(recipe, ["optimizer.learning_rate=1e-12", "output=" + recipe["output"]], seeds=2, quiet=True)
    judge = json.loads((Path(found.runs[0].folder) / "model/groundup.json").read_text(encoding="utf-8"))["judge"]
    assert judge["metric"] == "accuracy" and judge["label"] == "cat" and judge["floor"] == 21 / 40
    assert found.collapsed == (5, 6) and len(found.metrics["accuracy"].values) == 2
    assert "no better than always answering 'cat', 0.5250" in str(found)


@pytest.mark.parametrize(
    ("judge", "value", "why"),
    [
        (Judge("accuracy", True, 0.6, "none"), 0.6, "accuracy 0.6000: no better than always answering 'none', 0.6000"),
        (Judge("accuracy", True, 0.6, "none"), 0.61, None),
        (Judge("loss", False, 4.7, None), 4.71, "loss 4.7100: no better than guessing evenly, 4.7000"),
        (Judge("loss", False, 4.7, None), 4.69, None),
        (Judge("f1", True, 0.0, None), 0.0, "f1 0.0000: nothing was right"),
        (Judge("accuracy", True, 0.25, None), 0.25, "accuracy 0.2500: no better than guessing evenly, 0.2500"),
        (Judge("f1", True, 0.0, None), 0.01, None),
        (Judge("loss", False, None, None), 9.0, None),
    ],
)
def test_a_collapse_is_what_learnt_nothing(judge: Judge, value: float, why: str | None) -> None:
    metric = Metric(judge.metric, value, 10, "")
    assert judge.find_collapse({judge.metric: metric}) == why
    assert judge.find_collapse({}) is None


def test_a_corpus_is_prepared_once(make_recipe: Make) -> None:
    recipe = make_recipe("masked", "series", train={"steps": 2, "evaluate_every": 2})
    found = train_seeds(recipe, seeds=2, quiet=True)
    folder = Path(found.folder)
    assert (folder / "corpus").is_dir() and not (folder / "seed-6/corpus").exists()
    assert found.chosen_by == "loss" and found.best in (5, 6)
    tokenizers = [folder / f"seed-{seed}/tokenizer/tokenizer.json" for seed in (5, 6)]
    assert tokenizers[0].read_bytes() == tokenizers[1].read_bytes()


def test_a_seed_that_diverges_does_not_stop_the_others(recipe: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    def diverge(*bad: int) -> None:
        def run_one(one, **options: object):
            if one.seed in bad:
                raise TrainingError("step 3", "is not finite: loss nan")
            return train(one, **options)

        monkeypatch.setattr(series, "train", run_one)

    diverge(5)
    found = train_seeds(recipe, seeds=2, quiet=True)
    assert found.diverged == {5: "step 3: is not finite: loss nan"} and found.best == 6
    assert [run.state for run in found.runs] == ["diverged", "finished"]
    assert "seed 5 diverged: step 3" in str(found) and found.metrics["loss"].signature.startswith("mean over seeds 6|")
    root = read_page((Path(found.folder) / "report.html").read_text(encoding="utf-8"))
    assert "发散" in root.text("zh") and "is not finite" in root.text("zh")
    diverge(5, 6, 7)
    with pytest.raises(TrainingError, match="not finite"):
        train_seeds(recipe | {"output": f"{recipe['output']}-all"}, seeds=2, quiet=True)
    diverge()
    assert train_seeds(recipe, seeds=2, quiet=True).diverged == {}, "it is tried again"


def test_folders_do_not_mix(recipe: dict, make_recipe: Make, small_data: Path) -> None:
    single = make_recipe("classification", "single", train=SHORT)
    train(single, quiet=True)
    with pytest.raises(CheckpointError, match="holds a single run already"):
        train_seeds(single, seeds=2, quiet=True)
    with pytest.raises(ConfigError, match=r"data\.validation: names nothing to compare seeds by"):
        train_seeds(recipe, ["data.validation=null", "train.evaluate_every=null"], seeds=2, quiet=True)
    with pytest.raises(ConfigError, match="seeds: must be two or more, got 1"):
        train_seeds(recipe, seeds=1, quiet=True)
    assert not Path(recipe["output"]).exists(), "nothing half-done is left behind"
    train_seeds(recipe, seeds=2, quiet=True)
    with pytest.raises(CheckpointError, match="holds a run for each of several seeds; give --seeds, or choose"):
        train(recipe, quiet=True)
    with pytest.raises(CheckpointError, match=r"another recipe, which differs in train\.batch_size"):
        train_seeds(recipe, ["train.batch_size=8"], seeds=2, quiet=True)
    rows = small_data / "train.tsv"
    rows.write_text(rows.read_text(encoding="utf-8") + "the cat\tcat\n", encoding="utf-8")
    with pytest.raises(CheckpointError, match="seed-7: was trained on other data than seed 5"):
        train_seeds(recipe, seeds=3, quiet=True)


def test_a_recipe_that_fails_at_once_leaves_nothing(recipe: dict) -> None:
    with pytest.raises(DataError, match=r"data\.train.*does not exist"):
        train_seeds(recipe, ["data.train=missing.tsv"], seeds=2, quiet=True)
    assert not Path(recipe["output"]).exists()


def test_the_command_line(recipe: dict, small_data: Path, run: Run) -> None:
    path, recipe["objective"]["best"] = small_data / "recipe.yaml", "loss"
    path.write_text(json.dumps(recipe), encoding="utf-8")
    ended = run("train", str(path), "--seeds", "2", "--quiet")
    assert ended.code == 0 and "2 of 2 seeds finished" in ended.out and ended.err == ""
    head = ended.out.splitlines()[1].split()
    assert head[:3] == ["seed", "loss", "accuracy"], "what chooses the best seed, then the order of the task"
    page = read_page((Path(recipe["output"]) / "report.html").read_text(encoding="utf-8"))
    assert page.text("zh").index("损失") < page.text("zh").index("准确率")
    values = json.loads(run("inspect", recipe["output"], "--json").out)
    assert values["best"] in (5, 6) and set(values["metrics"]["accuracy"]["values"]) == {"5", "6"}
    scored = run("evaluate", str(path)).out.splitlines()
    assert scored[0].startswith("2 seeds of") and scored[1].split() == head
    assert run("train", str(path)).code == 2


def test_a_page_links_those_of_its_seeds_or_says_that_there_is_nothing() -> None:
    state = {"state": "finished", "is_best": True, "collapsed": None, "diverged": None, "report": None}
    judged = {"metric": "f1", "is_larger_better": True, "floor": 0.25, "label": "cat"}
    runs = [
        {"seed": 1, "metrics": {}} | state | {"report": "seed-1/it.html"},
        {"seed": 2, "metrics": {"f1": 0.2}} | state | {"state": "collapsed", "collapsed": judged},
        {"seed": 3, "metrics": {"f1": 0.2}} | state | {"state": "collapsed", "collapsed": judged | {"label": None}},
        {"seed": 4, "metrics": {}} | state | {"state": "diverged", "diverged": "step 3: is not finite"},
    ]
    root = read_page(render_seeds("<b>", runs, {}, {}, None, "0"))
    assert "no better than always answering “cat”, which reaches 0.250" in root.text("en")
    assert "种子 3：F1 0.200，不好于均匀乱猜的 0.250" in root.text("zh")
    assert "seed-1/it.html" in {link.attributes["href"] for link in root.find("a")}
    assert "No seed has finished yet." in root.text("en") and untranslated(root) == []
