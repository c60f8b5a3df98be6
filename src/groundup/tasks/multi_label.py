"""Texts with any number of labels: every label is a question of its own, and a threshold makes its answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
import torch
from jaxtyping import Bool, Float
from pydantic import Field, PositiveInt
from torch import Tensor

from groundup.config import Config
from groundup.errors import ConfigError, DataError
from groundup.metrics.details import Details
from groundup.metrics.metric import Metric
from groundup.metrics.multilabel import multilabel_tallies
from groundup.metrics.ranking import auc_tally
from groundup.metrics.tally import mean_tally
from groundup.metrics.tally import measure as measure_tallies
from groundup.metrics.threshold import best_threshold
from groundup.model.config import ClassificationHead
from groundup.model.transformer import Transformer
from groundup.objectives.protocol import Batch, Constant, Loss
from groundup.readers.table import Example, sort_labels
from groundup.tasks.class_loss import (
    ClassLoss,
    ClassWeights,
    CrossEntropy,
    Focal,
    balanced_weights,
    describe_loss,
    label_losses,
    named_weights,
)
from groundup.tasks.row_answers import LabelsAnswers, LabelsPrediction
from groundup.tasks.rows import (
    encode_rows,
    in_order,
    pack_rows,
    refuse_joined,
    refuse_label,
    row_logits,
    show_rows,
    unlabelled_rows,
)
from groundup.text.sample import FlatSamples, Sample
from groundup.text.tokenizer import Tokenizer


class MultiLabel(Config):
    """Learn which labels a text, or a pair of texts, has: none, one or many."""

    data_kinds: ClassVar[tuple[str, ...]] = ("text",)
    needs_label: ClassVar[bool] = True
    kind: Literal["multi_label"] = "multi_label"
    max_length: PositiveInt = 128
    """The most tokens of one row, special tokens included; what is longer is cut and counted."""
    labels: tuple[str, ...] | None = None
    """The labels in order; null takes them from the training table."""
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.1
    """On the pooled vector, while training."""
    loss: ClassLoss = CrossEntropy()
    """What is made small for each label, with a sigmoid: cross-entropy, or focal loss for labels that are rare."""
    class_weights: ClassWeights | None = None
    """What a row counts in the loss of a label: `balanced` for rows / (2 x rows with, or without, the label), or a
    number for the rows that have it, by label, and 1 for all else; null for 1."""
    threshold: Literal["shared", "per_label"] | Annotated[float, Field(gt=0.0, lt=1.0)] = "shared"
    """From which probability on a row has a label: `shared` and `per_label` are chosen on the validation data by F1,
    one for all labels or one for each; or a number. It travels with the model."""
    best: Literal["f1", "macro_f1", "samples_f1", "exact_match", "loss"] = "f1"
    """The metric that chooses the best checkpoint; `f1` is over all pairs of a row and a label."""

    def choose_labels(self, examples: Sequence[Example], where: str) -> tuple[str, ...]:
        """The labels of the recipe, or else those of the training table `where` (sorted, numbers as numbers)."""
        if self.labels is not None:
            return self.labels
        labels = sort_labels(label for example in examples for label in example.label_names or ())
        if not labels:
            cure = "check data.label and data.separator"
            raise DataError(where, "holds no row with a label", got=len(examples), cure=cure)
        if all(example.labels is None for example in examples):
            refuse_joined(labels, where)
        return labels

    def build(self, tokenizer: Tokenizer, labels: Sequence[str]) -> MultiLabelTask:
        """The task over these labels, in this order."""
        labels = tuple(labels)
        if len(set(labels)) != len(labels) or not labels:
            raise ConfigError("objective.labels", "needs one or more different labels", got=labels)
        if self.labels is not None and self.labels != labels:
            raise ConfigError("objective.labels", f"differ from the labels at hand {labels}", got=self.labels)
        weights, given = None, self.class_weights
        if isinstance(given, dict):
            weights = ((1.0,) * len(labels), named_weights(given, labels))
        thresholds = (self.threshold,) * len(labels) if isinstance(self.threshold, float) else None
        best = (self.best, self.best != "loss")
        return MultiLabelTask(self, tokenizer, labels, self.make_head(labels), best, weights, thresholds)

    def make_head(self, labels: Sequence[str]) -> ClassificationHead:
        """A logit for each label; its sigmoid is the probability that a row has it."""
        return ClassificationHead(num_labels=len(labels), dropout=self.dropout)


@dataclass(frozen=True)
class MultiLabelTask:
    """Encoding, loss, predictions and metrics of `MultiLabel`."""

    config: MultiLabel
    tokenizer: Tokenizer
    labels: tuple[str, ...]
    head: ClassificationHead
    best: tuple[str, bool] = ("f1", True)
    weights: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    """Of rows without each label, and with it; None where all count 1, and before `fit` balances them."""
    thresholds: tuple[float, ...] | None = None
    """Of the labels; None until they are chosen (`tune`)."""
    wants_pair: bool | None = None
    problem_type: ClassVar[str] = "multi_label_classification"
    """What Hugging Face calls it."""

    @property
    def facts(self) -> dict[str, object]:
        """The weights of balanced labels, and the thresholds by label."""
        thresholds = None if self.thresholds is None else dict(zip(self.labels, self.thresholds, strict=True))
        return {"weights": self.weights, "thresholds": thresholds}

    def restore(self, facts: Mapping[str, Any]) -> Self:
        """The task with the weights and thresholds of another one."""
        weights, thresholds = facts["weights"], facts["thresholds"]
        return replace(
            self,
            weights=None if weights is None else (tuple(weights[0]), tuple(weights[1])),
            thresholds=None if thresholds is None else tuple(thresholds[label] for label in self.labels),
        )

    def fit(self, examples: Sequence[Example], where: str) -> Self:
        """The task with the weights that balance its training rows, where the recipe asks for them."""
        if self.config.class_weights != "balanced":
            return self
        rows = [example.label_names for example in examples if example.label_names is not None]
        counts = Counter(label for names in rows for label in names)
        no, yes = [], []
        for label in self.labels:
            sides = np.array([len(rows) - counts[label], counts[label]])
            of_no, of_yes = balanced_weights(sides, (f"not {label}", label), where)
            no.append(of_no)
            yes.append(of_yes)
        return replace(self, weights=(tuple(no), tuple(yes)))

    def tune(self, measured: Mapping[str, np.ndarray], examples: Sequence[object]) -> Self:
        """The task with thresholds at which F1 is largest on what was measured."""
        return replace(self, thresholds=self._find_thresholds(*_labelled(measured)))

    def encode(self, examples: Sequence[Example], where: str) -> FlatSamples:
        """Rows as token ids. A label that is not among `labels` is a DataError with its line."""
        has_label = np.zeros((len(examples), len(self.labels)), dtype=bool)
        number_of = {label: number for number, label in enumerate(self.labels)}
        for row, example in enumerate(examples):
            for label in example.label_names or ():
                if label not in number_of:
                    raise refuse_label(label, self.labels, f"{where}:{example.line}")
                has_label[row, number_of[label]] = True
        return encode_rows(examples, self.tokenizer, self.config.max_length, where).samples(
            examples,
            label_names=self.labels,
            label_counts=dict(zip(self.labels, has_label.sum(axis=0).tolist(), strict=True)),
            of_rows={
                "has_label": has_label,
                "is_labelled": np.array([example.label_names is not None for example in examples], dtype=bool),
            },
        )

    def prepare(self, samples: Sequence[Sample], seed: int, epoch: int) -> Batch:
        """Pack. Targets: `has_label` of each row and label, and `is_labelled`; rows that are not do not count."""
        has_label = np.stack([sample.targets["has_label"] for sample in samples])
        is_labelled = np.array([sample.targets["is_labelled"] for sample in samples], dtype=bool)
        targets = {"has_label": torch.from_numpy(has_label), "is_labelled": torch.from_numpy(is_labelled)}
        return pack_rows(samples, targets, int(is_labelled.sum()))

    def loss(self, model: Transformer, batch: Batch) -> Loss:
        """The losses of the labelled rows, each the mean over its labels, summed."""
        return Loss(self._losses(row_logits(model, batch), batch).sum(), batch.count)

    def measure(self, model: Transformer, batch: Batch) -> dict[str, np.ndarray]:
        """Of each row: the logit of every label, its loss, which labels it has, whether that is known, its sample."""
        logits = row_logits(model, batch)
        return {
            "logits": logits.cpu().numpy(),
            "loss": self._losses(logits, batch).cpu().numpy(),
            "has_label": batch.targets["has_label"].cpu().numpy(),
            "is_labelled": batch.targets["is_labelled"].cpu().numpy(),
            "sample": batch.samples,
        }

    def score(self, measured: Mapping[str, np.ndarray], examples: Sequence[object]) -> dict[str, Metric]:
        """How good the labels of the labelled rows are.

        `precision`, `recall` and `f1` over all pairs of a row and a label, `macro_f1` (mean over labels), `samples_f1`
        (mean over rows), `exact_match`, `hamming_loss` and `loss`. Signatures name the threshold, and say where it was
        chosen on the very rows that are scored.
        """
        shares, has_label = _labelled(measured)
        predicted, how = self._predict(shares, has_label)
        tallies = {
            name: replace(tally, signature=f"{tally.signature}|{how}")
            for name, tally in multilabel_tallies(predicted, has_label, self.labels).items()
            if "[" not in name
        }
        signature = f"{describe_loss(self.config.loss, 'sigmoid', self.weights and self.weights[1])}, mean over labels"
        tallies["loss"] = mean_tally("loss", "rows", measured["loss"][measured["is_labelled"]], signature, full=None)
        return measure_tallies(tallies)

    def details(self, measured: Mapping[str, np.ndarray], examples: Sequence[object]) -> Details:
        """Precision, recall and F1 of every label, and the AUC of those that some rows have and some have not."""
        shares, has_label = _labelled(measured)
        predicted, how = self._predict(shares, has_label)
        tallies = {
            name: replace(tally, signature=f"{tally.signature}|{how}")
            for name, tally in multilabel_tallies(predicted, has_label, self.labels).items()
            if "[" in name
        }
        for number, label in enumerate(self.labels):
            if len(set(has_label[:, number].tolist())) == 2:
                name = f"auc[{label}]"
                tallies[name] = auc_tally(
                    has_label[:, number], measured["logits"][measured["is_labelled"], number], name
                )
        return Details(measure_tallies(tallies), self.labels)

    def examples_of(self, rows: Sequence[tuple[str, str | None]]) -> list[Example]:
        """Texts or pairs as rows without labels."""
        return unlabelled_rows(rows)

    def decode(self, measured: Mapping[str, np.ndarray], examples: Sequence[object]) -> list[LabelsPrediction]:
        """The labels of each row with all probabilities, in the order of the rows."""
        if self.thresholds is None:
            raise ConfigError("objective.threshold", "was not chosen yet", cure="give a number, such as 0.5")
        shares = _sigmoid(in_order(measured, "logits"))
        return [
            LabelsPrediction(
                tuple(label for label, is_there in zip(self.labels, given, strict=True) if is_there),
                dict(zip(self.labels, row, strict=True)),
            )
            for given, row in zip((shares >= np.array(self.thresholds)).tolist(), shares.tolist(), strict=True)
        ]

    def answer(self, example: Example, prediction: LabelsPrediction) -> dict[str, object]:
        """What is said of a row: the text, the labels, all probabilities."""
        return self.answers.write(example, prediction)

    @property
    def answers(self) -> LabelsAnswers:
        """Any number of labels a row; the figures are those of `score` without its loss."""
        return LabelsAnswers(self.labels)

    def show(self, batch: Batch) -> list[str]:
        """Each row in words with its labels in front: `[fast, cheap] a fine kettle`."""
        rows = zip(batch.targets["has_label"].tolist(), batch.targets["is_labelled"].tolist(), strict=True)
        names = [
            ", ".join(label for label, is_there in zip(self.labels, given, strict=True) if is_there) or "no label"
            if is_labelled
            else "unlabelled"
            for given, is_labelled in rows
        ]
        return show_rows(batch, self.tokenizer, names)

    def guess_loss(self, vocab_size: int, lengths: Sequence[int]) -> float:
        """Of even odds for every label."""
        easing = 0.5**self.config.loss.gamma if isinstance(self.config.loss, Focal) else 1.0
        return easing * float(np.log(2.0))

    def score_constant(self, samples: FlatSamples) -> Constant | None:
        """Of giving every row the same labels, the most frequent ones: F1 over all pairs of row and label."""
        counts = sorted(samples.report.label_counts.items(), key=lambda each: -each[1])
        if self.best[0] != "f1" or not counts or not counts[0][1]:
            return None
        right = np.cumsum([count for _, count in counts])
        scores = 2.0 * right / (samples.report.num_rows * np.arange(1, len(counts) + 1) + right[-1])
        most = int(scores.argmax())
        return Constant(float(scores[most]), ", ".join(label for label, _ in counts[: most + 1]))

    def _losses(self, logits: Float[Tensor, "rows labels"], batch: Batch) -> Float[Tensor, " rows"]:
        weights = None if self.weights is None else logits.new_tensor(self.weights)
        losses = label_losses(logits, batch.targets["has_label"], self.config.loss, weights).mean(dim=1)
        return torch.where(batch.targets["is_labelled"], losses, 0.0)

    def _predict(
        self, shares: Float[np.ndarray, "rows labels"], has_label: Bool[np.ndarray, "others labels"]
    ) -> tuple[Bool[np.ndarray, "rows labels"], str]:
        """Which labels each row is given, and by which threshold."""
        thresholds = self.thresholds or self._find_thresholds(shares, has_label)
        is_one = len(set(thresholds)) == 1
        how = f"threshold={thresholds[0]:.4g}" if is_one else "threshold=one for each label"
        how += ", chosen on these rows" if self.thresholds is None else ""
        return shares >= np.array(thresholds), how

    def _find_thresholds(
        self, shares: Float[np.ndarray, "rows labels"], has_label: Bool[np.ndarray, "others labels"]
    ) -> tuple[float, ...]:
        if isinstance(self.config.threshold, float):
            return (self.config.threshold,) * len(self.labels)
        if self.config.threshold == "shared":
            return (best_threshold(shares.reshape(-1), has_label.reshape(-1)),) * len(self.labels)
        return tuple(best_threshold(shares[:, number], has_label[:, number]) for number in range(len(self.labels)))


def _sigmoid(logits: Float[np.ndarray, "rows labels"]) -> Float[np.ndarray, "rows labels"]:
    """In float64, without overflow."""
    return 0.5 * (1.0 + np.tanh(0.5 * logits.astype(np.float64)))


def _labelled(
    measured: Mapping[str, np.ndarray],
) -> tuple[Float[np.ndarray, "rows labels"], Bool[np.ndarray, "rows labels"]]:
    """Probabilities and labels of the rows of which labels are known."""
    is_labelled = measured["is_labelled"]
    if not is_labelled.any():
        raise DataError("data", "no row has labels, so there is nothing to score", cure="name the label column")
    return _sigmoid(measured["logits"][is_labelled]), measured["has_label"][is_labelled]
