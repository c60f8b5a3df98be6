"""What a run says while it runs: `metrics.jsonl`, the terminal, and TensorBoard where it is installed."""

from __future__ import annotations

import importlib.util
import json
import os
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


class MetricsFile:
    """`metrics.jsonl`: one JSON object a line. After a resume it continues as if nothing had happened."""

    def __init__(self, path: Path, *, step: int) -> None:
        """Open for appending after dropping every line past `step`, a half-written last one included.

        CheckpointError where a whole line is not what was written.
        """
        lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
        kept = [line for line, values in zip(lines, read_lines(path), strict=False) if values["step"] <= step]
        if kept != lines:
            beside = path.with_name(f".{path.name}.new")
            beside.write_bytes(b"".join(kept))
            os.replace(beside, path)
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

    def __init__(self, total_steps: int, *, stream: TextIO | None = None, quiet: bool = False) -> None:
        self._stream, self._total, self._quiet = stream or sys.stderr, total_steps, quiet
        self._renews = self._stream.isatty()
        self._last_width = 0
        self._last_print = 0.0

    def progress(self, step: int, text: str, seconds_left: float) -> None:
        """Show where the run is. Elsewhere than on a terminal at most one line every five seconds, and the last."""
        now = time.monotonic()
        if self._quiet or (not self._renews and step < self._total and now - self._last_print < 5.0):
            return
        self._last_print = now
        line = (
            f"step {step}/{self._total} ({100 * step / self._total:.0f}%)  {text}  {format_seconds(seconds_left)} left"
        )
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
        start = "\r" + " " * self._last_width + "\r" if self._renews and self._last_width else ""
        self._stream.write(f"{start}{text}\n")
        self._stream.flush()


class TensorBoard:
    """Scalars as TensorBoard events, where the extra `tensorboard` is installed; nothing where it is not."""

    def __init__(self, folder: Path, *, step: int) -> None:
        self._writer = None
        if importlib.util.find_spec("tensorboard") is not None:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(folder), purge_step=step + 1)

    def write(self, step: int, values: Mapping[str, float | int]) -> None:
        """One point of each curve."""
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Write what is pending."""
        if self._writer is not None:
            self._writer.close()


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
