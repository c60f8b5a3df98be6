"""What a user gets from `pip install` with nothing but the core dependencies."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

TINY_CHECK = """
import sys
import torch
from groundup.model.config import ModelConfig
from groundup.model.packed import Packed
from groundup.model.transformer import Transformer
import numpy as np
model = Transformer(ModelConfig(vocab_size=11, hidden_size=8, num_layers=1, num_heads=2, intermediate_size=16)).eval()
hidden = model(Packed.from_sequences([np.array([1, 2, 3]), np.array([4, 5])]))
assert hidden.shape == (5, 8) and bool(torch.isfinite(hidden).all())
assert "transformers" not in sys.modules
print("sound")
"""


def _run(*command: str | Path, folder: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    run = subprocess.run([str(part) for part in command], cwd=folder, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, f"{command}:\n{run.stdout}\n{run.stderr}"
    return run.stdout


@pytest.mark.slow
def test_the_wheel_works_in_an_empty_environment(tmp_path: Path) -> None:
    """Built from the repository, installed with its core dependencies, used from elsewhere. Needs the network."""
    source = tmp_path / "source"  # A build leaves files behind, and finds those that an earlier one has left.
    shutil.copytree(ROOT / "src", source / "src", ignore=shutil.ignore_patterns("*.egg-info", "__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    _run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path, source, folder=tmp_path)
    (wheel,) = tmp_path.glob("groundup-*.whl")
    venv.create(tmp_path / "empty", with_pip=True)
    binaries = tmp_path / "empty" / ("Scripts" if os.name == "nt" else "bin")
    _run(binaries / "python", "-m", "pip", "install", "--quiet", "torch>=2.11,<2.14", wheel, folder=tmp_path)
    assert "train" in _run(binaries / "groundup", "--help", folder=tmp_path)
    assert _run(binaries / "python", "-c", TINY_CHECK, folder=tmp_path).strip() == "sound"
    installed = _run(binaries / "python", "-m", "pip", "list", "--format=freeze", folder=tmp_path)
    assert "transformers==" not in installed and "pytest==" not in installed
