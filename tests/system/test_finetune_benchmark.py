"""benchmarks/finetune_vs_hf.py in small: all contenders train, finished cells stay, what is not the same is refused."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest
import torch

from groundup.checkpoint import pretrained
from groundup.errors import DataError
from groundup.model.config import ModelConfig
from groundup.model.initialize import initialize
from groundup.model.transformer import Transformer
from groundup.text.tokenizer import WordPiece, train_tokenizer

ROOT = Path(__file__).parents[2]
GOOD = ["the cat sleeps", "a dog runs fast", "she reads books", "birds sing in the morning, they say"]
BAD = ["cat the sleep", "runs dog a", "she read book a the", "sing birds morning in the , say they do they"]
CONTENDERS = ["groundup", "script", "length-grouped Trainer"]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The benchmark as a module."""
    pytest.importorskip("transformers")
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import finetune_vs_hf

    monkeypatch.setattr(finetune_vs_hf, "BATCH_SIZE", 8)
    for name in ("cola", "stsb"):
        monkeypatch.setitem(finetune_vs_hf.SETS, name, finetune_vs_hf.SETS[name]._replace(learning_rate=5e-3))
    return finetune_vs_hf


@pytest.fixture
def run(script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict]:
    """The script on a CoLA and a model written here; what its file holds afterwards."""
    monkeypatch.setenv("GROUNDUP_DATA", str(tmp_path))
    folder = tmp_path / "glue" / "CoLA"
    folder.mkdir(parents=True)
    draw = random.Random(1)
    rows = [f"x\t{label}\t\t{draw.choice((BAD, GOOD)[label])}" for label in (0, 1) for _ in range(24)]
    (folder / "train.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    (folder / "dev.tsv").write_text("\n".join(rows[16:32]) + "\n", encoding="utf-8")
    folder = tmp_path / "glue" / "STS-B"
    folder.mkdir(parents=True)
    pairs = [(draw.choice(GOOD), draw.choice(GOOD)) for _ in range(40)]
    rows = [f"{a}\t{b}\t{4.0 if a == b else len(b) % 3:.3f}" for a, b in pairs]
    for name in ("train", "dev"):
        (folder / f"{name}.tsv").write_text("\n".join(["sentence1\tsentence2\tscore", *rows]) + "\n", encoding="utf-8")
    write_model(tmp_path / "english")

    def run(*arguments: str, name: str = "cola") -> dict:
        output = tmp_path / "found.json"
        options = ["--english", str(tmp_path / "english"), "--output", str(output), "--threads", "1", *arguments]
        script.main(["--sets", name, *options])
        return json.loads(output.read_text(encoding="utf-8"))

    return run


def write_model(folder: Path, seed: int = 1) -> None:
    """A small encoder with a tokenizer of its own."""
    tokenizer = train_tokenizer(WordPiece(vocab_size=120, min_frequency=1), GOOD + BAD)
    sizes = {"hidden_size": 32, "num_layers": 2, "num_heads": 2, "intermediate_size": 64, "max_length": 128}
    model = Transformer(ModelConfig(vocab_size=tokenizer.vocab_size, **sizes))
    initialize(model, seed)
    pretrained.save(folder, model, tokenizer_files=tokenizer.files(), manifest={}, card="")


def test_all_contenders_learn_the_same_task(run: Callable[..., dict]) -> None:
    content = run("--measure", "quality", "--rows", "40", "--epochs", "10", "--seeds", "1", "2")
    found = content["results"]["cola"]
    assert content["sets"]["cola"]["title"] == "cola, 40 of 48 training rows" and found["metric"] == "matthews"
    assert found["signature"] == "average=none|zero_division=0|n=16|v1"
    assert found["largest_difference_at_start"] < 1e-5
    assert list(found["scores"]) == CONTENDERS
    assert all(min(scores["all"]) > 0.5 for scores in found["scores"].values())
    ours, theirs = (found["scores"][name]["all"] for name in CONTENDERS[:2])
    middle = found["groundup_minus"]["script"]
    assert middle["mean"] == pytest.approx(sum(a - b for a, b in zip(ours, theirs, strict=True)) / 2, abs=1e-4)
    assert middle["low"] <= middle["mean"] <= middle["high"]


def test_numbers_are_learnt_in_the_unit_of_the_file_by_all(run: Callable[..., dict]) -> None:
    content = run("--measure", "quality", "--rows", "40", "--epochs", "12", "--seeds", "1", name="stsb")
    found = content["results"]["stsb"]
    assert found["metric"] == "pearson" and found["largest_difference_at_start"] < 1e-5
    assert all(scores["all"][0] > 0.5 for scores in found["scores"].values())


def test_speed_is_a_ratio_within_rounds_and_finished_ones_stay(run: Callable[..., dict], tmp_path: Path) -> None:
    speed = ("--measure", "speed", "--rows", "16")
    first = run(*speed, "--rounds", "1")["cells"]["cola, round 1"]
    found = run(*speed, "--rounds", "2")
    assert found["cells"]["cola, round 1"] == first and list(found["cells"]) == ["cola, round 1", "cola, round 2"]
    ratios = found["results"]["cola"]["times_as_fast_as"]["script"]["all"]
    assert ratios == [round(cell["groundup"] / cell["script"], 2) for cell in found["cells"].values()]
    with pytest.raises(DataError, match=r"found\.json: was measured under another rows, got '16 there and 24 now'"):
        run(*speed[:3], "24", "--rounds", "2")
    write_model(tmp_path / "english", seed=2)
    with pytest.raises(DataError, match="was measured under another weights_sha256"):
        run(*speed, "--rounds", "2")


def test_other_weights_or_other_tokens_are_refused(
    run: Callable[..., dict], script: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_peer, quality = script.load_peer, ("--measure", "quality", "--rows", "16", "--seeds", "1")

    def load_other(job: object) -> torch.nn.Module:
        model = load_peer(job)
        torch.nn.init.normal_(model.classifier.weight)
        return model

    monkeypatch.setattr(script, "load_peer", load_other)
    with pytest.raises(DataError, match="is not the same model in transformers"):
        run(*quality)
    monkeypatch.setattr(script, "check_ids", partial(script.check_ids, max_length=4))
    with pytest.raises(DataError, match=r"cola, row \d+: is not what transformers' tokenizer reads, got "):
        run(*quality)
