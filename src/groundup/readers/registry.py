"""All data sets by name, and predictions in the form in which GLUE takes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from groundup.errors import DataError
from groundup.readers.chinese import CHINESE
from groundup.readers.data_set import DataSet, find_split
from groundup.readers.english import ENGLISH
from groundup.readers.examples import AnyExample

DATA_SETS: Final = {data_set.name: data_set for data_set in (*ENGLISH, *CHINESE)}


def get_data_set(name: str) -> DataSet:
    """The entry of that name, or of one that is also in use. Raises DataError naming the nearest."""
    wanted = name.lower()
    for data_set in DATA_SETS.values():
        if wanted in (data_set.name, *data_set.aliases):
            return data_set
    near = get_close_matches(wanted, DATA_SETS, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise DataError("data set", "is unknown", got=name, cure=f"{hint}known are {', '.join(DATA_SETS)}")


def read_data_set(name: str, split: str = "train", folder: str | Path | None = None) -> Iterator[AnyExample]:
    """The examples of a split, from a folder or from that of `GROUNDUP_DATA`, one at a time."""
    return find_split(get_data_set(name), split, folder).read()


def write_submission(
    name: str, predictions: Sequence[str | float | int], folder: str | Path, *, mismatched: bool = False
) -> Path:
    """Write predictions of a test split as GLUE takes them: `index`, `prediction`, in the order of its rows.

    Args:
        name: of a task of GLUE.
        predictions: labels as they stand in the training file; numbers for STS-B, written to three places.
        folder: where the file goes, which GLUE has named.
        mismatched: of MNLI, for the mismatched test split.

    Raises:
        DataError: the data set takes no submission, or a label is not one of its own.
    """
    data_set = get_data_set(name)
    if data_set.submission is None:
        known = ", ".join(each.name for each in DATA_SETS.values() if each.submission)
        raise DataError(data_set.name, "takes no submission", cure=f"these do: {known}")
    labels = data_set.labels
    lines = ["index\tprediction"]
    for number, prediction in enumerate(predictions):
        if labels is None:
            written = f"{float(prediction):.3f}"
        elif str(prediction) in labels:
            written = str(prediction)
        else:
            raise DataError(f"{data_set.name}:{number}", "is no label of it", got=prediction, cure=", ".join(labels))
        lines.append(f"{number}\t{written}")
    file = Path(folder) / data_set.submission.split(", ")[-1 if mismatched else 0]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file
