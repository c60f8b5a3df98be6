"""House rules that a program can check: short files, no pickle, no code from data, no import side effects."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "groundup"
FILES = sorted(SOURCE.rglob("*.py"))
MOST_LINES = 450
FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "transformers"}
MEETS = {Path("tour/proofs.py"), *(path.relative_to(SOURCE) for path in (SOURCE / "integrations").glob("*.py"))}
"""Files that know transformers, where it is installed: a comparison, and its door into the house."""
FORBIDDEN_CALLS = {
    "eval",
    "exec",
    "compile",
    "__import__",
    "yaml.load",
    "yaml.unsafe_load",
    "yaml.full_load",
    "torch.load",
}


def find_forbidden(source: str) -> list[str]:
    """Each use of a module or a call that runs code out of data."""
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.split(".")[0] in FORBIDDEN_MODULES]
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found += (
                [node.module] if node.module.split(".")[0] in FORBIDDEN_MODULES else sorted(names & FORBIDDEN_CALLS)
            )
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            allows_pickle = any(
                word.arg == "allow_pickle" and ast.unparse(word.value) != "False" for word in node.keywords
            )
            # torch's restricted unpickler builds nothing but tensors: how an old pytorch_model.bin is read.
            is_restricted = name == "torch.load" and any(
                word.arg == "weights_only" and ast.unparse(word.value) == "True" for word in node.keywords
            )
            found += [name] if (name in FORBIDDEN_CALLS and not is_restricted) or allows_pickle else []
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_source_file_keeps_the_rules(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert source.count("\n") <= MOST_LINES
    found = find_forbidden(source)
    if path.relative_to(SOURCE) in MEETS:
        found = [name for name in found if name.split(".")[0] != "transformers"]
    assert not found
    assert ast.get_docstring(ast.parse(source)), "a file says in its docstring what it is for"


@pytest.mark.parametrize(
    "path", [path for path in FILES if path.name == "__init__.py"], ids=lambda path: path.parent.name
)
def test_a_package_runs_nothing_when_imported(path: Path) -> None:
    body = ast.parse(path.read_text(encoding="utf-8")).body
    if path.parent != SOURCE:
        assert len(body) == 1 and isinstance(body[0], ast.Expr), "only a docstring"
        return
    for node in body:
        imports_at_once = isinstance(node, ast.Import | ast.ImportFrom) and "groundup" in ast.unparse(node)
        assert not imports_at_once, "the package hands out its verbs lazily"


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "import torch\ntorch.load('x')",
        "import torch\ntorch.load('x', weights_only=False)",
        "from torch import load",
        "eval('1')",
        "import yaml\nyaml.load('x', yaml.Loader)",
        "import numpy\nnumpy.load('x', allow_pickle=True)",
        "import transformers",
        "def f():\n    import joblib.numpy_pickle",
    ],
)
def test_what_is_forbidden_is_found(source: str) -> None:
    assert find_forbidden(source)


def test_what_is_allowed_is_not_found() -> None:
    assert (
        find_forbidden(
            "import re, json\nre.compile('x'); json.load(f); model.eval(); numpy.load('x', allow_pickle=False)\n"
            "torch.load(f, weights_only=True)"
        )
        == []
    )


def test_test_files_have_names_of_their_own() -> None:
    """Test folders are no packages, so two files of one name would hide each other."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))
    assert not list((ROOT / "tests").rglob("__init__.py"))
