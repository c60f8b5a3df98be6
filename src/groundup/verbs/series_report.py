"""What several seeds of a recipe came to, in words and as a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from groundup.errors import CheckpointError
from groundup.figures import format_figure
from groundup.metrics.metric import rank
from groundup.metrics.seeds import SeedMetric, format_seeds, over_seeds
from groundup.reporting.seeds_page import render_seeds
from groundup.verbs.layout import columns, plural
from groundup.verbs.run_folder import write_text
from groundup.verbs.series_folder import Judge, SeedRun, read_run, read_series, seed_folder

PAGE_FILE: Final = "report.html"


@dataclass(frozen=True)
class SeriesReport:
    """What a recipe came to over several seeds."""

    folder: str
    runs: tuple[SeedRun, ...]
    metrics: dict[str, SeedMetric]
    """On validation, over the seeds that finished, collapsed ones too."""
    test_metrics: dict[str, SeedMetric]
    """On `data.test`."""
    best: int | None
    """The seed whose model is taken for the series, chosen by validation."""
    chosen_by: str | None
    model: str | None
    """Its model folder."""
    diverged: dict[int, str]
    """What stopped a seed whose figures were not finite."""
    stopped_by: int | None = None
    """The signal that stopped the series before its end."""

    @property
    def collapsed(self) -> tuple[int, ...]:
        """Seeds that learnt nothing."""
        return tuple(run.seed for run in self.runs if run.collapsed is not None)

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        return asdict(self)

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        finished = [run for run in self.runs if run.state == "finished"]
        yield f"{self.folder}: {len(finished)} of {plural(len(self.runs), 'seed')} finished"
        names = [name for name in self.metrics if all(name in run.metrics for run in finished)]
        rows = [("seed", *names, "")]
        for run in self.runs:
            figures = [format_figure(run.metrics[name].value) if name in run.metrics else "" for name in names]
            is_best = "best by validation" if run.seed == self.best else ""
            note = is_best if run.state == "finished" and run.collapsed is None else run.state
            rows.append((str(run.seed), *figures, "collapsed" if run.collapsed is not None else note))
        yield from columns(rows, "r" * (len(names) + 1) + "l")
        for run in self.runs:
            if run.collapsed is not None:
                yield f"  seed {run.seed} collapsed: {run.collapsed}"
            if run.seed in self.diverged:
                yield f"  seed {run.seed} diverged: {self.diverged[run.seed]}"
        if self.metrics:
            yield "on validation"
            yield from format_seeds(self.metrics.values())
        if self.test_metrics:
            yield "on data.test"
            yield from format_seeds(self.test_metrics.values())
        if self.stopped_by is not None:
            yield "stopped; run the same command to continue"
        if self.best is not None:
            if (Path(self.folder) / PAGE_FILE).is_file():
                yield f"report: {Path(self.folder) / PAGE_FILE}"
            yield f"model of seed {self.best}, the best {self.chosen_by} on validation: {self.model}"
            yield "one chosen out of many looks better than it is: report the mean, or the test data"


def summarise(folder: Path, *, stopped_by: int | None = None) -> SeriesReport:
    """What the seeds of a folder came to, finished or not."""
    _, seeds, diverged = read_series(folder)
    return summarise_seeds(folder, seeds, diverged, stopped_by=stopped_by)


def summarise_seeds(
    folder: Path, seeds: Sequence[int], diverged: Mapping[int, str], *, stopped_by: int | None = None
) -> SeriesReport:
    """The same of these seeds."""
    found = [read_run(folder, seed, diverged) for seed in seeds]
    runs = tuple(run for run, _ in found)
    manifests = {run.seed: manifest for run, manifest in found if manifest is not None}
    _check_same_data(folder, manifests)
    done = {run.seed: run for run in runs if run.state == "finished"}
    best, judge = _choose(done, manifests)
    return SeriesReport(
        str(folder),
        runs,
        over_seeds({seed: run.metrics for seed, run in done.items()}),
        over_seeds({seed: run.test_metrics for seed, run in done.items() if run.test_metrics}),
        best,
        None if judge is None else judge.metric,
        None if best is None else str(seed_folder(folder, best) / "model"),
        dict(diverged),
        stopped_by,
    )


def write_series_page(report: SeriesReport) -> Path:
    """Draw the seeds as one page in English and Chinese, with links to the pages of each."""
    folder = Path(report.folder)
    runs = [
        {
            "seed": run.seed,
            "state": run.state if run.collapsed is None else "collapsed",
            "is_best": run.seed == report.best,
            "collapsed": None if run.collapsed is None or run.judge is None else asdict(run.judge),
            "diverged": report.diverged.get(run.seed),
            "metrics": {name: metric.value for name, metric in run.metrics.items()},
            "report": f"seed-{run.seed}/{PAGE_FILE}" if (Path(run.folder) / PAGE_FILE).is_file() else None,
        }
        for run in report.runs
    ]
    figures = {"metrics": report.metrics, "test_metrics": report.test_metrics}
    plain = {key: {name: each.to_json() for name, each in metrics.items()} for key, metrics in figures.items()}
    page = render_seeds(folder.name, runs, **plain, chosen_by=report.chosen_by, version=version("groundup"))
    write_text(folder / PAGE_FILE, page)
    return folder / PAGE_FILE


def _choose(done: Mapping[int, SeedRun], manifests: Mapping[int, Mapping[str, Any]]) -> tuple[int | None, Judge | None]:
    """The best seed."""
    if not done:
        return None, None
    judge = Judge(**next(iter(manifests.values()))["judge"])
    better = judge.is_larger_better
    return max(done, key=lambda seed: rank(done[seed].metrics, judge.metric, is_larger_better=better)), judge


def _check_same_data(folder: Path, manifests: Mapping[int, Mapping[str, Any]]) -> None:
    """CheckpointError where data changed between two seeds: there is no mean of figures of different things."""
    for seed, manifest in manifests.items():
        first, known = next(iter(manifests.items()))
        if manifest["data"] != known["data"]:
            what = f"was trained on other data than seed {first}"
            cure = "restore the data, delete the folder of that seed, and start again"
            raise CheckpointError(str(seed_folder(folder, seed)), what, cure=cure)
