"""Prepares a corpus in children that kill themselves at every single file operation in turn, and lets others go on.

Usage: kill_preparation.py TOKENIZER FILE WORK_FOLDER. Prints the number of kills; fails if one leaves other bytes.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from groundup.text import prepare as module
from groundup.text.corpus_config import CorpusConfig
from groundup.text.prepare import prepare
from groundup.text.tokenizer import Tokenizer

SHARD_TOKENS = 300
module._BATCH_CHARS = 300


def main(tokenizer_folder: Path, file: Path, work: Path) -> None:
    """Kill at operation 1, 2, 3 ... until a child comes through unharmed."""

    def run(folder: Path) -> None:
        config = CorpusConfig(train=(str(file),))
        prepare(config.train, Tokenizer.load(tokenizer_folder), folder, config, shard_tokens=SHARD_TOKENS)

    assert in_child(lambda: run(work / "whole")) == 0
    expected = read_all(work / "whole")
    assert len(expected) > 6
    num_kills = 0
    while True:
        folder = work / f"killed-{num_kills}"
        status = in_child(lambda: (kill_at(num_kills + 1), run(folder)))  # noqa: B023
        if status == 0:
            break
        assert status == signal.SIGKILL, status
        assert in_child(lambda: run(folder)) == 0  # noqa: B023
        assert read_all(folder) == expected, f"other bytes after a kill at operation {num_kills + 1}"
        num_kills += 1
    print(num_kills)


def in_child(work: Callable[[], object]) -> int:
    """The status of a forked child that does the work."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException as error:
            print(error, file=sys.stderr)
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1]


def kill_at(operation: int) -> None:
    """From now on, die in place of the given write, sync, rename, open for writing or removal."""
    left = operation

    def dying(function: Callable) -> Callable:
        def call(*arguments: object, **named: object) -> object:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **named)

        return call

    os.fsync = dying(os.fsync)
    Path.rename = dying(Path.rename)
    Path.unlink = dying(Path.unlink)
    module._ShardWriter.add = dying(module._ShardWriter.add)


def read_all(folder: Path) -> dict[str, bytes]:
    """Every file of a folder."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
