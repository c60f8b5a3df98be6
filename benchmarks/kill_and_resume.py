"""Kill a run at random instants, inside saves too, resume it, and compare every bit with the uninterrupted run.

    python benchmarks/kill_and_resume.py --kills 50 --during-save 15

Three short runs are used in turn: masked-language-model pretraining with AdamW and with Muon, and fine-tuning of a
classifier with early stopping, all with dropout. First each is run twice without interruption, which must agree. Then
every trial kills a run by SIGKILL (at a random moment, or at a random system call inside a save), starts it again until
it ends, and compares weights, optimizer, progress, `metrics.jsonl` (timings aside) and the exported model. Every
process is forked from one parent that has imported the package and computed nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from groundup.training.fingerprint import fingerprint
from groundup.verbs.train import train

ENGLISH = ("the", "a", "cat", "dog", "sees", "finds", "one", "two", "red", "blue", "old", "new", "bird", "fish")
WORDS = (*ENGLISH, *"我你他看书见山水猫狗大小")


def write_data(folder: Path) -> None:
    """A small bilingual text and a table with two classes."""
    draw = random.Random(7)
    lines = [" ".join(draw.choices(WORDS, k=draw.randint(3, 30))) for _ in range(400)]
    (folder / "text.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "valid.txt").write_text("\n".join(lines[:40]) + "\n", encoding="utf-8")
    rows = [f"{line}\t{'cat' if line.count('cat') > line.count('dog') else 'other'}" for line in lines]
    (folder / "train.tsv").write_text("\n".join(["text\tlabel", *rows[60:]]) + "\n", encoding="utf-8")
    (folder / "dev.tsv").write_text("\n".join(["text\tlabel", *rows[:60]]) + "\n", encoding="utf-8")


def recipes(data: Path, threads: int) -> dict[str, dict]:
    """The runs, as plain recipes without an output folder."""
    shared = {
        "seed": 3,
        "tokenizer": {"kind": "wordpiece", "vocab_size": 200},
        "model": {"hidden_size": 32, "num_layers": 2, "num_heads": 2, "intermediate_size": 64, "max_length": 48},
        "optimizer": {"kind": "adamw", "learning_rate": 1e-3},
        "train": {
            "batch_size": 16,
            "micro_batch_tokens": 128,
            "log_every": 3,
            "evaluate_every": 7,
            "save_every": 4,
            "keep_last": 2,
            "threads": threads,
            "device": "cpu",
        },
    }
    masked = shared | {
        "data": {"kind": "corpus", "train": [str(data / "text.txt")], "validation": [str(data / "valid.txt")]},
        "objective": {"kind": "masked", "max_length": 32},
        "train": shared["train"] | {"steps": 40},
    }
    table = shared | {
        "data": {"kind": "table", "train": str(data / "train.tsv"), "validation": str(data / "dev.tsv")},
        "objective": {"kind": "classification", "max_length": 32},
        "train": shared["train"] | {"epochs": 3, "patience": 4},
    }
    for recipe in (masked, table):
        recipe["model"] = {"kind": "transformer"} | recipe["model"]
    muon = masked | {"optimizer": {"kind": "muon", "learning_rate": 3e-3}}
    return {"masked": masked, "classification": table, "muon": muon}


def kill_self_at_call(number: int) -> Callable[[], None]:
    """Arrange for this process to die by SIGKILL at the n-th call that touches the disk inside a checkpoint's save."""
    from groundup.checkpoint.store import Store

    calls = {"left": number, "inside": 0}
    original_save = Store.save

    def guard(name: str) -> None:
        original = getattr(os, name)

        def wrapped(*args: object) -> object:
            if calls["inside"]:
                calls["left"] -= 1
                if calls["left"] <= 0:
                    os.kill(os.getpid(), signal.SIGKILL)
            return original(*args)

        setattr(os, name, wrapped)

    def save(self: Store, *args: object) -> object:
        calls["inside"] += 1
        try:
            return original_save(self, *args)
        finally:
            calls["inside"] -= 1

    def install() -> None:
        for name in ("fsync", "rename", "replace"):
            guard(name)
        Store.save = save  # type: ignore[method-assign]

    return install


def run_child(recipe: dict, folder: Path, *, before: Callable[[], None] | None = None) -> int:
    """Train in a forked process; its process id."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        with (folder.parent / f"{folder.name}.log").open("a") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
            if before is not None:
                before()
            train(recipe | {"output": str(folder)})
            status = 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(status)


def finish(recipe: dict, folder: Path) -> None:
    """Run to the end, or fail showing the log."""
    _, status = os.waitpid(run_child(recipe, folder), 0)
    if status != 0:
        sys.exit(f"a run failed:\n{(folder.parent / f'{folder.name}.log').read_text()[-3000:]}")


def run_trials(work: Path, kills: int, during_save: int, seed: int, threads: int) -> dict[str, int | list[str]]:
    """All trials; counts, and what differed."""
    write_data(work)
    plans = recipes(work, threads)
    expected: dict[str, dict[str, str]] = {}
    seconds: dict[str, float] = {}
    for name, recipe in plans.items():
        started = time.monotonic()
        finish(recipe, work / f"{name}-a")
        seconds[name] = time.monotonic() - started
        finish(recipe, work / f"{name}-b")
        expected[name] = fingerprint(work / f"{name}-a")
        if expected[name] != fingerprint(work / f"{name}-b"):
            sys.exit(f"two uninterrupted runs of {name!r} differ, so nothing can be said about a resume")
        print(f"{name}: two uninterrupted runs agree ({seconds[name]:.1f} s each)", flush=True)
    draw = random.Random(seed)
    landed = {"random": 0, "save": 0}
    wrong: list[str] = []
    trial = 0
    while sum(landed.values()) < kills:
        trial += 1
        name = list(plans)[trial % len(plans)]
        kind = "save" if landed["save"] < during_save else "random"
        folder = work / "trial"
        shutil.rmtree(folder, ignore_errors=True)
        if kind == "save":
            pid = run_child(plans[name], folder, before=kill_self_at_call(draw.randint(1, 60)))
        else:
            pid = run_child(plans[name], folder)
            time.sleep(draw.uniform(0.02, 1.05 * seconds[name]))
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        if not os.WIFSIGNALED(status):
            continue  # it had ended before the kill: not a trial
        landed[kind] += 1
        finish(plans[name], folder)
        found = fingerprint(folder)
        different = sorted(key for key in expected[name] | found if expected[name].get(key) != found.get(key))
        if different:
            wrong.append(f"trial {trial} ({name}, {kind}): {different}")
        if sum(landed.values()) % 10 == 0:
            print(f"{sum(landed.values())} kills, {len(wrong)} differ", flush=True)
    return {"kills": sum(landed.values()), "during_save": landed["save"], "threads": threads, "differing": wrong}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--during-save", type=int, default=15, help="how many of them inside a save")
    parser.add_argument("--seed", type=int, default=0, help="of the instants")
    parser.add_argument("--threads", type=int, default=1, help="of every run")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        outcome = run_trials(Path(work), arguments.kills, arguments.during_save, arguments.seed, arguments.threads)
    print(json.dumps(outcome, indent=1))
    sys.exit(1 if outcome["differing"] else 0)


if __name__ == "__main__":
    main()
