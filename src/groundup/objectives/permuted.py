"""Permuted language modelling (Yang et al. 2019): some tokens, in a drawn order, each from all that comes before it.

What is not to be predicted is given. A token to predict is read by those after it in the order as it stands, never as a
mask, so that what is predicted together is not taken to be independent. Which tokens are predicted, and in which order,
is a function of (seed, epoch, sample, position) alone.

A sequence may be read in segments that remember the ones before (Dai et al. 2019). XLNet takes this memory from the
step before; here it is made anew from the sequence's own beginning, with the weights of the step. It is then part of
the loss as a function of weights and batch: samples come in any order, nothing is carried from step to step, and a
resumed run is exact. What is paid is that a text longer than `max_length` is remembered no further than that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor

from groundup.config import Config
from groundup.errors import ConfigError, DataError
from groundup.language.segment import Jieba, Segmenter, SegmenterConfig
from groundup.metrics.interval import CONFIDENCE, NUM_RESAMPLES, bootstrap_ratio, bootstrap_share
from groundup.metrics.metric import Metric
from groundup.model.config import Head, PermutedLMHead
from groundup.model.history import History, cut_segments
from groundup.model.transformer import Transformer
from groundup.objectives.contexts import choose_in_contexts
from groundup.objectives.loss import cross_entropy_sum, token_losses
from groundup.objectives.packing import pack_samples
from groundup.objectives.protocol import Batch, Loss
from groundup.randomness import draw_uniform, make_key
from groundup.text.sample import Sample
from groundup.text.tokenizer import Tokenizer
from groundup.text.whole_words import WordFinder
from groundup.text.windows import Frame


class Permuted(Config):
    """Predict spans of tokens in a drawn order, each token from what is given and from those before it."""

    data_kinds: ClassVar[tuple[str, ...]] = ("corpus",)
    needs_label: ClassVar[bool] = False
    heads: ClassVar[tuple[Head, ...]] = (PermutedLMHead(),)
    kind: Literal["permuted"] = "permuted"
    max_length: PositiveInt = 128
    """The most tokens of one sequence, special tokens included."""
    rate: Annotated[float, Field(gt=0.0, le=1.0)] = 1 / 6
    """The share of a sequence's tokens to predict, special tokens aside; exact in expectation."""
    longest_span: PositiveInt = 5
    """The most tokens, or words, that are predicted side by side; spans of 1 up to this are equally likely."""
    unit: Literal["token", "word"] = "token"
    """What spans are made of: tokens, or words, all of whose tokens are then to be predicted."""
    segmenter: SegmenterConfig | None = None
    """Where Chinese words end, for `unit: word`; null: as jieba says. Words of other scripts need none."""
    segment_length: PositiveInt | None = None
    """The tokens of a sequence that are read at once, with what is remembered of those before; null for all."""
    memory_length: PositiveInt | None = None
    """The most tokens before a segment that are remembered; null for all of its sequence."""

    @model_validator(mode="after")
    def _check_unit(self) -> Self:
        if self.segmenter is not None and self.unit == "token":
            raise ValueError(
                f"segmenter: is for unit: word, got {self.segmenter.kind!r} with unit: token; leave it out"
            )
        return self

    @model_validator(mode="after")
    def _check_segments(self) -> Self:
        if self.memory_length is not None and self.segment_length is None:
            raise ValueError(f"memory_length: is for segments, got {self.memory_length}; set segment_length too")
        if self.segment_length is not None and self.segment_length >= self.max_length:
            raise ValueError(
                f"segment_length: must be below max_length {self.max_length}, got {self.segment_length}; "
                "leave it out to read whole sequences"
            )
        return self

    def frame(self, tokenizer: Tokenizer) -> Frame:
        """Each window of a corpus is a text of its own."""
        return Frame.of_windows(tokenizer)

    def load_segmenter(self) -> Segmenter | None:
        """What finds Chinese words; None where spans are made of tokens.

        Raises:
            MissingExtraError: it needs jieba, which is not installed.
            DataError: its dictionary is missing or no list of words.
        """
        return (self.segmenter or Jieba()).build("objective.segmenter") if self.unit == "word" else None

    def build(self, tokenizer: Tokenizer, labels: Sequence[str] = ()) -> PermutedObjective:
        """The objective over the vocabulary of `tokenizer`. It needs no mask token."""
        is_special = np.zeros(tokenizer.vocab_size, dtype=bool)
        is_special[list(tokenizer.special_ids)] = True
        if is_special.all():
            raise ConfigError("tokenizer", "has no token besides the special ones", got=tokenizer.vocab_size)
        return PermutedObjective(self, tokenizer, is_special)


@dataclass(frozen=True, eq=False)
class PermutedObjective:
    """The order and the loss of `Permuted`. Only what is to be predicted has a query stream."""

    config: Permuted
    tokenizer: Tokenizer
    is_special: Bool[np.ndarray, " vocab"]
    """Tokens that are never predicted."""
    head: PermutedLMHead = field(default_factory=PermutedLMHead)
    best: tuple[str, bool] = ("loss", False)

    @property
    def sources(self) -> dict[str, str]:
        """The segmenter and its dictionary, where there is one."""
        return {} if self._finder is None else {"segmenter": self._finder.segmenter.name}

    def prepare(self, samples: Sequence[Sample], seed: int, epoch: int) -> Batch:
        """Pack and order. Targets: `rows`, the places of the tokens to predict, and `labels`, what stands there.

        The order of what is given is 0, that of the tokens to predict 1, 2 ... in each sequence.
        """
        packed = pack_samples(samples)
        numbers = np.array([sample.index for sample in samples], dtype=np.int64)
        sequences = np.repeat(np.arange(len(samples)), packed.lengths)
        ids = packed.input_ids.numpy()
        rows = self._choose(ids, packed.lengths, numbers, seed, epoch)
        draws = draw_uniform(
            make_key(seed, epoch, "order"), numbers[sequences[rows]], packed.position_ids.numpy()[rows]
        )
        by_order = np.lexsort((draws, sequences[rows]))
        counts = np.bincount(sequences[rows], minlength=len(samples))
        order = np.zeros(len(ids), dtype=np.int64)
        order[rows[by_order]] = 1 + np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
        targets = {"rows": torch.from_numpy(rows), "labels": torch.from_numpy(ids[rows])}
        return Batch(replace(packed, order=torch.from_numpy(order)), targets, len(rows), numbers)

    def loss(self, model: Transformer, batch: Batch) -> Loss:
        """Cross-entropy summed over the tokens to predict."""
        return Loss(cross_entropy_sum(self._logits(model, batch), batch.targets["labels"]), batch.count)

    def measure(self, model: Transformer, batch: Batch) -> dict[str, np.ndarray]:
        """Of each token to predict: `nll` in nats, whether its most likely token is right, and its sample."""
        logits, labels = self._logits(model, batch), batch.targets["labels"]
        sequences = np.searchsorted(np.cumsum(batch.packed.lengths), batch.targets["rows"].cpu().numpy(), side="right")
        return {
            "nll": token_losses(logits, labels).cpu().numpy(),
            "correct": (logits.argmax(dim=-1) == labels).cpu().numpy(),
            "sample": batch.samples[sequences],
        }

    def score(self, measured: Mapping[str, np.ndarray], examples: Sequence[object]) -> dict[str, Metric]:
        """`loss` (nats a predicted token), `perplexity` = exp(loss), `accuracy`; samples are resampled whole."""
        count = len(measured["nll"])
        if count == 0:
            raise DataError("data.validation", "no token of it is predicted", cure="use more text or a higher rate")
        _, sample = np.unique(measured["sample"], return_inverse=True)
        tokens = np.bincount(sample).astype(np.float64)
        loss = bootstrap_ratio(np.bincount(sample, weights=measured["nll"].astype(np.float64)), tokens)
        right = bootstrap_share(np.bincount(sample, weights=measured["correct"].astype(np.float64)), tokens)
        signature = (
            f"permuted {self._name_unit()}, rate={self.config.rate:g}{self._name_segments()}|n={count}"
            f"|samples={len(tokens)}|tokenizer={self.tokenizer.digest[:12]}"
            f"|interval=percentile bootstrap over samples, {CONFIDENCE:.0%}|resamples={NUM_RESAMPLES}|seed=0|v1"
        )
        perplexity = [float(np.exp(min(value, 700.0))) for value in loss]
        return {
            "loss": Metric("loss", loss.value, count, signature, *loss[1:]),
            "perplexity": Metric("perplexity", perplexity[0], count, signature, *perplexity[1:]),
            "accuracy": Metric("accuracy", right.value, count, signature, *right[1:]),
        }

    def show(self, batch: Batch) -> list[str]:
        """Each sequence in words: `[2→word]` is the second one to be predicted, `|` where a segment begins."""
        packed = batch.packed
        words = self.tokenizer.tokens(packed.input_ids.tolist())
        assert packed.order is not None
        shown = [
            word if order == 0 else f"[{order}→{word.strip() or '␣'}]"
            for word, order in zip(words, packed.order.tolist(), strict=True)
        ]
        size = self.config.segment_length or max(packed.lengths, default=1)
        lines = []
        for end, length in zip(np.cumsum(packed.lengths).tolist(), packed.lengths, strict=True):
            every = shown[end - length : end]
            segments = [" ".join(every[start : start + size]) for start in range(0, length, size)]
            lines.append(" | ".join(segments))
        return lines

    @cached_property
    def _finder(self) -> WordFinder | None:
        """Made when a batch is first prepared: who only loads the model needs no segmenter."""
        segmenter = self.config.load_segmenter()
        return None if segmenter is None else WordFinder(self.tokenizer, segmenter)

    def _name_unit(self) -> str:
        unit = "tokens" if self._finder is None else f"words, segmenter={self._finder.segmenter.name}"
        return f"spans (at most {self.config.longest_span}) of {unit}"

    def _name_segments(self) -> str:
        if self.config.segment_length is None:
            return ""
        memory = "all before" if self.config.memory_length is None else f"{self.config.memory_length} tokens before"
        return f", segments of {self.config.segment_length} remembering {memory}"

    def _choose(
        self,
        ids: Int64[np.ndarray, " tokens"],
        lengths: Sequence[int],
        numbers: Int64[np.ndarray, " sequences"],
        seed: int,
        epoch: int,
    ) -> Int64[np.ndarray, " rows"]:
        """The tokens to predict, in the order of the run."""
        finder, every = self._finder, np.ones(len(ids), dtype=bool)
        starts = every if finder is None else finder.find_starts(ids, lengths)
        sequences = np.repeat(np.arange(len(lengths)), lengths)
        sizes = np.bincount(sequences[starts], minlength=len(lengths))
        is_chosen = choose_in_contexts(sizes, numbers, self.config.longest_span, self.config.rate, seed, epoch)
        return np.flatnonzero(is_chosen[np.cumsum(starts) - 1] & ~self.is_special[ids])

    def _logits(self, model: Transformer, batch: Batch) -> Float[Tensor, "rows vocab"]:
        return model.heads["permuted_lm"](self._read(model, batch))

    def _read(self, model: Transformer, batch: Batch) -> Float[Tensor, "rows hidden"]:
        """The query stream of what is to be predicted."""
        rows, length = batch.targets["rows"], self.config.segment_length
        if length is None:
            return model(batch.packed, rows=rows, stream="query")
        history = History(model.config, self.config.memory_length)
        states, places = list[Tensor](), list[Tensor]()
        for segment in cut_segments(batch.packed, length):
            mine = torch.isin(rows, segment.tokens).nonzero().flatten()
            asked = torch.searchsorted(segment.tokens, rows[mine])
            states.append(model(segment.packed, rows=asked, stream="query", cache=history))
            places.append(mine)
            history.keep(segment.going_on)
        return torch.cat(states)[torch.cat(places).argsort()]
