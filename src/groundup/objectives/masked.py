"""Masked-language modelling (Devlin et al. 2018, section 3.1), with another mask in every pass (Liu et al. 2019).

Either tokens are chosen, or whole words (BERT's release of May 2019), in Chinese too (Cui et al. 2019), or spans (Joshi
et al. 2020). What becomes of a chosen token is drawn for each alone, in whole words too, as in that release; in spans
for the whole span, as in that paper.

What is masked is a function of (seed, epoch, sample, position) and, where the rate falls, of how far training is: not
of the batch or the worker.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Annotated, ClassVar, Literal, NamedTuple, Self

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
from groundup.model.config import Head, MaskedLMHead
from groundup.model.packed import Packed
from groundup.model.transformer import Transformer
from groundup.objectives.loss import cross_entropy_sum, token_losses
from groundup.objectives.packing import join_tokens, pack_samples
from groundup.objectives.protocol import Batch, Loss
from groundup.objectives.rate import Rate, rate_at
from groundup.objectives.spans import SpanLengths
from groundup.objectives.words import Places, choose_words, show_words
from groundup.randomness import draw_uniform, make_key
from groundup.text.sample import Sample
from groundup.text.tokenizer import Tokenizer
from groundup.text.whole_words import WordFinder
from groundup.text.windows import Frame

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Masked(Config):
    """Predict a share of the tokens from the rest, most of them hidden behind the mask token."""

    data_kinds: ClassVar[tuple[str, ...]] = ("corpus",)
    needs_label: ClassVar[bool] = False
    heads: ClassVar[tuple[Head, ...]] = (MaskedLMHead(),)
    kind: Literal["masked"] = "masked"
    max_length: PositiveInt = 128
    """The most tokens of one sequence, special tokens included."""
    rate: Rate = 0.15
    """The share of a sequence's tokens to predict, special tokens aside; exact in expectation for every length. With
    `start` and `end` it falls from the one to the other in the course of training."""
    mask: Share = 0.8
    """Of the tokens to predict, the share shown as the mask token."""
    random: Share = 0.1
    """Of the tokens to predict, the share shown as another token, drawn evenly from the vocabulary."""
    keep: Share = 0.1
    """Of the tokens to predict, the share shown as they are."""
    unit: Literal["token", "word", "span"] = "token"
    """What is chosen: single tokens, or words, all of whose tokens are then to be predicted, or spans: runs of words
    where there is a segmenter, of tokens where there is none."""
    segmenter: SegmenterConfig | None = None
    """Where Chinese words end, for `unit: word` (null: as jieba says) and `unit: span` (null: spans of tokens). Kind
    `none` is for words of other scripts alone."""
    span: SpanLengths | None = None
    """How long spans are, for `unit: span`; null: as in SpanBERT."""

    @model_validator(mode="after")
    def _check_unit(self) -> Self:
        if self.segmenter is not None and self.unit == "token":
            raise ValueError(
                f"segmenter: is for unit: word, got {self.segmenter.kind!r} with unit: token; leave it out"
            )
        if self.span is not None and self.unit != "span":
            raise ValueError(f"span: is for unit: span, got it with unit: {self.unit}; leave it out")
        return self

    @model_validator(mode="after")
    def _check_shares(self) -> Self:
        total = self.mask + self.random + self.keep
        if abs(total - 1.0) > 1e-9:
            raise ValueError(f"mask: the shares mask, random and keep must sum to 1, got {total:g}")
        return self

    def frame(self, tokenizer: Tokenizer) -> Frame:
        """Each window of a corpus is a text of its own."""
        return Frame.of_windows(tokenizer)

    def load_segmenter(self) -> Segmenter | None:
        """What finds Chinese words; None where tokens are chosen, or spans of tokens.

        Raises:
            MissingExtraError: it needs jieba, which is not installed.
            DataError: its dictionary is missing or no list of words.
        """
        if self.unit == "token" or (self.unit == "span" and self.segmenter is None):
            return None
        return (self.segmenter or Jieba()).build("objective.segmenter")

    def build(self, tokenizer: Tokenizer, labels: Sequence[str] = ()) -> MaskedObjective:
        """The objective over the vocabulary of `tokenizer`, which needs a mask token (else a ConfigError)."""
        mask_id = tokenizer.require("mask_id")
        is_special = np.zeros(tokenizer.vocab_size, dtype=bool)
        is_special[list(tokenizer.special_ids)] = True
        if is_special.all():
            raise ConfigError("tokenizer", "has no token besides the special ones", got=tokenizer.vocab_size)
        return MaskedObjective(self, tokenizer, mask_id, is_special)


@dataclass(frozen=True, eq=False)
class MaskedObjective:
    """The corruption and the loss of `Masked`. Only masked rows reach the head."""

    config: Masked
    tokenizer: Tokenizer
    mask_id: int
    is_special: Bool[np.ndarray, " vocab"]
    """Tokens that are never predicted and never shown in place of another."""
    head: MaskedLMHead = field(default_factory=MaskedLMHead)
    best: tuple[str, bool] = ("loss", False)
    corrupts: bool = True

    @property
    def sources(self) -> dict[str, str]:
        """The segmenter and its dictionary, where there is one."""
        return {} if self._finder is None else {"segmenter": self._finder.segmenter.name}

    def prepare(self, samples: Sequence[Sample], seed: int, epoch: int) -> Batch:
        """Pack and mask, at the rate of the end where it falls."""
        return self.corrupt(samples, seed, epoch, progress=1.0)

    def prepare_at(self, samples: Sequence[Sample], seed: int, epoch: int, progress: float) -> Batch:
        """Pack and mask, at the rate of a place in training."""
        return self.corrupt(samples, seed, epoch, progress)

    def arrange(self, samples: Sequence[Sample], seed: int, epoch: int) -> Sequence[Sample]:
        """As they are."""
        return samples

    def corrupt(self, samples: Sequence[Sample], seed: int, epoch: int, progress: float) -> Batch:
        """Pack and mask. Targets: `rows`, the masked tokens' places in the run, and `labels`, what stood there."""
        rate = rate_at(self.config.rate, progress)
        packed = pack_samples(samples)
        numbers = np.array([sample.index for sample in samples], dtype=np.int64)
        sequences = np.repeat(np.arange(len(samples)), packed.lengths)
        original = packed.input_ids.numpy()
        places = Places(sequences, numbers[sequences], packed.position_ids.numpy())
        if self.config.unit == "token":
            rows = self._choose(original, places, len(samples), numbers, rate, seed, epoch)
            fates = places.positions[rows]
        else:
            candidates = np.flatnonzero(~self.is_special[original])
            finder, every = self._finder, np.ones(len(original), dtype=bool)
            starts = every if finder is None else finder.find_starts(original, packed.lengths)
            rows, fates = choose_words(starts, candidates, places, rate, seed, epoch, self._lengths)
        labels = original[rows]
        original[rows] = self._replace(labels, places.numbers[rows], places.positions[rows], fates, seed, epoch)
        targets = {"rows": torch.from_numpy(rows), "labels": torch.from_numpy(labels)}
        return Batch(packed, targets, len(rows), numbers)

    def loss(self, model: Transformer, batch: Batch) -> Loss:
        """Cross-entropy summed over masked tokens."""
        return Loss(self.loss_on(model, batch, model(batch.packed, rows=self.rows(batch))), batch.count)

    def rows(self, batch: Batch) -> Int64[Tensor, " rows"]:
        """The masked tokens."""
        return batch.targets["rows"]

    def loss_on(self, model: Transformer, batch: Batch, hidden: Float[Tensor, "rows hidden"]) -> Float[Tensor, ""]:
        """Cross-entropy summed over masked tokens, from their hidden states."""
        return cross_entropy_sum(model.heads["masked_lm"](hidden), batch.targets["labels"])

    def guess_loss(self, vocab_size: int, lengths: Sequence[int]) -> float:
        """Of one of all tokens."""
        return float(np.log(vocab_size))

    def measure(self, model: Transformer, batch: Batch) -> dict[str, np.ndarray]:
        """Of each masked token: `nll` in nats, whether its most likely token is right, and its sample."""
        return self.measure_on(model, batch, model(batch.packed, rows=self.rows(batch)))

    def measure_on(
        self, model: Transformer, batch: Batch, hidden: Float[Tensor, "rows hidden"]
    ) -> dict[str, np.ndarray]:
        """`measure`, from the hidden states of masked tokens."""
        logits, labels = model.heads["masked_lm"](hidden), batch.targets["labels"]
        sequences = np.searchsorted(np.cumsum(batch.packed.lengths), batch.targets["rows"].cpu().numpy(), side="right")
        return {
            "nll": token_losses(logits, labels).cpu().numpy(),
            "correct": (logits.argmax(dim=-1) == labels).cpu().numpy(),
            "sample": batch.samples[sequences],
        }

    def score(self, measured: Mapping[str, np.ndarray], examples: Sequence[object]) -> dict[str, Metric]:
        """`loss` (nats a masked token), `perplexity` = exp(loss), `accuracy`; samples are resampled whole."""
        count = len(measured["nll"])
        if count == 0:
            raise DataError("data.validation", "no token of it was masked", cure="use more text or a higher rate")
        _, sample = np.unique(measured["sample"], return_inverse=True)
        tokens = np.bincount(sample).astype(np.float64)
        loss = bootstrap_ratio(np.bincount(sample, weights=measured["nll"].astype(np.float64)), tokens)
        right = bootstrap_share(np.bincount(sample, weights=measured["correct"].astype(np.float64)), tokens)
        shares = f"{self.config.mask:g}/{self.config.random:g}/{self.config.keep:g}"
        signature = (
            f"masked {self._name_unit()}, rate={rate_at(self.config.rate, 1.0):g}, mask/random/keep={shares}|n={count}"
            f"|samples={len(tokens)}|tokenizer={self.tokenizer.digest[:12]}"
            f"|interval=percentile bootstrap over samples, {CONFIDENCE:.0%}|resamples={NUM_RESAMPLES}|seed=0|v1"
        )
        perplexity = (float(np.exp(min(value, 700.0))) for value in loss)
        return {
            "loss": _metric("loss", count, signature, *loss),
            "perplexity": _metric("perplexity", count, f"pseudo, {signature}", *perplexity),
            "accuracy": _metric("accuracy", count, signature, *right),
        }

    def show(self, batch: Batch) -> list[str]:
        """Each sequence in words: `[MASK→word]` hidden, `[other→word]` replaced, `[=word]` kept but to be predicted.

        With `unit: word`, one pair of brackets holds a word: all that is seen in its place, and the word itself.
        """
        if self._finder is not None:
            return show_words(batch, self.tokenizer, self._finder, self.mask_id)
        ids = batch.packed.input_ids.tolist()
        rows, labels = batch.targets["rows"].tolist(), batch.targets["labels"].tolist()
        words = self.tokenizer.tokens(ids)
        for row, label, word in zip(rows, labels, self.tokenizer.tokens(labels), strict=True):
            if ids[row] == self.mask_id:
                words[row] = f"[MASK→{word}]"
            else:
                words[row] = f"[={word}]" if ids[row] == label else f"[{words[row]}→{word}]"
        return join_tokens(batch.packed, words)

    @cached_property
    def _finder(self) -> WordFinder | None:
        """Made when a batch is first prepared: who only fills masks needs no segmenter."""
        segmenter = self.config.load_segmenter()
        return None if segmenter is None else WordFinder(self.tokenizer, segmenter)

    @property
    def _lengths(self) -> SpanLengths | None:
        return (self.config.span or SpanLengths()) if self.config.unit == "span" else None

    def _name_unit(self) -> str:
        lengths, finder = self._lengths, self._finder
        spans = "" if lengths is None else f"spans (p={lengths.p:g}, at most {lengths.longest}) of "
        return spans + ("tokens" if finder is None else f"words, segmenter={finder.segmenter.name}")

    def _choose(
        self,
        ids: Int64[np.ndarray, " tokens"],
        places: Places,
        num_sequences: int,
        numbers: Int64[np.ndarray, " sequences"],
        rate: float,
        seed: int,
        epoch: int,
    ) -> Int64[np.ndarray, " rows"]:
        """The tokens to predict, in order: in each sequence those with the smallest draws, special tokens left out."""
        candidates = np.flatnonzero(~self.is_special[ids])
        sequences = places.sequences[candidates]
        available = np.bincount(sequences, minlength=num_sequences)
        # Rounding up with the probability of the fraction keeps the rate exact for short sequences too.
        wanted = np.floor(available * rate + draw_uniform(make_key(seed, epoch, "mask count"), numbers))
        key = make_key(seed, epoch, "mask choice")
        draws = draw_uniform(key, places.numbers[candidates], places.positions[candidates])
        order = np.lexsort((draws, sequences))
        ranks = np.arange(len(candidates)) - (np.cumsum(available) - available)[sequences]
        return np.sort(candidates[order[ranks < wanted[sequences]]])

    def _replace(
        self,
        labels: Int64[np.ndarray, " rows"],
        numbers: Int64[np.ndarray, " rows"],
        positions: Int64[np.ndarray, " rows"],
        fates: Int64[np.ndarray, " rows"],
        seed: int,
        epoch: int,
    ) -> Int64[np.ndarray, " rows"]:
        """What the model sees in place of the tokens to predict; those of one `fates` position share their fate."""
        fate = draw_uniform(make_key(seed, epoch, "mask fate"), numbers, fates)
        regular = np.flatnonzero(~self.is_special)
        drawn = draw_uniform(make_key(seed, epoch, "mask random"), numbers, positions)
        others = regular[(drawn * len(regular)).astype(np.int64)]
        shown = np.where(fate < self.config.mask + self.config.random, others, labels)
        return np.where(fate < self.config.mask, self.mask_id, shown)


class Candidate(NamedTuple):
    """A token that may stand in a masked place."""

    token: str
    probability: float


@torch.inference_mode()
def fill(
    model: Transformer, tokenizer: Tokenizer, text: str, top_k: int = 5, *, max_length: int | None = None
) -> list[list[Candidate]]:
    """The most likely tokens of each mask token in `text`, best first, one list per mask token.

    A text without a mask token is a DataError, and so is one longer than `max_length` tokens: what the model was
    trained on, since positions behind it were never learnt; None for all that it has.
    """
    max_length = max_length or model.config.max_length
    ids = tokenizer.encode(text, max_length=max_length)
    places = np.flatnonzero(np.asarray(ids.input_ids) == tokenizer.mask_id)
    if len(places) == 0 or ids.num_truncated:
        what = f"is longer than {max_length} tokens" if ids.num_truncated else "holds no mask token"
        mask = tokenizer.tokens([tokenizer.require("mask_id")])[0]
        raise DataError("text", what, got=text, cure=f"write {mask} where a word is to be found, in a short text")
    was_training = model.training
    model.eval()
    try:
        device = next(model.parameters()).device
        packed = Packed.from_sequences([ids.input_ids], [ids.token_type_ids]).to(device)
        logits = _mask_logits(model, packed, torch.from_numpy(places).to(device))
        likely = logits.float().softmax(dim=-1).topk(min(top_k, logits.shape[-1]), dim=-1)
    finally:
        model.train(was_training)
    return [
        [Candidate(token, share) for token, share in zip(tokenizer.tokens(row), shares, strict=True)]
        for row, shares in zip(likely.indices.tolist(), likely.values.tolist(), strict=True)
    ]


def _mask_logits(model: Transformer, packed: Packed, rows: Int64[Tensor, " rows"]) -> Float[Tensor, "rows vocab"]:
    """Of each mask; where the model has a query stream for it, that sees every token but the masks."""
    if "causal_lm" in model.heads:  # `hybrid`, which predicts a token at the place before it
        return model.heads["causal_lm"](model(packed, rows=rows - 1))
    if "permuted_lm" not in model.heads:
        return model.heads["masked_lm"](model(packed, rows=rows))
    order = torch.zeros_like(packed.input_ids).index_fill_(0, rows, 1)
    return model.heads["permuted_lm"](model(replace(packed, order=order), rows=rows, stream="query"))


def _metric(name: str, count: int, signature: str, value: float, low: float, high: float) -> Metric:
    return Metric(name, value, count, signature, low, high)
