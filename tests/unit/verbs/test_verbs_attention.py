"""Attention maps from outside: of runs and folders, of pairs, in both languages, for a terminal and as a page."""

from __future__ import annotations

import base64
import json
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from report_pages import Element, read_page, untranslated

from groundup.checkpoint import pretrained
from groundup.errors import ConfigError, DataError
from groundup.model.attention_map import map_attention
from groundup.model.config import (
    CausalLMHead,
    Encoder,
    Head,
    ModelConfig,
    NextSentenceHead,
    RelativeBias,
    ReplacedHead,
    Sharing,
    TokenHead,
)
from groundup.model.initialize import initialize
from groundup.model.packed import Packed
from groundup.model.transformer import Transformer
from groundup.reporting import attention_picture
from groundup.text.tokenizer import Tokenizer, train_tokenizer
from groundup.text.tokenizer_config import ByteBPE, WordPiece
from groundup.verbs import attention
from groundup.verbs.attention import AttentionReport, find_habit, inspect_attention, list_links, write_attention
from groundup.verbs.layout import display_width
from groundup.verbs.train import train

Make = Callable[..., dict]
TEXTS = ["the cat sees the dog and the dog sees the cat", "他看书，她看他。"]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder without any head."""
    return save(tmp_path_factory.mktemp("encoder"), train_tokenizer(WordPiece(vocab_size=90, min_frequency=1), TEXTS))


def save(folder: Path, tokenizer: Tokenizer, **values: object) -> Path:
    config = ModelConfig(vocab_size=tokenizer.vocab_size, hidden_size=24, num_layers=2, num_heads=3, **values)
    model = Transformer(config)
    initialize(model, 0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)) * 0.3)
    pretrained.save(folder / "model", model, tokenizer_files=tokenizer.files(), manifest={}, card="")
    return folder / "model"


def test_the_maps_are_those_of_the_model(encoder: Path) -> None:
    found = inspect_attention(encoder, TEXTS[0]).content["maps"]
    assert [each["kind"] for each in found] == ["attention"] and len(found[0]["heads"]) == 6
    loaded, tokenizer = pretrained.load(encoder), Tokenizer.load(encoder)
    encoded = tokenizer.encode(TEXTS[0])
    packed = Packed.from_sequences([encoded.input_ids], [encoded.token_type_ids])
    expected = torch.stack([layer[0] for layer in map_attention(loaded.model, packed)["attention"]]).flatten(0, 1)
    stored = torch.tensor([head["probabilities"] for head in found[0]["heads"]])
    torch.testing.assert_close(stored, expected, atol=1e-6, rtol=0)
    assert found[0]["keys"] == tokenizer.tokens(encoded.input_ids.tolist()) == found[0]["queries"]


def test_a_pair_has_its_token_types(encoder: Path) -> None:
    one = inspect_attention(encoder, "the cat", "the dog").content["maps"][0]
    assert one["keys"].count("[SEP]") == 2
    joined = pretrained.load(encoder).model
    ids = Tokenizer.load(encoder).encode("the cat", "the dog").input_ids
    without = map_attention(joined, Packed.from_sequences([ids]))["attention"][0][0]
    assert not torch.allclose(without[0], torch.tensor(one["heads"][0]["probabilities"]), atol=1e-3)


@pytest.mark.parametrize("kind", ["masked", "classification"])
def test_of_a_run_for_a_terminal(make_recipe: Make, small_data: Path, kind: str) -> None:
    train(make_recipe(kind), quiet=True)
    report = inspect_attention(small_data / "run", TEXTS[0])
    assert all(display_width(line) <= 80 or "/" in line for line in str(report).splitlines())
    assert "layer 1" in str(report) and json.loads(json.dumps(report.to_json()))["text"] == TEXTS[0]
    one = inspect_attention(small_data / "run", TEXTS[0], layer=1, head=0)
    assert "layer 1, head 0" in str(one) and "layer 0" not in str(one)
    (maps,) = one.to_json()["maps"]  # type: ignore[misc]
    assert [(head["layer"], head["head"]) for head in maps["heads"]] == [(1, 0)]


def test_bytes_of_a_chinese_character_are_readable(tmp_path: Path) -> None:
    tokenizer = train_tokenizer(ByteBPE(vocab_size=263, min_frequency=2), ["ab ab"])
    folder = save(tmp_path, tokenizer, causal=True, num_token_types=0, heads=(CausalLMHead(),))
    (maps,) = inspect_attention(folder, "看，x").content["maps"]
    assert maps["keys"][-7:] == ["看¹", "看²", "看³", "，¹", "，²", "，³", "x"]
    upper = np.triu_indices(len(maps["keys"]), 1)
    assert all((np.array(head["probabilities"])[upper] == 0).all() for head in maps["heads"])


def test_an_encoder_decoder_shows_three_kinds(tmp_path: Path) -> None:
    tokenizer = train_tokenizer(WordPiece(vocab_size=90, min_frequency=1), TEXTS)
    values = {"causal": True, "encoder": Encoder(num_layers=3), "position": RelativeBias(), "num_token_types": 0}
    with pytest.raises(ConfigError, match="pair: is needed"):
        inspect_attention(save(tmp_path / "bare", tokenizer, **values), TEXTS[0])
    folder = save(tmp_path, tokenizer, heads=(CausalLMHead(),), **values)
    of_its_own = inspect_attention(folder, TEXTS[0]).content["maps"]
    assert [each["kind"] for each in of_its_own] == ["attention", "encoder", "cross_attention"]
    report = inspect_attention(folder, TEXTS[0], TEXTS[1])
    sizes = {
        each["kind"]: (each["num_layers"], len(each["queries"]), len(each["keys"])) for each in report.content["maps"]
    }
    (_, written, _), (_, source, _) = sizes["attention"], sizes["encoder"]
    assert sizes == {
        "attention": (2, written, written),
        "encoder": (3, source, source),
        "cross_attention": (2, written, source),
    }
    assert "seen from" in str(report) and written != source
    write_attention(report, html=tmp_path / "page.html")
    root = read_page((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert [each.attributes["id"] for each in root.find("section")] == list(sizes)


def test_an_answer_that_fills_the_decoder_is_shown_as_far_as_it_reaches(tmp_path: Path) -> None:
    tokenizer = train_tokenizer(WordPiece(vocab_size=90, min_frequency=1), TEXTS)
    values = {"causal": True, "encoder": Encoder(), "position": RelativeBias(), "num_token_types": 0}
    folder = save(tmp_path, tokenizer, heads=(CausalLMHead(bias=True),), max_length=40, **values)
    loaded = pretrained.load(folder)
    with torch.no_grad():
        loaded.model.heads["causal_lm"].bias[tokenizer.end_id] = -1e9
    shutil.rmtree(folder)
    pretrained.save(folder, loaded.model, tokenizer_files=tokenizer.files(), manifest={}, card="")
    sizes = {each["kind"]: len(each["queries"]) for each in inspect_attention(folder, "the").content["maps"]}
    assert sizes["attention"] == sizes["cross_attention"] == 40


@pytest.mark.parametrize("head", [ReplacedHead(), NextSentenceHead(), TokenHead(num_labels=3)], ids=str)
def test_whatever_head_there_is_does_not_matter(encoder: Path, head: Head, tmp_path: Path) -> None:
    tokenizer = Tokenizer.load(encoder)
    labels = ["a", "b", "c"] if isinstance(head, TokenHead) else None
    loaded = pretrained.load(encoder, heads=[head])
    pretrained.save(
        tmp_path / "model", loaded.model, tokenizer_files=tokenizer.files(), manifest={}, card="", labels=labels
    )
    found, bare = (inspect_attention(each, TEXTS[0]).content["maps"] for each in (tmp_path / "model", encoder))
    assert found == bare


def test_layers_that_share_a_block_have_maps_of_their_own(tmp_path: Path) -> None:
    tokenizer = train_tokenizer(WordPiece(vocab_size=90, min_frequency=1), TEXTS)
    (maps,) = inspect_attention(save(tmp_path, tokenizer, sharing=Sharing()), TEXTS[0]).content["maps"]
    first, second = (head["probabilities"] for head in maps["heads"] if head["head"] == 0)
    assert maps["num_layers"] == 2 and first != second


@pytest.mark.parametrize(
    ("matrix", "habit"),
    [
        (np.eye(5), "itself"),
        (np.eye(5, k=-1) + np.diag([1, 0, 0, 0, 0]), "previous"),
        (np.eye(5, k=1) + np.diag([0, 0, 0, 0, 1]), "next"),
        (np.tile(np.eye(5)[0], (5, 1)), "first"),
        (np.tile(np.eye(5)[4], (5, 1)), "last"),
        (np.full((5, 5), 0.2), "spread"),
    ],
)
def test_a_habit_is_what_most_attention_goes_to(matrix: np.ndarray, habit: str) -> None:
    found, share = find_habit(matrix.astype(float), np.arange(5))
    assert found == habit and share == pytest.approx(0.0 if habit == "spread" else 1.0)


def test_the_same_token_elsewhere_is_a_habit() -> None:
    ids = np.array([1, 2, 1, 2, 3])
    matrix = ((ids[:, None] == ids) & ~np.eye(5, dtype=bool)).astype(float) + np.diag([0, 0, 0, 0, 1.0])
    assert find_habit(matrix, ids) == ("same", 1.0)


def test_tokens_without_a_choice_say_nothing() -> None:
    matrix = np.array([[1.0, 0, 0, 0], [0.1, 0.9, 0, 0], [0.4, 0.5, 0.1, 0], [0.0, 0.3, 0.6, 0.1]])
    habit, share = find_habit(matrix, np.arange(4))
    assert habit == "previous" and share == pytest.approx(0.55)


def test_links_are_ranked_by_what_an_even_look_would_give(encoder: Path) -> None:
    (maps,) = inspect_attention(encoder, "the cat sees").content["maps"]
    head = {**maps["heads"][0], "probabilities": [[1, 0, 0, 0, 0], [0.6, 0.4, 0, 0, 0], *[[0.5, 0, 0.1, 0.4, 0]] * 3]}
    head["probabilities"][2] = [0.1, 0.5, 0.2, 0.1, 0.1]
    assert list_links(maps, head, 1)[0].endswith("0.50")


def test_what_cannot_be_shown(encoder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="layer: is not one of 0 to 1, got 2"):
        inspect_attention(encoder, "the cat", layer=2)
    with pytest.raises(ConfigError, match="head: is not one of 0 to 2, got -1"):
        inspect_attention(encoder, "the cat", head=-1)
    with pytest.raises(DataError, match="longer than the 128 positions"):
        inspect_attention(encoder, "the cat " * 80)
    monkeypatch.setattr(attention, "MOST_NUMBERS", 100)
    with pytest.raises(DataError, match="give 4 at most"):
        inspect_attention(encoder, "the cat sees the dog")
    tokenizer = train_tokenizer(WordPiece(vocab_size=90, min_frequency=1), TEXTS)
    decoder = save(tmp_path, tokenizer, causal=True, num_token_types=0, heads=(CausalLMHead(),))
    with pytest.raises(ConfigError, match="this decoder reads one text"):
        inspect_attention(decoder, "the", "cat")


def read_shades(image: Element) -> np.ndarray:
    """The opacity of every pixel of one of our pictures."""
    raw = base64.b64decode(image.attributes["src"].removeprefix("data:image/png;base64,"))
    columns, rows = (int.from_bytes(raw[start : start + 4], "big") for start in (16, 20))
    start = raw.index(b"IDAT")
    size = int.from_bytes(raw[start - 4 : start], "big")
    lines = np.frombuffer(zlib.decompress(raw[start + 4 : start + 4 + size]), dtype=np.uint8)
    return lines.reshape(rows, columns + 1)[:, 1:]


def write_page(report: AttentionReport, folder: Path) -> Element:
    write_attention(report, html=folder / "page.html")
    return read_page((folder / "page.html").read_text(encoding="utf-8"))


def test_the_page_shows_every_head_as_it_is(encoder: Path, tmp_path: Path) -> None:
    report = inspect_attention(encoder, TEXTS[1])
    root = write_page(report, tmp_path)
    assert untranslated(root) == []
    ids = [each.attributes["id"] for each in root.walk() if "id" in each.attributes]
    assert len(ids) == len(set(ids))
    heads = report.content["maps"][0]["heads"]
    tiles = root.find("button", class_="tile")
    assert len(tiles) == len(heads) == 6
    for tile, head in zip(tiles, heads, strict=True):
        ink = (255 * np.array(head["probabilities"]) ** 0.6).round()
        np.testing.assert_array_equal(read_shades(tile.find("img")[0]), ink)
        assert f"layer {head['layer']}, head {head['head']}" in tile.text("en")
        assert f"第 {head['layer']} 层，第 {head['head']} 头" in tile.text("zh")
    (stored,) = (each for each in root.find("script") if each.attributes.get("type") == "application/json")
    values = np.frombuffer(base64.b64decode(json.loads(stored.text())["values"]), dtype="<u2") / 65535
    expected = np.array([head["probabilities"] for head in heads])
    np.testing.assert_allclose(values.reshape(expected.shape), expected, atol=1e-5)


def test_a_long_text_has_small_pictures_that_lose_no_line(encoder: Path, tmp_path: Path) -> None:
    report = inspect_attention(encoder, "the cat sees " * 20)
    for head in report.content["maps"][0]["heads"]:
        head["probabilities"] = np.eye(len(report.content["maps"][0]["keys"])).tolist()
    tiles = write_page(report, tmp_path).find("button", class_="tile")
    for tile in tiles:
        small = read_shades(tile.find("img")[0])
        full = read_shades(Element("img", {"src": tile.attributes["data-full"]}))
        assert max(small.shape) <= 48 < len(full) and (small.diagonal() == 255).all()
    assert (
        "data-full"
        not in write_page(inspect_attention(encoder, TEXTS[0]), tmp_path).find("button", class_="tile")[0].attributes
    )


def test_the_head_that_is_asked_for_is_the_large_one(encoder: Path, tmp_path: Path) -> None:
    root = write_page(inspect_attention(encoder, TEXTS[0], layer=1, head=2), tmp_path)
    assert [each.attributes["data-number"] for each in root.find("button", class_="tile")] == [str(n) for n in range(6)]
    pressed = [
        each.attributes["data-number"]
        for each in root.find("button", class_="tile")
        if each.attributes["aria-pressed"] == "true"
    ]
    assert pressed == ["5"]
    (large,) = root.find("p", class_="of-head")
    assert "layer 1, head 2" in large.text("en")


def test_a_text_cannot_break_the_page(encoder: Path, tmp_path: Path) -> None:
    root = write_page(inspect_attention(encoder, "</script><script>alert(1)</script><b>&amp;"), tmp_path)
    assert [each.attributes.get("type") for each in root.find("script")] == ["application/json", None]
    assert "alert(1)" in root.find("h1")[0].text()


@pytest.mark.parametrize(
    ("text", "layer", "head"), [(TEXTS[0], None, None), ("他看书", 1, 2), ("他看 the cat", 0, None)]
)
def test_a_picture_of_the_chosen_heads(
    encoder: Path, tmp_path: Path, text: str, layer: int | None, head: int | None
) -> None:
    images = pytest.importorskip("PIL.Image")
    report = inspect_attention(encoder, text, layer=layer, head=head)
    try:
        write_attention(report, png=tmp_path / "map.png")
    except ConfigError as error:
        assert "no font here" in str(error)
        pytest.skip("there is no font of Chinese here")
    with images.open(tmp_path / "map.png") as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    # Ink is the blue of the maps on white: where a probability is one, there is nothing else.
    blue = (pixels[..., 2] - pixels[..., 0]).clip(0)
    chosen = [each for each in report.content["maps"][0]["heads"] if report.is_chosen(each)]
    assert 0 < (blue > 0).mean() < 1
    strongest = max(max(row) for each in chosen for row in each["probabilities"])
    assert blue.max() == pytest.approx((224 - 32) * strongest**0.6, abs=2)


def test_a_text_without_a_font_is_told(encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("PIL")
    monkeypatch.setattr(attention_picture, "FOLDERS", (str(tmp_path),))
    with pytest.raises(ConfigError, match="no font here has all characters of the text, got '他'"):
        write_attention(inspect_attention(encoder, "他"), png=tmp_path / "map.png")
