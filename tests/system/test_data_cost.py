"""benchmarks/data_cost.py in small: a figure for each language and unit, from what the log of a run says."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]


def test_every_run_tells_its_share_and_waste(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("jieba", "rjieba"):
        pytest.importorskip(package)
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import data_cost

    draw = random.Random(2)
    english = " ".join("The cat " + " ".join(draw.choices(["sees", "a", "dog"], k=9)) + "." for _ in range(200))
    rows = ["书\t王崩\t" + "".join(draw.choices("国王去世了他的儿子即位", k=draw.randint(12, 40))) for _ in range(200)]
    files = {"babylm_like/simple_wiki.txt": english, "classical_modern/train.tsv": "\n".join(rows)}
    for name, text in (files | {"classical_modern/valid.tsv": "\n".join(rows[:9])}).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text + "\n", encoding="utf-8")
    monkeypatch.setenv("GROUNDUP_DATA", str(tmp_path))
    small = {"steps": 2, "batch-tokens": 256, "vocabulary": 80, "layers": 1, "width": 64, "threads": 1}
    options = [part for key, value in small.items() for part in (f"--{key}", str(value))]
    data_cost.main([*options, "--output", str(tmp_path / "found.json")])
    found = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    kinds = {"english": ["token", "word", "word, again"], "chinese": ["token", "word", "word by rjieba", "word, again"]}
    assert list(found["runs"]) == [f"{language}, {kind}" for language, each in kinds.items() for kind in each]
    for name, run in found["runs"].items():
        assert 0 < run["data_share"] < 1 and run["tokens_per_second"] > 0
        assert 0 <= run["waste"] < (1 if "again" in name else 0.1)
    assert found["segmenters"]["sentences"] == 9 and found["segmenters"]["rjieba_times_as_fast"] > 0
    torch.set_num_threads(1)
