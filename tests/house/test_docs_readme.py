"""The READMEs say the same, name every room and every verb, and their commands run as written."""

from __future__ import annotations

import re
import runpy
from fnmatch import fnmatch
from pathlib import Path

import pytest
from pages import LANGUAGES, READMES, ROOT, Run, find_blocks, find_commands, write_files

from groundup.cli.main import app, data_app, inspect_app

SOURCE = ROOT / "src" / "groundup"


def read_tree(page: Path) -> list[tuple[str, str]]:
    """The paths of the file tree at a README's end, each with its comment."""
    (block,) = (block for block in find_blocks(page) if block.text.startswith("src/groundup/"))
    entries, folder = [], ""
    for line in block.text.splitlines():
        names, _, comment = line.strip().partition("  ")
        if not line.startswith(" "):
            folder = names if names.endswith("/") and not comment else ""
        for name in names.split(", "):
            entries.append(((folder if line.startswith(" ") else "") + name, comment.strip()))
    return entries


def find_missing(names: list[str]) -> list[str]:
    """Rooms, and modules beside them, that no entry of a tree covers."""
    rooms = [f"src/groundup/{path.parent.name}/" for path in sorted(SOURCE.glob("*/__init__.py"))]
    modules = [f"src/groundup/{path.name}" for path in sorted(SOURCE.glob("[!_]*.py"))]
    assert len(rooms) > 10
    return [path for path in (*rooms, *modules) if not any(fnmatch(path, name) for name in names)]


@pytest.mark.parametrize("page", READMES, ids=LANGUAGES)
def test_every_room_is_in_the_tree_with_a_comment(page: Path) -> None:
    entries = read_tree(page)
    names = [name for name, _ in entries]
    assert find_missing(names) == []
    assert find_missing([name for name in names if name != "src/groundup/model/"]) == ["src/groundup/model/"]
    for name, comment in entries:
        assert list(ROOT.glob(name.rstrip("/"))), f"{name} is in the tree, but not there"
        assert comment or name in ("src/groundup/", "tests/"), f"{name} has no comment"
    assert page.read_text(encoding="utf-8").rstrip().endswith("```"), "the tree is the end"


def test_both_are_the_same_but_for_their_language() -> None:
    english, chinese = READMES
    assert [name for name, _ in read_tree(english)] == [name for name, _ in read_tree(chinese)]
    one, other = ([block[:2] for block in find_blocks(page)] for page in READMES)
    assert one == other
    headings = [re.findall(r"^#+(?= )", page.read_text(encoding="utf-8"), re.MULTILINE) for page in READMES]
    assert headings[0] == headings[1]
    for page in READMES:
        shown = re.search(
            r"<!-- quickstart -->\n```text\n(.+?)```\n<!-- /quickstart -->", page.read_text("utf-8"), re.DOTALL
        )
        assert shown and len(shown[1].splitlines()) > 3, "the first screen shows what the quickstart prints"


@pytest.mark.parametrize("page", READMES, ids=LANGUAGES)
def test_every_verb_is_shown(page: Path) -> None:
    verbs = [command.name or command.callback.__name__ for command in app.registered_commands]
    verbs += [f"data {command.name}" for command in data_app.registered_commands]
    verbs += [f"inspect {command.name}" for command in inspect_app.registered_commands if not command.hidden]
    text = page.read_text(encoding="utf-8")
    assert [verb for verb in verbs if f"groundup {verb} " not in text] == []
    assert {"train", "data show"} <= set(verbs)


@pytest.mark.parametrize("language", LANGUAGES)
def test_commands_run_as_written(
    language: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    page = READMES[LANGUAGES.index(language)]
    monkeypatch.chdir(tmp_path)
    write_files(ROOT / "docs" / language / "your-own-csv.md", tmp_path)
    write_files(page, tmp_path)
    for arguments in find_commands(page):
        ended = run(*arguments)
        assert ended.code == 0 and ended.out, (arguments, ended)
    assert (tmp_path / "runs/tickets/report.html").is_file()
    (snippet,) = find_blocks(page, "run python")
    (tmp_path / "snippet.py").write_text(snippet.text, encoding="utf-8")
    capfd.readouterr()
    runpy.run_path("snippet.py")
    accuracy, answers, compared, written = capfd.readouterr().out.split("\n", 3)
    assert " - " in compared and "p = " in compared
    assert accuracy.startswith("accuracy ") and "'label':" in answers and written.strip()
