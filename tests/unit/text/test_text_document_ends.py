"""What a document starts and ends with for a causal model, by every convention in use."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, pre_tokenizers

from groundup.errors import ConfigError
from groundup.text.tokenizer import ByteBPE, Tokenizer, WordPiece, train_tokenizer

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
