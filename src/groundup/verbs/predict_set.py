"""Predictions of a split of a data set that is known by its name, also as the file that its benchmark takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from groundup.errors import ConfigError, DataError
from groundup.objectives.protocol import Task
from groundup.readers.data_set import DataSet, FoundSplit, find_split
from groundup.readers.lines import place
from groundup.readers.registry import get_data_set
from groundup.readers.set_config import SetConfig, as_given
from groundup.readers.submission import Submission
from groundup.readers.table import Example
from groundup.verbs.predict import BATCH_ROWS, load_predictor
from groundup.verbs.predict_file import (
    Job,
    PredictReport,
    check_output,
    describe_origin,
    look_through,
    trained_labels,
    write_answers,
)
from groundup.verbs.predict_source import Given, Source, give
from groundup.verbs.predict_write import FORMATS, Format, Part, RowWriter, Writer
from groundup.verbs.trained import Trained


def predict_set(
    model: str | Path | Trained,
    name: str,
    output: str | Path,
    *,
    split: str | None = None,
    folder: str | Path | None = None,
    format: Format | None = None,
    batch_rows: int = BATCH_ROWS,
    quiet: bool = False,
) -> PredictReport:
    """Predictions for every row of a data set's split, in its order; killed and started again, the call goes on.

    An output that is called as the benchmark of the data set wants it (`CoLA.tsv`, `tnews11_predict.json`) is written
    as it takes it: only a model of that task, and only all rows of the official split will do.

    Args:
        model: a model folder, a run folder, a recipe, or a model that is loaded already.
        name: of the data set, as in `groundup data list`.
        output: the file to write.
        split: None takes that of the submission, or `test`.
        folder: the folder that holds the data set; None: that of `GROUNDUP_DATA`.
        format: `jsonl` or `csv`; None takes that of the output's ending, or a submission by its name.
        batch_rows: rows at a time.
        quiet: print no progress.

    Raises:
        DataError: the split is not there, is not whole, or the model's labels are not those of the data set.
        ConfigError: the output cannot be written or tells no format, or the model learnt another kind of example.
    """
    data_set, target = get_data_set(name), Path(output).expanduser()
    submission = None if format is not None else _find_submission(data_set, target, split)
    found = find_split(data_set, split or ("test" if submission is None else submission.split), folder)
    check_output(target, found.files)
    trained = load_predictor(model)
    _check_kind(trained, data_set)
    if submission is not None:
        _check_answers(trained, data_set, submission)
    source = Source(found.files[0], lambda: _read(trained, found))
    total = look_through(trained, source)
    if submission is not None and total != submission.rows:
        what = f"has {total} rows, where {submission.file} answers {submission.rows}"
        cure = f"get the official files from {data_set.source}"
        raise DataError(f"{data_set.name}.{found.name}", what, got=str(found.files[0]), cure=cure)
    form = submission.file if submission is not None else format or target.suffix.lower()[1:]
    origin = describe_origin(trained, found.files, batch_rows) | {"format": form, "split": found.name}

    def open_writer(part: Part) -> Writer:
        if submission is not None:
            return _SubmissionWriter(submission, part.num_rows)
        return RowWriter(form, trained_labels(trained), part.columns)  # type: ignore[arg-type]

    job = Job(f"{data_set.name}, {found.name}", source, total, target, origin)
    return write_answers(trained, job, open_writer, batch_rows=batch_rows, quiet=quiet)


class _SubmissionWriter:
    """Answers as a benchmark takes them."""

    columns: list[str] | None = None

    def __init__(self, submission: Submission, start: int) -> None:
        """Begin behind `start` rows."""
        self._submission, self._next = submission, start

    def write(self, rows: Sequence[Mapping[str, object]]) -> str:
        key = "label" if self._submission.bounds is None else "number"
        text = self._submission.write([row[key] for row in rows], self._next)  # type: ignore[misc]
        self._next += len(rows)
        return text


def _find_submission(data_set: DataSet, target: Path, split: str | None) -> Submission | None:
    """The one of that file name; None where the ending tells another format."""
    submission = next((each for each in data_set.submissions if each.file == target.name), None)
    if submission is None and target.suffix.lower()[1:] not in FORMATS:
        files = " or ".join(each.file for each in data_set.submissions)
        cure = "end it in .jsonl or .csv" + (f", or call it {files} to hand it in" if files else "")
        raise ConfigError("output", "has a name that tells no format", got=str(target), cure=cure)
    if submission is not None and split not in (None, submission.split):
        cure = f"leave the split out, or take {submission.split}"
        raise ConfigError("split", f"is not the one that {submission.file} answers", got=split, cure=cure)
    return submission


def _check_kind(trained: Trained, data_set: DataSet) -> None:
    kinds = trained.objective.config.data_kinds if isinstance(trained.objective, Task) else ("text",)
    kind = "text" if data_set.kind == "translation" else data_set.kind
    if kind not in kinds:
        what = f"is of another kind ({data_set.task}) than what the model learnt"
        raise ConfigError("set", what, got=data_set.name, cure=f"the model does {trained.objective.config.kind}")


def _check_answers(trained: Trained, data_set: DataSet, submission: Submission) -> None:
    """Whether the model learnt this task: of the same name where it learnt from one, and with the same answers."""
    learnt, config = submission.learnt or data_set.name, trained.objective.config
    data = None if trained.recipe is None else trained.recipe.data
    if isinstance(data, SetConfig) and data.name != learnt:
        cure = f"take a model of {learnt}, or end the output in .jsonl"
        raise DataError("model", f"learnt another task than that of {submission.file}", got=data.name, cure=cure)
    kind = "classification" if submission.bounds is None else "regression"
    if config.kind != kind:
        raise DataError("model", f"is none of {kind}, which {data_set.name} asks for", got=config.kind)
    known, labels = data_set.labels or {}, trained_labels(trained)
    other = next((label for label in labels if label not in known), None)
    if other is not None:
        shown = ", ".join(list(known)[:20])
        cure = f"{submission.file} takes {shown}; train on the files of {learnt}"
        raise DataError("model", f"has a label that {data_set.name} has not", got=other, cure=cure)


def _read(trained: Trained, split: FoundSplit) -> Iterator[Given]:
    for example in map(as_given, split.read()):
        where = place(split.files[0], "", example.line)
        if isinstance(example, Example):
            yield give(trained, example.text, example.pair, where)
        else:
            yield Given(example, where, None)
