"""The page on entities runs as written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pages import LANGUAGES, ROOT, Run, find_commands, write_files


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_runs_as_written(language: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = ROOT / "docs" / language / "entities.md"
    monkeypatch.chdir(tmp_path)
    write_files(page, tmp_path)
    verbs, found = [], []
    for arguments in find_commands(page):
        ended = run(*arguments)
        assert ended.code == 0, (arguments, ended)
        verbs.append(arguments[0])
        if "--output" in arguments:
            rows = [json.loads(line) for line in Path(arguments[-1]).read_text(encoding="utf-8").splitlines()]
            assert rows[0]["gold"] == [[0, 3, "PER"], [12, 18, "LOC"]] and rows[1]["text"] == "王明去了广州。"
        elif arguments[0] == "predict":
            row, text = json.loads(ended.out), arguments[-1]
            assert row["text"] == text
            assert all(text[each["start"] : each["end"]] == each["text"] for each in row["entities"])
            found += row["entities"]
    assert verbs == ["check", "train", "evaluate", *["predict"] * 3, "train", "predict", "predict"] and found
    inner = {(each["text"], each["type"]) for each in found}
    assert {("The University of Leiden", "ORG"), ("Leiden", "LOC"), ("上海大学", "ORG"), ("上海", "LOC")} <= inner
