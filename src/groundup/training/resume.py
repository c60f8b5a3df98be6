"""What must be as it was before a run goes on: its data, and the best weights that it will make its model of."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from groundup.checkpoint.store import Store, Tree
from groundup.errors import CheckpointError
from groundup.training.log import read_lines


def check_data(tree: Tree, digests: Mapping[str, str | None]) -> None:
    """CheckpointError where something that decides what a step sees is not what it was."""
    for name, digest in digests.items():
        if tree["data"].get(name) != digest:
            raise CheckpointError(
                f"data.{name}" if name.startswith(("train", "validation")) else f"objective.{name}",
                "has changed since the checkpoint was written, so a resume would not be exact",
                cure="restore the data, or choose another output folder",
            )


def check_best(folder: Path, tree: Tree) -> None:
    """CheckpointError where the best weights of a run or their figures are gone, of which it makes its model."""
    best = tree["progress"]["best_step"]
    if best is None:
        return
    store, log = Store(folder / "checkpoints"), folder / "metrics.jsonl"
    cure = "restore it, or start again with another output=FOLDER"
    if problems := store.verify(best):
        raise CheckpointError(str(store.path(best)), f"holds the best weights no more ({problems[0]})", cure=cure)
    if not any((line["kind"], line["step"]) == ("evaluation", best) for line in read_lines(log)):
        raise CheckpointError(str(log), f"tells nothing of the validation after step {best}, the best one", cure=cure)
