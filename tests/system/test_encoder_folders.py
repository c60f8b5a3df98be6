"""Folders of RoBERTa, XLM-R, ALBERT and ELECTRA are trained on, and predict the same in transformers afterwards."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from encoder_peers import build_peer
from small_runs import WORDS
from tokenizers import AddedToken, models, pre_tokenizers, processors
from tokenizers import Tokenizer as Backend

import groundup
from groundup.checkpoint import pretrained
from groundup.errors import GroundupError
from groundup.model.packed import Packed
from groundup.text.tokenizer import ByteBPE, Tokenizer, Unigram, WordPiece, train_tokenizer
from groundup.verbs.trained import load_trained

transformers = pytest.importorskip("transformers")

TEXTS = [" ".join(WORDS), " ".join(reversed(WORDS)), *WORDS] * 3
ENDS = ["<s>", "<pad>", "</s>", "<unk>"]
ARCHITECTURES = {
    "roberta": "RobertaForMaskedLM",
    "xlm-roberta": "XLMRobertaForMaskedLM",
    "albert": "AlbertForMaskedLM",
    "electra": "ElectraForPreTraining",
}


def write_tokenizer(folder: Path, model_type: str) -> None:
    """As each family's folders have it."""
    match model_type:
        case "roberta":
            model = json.loads(train_tokenizer(ByteBPE(vocab_size=400), TEXTS).files()["tokenizer.json"])["model"]
            tokens = [token for token in model["vocab"] if token not in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")]
            vocab = {token: index for index, token in enumerate([*ENDS, *tokens, "<mask>"])}
            (folder / "vocab.json").write_text(json.dumps(vocab))
            merges = "".join(f"{left} {right}\n" for left, right in model["merges"])
            (folder / "merges.txt").write_text(f"#version: 0.2\n{merges}", encoding="utf-8")
        case "xlm-roberta":
            pieces = [*ENDS, "▁", *(f"▁{word}" for word in WORDS), *"abcdefghijklmnopqrstuvwxyz"]
            scores = [(piece, 0.0 if index < 4 else -float(index)) for index, piece in enumerate(pieces)]
            backend = Backend(models.Unigram([*scores, ("<mask>", 0.0)], 3))
            backend.pre_tokenizer = pre_tokenizers.Metaspace()
            backend.add_special_tokens([*ENDS, AddedToken("<mask>", lstrip=True)])
            ends = [(token, backend.token_to_id(token)) for token in ("<s>", "</s>")]
            backend.post_processor = processors.TemplateProcessing(
                single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=ends
            )
            backend.save(str(folder / "tokenizer.json"))
        case "albert":
            train_tokenizer(Unigram(vocab_size=320), TEXTS).save(folder)
        case "electra":
            train_tokenizer(WordPiece(vocab_size=120, min_frequency=1), TEXTS).save(folder)


@pytest.fixture(params=ARCHITECTURES)
def start(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder with random weights, as transformers writes it, and its tokenizer beside it."""
    model_type, folder = request.param, tmp_path / "start"
    folder.mkdir()
    write_tokenizer(folder, model_type)
    has_one_type = {"type_vocab_size": 1} if "roberta" in model_type else {}
    if model_type == "roberta":
        (folder / "config.json").write_text('{"model_type": "roberta"}')
    vocab_size, pad_id = (tokenizer := Tokenizer.load(folder)).vocab_size, tokenizer.pad_id
    sizes = {"vocab_size": vocab_size, "pad_token_id": pad_id, "max_position_embeddings": 48, **has_one_type}
    build_peer(ARCHITECTURES[model_type], **sizes).save_pretrained(folder)
    return folder


def recipe_from(start: Path, make_recipe: Callable[..., dict], kind: str, **sections: object) -> dict:
    values = make_recipe(kind, **sections)
    return values | {"model": {"kind": "pretrained", "path": str(start)}, "tokenizer": None}


def test_a_classifier_of_pairs(start: Path, make_recipe: Callable[..., dict], small_data: Path) -> None:
    for name in ("train", "dev"):
        lines = (small_data / f"{name}.tsv").read_text(encoding="utf-8").splitlines()[1:]
        rows = [line.split("\t") for line in lines]
        pairs = [f"{text}\t{other[0][:9]}\t{label}" for (text, label), other in zip(rows, rows[::-1], strict=True)]
        (small_data / f"{name}.tsv").write_text("\n".join(["text\tpair\tlabel", *pairs]) + "\n", encoding="utf-8")
    recipe = recipe_from(start, make_recipe, "classification", data={"pair": "pair"}, train={"steps": 4})
    groundup.train(recipe, quiet=True)
    folder = Path(recipe["output"]) / "model"
    model, tokenizer = (trained := load_trained(folder)).model, trained.tokenizer
    peer = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    before = pretrained.load(start)
    assert peer.config.model_type == before.extra_config["model_type"]
    assert [head.dropout for head in model.config.heads] == [0.1]
    moved = [
        name
        for name, each in model.state_dict().items()
        if name not in before.model.state_dict() or not torch.equal(each, before.model.state_dict()[name])
    ]
    assert "blocks.0.attention.v.weight" in moved and "heads.classification.linear.weight" in moved
    encode = transformers.AutoTokenizer.from_pretrained(folder)
    controls = []
    for pair in (("the cat sees", "a dog"), ("我 看 书", "one two"), ("fish", "fish")):
        encoded, inputs = tokenizer.encode(*pair), encode(*pair, return_tensors="pt")
        assert inputs["input_ids"][0].tolist() == encoded.input_ids.tolist()
        packed = Packed.from_sequences([encoded.input_ids], [encoded.token_type_ids])
        with torch.no_grad():
            ours = model.heads["classification"](model.summarize(packed))
            theirs, other = peer(**inputs).logits, peer(input_ids=inputs["input_ids"].flip(1)).logits
        assert (ours - theirs).abs().max() < 1e-4
        controls.append(float((ours - other).abs().max()))
    assert max(controls) > 1e-3
    assert peer.config.id2label == {0: "cat", 1: "none"}
    predicted = groundup.predict(folder, [("the cat sees", "a dog")])
    assert len(predicted) == 1


def test_masks_are_learnt_to_be_filled(start: Path, make_recipe: Callable[..., dict]) -> None:
    recipe = recipe_from(start, make_recipe, "masked", train={"steps": 4})
    groundup.train(recipe, quiet=True)
    folder = Path(recipe["output"]) / "model"
    model, tokenizer = (trained := load_trained(folder)).model, trained.tokenizer
    peer = transformers.AutoModelForMaskedLM.from_pretrained(folder).eval()
    before = json.loads((start / "config.json").read_text())
    after = json.loads((folder / "config.json").read_text())
    assert after["model_type"] == before["model_type"] and after["hidden_dropout_prob"] == before["hidden_dropout_prob"]
    mask = tokenizer.tokens([tokenizer.mask_id])[0]
    encoded = tokenizer.encode(f"the {mask} sees")
    ids = torch.from_numpy(encoded.input_ids).long()
    with torch.no_grad():
        ours = model.heads["masked_lm"](model(Packed.from_sequences([ids.numpy()])))
        theirs = peer(input_ids=ids[None]).logits[0]
    assert (ours - theirs).abs().max() < 1e-4
    with pytest.raises(GroundupError, match=f"write {re.escape(mask)} where a word"):
        groundup.predict(folder, ["the cat sees"])
