"""What `report.json` holds: plain data, from which the page is drawn and nothing else."""

from __future__ import annotations

from typing import Any, Literal, TypedDict

from groundup.reporting.content_rows import Bucket, Choices, Classes, Figure, Labels, Numbers

FORMAT = 1
"""Raised where a key changes its meaning."""

State = Literal["finished", "stopped_early", "unfinished", "not_started"]
Split = Literal["train", "validation"]


class Run(TypedDict):
    """What was done."""

    name: str
    folder: str
    state: State
    step: int
    """Optimizer steps done."""
    total_steps: int | None
    model_step: int | None
    """The step whose weights are shown; None where there are none."""
    epochs: float | None
    """Passes over the training data."""
    tokens: int
    targets: int
    seconds: float
    """In the loop, over all sessions."""
    evaluation_seconds: float
    """Of them, in validations."""
    skipped: int
    """Steps whose loss or gradient was not finite."""
    objective: str
    data_kind: str
    start: str | None
    """The model it started from; None for fresh weights."""
    version: str
    """Of groundup."""
    made: str
    """When the report was made."""


class Baseline(TypedDict):
    """What knowing nothing reaches: the most frequent label, or a guess among all tokens."""

    metric: str
    value: float
    label: str | None


class Curves(TypedDict):
    """`metrics.jsonl`, thinned out where it is long."""

    lines_per_point: int
    """Lines that a point of `train` is the mean of."""
    train: dict[str, list[int | float | None]]
    """`step`, `loss`, `learning_rate`, `tokens_per_second`, `grad_norm`; None where a line lacks one."""
    validation_steps: list[int]
    validation: dict[str, list[Figure]]
    best_metric: str
    """The one that chooses the model."""
    best_is_larger: bool


class Answer(TypedDict):
    """A token and its probability."""

    token: str
    probability: float


class Token(TypedDict, total=False):
    """A token of a shown sequence; those to predict have all keys."""

    text: str
    """What stood there."""
    space: bool
    """Whether a space stands before it."""
    fate: Literal["special", "hidden", "replaced", "kept"]
    seen: str
    """What the model saw."""
    answers: list[Answer]
    is_right: bool


class MaskedSequence(TypedDict):
    """A sequence as the model saw it, with its answers."""

    sample: int
    tokens: list[Token]
    num_asked: int
    num_right: int


class Masked(TypedDict):
    """How a masked model does."""

    split: Split
    sequences: int
    of: int
    targets: int
    buckets: list[Bucket]
    shown: list[MaskedSequence]


class WrittenText(TypedDict):
    """What a decoder wrote after a prompt."""

    number: int
    """The line of a table, or the number of a sequence."""
    prompt: str
    expected: str
    """What stands there in the data."""
    written: str
    is_right: bool | None
    """Whether both are the same; None where there is no one right answer."""


class Writing(TypedDict):
    """What a decoder writes, token by token the likeliest."""

    split: Split
    rows: int
    """Prompts that it was given."""
    of: int
    exact_rows: int | None
    """None where there is no one right answer."""
    wrong_rows: int | None
    buckets: list[Bucket]
    shown: list[WrittenText]


class Stretch(TypedDict):
    """Characters of a shown text."""

    start: int
    end: int
    name: str


class MarkedText(TypedDict):
    """A text with what should be found in it and what was."""

    line: int
    title: str | None
    text: str
    """Cut to where something is marked, where it is long."""
    expected: list[Stretch]
    found: list[Stretch]
    is_right: bool


class Found(TypedDict):
    """What a task finds in texts."""

    split: Split
    rows: int
    """Texts that it was given."""
    of: int
    right_rows: int
    wrong_rows: int
    parts: list[Figure]
    """Of each type, or each kind of question."""
    expected: dict[str, int]
    """Entities of each type that stand in the texts; empty where questions are answered."""
    found: dict[str, int]
    """Entities of each type that were found."""
    buckets: list[Bucket]
    """Texts in which all is right."""
    faults: dict[str, int]
    """How often what was found is wrong, and how; empty where texts have one answer each."""
    shown: list[MarkedText]


class ShownBatch(TypedDict):
    """A step's batch, decoded by the objective itself."""

    step: int
    """Counted from 1, as in `metrics.jsonl`."""
    epoch: int
    """Counted from 1."""
    micro_batches: int
    sequences: int
    tokens: int
    lines: list[str]
    """Some of its sequences."""


class Module(TypedDict):
    """A module of the model."""

    name: str
    shapes: dict[str, list[int]]
    parameters: int
    times: int


class Cost(TypedDict):
    """Something that a design costs and that its values do not show."""

    rule: str
    values: dict[str, str | int | float]


class Design(TypedDict):
    """A design and what it costs on a batch of sequences of one length."""

    name: str
    config: dict[str, Any]
    modules: list[Module]
    parameters: dict[str, int]
    parameter_shares: dict[str, float]
    num_parameters: int
    forward_flops: dict[str, float]
    """By part, a token."""
    flops_shares: dict[str, float]
    forward_flops_per_token: float
    training_flops_per_token: float
    memory: dict[str, int]
    """By kind, in bytes, while training."""
    memory_shares: dict[str, float]
    total_memory: int
    cache_bytes_per_token: int | None
    """Keys and values of all layers; None for an encoder."""
    micro_batch_tokens: int
    length: int
    """Tokens of a sequence in all of these figures."""
    activation_bytes: int
    """4, or 2 in bf16."""
    costs: list[Cost]
    notes: list[str]
    """What was assumed."""


class ModuleChange(TypedDict):
    """A module whose own parameters are not the same in two designs."""

    name: str
    one: str
    """Its shapes; empty where it is not there."""
    other: str


class Comparison(TypedDict):
    """Two designs and where they differ."""

    one: Design
    other: Design
    differences: dict[str, tuple[Any, Any]]
    """Keys of a recipe's `model`, with both values."""
    modules: list[ModuleChange]


class RunDesign(Design):
    """The design of a run."""

    total_flops: float | None
    """Of the run so far, about; None before its first line."""
    flops_per_second: float | None


class File(TypedDict):
    """A file of the data."""

    name: str
    bytes: int
    sha256: str


class Lengths(TypedDict):
    """How long sequences are."""

    limit: int
    bins: list[tuple[int, int | None, int]]
    quantiles: dict[str, int]
    longest: int


class DataSplit(TypedDict):
    """One part of the data."""

    name: str
    """`train`, `validation`, or what another source is called."""
    files: list[File]
    digest: str
    """Of what the model gets to see; a resume compares it."""
    sequences: int
    tokens: int
    """In the sequences, special tokens included."""
    documents: int | None
    characters: int | None
    labels: dict[str, int] | None
    """Rows of each label, or entities of each type."""
    label_shares: dict[str, float] | None
    counts_entities: bool
    """Whether entities are counted in `labels`."""
    unlabelled: int
    """Rows of which no label is known."""
    empty: int
    num_cut: int
    tokens_lost: int
    unknown_tokens: int
    lengths: Lengths


class Advice(TypedDict):
    """Something to try next, its reason in figures, and how."""

    rule: str
    values: dict[str, str | int | float]
    overrides: list[str]
    command: str | None


class Report(TypedDict):
    """A run. None stands for what is not there yet or does not apply."""

    format: int
    run: Run
    metrics: list[Figure]
    """Of `model_step`, on all validation data."""
    baseline: Baseline | None
    curves: Curves
    classes: Classes | None
    labels: Labels | None
    numbers: Numbers | None
    choices: Choices | None
    masked: Masked | None
    writing: Writing | None
    found: Found | None
    batch: ShownBatch | None
    design: RunDesign | None
    data: list[DataSplit]
    recipe: dict[str, Any]
    recipe_yaml: str
    domain: dict[str, str | int] | None
    """What must be equal for a resume to give the same bits."""
    advice: list[Advice]
