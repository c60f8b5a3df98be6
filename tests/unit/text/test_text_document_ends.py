"""What a document starts and ends with for a causal model, by every convention in use."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, pre_tokenizers, processors

from groundup.errors import ConfigError
from groundup.text.tokenizer import ByteBPE, Characters, Tokenizer, WordPiece, train_tokenizer

TEXTS = ["the river and the mill", "河水流过旧磨坊，河水流过。"] * 3


def folder_with(folder: Path, special: list[str], settings: dict | None = None) -> Path:
    backend = Backend(models.BPE({"a": 0, "b": 1}, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens(special)
    backend.save(str(folder / "tokenizer.json"))
    if settings is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("special", "settings", "start", "end"),
    [
        (["<s>", "<pad>", "</s>"], None, "<s>", "</s>"),
        (["<|endoftext|>"], None, "<|endoftext|>", "<|endoftext|>"),
        (["<|begin_of_text|>", "<|end_of_text|>"], None, "<|begin_of_text|>", "<|end_of_text|>"),
        (["[CLS]", "[SEP]"], None, "[CLS]", "[SEP]"),
        (["<pad>"], None, None, None),
        (["<s>", "</s>", "<|im_end|>"], {"eos_token": {"content": "<|im_end|>"}}, "<s>", "<|im_end|>"),
        (["<|endoftext|>"], {"bos_token": None, "eos_token": "<|endoftext|>"}, None, "<|endoftext|>"),
        (["[CLS]", "[SEP]", "<|endoftext|>"], {"bos_token": None, "eos_token": None}, "[CLS]", "[SEP]"),
    ],
)
def test_what_a_document_starts_and_ends_with(
    tmp_path: Path, special: list[str], settings: dict | None, start: str | None, end: str | None
) -> None:
    tokenizer = Tokenizer.load(folder_with(tmp_path, special, settings))
    tokenizer.save(tmp_path / "again")
    for found in (tokenizer, Tokenizer.load(tmp_path / "again")):
        shown = [None if index is None else found.tokens([index])[0] for index in (found.start_id, found.end_id)]
        assert shown == [start, end]


def test_roberta_has_one_token_for_two_roles(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = Tokenizer.load(folder_with(tmp_path, ["<s>", "<pad>", "</s>", "<mask>"]))
    assert (tokenizer.bos_id, tokenizer.eos_id) == (tokenizer.cls_id, tokenizer.sep_id) == (2, 4)
    tokenizer.save(tmp_path / "saved")
    theirs = AutoTokenizer.from_pretrained(tmp_path / "saved")
    assert (theirs.bos_token_id, theirs.eos_token_id, theirs.cls_token_id, theirs.sep_token_id) == (2, 4, 2, 4)
    assert len(theirs) == tokenizer.vocab_size


@pytest.mark.parametrize("config", [WordPiece(vocab_size=60), ByteBPE(vocab_size=270)], ids=lambda each: each.kind)
def test_those_trained_here_use_cls_and_sep_and_name_no_others(config: WordPiece | ByteBPE) -> None:
    tokenizer = train_tokenizer(config, TEXTS)
    assert (tokenizer.bos_id, tokenizer.eos_id) == (None, None)
    assert (tokenizer.start_id, tokenizer.end_id) == (tokenizer.cls_id, tokenizer.sep_id) == (2, 3)
    names = [name for name in json.loads(tokenizer.files()["tokenizer_config.json"]) if name.endswith("_token")]
    assert names == ["cls_token", "mask_token", "pad_token", "sep_token", "unk_token"]
    with pytest.raises(ConfigError, match=r"has no bos token, which this objective needs; use a tokenizer with one$"):
        tokenizer.require("bos_id")


@pytest.mark.parametrize("config", [WordPiece(vocab_size=60), ByteBPE(vocab_size=270), Characters()])
def test_a_decoders_files_leave_the_end_of_a_text_open(config: object, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    trained = train_tokenizer(config, ["the cat sat", "我看书"] * 4)
    for name, data in trained.files(for_prompts=True).items():
        (tmp_path / name).write_bytes(data)
    again = Tokenizer.load(tmp_path)
    assert again.digest == trained.digest, "here nothing is another"
    assert again.encode("the cat").input_ids.tolist() == trained.encode("the cat").input_ids.tolist()
    assert (again.start_id, again.end_id) == (trained.start_id, trained.end_id)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    for text in ("the cat", "我看书"):
        ids = trained.encode(text).input_ids.tolist()
        assert ids[-1] == trained.end_id
        assert theirs(text)["input_ids"] == ids[:-1], "the start alone"
    assert theirs.eos_token_id == trained.end_id and theirs.bos_token_id == trained.start_id
    assert again.files(for_prompts=True) == trained.files(for_prompts=True)
    for name, data in again.files().items():
        (tmp_path / name).write_bytes(data)
    assert transformers.AutoTokenizer.from_pretrained(tmp_path)(text)["input_ids"] == ids, "whole for a classifier"


def test_a_tokenizer_that_adds_no_end_is_written_as_it_is() -> None:
    backend = Backend(models.WordLevel({"[UNK]": 0, "a": 1, "[CLS]": 2}, unk_token="[UNK]"))
    for processor in (None, processors.TemplateProcessing(single="[CLS] $A", special_tokens=[("[CLS]", 2)])):
        if processor is not None:
            backend.post_processor = processor
        tokenizer = Tokenizer(backend)
        assert tokenizer.files(for_prompts=True) == tokenizer.files()
