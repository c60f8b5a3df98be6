"""Span corruption (T5, Raffel et al. 2020, section 3.1.4) and gap sentences (PEGASUS, Zhang et al. 2020).

Runs of hidden tokens are taken out of a text, each for one sentinel, `<extra_id_0>`, `<extra_id_1>` and so on; the
decoder writes the sentinels, each with what it stands for. What is hidden are spans, drawn as for `masked`, so that the
share is the asked one and every word as likely as any other; T5's own code hides the end of every text and never its
beginning. With `hide: sentence` whole sentences are hidden, chosen by chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, PositiveInt, model_validator

from groundup.config import Config
from groundup.errors import ConfigError, DataError
from groundup.language.segment import Jieba, Segmenter, SegmenterConfig
from groundup.model.config import CausalLMHead, Head
from groundup.objectives.restoring import RestoringObjective, Run
from groundup.objectives.seq2seq import Seq2Seq
from groundup.objectives.spans import SpanLengths
from groundup.objectives.words import choose_words
from groundup.text.pair_windows import PairFrame
from groundup.text.tokenizer import Tokenizer
from groundup.text.whole_words import WordFinder
from groundup.text.windows import Frame


class SpanCorruption(Config):
    """Write the spans, or the sentences, that were taken out of a text."""

    data_kinds: ClassVar[tuple[str, ...]] = ("corpus",)
    needs_label: ClassVar[bool] = False
    heads: ClassVar[tuple[Head, ...]] = (CausalLMHead(),)
    kind: Literal["span"] = "span"
    max_length: PositiveInt = 128
    """The most tokens of one text, special tokens included."""
    hide: Literal["span", "sentence"] = "span"
    """What is taken out: spans of words or tokens (T5), or whole sentences (PEGASUS), for which `data.sentences` must
    be noted."""
    rate: Annotated[float, Field(gt=0.0, le=0.5)] = 0.15
    """The share of a text's tokens that is taken out, special tokens aside."""
    span: SpanLengths = SpanLengths(p=1 / 3)
    """How long spans are, on average about three as in T5."""
    segmenter: SegmenterConfig | None = None
    """Where words end, so that spans hold whole ones; null: spans of tokens."""
    num_sentinels: Annotated[int, Field(ge=1, le=1000)] = 100
    """Sentinels that the tokenizer is given where it has none; runs beyond them stay as they are."""

    @model_validator(mode="after")
    def _check_segmenter(self) -> Self:
        if self.hide == "sentence" and self.segmenter is not None:
            raise ValueError(f"segmenter: is for hide: span, got {self.segmenter.kind!r}; leave it out")
        return self

    @property
    def needs_sentences(self) -> bool:
        """Whether samples are runs of whole sentences."""
        return self.hide == "sentence"

    def frame(self, tokenizer: Tokenizer) -> Frame | PairFrame:
        """Windows of a corpus, or runs of its whole sentences."""
        if self.hide == "span":
            return Frame.of_windows(tokenizer)
        return PairFrame(len(tokenizer.prefix_ids) + len(tokenizer.suffix_ids), needs_others=False)

    def load_segmenter(self) -> Segmenter | None:
        """What finds words; None where spans are of tokens."""
        return None if self.segmenter is None else (self.segmenter or Jieba()).build("objective.segmenter")

    def extend(self, tokenizer: Tokenizer) -> Tokenizer:
        """The tokenizer with the sentinels that it lacks, at the end of its vocabulary."""
        if tokenizer.id_of(name_sentinel(0)) is not None:
            return tokenizer
        return tokenizer.with_special([name_sentinel(number) for number in range(self.num_sentinels)])

    def build(
        self, tokenizer: Tokenizer, labels: Sequence[str] = (), start_id: int | None = None
    ) -> RestoringObjective:
        """The objective over the vocabulary of `tokenizer`, which needs sentinels (else a ConfigError)."""
        sentinels = list[int]()
        while (found := tokenizer.id_of(name_sentinel(len(sentinels)))) is not None:
            sentinels.append(found)
        if not sentinels:
            raise ConfigError("tokenizer", "has no sentinels", cure=f"add {name_sentinel(0)} and so on to it")
        writer = Seq2Seq(max_length=self.max_length).build(tokenizer, start_id=start_id)
        segmenter = self.load_segmenter()
        finder = None if segmenter is None else WordFinder(tokenizer, segmenter)
        corruption = _Corruption(self, np.array(sentinels, dtype=np.int64), finder)
        return RestoringObjective(self, tokenizer, corruption, writer, None if segmenter is None else segmenter.name)


class _Corruption:
    """What `SpanCorruption` makes of texts."""

    def __init__(self, config: SpanCorruption, sentinels: np.ndarray, finder: WordFinder | None) -> None:
        self._config, self._sentinels, self._finder = config, sentinels, finder

    def __call__(self, run: Run, seed: int, epoch: int) -> list[tuple[np.ndarray, np.ndarray]]:
        config = self._config
        if config.hide == "sentence":
            if run.sentence_starts is None:
                raise DataError("data", "does not say where sentences end", cure="set data.sentences=true")
            starts, lengths = run.sentence_starts, None
        else:
            every = np.ones(len(run.ids), dtype=bool)
            starts = every if self._finder is None else self._finder.find_starts(run.ids, run.lengths)
            lengths = config.span
        rows = choose_words(starts, np.flatnonzero(~run.is_special), run.places, config.rate, seed, epoch, lengths).rows
        is_hidden = np.zeros(len(run.ids), dtype=bool)
        is_hidden[rows] = True
        ends = np.cumsum(run.lengths)
        parts = zip(np.split(run.ids, ends[:-1]), np.split(is_hidden, ends[:-1]), strict=True)
        return [take_out(ids, hidden, self._sentinels) for ids, hidden in parts]


def take_out(ids: np.ndarray, is_hidden: np.ndarray, sentinels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A text with one sentinel for each run that is hidden, and the sentinels with the runs.

    Runs beyond the sentinels stay in the text.
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], is_hidden, [False]]).astype(np.int8)))
    source, target = list[np.ndarray](), list[np.ndarray]()
    place = 0
    for number, (start, end) in enumerate(edges.reshape(-1, 2)[: len(sentinels)].tolist()):
        mark = sentinels[number : number + 1]
        source += [ids[place:start], mark]
        target += [mark, ids[start:end]]
        place = end
    return np.concatenate([*source, ids[place:]]), np.concatenate([*target, ids[:0]])


def name_sentinel(number: int) -> str:
    """As T5's vocabulary has it."""
    return f"<extra_id_{number}>"
