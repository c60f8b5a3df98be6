"""Denoising (BART, Lewis et al. 2020): a whole text is written from what infilling and shuffling left of it.

Infilling puts one mask token in the place of each span, whose lengths are Poisson's, and some where nothing was, so
that the decoder must find out how much is missing. Shuffling puts the sentences of a text in a drawn order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from jaxtyping import Float64
from pydantic import Field, PositiveInt

from groundup.config import Config
from groundup.errors import DataError
from groundup.language.segment import Segmenter, SegmenterConfig
from groundup.model.config import CausalLMHead, Head
from groundup.objectives.restoring import RestoringObjective, Run
from groundup.objectives.seq2seq import Seq2Seq
from groundup.objectives.words import choose_words
from groundup.randomness import draw_uniform, make_key
from groundup.text.pair_windows import PairFrame
from groundup.text.tokenizer import Tokenizer
from groundup.text.whole_words import WordFinder
from groundup.text.windows import Frame


class PoissonLengths(Config):
    """Lengths of spans from Poisson's distribution, those above the longest left out; a span may be of length 0."""

    mean: Annotated[float, Field(gt=0.0, le=20.0)] = 3.0
    """The mean of the distribution, zeros included."""
    longest: PositiveInt = 10
    """The most words of a span."""

    @property
    def shares(self) -> Float64[np.ndarray, " longest"]:
        """The probability of each length from 1 up, among those that are not 0."""
        weights = np.array([self.mean**n / math.factorial(n) for n in range(1, self.longest + 1)])
        return weights / weights.sum()

    @property
    def zeros(self) -> float:
        """Spans of length 0 for each longer one."""
        return 1.0 / sum(self.mean**n / math.factorial(n) for n in range(1, self.longest + 1))


class Denoising(Config):
    """Write a text from its corrupted form."""

    data_kinds: ClassVar[tuple[str, ...]] = ("corpus",)
    needs_label: ClassVar[bool] = False
    heads: ClassVar[tuple[Head, ...]] = (CausalLMHead(),)
    kind: Literal["denoising"] = "denoising"
    max_length: PositiveInt = 128
    """The most tokens of one text, special tokens included."""
    rate: Annotated[float, Field(ge=0.0, le=0.9)] = 0.3
    """The share of a text's tokens that infilling hides, special tokens aside; 0 for none."""
    span: PoissonLengths = PoissonLengths()
    """How long the hidden spans are."""
    shuffle: bool = True
    """Whether sentences are shuffled, for which `data.sentences` must be noted."""
    segmenter: SegmenterConfig | None = None
    """Where words end, so that spans hold whole ones; null: spans of tokens."""

    @property
    def needs_sentences(self) -> bool:
        """Whether samples are runs of whole sentences."""
        return self.shuffle

    def frame(self, tokenizer: Tokenizer) -> Frame | PairFrame:
        """Windows of a corpus, or runs of its whole sentences."""
        if not self.shuffle:
            return Frame.of_windows(tokenizer)
        return PairFrame(len(tokenizer.prefix_ids) + len(tokenizer.suffix_ids), needs_others=False)

    def load_segmenter(self) -> Segmenter | None:
        """What finds words; None where spans are of tokens."""
        return None if self.segmenter is None else self.segmenter.build("objective.segmenter")

    def build(
        self, tokenizer: Tokenizer, labels: Sequence[str] = (), start_id: int | None = None
    ) -> RestoringObjective:
        """The objective over the vocabulary of `tokenizer`, which needs a mask token (else a ConfigError)."""
        mask_id = tokenizer.require("mask_id")
        writer = Seq2Seq(max_length=self.max_length).build(tokenizer, start_id=start_id)
        segmenter = self.load_segmenter()
        finder = None if segmenter is None else WordFinder(tokenizer, segmenter)
        corruption = _Corruption(self, mask_id, finder)
        return RestoringObjective(self, tokenizer, corruption, writer, None if segmenter is None else segmenter.name)


class _Corruption:
    """What `Denoising` makes of texts."""

    def __init__(self, config: Denoising, mask_id: int, finder: WordFinder | None) -> None:
        self._config, self._mask_id, self._finder = config, mask_id, finder

    def __call__(self, run: Run, seed: int, epoch: int) -> list[tuple[np.ndarray, np.ndarray]]:
        config, places = self._config, run.places
        every = np.ones(len(run.ids), dtype=bool)
        starts = every if self._finder is None else self._finder.find_starts(run.ids, run.lengths)
        is_hidden, is_inserted = np.zeros_like(every), np.zeros_like(every)
        if config.rate:
            candidates = np.flatnonzero(~run.is_special)
            is_hidden[choose_words(starts, candidates, places, config.rate, seed, epoch, config.span).rows] = True
            # As many empty spans as Poisson has for the spans that are hidden, each before a token that is seen.
            mean = float(config.span.shares @ np.arange(1, config.span.longest + 1))
            chance = config.rate / mean * config.span.zeros / (1.0 - config.rate)
            draws = draw_uniform(make_key(seed, epoch, "empty spans"), places.numbers, places.positions)
            is_inserted = (draws < chance) & ~is_hidden & ~run.is_special
        key, (before, after) = make_key(seed, epoch, "sentence order"), run.num_ends
        made: list[tuple[np.ndarray, np.ndarray]] = []
        end = 0
        for length in run.lengths:
            part = slice(end, end + length)
            end += length
            inside = np.arange(before, length - after)
            text = inside
            if config.shuffle:
                if run.sentence_starts is None:
                    raise DataError("data", "does not say where sentences end", cure="set data.sentences=true")
                inside = inside[shuffle_sentences(run.sentence_starts[part][inside], key, int(places.numbers[part][0]))]
            order = np.concatenate([np.arange(before), inside, np.arange(length - after, length)])
            source = fill_in(*(each[part][order] for each in (run.ids, is_hidden, is_inserted)), self._mask_id)
            made.append((source, run.ids[part][text]))
        return made


def shuffle_sentences(starts: np.ndarray, key: int, number: int) -> np.ndarray:
    """The places of a text's tokens with its sentences, which begin at `starts`, in a drawn order."""
    sentence = np.cumsum(starts) - 1
    draws = draw_uniform(key, number, np.arange(int(sentence.max(initial=-1)) + 1))
    return np.lexsort((np.arange(len(starts)), draws[sentence]))


def fill_in(ids: np.ndarray, is_hidden: np.ndarray, is_inserted: np.ndarray, mask_id: int) -> np.ndarray:
    """One mask token for each hidden run, and one before each place of an insertion."""
    is_first = is_hidden & ~np.concatenate([[False], is_hidden[:-1]])
    marks = np.where(is_first | is_inserted, mask_id, -1)
    kept = np.where(is_hidden, -1, ids)
    both = np.stack([marks, kept], axis=1).reshape(-1)
    return both[both >= 0]
