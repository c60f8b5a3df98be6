"""From the article to the code: what the page names is there, and its commands and programs run in their order."""

from __future__ import annotations

import ast
import json
import re
import runpy
import shlex
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pages import LANGUAGES, ROOT, Run, find_blocks, write_files

from groundup.metrics.classification import accuracy as accuracy_of
from groundup.metrics.classification import average_scores

NAMED = re.compile(r"\[`(\w+)`\]\(([^)\s]+\.py)\)")
PAGES = [ROOT / "docs" / language / "from-the-article-to-the-code.md" for language in LANGUAGES]


def find_names(path: Path) -> set[str]:
    """What a file defines at its top."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return {node.name for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)}


@pytest.mark.parametrize("page", PAGES, ids=LANGUAGES)
def test_every_function_and_test_is_where_the_page_says(page: Path) -> None:
    named = NAMED.findall(page.read_text(encoding="utf-8"))
    missing = [name for name, path in named if name not in find_names((page.parent / path).resolve())]
    assert missing == []
    assert {"sinusoids", "test_sinusoidal_formulas", "test_multi_head_attention_is_the_formula"} <= {
        n for n, _ in named
    }
    assert "sinusoid" not in find_names(ROOT / "src/groundup/model/position.py"), "a name that is wrong is noticed"


def test_both_pages_show_the_same_formulas() -> None:
    one, other = ([block.text for block in find_blocks(page) if block.language == "math"] for page in PAGES)
    assert one == other and len(one) > 8


class Program:
    """One program of the page, run as a file of its own."""

    def __init__(self, text: str, capfd: pytest.CaptureFixture[str]) -> None:
        script = Path("program.py")
        script.write_text(text, encoding="utf-8")
        capfd.readouterr()
        self.text, self.values = text, runpy.run_path(str(script))
        self.out = capfd.readouterr().out

    @property
    def numbers(self) -> list[float]:
        return [float(text) for text in re.findall(r"-?\d+\.\d+(?:e-?\d+)?|-?\d+e-\d+", self.out)]


@pytest.fixture(params=PAGES, ids=LANGUAGES)
def page(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A page in whose folder its tables and recipes lie; nothing is fetched from anywhere."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for each in (request.param.with_name("your-own-csv.md"), request.param):
        write_files(each, tmp_path)
    return request.param


def run_page(page: Path, run: Run, capfd: pytest.CaptureFixture[str]) -> Iterator[tuple[str, object]]:
    """Commands and programs in their order, each with how it ended."""
    for block in find_blocks(page):
        if "run" in block.marks:
            for line in block.text.splitlines():
                ended = run(*shlex.split(line)[1:])
                assert ended.code == 0, (line, ended)
                yield line, ended
        elif "run python" in block.marks:
            yield "program", Program(block.text, capfd)


def test_the_page_runs_as_written(page: Path, run: Run, capfd: pytest.CaptureFixture[str]) -> None:
    programs: list[Program] = []
    for line, ended in run_page(page, run, capfd):
        if isinstance(ended, Program):
            programs.append(ended)
        elif "predict runs/mlm" in line:
            (fills,) = json.loads(ended.out)["fills"]
            assert len(fills) == 5
        elif line.startswith("groundup data show"):
            assert "[MASK→" in ended.out
    attention, sinusoids, ours_mlm, trainer, ours_classifier, loop, same, metrics = programs
    assert 0 < attention.numbers[0] < 1e-6
    assert all(abs(number) < 1e-7 for number in sinusoids.numbers) and len(sinusoids.numbers) == 2
    assert "perplexity" in ours_mlm.out and ours_mlm.values["report"].step == 60
    assert Path("runs/mlm-hf/model.safetensors").is_file()
    assert trainer.values["trainer"].state.global_step == 60
    num_words = len(trainer.values["tokenizer"])
    assert trainer.numbers[-1] < np.log(num_words), "it has learnt more than how many words there are"
    assert ours_classifier.values["report"].metrics["accuracy"].count == 9
    assert "true \\ predicted" in ours_classifier.out
    check_loop(loop)
    assert 0 <= same.numbers[0] < 1e-5
    assert [float(f"{number:.4f}") for number in (0.7, 0.75, 0.6, 2 / 3)] == [
        float(re.search(rf"^{name} ([\d.]+)", metrics.out, re.MULTILINE)[1])
        for name in ("accuracy", "precision", "recall", "f1")
    ]


def check_loop(loop: Program) -> None:
    """The formulas of the plain loop give our figures from the same table of counts, and those are what it prints."""
    confusion = loop.values["confusion"].numpy()
    assert confusion.sum() == 9
    expected = [float(accuracy_of(confusion)), *(float(score) for score in average_scores(confusion, "macro"))]
    computed = [float(loop.values[name].mean()) for name in ("accuracy", "precision", "recall", "f1")]
    assert computed == pytest.approx(expected)
    assert loop.numbers[-4:] == pytest.approx(expected, abs=5e-5)
