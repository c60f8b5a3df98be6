"""A text that every machine has: the documentation of the running Python, and what this package says of itself."""

from __future__ import annotations

import ast
import sysconfig
from collections.abc import Iterator
from importlib.resources import files
from itertools import islice
from pathlib import Path

_MOST_FILES = 6000
_LEFT_OUT = {"site-packages", "dist-packages", "test", "tests", "__pycache__"}
_MOST_BYTES = 1 << 20


def write_python_texts(path: Path) -> int:
    """Write paragraphs, one a line; the number of lines comes back. The same installation gives the same bytes."""
    seen: dict[str, None] = {}
    for text in _iterate_texts():
        for paragraph in text.split("\n\n"):
            line = " ".join(paragraph.split())
            if len(line) >= 40:
                seen.setdefault(line)
    path.write_text("\n".join(seen) + "\n", encoding="utf-8")
    return len(seen)


def _iterate_texts() -> Iterator[str]:
    from pydoc_data.topics import topics

    yield from (topics[name] for name in sorted(topics))
    roots = [Path(sysconfig.get_path("stdlib")), Path(str(files("groundup")))]
    for root in roots:
        for path in islice(sorted(root.rglob("*.py")), _MOST_FILES):
            if not _LEFT_OUT & set(path.relative_to(root).parts):
                yield from _iterate_docstrings(path)
    for path in sorted((roots[1] / "tour" / "sentiment").glob("*.md")):
        yield path.read_text(encoding="utf-8")


def _iterate_docstrings(path: Path) -> Iterator[str]:
    """Of a module, its classes and functions; the file is read and never run. One of another Python is left out."""
    if path.stat().st_size > _MOST_BYTES:
        return
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield text
