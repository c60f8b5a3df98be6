"""Masked and causal language modelling in one model: every token is predicted at the place before it (GPT-BERT).

Some sequences are masked and read whole, the others are read from left to right; the head and all weights are the same
(Charpentier and Samuel 2024). For that a masked token is predicted where the token before it stands, as the next one of
a causal sequence is. Which sequences are causal is drawn from (seed, epoch, sample).

A causal sequence has some seven times as many targets as a masked one. So the two losses are weighted together, each a
mean over its own targets of the step: the share of causal sequences is their share in the loss as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal, Self, TypeVar

import numpy as np
import torch
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor

from groundup.config import Config
from groundup.errors import ConfigError, DataError
from groundup.language.segment import Segmenter
from groundup.metrics.interval import CONFIDENCE, NUM_RESAMPLES, bootstrap_ratio, bootstrap_share
from groundup.metrics.metric import Metric
from groundup.model.config import CausalLMHead, Head
from groundup.model.transformer import Transformer
from groundup.objectives.loss import cross_entropy_sum, token_losses
from groundup.objectives.masked import Masked, MaskedObjective
from groundup.objectives.packing import pack_samples
from groundup.objectives.protocol import Batch, Loss, Part, balance
from groundup.randomness import draw_uniform, make_key
from groundup.text.sample import Sample
from groundup.text.tokenizer import Tokenizer
from groundup.text.windows import Frame

PARTS = ("masked", "causal")
"""The two losses, in the order of `Batch.parts`."""
Mask = TypeVar("Mask", np.ndarray, Tensor)


class Hybrid(Config):
    """Predict masked tokens of some sequences and all tokens of others, always one place ahead."""

    data_kinds: ClassVar[tuple[str, ...]] = ("corpus",)
    needs_label: ClassVar[bool] = False
    heads: ClassVar[tuple[Head, ...]] = (CausalLMHead(bias=True),)
    kind: Literal["hybrid"] = "hybrid"
    max_length: PositiveInt = 128
    """The most tokens of one sequence, special tokens included."""
    causal_share: float = Field(0.5, gt=0.0, lt=1.0)
    """The share of sequences that are read from left to right, and of their loss in the whole."""
    masking: Masked = Masked()
    """How the others are masked. Its `max_length` is that of the whole."""

    @model_validator(mode="after")
    def _share_length(self) -> Self:
        length = self.masking.max_length
        if "max_length" in self.masking.model_fields_set and length != self.max_length:
            raise ValueError(f"masking.max_length: is the objective's {self.max_length}, got {length}; leave it out")
        # The values are being made here, not changed.
        self.__dict__["masking"] = self.masking.model_copy(update={"max_length": self.max_length})
        return self

    def frame(self, tokenizer: Tokenizer) -> Frame:
        """Each window of a corpus is a text of its own."""
        return Frame.of_windows(tokenizer)

    def load_segmenter(self) -> Segmenter | None:
        """That of the masking, to find out what is missing."""
        return self.masking.load_segmenter()

    def build(self, tokenizer: Tokenizer, labels: Sequence[str] = ()) -> HybridObjective:
        """The objective; the tokenizer needs a mask token, and one to start with, else a ConfigError."""
        if not tokenizer.prefix_ids:
            what = "puts no token before a text, from which its first one could be predicted"
            raise ConfigError("tokenizer", what, cure="use one with a cls or bos token (those trained here have it)")
        return HybridObjective(self, tokenizer, self.masking.build(tokenizer))


@dataclass(frozen=True, eq=False)
class HybridObjective:
    """The corruption and the two losses of `Hybrid`."""

    config: Hybrid
    tokenizer: Tokenizer
    masking: MaskedObjective
    head: CausalLMHead = field(default_factory=lambda: CausalLMHead(bias=True))
    best: tuple[str, bool] = ("loss", False)

    @property
    def sources(self) -> dict[str, str]:
        """The segmenter and its dictionary, where there is one."""
        return self.masking.sources

    def prepare(self, samples: Sequence[Sample], seed: int, epoch: int) -> Batch:
        """As at the end of training."""
        return self.prepare_at(samples, seed, epoch, progress=1.0)

    def prepare_at(self, samples: Sequence[Sample], seed: int, epoch: int, progress: float) -> Batch:
        """Pack, mask some sequences and put the others in order.

        Targets: `rows`, the places before the tokens to predict; `labels`, these tokens; `is_causal`, of each, whether
        its sequence is read from left to right. A masked sequence has order 0 throughout, so that it sees itself whole.
        """
        plain, masked = pack_samples(samples), self.masking.prepare_at(samples, seed, epoch, progress)
        numbers = np.array([sample.index for sample in samples], dtype=np.int64)
        is_causal = draw_uniform(make_key(seed, epoch, "hybrid causal"), numbers) < self.config.causal_share
        of_token = np.repeat(is_causal, plain.lengths)
        ids, positions = plain.input_ids.numpy(), plain.position_ids.numpy()
        hidden = masked.targets["rows"].numpy()
        hidden = hidden[~of_token[hidden] & (positions[hidden] > 0)]
        asked = np.flatnonzero(of_token & (positions > 0) & ~self.masking.is_special[ids])
        targets = np.sort(np.concatenate([hidden, asked]))
        shown = np.where(of_token, ids, masked.packed.input_ids.numpy())
        order = np.where(of_token, positions, 0)
        packed = replace(plain, input_ids=torch.from_numpy(shown), order=torch.from_numpy(order))
        parts = tuple(
            Part(weight, len(rows), 0.0)
            for weight, rows in ((1.0 - self.config.causal_share, hidden), (self.config.causal_share, asked))
        )
        found = {
            "rows": torch.from_numpy(targets - 1),
            "labels": torch.from_numpy(ids[targets]),
            "is_causal": torch.from_numpy(of_token[targets]),
        }
        return balance([Batch(packed, found, len(targets), numbers, parts)])[0]

    def loss(self, model: Transformer, batch: Batch) -> Loss:
        """Both cross-entropies summed, with the factors of the step."""
        hidden, labels = model(batch.packed, rows=batch.targets["rows"]), batch.targets["labels"]
        sums = [
            cross_entropy_sum(model.heads["causal_lm"](hidden[is_own]), labels[is_own]) * part.factor
            for is_own, part in zip(_split(batch.targets["is_causal"]), batch.parts, strict=True)
        ]
        return Loss(torch.stack(sums).sum(), batch.count)

    def guess_loss(self, vocab_size: int, lengths: Sequence[int]) -> float:
        """Of one of all tokens, in either part."""
        return float(np.log(vocab_size))

    def find_masked(self, batch: Batch) -> tuple[MaskedObjective, Batch]:
        """The masked tokens of a batch, where they stand."""
        is_own = ~batch.targets["is_causal"]
        targets = {"rows": batch.targets["rows"][is_own] + 1, "labels": batch.targets["labels"][is_own]}
        return self.masking, Batch(batch.packed, targets, int(is_own.sum()), batch.samples)

    def measure(self, model: Transformer, batch: Batch) -> dict[str, np.ndarray]:
        """Of each target: `nll` in nats, whether its likeliest token is right, its part and its sample."""
        logits = model.heads["causal_lm"](model(batch.packed, rows=batch.targets["rows"]))
        labels, rows = batch.targets["labels"], batch.targets["rows"].cpu().numpy()
        return {
            "nll": token_losses(logits, labels).cpu().numpy(),
            "correct": (logits.argmax(dim=-1) == labels).cpu().numpy(),
            "is_causal": batch.targets["is_causal"].cpu().numpy(),
            "sample": batch.samples[np.searchsorted(np.cumsum(batch.packed.lengths), rows, side="right")],
        }

    def score(self, measured: Mapping[str, np.ndarray], examples: Sequence[object]) -> dict[str, Metric]:
        """`loss`, weighted as in training, and of each part its `loss`, `perplexity` and `accuracy`."""
        found: dict[str, Metric] = {}
        total = np.zeros(3)
        share = self.config.causal_share
        for name, weight, is_own in zip(PARTS, (1.0 - share, share), _split(measured["is_causal"]), strict=True):
            if not is_own.any():
                raise DataError("data.validation", f"has no {name} token to predict", cure="use more text")
            metrics = self._score_part(name, {key: values[is_own] for key, values in measured.items()})
            loss = metrics["loss"]
            total += weight * np.array([loss.value, loss.low, loss.high])
            found |= {f"{name}.{key}": replace(metric, name=f"{name}.{key}") for key, metric in metrics.items()}
        count = len(measured["nll"])
        # The ends of the parts' intervals summed: wider than the interval of the sum, never narrower.
        signature = (
            f"{1.0 - share:g} masked.loss + {share:g} causal.loss|n={count}"
            f"|interval=sum of those of the parts|seed=0|v1"
        )
        value, low, high = total.tolist()
        return {"loss": Metric("loss", value, count, signature, low, high)} | found

    def show(self, batch: Batch) -> list[str]:
        """`[masked]` sequences as `masked` shows them, `[causal]` ones in tokens."""
        objective, masked = self.find_masked(batch)
        assert batch.packed.order is not None
        orders = batch.packed.order[: batch.packed.num_tokens].split(list(batch.packed.lengths))
        titles = ["[causal]" if order.any() else "[masked]" for order in orders]
        return [f"{title} {line}" for title, line in zip(titles, objective.show(masked), strict=True)]

    def _score_part(self, name: str, measured: Mapping[str, np.ndarray]) -> dict[str, Metric]:
        _, sample = np.unique(measured["sample"], return_inverse=True)
        tokens = np.bincount(sample).astype(np.float64)
        loss = bootstrap_ratio(np.bincount(sample, weights=measured["nll"].astype(np.float64)), tokens)
        right = bootstrap_share(np.bincount(sample, weights=measured["correct"].astype(np.float64)), tokens)
        count = len(measured["nll"])
        signature = (
            f"hybrid, {name} tokens at the place before them|n={count}|samples={len(tokens)}"
            f"|tokenizer={self.tokenizer.digest[:12]}"
            f"|interval=percentile bootstrap over samples, {CONFIDENCE:.0%}|resamples={NUM_RESAMPLES}|seed=0|v1"
        )
        perplexity = [float(np.exp(min(value, 700.0))) for value in loss]
        figures = {"loss": loss, "perplexity": perplexity, "accuracy": right}
        return {key: Metric(key, value, count, signature, low, high) for key, (value, low, high) in figures.items()}


def _split(is_causal: Mask) -> tuple[Mask, Mask]:
    """What is of each part, in the order of `PARTS`."""
    return ~is_causal, is_causal
