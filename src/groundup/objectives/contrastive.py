"""Vectors of texts: near for two views of one text, far for others of the step (SimCSE, Gao et al. 2021).

Without labels the two views are two passes with other dropout. With pairs from a table (a question and its answer, say)
they are the two texts of a row. The loss of a view is the cross-entropy of finding the other one among those of all
texts of the step, by cosine over a temperature.

So a step cannot be cut: the others of a text are whatever is in its batch, and half a batch is another loss. A step is
therefore one micro-batch, which a recipe must leave room for; its count is the number of texts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

import numpy as np
import torch
from jaxtyping import Float, Float64
from pydantic import Field, PositiveInt
from torch import Tensor
from torch.nn import functional

from groundup.config import Config
from groundup.errors import ConfigError, DataError
from groundup.metrics.interval import CONFIDENCE, NUM_RESAMPLES, bootstrap_mean
from groundup.metrics.metric import Metric
from groundup.metrics.regression import regression_tallies
from groundup.metrics.tally import measure as measure_tallies
from groundup.model.config import Head
from groundup.model.packed import Packed
from groundup.model.transformer import Transformer
from groundup.objectives.loss import cross_entropy_sum
from groundup.objectives.protocol import Batch, Loss
from groundup.readers.table import Example
from groundup.text.sample import UNLABELLED, EncodingReport, FlatSamples, Sample
from groundup.text.tokenizer import Tokenizer
from groundup.text.windows import Frame

_BLOCK: Final = 1024
"""Texts among which the other view is looked for when a whole data set is measured."""
_SCALE: Final = 1_000_000
"""A similarity is kept as a whole number of millionths."""


class Contrastive(Config):
    """Learn vectors of texts, from texts alone or from pairs that belong together."""

    data_kinds: ClassVar[tuple[str, ...]] = ("corpus", "text")
    needs_label: ClassVar[bool] = False
    heads: ClassVar[tuple[Head, ...]] = ()
    kind: Literal["contrastive"] = "contrastive"
    max_length: PositiveInt = 64
    """The most tokens of one text, special tokens included; of a row with two texts, of both together."""
    positives: Literal["dropout", "pair"] = "dropout"
    """What the two views are: two passes of a text with other dropout, or the two texts of a table's row."""
    pooling: Literal["first", "mean"] = "first"
    """The vector of a text: the hidden state of its first token, or the mean of all."""
    temperature: float = Field(0.05, gt=0.0)
    """What cosines are divided by."""
    choose_by: Literal["loss", "spearman"] = "loss"
    """By which figure the best weights are chosen: `spearman` is for a table whose label says how alike two texts are,
    from 0 up (STS-B)."""

    def frame(self, tokenizer: Tokenizer) -> Frame:
        """Each window of a corpus is a text of its own."""
        return Frame.of_windows(tokenizer)

    def choose_labels(self, examples: Sequence[Example], where: str) -> tuple[str, ...]:
        """There are no classes."""
        return ()

    def count_tokens(self, num_tokens: int) -> int:
        """What a model reads of samples of so many tokens: each text twice, or each text of a pair once."""
        return num_tokens * (2 if self.positives == "dropout" else 1)

    def build(self, tokenizer: Tokenizer, labels: Sequence[str] = ()) -> ContrastiveObjective:
        """The objective over the vocabulary of `tokenizer`."""
        return ContrastiveObjective(self, tokenizer)


@dataclass(frozen=True, eq=False)
class ContrastiveObjective:
    """The views and the loss of `Contrastive`. The model needs no head."""

    config: Contrastive
    tokenizer: Tokenizer
    head: None = None
    is_indivisible: bool = True

    @property
    def best(self) -> tuple[str, bool]:
        """As the recipe says."""
        return self.config.choose_by, self.config.choose_by == "spearman"

    def encode(self, examples: Sequence[Example], where: str) -> FlatSamples:
        """Rows as samples: one text, or two end to end, the first of `Sample.num_context` tokens."""
        if not examples:
            raise DataError(where, "holds no row", cure="check the file")
        if self.config.positives == "pair" and examples[0].pair is None:
            raise ConfigError("data.pair", "names no column, and positives are pairs", cure="name the second text's")
        has_pair = examples[0].pair is not None
        room = self.config.max_length // (2 if has_pair else 1)
        texts = [text for example in examples for text in (example.text, example.pair) if text is not None]
        encoded = self.tokenizer.encode_batch(texts, max_length=room)
        sizes = np.array([len(each.input_ids) for each in encoded], dtype=np.int32)
        lost = np.array([each.num_truncated for each in encoded])
        firsts, rows = (sizes[::2], sizes.reshape(-1, 2).sum(axis=1)) if has_pair else (sizes, sizes)
        of_row = lost.reshape(len(examples), -1).sum(axis=1)
        num_empty = sum(not example.text.strip() for example in examples)
        return FlatSamples(
            np.concatenate([each.input_ids for each in encoded]).astype(np.int32, copy=False),
            rows.astype(np.int32),
            EncodingReport(len(examples), num_empty, int((of_row > 0).sum()), int(of_row.sum())),
            labels=np.array([_read_similarity(example, where) for example in examples], dtype=np.int64),
            contexts=firsts.astype(np.int32),
        )

    def prepare(self, samples: Sequence[Sample], seed: int, epoch: int) -> Batch:
        """Pack the two views of each text side by side. Targets: `labels`, one for each text, -100 for none."""
        views, labels, numbers = list[np.ndarray](), list[int](), list[int]()
        for sample in samples:
            ids = sample.input_ids
            texts = np.split(ids, [sample.num_context]) if self._is_row(sample) else [ids]
            label = UNLABELLED if sample.label is None or len(texts) == 1 else sample.label
            if self.config.positives == "pair":
                if len(texts) != 2:
                    raise DataError("data", "positives are pairs, and this has one text", got=sample.index)
                views += texts
                labels.append(label)
            else:
                views += [text for text in texts for _ in range(2)]
                labels += [label, UNLABELLED][: len(texts)]
            numbers += [sample.index] * (len(views) - len(numbers))
        targets = {"labels": torch.tensor(labels, dtype=torch.int64)}
        return Batch(Packed.from_sequences(views), targets, len(labels), np.array(numbers, dtype=np.int64))

    def loss(self, model: Transformer, batch: Batch) -> Loss:
        """Cross-entropy of finding the second view of each text among all, summed over texts."""
        first, second = self.embed(model, batch.packed).reshape(batch.count, 2, -1).unbind(dim=1)
        logits = first @ second.T / self.config.temperature
        return Loss(cross_entropy_sum(logits, torch.arange(batch.count, device=logits.device)), batch.count)

    def embed(self, model: Transformer, packed: Packed) -> Float[Tensor, "sequences hidden"]:
        """The vector of each sequence, of length 1, in fp32 (float64 where the model is)."""
        if self.config.pooling == "first":
            hidden = model(packed, rows=packed.starts)
        else:
            parts = model(packed)[: packed.num_tokens].split(list(packed.lengths))
            hidden = torch.stack([part.mean(dim=0) for part in parts])
        return functional.normalize(hidden if hidden.dtype == torch.float64 else hidden.float(), dim=-1)

    def measure(self, model: Transformer, batch: Batch) -> dict[str, np.ndarray]:
        """Of each text its two vectors and its sample, and, where a row says how alike its texts are, their cosine."""
        first, second = self.embed(model, batch.packed).reshape(batch.count, 2, -1).unbind(dim=1)
        labels = batch.targets["labels"]
        other = second if self.config.positives == "pair" else first.roll(-1, dims=0)
        return {
            "first": first.cpu().numpy(),
            "second": second.cpu().numpy(),
            "cosine": (first * other).sum(dim=-1).cpu().numpy(),
            "label": labels.cpu().numpy(),
            "sample": batch.samples[::2],
        }

    def score(self, measured: Mapping[str, np.ndarray], examples: Sequence[object]) -> dict[str, Metric]:
        """`loss` and `accuracy` of finding the other view, and `spearman` where rows say how alike their texts are.

        Texts are compared within blocks of 1,024, in the order of the samples. A model that is measured drops nothing,
        so of `positives: dropout` both views are one and the loss says only how evenly texts are spread.
        """
        if not len(measured["sample"]):
            raise DataError("data.validation", "holds no text", cure="check the file")
        order = np.argsort(measured["sample"], kind="stable")
        first, second = (measured[name][order].astype(np.float64) for name in ("first", "second"))
        parts = [
            _compare(first[start : start + _BLOCK], second[start : start + _BLOCK], self.config.temperature)
            for start in range(0, len(order), _BLOCK)
        ]
        count = len(order)
        signature = (
            f"the other view ({self.config.positives}) among up to {_BLOCK} texts, cosine of {self.config.pooling}, "
            f"temperature={self.config.temperature:g}|n={count}|tokenizer={self.tokenizer.digest[:12]}"
            f"|interval=percentile bootstrap over texts, {CONFIDENCE:.0%}|resamples={NUM_RESAMPLES}|seed=0|v1"
        )
        found = {
            name: Metric(name, value, count, signature, low, high)
            for name, values in zip(("loss", "accuracy"), map(np.concatenate, zip(*parts, strict=True)), strict=True)
            for value, low, high in [bootstrap_mean(values)]
        }
        is_rated = measured["label"] != UNLABELLED
        if is_rated.any():
            tallies = regression_tallies(measured["cosine"][is_rated], measured["label"][is_rated])
            found |= measure_tallies({"spearman": tallies["spearman"]})
        elif self.config.choose_by == "spearman":
            cure = "name data.label, or set objective.choose_by=loss"
            raise DataError("data.validation", "says of no two texts how alike they are", cure=cure)
        return found

    def show(self, batch: Batch) -> list[str]:
        """Each view in tokens: `[text]`, then `[again]` or `[pair]`."""
        second = "again" if self.config.positives == "dropout" else "pair"
        return [
            f"[{second if place % 2 else 'text'}] {' '.join(self.tokenizer.tokens(ids.tolist()))}"
            for place, ids in enumerate(batch.packed.split())
        ]

    def _is_row(self, sample: Sample) -> bool:
        """Whether a sample holds two texts; a window of a corpus has the context 1, which no framed text has."""
        return 1 < sample.num_context < len(sample.input_ids)


def _compare(
    first: Float64[np.ndarray, "texts hidden"], second: Float64[np.ndarray, "texts hidden"], temperature: float
) -> tuple[Float64[np.ndarray, " texts"], Float64[np.ndarray, " texts"]]:
    """The loss of each text, and whether its other view is the nearest."""
    logits = first @ second.T / temperature
    top = logits.max(axis=1)
    losses = top + np.log(np.exp(logits - top[:, None]).sum(axis=1)) - logits.diagonal()
    return losses, (logits.argmax(axis=1) == np.arange(len(logits))).astype(np.float64)


def _read_similarity(example: Example, where: str) -> int:
    if example.label is None or example.pair is None:
        return UNLABELLED
    try:
        value = float(example.label)
    except ValueError:
        value = math.nan
    if not 0.0 <= value < math.inf:
        cure = "the label says how alike two texts are, as a number from 0 up"
        raise DataError(f"{where}:{example.line}", "is no similarity", got=example.label, cure=cure)
    return round(value * _SCALE)
