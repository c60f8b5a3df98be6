"""The folder of a run: one recipe, one process, and no trace of what never began."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from groundup.errors import CheckpointError, DataError
from groundup.recipe import Recipe
from groundup.verbs.assemble import as_recipe
from groundup.verbs.run_folder import check_recipe, differing_keys, enter_run, open_run, read_recipe

Make = Callable[..., dict]


@pytest.fixture
def recipe(make_recipe: Make) -> Recipe:
    return as_recipe(make_recipe("masked"))


def change(recipe: Recipe, *overrides: str) -> Recipe:
    return as_recipe(recipe, overrides)


def test_a_folder_that_stays_bare_vanishes_with_the_error(recipe: Recipe) -> None:
    with pytest.raises(ZeroDivisionError), open_run(recipe) as folder:
        assert folder.is_dir()
        raise ZeroDivisionError
    assert not recipe.folder.exists()


def test_a_folder_with_something_in_it_stays(recipe: Recipe) -> None:
    with pytest.raises(ZeroDivisionError), open_run(recipe) as folder:
        (folder / "tokenizer").mkdir()
        raise ZeroDivisionError
    assert read_recipe(recipe.folder) == recipe


def test_a_tokenizer_of_refused_rows_goes_with_them(make_recipe: Make) -> None:
    recipe = as_recipe(make_recipe("classification"))
    recipe.folder.mkdir()
    for is_started in (False, True):
        with pytest.raises(DataError), open_run(recipe) as folder:
            (folder / "tokenizer").mkdir()
            if is_started:
                (folder / "checkpoints").mkdir()
            raise DataError("data.train:2", "has a label unseen in training")
        assert (folder / "tokenizer").is_dir() == is_started


def test_a_folder_that_was_there_before_stays(recipe: Recipe) -> None:
    recipe.folder.mkdir()
    with pytest.raises(ZeroDivisionError), open_run(recipe):
        raise ZeroDivisionError
    assert recipe.folder.is_dir()


def test_one_process_at_a_time(recipe: Recipe) -> None:
    with open_run(recipe), pytest.raises(CheckpointError, match="another process is training here"), open_run(recipe):
        pass
    with open_run(recipe):
        pass


def test_a_run_that_trains_may_be_looked_at(recipe: Recipe) -> None:
    with open_run(recipe) as folder:
        (folder / "checkpoints").mkdir()
        with enter_run(recipe) as same:
            assert same == folder
        with pytest.raises(CheckpointError, match="another recipe"), enter_run(change(recipe, "seed=9")):
            pass


@pytest.mark.parametrize(
    ("has_tokenizer", "has_started", "override", "is_refused"),
    [
        (False, False, "seed=9", False),
        (False, False, "tokenizer.vocab_size=90", False),
        (True, False, "seed=9", False),
        (True, False, "tokenizer.vocab_size=90", True),
        (True, False, "data.document=sentence", True),
        (True, False, "data.min_length=4", False),
        (True, True, "data.min_length=4", True),
        (True, True, "seed=9", True),
        (True, True, "train.keep_last=1", False),
        (True, True, "train.threads=2", False),
        (True, True, "train.on_nonfinite=skip", False),
        (True, True, "train.precision=bf16", True),
    ],
)
def test_what_may_change_depends_on_what_is_there(
    recipe: Recipe, has_tokenizer: bool, has_started: bool, override: str, is_refused: bool
) -> None:
    with open_run(recipe) as folder:
        for name, is_there in (("tokenizer", has_tokenizer), ("checkpoints", has_started)):
            if is_there:
                (folder / name).mkdir()
    changed = change(recipe, override)
    if is_refused:
        with pytest.raises(CheckpointError, match=f"differs in {override.partition('=')[0]}"):
            check_recipe(folder, changed)
        with pytest.raises(CheckpointError), open_run(changed):
            pass
        assert read_recipe(folder) == recipe
    else:
        check_recipe(folder, changed)
        with open_run(changed):
            pass
        assert read_recipe(folder) == (recipe if has_started else changed)


def test_keys_that_came_later_stand_for_their_defaults(recipe: Recipe) -> None:
    with open_run(recipe) as folder:
        (folder / "checkpoints").mkdir()
    path = folder / "recipe.json"
    earlier = json.loads(path.read_text(encoding="utf-8"))
    assert earlier["objective"].pop("unit") == "token" and earlier["train"].pop("patience", 0) is None
    assert earlier.pop("schedule")["kind"] == "linear"
    path.write_text(json.dumps(earlier), encoding="utf-8")
    check_recipe(folder, recipe)
    for override in ("objective.unit=word", "train.patience=2", "schedule.kind=cosine"):
        with pytest.raises(CheckpointError, match=override.partition("=")[0]):
            check_recipe(folder, change(recipe, override))


def test_a_recipe_file_that_is_no_recipe(recipe: Recipe) -> None:
    recipe.folder.mkdir()
    with pytest.raises(CheckpointError, match="is no run folder"):
        read_recipe(recipe.folder)
    for content in ("{", "[]"):
        (recipe.folder / "recipe.json").write_text(content)
        with pytest.raises(CheckpointError):
            read_recipe(recipe.folder)


def test_differing_keys_are_dotted_paths() -> None:
    one = {"a": 1, "b": {"c": [1, 2], "d": 3}}
    assert differing_keys(one, json.loads(json.dumps(one))) == []
    assert differing_keys(one, {"a": 2, "b": {"c": [1], "e": 4}}) == ["a", "b.c", "b.d", "b.e"]
