"""What `report.json` holds of rows with labels, numbers or choices: figures of each part, and rows right and wrong."""

from __future__ import annotations

from typing import Literal, TypedDict


class Figure(TypedDict):
    """A metric, as `metrics.jsonl` has it."""

    name: str
    value: float
    count: int
    signature: str
    low: float | None
    high: float | None


class Bucket(TypedDict):
    """A part of the rows."""

    by: Literal["all", "length", "language", "fate", "script"]
    name: str
    """`en`, `hidden`, or a range such as `9-16` (`65-` is open)."""
    count: int
    accuracy: float
    low: float | None
    high: float | None
    loss: float | None


class ClassFigures(TypedDict):
    """One class."""

    label: str
    count: int
    precision: Figure
    recall: Figure
    f1: Figure


class Bin(TypedDict):
    """Rows whose surest label has a probability between `low` and `high`."""

    low: float
    high: float
    count: int
    confidence: float | None
    accuracy: float | None


class Calibration(TypedDict):
    """Whether probabilities mean what they say."""

    error: float
    """Expected calibration error."""
    bins: list[Bin]


class Example(TypedDict):
    """A row of the validation data and what the model says of it."""

    line: int
    """Of the file."""
    text: str
    pair: str | None
    label: str
    prediction: str
    probabilities: dict[str, float]
    """Of the label, of the prediction and of the likeliest others."""


class Classes(TypedDict):
    """How a classifier does on validation rows."""

    rows: int
    """Rows that were measured."""
    of: int
    """Rows that there are."""
    right_rows: int
    wrong_rows: int
    labels: list[str]
    confusion: list[list[int]]
    """Rows are the true labels, columns the predicted ones."""
    classes: list[ClassFigures]
    buckets: list[Bucket]
    calibration: Calibration
    wrong: list[Example]
    """The surest mistakes first."""
    right: list[Example]
    """The closest calls first."""


class LabelFigures(ClassFigures):
    """One of the labels that rows may have."""

    threshold: float
    """From which probability on a row is given it."""


class LabelledRow(TypedDict):
    """A row of the validation data with the labels that it has and those that the model gives it."""

    line: int
    text: str
    pair: str | None
    true: list[str]
    given: list[str]
    probabilities: dict[str, float]
    """Of all these, and of the likeliest others."""


class Labels(TypedDict):
    """How a model does on validation rows that may have several labels."""

    rows: int
    of: int
    right_rows: int
    """With all labels right."""
    wrong_rows: int
    figures: list[LabelFigures]
    buckets: list[Bucket]
    """Rows with all labels right."""
    wrong: list[LabelledRow]
    """The largest losses first."""
    right: list[LabelledRow]
    """The closest calls first: those with the largest losses."""


class ErrorPart(TypedDict):
    """A part of rows with a number each."""

    by: Literal["band", "length", "language"]
    name: str
    """Of a band, the true numbers in it; else as of a bucket."""
    count: int
    error: float
    """Mean distance from the true number."""
    low: float | None
    high: float | None
    bias: float
    """Mean of predicted - true."""


class NumberedRow(TypedDict):
    """A row of the validation data with its number and the predicted one."""

    line: int
    text: str
    pair: str | None
    true: float
    predicted: float


class Numbers(TypedDict):
    """How a model that predicts numbers does on validation rows."""

    rows: int
    of: int
    points: list[list[float]]
    """True and predicted, of rows that are spread evenly."""
    parts: list[ErrorPart]
    worst: list[NumberedRow]
    """The largest errors first."""


class ShownChoice(TypedDict):
    """A choice of a question."""

    text: str
    probability: float
    is_true: bool
    is_answer: bool


class ChosenQuestion(TypedDict):
    """A question of the validation data, with what the model makes of its choices."""

    line: int
    context: str
    question: str
    choices: list[ShownChoice]


class Choices(TypedDict):
    """How a model that chooses does on validation questions."""

    rows: int
    of: int
    right_rows: int
    wrong_rows: int
    buckets: list[Bucket]
    wrong: list[ChosenQuestion]
    """The surest mistakes first."""
    right: list[ChosenQuestion]
    """The closest calls first."""
