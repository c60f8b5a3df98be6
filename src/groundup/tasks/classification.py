"""Text classification: one text or a pair, one label (Devlin et al. 2018, section 4.1)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float, Int64
from pydantic import Field, PositiveInt
from torch import Tensor
from torch.nn import functional

from groundup.config import Config
from groundup.errors import ConfigError, DataError
from groundup.metrics.classification import Average, class_metrics, classification_metrics, confusion_matrix
from groundup.metrics.details import Details
from groundup.metrics.interval import CONFIDENCE, NUM_RESAMPLES, bootstrap_mean
from groundup.metrics.metric import Metric
from groundup.model.config import ClassificationHead
from groundup.model.transformer import Transformer
from groundup.objectives.packing import pack_samples
from groundup.objectives.protocol import Batch, Loss
from groundup.readers.table import Example, collect_labels
from groundup.text.sample import UNLABELLED, EncodingReport, FlatSamples, Sample
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
        return ClassificationTask(self, tokenizer, labels, self.make_head(labels))

    def make_head(self, labels: Sequence[str]) -> ClassificationHead:
        """The head that tells these labels apart."""
        return ClassificationHead(num_labels=len(labels), dropout=self.dropout)


@dataclass(frozen=True)
class Prediction:
    """What the model says of one row."""

    label: str
    probabilities: dict[str, float]
    """Of every label; they sum to 1."""


@dataclass(frozen=True)
class ClassificationTask:
    """Encoding, loss, predictions and metrics of `Classification`."""

    config: Classification
    tokenizer: Tokenizer
    labels: tuple[str, ...]
    head: ClassificationHead
    best: tuple[str, bool] = ("accuracy", True)
    wants_pair: bool | None = None

    def encode(self, examples: Sequence[Example], where: str) -> FlatSamples:
        """Rows as token ids. A label that is not among `labels` is a DataError with its line."""
        return encode_table(
            examples, self.tokenizer, labels=self.labels, max_length=self.config.max_length, where=where
        )

    def prepare(self, samples: Sequence[Sample], seed: int, epoch: int) -> Batch:
        """Pack. Targets: `labels`, UNLABELLED for rows without one, which do not count."""
        labels = [UNLABELLED if sample.label is None else sample.label for sample in samples]
        targets = {"labels": torch.tensor(labels, dtype=torch.int64)}
        numbers = np.array([sample.index for sample in samples], dtype=np.int64)
        return Batch(pack_samples(samples), targets, sum(label != UNLABELLED for label in labels), numbers)

    def loss(self, model: Transformer, batch: Batch) -> Loss:
        """Softmax cross-entropy summed over labelled rows."""
        logits, labels = _logits(model, batch), batch.targets["labels"]
        return Loss(functional.cross_entropy(logits, labels, ignore_index=UNLABELLED, reduction="sum"), batch.count)

    def measure(self, model: Transformer, batch: Batch) -> dict[str, np.ndarray]:
        """Of each row: the log-probability of every class, its label and its sample."""
        return {
            "log_probabilities": _logits(model, batch).log_softmax(dim=-1).cpu().numpy(),
            "label": batch.targets["labels"].cpu().numpy(),
            "sample": batch.samples,
        }

    def score(self, measured: Mapping[str, np.ndarray], examples: Sequence[object]) -> dict[str, Metric]:
        """`accuracy`, `precision`, `recall`, `f1`, `macro_f1` and `loss` (nats a row) over the labelled rows."""
        labels, log_probabilities = _labelled(measured)
        metrics = classification_metrics(
            labels, log_probabilities.argmax(axis=1), self.labels, average=self.config.average
        )
        losses = -log_probabilities[np.arange(len(labels)), labels].astype(np.float64)
        signature = (
            f"softmax cross-entropy, mean over rows|n={len(labels)}|interval=percentile bootstrap over rows, "
            f"{CONFIDENCE:.0%}|resamples={NUM_RESAMPLES}|seed=0|v1"
        )
        value, low, high = bootstrap_mean(losses)
        return metrics | {"loss": Metric("loss", value, len(labels), signature, low, high)}

    def details(self, measured: Mapping[str, np.ndarray], examples: Sequence[object]) -> Details:
        """Precision, recall and F1 of every class, and what was taken for what."""
        labels, log_probabilities = _labelled(measured)
        predictions = log_probabilities.argmax(axis=1)
        return Details(
            class_metrics(labels, predictions, self.labels),
            self.labels,
            confusion_matrix(labels, predictions, len(self.labels)),
        )

    def examples_of(self, rows: Sequence[tuple[str, str | None]]) -> list[Example]:
        """Texts or pairs as rows without a label."""
        return [Example(text, pair, None, number) for number, (text, pair) in enumerate(rows, start=1)]

    def answer(self, example: Example, prediction: Prediction) -> dict[str, object]:
        """What is said of a row: the text, the label, all probabilities."""
        row: dict[str, object] = {"text": example.text}
        if example.pair is not None:
            row["pair"] = example.pair
        return row | {"label": prediction.label, "probabilities": prediction.probabilities}

    def decode(self, measured: Mapping[str, np.ndarray], examples: Sequence[object]) -> list[Prediction]:
        """The most likely label of each row with all probabilities, in the order of the rows."""
        order = np.argsort(measured["sample"], kind="stable")
        logs = measured["log_probabilities"].astype(np.float64)[order]
        shares = np.exp(logs) / np.exp(logs).sum(axis=1, keepdims=True)
        return [
            Prediction(self.labels[best], dict(zip(self.labels, row, strict=True)))
            for best, row in zip(logs.argmax(axis=1), shares.tolist(), strict=True)
        ]

    def show(self, batch: Batch) -> list[str]:
        """Each row in words with its label in front: `[positive] a fine film`."""
        lines = []
        for ids, label in zip(batch.packed.split(), batch.targets["labels"].tolist(), strict=True):
            name = "unlabelled" if label == UNLABELLED else self.labels[label]
            lines.append(f"[{name}] {' '.join(self.tokenizer.tokens(ids.tolist()))}")
        return lines


def find_labels(examples: Sequence[Example], where: str) -> tuple[str, ...]:
    """The labels of a table, sorted. Fewer than two are a DataError: there is nothing to tell apart."""
    labels = collect_labels(examples)
    if len(labels) < 2:
        what = "holds a single label" if labels else "holds no label"
        raise DataError(where, what, got=labels, cure="a classifier needs two or more; check the label column")
    return labels


def encode_table(
    examples: Sequence[Example], tokenizer: Tokenizer, *, labels: Sequence[str], max_length: int, where: str
) -> FlatSamples:
    """Encode a table's rows, in their order, and say what was cut.

    Args:
        examples: the rows; one without a label is kept as unlabelled.
        tokenizer: its own template adds the special tokens.
        labels: the classes in order.
        max_length: the most tokens of a row.
        where: the table's file, for errors.
    """
    if not examples:
        raise DataError(where, "holds no row", cure="check the file")
    numbers = _number_labels(examples, labels, where)
    rows = [example.text if example.pair is None else (example.text, example.pair) for example in examples]
    encoded = tokenizer.encode_batch(rows, max_length=max_length)
    lengths = np.array([len(each.input_ids) for each in encoded], dtype=np.int32)
    input_ids = np.concatenate([each.input_ids for each in encoded]).astype(np.int32, copy=False)
    token_type_ids = np.concatenate([each.token_type_ids for each in encoded]).astype(np.int32, copy=False)
    lost = np.array([each.num_truncated for each in encoded])
    counts = Counter(number for number in numbers.tolist() if number != UNLABELLED)
    report = EncodingReport(
        num_rows=len(rows),
        num_empty=sum(not example.text.strip() and not (example.pair or "").strip() for example in examples),
        num_truncated=int((lost > 0).sum()),
        tokens_lost=int(lost.sum()),
        label_counts={label: counts[number] for number, label in enumerate(labels)},
    )
    return FlatSamples(
        input_ids, lengths, report, token_type_ids, numbers, label_names=tuple(labels), examples=examples
    )


def _number_labels(examples: Sequence[Example], labels: Sequence[str], where: str) -> Int64[np.ndarray, " rows"]:
    number_of = {label: number for number, label in enumerate(labels)}
    for example in examples:
        if example.label is not None and example.label not in number_of:
            nearest = get_close_matches(example.label, labels, n=1)
            hint = f"did you mean {nearest[0]!r}? " if nearest else ""
            raise DataError(
                f"{where}:{example.line}",
                "has a label unseen in training",
                got=example.label,
                cure=f"{hint}known labels: {', '.join(labels)}",
            )
    numbers = [UNLABELLED if example.label is None else number_of[example.label] for example in examples]
    return np.array(numbers, dtype=np.int64)


def _logits(model: Transformer, batch: Batch) -> Float[Tensor, "sequences labels"]:
    """In fp32, or float64 where the model is."""
    logits = model.heads["classification"](model.summarize(batch.packed))
    return logits if logits.dtype == torch.float64 else logits.float()


def _labelled(
    measured: Mapping[str, np.ndarray],
) -> tuple[Int64[np.ndarray, " rows"], Float[np.ndarray, "rows labels"]]:
    is_labelled = measured["label"] != UNLABELLED
    if not is_labelled.any():
        raise DataError("data", "no row has a label, so there is nothing to score", cure="name the label column")
    return measured["label"][is_labelled], measured["log_probabilities"][is_labelled]
