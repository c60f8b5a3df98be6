"""How sure is a figure: the page's commands run in their order, and what it says of their results is so."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest
from pages import LANGUAGES, ROOT, Run, find_blocks, find_commands, write_files


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_runs_as_written(
    language: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    # The pages of single runs take most of the time of runs as short as these; that they are drawn is tested elsewhere.
    monkeypatch.setattr("groundup.verbs.train.make_report", lambda *arguments: None)
    write_files(ROOT / "docs" / language / "your-own-csv.md", tmp_path)
    page = ROOT / "docs" / language / "how-sure-is-a-figure.md"
    said = {}
    for arguments in find_commands(page):
        ended = run(*arguments)
        assert ended.code == 0, (arguments, ended)
        said[" ".join(arguments)] = ended.out
    trained = said["train tickets.yaml --seeds 3 output=runs/seeds"]
    assert "3 of 3 seeds finished" in trained and "interval=Student's t over seeds, 95%" in trained
    assert (tmp_path / "runs/seeds/report.html").is_file()
    assert json.loads((tmp_path / "runs/seeds/series.json").read_text(encoding="utf-8"))["best"] in (1, 2, 3)
    compared = said["compare runs/tickets runs/short"]
    assert "right where the other is wrong: first " in compared
    assert compared.splitlines()[1:] == said["compare one.jsonl other.jsonl --gold gold"].splitlines()[1:]
    assert "3 shared seeds" in said["compare runs/seeds runs/short-seeds"]
    (snippet,) = find_blocks(page, "run python")
    (tmp_path / "snippet.py").write_text(snippet.text, encoding="utf-8")
    capfd.readouterr()
    runpy.run_path("snippet.py")
    assert len(capfd.readouterr().out.splitlines()) == 2
