"""What tests read from docs and READMEs: their blocks, the files and commands in them; and the command line itself."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from groundup.cli.main import main

ROOT = Path(__file__).parents[2]
LANGUAGES = ("en", "zh")
READMES = [ROOT / "README.md", ROOT / "README.zh.md"]
PAGES = [*READMES, *sorted((ROOT / "docs").rglob("*.md"))]

_BLOCK = re.compile(r"((?:^<!-- [^\n]+ -->\n)*)^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


class Block(NamedTuple):
    """A fenced block and the comments right above it: `file: NAME`, `recipe`, `recipe part`, `run`, `run python` ..."""

    marks: tuple[str, ...]
    language: str
    text: str


def find_blocks(page: Path, mark: str = "") -> list[Block]:
    """The blocks of a page, or those with a mark."""
    blocks = [
        Block(tuple(re.findall(r"<!-- (.+?) -->", marks)), language, text)
        for marks, language, text in _BLOCK.findall(page.read_text(encoding="utf-8"))
    ]
    return [block for block in blocks if not mark or mark in block.marks]


def write_files(page: Path, folder: Path) -> None:
    """Save the files that a page asks its reader to save."""
    for block in find_blocks(page):
        for mark in block.marks:
            if mark.startswith("file: "):
                (folder / mark.removeprefix("file: ")).write_text(block.text, encoding="utf-8")


def find_commands(page: Path, mark: str = "run") -> Iterator[list[str]]:
    """The lines of the blocks of a mark, as arguments of `groundup`."""
    for block in find_blocks(page, mark):
        for line in block.text.splitlines():
            name, *arguments = shlex.split(line, comments=True)
            assert name == "groundup", line
            yield arguments


class Ended(NamedTuple):
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str


Run = Callable[..., Ended]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """The command line in this process."""

    def start(*arguments: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["groundup", *arguments])
        capfd.readouterr()
        code = 0
        try:
            main()
        except SystemExit as ending:
            code = ending.code if isinstance(ending.code, int) else 1
        return Ended(code, *capfd.readouterr())

    return start
