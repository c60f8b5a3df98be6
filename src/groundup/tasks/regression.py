"""Texts with a number: how alike two sentences are, how many stars a review gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
import torch
from jaxtyping import Float
from pydantic import Field, PositiveInt
from torch import Tensor

from groundup.config import Config
from groundup.errors import DataError
from groundup.metrics.details import Details
from groundup.metrics.metric import Metric
from groundup.metrics.regression import regression_tallies
from groundup.metrics.tally import mean_tally
from groundup.metrics.tally import measure as measure_tallies
from groundup.model.config import ClassificationHead
from groundup.model.linear import Linear
from groundup.model.transformer import Transformer
from groundup.objectives.protocol import Batch, Loss
from groundup.readers.table import Example
from groundup.tasks.row_answers import NumberAnswers
from groundup.tasks.rows import (
    encode_rows,
    in_order,
    pack_rows,
    read_numbers,
    row_logits,
    show_rows,
    unlabelled_rows,
)
from groundup.text.sample import FlatSamples, Sample
from groundup.text.tokenizer import Tokenizer


class Regression(Config):
    """Learn the number that belongs to a text, or to a pair of texts.

    What is learnt is how far a number lies from the mean of the training rows, in their standard deviations, so that
    their unit does not matter to the learning rate. Predictions, and the model folder, are in the unit of the file.
    """

    data_kinds: ClassVar[tuple[str, ...]] = ("text",)
    needs_label: ClassVar[bool] = True
    labels: ClassVar[tuple[str, ...]] = ()
    kind: Literal["regression"] = "regression"
    max_length: PositiveInt = 128
    """The most tokens of one row, special tokens included; what is longer is cut and counted."""
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.1
    """On the pooled vector, while training."""
    best: Literal["pearson", "spearman", "mae", "loss"] = "pearson"
    """The metric that chooses the best checkpoint."""

    def choose_labels(self, examples: Sequence[Example], where: str) -> tuple[str, ...]:
        """None: a number is no label."""
        return ()

    def build(self, tokenizer: Tokenizer, labels: Sequence[str]) -> RegressionTask:
        """The task; it has no labels, whatever a folder calls its one logit."""
        best = (self.best, self.best in ("pearson", "spearman"))
        return RegressionTask(self, tokenizer, (), self.make_head(()), best)

    def make_head(self, labels: Sequence[str]) -> ClassificationHead:
        """One logit: the number."""
        return ClassificationHead(num_labels=1, dropout=self.dropout)


@dataclass(frozen=True)
class RegressionTask:
    """Encoding, loss, predictions and metrics of `Regression`."""

    config: Regression
    tokenizer: Tokenizer
    labels: tuple[str, ...]
    head: ClassificationHead
    best: tuple[str, bool] = ("pearson", True)
    center: float = 0.0
    """The number that a logit of 0 stands for."""
    scale: float = 1.0
    """What a step of 1 in the logit is in the unit of the file."""
    unit: float = 1.0
    """What an error of 1 in the loss is: the standard deviation of the training rows."""
    wants_pair: bool | None = None
    problem_type: ClassVar[str] = "regression"
    """What Hugging Face calls it."""

    @property
    def facts(self) -> dict[str, object]:
        """The unit of the loss; logits of a model folder are in that of the file."""
        return {"unit": self.unit}

    def restore(self, facts: Mapping[str, Any]) -> Self:
        """The task for a model as it lies in a folder."""
        return replace(self, center=0.0, scale=1.0, unit=float(facts["unit"]))

    def fit(self, examples: Sequence[Example], where: str) -> Self:
        """The task with the mean and the standard deviation of its training rows."""
        numbers = read_numbers(examples, where)
        numbers = numbers[~np.isnan(numbers)]
        if not len(numbers) or not numbers.std() > 1e-12 * np.abs(numbers).max():
            what = "holds one number alone" if len(numbers) else "holds no number"
            raise DataError(where, what, got=sorted(set(numbers.tolist())), cure="check data.label")
        spread = float(numbers.std())
        return replace(self, center=float(numbers.mean()), scale=spread, unit=spread)

    def release(self, model: Transformer) -> None:
        """Change the head so that its logit is the number itself, as everyone reads a folder."""
        last = _last_map(model)
        with torch.no_grad():
            last.weight.mul_(self.scale)
            last.bias.mul_(self.scale).add_(self.center)

    def receive(self, model: Transformer) -> None:
        """Undo `release`, for training on from a folder."""
        last = _last_map(model)
        with torch.no_grad():
            last.bias.sub_(self.center).div_(self.scale)
            last.weight.div_(self.scale)

    def encode(self, examples: Sequence[Example], where: str) -> FlatSamples:
        """Rows as token ids. What is no number is a DataError with its line."""
        numbers = read_numbers(examples, where)
        rows = encode_rows(examples, self.tokenizer, self.config.max_length, where)
        is_labelled = ~np.isnan(numbers)
        return rows.samples(examples, of_rows={"number": np.nan_to_num(numbers), "is_labelled": is_labelled})

    def prepare(self, samples: Sequence[Sample], seed: int, epoch: int) -> Batch:
        """Pack. Targets: `number`, and `is_labelled`; rows that are not do not count."""
        numbers = np.array([sample.targets["number"] for sample in samples], dtype=np.float64)
        is_labelled = np.array([sample.targets["is_labelled"] for sample in samples], dtype=bool)
        targets = {"number": torch.from_numpy(numbers), "is_labelled": torch.from_numpy(is_labelled)}
        return pack_rows(samples, targets, int(is_labelled.sum()))

    def loss(self, model: Transformer, batch: Batch) -> Loss:
        """The squared errors of the rows that have a number, in standard deviations, summed."""
        return Loss(self._losses(row_logits(model, batch), batch).sum(), batch.count)

    def measure(self, model: Transformer, batch: Batch) -> dict[str, np.ndarray]:
        """Of each row: the number that is predicted, its loss, the true one and whether it is known, its sample."""
        logits = row_logits(model, batch)
        return {
            "prediction": self.center + self.scale * logits[:, 0].double().cpu().numpy(),
            "loss": self._losses(logits, batch).cpu().numpy(),
            "number": batch.targets["number"].cpu().numpy(),
            "is_labelled": batch.targets["is_labelled"].cpu().numpy(),
            "sample": batch.samples,
        }

    def score(self, measured: Mapping[str, np.ndarray], examples: Sequence[object]) -> dict[str, Metric]:
        """`pearson`, `spearman`, `mse`, `rmse`, `mae`, `r2` in the unit of the file, and `loss` as it is learnt."""
        is_known = measured["is_labelled"]
        if not is_known.any():
            raise DataError("data", "no row has a number, so there is nothing to score", cure="name the label column")
        tallies = regression_tallies(measured["prediction"][is_known], measured["number"][is_known])
        how = f"mean squared error in units of {self.unit:.6g}"
        tallies["loss"] = mean_tally("loss", "rows", measured["loss"][is_known], how, full=None)
        return measure_tallies(tallies)

    def details(self, measured: Mapping[str, np.ndarray], examples: Sequence[object]) -> Details:
        """Nothing: numbers have no classes."""
        return Details()

    def examples_of(self, rows: Sequence[tuple[str, str | None]]) -> list[Example]:
        """Texts or pairs as rows without a number."""
        return unlabelled_rows(rows)

    def decode(self, measured: Mapping[str, np.ndarray], examples: Sequence[object]) -> list[float]:
        """The number of each row in the unit of the file, in the order of the rows."""
        return in_order(measured, "prediction").tolist()

    def answer(self, example: Example, prediction: float) -> dict[str, object]:
        """What is said of a row: the text and the number."""
        return self.answers.write(example, prediction)

    @property
    def answers(self) -> NumberAnswers:
        """A number a row; the figures are those of `score` without its loss."""
        return NumberAnswers()

    def show(self, batch: Batch) -> list[str]:
        """Each row in words with its number in front: `[4.2] a fine film`."""
        rows = zip(batch.targets["number"].tolist(), batch.targets["is_labelled"].tolist(), strict=True)
        answers = [f"{number:g}" if is_labelled else "no number" for number, is_labelled in rows]
        return show_rows(batch, self.tokenizer, answers)

    def guess_loss(self, vocab_size: int, lengths: Sequence[int]) -> float:
        """Of always answering the mean: its squared error is the variance."""
        return 1.0

    def _losses(self, logits: Float[Tensor, "rows 1"], batch: Batch) -> Float[Tensor, " rows"]:
        wanted = (batch.targets["number"] - self.center) / self.scale
        errors = (logits[:, 0] - wanted.to(logits.dtype)) * (self.scale / self.unit)
        return torch.where(batch.targets["is_labelled"], errors.square(), 0.0)


def _last_map(model: Transformer) -> Linear:
    return model.heads["classification"].linear
