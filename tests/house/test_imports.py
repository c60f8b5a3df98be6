"""What an import costs: help and errors of the command line must not wait for torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "groundup"
HEAVY = ("torch", "pydantic", "rich", "tokenizers", "transformers", "numpy")


def _loaded_by(code: str) -> tuple[str, set[str]]:
    """What a fresh Python prints, and which of the heavy packages it has loaded at its end."""
    report = f"import sys; print('LOADED', *[name for name in {HEAVY!r} if name in sys.modules])"
    program = f"try:\n    {code}\nexcept SystemExit:\n    pass\n{report}"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    said, _, loaded = run.stdout.rpartition("LOADED")
    return said, set(loaded.split())


def test_help_loads_nothing_heavy() -> None:
    code = "import sys; sys.argv = ['groundup', '--help']; from groundup.cli.main import main; main()"
    said, loaded = _loaded_by(code)
    assert "train" in said and "predict" in said
    assert not loaded & {"torch", "pydantic", "rich"}, loaded


def test_importing_the_package_loads_nothing_heavy() -> None:
    _, loaded = _loaded_by("import groundup")
    assert not loaded


def test_the_check_sees_a_heavy_import() -> None:
    _, loaded = _loaded_by("import groundup.config")
    assert "pydantic" in loaded and "torch" not in loaded


@pytest.mark.parametrize("room", ["language", "yaml_reader", "config", "errors", "spoken"])
def test_low_rooms_need_no_torch(room: str) -> None:
    modules = [f"groundup.{room}"]
    if (SOURCE / room).is_dir():
        modules = [f"groundup.{room}.{path.stem}" for path in (SOURCE / room).glob("*.py") if path.stem != "__init__"]
    _, loaded = _loaded_by(f"import {', '.join(modules)}")
    assert "torch" not in loaded
