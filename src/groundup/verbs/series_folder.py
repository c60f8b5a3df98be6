"""A folder with one run for each of several seeds: `series.json` and `seed-1`, `seed-2` ...; what the runs came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundup.checkpoint.manifest import decode_json, read_bytes
from groundup.checkpoint.pretrained import MANIFEST
from groundup.errors import CheckpointError
from groundup.figures import format_figure
from groundup.metrics.metric import Metric
from groundup.recipe import Recipe
from groundup.verbs.run_folder import SERIES_FILE, read_json


@dataclass(frozen=True)
class SeedRun:
    """One run of a series."""

    seed: int
    folder: str
    state: str
    """`finished`, `not finished`, or `diverged`: stopped by figures that are not finite."""
    step: int | None
    """The step that its model is of."""
    metrics: dict[str, Metric]
    """On validation, the one that it is judged by first."""
    test_metrics: dict[str, Metric]
    collapsed: str | None
    """Why it counts as collapsed; None where it learnt something, or has not finished."""
    judge: Judge | None = None
    """What it is judged by, where it has finished."""


@dataclass(frozen=True)
class Judge:
    """The metric that chooses the best run, and what it comes to where nothing was learnt."""

    metric: str
    is_larger_better: bool
    floor: float | None
    """None where nobody knows."""
    label: str | None
    """The label that is always answered at the floor, where it is one's share."""

    def lead(self, metrics: Mapping[str, Metric]) -> dict[str, Metric]:
        """The metrics in their order, its own before all others."""
        return {name: metrics[name] for name in (self.metric, *metrics) if name in metrics}

    def find_collapse(self, metrics: Mapping[str, Metric]) -> str | None:
        """Why a run is no better than one that learnt nothing; None where it is."""
        if self.floor is None or self.metric not in metrics:
            return None
        value = metrics[self.metric].value
        if (value > self.floor) if self.is_larger_better else (value < self.floor):
            return None
        if self.label is not None:
            than = f"no better than always answering {self.label!r}, {format_figure(self.floor)}"
        elif self.is_larger_better and self.floor == 0.0:
            than = "nothing was right"
        else:
            than = f"no better than guessing evenly, {format_figure(self.floor)}"
        return f"{self.metric} {format_figure(value)}: {than}"


def is_series(folder: Path) -> bool:
    """Whether a folder holds runs of several seeds."""
    return (folder / SERIES_FILE).is_file()


def find_series(target: str | Path) -> Path | None:
    """The folder of several seeds that a target is, or that a recipe names; None where it is something else."""
    path = Path(target).expanduser()
    if path.suffix in (".yaml", ".yml"):
        path = Recipe.load(path).folder
    return path if is_series(path) else None


def seed_folder(folder: Path, seed: int) -> Path:
    """Where the run of a seed lies."""
    return folder / f"seed-{seed}"


def find_run(folder: Path) -> Path:
    """The folder of the run itself: of a series, that of the best seed so far by validation.

    Raises:
        CheckpointError: no seed of the series has finished.
    """
    if not is_series(folder):
        return folder
    best = _read(folder).get("best")
    if not isinstance(best, int):
        cure = "run `groundup train` with --seeds to its end first"
        raise CheckpointError(str(folder), "holds no trained model yet", cure=cure)
    return seed_folder(folder, best)


def read_series(folder: Path) -> tuple[Recipe, list[int], dict[int, str]]:
    """The recipe of a series, its seeds, and why some diverged."""
    values = _read(folder)
    recipe = Recipe.from_values(values["recipe"], where=str(folder / SERIES_FILE))
    return recipe, list(values["seeds"]), {int(seed): why for seed, why in values["diverged"].items()}


def read_run(folder: Path, seed: int, diverged: Mapping[int, str]) -> tuple[SeedRun, dict[str, Any] | None]:
    """What became of a seed, and the groundup.json of its model, where it has one."""
    run = seed_folder(folder, seed)
    path = run / "model" / MANIFEST
    if not path.is_file():
        state = "diverged" if seed in diverged else "not finished"
        return SeedRun(seed, str(run), state, None, {}, {}, None), None
    manifest = decode_json(read_bytes(path), path)
    judge = Judge(**manifest["judge"])
    metrics, test = (judge.lead(_read_metrics(manifest[key])) for key in ("metrics", "test_metrics"))
    step, collapsed = manifest["trained"]["step"], judge.find_collapse(metrics)
    return SeedRun(seed, str(run), "finished", step, metrics, test, collapsed, judge), manifest


def _read_metrics(values: Mapping[str, Any]) -> dict[str, Metric]:
    return {name: Metric(**each) for name, each in values.items()}


def _read(folder: Path) -> Mapping[str, Any]:
    path = folder / SERIES_FILE
    values = read_json(path)
    if not isinstance(values, Mapping) or not {"recipe", "seeds", "diverged", "best"} <= set(values):
        raise CheckpointError(str(path), "is damaged", got=values, cure="delete it, and start the same command again")
    return values
