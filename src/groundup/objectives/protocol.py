"""What the training loop knows of an objective, and an objective of the loop: nothing but this file.

An objective turns samples into a packed batch (corruption included) and answers a loss as a sum and a count. The loop
divides once by the count of the whole step, all micro-batches and ranks together. A task is an objective that also
decodes predictions; its metrics come out of `score`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol, Self, TypeVar, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int, Int64
from torch import Tensor

from groundup.metrics.details import Details, Marked
from groundup.metrics.metric import Metric
from groundup.metrics.tally import Tally
from groundup.model.config import Head
from groundup.model.packed import Packed
from groundup.model.transformer import Transformer
from groundup.text.sample import Sample, Samples
from groundup.text.tokenizer import Tokenizer

ExampleT = TypeVar("ExampleT")
PredictionT = TypeVar("PredictionT")


class Loss(NamedTuple):
    """A loss before its division: the sum over targets (fp32, with its graph) and how many they are."""

    sum: Float[Tensor, ""]
    count: int


class Part(NamedTuple):
    """One of the losses that are weighted together in a batch."""

    weight: float
    count: int
    """Its targets in this batch."""
    factor: float
    """What its sum is multiplied with, so that (sum of all) / (count of all) is the weighted sum of the means."""


@dataclass(frozen=True)
class Batch:
    """A packed batch with the targets of its objective."""

    packed: Packed
    targets: Mapping[str, Tensor]
    """What the loss compares with, by the objective's own names."""
    count: int
    """How many targets the loss sums over; may be 0 for a micro-batch, never for a whole step."""
    samples: Int64[np.ndarray, " sequences"]
    """The number of the sample that each sequence came from."""
    parts: tuple[Part, ...] = ()
    """Where several losses are weighted together: each of them; `count` is then that of all."""
    source: Packed | None = None
    """What an encoder reads, one sequence for each of `packed`; None for one stack alone."""

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on another device."""
        targets = {name: target.to(device, non_blocking=True) for name, target in self.targets.items()}
        source = None if self.source is None else self.source.to(device)
        return replace(self, packed=self.packed.to(device), targets=targets, source=source)

    @property
    def num_tokens(self) -> int:
        """Tokens that the model reads, those of sources included."""
        return self.packed.num_tokens + (0 if self.source is None else self.source.num_tokens)


def balance(batches: Sequence[Batch]) -> list[Batch]:
    """The batches of one step, with the factors of weighted losses made for the targets of all of them.

    A step divides once, by the count of all targets. The mean of part k over the step is sum_k / count_k, so its sum is
    given the factor weight_k * count / count_k: the result is sum over k of weight_k * mean_k, however the step is cut
    into micro-batches. A part without a target in the whole step adds nothing.
    """
    totals = np.array([[part.count for part in batch.parts] for batch in batches], dtype=np.int64).sum(axis=0)
    return [
        replace(
            batch,
            parts=tuple(
                part._replace(factor=part.weight * int(totals.sum()) / total if total else 0.0)
                for part, total in zip(batch.parts, totals.tolist(), strict=True)
            ),
        )
        for batch in batches
    ]


@runtime_checkable
class Objective(Protocol):
    """Corruption and loss in one place. The model never sees labels; the loop never sees what is masked."""

    head: Head | None
    """The head that the model must carry; None for the bare stack."""
    best: tuple[str, bool]
    """The metric that chooses the best checkpoint, and whether larger is better."""

    def prepare(self, samples: Sequence[Sample], seed: int, epoch: int) -> Batch:
        """Pack and corrupt. A function of its arguments alone; the samples are not changed."""
        ...

    def loss(self, model: Transformer, batch: Batch) -> Loss:
        """The summed loss of a batch and the number of its targets."""
        ...

    def measure(self, model: Transformer, batch: Batch) -> dict[str, np.ndarray]:
        """What `score` needs of a batch, as arrays over its sequences or targets (called without gradients)."""
        ...

    def score(self, measured: Mapping[str, np.ndarray], examples: Sequence[object]) -> dict[str, Metric]:
        """Metrics of a whole data set from the concatenated arrays of `measure`, and what its samples were made of."""
        ...

    def show(self, batch: Batch) -> list[str]:
        """Each sequence decoded for people, with its targets marked."""
        ...


@runtime_checkable
class Paced(Protocol):
    """An objective whose corruption changes in the course of training; its `prepare` is that of the end."""

    def prepare_at(self, samples: Sequence[Sample], seed: int, epoch: int, progress: float) -> Batch:
        """`prepare` at a place in training, 0 its first step and 1 its last. A function of its arguments alone."""
        ...


@runtime_checkable
class Combined(Protocol):
    """An objective with more than one head."""

    @property
    def heads(self) -> tuple[Head, ...]:
        """All that the model must carry."""
        ...


def find_heads(objective: Objective) -> tuple[Head, ...]:
    """All heads that the model must carry for an objective."""
    if isinstance(objective, Combined):
        return objective.heads
    return () if objective.head is None else (objective.head,)


@runtime_checkable
class Indivisible(Protocol):
    """An objective whose targets are compared with each other, so that a step must be one micro-batch."""

    is_indivisible: bool


@runtime_checkable
class Guessing(Protocol):
    """An objective that knows what it loses where nothing is known; for the others it is one of all choices."""

    def guess_loss(self, vocab_size: int, lengths: Sequence[int]) -> float:
        """The loss of guessing evenly over so many entries, or among the tokens of sequences of these lengths."""
        ...


class Constant(NamedTuple):
    """What one answer to everything reaches."""

    value: float
    """By the metric that chooses the best weights."""
    answer: str | None
    """None where it is an even guess."""


@runtime_checkable
class Collapsing(Protocol):
    """A task of which one answer to everything reaches something; of the others it reaches nothing, or an even loss."""

    def score_constant(self, samples: Samples) -> Constant | None:
        """The best that one answer to all of the samples reaches; None where nothing is known of that metric."""
        ...


@runtime_checkable
class Divided(Protocol):
    """An objective of which some targets alone are tokens to choose out of the vocabulary."""

    def count_choices(self, batch: Batch) -> int:
        """How many of a batch's targets are."""
        ...


def count_logit_rows(objective: Objective, batch: Batch) -> int:
    """For how many tokens a loss needs logits over the vocabulary, where it needs any: all targets, or some."""
    return objective.count_choices(batch) if isinstance(objective, Divided) else batch.count


@runtime_checkable
class Sharing(Protocol):
    """An objective that can share one pass of the model with others, as BERT's two do."""

    corrupts: bool
    """Whether it changes the tokens that all of them read; one of them may."""

    def arrange(self, samples: Sequence[Sample], seed: int, epoch: int) -> Sequence[Sample]:
        """The samples as they are to be read: in pairs, say."""
        ...

    def corrupt(self, arranged: Sequence[Sample], seed: int, epoch: int, progress: float) -> Batch:
        """Pack arranged samples with this objective's targets."""
        ...

    def rows(self, batch: Batch) -> Int[Tensor, " rows"]:
        """The tokens whose hidden states its loss is computed from."""
        ...

    def loss_on(self, model: Transformer, batch: Batch, hidden: Float[Tensor, "rows hidden"]) -> Float[Tensor, ""]:
        """The summed loss, from the hidden states of `rows`."""
        ...

    def measure_on(
        self, model: Transformer, batch: Batch, hidden: Float[Tensor, "rows hidden"]
    ) -> dict[str, np.ndarray]:
        """`measure`, from the hidden states of `rows`."""
        ...


@runtime_checkable
class Sourced(Protocol):
    """An objective that reads more than samples and tokenizer, such as a dictionary."""

    @property
    def sources(self) -> Mapping[str, str]:
        """What it reads, by the name of its setting, with a version or hash that changes when the content does."""
        ...


@runtime_checkable
class Answers(Protocol[ExampleT, PredictionT]):
    """Answers of one kind to examples of which the right ones are known, whoever gave them: a model, or a file."""

    def join(self, other: Self) -> Self:
        """By what these answers and other ones of the kind are compared.

        Raises:
            ConfigError: they choose among other labels.
        """
        ...

    def tallies(self, predictions: Sequence[PredictionT], examples: Sequence[ExampleT]) -> Mapping[str, Tally]:
        """The metrics, each a function of how often an example counts. What depends on the model is no part of it."""
        ...

    def find_errors(
        self, predictions: Sequence[PredictionT], examples: Sequence[ExampleT]
    ) -> Float[np.ndarray, " examples"]:
        """How wrong each prediction is: 0 where it is right."""
        ...


@runtime_checkable
class Comparable(Protocol):
    """A task of which two models can be compared on the same examples."""

    @property
    def answers(self) -> Answers[Any, Any]:
        """The kind of its predictions."""
        ...


@runtime_checkable
class Restating(Protocol):
    """A comparable task whose examples may say the same in several ways."""

    def restate(self, example: Any) -> object:
        """What is asked and what is right, in the one way that its `answers` take."""
        ...


@runtime_checkable
class Task(Objective, Protocol[ExampleT, PredictionT]):
    """An objective whose examples people write and whose predictions people read."""

    wants_pair: bool | None
    """Whether an example that a user types has two texts; None where the data that was learnt from decides."""

    def examples_of(self, rows: Sequence[tuple[str, str | None]]) -> list[ExampleT]:
        """Texts or pairs of texts as examples without an answer."""
        ...

    def encode(self, examples: Sequence[ExampleT], where: str) -> Samples:
        """Examples as samples, in their order; one without a label is no error. `where` names their file in errors."""
        ...

    def decode(self, measured: Mapping[str, np.ndarray], examples: Sequence[object]) -> list[PredictionT]:
        """A prediction for every example, in their order, from the concatenated arrays of `measure`."""
        ...

    def answer(self, example: ExampleT, prediction: PredictionT) -> dict[str, object]:
        """What `predict` says of an example: plain data, the example's own text first."""
        ...

    def details(self, measured: Mapping[str, np.ndarray], examples: Sequence[object]) -> Details:
        """The parts that the results fall into."""
        ...


@runtime_checkable
class Marking(Task[ExampleT, PredictionT], Protocol):
    """A task whose predictions are stretches of a text."""

    tokenizer: Tokenizer

    def mark(self, example: ExampleT, prediction: PredictionT) -> Marked | None:
        """What is expected and what was found, by characters of the text; None where nothing is known of it."""
        ...


@runtime_checkable
class Keeping(Protocol):
    """A task that knows more than its settings and labels: what it took from data, which travels with the model."""

    @property
    def facts(self) -> dict[str, object]:
        """All of it, as plain JSON."""
        ...

    def restore(self, facts: Mapping[str, Any]) -> Self:
        """The task that knows what another one did, by its `facts`."""
        ...


@runtime_checkable
class Fitted(Keeping, Protocol):
    """A task that takes numbers from its training examples before it learns from them."""

    def fit(self, examples: Sequence[Any], where: str) -> Self:
        """The task that knows them. A function of the examples alone; `where` names their file in errors."""
        ...


@runtime_checkable
class Rescaled(Fitted, Protocol):
    """A task whose model answers in another unit while it learns than in its folder."""

    def release(self, model: Transformer) -> None:
        """Change the head to the unit of the data; `restore` gives the task for such a model."""
        ...

    def receive(self, model: Transformer) -> None:
        """Undo it, for training on from a folder."""
        ...


@runtime_checkable
class Declared(Protocol):
    """A task for which Hugging Face has a name."""

    problem_type: str
    """What config.json says of it."""


@runtime_checkable
class Tuned(Keeping, Protocol):
    """A task with numbers that are chosen on the validation data, once the weights are final."""

    def tune(self, measured: Mapping[str, np.ndarray], examples: Sequence[object]) -> Self:
        """The task that has chosen them; until then `score` chooses anew on what it scores, and says so."""
        ...
