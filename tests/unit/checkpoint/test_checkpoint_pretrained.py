"""Model folders in and out: nothing is lost, nothing half-loads, every fault is named with its file."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from groundup.checkpoint import pretrained
from groundup.checkpoint.pretrained import Pretrained, load, save
from groundup.errors import CheckpointError, ConfigError, GroundupError
from groundup.model.config import (
    ClassificationHead,
    GatedFeedForward,
    Head,
    MaskedLMHead,
    ModelConfig,
    NextSentenceHead,
    RMSNormConfig,
    RotaryPositions,
    SpanHead,
    TokenHead,
)
from groundup.model.initialize import initialize
from groundup.model.transformer import Transformer

SIZES = {
    "vocab_size": 40,
    "hidden_size": 16,
    "num_layers": 2,
    "num_heads": 2,
    "intermediate_size": 24,
    "max_length": 20,
}
FILES = {"tokenizer.json": b'{"model": 1}', "tokenizer_config.json": b"{}"}


def build(*heads: Head, **values: Any) -> Transformer:
    model = Transformer(ModelConfig(**{**SIZES, **values}, heads=heads))
    initialize(model, 3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(parameter.numel())))
    return model


def write(folder: Path, model: Transformer, **values: Any) -> Path:
    save(folder, model, **{"tokenizer_files": FILES, "manifest": {"recipe": {"seed": 1}}, "card": "# 模型", **values})
    return folder


def write_foreign(folder: Path, model: Transformer, **values: Any) -> Path:
    """As if somebody else had written it: without groundup.json, so that files may be changed."""
    write(folder, model, **values)
    (folder / "groundup.json").unlink()
    return folder


def edit_config(folder: Path, **values: Any) -> None:
    path = folder / "config.json"
    content = json.loads(path.read_text()) | values
    path.write_text(json.dumps({key: value for key, value in content.items() if value != "absent"}))


def edit_tensors(folder: Path, edit: Callable[[dict[str, torch.Tensor]], None]) -> None:
    tensors = load_file(folder / "model.safetensors")
    edit(tensors)
    save_file({name: tensor.clone() for name, tensor in tensors.items()}, folder / "model.safetensors")


def assert_equal(one: Transformer, other: Transformer) -> None:
    ours, theirs = one.state_dict(), other.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


HEADS = {
    "none": (),
    "masked_lm": (MaskedLMHead(),),
    "next_sentence": (NextSentenceHead(),),
    "pretraining": (MaskedLMHead(), NextSentenceHead()),
    "classification": (ClassificationHead(num_labels=3),),
    "token": (TokenHead(num_labels=3),),
    "span": (SpanHead(),),
    "two_trainings": (MaskedLMHead(), ClassificationHead(num_labels=3, dropout=0.3)),
    "clash": (ClassificationHead(num_labels=3), TokenHead(num_labels=3)),
}


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("is_tied", [True, False])
def test_every_design_comes_back_bit_by_bit(name: str, is_tied: bool, tmp_path: Path) -> None:
    model = build(*HEADS[name], tie_embeddings=is_tied)
    loaded = load(write(tmp_path / "model", model))
    assert loaded.config == model.config
    assert_equal(loaded.model, model)
    assert loaded.fresh == () and loaded.dropped == ()
    expected = "groundup" if name == "clash" else "bert"
    assert loaded.extra_config["model_type"] == expected


@pytest.mark.parametrize(
    "values",
    [
        {"causal": True, "norm_places": ("input", "final"), "norm": RMSNormConfig(), "num_kv_heads": 1},
        {"position": RotaryPositions(base=500.0), "feed_forward": GatedFeedForward(), "num_token_types": 0},
        {"output_init": "zero"},
        {"pooler": True, "norm_places": ("embedding", "output")},
    ],
    ids=lambda values: next(iter(values)),
)
@pytest.mark.parametrize("heads", [(), (MaskedLMHead(),), (ClassificationHead(num_labels=2),)], ids=len)
def test_our_own_format_comes_back_bit_by_bit(values: dict[str, Any], heads: tuple[Head, ...], tmp_path: Path) -> None:
    model = build(*heads, **values)
    loaded = load(write(tmp_path / "model", model))
    assert loaded.extra_config["model_type"] == "groundup"
    assert loaded.config == model.config
    assert_equal(loaded.model, model)


def test_what_lies_in_the_folder(tmp_path: Path) -> None:
    model = build(ClassificationHead(num_labels=2))
    folder = write(tmp_path / "model", model, labels=["否", "是"])
    names = {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "README.md",
        "groundup.json",
    }
    assert set(os.listdir(folder)) == names
    assert (folder / "README.md").read_text(encoding="utf-8") == "# 模型"
    loaded = load(folder)
    assert loaded.labels == ("否", "是")
    assert loaded.tokenizer_folder == folder
    assert loaded.manifest is not None and loaded.manifest["recipe"] == {"seed": 1}
    assert set(loaded.manifest["files"]) == names - {"groundup.json"}
    assert loaded.extra_config["label2id"] == {"否": 0, "是": 1}


def test_a_manifest_keeps_its_order(tmp_path: Path) -> None:
    """Metrics stand in it as their task tells them."""
    metrics = {"precision": 0.5, "f1": 0.4, "accuracy": 0.6}
    found = load(write(tmp_path / "one", build(MaskedLMHead()), manifest={"metrics": metrics, "a": 1})).manifest
    assert list(found["metrics"]) == list(metrics) and list(found)[:2] == ["metrics", "a"]


def test_a_saved_manifest_can_be_saved_again(tmp_path: Path) -> None:
    model = build()
    first = load(write(tmp_path / "one", model)).manifest
    write(tmp_path / "two", build(MaskedLMHead()), manifest=first)
    assert load(tmp_path / "two").manifest["recipe"] == {"seed": 1}


def test_no_field_of_a_foreign_config_is_lost(tmp_path: Path) -> None:
    folder = write_foreign(tmp_path / "one", build(MaskedLMHead(), NextSentenceHead()))
    further = {
        "_name_or_path": "x/y",
        "use_cache": True,
        "hidden_act": "gelu_python",
        "architectures": ["BertForMaskedLM"],
    }
    edit_config(folder, **further, transformers_version="4.8.2", position_embedding_type="absent", id2label="absent")
    before = json.loads((folder / "config.json").read_text())
    loaded = load(folder)
    write(tmp_path / "two", loaded.model, extra_config=loaded.extra_config)
    assert json.loads((tmp_path / "two" / "config.json").read_text()) == before
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    assert one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def test_where_the_design_has_changed_only_descriptions_are_kept(tmp_path: Path) -> None:
    folder = write_foreign(tmp_path / "one", build(MaskedLMHead()))
    edit_config(folder, _name_or_path="x/y", problem_type=None)
    loaded = load(folder, heads=[ClassificationHead(num_labels=2)])
    write(tmp_path / "two", loaded.model, extra_config=loaded.extra_config, labels=["a", "b"])
    after = json.loads((tmp_path / "two" / "config.json").read_text())
    assert after["_name_or_path"] == "x/y" and after["architectures"] == ["BertForSequenceClassification"]
    assert "problem_type" not in after
    assert load(tmp_path / "two").labels == ("a", "b")


@pytest.mark.parametrize("key", ["dtype", "torch_dtype"])
def test_half_precision_comes_back_as_long_as_nothing_is_lost(key: str, tmp_path: Path) -> None:
    folder = write_foreign(tmp_path / "one", build())
    edit_config(folder, **{key: "float16"})
    edit_tensors(folder, lambda tensors: tensors.update({name: each.half() for name, each in tensors.items()}))
    loaded = load(folder)
    assert {parameter.dtype for parameter in loaded.model.parameters()} == {torch.float32}
    write(tmp_path / "two", loaded.model, extra_config=loaded.extra_config)
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    assert all(two[name].dtype == torch.float16 and torch.equal(one[name], two[name]) for name in one)
    with torch.no_grad():
        loaded.model.embedding.norm.bias[0] = 1 / 3
    write(tmp_path / "three", loaded.model, extra_config=loaded.extra_config)
    assert load(tmp_path / "three").extra_config[key] == "float32"
    assert_equal(load(tmp_path / "three").model, loaded.model)


def test_loading_draws_nothing_from_the_global_random_state(tmp_path: Path) -> None:
    folder = write(tmp_path / "model", build())
    before = torch.get_rng_state()
    load(folder, heads=[ClassificationHead(num_labels=2)])
    assert torch.equal(before, torch.get_rng_state())


def load_heads(folder: Path, *heads: Head, seed: int = 0) -> Pretrained:
    return load(folder, heads=heads, seed=seed)


def test_given_heads_replace_those_of_the_folder(tmp_path: Path) -> None:
    model = build(MaskedLMHead(), NextSentenceHead())
    folder = write(tmp_path / "model", model)
    loaded = load_heads(folder, MaskedLMHead(), ClassificationHead(num_labels=3))
    assert loaded.fresh == ("heads.classification.linear.weight", "heads.classification.linear.bias")
    assert loaded.dropped == ("cls.seq_relationship.bias", "cls.seq_relationship.weight")
    assert loaded.labels is None
    state = model.state_dict()
    kept = {name: each for name, each in loaded.model.state_dict().items() if name not in loaded.fresh}
    assert all(torch.equal(each, state[name]) for name, each in kept.items())
    assert any(name.startswith("pooler") for name in kept), "the pooler of the dropped head serves the new one"


def test_no_heads_at_all(tmp_path: Path) -> None:
    loaded = load_heads(write(tmp_path / "model", build(ClassificationHead(num_labels=3))))
    assert loaded.config.heads == () and not loaded.config.has_pooler and loaded.fresh == ()
    assert loaded.dropped == (
        "bert.pooler.dense.bias",
        "bert.pooler.dense.weight",
        "classifier.bias",
        "classifier.weight",
    )


def test_a_pooler_that_nobody_needs_stays_only_with_the_folders_own_heads(tmp_path: Path) -> None:
    folder = write(tmp_path / "model", build(pooler=True))
    assert load(folder).config.pooler
    assert load_heads(folder, TokenHead(num_labels=2)).dropped == ("pooler.dense.bias", "pooler.dense.weight")
    assert load_heads(folder, ClassificationHead(num_labels=2)).dropped == ()
    assert load_heads(write(tmp_path / "bare", build()), NextSentenceHead()).fresh[:2] == (
        "pooler.weight",
        "pooler.bias",
    )


def test_fresh_weights_depend_on_the_seed_alone(tmp_path: Path) -> None:
    folder = write(tmp_path / "model", build())
    one, same, other = (load_heads(folder, TokenHead(num_labels=4), seed=seed).model for seed in (1, 1, 2))
    assert_equal(one, same)
    assert not torch.equal(one.heads["token"].linear.weight, other.heads["token"].linear.weight)
    assert one.heads["token"].linear.weight.std() > 0


@pytest.mark.parametrize("kind", [ClassificationHead, TokenHead])
def test_a_head_for_another_number_of_classes_is_fresh(kind: type[Head], tmp_path: Path) -> None:
    folder = write(tmp_path / "model", build(kind(num_labels=3)), labels=["a", "b", "c"])
    same = load_heads(folder, kind(num_labels=3, dropout=0.5))
    assert same.fresh == () and same.dropped == () and same.labels == ("a", "b", "c")
    other = load_heads(folder, kind(num_labels=2))
    assert len(other.fresh) == 2 and other.dropped == ("classifier.bias", "classifier.weight")
    assert other.labels is None


def test_tensors_of_an_unknown_head_are_dropped_with_it(tmp_path: Path) -> None:
    folder = write_foreign(tmp_path / "model", build(MaskedLMHead()))
    edit_config(folder, architectures=["BertWithCrf"])
    edit_tensors(folder, lambda tensors: tensors.update({"crf.transitions": torch.zeros(3, 3)}))
    with pytest.raises(ConfigError, match="'BertWithCrf' is not supported"):
        load(folder)
    loaded = load_heads(folder, MaskedLMHead())
    assert loaded.dropped == ("crf.transitions",) and loaded.fresh == ()


def test_names_without_a_prefix_and_in_older_spellings(tmp_path: Path) -> None:
    model = build(MaskedLMHead())
    folder = write_foreign(tmp_path / "model", model)

    def age(tensors: dict[str, torch.Tensor]) -> None:
        for name in list(tensors):
            old = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
            tensors[old] = tensors.pop(name)
        tensors["bert.embeddings.position_ids"] = torch.arange(20).unsqueeze(0)
        tensors["cls.predictions.decoder.weight"] = tensors["bert.embeddings.word_embeddings.weight"]
        tensors["cls.predictions.decoder.bias"] = tensors["cls.predictions.bias"]

    edit_tensors(folder, age)
    assert "bert.embeddings.LayerNorm.gamma" in load_file(folder / "model.safetensors")
    assert_equal(load(folder).model, model)
    bare = build()
    folder = write_foreign(tmp_path / "bare", bare)
    edit_tensors(
        folder, lambda tensors: [tensors.update({f"bert.{name}": tensors.pop(name)}) for name in list(tensors)]
    )
    assert_equal(load(folder).model, bare)


FAULTS: dict[str, tuple[Callable[[dict[str, torch.Tensor]], Any], str]] = {
    "one too few": (
        lambda tensors: tensors.pop("bert.encoder.layer.1.output.dense.bias"),
        r"lacks the tensor 'bert\.encoder\.layer\.1\.output\.dense\.bias'",
    ),
    "one too many": (
        lambda tensors: tensors.update({"bert.encoder.layer.0.attention.self.gate.weight": torch.zeros(16, 16)}),
        r"holds the tensor 'bert\.encoder\.layer\.0\.attention\.self\.gate\.weight' \(nearest: ",
    ),
    "a layer too many": (
        lambda tensors: tensors.update(
            {name.replace(".1.", ".2."): tensor for name, tensor in list(tensors.items()) if ".layer.1." in name}
        ),
        r"holds the tensors 'bert\.encoder\.layer\.2\..* and 12 more that the design does not have",
    ),
    "a misspelt name": (
        lambda tensors: tensors.update({"cls.predictions.biass": tensors.pop("cls.predictions.bias")}),
        r"holds the tensor 'cls\.predictions\.biass'|lacks the tensor 'cls\.predictions\.bias'",
    ),
    "another shape": (
        lambda tensors: tensors.update({"bert.embeddings.word_embeddings.weight": torch.zeros(41, 16)}),
        r"'bert\.embeddings\.word_embeddings\.weight' has another shape than .* it, \[40, 16\], got \[41",
    ),
    "a transposed matrix": (
        lambda tensors: tensors.update(
            {"bert.encoder.layer.0.output.dense.weight": torch.zeros(24, 16)},
        ),
        r"'bert\.encoder\.layer\.0\.output\.dense\.weight' has another shape",
    ),
    "whole numbers": (
        lambda tensors: tensors.update({"cls.predictions.bias": torch.zeros(40, dtype=torch.int32)}),
        r"'cls\.predictions\.bias' is not of float32",
    ),
    "double precision": (
        lambda tensors: tensors.update({"cls.predictions.bias": torch.zeros(40, dtype=torch.float64)}),
        r"'cls\.predictions\.bias' is not of float32",
    ),
    "a decoder that is not the embedding": (
        lambda tensors: tensors.update({"cls.predictions.decoder.weight": torch.zeros(40, 16)}),
        r"'cls\.predictions\.decoder\.weight' differs from",
    ),
    "positions that do not count up": (
        lambda tensors: tensors.update({"bert.embeddings.position_ids": torch.arange(1, 21)}),
        r"'bert\.embeddings\.position_ids' holds other values",
    ),
    "not a number": (
        lambda tensors: tensors["bert.encoder.layer.1.output.dense.weight"][0].fill_(math.nan),
        r"'bert\.encoder\.layer\.1\.output\.dense\.weight' holds NaN or infinity in \d+ places; copy",
    ),
    "two spellings of one": (
        lambda tensors: tensors.update({"bert.embeddings.LayerNorm.gamma": torch.zeros(16)}),
        "are the same one",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_folder_whose_tensors_are_not_those_of_its_design(fault: str, tmp_path: Path) -> None:
    folder = write_foreign(tmp_path / "model", build(MaskedLMHead()))
    edit, problem = FAULTS[fault]
    load(folder)
    edit_tensors(folder, edit)
    for heads in (None, [MaskedLMHead()]):
        with pytest.raises(CheckpointError, match=problem) as caught:
            load(folder, heads=heads)
        assert str(caught.value).startswith(str(folder / "model.safetensors"))


def test_half_a_head_is_no_head_to_start_afresh(tmp_path: Path) -> None:
    folder = write_foreign(tmp_path / "model", build(MaskedLMHead()))
    edit_tensors(folder, lambda tensors: tensors.pop("cls.predictions.transform.dense.bias"))
    with pytest.raises(CheckpointError, match=r"lacks the tensor 'cls\.predictions\.transform\.dense\.bias'"):
        load(folder, heads=[MaskedLMHead()])


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"num_hidden_layers": 3}, r"lacks the tensors 'bert\.encoder\.layer\.2\."),
        ({"num_hidden_layers": 1}, r"holds the tensors 'bert\.encoder\.layer\.1\."),
        ({"max_position_embeddings": 21}, "position_embeddings.* has another shape"),
        ({"architectures": ["BertForPreTraining"]}, "lacks the tensors"),
        ({"tie_word_embeddings": False}, r"lacks the tensor 'cls\.predictions\.decoder\.weight'"),
        ({"model_type": "bret"}, "model_type: is not supported, got 'bret'; did you mean 'bert'"),
        ({"model_type": "absent"}, "model_type: is missing"),
        ({"model_type": ["bert"]}, "model_type: is not supported"),
        ({"auto_map": {"AutoModel": "modeling.Bert"}}, "code of its own"),
        ({"vocab_size": "40"}, "vocab_size: must be a whole number"),
        ({"num_hidden_layers": 10**9}, r"config\.json: num_layers: must be at most 10000, got 1000000000"),
    ],
    ids=str,
)
def test_a_config_that_does_not_fit(values: dict[str, Any], problem: str, tmp_path: Path) -> None:
    folder = write_foreign(tmp_path / "model", build(MaskedLMHead()))
    edit_config(folder, **values)
    with pytest.raises(GroundupError, match=problem):
        load(folder)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff\xfe", b"\xef\xbb\xbf{}", b"[" * 100_000])
def test_a_config_that_is_none(content: bytes, tmp_path: Path) -> None:
    folder = write_foreign(tmp_path / "model", build())
    (folder / "config.json").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"config\.json: is no JSON"):
        load(folder)


def test_a_missing_config(tmp_path: Path) -> None:
    folder = write_foreign(tmp_path / "model", build())
    (folder / "config.json").unlink()
    with pytest.raises(CheckpointError, match=r"holds no config\.json"):
        load(folder)


@pytest.mark.parametrize(
    "name", ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "groundup.json"]
)
def test_one_bit_of_our_own_folder_does_not_flip_unseen(name: str, tmp_path: Path) -> None:
    folder = write(tmp_path / "model", build(ClassificationHead(num_labels=2)))
    data = (folder / name).read_bytes()
    for position in range(0, len(data), max(1, len(data) // 23)):
        flipped = bytearray(data)
        flipped[position] ^= 1 << position % 7
        (folder / name).write_bytes(flipped)
        with pytest.raises(CheckpointError, match=name):
            load(folder)
    (folder / name).write_bytes(data)
    load(folder)
    (folder / "README.md").write_text("mine")
    load(folder)


def test_a_meant_change_of_our_own_folder(tmp_path: Path) -> None:
    folder = write(tmp_path / "model", build(ClassificationHead(num_labels=2)))
    edit_config(folder, id2label={"0": "no", "1": "yes"}, label2id={"no": 0, "yes": 1})
    with pytest.raises(CheckpointError, match="remove its entry in `files` and the `checksum`"):
        load(folder)
    manifest = json.loads((folder / "groundup.json").read_text())
    del manifest["checksum"], manifest["files"]["config.json"]
    (folder / "groundup.json").write_text(json.dumps(manifest))
    assert load(folder).labels == ("no", "yes")


def test_a_save_replaces_only_what_it_wrote_itself(tmp_path: Path) -> None:
    folder = write(tmp_path / "model", build())
    write(folder, build(MaskedLMHead()))
    assert load(folder).config.heads == (MaskedLMHead(),)
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(CheckpointError, match=r"did not write there, got \['notes\.txt'\]"):
        write(folder, build())
    assert load(folder).config.heads == (MaskedLMHead(),) and (folder / "notes.txt").exists()
    foreign = write_foreign(tmp_path / "foreign", build())
    with pytest.raises(CheckpointError, match="files that groundup did not write"):
        write(foreign, build())
    (tmp_path / "empty").mkdir()
    write(tmp_path / "empty", build())


@pytest.mark.parametrize("labels", [["a"], ["a", "b", "c"], ["a", "a"]])
def test_labels_that_do_not_fit_the_head(labels: list[str], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^labels: must be"):
        write(tmp_path / "model", build(ClassificationHead(num_labels=2)), labels=labels)
    with pytest.raises(ConfigError, match=r"^labels: must be no"):
        write(tmp_path / "model", build(MaskedLMHead()), labels=labels)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["config.json", "../x", "groundup.json", "a/b"])
def test_names_that_are_not_those_of_a_tokenizers_files(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no name of a tokenizer's file"):
        write(tmp_path / "model", build(), tokenizer_files={name: b""})
    assert os.listdir(tmp_path) == []


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pretrained, "write_tensors", fail)
    with pytest.raises(CheckpointError, match="cannot be written: No space left on device"):
        write(tmp_path / "model", build())
    assert os.listdir(tmp_path) == []
