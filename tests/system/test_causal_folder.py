"""A decoder trained by a recipe opens in transformers, its tokenizer beside it, and computes the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import groundup
from groundup.checkpoint import pretrained
from groundup.model.config import Dropout
from groundup.model.packed import Packed
from groundup.objectives.causal import Causal, CausalObjective
from groundup.text.tokenizer import Tokenizer

GPT2_LIKE = {
    "causal": True,
    "num_token_types": 0,
    "norm_places": ["input", "final"],
    "norm": {"kind": "layer_norm", "eps": 1e-5},
    "feed_forward": {"kind": "plain", "activation": "gelu_tanh"},
    "output_init": "scaled",
}


LLAMA_LIKE = {
    "causal": True,
    "num_token_types": 0,
    "num_kv_heads": 1,
    "position": {"kind": "rotary"},
    "norm": {"kind": "rms_norm"},
    "norm_places": ["input", "final"],
    "feed_forward": {"kind": "gated", "activation": "silu"},
    "attention_bias": False,
    "feed_forward_bias": False,
}


def train(make_recipe: Callable[..., dict], data: Path, model: dict[str, object]) -> Path:
    corpus = {"kind": "corpus", "train": [str(data / "text.txt")], "validation": [str(data / "valid.txt")]}
    recipe = make_recipe("causal", data=corpus, model=model)
    groundup.train(recipe, quiet=True)
    return Path(recipe["output"]) / "model"


@pytest.mark.parametrize(("model_type", "design"), [("gpt2", GPT2_LIKE), ("llama", LLAMA_LIKE)])
def test_a_decoder_like_a_published_one(
    model_type: str, design: dict[str, object], make_recipe: Callable[..., dict], small_data: Path
) -> None:
    transformers = pytest.importorskip("transformers")
    folder = train(make_recipe, small_data, design)
    content = json.loads((folder / "config.json").read_text())
    tokenizer = Tokenizer.load(folder)
    assert content["model_type"] == model_type
    assert (content["bos_token_id"], content["eos_token_id"]) == (tokenizer.start_id, tokenizer.end_id)
    loaded = pretrained.load(folder)
    assert loaded.config.padding_id == tokenizer.pad_id and loaded.config.dropout == Dropout()
    assert loaded.config.output_init == design.get("output_init", "normal")
    model, opened = loaded.model.eval(), transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    assert opened.config.model_type == model_type
    encode = transformers.AutoTokenizer.from_pretrained(folder)
    for text in ("the cat sees a red bird", "我 看 书"):
        ids, inputs = CausalObjective(Causal(), tokenizer).encode_start(text), encode(text, return_tensors="pt")
        assert inputs["input_ids"][0].tolist() == ids.tolist()
        with torch.no_grad():
            ours = model.heads["causal_lm"](model(Packed.from_sequences([ids])))
            theirs = opened(**inputs).logits[0]
            other = opened(input_ids=inputs["input_ids"].flip(1)).logits[0]
        assert (ours - theirs).abs().max() < 1e-4
        assert (ours - other).abs().max() > 1e-2


def test_a_decoder_unlike_any(make_recipe: Callable[..., dict], small_data: Path) -> None:
    design = {**GPT2_LIKE, "position": {"kind": "rotary"}, "norm": {"kind": "rms_norm"}}
    folder = train(make_recipe, small_data, design)
    assert json.loads((folder / "config.json").read_text())["model_type"] == "groundup"
    assert pretrained.load(folder).config.position.kind == "rotary"
