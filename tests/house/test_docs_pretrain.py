"""The pages on pretraining and on other domains run in their order, shrunken; the slow test runs them on real files."""

from __future__ import annotations

import json
import random
import re
import runpy
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from pages import LANGUAGES, ROOT, Ended, Run, find_blocks, write_files

from groundup.config import parse_yaml

NAMES = ("pretrain-your-own-bert", "pretrain-your-own-gpt", "domain-adaptation")
SMALL = {
    "bert.yaml": ["tokenizer.vocab_size=300", "model.hidden_size=32", "model.num_layers=1", "objective.max_length=32"],
    "gpt.yaml": ["tokenizer.vocab_size=400", "model.hidden_size=32", "model.num_layers=1", "objective.max_length=32"],
    "classical.yaml": ["tokenizer.add=20", "tokenizer.min_frequency=2", "objective.max_length=32"],
    "reviews.yaml": [],
    "tickets-gpt.yaml": ["train.epochs=1"],
}
"""What makes a run of a page one of a second. A decoder's sizes go together: see `shrink`."""
SENTENCES = [
    ("王遣使者拜为御史", "国王派遣使者任命他为御史。"),
    ("帝下诏征之不至", "皇帝下诏征召他，他没有来。"),
    ("匈奴入边杀掠吏民", "匈奴人入侵边境，杀掠官吏百姓。"),
    ("太后崩葬于东陵", "太后去世，埋葬在东边的陵墓。"),
    ("中书侍郎上书谏曰", "中书侍郎上书劝谏说。"),
]


def page_of(language: str, name: str) -> Path:
    return ROOT / "docs" / language / f"{name}.md"


def write_data(folder: Path) -> None:
    """Files in the released formats of the data sets that the pages read."""
    draw = random.Random(3)
    pairs = [[draw.choice(SENTENCES) for _ in range(2)] for _ in range(150)]
    lines = [f"书/章{number % 9}\t{a[0]}，{b[0]}。\t{a[1]}{b[1]}" for number, (a, b) in enumerate(pairs)]
    reviews = [f"{number % 2}\t{b[1]}{'很好' if number % 2 else '不好'}" for number, (_, b) in enumerate(pairs)]
    words = ["the", "little", "girl", "went", "to", "a", "house", "and", "saw", "one", "old", "dog", "she", "ate"]
    english = [" ".join(draw.choices(words, k=300)) + "." for _ in range(12)]
    fields = ["morphology", "semantics", "syntax", "syntax/semantics", "syntax_semantics"]
    pair = {"sentence_good": "the girl went", "sentence_bad": "the went girl"}
    grammar = [json.dumps(pair | {"field": field, "UID": f"order_{number}"}) for number, field in enumerate(fields)]
    files = {
        "classical_modern/train.tsv": lines[30:],
        "classical_modern/valid.tsv": lines[:30],
        "chnsenticorp/train.tsv": ["label\ttext_a", *reviews[30:]],
        "chnsenticorp/dev.tsv": ["label\ttext_a", *reviews[:30]],
        "babylm_like/simple_wiki.txt": english[2:],
        "babylm_like/mixed_dev.txt": english[:2],
        "blimp_fast/order.jsonl": grammar,
    }
    for name, rows in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("\n".join(rows) + "\n", encoding="utf-8")


def shrink(arguments: list[str]) -> list[str]:
    """A command of a page with a recipe in it, as one of a second; of others, itself."""
    (named, *_) = [name for name in SMALL if name in arguments] or [None]
    if named is None:
        return arguments
    steps = [] if named == "tickets-gpt.yaml" else ["train.evaluate_every=2"]
    steps += [] if named in ("tickets-gpt.yaml", "reviews.yaml") else ["train.steps=4"]
    steps += ["train.batch_tokens=256"] if named in ("bert.yaml", "gpt.yaml") else ["train.batch_size=8"]
    return [*arguments, *SMALL[named], *steps]


def run_page(page: Path, run: Run, *, is_small: bool = True) -> Iterator[tuple[str, Ended]]:
    """The commands and programs of a page in their order."""
    for block in find_blocks(page):
        if "run" in block.marks:
            for line in block.text.splitlines():
                _, *arguments = shlex.split(line)
                ended = run(*(shrink(arguments) if is_small else [*arguments, *_few_steps(arguments)]))
                assert ended.code == 0, (line, ended)
                yield line, ended
        elif "run python" in block.marks:
            Path("program.py").write_text(block.text, encoding="utf-8")
            runpy.run_path("program.py")


def _few_steps(arguments: list[str]) -> list[str]:
    """As written but for the number of steps."""
    is_long = arguments[0] == "train" and arguments[1] in ("bert.yaml", "gpt.yaml", "classical.yaml")
    return ["train.steps=2"] if is_long else []


def find_figures(text: str) -> set[str]:
    """The names of the metrics of a report."""
    return set(re.findall(r"^ +([a-z_0-9]+(?:\[[a-z_/]+\])?)  +\d+\.\d{4}", text, re.MULTILINE))


@pytest.fixture(params=LANGUAGES)
def language(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A folder with the files that the pages ask for, and small data sets."""
    pytest.importorskip("jieba")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    write_data(tmp_path / "data")
    monkeypatch.setenv("GROUNDUP_DATA", str(tmp_path / "data"))
    for name in ("your-own-csv", *NAMES):
        write_files(page_of(request.param, name), tmp_path)
    yield request.param
    torch.set_num_threads(1)


def check_page(page: Path, run: Run) -> dict[str, list[Ended]]:
    """What a page's commands print has the figures that the page shows of them."""
    printed: dict[str, list[Ended]] = {}
    for line, ended in run_page(page, run):
        _, *arguments = shlex.split(line)
        verb = " ".join(arguments[: 2 if arguments[0] == "data" else 1])
        printed.setdefault(verb + (" pairs" if "--minimal-pairs" in arguments else ""), []).append(ended)
    shown = 0
    for block in find_blocks(page):
        for mark in block.marks:
            if mark.startswith("shown "):
                real = "\n".join(each.out for each in printed[mark.removeprefix("shown ")])
                names = find_figures(block.text)
                assert names <= find_figures(real), mark
                shown += len(names)
    assert shown > 4, "the page shows figures, and they are found"
    return printed


def test_bert_and_its_adaptation_run_as_written(language: str, run: Run) -> None:
    printed = check_page(page_of(language, "pretrain-your-own-bert"), run)
    (batch,) = printed["data show"]
    assert "MASK MASK→" in batch.out, "whole words are hidden"
    assert all(json.loads(ended.out)["fills"] for ended in printed["predict"])
    (block, *_) = [block for block in find_blocks(page_of(language, NAMES[0])) if "recipe part" in block.marks]
    run_own_text(block.text, run, "bert.yaml", "我的文字写在这里，一行一篇。\n")
    printed = check_page(page_of(language, "domain-adaptation"), run)
    with_replay, _ = printed["train"]
    assert "perplexity[modern]" in with_replay.out
    old, new = (
        len(json.loads(Path(f"runs/{name}/model/tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"])
        for name in ("bert", "classical")
    )
    assert new > old, "entries of classical Chinese"


def test_gpt_runs_as_written(language: str, run: Run) -> None:
    printed = check_page(page_of(language, "pretrain-your-own-gpt"), run)
    assert all(ended.out.startswith("The little girl went to") for ended in printed["generate"])
    config = json.loads(Path("runs/gpt/model/config.json").read_text(encoding="utf-8"))
    assert config["model_type"] == "llama"
    own, chinese, *_ = [block for block in find_blocks(page_of(language, NAMES[1])) if "recipe part" in block.marks]
    run_own_text(own.text, run, "gpt.yaml", "my own words stand here, a document a line, and more of them\n")
    assert "column" in parse_yaml(chinese.text, "page")["data"]


def run_own_text(part: str, run: Run, recipe: str, line: str) -> None:
    """The recipe of a page with its section on a reader's own text."""
    Path("my-texts").mkdir(exist_ok=True)
    Path("my-texts/one.txt").write_text(line * 80, encoding="utf-8")
    values = parse_yaml(Path(recipe).read_text(encoding="utf-8"), recipe) | parse_yaml(part, recipe)
    Path(recipe).write_text(json.dumps(values), encoding="utf-8")
    ended = run(*shrink(["train", recipe, "output=runs/own"]))
    assert ended.code == 0, ended


@pytest.mark.slow
def test_pages_run_on_the_real_files(
    data_folder: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of one language: the other's have the same recipes and commands, and preparing takes minutes."""
    pytest.importorskip("jieba")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GROUNDUP_DATA", str(data_folder.resolve()))
    for name in ("your-own-csv", *NAMES):
        write_files(page_of("en", name), tmp_path)
    lines = [line for name in NAMES for line, _ in run_page(page_of("en", name), run, is_small=False)]
    assert len(lines) > 15
    torch.set_num_threads(1)
