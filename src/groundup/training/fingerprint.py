"""Hashes of all that two runs of one recipe must have in common, timings left out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from groundup.training.log import TIME_KEY, read_lines


def fingerprint(folder: Path) -> dict[str, str]:
    """Of a finished run: its metrics, the tensors and the state of each checkpoint kept, and its model."""
    lines = read_lines(folder / "metrics.jsonl")
    lines = [{key: value for key, value in line.items() if key != TIME_KEY} for line in lines]
    found = {"metrics": _digest(json.dumps(lines).encode())}
    for checkpoint in sorted((folder / "checkpoints").glob("step-*")):
        found[f"{checkpoint.name}/tensors"] = _digest((checkpoint / "tensors.safetensors").read_bytes())
        state = json.loads((checkpoint / "state.json").read_text(encoding="utf-8"))
        text = json.dumps(_without(state, {"seconds", "output"}), sort_keys=True)
        found[f"{checkpoint.name}/state"] = _digest(text.encode())
    found["model"] = _digest((folder / "model" / "model.safetensors").read_bytes())
    return found


def summarise(found: Mapping[str, str]) -> str:
    """One hash of them all."""
    return _digest(json.dumps(dict(found), sort_keys=True).encode())


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _without(value: Any, names: set[str]) -> Any:
    """A tree without the keys of these names: the time spent, and where the run stands."""
    if isinstance(value, dict):
        return {key: _without(inner, names) for key, inner in value.items() if key not in names}
    return [_without(inner, names) for inner in value] if isinstance(value, list) else value
