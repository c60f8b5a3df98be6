"""The comparison of objectives, shrunken: cells are filled, kept and summarised, and an encoder is taken out whole."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "objectives_compared.py"
TINY = (
    "--teraflops 0.002 --layers 1 --width 32 --length 16 --vocabulary 4000 --megabytes 0.1 --rows 32 32 --epochs 1 "
    "--pairs 1"
)


def compare(work: Path, *more: str) -> dict:
    spec = importlib.util.spec_from_file_location(SCRIPT.stem, SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    output = work.with_suffix(".json")
    script.main([*TINY.split(), "--work", str(work), "--output", str(output), "--seeds", "1", "2", *more])
    return json.loads(output.read_text(encoding="utf-8"))


def test_cells_are_filled_once_and_told_honestly(
    data_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arms = ("--objectives", "fresh", "denoising", "--languages", "chinese")
    result = compare(tmp_path / "work", *arms)
    cells = result["languages"]["chinese"]["cells"]
    found = cells["denoising"]
    assert found["gain"]["low"] <= found["gain"]["value"] <= found["gain"]["high"]
    assert [each["rows"] for each in found["fine_tuning"].values()] == [1200, 1200]
    assert 0.5 < found["pretraining"]["teraflops"] / 0.002 < 1.5 and len(found["pretraining"]["curve"]) > 1
    assert "scores" not in cells["masked"] and "masked tokens | not measured | not measured" in capsys.readouterr().out
    again = compare(tmp_path / "work", *arms)
    assert again["languages"] == result["languages"], "times included: nothing was done again"
    recipe = json.loads((tmp_path / "work" / "recipes" / "chinese-denoising-task.yaml").read_text(encoding="utf-8"))
    assert recipe["model"]["path"].endswith("encoder")
    with pytest.raises(SystemExit, match="holds cells of other settings"):
        compare(tmp_path / "work", *arms, "--epochs", "2")


def test_minimal_pairs_are_read_both_ways(data_folder: Path, tmp_path: Path) -> None:
    result = compare(tmp_path / "work", "--objectives", "hybrid", "--languages", "english", "--seeds", "1")
    pairs = result["languages"]["english"]["cells"]["hybrid"]["pairs"]
    assert {name: found["pairs"] for name, found in pairs.items()} == {"masked": 67, "causal": 67}
