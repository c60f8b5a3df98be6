"""Text to text without labels: an encoder reads what corruption left of a text, a decoder writes what is missing.

What a text becomes is the matter of `span` (T5) and `denoising` (BART); here it is packed, and its loss, its figures
and its decoded form are those of `seq2seq`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Int64

from groundup.errors import DataError
from groundup.metrics.metric import Metric
from groundup.model.config import CausalLMHead
from groundup.model.transformer import Transformer
from groundup.objectives.protocol import Batch, Loss
from groundup.objectives.seq2seq import Seq2SeqObjective
from groundup.objectives.words import Places
from groundup.text.sample import Sample
from groundup.text.tokenizer import Tokenizer


class Run(NamedTuple):
    """Samples laid end to end, as corruption sees them."""

    ids: Int64[np.ndarray, " tokens"]
    lengths: list[int]
    places: Places
    is_special: Bool[np.ndarray, " tokens"]
    sentence_starts: Bool[np.ndarray, " tokens"] | None
    """Whether each token begins a sentence; None where samples do not know."""
    num_ends: tuple[int, int]
    """The special tokens before every text and after it."""


@runtime_checkable
class Corruption(Protocol):
    """What an encoder reads in place of a text, and what a decoder writes of it; both without ends."""

    def __call__(self, run: Run, seed: int, epoch: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """Source and target of every sequence, the source with the special tokens around it."""
        ...


@dataclass(frozen=True, eq=False)
class RestoringObjective:
    """The corruption of a config, and the loss of `seq2seq` on what it makes of texts."""

    config: object
    tokenizer: Tokenizer
    corruption: Corruption
    writer: Seq2SeqObjective
    segmenter: str | None = None
    """What finds words, where something does."""
    head: CausalLMHead = field(default_factory=CausalLMHead)
    best: tuple[str, bool] = ("loss", False)

    @property
    def sources(self) -> dict[str, str]:
        """The segmenter, where there is one."""
        return {} if self.segmenter is None else {"segmenter": self.segmenter}

    @property
    def start_id(self) -> int:
        """What the decoder reads first."""
        return self.writer.start_id

    def prepare(self, samples: Sequence[Sample], seed: int, epoch: int) -> Batch:
        """Corrupt, then pack sources and targets. A sequence of which nothing is asked has its end as only target."""
        run = lay_run(samples, self.tokenizer)
        made = []
        pairs = zip(samples, self.corruption(run, seed, epoch), strict=True)
        for sample, (source, target) in pairs:
            ids = np.concatenate([source, self.writer.frame_target(target.astype(np.int32))]).astype(np.int32)
            made.append(Sample(sample.index, ids, num_context=len(source)))
        return self.writer.prepare(made, seed, epoch)

    def loss(self, model: Transformer, batch: Batch) -> Loss:
        """Cross-entropy summed over the tokens of the targets."""
        return self.writer.loss(model, batch)

    def measure(self, model: Transformer, batch: Batch) -> dict[str, np.ndarray]:
        """As `seq2seq`."""
        return self.writer.measure(model, batch)

    def score(self, measured: Mapping[str, np.ndarray], examples: Sequence[object]) -> dict[str, Metric]:
        """As `seq2seq`."""
        return self.writer.score(measured, examples)

    def show(self, batch: Batch) -> list[str]:
        """Each pair in tokens: what is read, `⇒`, what is to be written."""
        return self.writer.show(batch)


def lay_run(samples: Sequence[Sample], tokenizer: Tokenizer) -> Run:
    """Samples laid end to end; runs of whole sentences, which are text alone, get their special tokens here."""
    texts = [sample.input_ids for sample in samples]
    starts: list[np.ndarray] = []
    if samples[0].sentence_ends is not None:
        before, after = (np.array(ids, dtype=np.int32) for ids in (tokenizer.prefix_ids, tokenizer.suffix_ids))
        for place, sample in enumerate(samples):
            if sample.sentence_ends is None:
                raise DataError("data", "has samples without sentences among others", got=sample.index)
            texts[place] = np.concatenate([before, texts[place], after])
            is_start = np.zeros(len(texts[place]), dtype=bool)
            is_start[len(before) + np.concatenate([[0], sample.sentence_ends[:-1]])] = True
            starts.append(is_start)
    lengths = [len(text) for text in texts]
    ids = np.concatenate(texts).astype(np.int64)
    sequences = np.repeat(np.arange(len(samples)), lengths)
    numbers = np.array([sample.index for sample in samples], dtype=np.int64)[sequences]
    positions = np.concatenate([np.arange(length) for length in lengths])
    is_special = np.isin(ids, list(tokenizer.special_ids))
    places, num_ends = Places(sequences, numbers, positions), (len(tokenizer.prefix_ids), len(tokenizer.suffix_ids))
    return Run(ids, lengths, places, is_special, np.concatenate(starts) if starts else None, num_ends)
