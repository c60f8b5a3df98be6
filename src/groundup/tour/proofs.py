"""Three things that can be seen to be true: an exact resume, what is masked, and the same numbers in transformers."""

from __future__ import annotations

import importlib.util
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from groundup.checkpoint.store import Store
from groundup.errors import TrainingError
from groundup.model.packed import Packed
from groundup.training.fingerprint import fingerprint, summarise
from groundup.verbs.run_folder import write_json
from groundup.verbs.trained import load_trained


@dataclass(frozen=True)
class Resume:
    """What became of a run that was killed, beside one that was not."""

    steps: int
    killed_in_save_of: int
    resumed_from: int
    """The step of the newest whole checkpoint that the killed run had left."""
    uninterrupted: str
    """The sha256 of weights, optimizer, progress and metrics at the end."""
    resumed: str

    @property
    def is_exact(self) -> bool:
        """Whether the two are the same, bit by bit."""
        return self.uninterrupted == self.resumed


def prove_resume(recipe: Mapping[str, Any], folder: Path, *, steps: int = 24, kill_at: int = 12) -> Resume:
    """Train twice for some steps, side by side; one of the two is killed while it saves, and started again.

    Raises:
        TrainingError: a run ended otherwise than it should; what it said is in the message.
    """
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / "resume.json"
    if kept.is_file():
        return Resume(**json.loads(kept.read_text(encoding="utf-8")))
    files = {}
    for name in ("uninterrupted", "killed"):
        # The second save is the one to die in: after the first there is something to resume from.
        saves = {"save_every": max(1, kill_at // 2), "evaluate_every": steps}
        train = recipe["train"] | saves | {"steps": steps, "threads": 1}
        values = dict(recipe) | {"output": str(folder / name), "train": train}
        files[name] = folder / f"{name}.yaml"
        files[name].write_text(json.dumps(values, ensure_ascii=False, indent=1), encoding="utf-8")
    # Both wait for nothing but their own core, so the proof costs the time of one of them.
    whole = _start("groundup", "train", str(files["uninterrupted"]), "--quiet")
    was_killed = folder / "killed.txt"
    if not was_killed.is_file():
        shutil.rmtree(folder / "killed", ignore_errors=True)  # of a proof that was itself stopped before the kill
        _expect(_start("groundup.tour.kill_in_save", str(files["killed"]), str(kill_at)), -signal.SIGKILL)
        was_killed.write_text(f"in the save of step {kill_at}\n", encoding="utf-8")
    resumed_from = max(Store(folder / "killed" / "checkpoints").steps(), default=0)
    _expect(_start("groundup", "train", str(files["killed"]), "--quiet"), 0)
    _expect(whole, 0)
    hashes = [summarise(fingerprint(folder / name)) for name in ("uninterrupted", "killed")]
    found = Resume(steps, kill_at, resumed_from, *hashes)
    write_json(kept, asdict(found))
    return found


def _start(module: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def _expect(process: subprocess.Popen[str], code: int) -> None:
    _, said = process.communicate()
    if process.returncode != code:
        raise TrainingError("proof", f"a run ended with {process.returncode} instead of {code}: {said.strip()[-500:]}")


@dataclass(frozen=True)
class SameLogits:
    """How far the logits of a model folder are apart in groundup and in transformers."""

    model: str
    texts: int
    largest_difference: float | None
    """None where transformers is not installed or has no class for the design."""
    why_not: str = ""


def compare_with_transformers(run: Path, texts: Sequence[str]) -> SameLogits:
    """Open the trained folder of a classifier with transformers' Auto classes and compare on some texts."""
    name = str(run / "model")
    if importlib.util.find_spec("transformers") is None:
        return SameLogits(name, 0, None, "transformers is not installed: pip install 'groundup[interop]'")
    from transformers import AutoModelForSequenceClassification, AutoTokenizer
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    theirs, tokenizer = (
        AutoModelForSequenceClassification.from_pretrained(name).eval(),
        AutoTokenizer.from_pretrained(name),
    )
    ours = load_trained(run)
    with torch.inference_mode():
        expected = theirs(**tokenizer(list(texts), return_tensors="pt", padding=True)).logits
        packed = Packed.from_sequences(
            [np.asarray(each.input_ids) for each in ours.tokenizer.encode_batch(list(texts))]
        )
        found = ours.model.heads["classification"](ours.model.summarize(packed))
    return SameLogits(name, len(texts), float((found - expected).abs().max()))
