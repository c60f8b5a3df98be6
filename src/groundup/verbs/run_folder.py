"""The folder of a run: one recipe, one process at a time."""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from groundup.errors import CheckpointError, ConfigError, DataError
from groundup.recipe import Recipe
from groundup.training.log import write_whole

RECIPE_FILE: Final = "recipe.json"
SERIES_FILE: Final = "series.json"
"""Of a folder that holds one run for each of several seeds."""
FREE_KEYS: Final = frozenset({"output"}) | {
    f"train.{name}" for name in ("keep_last", "threads", "device", "on_nonfinite", "max_skipped_in_a_row")
}
"""Keys that may differ at a resume: they change nothing that was computed, or stand in the domain of exactness, which
the resume checks itself."""
FREE_DATA_KEYS: Final = frozenset(
    f"data.{name}"
    for name in ("validation", "test", "label", "folder", "min_length", "max_tokens", "max_validation_tokens")
)
"""Keys of the data that a tokenizer trained on it does not depend on."""


@contextmanager
def open_run(recipe: Recipe) -> Iterator[Path]:
    """Create or enter the run folder and hold its lock. Where it was made here and stays bare, an error removes it.

    A tokenizer that was trained on examples which are then refused goes, too: what is mended is to be learnt from.

    Raises:
        CheckpointError: the folder is of another recipe, or another process is training in it.
        ConfigError: it cannot be created or written.
    """
    with lock_folder(recipe.folder) as folder:
        check_recipe(folder, recipe)
        path = folder / RECIPE_FILE
        if not path.exists() or not has_started(folder):
            try:
                write_json(path, recipe.to_json())
            except OSError as error:
                raise _unwritable(folder, error) from error
        try:
            yield folder
        except DataError:
            if recipe.data.kind != "corpus" and not has_started(folder):
                shutil.rmtree(folder / "tokenizer", ignore_errors=True)
            raise


@contextmanager
def lock_folder(folder: Path) -> Iterator[Path]:
    """Create or enter a folder for one process alone. Where it was made here and stays bare, an error removes it."""
    is_new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
    except OSError as error:
        raise _unwritable(folder, error) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise CheckpointError(str(folder), "another process is training here", cure="wait for it") from error
        try:
            yield folder
        except BaseException:
            if is_new and {path.name for path in folder.iterdir()} <= {".lock", RECIPE_FILE, SERIES_FILE}:
                shutil.rmtree(folder)
            raise


@contextmanager
def enter_run(recipe: Recipe) -> Iterator[Path]:
    """`open_run`, but a run that has checkpoints already may be looked at while it trains."""
    folder = recipe.folder
    if has_started(folder):
        check_recipe(folder, recipe)
        yield folder
    else:
        with open_run(recipe):
            yield folder


@contextmanager
def work_folder(recipe: Recipe) -> Iterator[Path]:
    """`enter_run` where something is prepared or trained there before training; else nothing is created."""
    is_trained = recipe.tokenizer is not None and recipe.tokenizer.kind != "pretrained"
    if is_trained or recipe.data.kind == "corpus":
        with enter_run(recipe) as folder:
            yield folder
    else:
        yield recipe.folder


def check_recipe(folder: Path, recipe: Recipe) -> None:
    """CheckpointError where the folder is a run of another recipe. Nothing is written.

    Before the first checkpoint a recipe may still change, except in what a tokenizer that was trained there came from.
    """
    if (folder / SERIES_FILE).is_file():
        cure = "give --seeds, or choose another output=FOLDER"
        raise CheckpointError(str(folder), "holds a run for each of several seeds", cure=cure)
    saved = read_json(folder / RECIPE_FILE)
    if saved is None:
        if has_started(folder):
            cure = "restore it, or choose another output=FOLDER"
            raise CheckpointError(str(folder), f"holds a run, but no {RECIPE_FILE} that says which", cure=cure)
        return
    different = [key for key in differing_keys(_complete(saved), recipe.to_json()) if key not in FREE_KEYS]
    if not has_started(folder):
        has_tokenizer = (folder / "tokenizer").exists()
        different = [key for key in different if has_tokenizer and _decides_tokenizer(key)]
    if different:
        raise CheckpointError(
            str(folder),
            f"is a run of another recipe, which differs in {', '.join(different)}",
            cure="choose another output=FOLDER, or delete that one",
        )


def read_recipe(folder: Path) -> Recipe:
    """The recipe that a run folder was made with."""
    path = folder / RECIPE_FILE
    saved = read_json(path)
    if not isinstance(saved, Mapping):
        raise CheckpointError(str(folder), f"is no run folder: it holds no {RECIPE_FILE}")
    return Recipe.from_values(saved, where=str(path))


def write_json(path: Path, value: object) -> None:
    """Plain data, written as `write_text` does."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=1) + "\n")


def write_text(path: Path, text: str) -> None:
    """Written beside and renamed, so that a reader never sees half of it."""
    write_whole(path, text.encode())


def differing_keys(one: object, other: object, path: str = "") -> list[str]:
    """Dotted paths at which two plain values differ."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return [
            difference
            for key in sorted(set(one) | set(other))
            for difference in differing_keys(one.get(key), other.get(key), f"{path}.{key}" if path else str(key))
        ]
    return [] if one == other else [path]


def _unwritable(folder: Path, error: OSError) -> ConfigError:
    return ConfigError("output", f"cannot be written ({error.strerror})", got=str(folder), cure="output=FOLDER")


def has_started(folder: Path) -> bool:
    """Whether there is something that depends on the whole recipe."""
    return (folder / "checkpoints").exists() or (folder / "model").exists()


def _complete(saved: object) -> object:
    """A recipe of an earlier version lacks the keys that came later, whose defaults are what it did."""
    try:
        return Recipe.from_values(saved).to_json() if isinstance(saved, Mapping) else saved
    except ConfigError:
        return saved


def _decides_tokenizer(key: str) -> bool:
    return key.startswith("tokenizer") or (key.startswith("data.") and key not in FREE_DATA_KEYS)


def read_json(path: Path) -> object:
    """The value in a file, None where there is no file."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        cure = "check its permissions, or choose another output=FOLDER"
        raise CheckpointError(str(path), f"cannot be read: {error.strerror}", cure=cure) from error
    except ValueError as error:
        raise CheckpointError(str(path), f"is damaged: {error}", cure="delete that run, or restore the file") from error
