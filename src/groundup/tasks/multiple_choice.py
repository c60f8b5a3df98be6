"""Questions with choices: each is read with its question, and the head compares them (Radford et al. 2018; SWAG)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
import torch
from jaxtyping import Float, Int64
from pydantic import Field, PositiveInt
from torch import Tensor

from groundup.config import Config
from groundup.errors import ConfigError, DataError
from groundup.language.scripts import is_cjk
from groundup.metrics.details import Details
from groundup.metrics.metric import Metric
from groundup.metrics.tally import measure as measure_tallies
from groundup.model.config import MultipleChoiceHead
from groundup.model.packed import Packed
from groundup.model.transformer import Transformer
from groundup.objectives.protocol import Batch, Constant, Loss
from groundup.readers.examples import ChoiceExample
from groundup.tasks.choice_answers import Choice, ChoiceAnswers, choice_tallies
from groundup.tasks.rows import row_logits
from groundup.text.sample import UNLABELLED, EncodingReport, FlatSamples, Sample
from groundup.text.tokenizer import Tokenizer


class MultipleChoice(Config):
    """Learn which of several choices answers a question, or completes a beginning."""

    data_kinds: ClassVar[tuple[str, ...]] = ("choice",)
    needs_label: ClassVar[bool] = True
    labels: ClassVar[tuple[str, ...]] = ()
    kind: Literal["multiple_choice"] = "multiple_choice"
    max_length: PositiveInt = 128
    """The most tokens of one choice with its question; what is longer is cut and counted. A question is as many
    sequences as it has choices."""
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.1
    """On the pooled vector, while training."""

    def choose_labels(self, examples: Sequence[ChoiceExample], where: str) -> tuple[str, ...]:
        """None: a choice is no label."""
        return ()

    def build(self, tokenizer: Tokenizer, labels: Sequence[str]) -> MultipleChoiceTask:
        """The task."""
        return MultipleChoiceTask(self, tokenizer, (), self.make_head(()))

    def make_head(self, labels: Sequence[str]) -> MultipleChoiceHead:
        """One logit for each choice."""
        return MultipleChoiceHead(dropout=self.dropout)


@dataclass(frozen=True)
class MultipleChoiceTask:
    """Encoding, loss, predictions and metrics of `MultipleChoice`."""

    config: MultipleChoice
    tokenizer: Tokenizer
    labels: tuple[str, ...]
    head: MultipleChoiceHead
    best: tuple[str, bool] = ("accuracy", True)
    even_loss: float = float(np.log(4.0))
    """Of guessing evenly; that of the training questions after `fit`."""
    wants_pair: bool | None = False

    @property
    def facts(self) -> dict[str, object]:
        """What guessing evenly loses."""
        return {"even_loss": self.even_loss}

    def restore(self, facts: Mapping[str, Any]) -> Self:
        """The task with the facts of another one."""
        return replace(self, even_loss=float(facts["even_loss"]))

    def fit(self, examples: Sequence[ChoiceExample], where: str) -> Self:
        """The task that knows how many choices its questions have."""
        return replace(self, even_loss=float(np.mean([np.log(len(example.choices)) for example in examples])))

    def encode(self, examples: Sequence[ChoiceExample], where: str) -> FlatSamples:
        """A sample a question, its choices end to end; `choice` numbers them by token."""
        if not examples:
            raise DataError(where, "holds no question", cure="check the file")
        inputs = [_join(example, choice) for example in examples for choice in example.choices]
        encoded = self.tokenizer.encode_batch(inputs, max_length=self.config.max_length)
        counts = np.array([len(example.choices) for example in examples])
        numbers = np.concatenate([np.arange(count) for count in counts])
        lengths = np.array([len(each.input_ids) for each in encoded])
        starts = np.cumsum(counts) - counts
        lost = np.array([each.num_truncated for each in encoded])
        answers = [UNLABELLED if example.answer is None else example.answer for example in examples]
        return FlatSamples(
            np.concatenate([each.input_ids for each in encoded]).astype(np.int32, copy=False),
            np.add.reduceat(lengths, starts).astype(np.int32),
            EncodingReport(
                num_rows=len(examples),
                num_empty=0,
                num_truncated=int((np.add.reduceat(lost, starts) > 0).sum()),
                tokens_lost=int(lost.sum()),
            ),
            np.concatenate([each.token_type_ids for each in encoded]).astype(np.int32, copy=False),
            np.array(answers, dtype=np.int64),
            of_tokens={"choice": np.repeat(numbers, lengths).astype(np.int32)},
            examples=examples,
        )

    def prepare(self, samples: Sequence[Sample], seed: int, epoch: int) -> Batch:
        """Pack, a sequence a choice. Targets: `question` and `choice` of each, and `labels` of each question."""
        ids, types, questions, choices = list[np.ndarray](), list[np.ndarray](), list[int](), list[int]()
        for number, sample in enumerate(samples):
            cuts = np.flatnonzero(np.diff(sample.targets["choice"])) + 1
            parts = np.split(sample.input_ids, cuts)
            ids += parts
            given = sample.token_type_ids
            types += np.split(np.zeros_like(sample.input_ids) if given is None else given, cuts)
            questions += [number] * len(parts)
            choices += range(len(parts))
        labels = [UNLABELLED if sample.label is None else sample.label for sample in samples]
        numbers = np.array([samples[number].index for number in questions], dtype=np.int64)
        targets = {
            name: torch.tensor(values, dtype=torch.int64)
            for name, values in (("question", questions), ("choice", choices), ("labels", labels))
        }
        count = sum(label != UNLABELLED for label in labels)
        return Batch(Packed.from_sequences(ids, types), targets, count, numbers)

    def loss(self, model: Transformer, batch: Batch) -> Loss:
        """Cross-entropy of the right choice among those of its question, summed over questions that have an answer."""
        logs, labels = self._log_probabilities(model, batch), batch.targets["labels"]
        right = logs.gather(1, labels.clamp(min=0)[:, None])[:, 0]
        return Loss(-torch.where(labels >= 0, right, 0.0).sum(), batch.count)

    def measure(self, model: Transformer, batch: Batch) -> dict[str, np.ndarray]:
        """Of each choice: its log-probability, its number, the right number of its question, its sample."""
        question, choice = batch.targets["question"], batch.targets["choice"]
        return {
            "log_probability": self._log_probabilities(model, batch)[question, choice].cpu().numpy(),
            "choice": choice.cpu().numpy(),
            "label": batch.targets["labels"][question].cpu().numpy(),
            "sample": batch.samples,
        }

    def score(self, measured: Mapping[str, np.ndarray], examples: Sequence[object]) -> dict[str, Metric]:
        """`accuracy`, `calibration_error` of the chosen answers and `loss`, over the questions that have an answer."""
        known = [each for each in _by_question(measured) if each.label != UNLABELLED]
        if not known:
            raise DataError("data", "no question has an answer, so there is nothing to score", cure="name data.answer")
        is_right = np.array([each.best == each.label for each in known])
        sure = np.array([each.shares[each.best] for each in known])
        losses = np.array([-each.logs[each.label] for each in known])
        return measure_tallies(choice_tallies(is_right, sure, losses))

    def details(self, measured: Mapping[str, np.ndarray], examples: Sequence[object]) -> Details:
        """Nothing: the place of a choice says nothing."""
        return Details()

    def examples_of(self, rows: Sequence[tuple[str, str | None]]) -> list[ChoiceExample]:
        """Refused: a text has no choices."""
        cure = "write a file with the columns of the recipe, and name it in the place of the text"
        raise ConfigError("text", "has no choices to choose from", got=rows[0][0] if rows else None, cure=cure)

    def decode(self, measured: Mapping[str, np.ndarray], examples: Sequence[object]) -> list[Choice]:
        """The likeliest choice of each question with the probabilities of all, in the order of the questions."""
        return [Choice(each.best, tuple(each.shares.tolist())) for each in _by_question(measured)]

    def answer(self, example: ChoiceExample, prediction: Choice) -> dict[str, object]:
        """What is said of a question: its texts, the number and the text of the choice, all probabilities."""
        return self.answers.write(example, prediction)

    @property
    def answers(self) -> ChoiceAnswers:
        """A choice a question; the figures are those of `score`."""
        return ChoiceAnswers()

    def show(self, batch: Batch) -> list[str]:
        """Each choice in words, the right one marked: `[right] he sat down`."""
        labels = batch.targets["labels"][batch.targets["question"]].tolist()
        marks = [
            "unknown" if label == UNLABELLED else "right" if label == choice else "wrong"
            for label, choice in zip(labels, batch.targets["choice"].tolist(), strict=True)
        ]
        return [
            f"[{mark}] {' '.join(self.tokenizer.tokens(ids.tolist()))}"
            for mark, ids in zip(marks, batch.packed.split(), strict=True)
        ]

    def guess_loss(self, vocab_size: int, lengths: Sequence[int]) -> float:
        """Of even odds for the choices of a question."""
        return self.even_loss

    def score_constant(self, samples: FlatSamples) -> Constant | None:
        """Of an even guess among the choices of each question: what place is right says nothing."""
        if self.best[0] != "accuracy":
            return None
        return Constant(float(np.mean([1.0 / len(example.choices) for example in samples.examples])), None)

    def _log_probabilities(self, model: Transformer, batch: Batch) -> Float[Tensor, "questions choices"]:
        """Of every choice among those of its question, minus infinity where a question has no such choice."""
        logits = row_logits(model, batch, "multiple_choice")[:, 0]
        question, choice = batch.targets["question"], batch.targets["choice"]
        size = (len(batch.targets["labels"]), int(choice.max()) + 1)
        table = logits.new_full(size, -torch.inf).index_put((question, choice), logits)
        return table.log_softmax(dim=1)


@dataclass(frozen=True)
class _Question:
    logs: Float[np.ndarray, " choices"]
    label: int

    @property
    def best(self) -> int:
        return int(self.logs.argmax())

    @property
    def shares(self) -> Float[np.ndarray, " choices"]:
        shares = np.exp(self.logs)
        return shares / shares.sum()


def _by_question(measured: Mapping[str, np.ndarray]) -> list[_Question]:
    """What was measured of each question, in their order."""
    order: Int64[np.ndarray, " choices"] = np.lexsort((measured["choice"], measured["sample"]))
    if not len(order):
        return []
    samples, logs = measured["sample"][order], measured["log_probability"].astype(np.float64)[order]
    starts = np.flatnonzero(np.diff(samples, prepend=samples[0] - 1))
    labels = measured["label"][order][starts]
    return [_Question(part, int(label)) for part, label in zip(np.split(logs, starts[1:]), labels, strict=True)]


def _join(example: ChoiceExample, choice: str) -> str | tuple[str, str]:
    """The context, and beside it the question with the choice; without a context the question, and beside it the
    choice."""
    if not example.context:
        return (example.question, choice) if example.question else choice
    if not example.question:
        return example.context, choice
    gap = "" if is_cjk(example.question[-1]) or is_cjk(choice[0]) else " "
    return example.context, f"{example.question}{gap}{choice}"
