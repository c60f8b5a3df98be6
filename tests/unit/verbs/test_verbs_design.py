"""The design desk: designs before a tensor exists, side by side, from recipes and from folders without weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from report_pages import read_page, untranslated

from groundup.checkpoint import pretrained
from groundup.errors import CheckpointError, ConfigError
from groundup.model.config import (
    CausalLMHead,
    Dropout,
    MaskedLMHead,
    ModelConfig,
    RelativeBias,
    RMSNormConfig,
    RotaryPositions,
    Window,
)
from groundup.model.initialize import initialize, parameter_role
from groundup.model.transformer import Transformer
from groundup.objectives.causal import Causal
from groundup.objectives.hybrid import Hybrid
from groundup.objectives.masked import Masked
from groundup.objectives.mix import Mix, MixPart
from groundup.objectives.permuted import Permuted
from groundup.objectives.sentence import Sentence
from groundup.objectives.seq2seq import Seq2Seq
from groundup.optim.adamw import AdamW
from groundup.optim.config import OptimizerConfig
from groundup.optim.muon import Muon
from groundup.verbs.design import Subject, Use, describe_design, find_target_share, inspect_design, inspect_designs
from groundup.verbs.design_costs import say_cost
from groundup.verbs.design_report import ComparisonReport, DesignReport
from groundup.verbs.layout import display_width
from groundup.verbs.train import train

Make = Callable[..., dict]


def write(recipe: dict, folder: Path) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(json.dumps(recipe), encoding="utf-8")
    return path


def use(**values: object) -> Use:
    usual = {
        "micro_batch_tokens": 512,
        "length": 64,
        "target_fraction": 1.0,
        "activation_bytes": 4,
        "is_cpu": True,
        "optimizer": AdamW(),
    }
    return Use(**(usual | values))


def describe(config: ModelConfig, **values: object) -> dict:
    return describe_design(Subject("a design", config, use(**values), ()))


@pytest.mark.parametrize("optimizer", [AdamW(), Muon()])
def test_the_optimizers_state_is_counted_as_it_is_kept(optimizer: OptimizerConfig) -> None:
    model = Transformer(ModelConfig(vocab_size=30, hidden_size=16, heads=(MaskedLMHead(),)))
    initialize(model, 0)
    running = optimizer.build(model.named_parameters(), parameter_role)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    running.step()
    states = running.state_dict()["state"].values()
    kept = sum(each.numel() for state in states for each in state.values() if each.ndim)
    assert optimizer.count_state(model.named_parameters(), parameter_role) == kept


def test_the_share_of_targets_is_that_of_the_objective() -> None:
    masked = Masked(rate=0.25)
    assert find_target_share(masked) == 0.25
    assert find_target_share(Causal()) == find_target_share(Seq2Seq()) == 1.0
    assert find_target_share(Permuted(rate=0.5)) == 0.5
    assert find_target_share(Hybrid(causal_share=0.4, masking=masked)) == pytest.approx(0.4 + 0.6 * 0.25)
    parts = (MixPart(weight=0.5, objective=masked), MixPart(weight=0.5, objective=Sentence()))
    assert find_target_share(Mix(parts=parts)) == 0.25


def test_shares_are_of_the_whole() -> None:
    found = describe(ModelConfig(vocab_size=99, heads=(CausalLMHead(),), causal=True))
    for name in ("parameter_shares", "flops_shares", "memory_shares"):
        assert sum(found[name].values()) == pytest.approx(1.0)
    assert found["training_flops_per_token"] == 3 * sum(found["forward_flops"].values())
    assert found["cache_bytes_per_token"] == 4 * 2 * 4 * 256
    assert describe(ModelConfig(vocab_size=99))["cache_bytes_per_token"] is None


def test_two_designs_of_one_recipe_side_by_side(make_recipe: Make, small_data: Path) -> None:
    path = str(write(make_recipe("masked"), small_data))
    same = inspect_designs([path, path])
    assert isinstance(same, ComparisonReport) and same.content["differences"] == {} and "same design" in str(same)
    found = inspect_designs(
        [path, "model.num_layers=3", path, "model.norm={kind: layer_norm, bias: false}", "model.position.kind=rotary"]
    )
    assert isinstance(found, ComparisonReport)
    assert set(found.content["differences"]) >= {"num_layers", "norm.bias", "position.kind", "position.base"}
    assert not any(key.startswith(("dropout", "feed_forward", "heads")) for key in found.content["differences"])
    assert found.content["differences"]["norm.bias"] == (True, False)
    assert found.content["differences"]["position.base"] == (None, 10000.0)
    shown = str(found).splitlines()
    assert any(line.split() == ["≠", "position.kind", "learned", "rotary"] for line in shown)
    assert any(line.strip() == "- embedding.position" for line in shown)
    assert any(line.strip() == "≠ embedding.norm" for line in shown)
    assert not any("feed_forward.up" in line for line in shown)
    assert all(display_width(line) <= 80 or "/" in line for line in shown)
    assert json.loads(json.dumps(found.to_json()))["differences"]["norm.bias"] == [True, False]


def test_a_setting_belongs_to_the_recipe_before_it(make_recipe: Make, small_data: Path) -> None:
    path = str(write(make_recipe("masked"), small_data))
    alone = inspect_designs([path, "model.num_layers=7"])
    assert isinstance(alone, DesignReport) and alone.content["config"]["num_layers"] == 7
    assert alone.content["name"] == f"{path} model.num_layers=7"
    with pytest.raises(ConfigError, match="two designs at most"):
        inspect_designs([path, path, path])


def test_a_folder_needs_no_weights(tmp_path: Path) -> None:
    from transformers import LlamaConfig

    size = {"hidden_size": 8192, "intermediate_size": 28672, "num_hidden_layers": 80, "num_attention_heads": 64}
    config = LlamaConfig(**size, num_key_value_heads=8, vocab_size=128256, architectures=["LlamaForCausalLM"])
    config.save_pretrained(tmp_path)
    report = inspect_design(tmp_path)
    assert isinstance(report, DesignReport)
    assert report.content["num_parameters"] == 70_553_706_496, "Llama 3 70B"
    assert report.content["cache_bytes_per_token"] == 80 * 2 * 8 * 128 * 4
    with pytest.raises(ConfigError, match="can change a recipe only"):
        inspect_design(tmp_path, ["model.num_layers=3"])
    with pytest.raises(CheckpointError, match=r"config\.json"):
        (tmp_path / "config.json").unlink()
        inspect_design(tmp_path)


def test_a_run_and_its_model_are_the_design_they_were_trained_by(make_recipe: Make, small_data: Path) -> None:
    path = write(make_recipe("masked"), small_data)
    train(path, quiet=True)
    of_recipe, of_run = inspect_design(path), inspect_design(small_data / "run")
    of_model = inspect_design(small_data / "run" / "model")
    loaded = pretrained.load(small_data / "run" / "model")
    assert isinstance(of_run, DesignReport) and isinstance(of_model, DesignReport)
    assert isinstance(of_recipe, DesignReport)
    assert of_run.content["config"] == of_recipe.content["config"]
    assert of_model.content["config"] == loaded.config.model_dump(mode="json")
    counted = sum(parameter.numel() for parameter in loaded.model.parameters())
    assert of_run.content["num_parameters"] == of_model.content["num_parameters"] == counted


def test_characters_are_counted_before_there_is_a_tokenizer(make_recipe: Make, small_data: Path) -> None:
    recipe = make_recipe("masked")
    recipe["tokenizer"] = {"kind": "characters"}
    report = inspect_design(write(recipe, small_data))
    assert isinstance(report, DesignReport) and not (small_data / "run").exists()
    counted = report.content["config"]["vocab_size"]
    train(recipe, quiet=True)
    assert pretrained.load(small_data / "run" / "model").config.vocab_size == counted


def test_a_tokenizer_that_is_not_there_is_replaced_by_a_number_alone(make_recipe: Make, small_data: Path) -> None:
    recipe = make_recipe("masked")
    recipe["tokenizer"] = {"kind": "pretrained", "path": str(small_data / "nothing")}
    path = write(recipe, small_data)
    with pytest.raises(ConfigError, match=r"tokenizer does not exist.*give model\.vocab_size"):
        inspect_design(path)
    report = inspect_design(path, ["model.vocab_size=5000"])
    assert isinstance(report, DesignReport) and report.content["config"]["vocab_size"] == 5000
    assert any("without a tokenizer" in each for each in report.content["notes"])


LARGE = {"vocab_size": 1000, "hidden_size": 32, "num_heads": 2, "num_layers": 2, "intermediate_size": 64}
SPARE = {"vocab_size": 50, "hidden_size": 32, "num_heads": 2, "max_length": 64, "dropout": Dropout(attention=0.0)}


@pytest.mark.parametrize(
    ("rule", "values", "others"),
    [
        ("vocabulary", LARGE, {"vocab_size": 50}),
        ("untied", LARGE | {"heads": (MaskedLMHead(),), "tie_embeddings": False}, {"tie_embeddings": True}),
        ("logits", LARGE | {"heads": (MaskedLMHead(),)}, {"vocab_size": 50}),
        ("scores", {"hidden_size": 16, "num_heads": 2, "max_length": 64}, {"hidden_size": 64}),
        ("positions", {"max_length": 65}, {"max_length": 64}),
        ("cache", {"causal": True, "max_length": 8192}, {"causal": False}),
        (
            "attention_dropout",
            {"dropout": Dropout(attention=0.1), "num_heads": 16},
            {"dropout": Dropout(attention=0.0)},
        ),
        ("relative_bias", {"position": RelativeBias()}, {"position": RotaryPositions()}),
        ("window_idle", {"window": Window(size=63)}, {"window": Window(size=62)}),
        ("window_reach", {"window": Window(size=8)}, {"window": Window(size=8, layers=(0, 1, 2))}),
        ("window_dense", {"window": Window(size=8)}, {"window": None}),
        ("rms_norm", {"norm": RMSNormConfig()}, {"norm": ModelConfig.model_fields["norm"].default}),
    ],
)
def test_a_cost_is_told_where_it_is_and_only_there(rule: str, values: dict, others: dict) -> None:
    costs = {cost["rule"]: cost for cost in describe(ModelConfig(**(SPARE | values)))["costs"]}
    assert rule in costs
    sentence = say_cost(costs[rule])
    assert sentence and "{" not in sentence.replace("{kind:", "")
    assert rule not in {cost["rule"] for cost in describe(ModelConfig(**(SPARE | values | others)))["costs"]}


def test_the_page_of_a_design_and_of_two(make_recipe: Make, small_data: Path) -> None:
    path, page = str(write(make_recipe("masked"), small_data)), small_data / "page.html"
    inspect_designs([path], html=page)
    alone = read_page(page.read_text(encoding="utf-8"))
    assert [each.attributes["id"] for each in alone.find("section")] == ["design"]
    report = inspect_designs([path, path, "model.feed_forward={kind: gated}", "model.num_heads=4"], html=page)
    assert isinstance(report, ComparisonReport)
    both = read_page(page.read_text(encoding="utf-8"))
    assert [each.attributes["id"] for each in both.find("section")] == ["differences", "one", "other"]
    for root in (alone, both):
        ids = [each.attributes["id"] for each in root.walk() if "id" in each.attributes]
        assert len(ids) == len(set(ids)) and untranslated(root) == []
    shown = both.find("section", id="differences")[0].text("en")
    assert all(key in shown for key in report.content["differences"])
    assert len(both.find("svg")) == 2 and len(both.find("rect", class_="pill")) == 2


def test_costs_of_a_cpu_are_no_costs_of_a_gpu() -> None:
    config = ModelConfig(**SPARE | {"norm": RMSNormConfig(), "num_heads": 16, "dropout": Dropout()})
    assert {cost["rule"] for cost in describe(config)["costs"]} >= {"rms_norm", "attention_dropout"}
    assert not {cost["rule"] for cost in describe(config, is_cpu=False)["costs"]} & {"rms_norm", "attention_dropout"}
