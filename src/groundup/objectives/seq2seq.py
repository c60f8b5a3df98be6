"""Sequence to sequence: a text is written from another that an encoder reads (Sutskever et al. 2014).

Each row of a table is a source and its target: a sentence and its translation, a question and its answer. The encoder
reads the source with the tokenizer's special tokens; the decoder learns every token of the target, its end included.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float, Int32
from pydantic import Field, PositiveInt
from torch import Tensor

from groundup.config import Config
from groundup.errors import ConfigError, DataError
from groundup.metrics.metric import Metric
from groundup.model.config import CausalLMHead, Head
from groundup.model.packed import Packed
from groundup.model.transformer import Transformer
from groundup.objectives.loss import cross_entropy_sum
from groundup.objectives.next_token import measure_next_tokens, score_next_tokens, show_pair
from groundup.objectives.protocol import Batch, Loss
from groundup.readers.table import Example
from groundup.text.sample import EncodingReport, FlatSamples, Sample
from groundup.text.tokenizer import Tokenizer


class Seq2Seq(Config):
    """Write the second text of a row from the first one, with an encoder-decoder."""

    data_kinds: ClassVar[tuple[str, ...]] = ("text",)
    needs_label: ClassVar[bool] = False
    heads: ClassVar[tuple[Head, ...]] = (CausalLMHead(),)
    kind: Literal["seq2seq"] = "seq2seq"
    max_length: PositiveInt = 128
    """The most tokens of a source, special tokens included; what is longer loses its end."""
    max_target_length: PositiveInt | None = None
    """The most tokens of a target, its end included; null for as many as of a source."""
    label_smoothing: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    """The share of each target that is spread over the whole vocabulary; 0.1 in Vaswani et al. 2017."""
    start: str | None = Field(None, min_length=1)
    """The token that every target starts with, unseen; null takes that of a pretrained model, else the tokenizer's."""

    @property
    def resolved_max_target_length(self) -> int:
        """The most tokens of a target."""
        return self.max_target_length or self.max_length

    def choose_labels(self, examples: Sequence[Example], where: str) -> tuple[str, ...]:
        """There are no classes."""
        return ()

    @property
    def longest_row(self) -> int:
        """The most tokens of a source and its target together."""
        return self.max_length + self.resolved_max_target_length

    def build(self, tokenizer: Tokenizer, labels: Sequence[str] = (), start_id: int | None = None) -> Seq2SeqObjective:
        """The objective over the vocabulary of `tokenizer`; `start_id` is that of the model, which `start` overrules.

        ConfigError where nothing starts or ends a target.
        """
        if self.start is not None:
            start_id = tokenizer.id_of(self.start)
            if start_id is None:
                raise ConfigError("objective.start", "is no token of the tokenizer", got=self.start)
        elif start_id is None:
            start_id = tokenizer.pad_id if tokenizer.start_id is None else tokenizer.start_id
        for name, found in (("starts", start_id), ("ends", tokenizer.end_id)):
            if found is None:
                cure = "use a tokenizer with one (those trained here have it)"
                raise ConfigError("tokenizer", f"has no token that {name} a target", cure=cure)
        return Seq2SeqObjective(self, tokenizer, start_id)


@dataclass(frozen=True, eq=False)
class Seq2SeqObjective:
    """The loss and the figures of `Seq2Seq`. Nothing is corrupted, so `prepare` draws nothing."""

    config: Seq2Seq
    tokenizer: Tokenizer
    start_id: int
    """What the decoder reads first."""
    head: CausalLMHead = field(default_factory=CausalLMHead)
    best: tuple[str, bool] = ("loss", False)

    def encode(self, examples: Sequence[Example], where: str) -> FlatSamples:
        """Rows as samples, in their order: a source, and after it its target, which begins with the start token.

        DataError where a row has no target.
        """
        if not examples:
            raise DataError(where, "holds no row", cure="check the file")
        for example in examples:
            if example.pair is None:
                cure = "name the column of the second text: data.pair"
                raise DataError(f"{where}:{example.line}", "is a source without a target", got=example.text, cure=cure)
        rows, contexts, lost = [], [], []
        sources = self.tokenizer.encode_batch([each.text for each in examples], self.config.max_length)
        has_end = self.tokenizer.suffix_ids[-1:] == (self.tokenizer.end_id,)
        limit = self.config.resolved_max_target_length - (not has_end)
        targets = self.tokenizer.encode_batch([each.pair for each in examples], limit)
        for source, target in zip(sources, targets, strict=True):
            rows.append(np.concatenate([source.input_ids, self.frame_target(target.input_ids)]))
            contexts.append(len(source.input_ids))
            lost.append(source.num_truncated + target.num_truncated)
        report = EncodingReport(len(rows), 0, sum(each > 0 for each in lost), sum(lost))
        sizes = np.array([len(row) for row in rows], dtype=np.int32)
        flat = np.concatenate(rows).astype(np.int32, copy=False)
        return FlatSamples(flat, sizes, report, contexts=np.array(contexts, dtype=np.int32), num_unread=1)

    @property
    def start_ids(self) -> tuple[int, ...]:
        """What every target begins with: it is given, and not written."""
        prefix = self.tokenizer.prefix_ids
        return prefix if prefix[:1] == (self.start_id,) else (self.start_id, *prefix)

    def encode_source(self, text: str) -> Int32[np.ndarray, " length"]:
        """What the encoder reads of a text."""
        return self.tokenizer.encode(text, max_length=self.config.max_length).input_ids

    def prepare(self, samples: Sequence[Sample], seed: int, epoch: int) -> Batch:
        """Pack sources and targets, ordered so that neighbours are alike on both sides. Targets: `labels`."""
        pairs = [np.split(sample.input_ids, [sample.num_context]) for sample in samples]
        order = sorted(range(len(pairs)), key=lambda each: (-len(pairs[each][1]), -len(pairs[each][0])))
        source = Packed.from_sequences([pairs[place][0] for place in order])
        targets = [pairs[place][1] for place in order]
        packed = Packed.from_sequences([target[:-1] for target in targets])
        labels = torch.from_numpy(np.concatenate([target[1:] for target in targets]).astype(np.int64))
        numbers = np.array([samples[place].index for place in order], dtype=np.int64)
        return Batch(packed, {"labels": labels}, len(labels), numbers, source=source)

    def loss(self, model: Transformer, batch: Batch) -> Loss:
        """Cross-entropy summed over the tokens of the targets."""
        logits, labels = self._logits(model, batch), batch.targets["labels"]
        return Loss(cross_entropy_sum(logits, labels, self.config.label_smoothing), batch.count)

    def measure(self, model: Transformer, batch: Batch) -> dict[str, np.ndarray]:
        """Of each token: `nll` in nats, whether it is the likeliest, its sample; of each sample its text's size."""
        parts = [([], asked) for _, asked in self._split(batch)]
        return measure_next_tokens(self._logits(model, batch), batch, parts, self.tokenizer)

    def score(self, measured: Mapping[str, np.ndarray], examples: Sequence[object]) -> dict[str, Metric]:
        """`loss` (nats a token, not smoothed), `perplexity` by token, word and character, `bits_per_byte`, `accuracy`.

        Samples are resampled whole. Only figures by word, character or byte compare across tokenizers.
        """
        return score_next_tokens(measured, self.tokenizer)

    def show(self, batch: Batch) -> list[str]:
        """Each pair in tokens: source, `⇒`, target."""
        return [show_pair(given, asked, self.tokenizer) for given, asked in self._split(batch)]

    def frame_target(self, target: Int32[np.ndarray, " length"]) -> Int32[np.ndarray, " framed"]:
        """A target between its start and its end, of which the tokenizer's template may have written either."""
        start = [] if len(target) and target[0] == self.start_id else [self.start_id]
        end = [] if len(target) and target[-1] == self.tokenizer.end_id else [self.tokenizer.end_id]
        return np.concatenate([start, target, end]).astype(np.int32)

    def _logits(self, model: Transformer, batch: Batch) -> Float[Tensor, "rows vocab"]:
        return model.heads["causal_lm"](model(batch.packed, memory=model.encode(batch.source)))

    def _split(self, batch: Batch) -> list[tuple[list[int], list[int]]]:
        """Of each pair the source and the tokens to predict."""
        asked = batch.targets["labels"].split(list(batch.packed.lengths))
        return [(ids.tolist(), each.tolist()) for ids, each in zip(batch.source.split(), asked, strict=True)]
