"""Classifiers on decoders read the last token: equal to transformers' classes, in from their folders and out again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from decoder_peers import TOLERANCE, draw_ids, perturb, save
from gpt2_peers import SIZES as GPT2_SIZES
from llama_peers import OWN, SIZES
from safetensors.torch import load_file
from small_runs import make_recipe, small_data
from torch import Tensor

from groundup.checkpoint import pretrained
from groundup.errors import ConfigError
from groundup.model.config import CausalLMHead, ClassificationHead
from groundup.model.estimate import count_parameters
from groundup.model.packed import Packed
from groundup.model.transformer import Transformer
from groundup.verbs.predict import predict
from groundup.verbs.train import train

__all__ = ["make_recipe", "small_data"]

transformers = pytest.importorskip("transformers")

Make = Callable[..., dict]
FAMILIES = ("GPT2", "Llama", "Mistral", "Qwen2", "Qwen3")
PADDING_ID = 3
HEAD = ClassificationHead(num_labels=5, dropout=0.0, pooling="last", bias=False)


def build_peer(family: str) -> torch.nn.Module:
    torch.manual_seed(0)
    sizes = GPT2_SIZES if family == "GPT2" else {**SIZES, **OWN[family]}
    values = {"num_labels": 5, "pad_token_id": PADDING_ID, "problem_type": "single_label_classification"}
    config = getattr(transformers, f"{family}Config")(**sizes, **values)
    return perturb(getattr(transformers, f"{family}ForSequenceClassification")(config))


def classify(model: Transformer) -> Tensor:
    packed = Packed.from_sequences([ids for ids in draw_rows()])
    with torch.no_grad():
        return model.heads["classification"](model.summarize(packed))


def classify_there(peer: torch.nn.Module) -> Tensor:
    rows = draw_rows()
    padded = torch.full((len(rows), max(map(len, rows))), PADDING_ID)
    for number, ids in enumerate(rows):
        padded[number, : len(ids)] = torch.from_numpy(ids)
    with torch.no_grad():
        return peer(input_ids=padded, attention_mask=padded != PADDING_ID).logits


def draw_rows() -> list[np.ndarray]:
    """Without the padding token, by which transformers finds where a row ends."""
    return [np.where(ids == PADDING_ID, PADDING_ID + 1, ids) for ids in draw_ids()]


def pool_first(model: Transformer) -> Transformer:
    """The same weights on the first token."""
    head = HEAD.model_copy(update={"pooling": "first"})
    other = Transformer(model.config.model_copy(update={"heads": (head,)})).eval()
    other.load_state_dict(model.state_dict())
    return other


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_and_folders(family: str, tmp_path: Path) -> None:
    peer = build_peer(family)
    peer.save_pretrained(tmp_path / "theirs")
    loaded = pretrained.load(tmp_path / "theirs")
    assert loaded.config.heads == (HEAD,) and not loaded.fresh and not loaded.dropped
    assert sum(count_parameters(loaded.config).values()) == sum(each.numel() for each in peer.parameters())
    model, theirs = loaded.model.eval(), classify_there(peer)
    assert (classify(model) - theirs).abs().max() < TOLERANCE
    assert (classify(pool_first(model)) - theirs).abs().max() > 100 * TOLERANCE
    save(tmp_path / "ours", model, labels=loaded.labels, extra_config=loaded.extra_config)
    before, after = (load_file(tmp_path / name / "model.safetensors") for name in ("theirs", "ours"))
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)
    assert json.loads((tmp_path / "ours" / "config.json").read_text()) == loaded.extra_config
    save(tmp_path / "alone", model, labels=("a", "b", "c", "d", "e"))
    opened = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "alone").eval()
    assert type(opened) is type(peer) and opened.config.id2label[4] == "e"
    assert torch.equal(classify_there(opened), theirs)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_language_model_becomes_a_classifier_and_one_again(family: str, tmp_path: Path) -> None:
    peer = build_peer(family)
    peer.save_pretrained(tmp_path)
    asked = ClassificationHead(num_labels=5, dropout=0.2)
    tuned = pretrained.load(tmp_path, heads=(asked,))
    assert tuned.config.heads == (HEAD.model_copy(update={"dropout": 0.2}),) and not tuned.fresh
    again = pretrained.load(save(tmp_path / "tuned", tuned.model))
    assert again.config == tuned.config, "its dropout included"
    back = pretrained.load(tmp_path / "tuned", heads=(CausalLMHead(),))
    assert back.dropped == ("score.weight",) and back.config.heads == (CausalLMHead(),)


def test_a_task_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    build_peer("GPT2").save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"problem_type": "ranking"}))
    with pytest.raises(ConfigError, match="problem_type: is none of single_label_classification"):
        pretrained.load(tmp_path)


DESIGNS = {
    "GPT2ForSequenceClassification": {
        "norm": {"kind": "layer_norm", "eps": 1e-5},
        "feed_forward": {"kind": "plain", "activation": "gelu_tanh"},
        "num_token_types": 0,
    },
    "GroundupForSequenceClassification": {"num_token_types": 2},
}


@pytest.mark.parametrize("expected", DESIGNS)
def test_what_is_trained_on_a_decoder_predicts_the_same_in_transformers(
    make_recipe: Make, tmp_path: Path, expected: str
) -> None:
    pytest.importorskip("groundup.integrations.transformers")  # so that Auto classes know our own designs
    design = {"causal": True, "norm_places": ["input", "final"], **DESIGNS[expected]}
    pretraining = make_recipe("masked", objective={"kind": "causal"}, model=design, train={"steps": 2})
    pretraining["output"] = str(tmp_path / "pretrained")
    recipe = make_recipe("classification")
    recipe["model"] = {"kind": "pretrained", "path": str(train(pretraining, quiet=True).model)}
    recipe.pop("tokenizer", None)
    folder = train(recipe, quiet=True).model
    texts = ["the cat sees one dog", "red", "a bird finds two fish 猫"]
    ours = [[row["probabilities"][label] for label in sorted(row["probabilities"])] for row in predict(folder, texts)]
    opened = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    assert type(opened).__name__ == expected
    inputs = transformers.AutoTokenizer.from_pretrained(folder)(texts, padding=True, return_tensors="pt")
    order = [opened.config.label2id[label] for label in sorted(opened.config.label2id)]
    with torch.no_grad():
        theirs = opened(**inputs).logits.softmax(dim=-1)[:, order]
    assert (theirs - torch.tensor(ours)).abs().max() < TOLERANCE
