"""The page on what else a row may carry does what it says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pages import LANGUAGES, ROOT, Run, find_commands, write_files


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_of_classes_runs_as_written(
    language: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = ROOT / "docs" / language / "classification.md"
    monkeypatch.chdir(tmp_path)
    write_files(page, tmp_path)
    said: dict[str, list[dict]] = {}
    for arguments in find_commands(page):
        ended = run(*arguments)
        assert ended.code == 0, (arguments, ended)
        if arguments[0] == "predict":
            said[arguments[1]] = [json.loads(line) for line in ended.out.splitlines()]
    facts = json.loads((tmp_path / "runs/tags/model/groundup.json").read_text(encoding="utf-8"))["facts"]
    (tags,) = said["runs/tags"]
    assert tags["labels"] == [
        name for name, share in tags["probabilities"].items() if share >= facts["thresholds"][name]
    ]
    assert 2.0 < said["runs/stars"][0]["number"] < 6.5, "in stars, not in standard deviations"
    assert [set(row) for row in said["runs/quiz"]] == [{"question", "answer", "choice", "probabilities"}] * 2
