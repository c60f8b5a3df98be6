"""Predictions of a whole file: looked through before anything is computed, written whole or not at all."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from groundup.errors import ConfigError
from groundup.figures import format_count, format_seconds
from groundup.training.log import Terminal
from groundup.verbs.layout import plural
from groundup.verbs.predict import BATCH_ROWS, Watch, answer_batches, check_given, load_predictor, name_kept
from groundup.verbs.predict_source import Source, open_source
from groundup.verbs.predict_write import Format, Part, RowWriter, Writer, find_format, open_part
from groundup.verbs.trained import Trained, find_model_folder


@dataclass(frozen=True)
class PredictReport:
    """Where the answers lie."""

    source: str
    output: str
    rows: int
    resumed_after: int
    """Rows that an earlier call had written, which was killed."""
    cut: int
    """Rows of this call that were longer than the model reads."""
    seconds: float

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        return asdict(self)

    def __str__(self) -> str:
        lines = [f"{plural(self.rows, 'row')} of {self.source} in {format_seconds(self.seconds)}: {self.output}"]
        if self.resumed_after:
            lines.append(f"{plural(self.resumed_after, 'row')} of them had been written before")
        if self.cut:
            lines.append(f"{plural(self.cut, 'row')} longer than the model reads: their ends were cut")
        return "\n".join(lines)


def predict_file(
    model: str | Path | Trained,
    source: str | Path,
    output: str | Path,
    *,
    format: Format | None = None,
    keep: Mapping[str, str] | Sequence[str] = (),
    batch_rows: int = BATCH_ROWS,
    quiet: bool = False,
) -> PredictReport:
    """Predictions for every row of a file, as a file of their own, at constant memory.

    All rows are read before the first is computed, so that one that cannot be read is told of at once. The output
    appears under its name when it is whole. Killed and started again, the same call goes on to the same bytes.

    Args:
        model: a model folder, a run folder, a recipe, or a model that is loaded already.
        source: a .txt, .csv, .tsv, .jsonl or .parquet file with the columns of the recipe.
        output: the file to write.
        format: `jsonl` or `csv`; None takes that of the output's ending.
        keep: columns of the source that go beside the answers; as a mapping, with the names that they get there.
        batch_rows: rows at a time.
        quiet: print no progress.

    Raises:
        DataError: a row cannot be read, or nothing can be said of it; the message names its line.
        ConfigError: the output cannot be written or tells no format.
    """
    path, target = Path(source).expanduser(), Path(output).expanduser()
    form = find_format(target, format)
    check_output(target, (path,))
    trained, kept = load_predictor(model), name_kept(keep)
    found = open_source(trained, str(path), None, kept)
    if found.path is None:
        raise ConfigError("output", "is for the rows of a file", got=str(source), cure="name a file to read")
    origin = describe_origin(trained, (path,), batch_rows) | {"format": form, "keep": dict(kept)}
    return write_answers(
        trained,
        Job(str(source), found, look_through(trained, found), target, origin),
        lambda part: RowWriter(form, trained_labels(trained), part.columns),
        batch_rows=batch_rows,
        quiet=quiet,
    )


def check_output(target: Path, sources: Sequence[Path]) -> None:
    """ConfigError where a file cannot be written there, or is one of those that are read."""
    if not target.parent.is_dir():
        raise ConfigError("output", "is in a folder that does not exist", got=str(target), cure="make the folder")
    is_read = target.exists() and any(source.exists() and target.samefile(source) for source in sources)
    if target.is_dir() or is_read:
        what = "is a folder" if target.is_dir() else "is the file that is read"
        raise ConfigError("output", what, got=str(target), cure="name another file")


@dataclass(frozen=True)
class Job:
    """Rows to answer, and the file to write."""

    name: str
    """Of the rows, for the report."""
    source: Source
    total: int
    """Rows."""
    target: Path
    origin: Mapping[str, Any]
    """What rows that are written already must be of."""


def write_answers(
    trained: Trained, job: Job, open_writer: Callable[[Part], Writer], *, batch_rows: int, quiet: bool
) -> PredictReport:
    """Answer the rows that are not written yet; the file gets its name when all are."""
    watch, started = Watch(), time.monotonic()
    terminal = Terminal(job.total, noun="row", quiet=quiet)
    with open_part(job.target, job.origin) as part:
        resumed = part.num_rows
        if resumed:
            terminal.say(f"continuing after row {resumed} of {job.total}")
        writer = open_writer(part)
        rows = islice(job.source.iterate(), resumed, None)
        for answers in answer_batches(trained, rows, batch_rows, watch):
            part.write(writer.write(answers), len(answers), writer.columns)
            rate = watch.num_rows / (time.monotonic() - started)
            terminal.progress(part.num_rows, f"{format_count(rate)} rows/s", (job.total - part.num_rows) / rate)
        terminal.clear()
    return PredictReport(job.name, str(job.target), job.total, resumed, watch.num_cut, time.monotonic() - started)


def stream_text(
    model: str | Path | Trained,
    source: str,
    *,
    format: Format = "jsonl",
    pair: str | None = None,
    keep: Mapping[str, str] | Sequence[str] = (),
    batch_rows: int = BATCH_ROWS,
) -> Iterator[str]:
    """Predictions as text to print, some rows at a time; a file is looked through first."""
    trained = load_predictor(model)
    found = open_source(trained, source, pair, name_kept(keep))
    if found.path is not None:
        look_through(trained, found)
    writer = RowWriter(format, trained_labels(trained))
    for answers in answer_batches(trained, found.iterate(), batch_rows, Watch()):
        yield writer.write(answers)


def look_through(trained: Trained, source: Source) -> int:
    """How many rows there are, after reading all of them: reading is quick beside computing."""
    total = 0
    for given in source.iterate():
        check_given(trained, given)
        total += 1
    return total


def trained_labels(trained: Trained) -> tuple[str, ...]:
    """The classes of a classifier; empty for what has none."""
    return getattr(trained.objective, "labels", ())


def describe_origin(trained: Trained, paths: Sequence[Path], batch_rows: int) -> dict[str, Any]:
    """What rows that are written already must be of: a file's name, size and time stand for its content."""
    folder = Path(find_model_folder(trained.folder))
    weights = sorted(folder.glob("*.safetensors")) if folder.is_dir() else []
    files = [[str(each.resolve()), each.stat().st_size, each.stat().st_mtime_ns] for each in (*paths, *weights)]
    return {"model": str(trained.folder), "files": files, "batch_rows": batch_rows}
