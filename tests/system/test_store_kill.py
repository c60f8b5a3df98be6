"""SIGKILL at any instant of a save, of a replacement or of a deletion: what is visible is whole.

This file is also the script that does it: it forks a child that saves, kills it, looks at what is left, and prints how
many kills there were and how many of them left a trace to clean up.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from groundup.checkpoint.store import Store

INSTANTS = {"open", "os.mkdir", "os.remove", "os.rename", "os.rmdir"}
"""Every change that a store makes to its folder is announced by one of these audit events before it happens."""


REPLACED = 100
"""Added to what a step holds when it is saved a second time."""


def make_tree(step: int, size: int = 100) -> dict:
    return {"model": {"w": torch.full((size,), float(step))}, "progress": {"step": step}}


def run_killed(work: Callable[[], None], wait_for_end: Callable[[int], None]) -> bool:
    """Do the work in a fork of this process; whether it came to its end before it was killed."""
    child = os.fork()
    if child == 0:
        work()
        os._exit(0)
    wait_for_end(child)
    _, status = os.waitpid(child, 0)
    assert status in (0, signal.SIGKILL), status
    return status == 0


def kill_at(instant: int) -> None:
    """Kill this process when it is about to change its folder for the `instant`-th time."""
    seen = 0

    def count(event: str, arguments: tuple) -> None:
        nonlocal seen
        if event in INSTANTS:
            seen += 1
            if seen == instant:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)


def check(store: Store, size: int = 100) -> bool:
    """Whatever is visible is whole, before and after leftovers are removed; whether there were any."""
    check_visible(store, size)
    has_leftovers = any(store.folder.glob(".step-*"))
    store.clean()
    check_visible(store, size)
    assert not any(store.folder.glob(".step-*"))
    return has_leftovers


def check_visible(store: Store, size: int) -> None:
    for step in store.steps():
        assert store.verify(step) == []
        tree = store.load(step)
        saved = tree["progress"]["step"]
        assert saved in (step, step + REPLACED)
        assert torch.equal(tree["model"]["w"], torch.full((size,), float(saved)))


def kill_at_every_instant(folder: Path) -> tuple[int, int]:
    kills = traces = 0
    for instant in itertools.count(1):
        shutil.rmtree(folder, ignore_errors=True)
        store = Store(folder)
        store.save(1, make_tree(1))
        store.save(2, make_tree(2))

        def work(store: Store = store, instant: int = instant) -> None:
            kill_at(instant)
            store.save(3, make_tree(3))
            store.save(2, make_tree(2 + REPLACED))
            store.prune(1, also_keep=[1])

        ended = run_killed(work, lambda child: None)
        visible = store.steps()
        assert visible in ([1, 2], [1, 2, 3], [1, 3]), visible
        traces += check(store)
        assert store.steps() in ([1, 2], [1, 2, 3], [1, 3])
        store.save(3, make_tree(3))
        assert store.latest_good() == 3
        if ended:
            return kills, traces
        kills = instant
    raise AssertionError("never ends")


def kill_at_random(folder: Path, times: int, seed: int) -> tuple[int, int]:
    draw, size, traces = random.Random(seed), 200_000, 0
    store = Store(folder)
    store.save(0, make_tree(0, size))
    for _ in range(times):
        start = store.steps()[-1]

        def work(start: int = start) -> None:
            for step in itertools.count(start + 1):
                store.save(step, make_tree(step, size))
                store.prune(2)

        def wait(child: int) -> None:
            time.sleep(draw.uniform(0.0, 0.05))
            os.kill(child, signal.SIGKILL)

        assert not run_killed(work, wait)
        assert (store.latest_good() or 0) >= start
        traces += check(store, size)
    return times, traces


def run_script(*arguments: object) -> tuple[int, int]:
    command = [sys.executable, __file__, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return tuple(json.loads(done.stdout))


def test_killed_at_every_instant(tmp_path):
    kills, traces = run_script(tmp_path / "store")
    assert kills > 20
    assert traces > 10


def test_killed_at_random(tmp_path):
    kills, traces = run_script(tmp_path / "store", 20, 1)
    assert kills == 20
    assert traces > 3


@pytest.mark.slow
def test_killed_at_random_a_thousand_times(tmp_path):
    kills, traces = run_script(tmp_path / "store", 1000, 2)
    assert kills == 1000
    assert traces > 200


if __name__ == "__main__":
    torch.set_num_threads(1)
    target = Path(sys.argv[1])
    result = kill_at_random(target, *map(int, sys.argv[2:])) if len(sys.argv) > 2 else kill_at_every_instant(target)
    print(json.dumps(result))
