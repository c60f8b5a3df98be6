"""Each objective through the verbs, on both languages: trained, stopped and resumed exactly, shown."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from groundup.checkpoint import pretrained
from groundup.errors import ConfigError, DataError
from groundup.model.packed import Packed
from groundup.training.trainer import Trainer
from groundup.verbs.assemble import as_recipe
from groundup.verbs.check import check
from groundup.verbs.data import show
from groundup.verbs.design import describe_recipe
from groundup.verbs.evaluate import evaluate
from groundup.verbs.generate import generate
from groundup.verbs.predict import predict
from groundup.verbs.show import write_page
from groundup.verbs.train import train

Make = Callable[..., dict]
WORDS = ["cat", "dog", "bird", "fish", "river", "mountain"]

OBJECTIVES: dict[str, dict] = {
    "prefix": {"kind": "causal", "prefix": True},
    "contrastive": {"kind": "contrastive", "temperature": 0.1},
    "denoising": {"kind": "denoising"},
    "span": {"kind": "span", "rate": 0.3, "num_sentinels": 10},
    "gap sentences": {"kind": "span", "hide": "sentence", "rate": 0.4, "num_sentinels": 10},
    "falling rate": {"kind": "masked", "unit": "span", "rate": {"start": 0.6, "end": 0.1}},
    "hybrid": {"kind": "hybrid", "causal_share": 0.3},
    "replaced": {"kind": "replaced", "generator_size": 0.5},
    "mix": {"kind": "mix"},
    "next sentence": {"kind": "sentence"},
    "sentence order": {"kind": "sentence", "form": "order"},
}
PAIRED = {"mix", "next sentence", "sentence order"}
RUNS = {*PAIRED, "denoising", "gap sentences"}
"""Those that learn from documents of sentences."""
WRITING = {"denoising", "span", "gap sentences"}
"""Those of an encoder-decoder."""


@pytest.fixture
def make(make_recipe: Make, small_data: Path) -> Callable[..., dict]:
    """A recipe of an objective by its name above; pairs are of documents of sentences in both languages."""
    for file, rows in (("pairs.txt", range(60)), ("valid_pairs.txt", range(60, 80))):
        english = [" ".join(f"The {noun} sees {row} {noun}." for noun in WORDS[row % 3 : row % 4 + 3]) for row in rows]
        chinese = ["".join(f"{word}看见{row}。" for word in "我你他山水"[row % 2 :]) for row in rows]
        lines = [line for pair in zip(english, chinese, strict=True) for line in pair]
        (small_data / file).write_text("\n".join([*lines, "alone"]) + "\n", encoding="utf-8")

    def build(name: str, output: str = "run") -> dict:
        recipe = make_recipe("masked", output)
        recipe["objective"] = {"max_length": 32} | OBJECTIVES[name]
        if name in WRITING:
            recipe["model"] |= {"causal": True, "encoder": {}, "num_token_types": 0}
        if name == "prefix":
            recipe["model"] |= {"causal": True, "num_token_types": 0}
        if name in RUNS:
            files = {"train": [str(small_data / "pairs.txt")], "validation": [str(small_data / "valid_pairs.txt")]}
            recipe["data"] |= files | {"sentences": True, "min_length": 2}
        return recipe

    return build


@pytest.fixture(params=sorted(OBJECTIVES))
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def read_metrics(folder: Path) -> list[dict]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return [{key: value for key, value in line.items() if key != "time"} for line in lines]


def test_a_run_that_is_stopped_resumes_exactly(name: str, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, cut = make(name, "whole"), make(name, "cut")
    assert train(whole, quiet=True).is_finished
    take_step = Trainer._take_step

    def stopping(self: Trainer, *arguments: object) -> object:
        outcome = take_step(self, *arguments)
        if self.state.progress.step == 7:
            os.kill(os.getpid(), signal.SIGTERM)
        return outcome

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_take_step", stopping)
        assert train(cut, quiet=True).step == 7
    assert train(cut, quiet=True).is_finished
    assert read_metrics(Path(whole["output"])) == read_metrics(Path(cut["output"]))
    first, second = (load_file(Path(recipe["output"]) / "model" / "model.safetensors") for recipe in (whole, cut))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_falling_rate_is_seen_in_what_the_steps_train_on(make_recipe: Make) -> None:
    recipe = make_recipe("masked", objective={"rate": {"start": 0.6, "end": 0.1}})
    shares = []
    for step in (0, 6, 11):
        report = show(recipe, step=step)
        tokens = sum(each.tokens - 2 * len(each.lengths) for each in report.micro_batches)
        shares.append(sum(each.masks.total for each in report.micro_batches) / tokens)
    assert shares == pytest.approx([0.6, 0.6 - 0.5 * 6 / 11, 0.1], abs=0.02)


def test_an_objective_is_checked_shown_inspected_trained_and_evaluated(name: str, make: Make) -> None:
    recipe = make(name)
    found = check(recipe)
    assert found.step is not None
    if name != "contrastive":  # whose two views are alike from the start
        assert found.step.loss == pytest.approx(found.step.expected_loss, rel=0.1)
    assert not any("Fresh weights" in warning for warning in found.warnings)
    assert bool(describe_recipe(as_recipe(recipe), name).config.heads) == (name != "contrastive")
    text = str(show(recipe, count=6))
    mark = "‖" if name in PAIRED else "⇒" if name in {*WRITING, "prefix"} else "→"
    assert {"contrastive": "[again]"}.get(name, mark) in text
    write_page(show(recipe, count=6), "run", Path(recipe["output"]) / "batch.html")
    page = (Path(recipe["output"]) / "batch.html").read_text(encoding="utf-8")
    assert page.count('class="sequence"') == 6 and "批次" in page
    hides = {"falling rate", "mix", "hybrid", "replaced"}
    assert ("chip asked" in page) == (name in hides), "a frame around what is to be predicted"
    report = train(recipe, quiet=True)
    if name == "replaced":
        with pytest.raises(ConfigError, match=r"leaves out what 'replaced' is measured with, got \['generator'\]"):
            evaluate(report.model)
    else:
        assert evaluate(report.model).metrics["loss"] == report.metrics["loss"]
    assert {"config.json", "model.safetensors", "groundup.json"} <= {path.name for path in report.model.iterdir()}
    if name in WRITING:
        with pytest.raises(ConfigError, match=r"cannot write: it has learnt to restore texts, got '\w+'; fine-tune it"):
            generate(report.model, ["The cat sees"])


def test_sentences_left_out_are_counted_and_pairs_are_not_for_prediction(
    make: Make, capsys: pytest.CaptureFixture
) -> None:
    report = train(make("next sentence"))
    assert re.search(r"train: 120 sequences, .*; [1-9][0-9]* sentences without a neighbour", capsys.readouterr().err)
    with pytest.raises(ConfigError, match="model: its objective has nothing to say of a text, got 'sentence'"):
        predict(report.model, ["The cat sees 1 cat."])
    for name in ("mix", "hybrid"):
        found = train(make(name, name), quiet=True)
        assert len(predict(found.model, ["The [MASK] sees."])[0]["fills"][0]) == 5


@pytest.mark.parametrize(
    ("section", "values", "message"),
    [
        ("data", {"sentences": False}, r"data\.sentences: 'mix' learns from neighbouring sentences, got false"),
        ("model", {"causal": True}, r"model\.causal: the objective 'mix' needs an encoder stack"),
        ("model", {"num_token_types": 1}, r"model\.num_token_types: tells no pair apart, got 1"),
    ],
)
def test_what_cannot_learn_from_pairs_is_refused_early(make: Make, section: str, values: dict, message: str) -> None:
    recipe = make("mix")
    recipe[section] |= values
    with pytest.raises(ConfigError, match=message):
        as_recipe(recipe)


def test_documents_of_one_sentence_are_refused_before_training(make: Make, small_data: Path) -> None:
    recipe = make("next sentence")
    (small_data / "pairs.txt").write_text("one alone\n一句\n", encoding="utf-8")
    with pytest.raises(DataError, match="holds no two neighbouring sentences"):
        check(recipe)
    with pytest.raises(DataError, match="holds no two neighbouring sentences"):
        train(recipe, quiet=True)


PAIRS = [
    ("a cat sees a fish", "one cat finds fish", "4.5"),
    ("猫看见鱼", "猫看鱼", "4.5"),
    ("山水", "a red dog", "0.5"),
]


@pytest.mark.parametrize("positives", ["dropout", "pair"])
def test_vectors_are_learnt_from_tables_and_judged_by_their_similarities(
    make_recipe: Make, small_data: Path, positives: str
) -> None:
    rows = [f"{first} {number}\t{second} {number}\t{score}" for number in range(20) for first, second, score in PAIRS]
    for name in ("train.tsv", "dev.tsv"):
        (small_data / name).write_text("\n".join(["text\tpair\tlabel", *rows]) + "\n", encoding="utf-8")
    objective = {"kind": "contrastive", "positives": positives, "choose_by": "spearman", "max_length": 32}
    recipe = make_recipe("classification", data={"pair": "pair", "label": "label"}) | {"objective": objective}
    report = train(recipe, quiet=True)
    assert report.metrics["spearman"].count == len(rows) and report.metrics["spearman"].value > 0.2
    assert evaluate(report.model).metrics["spearman"] == report.metrics["spearman"]
    assert ("[again]" if positives == "dropout" else "[pair]") in str(show(recipe))
    (small_data / "dev.tsv").write_text("text\tpair\tlabel\na\tb\tgood\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"data\.validation:2: is no similarity, got 'good'"):
        train(recipe | {"output": str(small_data / "other")}, quiet=True)


def test_what_cannot_be_compared_whole_is_refused_early(make: Make, make_recipe: Make) -> None:
    recipe = make("contrastive")
    recipe["train"] |= {"micro_batch_tokens": 1000}
    with pytest.raises(ConfigError, match=r"train\.micro_batch_tokens: .* must hold the 1024 tokens .*, got 1000"):
        as_recipe(recipe)
    table = make_recipe("classification") | {
        "objective": {"kind": "contrastive", "positives": "pair", "max_length": 32}
    }
    with pytest.raises(ConfigError, match=r"objective\.positives: pairs are rows of a table with data\.pair"):
        as_recipe(table)


def test_a_trained_discriminator_opens_in_transformers_and_fine_tunes(make: Make) -> None:
    """Its folder holds nothing of the generator, and what it computes is what transformers computes."""
    transformers = pytest.importorskip("transformers")
    report = train(make("replaced"), quiet=True)
    tensors = load_file(report.model / "model.safetensors")
    assert not [name for name in tensors if "generator" in name]
    theirs, info = transformers.ElectraForPreTraining.from_pretrained(report.model, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"]
    ours = pretrained.load(report.model).model.eval()
    ids = torch.arange(5, 17) % ours.config.vocab_size
    packed = Packed.from_sequences([ids.numpy()])
    with torch.inference_mode():
        found = ours.heads["replaced"](ours(packed))[:, 0]
        expected = theirs.eval()(input_ids=ids[None]).logits[0]
        assert (found - expected).abs().max() < 1e-5
        ours.heads["replaced"].linear.bias += 0.1
        assert (ours.heads["replaced"](ours(packed))[:, 0] - expected).abs().max() > 0.05
    tuned = make("replaced", "tuned")
    tuned["objective"] = {"kind": "masked", "max_length": 32}
    tuned["model"] = {"kind": "pretrained", "path": str(report.model)}
    assert train(tuned, quiet=True).is_finished


def test_a_stack_that_a_generator_cannot_share_is_refused_before_data_is_read(make: Make) -> None:
    recipe = make("replaced")
    recipe["objective"]["generator_size"] = 0.3
    with pytest.raises(ConfigError, match=r"objective\.generator_size: must leave a whole number of model\.num_heads"):
        train(recipe, quiet=True)
    recipe = make("replaced")
    recipe["model"]["causal"] = True
    with pytest.raises(ConfigError, match=r"model\.causal: the objective 'replaced' needs an encoder stack"):
        train(recipe, quiet=True)
