"""A prefix language model learns completions in both languages, and every verb reads a prompt as training did."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from typer.testing import CliRunner

from groundup.checkpoint import pretrained
from groundup.cli.main import app
from groundup.decoding.config import Decoding
from groundup.errors import ConfigError, DataError
from groundup.model.config import CausalLMHead
from groundup.model.packed import Packed
from groundup.objectives.likelihood import score_texts
from groundup.readers.table import Example
from groundup.verbs.attention import inspect_attention
from groundup.verbs.check import check
from groundup.verbs.design import inspect_design
from groundup.verbs.evaluate import evaluate
from groundup.verbs.generate import generate
from groundup.verbs.trained import Trained, load_trained

PROMPTS = ["the cat sees two dogs", "我看见两只狗"]
ROWS = [("the cat sees", "the dog runs"), ("我看见", "一只猫"), ("a bird finds one", "fish"), ("你他山水", "书")]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained from its file by the command."""
    folder = tmp_path_factory.mktemp("prefix")
    lines = ["prompt\tcompletion", *("\t".join(ROWS[number % 4]) for number in range(48))]
    (folder / "rows.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    recipe = {
        "output": str(folder / "run"),
        "tokenizer": {"kind": "wordpiece", "vocab_size": 120, "min_frequency": 1},
        "data": {
            "kind": "table",
            "train": str(folder / "rows.tsv"),
            "validation": str(folder / "rows.tsv"),
            "text": "prompt",
            "pair": "completion",
        },
        "model": {
            "kind": "transformer",
            "causal": True,
            "hidden_size": 32,
            "num_layers": 2,
            "num_heads": 2,
            "intermediate_size": 64,
            "max_length": 32,
            "num_token_types": 0,
            "norm": {"kind": "layer_norm", "eps": 1e-5},
            "norm_places": ["input", "final"],
            "feed_forward": {"kind": "plain", "activation": "gelu_tanh"},
            "output_init": "scaled",
            "initializer_range": 0.2,
        },
        "objective": {"kind": "causal", "max_length": 32, "separator": " = ", "prefix": True},
        "optimizer": {"kind": "adamw", "learning_rate": 3e-3},
        "train": {"steps": 30, "batch_size": 16, "device": "cpu"},
    }
    path = folder / "prefix.yaml"
    path.write_text(yaml.safe_dump(recipe, allow_unicode=True), encoding="utf-8")
    result = CliRunner().invoke(app, ["train", str(path)])
    assert result.exit_code == 0, result.output
    return folder / "run"


@torch.inference_mode()
def score(trained: Trained, prompt: np.ndarray, written: np.ndarray, prefix: int) -> float:
    """Log probability of what follows a prompt of which so many tokens see each other, in one pass."""
    ids = np.concatenate([prompt, written])
    packed = Packed.from_sequences([ids[:-1]]).with_prefixes([prefix])
    logs = trained.model.heads["causal_lm"](trained.model(packed))[len(prompt) - 1 :].log_softmax(dim=-1)
    return logs[torch.arange(len(written)), torch.from_numpy(written)].sum().item()


def test_completions_are_learnt_and_written(run: Path) -> None:
    answers = generate(run, [prompt for prompt, _ in ROWS])
    assert [each.text.replace(" ", "") for each in answers] == [completion.replace(" ", "") for _, completion in ROWS]
    result = CliRunner().invoke(app, ["generate", str(run), "a bird finds one"])
    assert result.output == "fish\n"


def test_every_verb_reads_a_prompt_as_training_did(run: Path) -> None:
    trained = load_trained(run)
    encoded = trained.objective.encode([Example(*row, None, 1) for row in ROWS], "rows")
    for prompt in PROMPTS:
        ids = trained.objective.encode_prompt(prompt)
        best = generate(trained, [prompt], Decoding(num_beams=2, max_tokens=4))[0]
        end = [trained.tokenizer.end_id] if best.reason == "end" else []
        written = np.array([*best.token_ids, *end])
        assert score(trained, ids, written, len(ids)) / len(written) == pytest.approx(best.score, abs=1e-4)
        assert score(trained, ids, written, 0) / len(written) != pytest.approx(best.score, abs=1e-3)
    nll, count = {True: 0.0, False: 0.0}, 0
    for number in range(len(ROWS)):
        sample = encoded[number]
        given, asked = sample.input_ids[: sample.num_context], sample.input_ids[sample.num_context :].astype(np.int64)
        for is_prefix in nll:
            nll[is_prefix] -= score(trained, given, asked, sample.num_context if is_prefix else 0)
        count += len(asked)
    loss = evaluate(run).metrics["loss"]
    assert loss.value == pytest.approx(nll[True] / count, rel=1e-4)
    assert loss.value != pytest.approx(nll[False] / count, rel=1e-2)
    maps = np.array(inspect_attention(run, PROMPTS[1]).content["maps"][0]["heads"][0]["probabilities"])
    assert (maps > 0).all(), "every token of a prompt sees all others"


def test_a_text_without_a_prompt_is_read_from_left_to_right(run: Path) -> None:
    trained = load_trained(run)
    ids = trained.objective.encode_start(PROMPTS[0])
    (found,) = score_texts(trained.model, trained.objective, [PROMPTS[0]])
    assert found == pytest.approx(score(trained, ids[:1], ids[1:].astype(np.int64), 0), abs=1e-4)
    assert found != pytest.approx(score(trained, ids[:1], ids[1:].astype(np.int64), len(ids) - 1), abs=1e-2)


def test_the_folder_says_it_to_all_who_open_it(run: Path, tmp_path: Path) -> None:
    """Without its recipe it reads the same; nobody opens it as a GPT-2 that would read prompts from left to right."""
    assert json.loads((run / "model" / "config.json").read_text())["model_type"] == "groundup"
    shutil.copytree(run / "model", tmp_path / "bare", ignore=shutil.ignore_patterns("groundup.json"))
    bare, trained = load_trained(tmp_path / "bare"), load_trained(run)
    assert [each.text for each in generate(bare, [f"{each} = " for each in PROMPTS])] == [
        each.text for each in generate(trained, PROMPTS)
    ]
    assert bare.objective.config.prefix and "a prompt that sees itself" in str(inspect_design(str(run / "model")))
    plain = pretrained.load(run / "model", heads=[CausalLMHead()]).model
    pretrained.save(tmp_path / "plain", plain, tokenizer_files={}, manifest={}, card="")
    of_gpt2 = json.loads((tmp_path / "plain" / "config.json").read_text())
    assert of_gpt2["model_type"] == "gpt2", "what is trained on without a prefix is a GPT-2 again"
    files = {"tokenizer_files": {}, "manifest": {}, "card": "", "extra_config": of_gpt2}
    pretrained.save(tmp_path / "prefix", trained.model, **files)
    assert json.loads((tmp_path / "prefix" / "config.json").read_text())["model_type"] == "groundup"


def test_transformers_classes_refuse_it(run: Path) -> None:
    transformers = pytest.importorskip("transformers")
    from groundup.integrations.transformers import register

    register()
    with pytest.raises(ConfigError, match=r"reads prompts in both directions, .* use groundup generate"):
        transformers.AutoModelForCausalLM.from_pretrained(run / "model")
    opened = transformers.AutoModelForSequenceClassification.from_pretrained(run / "model", num_labels=2)
    assert not opened.design.has_prefix


@pytest.mark.parametrize("position", ["relative_bias", "none"])
def test_positions_that_say_nothing_of_what_stands_behind_are_refused_early(
    position: str, make_recipe: Callable[..., dict]
) -> None:
    recipe = make_recipe("masked", objective={"kind": "causal"})
    recipe["model"] |= {"causal": True, "position": {"kind": position}}
    recipe["data"]["train"] = ["missing.txt"]
    with pytest.raises(DataError, match="missing"):
        check(recipe)
    recipe["objective"] |= {"prefix": True}
    with pytest.raises(ConfigError, match=rf"model\.position: .*, got '{position}'; choose rotary"):
        check(recipe)
