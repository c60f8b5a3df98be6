"""The pages say what is so: recipes parse, commands run as written, messages are real ones, links lead somewhere."""

from __future__ import annotations

import json
import re
import runpy
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from pages import LANGUAGES, PAGES, ROOT, Run, find_blocks, find_commands, write_files

from groundup.config import parse_yaml
from groundup.recipe import Recipe

CSV_PAGES = [ROOT / "docs" / language / "your-own-csv.md" for language in LANGUAGES]
LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\(([^)\s]+)\)")


def find_anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as they are made from their text on GitHub."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    prose = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for link in LINK.findall(re.sub(r"`[^`\n]*`", "", prose)):
        if re.match(r"\w+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link} leads nowhere"
        assert target == ROOT or ROOT in target.parents, f"{link} leads out of the project"
        assert not anchor or anchor in find_anchors(target), f"{link}: no such heading"


def test_every_page_exists_in_both_languages() -> None:
    english, chinese = ({path.name for path in (ROOT / "docs" / language).glob("*.md")} for language in LANGUAGES)
    assert english == chinese and english
    for name in english:
        one, other = (find_blocks(ROOT / "docs" / language / name) for language in LANGUAGES)
        assert [block[:2] for block in one] == [block[:2] for block in other], f"{name}: blocks differ"


def merge(base: Mapping[str, object], part: Mapping[str, object]) -> dict[str, object]:
    """A recipe with whole sections exchanged."""
    return {**base, **part}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_recipes_parse(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = find_blocks(page)
    whole = [parse_yaml(block.text, page.name) for block in blocks if "recipe" in block.marks]
    for values in whole:
        Recipe.from_values(values)
    for block in blocks:
        assert block.language != "yaml" or {"recipe", "recipe part"} & set(block.marks), f"unmarked:\n{block.text}"
        if "recipe part" in block.marks:
            Recipe.from_values(merge(whole[0], parse_yaml(block.text, page.name)))


@pytest.mark.parametrize("page", CSV_PAGES, ids=LANGUAGES)
def test_your_own_csv_runs_as_written(
    page: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_files(page, tmp_path)
    verbs, labels = [], None
    for arguments in find_commands(page):
        ended = run(*arguments)
        assert ended.code == 0, (arguments, ended)
        verbs.append(arguments[0])
        if arguments[0] == "check":
            assert "no warnings: ready to train" in ended.out
            assert not (tmp_path / "runs").exists()
        if arguments[0] == "train":
            labels = json.loads((tmp_path / "runs/tickets/model/groundup.json").read_text(encoding="utf-8"))["labels"]
        is_printed = arguments[0] == "predict" and "--output" not in arguments
        for row in map(json.loads, ended.out.splitlines() if is_printed else ()):
            assert row["label"] in labels and list(row["probabilities"]) == labels
    assert set(verbs) == {"check", "train", "evaluate", "predict"}
    (snippet,) = (block.text for block in find_blocks(page, "run python"))
    script = tmp_path / "snippet.py"
    script.write_text(snippet, encoding="utf-8")
    capfd.readouterr()
    runpy.run_path(str(script))
    out = capfd.readouterr().out
    assert any(label in out for label in labels), out


@pytest.mark.parametrize("page", CSV_PAGES, ids=LANGUAGES)
def test_a_pretrained_folder_fine_tunes_as_written(
    page: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a tiny BERT whose words are those of the table: no weights are downloaded here."""
    monkeypatch.chdir(tmp_path)
    write_files(page, tmp_path)
    characters = sorted(set((tmp_path / "train.csv").read_text(encoding="utf-8").lower()) - set(" \n"))
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *characters, *(f"##{each}" for each in characters)]
    save_tiny_bert(tmp_path / "bert", words)
    monkeypatch.setenv("BERT", str(tmp_path / "bert"))
    ended = run("train", "bert.yaml", "train.epochs=1", "train.threads=1")
    assert ended.code == 0, ended
    assert "fresh weights: heads.classification.linear.weight" in ended.err
    assert (tmp_path / "runs/tickets-bert/model/model.safetensors").is_file()


def save_tiny_bert(folder: Path, words: list[str]) -> None:
    from transformers import BertConfig, BertModel

    size = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=len(words), **size)).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")


def mistakes(language: str) -> Iterator[tuple[str, bytes | None, list[str]]]:
    """What a reader may do wrongly: a file to write, its bytes, and the command."""
    text, label = ("It broke, again", "delivery") if language == "en" else ("包裹破了, 请退款", "物流")
    typo = "dellivery" if language == "en" else "物流类"
    check, other = ["check", "tickets.yaml"], ["output=runs/other"]

    def table(name: str, content: str, encoding: str = "utf-8") -> tuple[str, bytes, list[str]]:
        return name, content.encode(encoding), [*check, *other, f"data.validation={name}"]

    yield "", None, [*check, *other, "optimizer.learning_rat=1e-3"]
    yield "", None, [*check, *other, "data.text=body"]
    yield table("semicolons.csv", f"text;label\nhello;{label}\n")
    yield table("ragged.csv", f"text,label\n{text},{label}\n")
    yield table("empty.csv", f"text,label\n,{label}\n")
    yield table("unseen.csv", f"text,label\nhello,{typo}\n")
    if language == "en":
        yield table("latin.csv", f"text,label\nThe café is closed,{label}\n", "latin-1")
    else:
        yield table("gbk.csv", "text,label\n包裹还没有收到,物流\n", "gb18030")
    yield "", None, [*check, *other, "objective.max_length=64"]
    yield "", None, ["train", "tickets.yaml", "train.epochs=80"]
    yield "", None, ["train", "tickets.yaml", *other, "optimizer.learning_rate=1e9"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_messages_are_the_real_ones(language: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = ROOT / "docs" / language / "your-own-csv.md"
    monkeypatch.chdir(tmp_path)
    write_files(page, tmp_path)
    shown = [block.text for block in find_blocks(page) if block.text.startswith("error: ")]
    assert run("train", "tickets.yaml", "--quiet").code == 0
    real = []
    for name, content, arguments in mistakes(language):
        if content is not None:
            (tmp_path / name).write_bytes(content)
        ended = run(*arguments)
        assert ended.code == 2, (arguments, ended)
        real.append(ended.err[ended.err.index("error: ") :])
    assert shown == real


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_table_of_recipe_keys_is_up_to_date(language: str) -> None:
    generate = runpy.run_path(str(ROOT / "docs" / "generate.py"))
    page = ROOT / "docs" / language / "recipes.md"
    text = page.read_text(encoding="utf-8")
    assert generate["fill"](text) == text, "run: python docs/generate.py"
