"""Train a recipe with several seeds: what it reaches and how sure that is, rather than how lucky one seed was.

Small data sets and pretrained weights make some seeds fail altogether (Mosbach et al. 2021), others better than the
recipe is (Dodge et al. 2020): the mean over seeds is what a recipe is worth, the best of them is what one ships.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from groundup.errors import CheckpointError, ConfigError, TrainingError
from groundup.recipe import Recipe
from groundup.verbs.assemble import as_recipe
from groundup.verbs.run_folder import (
    FREE_KEYS,
    RECIPE_FILE,
    SERIES_FILE,
    differing_keys,
    has_started,
    lock_folder,
    write_json,
)
from groundup.verbs.series_folder import is_series, read_series, seed_folder
from groundup.verbs.series_report import SeriesReport, summarise, summarise_seeds, write_series_page
from groundup.verbs.train import train

SERIES_FORMAT: Final = 1


def train_seeds(
    recipe: str | Path | Recipe | Mapping[str, object],
    overrides: Sequence[str] = (),
    *,
    seeds: int = 5,
    accept_inexact: bool = False,
    quiet: bool = False,
) -> SeriesReport:
    """Run a recipe with several seeds, its own and those after it, each in a run folder of its own in `output`.

    Where it was killed it goes on; with more seeds than before it adds to them. A seed whose loss is not finite is told
    of, and the others go on.

    Args:
        recipe: a YAML file, a Recipe, or plain values.
        overrides: `key.path=value`, applied to it.
        seeds: how many.
        accept_inexact: resume although threads, device or torch differ from a checkpoint's.
        quiet: print no progress.

    Raises:
        ConfigError: there is no validation data to compare seeds by.
        CheckpointError: the folder holds a run, or the seeds of another recipe or of more seeds.
        TrainingError: no seed came to its end.
    """
    recipe = as_recipe(recipe, overrides)
    if seeds < 2:
        raise ConfigError("seeds", "must be two or more", got=seeds, cure="leave it out for a single run")
    if not recipe.data.has_validation:
        raise ConfigError("data.validation", "names nothing to compare seeds by", cure="data.validation=FILE")
    chosen = list(range(recipe.seed, recipe.seed + seeds))
    with lock_folder(recipe.folder) as folder:
        diverged = _enter(folder, recipe, chosen)
        last: TrainingError | None = None
        for number, seed in enumerate(chosen, start=1):
            if (seed_folder(folder, seed) / "model").is_dir():
                continue
            if not quiet:
                print(f"seed {seed}, {number} of {seeds}: {seed_folder(folder, seed)}", file=sys.stderr)
            _share_tokenizer(seed_folder(folder, chosen[0]), seed_folder(folder, seed))
            try:
                report = train(_of_seed(recipe, folder, seed), accept_inexact=accept_inexact, quiet=quiet)
            except TrainingError as error:
                if isinstance(error.__cause__, OSError):  # a full disk is no matter of the seed
                    raise
                diverged, last = {**diverged, seed: str(error)}, error
                _write(folder, recipe, chosen, diverged)
                continue
            diverged = {each: why for each, why in diverged.items() if each != seed}
            if not report.is_finished:
                return summarise(folder, stopped_by=report.stopped_by)
            _write(folder, recipe, chosen, diverged)
        if last is not None and len(diverged) == len(chosen):
            raise last
        report = summarise(folder)
        write_series_page(report)
        return report


def _enter(folder: Path, recipe: Recipe, seeds: Sequence[int]) -> dict[int, str]:
    """Make the folder one of these seeds; which of them diverged before."""
    if has_started(folder) or (folder / RECIPE_FILE).is_file():
        cure = "choose another output=FOLDER, or delete that one"
        raise CheckpointError(str(folder), "holds a single run already", cure=cure)
    diverged: dict[int, str] = {}
    if is_series(folder):
        known, before, diverged = read_series(folder)
        if any(has_started(seed_folder(folder, seed)) for seed in before):
            _check_same(folder, known, recipe, before, seeds)
        else:
            diverged = {}
    _write(folder, recipe, seeds, diverged)
    return diverged


def _check_same(folder: Path, known: Recipe, recipe: Recipe, before: Sequence[int], seeds: Sequence[int]) -> None:
    different = [key for key in differing_keys(known.to_json(), recipe.to_json()) if key not in FREE_KEYS]
    if different:
        what = f"holds the seeds of another recipe, which differs in {', '.join(different)}"
        raise CheckpointError(str(folder), what, cure="choose another output=FOLDER, or delete that one")
    if len(before) > len(seeds):
        raise CheckpointError(str(folder), f"holds {len(before)} seeds", got=len(seeds), cure=f"--seeds {len(before)}")


def _of_seed(recipe: Recipe, folder: Path, seed: int) -> Recipe:
    """The recipe of one run. Corpora are prepared once for all seeds, which read the same text."""
    values = recipe.to_json() | {"seed": seed, "output": str(seed_folder(folder, seed))}
    if recipe.data.kind == "corpus" and recipe.data.folder is None:
        values["data"] = {**values["data"], "folder": str(folder / "corpus")}
    return Recipe.from_values(values)


def _share_tokenizer(first: Path, own: Path) -> None:
    """A tokenizer that the first seed trained is that of all: it does not depend on the seed."""
    if own == first or not (first / "tokenizer").is_dir() or (own / "tokenizer").exists():
        return
    beside = own / ".tokenizer.new"
    shutil.rmtree(beside, ignore_errors=True)
    shutil.copytree(first / "tokenizer", beside)
    os.replace(beside, own / "tokenizer")


def _write(folder: Path, recipe: Recipe, seeds: Sequence[int], diverged: Mapping[int, str]) -> None:
    report = summarise_seeds(folder, seeds, diverged)
    values = {
        "format": SERIES_FORMAT,
        "recipe": recipe.to_json(),
        "seeds": list(seeds),
        "diverged": {str(seed): why for seed, why in diverged.items()},
        "best": report.best,
        "collapsed": list(report.collapsed),
        "metrics": {name: metric.to_json() for name, metric in report.metrics.items()},
        "test_metrics": {name: metric.to_json() for name, metric in report.test_metrics.items()},
    }
    write_json(folder / SERIES_FILE, values)
