"""What a run says while it runs: `metrics.jsonl`, the terminal, and TensorBoard where it is installed."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TextIO

from groundup.errors import CheckpointError
from groundup.figures import format_seconds
from groundup.metrics.metric import Metric

TIME_KEY: Final = "time"
"""The one key of a line that differs between two identical runs."""


def write_whole(path: Path, content: bytes) -> None:
    """Written beside and renamed, so that a reader never sees half of it; on a full disk nothing of it stays."""
    beside = path.with_name(f".{path.name}.new")
    try:
        beside.write_bytes(content)
        os.replace(beside, path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise


class MetricsFile:
    """`metrics.jsonl`: one JSON object a line. After a resume it continues as if nothing had happened."""

    def __init__(self, path: Path, *, step: int) -> None:
        """Open for appending after dropping every line past `step`, a half-written last one included.

        CheckpointError where a whole line is not what was written.
        """
        lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
        kept = [line for line, values in zip(lines, read_lines(path), strict=False) if values["step"] <= step]
        if kept != lines:
            write_whole(path, b"".join(kept))
        self._file = path.open("a", encoding="utf-8")

    def write(self, line: Mapping[str, object]) -> None:
        """Append one line."""
        self._file.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")
        self._file.flush()

    def sync(self) -> None:
        """Wait until every line is on disk: called before a checkpoint that counts on them."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a `metrics.jsonl`, of which the last may be being written and is then left out; none without a file.

    CheckpointError names a damaged one.
    """
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    return [_read_line(line, f"{path}:{number}") for number, line in enumerate(lines, start=1)]


def _read_line(line: bytes, where: str) -> dict[str, Any]:
    try:
        values = json.loads(line)
        if isinstance(values, dict) and isinstance(values.get("step"), int) and isinstance(values.get("kind"), str):
            return values
    except ValueError:
        pass
    cure = "remove the line, and the figures of its step are lost"
    raise CheckpointError(where, "is damaged", got=line.decode(errors="replace"), cure=cure)


class Terminal:
    """Progress for people: one line that renews itself on a terminal, plain lines elsewhere."""

    def __init__(
        self, total_steps: int, *, noun: str = "step", stream: TextIO | None = None, quiet: bool = False
    ) -> None:
        self._stream, self._total, self._quiet, self._noun = stream or sys.stderr, total_steps, quiet, noun
        self._renews = self._stream.isatty()
        self._last_width = 0
        self._last_print = 0.0

    def progress(self, step: int, text: str, seconds_left: float) -> None:
        """Show where the run is. Elsewhere than on a terminal at most one line every five seconds, and the last."""
        now = time.monotonic()
        if self._quiet or (not self._renews and step < self._total and now - self._last_print < 5.0):
            return
        self._last_print = now
        share = f"{self._noun} {step}/{self._total} ({100 * step / self._total:.0f}%)"
        line = f"{share}  {text}  {format_seconds(seconds_left)} left"
        if self._renews:
            self._stream.write("\r" + line.ljust(self._last_width))
            self._last_width = len(line)
        else:
            self._stream.write(line + "\n")
        self._stream.flush()

    def say(self, text: str) -> None:
        """A line that stays."""
        if self._quiet:
            return
        self.clear()
        self._stream.write(f"{text}\n")
        self._stream.flush()

    def clear(self) -> None:
        """Take the line away that renews itself."""
        if self._renews and self._last_width:
            self._stream.write("\r" + " " * self._last_width + "\r")
            self._stream.flush()
            self._last_width = 0


class TensorBoard:
    """Scalars as TensorBoard events, where the extra `tensorboard` is installed; nothing where it is not.

    Its usual writer works in a thread, which answers a full disk with a traceback of its own.
    """

    def __init__(self, folder: Path, *, step: int) -> None:
        """Start a file of events, before which every point past `step` does not count."""
        self._file = None
        if importlib.util.find_spec("tensorboard") is None:
            return
        from tensorboard.compat.proto.event_pb2 import SessionLog
        from tensorboard.summary.writer.record_writer import RecordWriter

        folder.mkdir(exist_ok=True)
        name = f"events.out.tfevents.{int(time.time())}.{socket.gethostname()}.{os.getpid()}.{time.monotonic_ns()}"
        self._file = (folder / name).open("wb")
        self._records = RecordWriter(self._file)
        self._add(file_version="brain.Event:2")
        self._add(step=step + 1, session_log=SessionLog(status=SessionLog.START))

    def write(self, step: int, values: Mapping[str, float | int]) -> None:
        """One point of each curve."""
        if self._file is None:
            return
        from tensorboard.compat.proto.summary_pb2 import Summary

        points = [Summary.Value(tag=name, simple_value=float(value)) for name, value in values.items()]
        self._add(step=step, summary=Summary(value=points))

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def _add(self, **content: object) -> None:
        from tensorboard.compat.proto.event_pb2 import Event

        self._records.write(Event(wall_time=time.time(), **content).SerializeToString())
        self._records.flush()


class Log:
    """All three at once."""

    def __init__(self, folder: Path, *, step: int, total_steps: int, quiet: bool = False) -> None:
        self.terminal = Terminal(total_steps, quiet=quiet)
        self._file = MetricsFile(folder / "metrics.jsonl", step=step)
        self._board = TensorBoard(folder / "tensorboard", step=step)

    def train(self, step: int, values: Mapping[str, float | int], timing: Mapping[str, float]) -> None:
        """The figures of a window of steps."""
        self._file.write({"step": step, "kind": "train", **values, TIME_KEY: timing})
        self._board.write(step, {f"train/{name}": value for name, value in {**values, **timing}.items()})

    def evaluation(self, step: int, metrics: Mapping[str, Metric], timing: Mapping[str, float]) -> None:
        """The figures of one validation."""
        figures = {name: metric.to_json() for name, metric in metrics.items()}
        self._file.write({"step": step, "kind": "evaluation", "metrics": figures, TIME_KEY: timing})
        self._board.write(step, {f"validation/{name}": metric.value for name, metric in metrics.items()})

    def event(self, step: int, kind: str, values: Mapping[str, object]) -> None:
        """Something that happened once, such as a skipped step."""
        self._file.write({"step": step, "kind": kind, **values})

    @property
    def say(self) -> Callable[[str], None]:
        """Print a line that stays."""
        return self.terminal.say

    def sync(self) -> None:
        """See `MetricsFile.sync`."""
        self._file.sync()

    def close(self) -> None:
        """Close files."""
        self._file.close()
        self._board.close()
