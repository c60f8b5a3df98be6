"""Inspect: recipes, runs and model folders from outside."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from groundup.checkpoint import pretrained
from groundup.errors import CheckpointError, ConfigError
from groundup.model.config import (
    ClassificationHead,
    Encoder,
    GatedFeedForward,
    MaskedLMHead,
    ModelConfig,
    RelativeBias,
    RotaryPositions,
)
from groundup.model.transformer import Transformer
from groundup.verbs.design_report import DesignReport
from groundup.verbs.design_tree import build_shape, read_tree, show_tree
from groundup.verbs.inspect import ModelReport, inspect
from groundup.verbs.inspect_run import RunReport
from groundup.verbs.layout import display_width
from groundup.verbs.train import train

Make = Callable[..., dict]


def write(recipe: dict, folder: Path) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(json.dumps(recipe), encoding="utf-8")
    return path


DESIGNS = {
    "unlike": ModelConfig(vocab_size=50, num_layers=4, norm_places=("embedding", "input"), first_input_norm=False),
    "bert": ModelConfig(vocab_size=50, hidden_size=32, num_layers=3, num_heads=4, heads=(MaskedLMHead(),)),
    "both": ModelConfig(
        vocab_size=50, num_layers=3, causal=True, encoder=Encoder(num_layers=2), position=RelativeBias()
    ),
    "rotary": ModelConfig(
        vocab_size=50,
        hidden_size=32,
        num_layers=2,
        num_heads=4,
        num_kv_heads=2,
        position=RotaryPositions(),
        feed_forward=GatedFeedForward(),
        norm_places=("input", "final"),
        tie_embeddings=False,
        heads=(ClassificationHead(num_labels=5), MaskedLMHead()),
    ),
}


@pytest.mark.parametrize("name", DESIGNS)
def test_the_tree_counts_every_parameter_once(name: str) -> None:
    config = DESIGNS[name]
    lines = read_tree(build_shape(config))
    own = sum(line["times"] * _product(shape) for line in lines for shape in line["shapes"].values())
    assert own == sum(parameter.numel() for parameter in Transformer(config).parameters())
    tops = [line for line in lines if line["name"].removeprefix("blocks.").count(".") == 0]
    assert own == sum(line["times"] * line["parameters"] for line in tops)
    assert all(line["times"] == 2 for line in lines if line["name"].startswith("encoder.blocks"))
    shown = show_tree(lines)
    blocks = [f"blocks (each of {config.num_layers})"]
    if name == "unlike":
        blocks = ["block 0", "blocks 1-3 (each of 3)"]
    if name == "both":
        blocks.append("blocks (each of 2)")
    assert [line.strip().rpartition("  ")[0].strip() for line in shown if "block" in line] == blocks
    assert all(display_width(line) <= 80 for line in shown)


def _product(shape: list[int]) -> int:
    size = 1
    for length in shape:
        size *= length
    return size


def test_a_recipe_before_anything_exists(make_recipe: Make, small_data: Path) -> None:
    path = write(make_recipe("masked"), small_data)
    before = {str(each) for each in small_data.rglob("*")}
    report = inspect(path, ["model.num_layers=5"])
    assert isinstance(report, DesignReport)
    content = report.content
    assert content["config"]["num_layers"] == 5 and content["config"]["vocab_size"] == 120
    assert any("not trained yet" in note for note in content["notes"])
    assert {str(each) for each in small_data.rglob("*")} == before
    assert all(display_width(line) <= 80 or "/" in line for line in str(report).splitlines())
    assert json.loads(json.dumps(report.to_json())) == content


def test_a_recipe_whose_table_is_not_there(make_recipe: Make, small_data: Path) -> None:
    recipe = make_recipe("classification")
    found = inspect(write(recipe, small_data))
    assert isinstance(found, DesignReport) and found.content["config"]["heads"][0]["num_labels"] == 2
    recipe["data"]["train"] = "/nowhere.tsv"
    report = inspect(write(recipe, small_data))
    assert isinstance(report, DesignReport)
    assert any("Two labels are assumed" in note for note in report.content["notes"])


@pytest.mark.parametrize("kind", ["masked", "classification"])
def test_a_finished_run_and_its_model(make_recipe: Make, small_data: Path, kind: str) -> None:
    outcome = train(make_recipe(kind), quiet=True)
    run = inspect(small_data / "run")
    assert isinstance(run, RunReport)
    assert run.state == "finished" and run.model == str(small_data / "run" / "model")
    assert [step for step, _ in run.validations] == [4, 8, 12]
    assert [each.step for each in run.checkpoints if each.is_best] == [outcome.step_of_model]
    assert not any(each.problems for each in run.checkpoints)
    assert run.last_step is not None and run.last_step["step"] == 12
    assert run.progress is not None and run.progress["step"] == 12
    model = inspect(small_data / "run" / "model")
    assert isinstance(model, ModelReport)
    assert model.metrics == outcome.metrics and model.manifest is not None
    assert model.labels == (("cat", "none") if kind == "classification" else None)
    loaded = pretrained.load(small_data / "run" / "model").model
    assert model.num_parameters == sum(parameter.numel() for parameter in loaded.parameters())
    signature = next(iter(model.metrics.values())).signature
    assert signature.replace("|", " | ").split()[0] in str(model)
    for report in (run, model):
        assert json.dumps(report.to_json())
        assert [line for line in str(report).splitlines() if display_width(line) > 80 and "/" not in line] == []


def test_a_run_that_has_not_begun(make_recipe: Make, small_data: Path) -> None:
    from groundup.verbs.data import prepare

    prepare(make_recipe("masked"), quiet=True)
    run = inspect(small_data / "run")
    assert isinstance(run, RunReport)
    assert (run.state, run.checkpoints, run.model, run.progress) == ("not started", (), None, None)
    assert "none yet" in str(run)


def test_a_damaged_checkpoint_is_named_and_the_good_one_speaks(make_recipe: Make, small_data: Path) -> None:
    train(make_recipe("masked", train={"save_every": 4}), quiet=True)
    newest = small_data / "run" / "checkpoints" / "step-12" / "state.json"
    newest.write_bytes(newest.read_bytes()[:-20])
    run = inspect(small_data / "run")
    assert isinstance(run, RunReport)
    damaged = {each.step: each.problems for each in run.checkpoints}
    assert damaged[12] and "state.json" in damaged[12][0] and not damaged[8]
    assert run.progress is not None and run.progress["step"] == 8
    assert "damaged" in str(run)


def test_a_half_written_last_line_is_left_out(make_recipe: Make, small_data: Path) -> None:
    train(make_recipe("masked"), quiet=True)
    with (small_data / "run" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 14, "kind": "tr')
    run = inspect(small_data / "run")
    assert isinstance(run, RunReport) and run.last_step is not None and run.last_step["step"] == 12


def test_what_is_none_of_the_three(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"neither a run folder .*nor a model folder"):
        inspect(tmp_path)
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "recipe.json").write_text("{}")
    with pytest.raises(CheckpointError, match="in it are inner"):
        inspect(tmp_path)
    with pytest.raises(CheckpointError, match="no such folder"):
        inspect(tmp_path / "nothing" / "here")
    with pytest.raises(ConfigError, match="can change a recipe only"):
        inspect(tmp_path, ["a=1"])
