"""Train a recipe and die by SIGKILL in the middle of writing one checkpoint: half of the proof of exact resume.

python -m groundup.tour.kill_in_save RECIPE STEP
"""

from __future__ import annotations

import os
import signal
import sys

from groundup.checkpoint.store import Store
from groundup.errors import GroundupError
from groundup.verbs.train import train


def arm(step: int) -> None:
    """Arrange that saving `step` ends the process when its files are written, but not yet where they belong."""
    save, rename = Store.save, os.rename

    def save_or_die(self: Store, number: int, *arguments: object, **named: object) -> object:
        if number == step:
            os.rename = _die  # type: ignore[assignment]
        try:
            return save(self, number, *arguments, **named)  # type: ignore[arg-type]
        finally:
            os.rename = rename

    Store.save = save_or_die  # type: ignore[method-assign,assignment]


def _die(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    arm(int(sys.argv[2]))
    try:
        train(sys.argv[1], quiet=True)
    except GroundupError as error:
        sys.exit(f"error: {error}")
