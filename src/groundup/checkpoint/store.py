"""Training states on disk: each step a folder that is either whole or not there, and that knows when it is damaged.

A folder `step-N` holds `tensors.safetensors`, `state.json` (everything that is no tensor) and `manifest.json` (sizes
and checksums). It is written under a hidden name, brought to the disk, and renamed; so a process killed at any instant
leaves hidden leftovers at most, which the next writer removes.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from groundup.checkpoint.manifest import (
    MANIFEST,
    decode_json,
    encode_json,
    find_damage,
    read_bytes,
    read_manifest,
    seal,
    sync,
)
from groundup.checkpoint.tensors import read_tensors, write_folder, write_tensors
from groundup.checkpoint.tree import Parts, Tree, join_tree, split_tree
from groundup.errors import CheckpointError

__all__ = ["Store", "Tree"]

TENSORS: Final = "tensors.safetensors"
STATE: Final = "state.json"
FORMAT: Final = "groundup.training_state"
VERSION: Final = 1
"""Of the layout of a tree in its files. The manifest must stay readable by every version."""

_STEP = re.compile(r"step-(0|[1-9][0-9]*)")
_HIDDEN = re.compile(r"\.(step-[0-9]+)\.(writing|replaced|deleting)")


class Store:
    """The training states of one run, by step."""

    def __init__(self, folder: Path) -> None:
        """Nothing is created or removed before the first `save`, so a look at a running run does no harm."""
        self.folder = Path(folder)

    def path(self, step: int) -> Path:
        """The folder of a step."""
        return self.folder / f"step-{step}"

    def steps(self) -> list[int]:
        """All steps there are, rising, whether intact or not."""
        try:
            names = os.listdir(self.folder)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise CheckpointError(str(self.folder), f"cannot be read: {error.strerror}") from None
        return sorted(int(match[1]) for name in names if (match := _STEP.fullmatch(name)))

    def save(self, step: int, tree: Tree, *, extra_files: Mapping[str, bytes] | None = None) -> Path:
        """Write a step, or leave everything as it was.

        Equal trees give equal bytes. A step that is there already is replaced as a whole.

        Raises:
            CheckpointError: the tree holds what cannot be stored, the disk is full, the folder cannot be written to, or
                another process is writing into it.
        """
        if isinstance(step, bool) or not isinstance(step, int) or step < 0:
            raise CheckpointError("step", "must be a whole number from 0 on", got=step)
        parts, extra_files = split_tree(tree), extra_files or {}
        for name in extra_files:
            if not name or Path(name).name != name or name in (TENSORS, STATE, MANIFEST):
                raise CheckpointError(name, "cannot be the name of a further file of a checkpoint")
        with self._writing():
            write_folder(self.path(step), lambda hidden: _write(hidden, step, parts, extra_files))
        return self.path(step)

    def load(self, step: int | None = None) -> dict[str, Any]:
        """The tree of a step, the newest by default, every byte of it checked.

        Raises:
            CheckpointError: there is no such step, or it is damaged; the message names the file and the last good step.
        """
        steps = self.steps()
        if not steps:
            raise CheckpointError(str(self.folder), "holds no checkpoint")
        if step is None:
            step = steps[-1]
        if step not in steps:
            raise CheckpointError(str(self.path(step)), "is not there", cure=f"there are the steps {_list(steps)}")
        try:
            return self._read(step)
        except CheckpointError as error:
            cures = [cure for cure in (error.cure, self._way_out(step)) if cure]
            raise CheckpointError(error.where, error.what, cure="; ".join(cures)) from None

    def verify(self, step: int) -> list[str]:
        """What is wrong with a step, one sentence a problem; an empty list where it is intact."""
        try:
            damage = self._find_damage(step)
            if not damage:
                self._assemble(step)
        except CheckpointError as error:
            return [str(error)]
        return [str(problem) for problem in damage]

    def latest_good(self) -> int | None:
        """The newest step that is intact."""
        return next((step for step in reversed(self.steps()) if not self.verify(step)), None)

    def prune(self, keep_last: int, also_keep: Collection[int] = ()) -> list[int]:
        """Delete all but the newest `keep_last` steps and those in `also_keep`; the steps that were deleted."""
        steps = self.steps()
        doomed = [step for step in steps[: max(0, len(steps) - keep_last)] if step not in also_keep]
        if not doomed:
            return []
        with self._writing():
            for step in doomed:
                # A kill in the middle of a deletion must not leave a folder that looks like a checkpoint.
                os.rename(self.path(step), self.folder / f".step-{step}.deleting")
            sync(self.folder)
            self._clean()
        return doomed

    def clean(self) -> None:
        """Remove what killed saves and deletions left behind: for the run that writes here, before it resumes."""
        if self.folder.exists():
            with self._writing():
                pass

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Have the folder to oneself. Whoever has it knows that everything hidden in it is a leftover."""
        try:
            if not self.folder.exists():
                self.folder.mkdir(parents=True, exist_ok=True)
                sync(self.folder.parent)
            with (self.folder / ".lock").open("w") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the kernel lets go of it when the process dies
                self._clean()
                yield
        except BlockingIOError:
            raise CheckpointError(
                str(self.folder), "another process is writing into it", cure="wait, or choose another output folder"
            ) from None
        except OSError as error:
            raise CheckpointError(str(self.folder), f"cannot be written: {error.strerror or error}") from error

    def _clean(self) -> None:
        for path in sorted(self.folder.iterdir()):
            if match := _HIDDEN.fullmatch(path.name):
                visible = self.folder / match[1]
                if match[2] == "replaced" and not visible.exists():
                    os.rename(path, visible)  # killed between the two renames of `write_folder`
                else:
                    shutil.rmtree(path)

    def _find_damage(self, step: int) -> list[CheckpointError]:
        path = self.path(step)
        if not path.is_dir():
            raise CheckpointError(str(path), "is not a folder" if path.exists() else "is not there")
        manifest = read_manifest(path)
        if manifest.get("step") != step:
            raise CheckpointError(str(path / MANIFEST), f"belongs to step {manifest.get('step')}")
        return find_damage(path, manifest["files"])

    def _read(self, step: int) -> dict[str, Any]:
        for problem in self._find_damage(step):
            raise problem
        return self._assemble(step)

    def _assemble(self, step: int) -> dict[str, Any]:
        """The tree of a step whose bytes are known to be as they were written."""
        folder = self.path(step)
        state = _read_state(folder / STATE)
        parts = Parts(read_tensors(folder / TENSORS), state["tensors"], state["values"])
        try:
            return join_tree(parts)
        except CheckpointError as error:
            raise CheckpointError(str(folder / TENSORS), f"{error.where} {error.what}") from None

    def _way_out(self, step: int) -> str:
        good = self.latest_good()
        if good is None:
            return "there is no good checkpoint to go back to: start again in another folder"
        is_newest = step == self.steps()[-1]
        return f"step {good} is good" + (f": remove or rename {self.path(step)} to resume from it" if is_newest else "")


def _write(folder: Path, step: int, parts: Parts, extra_files: Mapping[str, bytes]) -> None:
    write_tensors(folder / TENSORS, parts.tensors, {})
    state = {"format": FORMAT, "version": VERSION, "tensors": parts.paths, "values": parts.values}
    for name, data in {STATE: encode_json(state), **extra_files}.items():
        (folder / name).write_bytes(data)
    seal(folder, {"step": step})


def _read_state(path: Path) -> dict[str, Any]:
    state = decode_json(read_bytes(path), path)
    if state.get("format") != FORMAT:
        raise CheckpointError(str(path), f"is no training state, its format is {state.get('format')!r}")
    if state.get("version") != VERSION:
        raise CheckpointError(
            str(path),
            f"is of format version {state.get('version')!r}, but this release reads version {VERSION}",
            cure="install the release that wrote it",
        )
    paths, values = state.get("tensors"), state.get("values")
    if not isinstance(paths, dict) or not isinstance(values, dict) or not all(map(_is_path, paths.values())):
        raise CheckpointError(str(path), "has no tree of tensors and values")
    return state


def _is_path(value: object) -> bool:
    return isinstance(value, list) and len(value) > 0 and all(isinstance(key, str) for key in value)


def _list(steps: list[int], limit: int = 5) -> str:
    return ("... " if len(steps) > limit else "") + ", ".join(map(str, steps[-limit:]))
