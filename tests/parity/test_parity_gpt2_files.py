"""`vocab.json` and `merges.txt`, GPT-2's and RoBERTa's older files, against transformers reading the same folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from nasty_text import NASTY

from groundup.errors import DataError
from groundup.text.tokenizer import ByteBPE, Tokenizer, WordPiece, train_tokenizer

FIXTURES = Path(__file__).parents[1] / "fixtures" / "text"
LINES = [
    line
    for name in ("english.txt", "chinese.txt")
    for line in (FIXTURES / name).read_text(encoding="utf-8").splitlines()
]
TRAINED = train_tokenizer(ByteBPE(vocab_size=600), [*LINES, *NASTY])
END = "<|endoftext|>"
SAMPLES = [*NASTY, *LINES[:3], f"one{END}two {END} 三", "the <pad> river [X]y"]


def gpt2_folder(folder: Path, *, special: list[str] | None = None, added: dict | None = None, **settings) -> Path:
    """As OpenAI's was saved: ids of the bytes first, then of the pairs, the end of text last."""
    model = json.loads(TRAINED.files()["tokenizer.json"])["model"]
    tokens = [token for token in model["vocab"] if token not in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")]
    folder.mkdir(exist_ok=True)
    vocab = {token: index for index, token in enumerate([*tokens, *(special or [END])])}
    (folder / "vocab.json").write_text(json.dumps(vocab, ensure_ascii=False), encoding="utf-8")
    merges = "".join(f"{left} {right}\n" for left, right in model["merges"])
    (folder / "merges.txt").write_text(f"#version: 0.2\n{merges}", encoding="utf-8")
    if added is not None:
        offset = {token: len(vocab) + index for token, index in added.items()}
        (folder / "added_tokens.json").write_text(json.dumps(offset), encoding="utf-8")
    if settings:
        (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"settings": {"tokenizer_class": "GPT2Tokenizer", "model_max_length": 1024}},
        {"settings": {"add_prefix_space": True}},
        {"settings": {"add_bos_token": True}},
        {"settings": {"pad_token": "<pad>"}, "added": {"<pad>": 0}},
        {
            "special": ["<s>", "</s>", "<pad>"],
            "settings": {"tokenizer_class": "GPT2Tokenizer"}
            | {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "</s>", "pad_token": "<pad>"},
        },
    ],
    ids=["bare", "named", "prefix space", "begun", "added", "other names"],
)
def test_ids_are_those_of_transformers(tmp_path: Path, values: dict) -> None:
    from transformers import AutoTokenizer, GPT2Tokenizer, GPT2TokenizerFast

    made = {name: value for name, value in values.items() if name != "settings"}
    folder = gpt2_folder(tmp_path / "gpt2", **made, **values.get("settings", {}))
    ours = Tokenizer.load(folder)
    ours.save(tmp_path / "saved")
    (tmp_path / "saved" / "config.json").write_text('{"model_type": "gpt2"}')
    theirs = [
        GPT2Tokenizer.from_pretrained(folder),
        GPT2TokenizerFast.from_pretrained(folder),
        AutoTokenizer.from_pretrained(tmp_path / "saved"),
    ]
    for their in theirs:
        for text in SAMPLES:
            ids = ours.encode(text).input_ids.tolist()
            assert their(text)["input_ids"] == ids, text
            assert their.decode(ids) == ours.decode(ids)
        assert (their.bos_token_id, their.eos_token_id, their.pad_token_id) == (ours.start_id, ours.end_id, ours.pad_id)
        assert len(their) == ours.vocab_size
        assert "token_type_ids" not in their("a")
    again = Tokenizer.load(tmp_path / "saved")
    assert (again.digest, again.start_id, again.end_id) == (ours.digest, ours.start_id, ours.end_id)
    assert Tokenizer.load(folder / "vocab.json").digest == Tokenizer.load(folder / "merges.txt").digest == ours.digest


ROBERTA = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
PAIRS = [("the river", "one [X]y"), ("写在这里", " "), ("a <mask> b", "no <mask>")]


@pytest.mark.parametrize(
    "settings",
    [
        {"tokenizer_class": "RobertaTokenizer"},
        {"tokenizer_class": "RobertaTokenizerFast", "add_prefix_space": True},
        {"tokenizer_class": "RobertaTokenizer", "model_max_length": 512, "trim_offsets": False},
        {},
    ],
    ids=str,
)
def test_ids_of_roberta_are_those_of_transformers(tmp_path: Path, settings: dict) -> None:
    from transformers import AutoTokenizer, RobertaTokenizer

    folder = gpt2_folder(tmp_path / "roberta", special=ROBERTA, **settings)
    (folder / "config.json").write_text('{"model_type": "roberta"}')
    ours = Tokenizer.load(folder)
    ours.save(tmp_path / "saved")
    (tmp_path / "saved" / "config.json").write_text('{"model_type": "roberta"}')
    # The mask takes the space in front of it: so says the folder that RoBERTa was released with.
    mask = {"__type": "AddedToken", "content": "<mask>", "lstrip": True, "rstrip": False, "normalized": True}
    said = {**settings, "mask_token": {**mask, "single_word": False}}
    (folder / "tokenizer_config.json").write_text(json.dumps(said))
    theirs = [RobertaTokenizer.from_pretrained(folder), AutoTokenizer.from_pretrained(tmp_path / "saved")]
    for their in theirs:
        for text in [*SAMPLES, *(part for pair in PAIRS for part in pair)]:
            ids = ours.encode(text).input_ids.tolist()
            assert their(text)["input_ids"] == ids, text
        for pair in PAIRS:
            encoded = ours.encode(*pair)
            assert their(*pair)["input_ids"] == encoded.input_ids.tolist()
            assert not encoded.token_type_ids.any()
        names = ("cls", "sep", "pad", "mask", "unk")
        assert [getattr(their, f"{name}_token_id") for name in names] == [
            ours.cls_id,
            ours.sep_id,
            ours.pad_id,
            ours.mask_id,
            ours.unknown_id,
        ]
    first, last = ours.encode("a", "b").input_ids.tolist(), [ours.sep_id, ours.sep_id]
    assert any(first[at : at + 2] == last for at in range(len(first))), "two ends between the texts of a pair"
    assert Tokenizer.load(tmp_path / "saved").digest == ours.digest


def test_roberta_needs_its_special_tokens(tmp_path: Path) -> None:
    folder = gpt2_folder(tmp_path, special=["<pad>"], tokenizer_class="RobertaTokenizer")
    with pytest.raises(DataError, match=r"vocab\.json: lacks the special tokens <s> and </s>"):
        Tokenizer.load(folder)


def test_the_order_of_merges_decides(tmp_path: Path) -> None:
    from transformers import GPT2Tokenizer

    folder = gpt2_folder(tmp_path)
    ours = Tokenizer.load(folder)
    lines = (folder / "merges.txt").read_text(encoding="utf-8").splitlines()
    (folder / "merges.txt").write_text("\n".join([lines[0], *reversed(lines[1:])]) + "\n", encoding="utf-8")
    theirs = GPT2Tokenizer.from_pretrained(folder)
    assert any(theirs(text)["input_ids"] != ours.encode(text).input_ids.tolist() for text in LINES)


def test_both_forms_in_one_folder_must_agree(tmp_path: Path) -> None:
    folder = gpt2_folder(tmp_path)
    Tokenizer.load(folder).save(folder)
    assert Tokenizer.load(folder).encode("the mill").input_ids.tolist()
    lines = (folder / "merges.txt").read_text(encoding="utf-8").splitlines()
    swapped = [*lines[:5], lines[6], lines[5], *lines[7:], ""]
    (folder / "merges.txt").write_text("\n".join(swapped), encoding="utf-8")
    with pytest.raises(DataError, match=r"tokenizer\.json and merges\.txt disagree: at pair 5; remove what"):
        Tokenizer.load(folder)
    (folder / "merges.txt").write_text("\n".join([*lines[:-1], ""]), encoding="utf-8")
    with pytest.raises(DataError, match=f"disagree: it has {len(lines) - 2} pairs, that has {len(lines) - 1}"):
        Tokenizer.load(folder)
    assert Tokenizer.load(folder / "tokenizer.json").vocab_size == Tokenizer.load(folder / "vocab.json").vocab_size
    gpt2_folder(tmp_path, special=["<|end|>", END])
    with pytest.raises(DataError, match=r"disagree: '<\|end\|>' has id \d+ in vocab\.json, and None in tokenizer"):
        Tokenizer.load(folder)


def test_files_beside_a_tokenizer_of_another_kind_are_left_alone(tmp_path: Path) -> None:
    folder = gpt2_folder(tmp_path)
    train_tokenizer(WordPiece(vocab_size=600), LINES).save(folder)
    assert Tokenizer.load(folder).digest == Tokenizer.load(folder / "tokenizer.json").digest


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("vocab.json", "{", "vocab.json:1: is not JSON"),
        ("vocab.json", "[]", "is no list of tokens with their ids"),
        ("vocab.json", '{"a": true}', "is no list of tokens with their ids"),
        ("vocab.json", '{"a": 1, "b": 1}', "gives one id to several tokens"),
        ("vocab.json", '{"a": 0, "b": 1}', "lacks 254 of the 256 bytes"),
        ("merges.txt", "#version: 0.2\na b c\n", "merges.txt:2: is no pair of tokens, got 'a b c'"),
        ("merges.txt", "ab\n", "merges.txt:1: is no pair of tokens"),
        ("merges.txt", "#version: 0.2\n龘 a\n", "merges.txt:2: joins what vocab.json does not have"),
        ("added_tokens.json", '{"<pad>": 5}', "gives '<pad>' an id that is not the next one, got 5"),
        ("tokenizer_config.json", '{"tokenizer_class": "Qwen2Tokenizer"}', "do not say how Qwen2Tokenizer splits text"),
    ],
)
def test_bad_files(tmp_path: Path, name: str, content: str, expected: str) -> None:
    (gpt2_folder(tmp_path) / name).write_text(content, encoding="utf-8")
    with pytest.raises(DataError) as caught:
        Tokenizer.load(tmp_path)
    assert expected in str(caught.value)


def test_half_a_folder_and_rules_that_nothing_names(tmp_path: Path) -> None:
    folder = gpt2_folder(tmp_path, special=["<s>", "</s>"])
    with pytest.raises(DataError, match=r"special tokens of RoBERTa.*tokenizer_class"):
        Tokenizer.load(folder)
    (folder / "merges.txt").unlink()
    with pytest.raises(DataError, match=r"has no merges\.txt; vocab\.json and merges\.txt belong together"):
        Tokenizer.load(folder)
