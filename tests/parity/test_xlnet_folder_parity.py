"""XLNet folders go out as they came in, with their tokenizer, and what is trained here predicts the same there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from decoder_peers import TOLERANCE, save
from safetensors.torch import load_file
from xlnet_peers import HEADS, build_peer, difference, draw_pass

from groundup.checkpoint import pretrained
from groundup.errors import CheckpointError, ConfigError
from groundup.families.xlnet import XLNET
from groundup.model.config import ClassificationHead
from groundup.model.estimate import count_parameters
from groundup.text.tokenizer import Tokenizer, train_tokenizer
from groundup.text.tokenizer_config import WordPiece
from groundup.verbs.predict import predict
from groundup.verbs.train import train

transformers = pytest.importorskip("transformers")

SPECIAL = ["<unk>", "<s>", "</s>", "<cls>", "<sep>", "<pad>", "<mask>", "<eod>", "<eop>"]
WORDS = [
    "▁a",
    "▁slow",
    "▁film",
    "▁dull",
    "▁fine",
    "▁that",
    "电影",
    "好看",
    "很",
    "慢",
    "▁",
    *"abcdefghijklmnopqrstuvwxyz",
]
ROWS = [
    ("a slow film", "that a dull one", "bad"),
    ("电影很慢", "慢 a film", "bad"),
    ("a fine film", "好看", "good"),
    ("电影好看", "that fine film", "good"),
]


@pytest.fixture
def tokenizer_folder(tmp_path: Path) -> Path:
    """A tokenizer of XLNet's kind, as transformers writes it."""
    vocab = [(word, 0.0) for word in SPECIAL] + [(word, -float(number)) for number, word in enumerate(WORDS, start=1)]
    transformers.XLNetTokenizer(vocab=vocab).save_pretrained(tmp_path / "tokenizer")
    return tmp_path / "tokenizer"


@pytest.mark.parametrize("architecture", HEADS)
@pytest.mark.parametrize("is_tied", [True, False])
def test_a_folder_comes_back_bit_by_bit(architecture: str, is_tied: bool, tmp_path: Path) -> None:
    values = {"mem_len": 384, "reuse_len": 256, "clamp_len": 9, "use_mems_train": True, "start_n_top": 3}
    peer = build_peer(architecture, tie_word_embeddings=is_tied, **values)
    peer.save_pretrained(tmp_path / "theirs")
    loaded = pretrained.load(tmp_path / "theirs")
    save(tmp_path / "ours", loaded.model, extra_config=loaded.extra_config)
    theirs, ours = (load_file(tmp_path / name / "model.safetensors") for name in ("theirs", "ours"))
    assert theirs.keys() == ours.keys()
    assert all(torch.equal(theirs[name], ours[name]) for name in theirs)
    content = json.loads((tmp_path / "ours" / "config.json").read_text())
    assert content == loaded.extra_config and values.items() <= content.items()
    opened, report = getattr(transformers, architecture).from_pretrained(tmp_path / "ours", output_loading_info=True)
    assert not any(report.values()), "no tensor missing, unexpected or of another shape"
    assert difference(loaded.model.eval(), opened.eval(), draw_pass()) < TOLERANCE


def test_a_matrix_turned_on_the_way_out_is_noticed(tmp_path: Path) -> None:
    build_peer().save_pretrained(tmp_path / "theirs")
    model = pretrained.load(tmp_path / "theirs").model.eval()
    save(tmp_path / "ours", model)
    opened = transformers.XLNetLMHeadModel.from_pretrained(tmp_path / "ours").eval()
    matrix = opened.transformer.layer[0].rel_attn.o
    matrix.data = matrix.data.permute(0, 2, 1).reshape(matrix.shape)
    assert difference(model, opened, draw_pass()) > 10 * TOLERANCE


def test_what_is_missing_or_of_another_shape_is_named(tmp_path: Path) -> None:
    peer = build_peer()
    peer.save_pretrained(tmp_path)
    content = json.loads((tmp_path / "config.json").read_text())
    for changes, message in (
        ({"n_layer": 4}, r"lacks the tensors 'transformer\.layer\.3\.ff\.layer_1\.bias'"),
        ({"n_head": 3, "d_head": 16}, r"'transformer\.layer\.0\.rel_attn\.\w' must be of the shape \[any, 3, 16\]"),
        (
            {"d_inner": 81},
            r"'transformer\.layer\.0\.ff\.layer_2\.weight' has another shape .*\[48, 81\], got \[48, 80\]",
        ),
    ):
        (tmp_path / "config.json").write_text(json.dumps(content | changes))
        with pytest.raises(CheckpointError, match=message):
            pretrained.load(tmp_path)


@pytest.mark.parametrize(
    ("architecture", "values"),
    [
        ("XLNetLMHeadModel", {"d_model": 768, "n_layer": 12, "n_head": 12, "d_inner": 3072}),
        ("XLNetLMHeadModel", {"d_model": 1024, "n_layer": 24, "n_head": 16, "d_inner": 4096}),
        ("XLNetForSequenceClassification", {"d_model": 1024, "n_layer": 24, "n_head": 16, "d_inner": 4096}),
    ],
    ids=["base", "large", "large with a classifier"],
)
def test_parameters_are_exact_at_the_published_sizes(architecture: str, values: dict[str, int]) -> None:
    config = transformers.XLNetConfig(**values)
    with torch.device("meta"):
        peer = getattr(transformers, architecture)(config)
    design = XLNET.to_config(config.to_dict() | {"architectures": [architecture]}, (), None, "config.json")
    assert sum(count_parameters(design).values()) == sum(each.numel() for each in peer.parameters())
    assert count_parameters(design)["embedding"] == (32000 + 1) * values["d_model"]


def test_the_template_is_read_from_the_folder_and_written_back(tokenizer_folder: Path, tmp_path: Path) -> None:
    theirs = transformers.AutoTokenizer.from_pretrained(tokenizer_folder)
    ours = Tokenizer.load(tokenizer_folder)
    ours.save(tmp_path / "again")
    again = transformers.AutoTokenizer.from_pretrained(tmp_path / "again")
    for texts in (("a slow film",), ("a fine film", "电影好看 dull")):
        found = ours.encode(*texts)
        for each in (theirs, again):
            expected = each(*texts, return_token_type_ids=True)
            assert found.input_ids.tolist() == expected["input_ids"]
            assert found.token_type_ids.tolist() == expected["token_type_ids"]
    assert found.input_ids[[-2, -1]].tolist() == [ours.sep_id, ours.cls_id]
    assert found.token_type_ids.tolist()[-3:] == [1, 1, 2]
    assert json.loads((tmp_path / "again" / "tokenizer.json").read_text()) == json.loads(
        (tokenizer_folder / "tokenizer.json").read_text()
    )


def test_special_tokens_are_known_without_settings(tokenizer_folder: Path) -> None:
    """<s> and </s> stand beside <cls> and <sep> in XLNet's vocabulary, and mean something else."""
    (tokenizer_folder / "tokenizer_config.json").unlink()
    tokenizer = Tokenizer.load(tokenizer_folder)
    assert [tokenizer.cls_id, tokenizer.sep_id, tokenizer.pad_id, tokenizer.mask_id] == [3, 4, 5, 6]
    assert [tokenizer.bos_id, tokenizer.eos_id] == [1, 2]


def make_recipe(folder: Path, model: Path, **changes: object) -> dict[str, object]:
    lines = ["text\tpair\tlabel", *("\t".join(row) for row in ROWS * 4)]
    for name in ("train", "dev"):
        (folder / f"{name}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return {
        "seed": 1,
        "output": str(folder / "run"),
        "data": {
            "kind": "table",
            "train": str(folder / "train.tsv"),
            "validation": str(folder / "dev.tsv"),
            "pair": "pair",
        },
        "model": {"kind": "pretrained", "path": str(model)},
        "objective": {"kind": "classification", "max_length": 24},
        "optimizer": {"kind": "adamw", "learning_rate": 1e-2},
        "train": {"steps": 8, "batch_size": 4, "evaluate_every": 8, "threads": 1, "device": "cpu"},
        **changes,
    }


def write_pretrained(folder: Path, tokenizer_folder: Path) -> Path:
    tokenizer = Tokenizer.load(tokenizer_folder)
    peer = build_peer(vocab_size=tokenizer.vocab_size)
    peer.save_pretrained(folder)
    tokenizer.save(folder)
    return folder


def test_a_classifier_made_from_a_folder_predicts_the_same_in_transformers(
    tokenizer_folder: Path, tmp_path: Path
) -> None:
    folder = write_pretrained(tmp_path / "xlnet", tokenizer_folder)
    report = train(make_recipe(tmp_path, folder), quiet=True)
    assert report.is_finished
    found = predict(report.folder, [(text, pair) for text, pair, _ in ROWS])
    opened = transformers.AutoModelForSequenceClassification.from_pretrained(report.folder / "model").eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(report.folder / "model")
    texts, pairs = [row[0] for row in ROWS], [row[1] for row in ROWS]
    inputs = tokenizer(texts, pairs, padding=True, return_tensors="pt")
    assert {"token_type_ids", "attention_mask"} <= inputs.keys() and (inputs["attention_mask"][:, 0] == 0).any()
    with torch.no_grad():
        shares = opened(**inputs).logits.softmax(dim=-1)
        without = opened(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).logits.softmax(dim=-1)
    ours = torch.tensor(
        [[row["probabilities"][opened.config.id2label[number]] for number in range(2)] for row in found]
    )
    assert (ours - shares).abs().max() < 0.1 * TOLERANCE
    assert (ours - without).abs().max() > TOLERANCE, "segments and the type of the last token matter"
    loaded = pretrained.load(report.folder / "model")
    assert loaded.config.pooled == "last" and loaded.config.heads == (ClassificationHead(num_labels=2),)
    assert loaded.labels == ("bad", "good")


@pytest.mark.parametrize(("pooled", "side"), [("last", "left"), ("first", None)])
def test_a_batch_is_padded_where_no_token_is_pooled(pooled: str, side: str | None, tmp_path: Path) -> None:
    """Whatever tokenizer the model was trained with: by itself, only that of XLNet's own folders pads on the left."""
    tokenizer = train_tokenizer(WordPiece(vocab_size=80), [" ".join(row[:2]) for row in ROWS] * 3)
    build_peer("XLNetForSequenceClassification", vocab_size=tokenizer.vocab_size, summary_type=pooled).save_pretrained(
        tmp_path / "theirs"
    )
    loaded = pretrained.load(tmp_path / "theirs")
    save(tmp_path / "ours", loaded.model, tokenizer_files=tokenizer.files(), extra_config=loaded.extra_config)
    assert json.loads((tmp_path / "ours" / "tokenizer_config.json").read_text()).get("padding_side") == side
    opened = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "ours").eval()
    encode = transformers.AutoTokenizer.from_pretrained(tmp_path / "ours")
    texts = [row[0] for row in ROWS]
    with torch.no_grad():
        together = opened(**encode(texts, padding=True, return_tensors="pt")).logits
        alone = torch.cat([opened(**encode(text, return_tensors="pt")).logits for text in texts])
        encode.padding_side = "right" if side else "left"
        wrong = opened(**encode(texts, padding=True, return_tensors="pt")).logits
    assert (together - alone).abs().max() < TOLERANCE < 10 * TOLERANCE < (wrong - alone).abs().max()


def test_masks_of_a_folder_are_filled(tokenizer_folder: Path, tmp_path: Path) -> None:
    folder = write_pretrained(tmp_path / "xlnet", tokenizer_folder)
    (row,) = predict(folder, ["a slow <mask> that"])
    assert len(row["fills"]) == 1 and 0 < row["fills"][0][0]["probability"] <= 1


def test_a_folder_without_a_query_stream_cannot_learn_in_permuted_orders(
    tokenizer_folder: Path, tmp_path: Path
) -> None:
    tokenizer = Tokenizer.load(tokenizer_folder)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    bert = transformers.BertForMaskedLM(transformers.BertConfig(vocab_size=tokenizer.vocab_size, **sizes))
    bert.save_pretrained(tmp_path / "bert")
    tokenizer.save(tmp_path / "bert")
    (tmp_path / "text.txt").write_text("a slow film that a dull fine film\n" * 30, encoding="utf-8")
    changes = {
        "data": {"kind": "corpus", "train": [str(tmp_path / "text.txt")]},
        "objective": {"kind": "permuted", "max_length": 16},
        "train": {"steps": 2, "batch_size": 4, "threads": 1, "device": "cpu"},
    }
    with pytest.raises(ConfigError, match=r"model\.query_stream: the objective 'permuted' predicts from it, got False"):
        train(make_recipe(tmp_path, tmp_path / "bert", **changes), quiet=True)
    folder = write_pretrained(tmp_path / "xlnet", tokenizer_folder)
    report = train(make_recipe(tmp_path, folder, **changes), quiet=True)
    content = json.loads((report.folder / "model" / "config.json").read_text())
    assert report.is_finished and content["model_type"] == "xlnet" and content["architectures"] == ["XLNetLMHeadModel"]
