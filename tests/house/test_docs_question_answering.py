"""The page on answers in passages runs as written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pages import LANGUAGES, ROOT, Run, find_commands, write_files


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_runs_as_written(language: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = ROOT / "docs" / language / "question-answering.md"
    monkeypatch.chdir(tmp_path)
    write_files(page, tmp_path)
    verbs = []
    for arguments in find_commands(page):
        ended = run(*arguments)
        assert ended.code == 0, (arguments, ended)
        verbs.append(arguments[0])
        if "--output" in arguments:
            rows = [json.loads(line) for line in Path(arguments[-1]).read_text(encoding="utf-8").splitlines()]
            assert [(row["gold"], row["id"]) for row in rows] == [("Utrecht", "v1"), ("王明", "v2")]
        elif arguments[0] == "predict":
            row, passage = json.loads(ended.out), arguments[-1]
            assert row["question"] == arguments[2]
            assert passage[row["start"] : row["end"]] == row["answer"] and row["candidates"]
    assert verbs == ["check", "train", "evaluate", "predict", "predict", "predict"]
