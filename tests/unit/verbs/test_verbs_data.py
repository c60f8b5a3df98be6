"""Prepare, tokenizer and show: what is shown is what is trained on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from groundup.errors import ConfigError
from groundup.objectives.protocol import Batch
from groundup.training import trainer
from groundup.verbs.assemble import as_recipe, assemble
from groundup.verbs.data import prepare, show, tokenizer
from groundup.verbs.layout import display_width
from groundup.verbs.train import train

Make = Callable[..., dict]


def watch_batches(monkeypatch: pytest.MonkeyPatch) -> list[list[Batch]]:
    """The batches of every step that training computes from now on."""
    seen: list[list[Batch]] = []
    original = trainer.compute_gradient

    def watch(model: object, objective: object, batches: list[Batch], **settings: object) -> object:
        seen.append(list(batches))
        return original(model, objective, batches, **settings)

    monkeypatch.setattr(trainer, "compute_gradient", watch)
    return seen


@pytest.mark.parametrize("kind", ["masked", "classification"])
@pytest.mark.parametrize("step", [0, 11])
def test_what_is_shown_is_what_is_trained_on(
    make_recipe: Make, monkeypatch: pytest.MonkeyPatch, kind: str, step: int
) -> None:
    recipe = make_recipe(kind, train={"micro_batch_tokens": 120})
    shown = show(recipe, step=step, count=1000)
    seen = watch_batches(monkeypatch)
    train(recipe, quiet=True)
    parts = assemble(as_recipe(recipe), Path(recipe["output"]), quiet=True)
    texts = [text for batch in seen[step] for text in parts.objective.show(batch)]
    assert [each.text for each in shown.sequences] == texts
    assert [each.lengths for each in shown.micro_batches] == [batch.packed.lengths for batch in seen[step]]
    assert [each.sample for each in shown.sequences] == [int(i) for batch in seen[step] for i in batch.samples]
    others = [text for batch in seen[step - 1] for text in parts.objective.show(batch)]
    assert [each.text for each in shown.sequences] != others


def test_masked_tokens_are_counted_by_what_became_of_them(make_recipe: Make) -> None:
    shown = show(make_recipe("masked", objective={"rate": 0.5}), count=1000)
    for each in shown.sequences:
        words = each.text.split(" ")
        assert each.masks is not None
        assert each.masks.hidden == sum(word.startswith("[MASK→") for word in words)
        assert each.masks.kept == sum(word.startswith("[=") for word in words)
        assert each.masks.replaced == sum("→" in word and not word.startswith("[MASK→") for word in words)
        assert each.length == len(words)
    total = sum(each.masks.total for each in shown.sequences if each.masks)
    assert [each.masks.total for each in shown.micro_batches if each.masks] == [total]


def test_sequences_are_spread_over_the_batch(make_recipe: Make) -> None:
    shown = show(make_recipe("classification"), count=3)
    lengths = shown.micro_batches[0].lengths
    assert [each.place for each in shown.sequences] == [1, round((len(lengths) - 1) / 2) + 1, len(lengths)]
    for each in shown.sequences:
        assert each.start == sum(lengths[: each.place - 1]) and each.length == lengths[each.place - 1]
        assert each.text.startswith(("[cat] ", "[none] ")) and each.masks is None


def test_the_report_fits_and_is_json(make_recipe: Make) -> None:
    report = show(make_recipe("masked", train={"micro_batch_tokens": 120}), count=2)
    assert all(display_width(line) <= 80 for line in str(report).splitlines())
    assert len(json.loads(json.dumps(report.to_json()))["sequences"]) == 2


def test_a_table_with_a_finished_tokenizer_needs_no_folder(make_recipe: Make, small_data: Path) -> None:
    prepare(make_recipe("masked"))
    path = str(small_data / "run" / "tokenizer")
    recipe = make_recipe("classification", "other")
    recipe["tokenizer"] = {"kind": "pretrained", "path": path}
    assert show(recipe).sequences and tokenizer(recipe).folder is None
    assert not (small_data / "other").exists()


def test_prepare_does_what_train_would_do_and_not_twice(make_recipe: Make, small_data: Path) -> None:
    recipe = make_recipe("masked")
    report = prepare(recipe, quiet=True)
    by_name = {split.name: split for split in report.splits}
    assert set(by_name) == {"train", "validation"}
    parts = assemble(as_recipe(recipe), small_data / "run", quiet=True)
    assert by_name["train"].sequences == len(parts.train)
    assert by_name["train"].documents == 160 and by_name["validation"].documents == 40
    stamps = {path: path.stat().st_mtime_ns for path in (small_data / "run" / "corpus").rglob("*.bin")}
    assert prepare(recipe, quiet=True).splits == report.splits
    assert stamps == {path: path.stat().st_mtime_ns for path in (small_data / "run" / "corpus").rglob("*.bin")}
    assert "documents" in str(report) and json.dumps(report.to_json())


def test_prepare_refuses_a_table(make_recipe: Make) -> None:
    with pytest.raises(ConfigError, match=r"data\.kind"):
        prepare(make_recipe("classification"))


@pytest.mark.parametrize("kind", ["masked", "classification"])
def test_the_tokenizer_is_measured_on_both_scripts(make_recipe: Make, small_data: Path, kind: str) -> None:
    text = (small_data / "train.tsv").read_text(encoding="utf-8")
    (small_data / "train.tsv").write_text(text + "鑫 鑫 the\tnone\n", encoding="utf-8")
    coverage = {"character_coverage": 0.998} if kind == "classification" else {}
    report = tokenizer(make_recipe(kind, tokenizer=coverage))
    assert report.folder == str(small_data / "run" / "tokenizer") and Path(report.folder).is_dir()
    assert report.vocab_size <= 120 and report.special["[MASK]"] == 4
    assert report.chinese.tokens_per_word == 1.0 and report.other.tokens_per_word >= 1.0
    assert report.unknown == ({"鑫": 2} if coverage else {})
    assert len(report.examples) == 3
    for example, tokens in report.examples:
        assert "".join(tokens).replace("##", "") == example.replace(" ", "") or "[UNK]" in tokens
    assert all(display_width(line) <= 80 or "/" in line for line in str(report).splitlines())
    assert json.dumps(report.to_json())


@pytest.mark.parametrize(
    "config",
    [
        {"kind": "characters"},
        {"kind": "unigram", "vocab_size": 340},
        {"kind": "byte_bpe", "vocab_size": 400, "split_digits": True},
    ],
    ids=lambda config: config["kind"],
)
def test_every_kind_of_tokenizer_is_measured(make_recipe: Make, small_data: Path, config: dict) -> None:
    text = (small_data / "text.txt").read_text(encoding="utf-8")
    (small_data / "text.txt").write_text(text + " ".join(["a long line of 1947"] * 20) + "\n", encoding="utf-8")
    recipe = make_recipe("masked") | {"tokenizer": config}
    report = tokenizer(recipe)
    assert report.kind == config["kind"] and len(report.special) == 5
    assert report.unknown == {} and report.other.unknown_rate == report.chinese.unknown_rate == 0.0
    for example, tokens in report.examples:
        assert "".join(tokens) == example.removesuffix("…")
    assert report.other.tokens_per_word >= 1.0
    row = next(line for line in str(report).splitlines() if line.startswith("other"))
    assert f"{report.other.tokens_per_word:.2f}" in row.split()
    assert all(display_width(line) <= 80 or "/" in line for line in str(report).splitlines())
    assert tokenizer(recipe).digest == report.digest


def test_random_state_is_not_touched(make_recipe: Make) -> None:
    torch.manual_seed(3)
    np.random.seed(3)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    show(make_recipe("masked"))
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])
