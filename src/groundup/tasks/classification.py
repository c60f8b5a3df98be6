"""Text classification: one text or a pair, one label (Devlin et al. 2018, section 4.1)."""

from __future__ import annotations

from collections import Counter
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
from groundup.metrics.calibration import calibration_tally
from groundup.metrics.classification import (
    Average,
    average_sums,
    class_metrics,
    classification_metrics,
    confusion_matrix,
    matthews_metric,
)
from groundup.metrics.details import Details
from groundup.metrics.metric import Metric
from groundup.metrics.ranking import auc_tally, one_vs_rest_tallies
from groundup.metrics.tally import Tally, mean_tally
from groundup.metrics.tally import measure as measure_tallies
from groundup.model.config import ClassificationHead
from groundup.model.transformer import Transformer
from groundup.objectives.protocol import Batch, Constant, Loss
from groundup.readers.table import Example, collect_labels
from groundup.tasks.class_loss import (
    ClassLoss,
    ClassWeights,
    CrossEntropy,
    Focal,
    balanced_weights,
    class_losses,
    describe_loss,
    named_weights,
)
from groundup.tasks.row_answers import LabelAnswers, Prediction
from groundup.tasks.rows import (
    encode_rows,
    in_order,
    pack_rows,
    refuse_label,
    row_logits,
    show_rows,
    unlabelled_rows,
)
from groundup.text.sample import UNLABELLED, FlatSamples, Sample
from groundup.text.tokenizer import Tokenizer


class Classification(Config):
    """Learn the label of a text, or of a pair of texts, from a table."""

    data_kinds: ClassVar[tuple[str, ...]] = ("text",)
    needs_label: ClassVar[bool] = True
    kind: Literal["classification"] = "classification"
    max_length: PositiveInt = 128
    """The most tokens of one row, special tokens included; what is longer is cut and counted."""
    labels: tuple[str, ...] | None = None
    """The classes in order; null takes them from the training table. Of two, the second is the positive one."""
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.1
    """On the pooled vector, while training."""
    average: Average | None = None
    """How precision, recall and F1 are averaged; null means binary for two classes and macro for more."""
    loss: ClassLoss = CrossEntropy()
    """What is made small: cross-entropy, or focal loss for classes of which few rows are hard."""
    class_weights: ClassWeights | None = None
    """What a row counts in the loss by its class: `balanced` for rows / (classes x rows of the class), or a number for
    each class that is named and 1 for the others; null for 1."""
    best: Literal["accuracy", "f1", "macro_f1", "matthews", "loss"] = "accuracy"
    """The metric that chooses the best checkpoint; `macro_f1` or `matthews` where classes are uneven."""

    def choose_labels(self, examples: Sequence[Example], where: str) -> tuple[str, ...]:
        """The labels of the recipe, or else those of the training table `where` (sorted, numbers as numbers)."""
        return self.labels if self.labels is not None else find_labels(examples, where)

    def build(self, tokenizer: Tokenizer, labels: Sequence[str]) -> ClassificationTask:
        """The task over these labels, in this order."""
        labels = tuple(labels)
        if len(set(labels)) != len(labels) or len(labels) < 2:
            raise ConfigError("objective.labels", "needs two or more different labels", got=labels)
        if self.labels is not None and self.labels != labels:
            raise ConfigError("objective.labels", f"differ from the labels at hand {labels}", got=self.labels)
        if self.average == "binary" and len(labels) != 2:
            raise ConfigError("objective.average", "'binary' needs two labels", got=labels, cure="choose macro")
        weights = named_weights(self.class_weights, labels) if isinstance(self.class_weights, dict) else None
        # The only metric that is called as its average says.
        best = "f1" if self.best == "macro_f1" and self._averages_evenly(labels) else self.best
        return ClassificationTask(self, tokenizer, labels, self.make_head(labels), (best, best != "loss"), weights)

    def make_head(self, labels: Sequence[str]) -> ClassificationHead:
        """The head that tells these labels apart."""
        return ClassificationHead(num_labels=len(labels), dropout=self.dropout)

    def _averages_evenly(self, labels: Sequence[str]) -> bool:
        return self.average == "macro" or (self.average is None and len(labels) > 2)


@dataclass(frozen=True)
class ClassificationTask:
    """Encoding, loss, predictions and metrics of `Classification`."""

    config: Classification
    tokenizer: Tokenizer
    labels: tuple[str, ...]
    head: ClassificationHead
    best: tuple[str, bool] = ("accuracy", True)
    weights: tuple[float, ...] | None = None
    """Of the classes; None where all count 1, and while those of balanced classes are not known yet (`fit`)."""
    wants_pair: bool | None = None
    problem_type: ClassVar[str] = "single_label_classification"
    """What Hugging Face calls it."""

    @property
    def facts(self) -> dict[str, object]:
        """The weights of balanced classes."""
        return {"weights": self.weights}

    def restore(self, facts: Mapping[str, Any]) -> Self:
        """The task with the weights of another one."""
        return replace(self, weights=None if facts["weights"] is None else tuple(facts["weights"]))

    def fit(self, examples: Sequence[Example], where: str) -> Self:
        """The task with the weights that balance the classes of its training rows, where the recipe asks for them."""
        if self.config.class_weights != "balanced":
            return self
        counts = Counter(example.label for example in examples)
        weights = balanced_weights(np.array([counts[label] for label in self.labels]), self.labels, where)
        return replace(self, weights=weights)

    def encode(self, examples: Sequence[Example], where: str) -> FlatSamples:
        """Rows as token ids. A label that is not among `labels` is a DataError with its line."""
        numbers = _number_labels(examples, self.labels, where)
        counts = Counter(numbers.tolist())
        rows = encode_rows(examples, self.tokenizer, self.config.max_length, where)
        return rows.samples(
            examples,
            labels=numbers,
            label_names=self.labels,
            label_counts={label: counts[number] for number, label in enumerate(self.labels)},
        )

    def prepare(self, samples: Sequence[Sample], seed: int, epoch: int) -> Batch:
        """Pack. Targets: `labels`, UNLABELLED for rows without one, which do not count."""
        labels = [UNLABELLED if sample.label is None else sample.label for sample in samples]
        targets = {"labels": torch.tensor(labels, dtype=torch.int64)}
        return pack_rows(samples, targets, sum(label != UNLABELLED for label in labels))

    def loss(self, model: Transformer, batch: Batch) -> Loss:
        """The losses of the labelled rows, summed."""
        return Loss(self._losses(row_logits(model, batch), batch).sum(), batch.count)

    def measure(self, model: Transformer, batch: Batch) -> dict[str, np.ndarray]:
        """Of each row: the log-probability of every class, its loss, its label and its sample."""
        logits = row_logits(model, batch)
        return {
            "log_probabilities": logits.log_softmax(dim=-1).cpu().numpy(),
            "loss": self._losses(logits, batch).cpu().numpy(),
            "label": batch.targets["labels"].cpu().numpy(),
            "sample": batch.samples,
        }

    def score(self, measured: Mapping[str, np.ndarray], examples: Sequence[object]) -> dict[str, Metric]:
        """How good the labels and probabilities of the labelled rows are, as many figures as cost next to nothing.

        `accuracy`, `precision`, `recall`, `f1`, `macro_f1`, `weighted_f1`, `matthews`, `calibration_error`, `loss` and,
        of two classes, `auc` where both occur.
        """
        labels, log_probabilities = _labelled(measured)
        answers, shares = log_probabilities.argmax(axis=1), _shares(log_probabilities)
        metrics = classification_metrics(labels, answers, self.labels, average=self.config.average)
        metrics["matthews"] = matthews_metric(labels, answers, len(self.labels))
        tallies: dict[str, Tally] = {}
        if len(self.labels) == 2 and len(set(labels.tolist())) == 2:
            tallies["auc"] = auc_tally(labels == 1, log_probabilities[:, 1] - log_probabilities[:, 0])
        tallies["calibration_error"] = calibration_tally(shares.max(axis=1), answers == labels)
        losses = measured["loss"][measured["label"] != UNLABELLED]
        how = f"{describe_loss(self.config.loss, 'softmax', self.weights)}, mean over rows"
        tallies["loss"] = mean_tally("loss", "rows", losses, how, full=None)
        return metrics | measure_tallies(tallies)

    def details(self, measured: Mapping[str, np.ndarray], examples: Sequence[object]) -> Details:
        """Precision, recall, F1 and AUC of every class, the mean of the AUCs, and what was taken for what."""
        labels, log_probabilities = _labelled(measured)
        predictions = log_probabilities.argmax(axis=1)
        classes = class_metrics(labels, predictions, self.labels)
        if set(labels.tolist()) == set(range(len(self.labels))):
            classes |= measure_tallies(one_vs_rest_tallies(labels, _shares(log_probabilities), self.labels))
        return Details(classes, self.labels, confusion_matrix(labels, predictions, len(self.labels)))

    def examples_of(self, rows: Sequence[tuple[str, str | None]]) -> list[Example]:
        """Texts or pairs as rows without a label."""
        return unlabelled_rows(rows)

    def answer(self, example: Example, prediction: Prediction) -> dict[str, object]:
        """What is said of a row: the text, the label, all probabilities."""
        return self.answers.write(example, prediction)

    def decode(self, measured: Mapping[str, np.ndarray], examples: Sequence[object]) -> list[Prediction]:
        """The most likely label of each row with all probabilities, in the order of the rows."""
        logs = in_order(measured, "log_probabilities")
        return [
            Prediction(self.labels[best], dict(zip(self.labels, row, strict=True)))
            for best, row in zip(logs.argmax(axis=1), _shares(logs).tolist(), strict=True)
        ]

    @property
    def answers(self) -> LabelAnswers:
        """One label a row; the figures are those of `score`."""
        return LabelAnswers(self.labels, self.config.average)

    def show(self, batch: Batch) -> list[str]:
        """Each row in words with its label in front: `[positive] a fine film`."""
        labels = batch.targets["labels"].tolist()
        names = ["unlabelled" if label == UNLABELLED else self.labels[label] for label in labels]
        return show_rows(batch, self.tokenizer, names)

    def guess_loss(self, vocab_size: int, lengths: Sequence[int]) -> float:
        """Of even odds for every class, whose weights are 1 on average."""
        share = 1.0 / len(self.labels)
        easing = (1.0 - share) ** self.config.loss.gamma if isinstance(self.config.loss, Focal) else 1.0
        return -easing * float(np.log(share))

    def score_constant(self, samples: FlatSamples) -> Constant | None:
        """Of always answering the label that goes furthest, which by the F1 of two classes is the positive one."""
        actual = np.array([samples.report.label_counts.get(label, 0) for label in self.labels])
        metric = self.best[0]
        if metric not in ("accuracy", "f1", "macro_f1") or not actual.any():
            return None
        average = self.config.average or ("binary" if len(self.labels) == 2 else "macro")
        scores = []
        for number in range(len(self.labels)):
            predicted = np.where(np.arange(len(self.labels)) == number, actual.sum(), 0)
            right = np.minimum(predicted, actual)
            if metric == "accuracy":
                scores.append(right.sum() / actual.sum())
            else:
                scores.append(average_sums(right, predicted, actual, "macro" if metric == "macro_f1" else average).f1)
        most = int(np.argmax(scores))
        return Constant(float(scores[most]), self.labels[most])

    def _losses(self, logits: Float[Tensor, "rows labels"], batch: Batch) -> Float[Tensor, " rows"]:
        weights = None if self.weights is None else logits.new_tensor(self.weights)
        return class_losses(logits, batch.targets["labels"], self.config.loss, weights)


def find_labels(examples: Sequence[Example], where: str) -> tuple[str, ...]:
    """The labels of a table, sorted. Fewer than two are a DataError: there is nothing to tell apart."""
    _refuse_several(examples, where)
    labels = collect_labels(examples)
    if len(labels) < 2:
        what = "holds a single label" if labels else "holds no label"
        raise DataError(where, what, got=labels, cure="a classifier needs two or more; check the label column")
    return labels


def _refuse_several(examples: Sequence[Example], where: str) -> None:
    for example in examples:
        if example.labels is not None:
            cure = "take objective.kind=multi_label"
            raise DataError(f"{where}:{example.line}", "has a list of labels", got=example.labels, cure=cure)


def _number_labels(examples: Sequence[Example], labels: Sequence[str], where: str) -> Int64[np.ndarray, " rows"]:
    _refuse_several(examples, where)
    number_of = {label: number for number, label in enumerate(labels)}
    for example in examples:
        if example.label is not None and example.label not in number_of:
            raise refuse_label(example.label, labels, f"{where}:{example.line}")
    numbers = [UNLABELLED if example.label is None else number_of[example.label] for example in examples]
    return np.array(numbers, dtype=np.int64)


def _shares(log_probabilities: Float[np.ndarray, "rows labels"]) -> Float[np.ndarray, "rows labels"]:
    """Probabilities in float64 whose sum is 1 to its last digits."""
    shares = np.exp(log_probabilities.astype(np.float64))
    return shares / shares.sum(axis=1, keepdims=True)


def _labelled(
    measured: Mapping[str, np.ndarray],
) -> tuple[Int64[np.ndarray, " rows"], Float[np.ndarray, "rows labels"]]:
    is_labelled = measured["label"] != UNLABELLED
    if not is_labelled.any():
        raise DataError("data", "no row has a label, so there is nothing to score", cure="name the label column")
    return measured["label"][is_labelled], measured["log_probabilities"][is_labelled]
