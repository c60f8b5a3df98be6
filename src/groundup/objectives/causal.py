"""Causal language modelling: every token from those before it (Radford et al. 2018).

Of a corpus, every token of a document is predicted once, its end included. Of a table, a row is a document; or, where
it has a second text, a prompt and its completion, of which the completion alone is learnt.

With a prefix, what is given is read in both directions, and what follows it from left to right (Liu et al. 2018; Dong
et al. 2019; Raffel et al. 2020, section 3.2.1). A prompt is such a prefix. Of a document it is a beginning of drawn
length, all lengths equally likely, and what follows alone is learnt: its own tokens have seen each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

import numpy as np
import torch
from jaxtyping import Float, Int32
from pydantic import PositiveInt
from torch import Tensor

from groundup.config import Config
from groundup.errors import DataError
from groundup.metrics.metric import Metric
from groundup.model.config import CausalLMHead, Head
from groundup.model.packed import Packed
from groundup.model.transformer import Transformer
from groundup.objectives.loss import cross_entropy_sum
from groundup.objectives.next_token import measure_next_tokens, score_next_tokens, show_pair
from groundup.objectives.protocol import Batch, Loss
from groundup.randomness import draw_uniform, make_key
from groundup.readers.table import Example
from groundup.text.sample import EncodingReport, FlatSamples, Sample
from groundup.text.tokenizer import Tokenizer
from groundup.text.windows import Frame

_IS_PROMPT: Final = "is_prompt"
"""Whether what is given of a row is a prompt: nothing is then drawn."""


class Causal(Config):
    """Predict every token from those before it; of a prompt and its completion, the completion alone."""

    data_kinds: ClassVar[tuple[str, ...]] = ("corpus", "text")
    needs_label: ClassVar[bool] = False
    kind: Literal["causal"] = "causal"
    max_length: PositiveInt = 128
    """The most tokens that the model reads of one sequence. A longer prompt loses its beginning."""
    separator: str = "\n"
    """What stands between a prompt and its completion. It travels with the model."""
    prefix: bool = False
    """Read prompts, or of texts without one a beginning of drawn length, in both directions, and learn what follows (a
    prefix language model). It travels with the model, which then reads so what it goes on from."""

    @property
    def heads(self) -> tuple[Head, ...]:
        """What the next token is read off."""
        return (CausalLMHead(prefix=self.prefix),)

    def frame(self, tokenizer: Tokenizer) -> Frame:
        """Windows of a corpus are parts of its documents."""
        return Frame.of_documents(tokenizer)

    def choose_labels(self, examples: Sequence[Example], where: str) -> tuple[str, ...]:
        """There are no classes."""
        return ()

    def build(self, tokenizer: Tokenizer, labels: Sequence[str] = ()) -> CausalObjective:
        """The objective over the vocabulary of `tokenizer`."""
        return CausalObjective(self, tokenizer)


@dataclass(frozen=True, eq=False)
class CausalObjective:
    """The loss and the figures of `Causal`. Nothing is corrupted, and nothing drawn but the prefixes of documents."""

    config: Causal
    tokenizer: Tokenizer
    best: tuple[str, bool] = ("loss", False)

    @property
    def head(self) -> Head:
        """It says to whoever reads with the model later how prompts are seen."""
        return self.config.heads[0]

    def encode(self, examples: Sequence[Example], where: str) -> FlatSamples:
        """Rows as samples, in their order. Too long a prompt loses its beginning, too long a completion its end."""
        if not examples:
            raise DataError(where, "holds no row", cure="check the file")
        start, end = self._ends()
        encoded = iter(self.tokenizer.encode_plain([text for example in examples for text in self._texts(example)]))
        rows, contexts, lost = [], [], []
        for example in examples:
            prompt = next(encoded) if example.pair is not None else start[:0]
            kept = np.concatenate([start, prompt, next(encoded), end])
            excess = max(0, len(kept) - self.config.max_length - 1)
            context = len(start) + max(0, len(prompt) - excess)
            if excess:
                kept = np.concatenate([start, kept[len(start) + min(excess, len(prompt)) :]])
            rows.append(kept[: self.config.max_length + 1])
            contexts.append(max(1, context))
            lost.append(excess)
            if len(rows[-1]) <= contexts[-1]:
                raise DataError(f"{where}:{example.line}", "has no token to predict", got=example.text)
        sizes = np.array([len(row) for row in rows], dtype=np.int32)
        report = EncodingReport(len(rows), 0, sum(each > 0 for each in lost), sum(lost))
        flat = np.concatenate(rows).astype(np.int32, copy=False)
        of_rows = {}
        if self.config.prefix:
            of_rows[_IS_PROMPT] = np.array([example.pair is not None for example in examples])
        contexts = np.array(contexts, dtype=np.int32)
        return FlatSamples(flat, sizes, report, contexts=contexts, num_unread=1, of_rows=of_rows)

    def encode_prompt(self, prompt: str) -> Int32[np.ndarray, " length"]:
        """What stands before a completion: the ids that a trained model continues."""
        return self.encode_start(prompt + self.config.separator)

    def encode_start(self, text: str) -> Int32[np.ndarray, " length"]:
        """The beginning of a document, to be written on; an empty one is its start token alone."""
        start, _ = self._ends()
        return np.concatenate([start, *self.tokenizer.encode_plain([text])])

    def prepare(self, samples: Sequence[Sample], seed: int, epoch: int) -> Batch:
        """Pack all tokens but the last of each sample. Targets: `labels`, and `rows` where not every token has one."""
        packed = Packed.from_sequences([sample.input_ids[:-1] for sample in samples])
        contexts = self._find_contexts(samples, seed, epoch)
        if self.config.prefix:
            packed = packed.with_prefixes(contexts)
        starts = np.cumsum([0, *packed.lengths])[:-1]
        rows = np.concatenate(
            [
                np.arange(start + context - 1, start + length)
                for start, context, length in zip(starts, contexts, packed.lengths, strict=True)
            ]
        )
        asked = [sample.input_ids[context:] for sample, context in zip(samples, contexts, strict=True)]
        labels = np.concatenate(asked).astype(np.int64)
        targets = {"labels": torch.from_numpy(labels)}
        if len(rows) < packed.num_tokens:
            targets["rows"] = torch.from_numpy(rows.astype(np.int64))
        return Batch(packed, targets, len(labels), np.array([sample.index for sample in samples], dtype=np.int64))

    def loss(self, model: Transformer, batch: Batch) -> Loss:
        """Cross-entropy summed over the tokens to predict."""
        return Loss(cross_entropy_sum(self._logits(model, batch), batch.targets["labels"]), batch.count)

    def measure(self, model: Transformer, batch: Batch) -> dict[str, np.ndarray]:
        """Of each token: `nll` in nats, whether it is the likeliest, its sample; of each sample its text's size."""
        return measure_next_tokens(self._logits(model, batch), batch, self._split(batch), self.tokenizer)

    def score(self, measured: Mapping[str, np.ndarray], examples: Sequence[object]) -> dict[str, Metric]:
        """`loss` (nats a token), `perplexity` by token, word and character, `bits_per_byte`, `accuracy`.

        Samples are resampled whole. Only figures by word, character or byte compare across tokenizers.
        """
        given = " after a prefix that sees itself" if self.config.prefix else ""
        return score_next_tokens(measured, self.tokenizer, given)

    def show(self, batch: Batch) -> list[str]:
        """Each sequence in tokens, `⇒` between what is given and what is to be predicted."""
        return [show_pair(given, asked, self.tokenizer) for given, asked in self._split(batch)]

    def _find_contexts(self, samples: Sequence[Sample], seed: int, epoch: int) -> list[int]:
        """Tokens of each sample that are given. Of what is drawn at least one token is left to predict."""
        contexts = np.array([sample.num_context for sample in samples])
        if self.config.prefix:
            share = draw_uniform(make_key(seed, epoch, "prefix"), np.array([sample.index for sample in samples]))
            is_drawn = np.array([not sample.targets.get(_IS_PROMPT, False) for sample in samples])
            rest = np.array([len(sample.input_ids) for sample in samples]) - contexts
            contexts += (is_drawn * share * rest).astype(np.int64)
        return contexts.tolist()

    def _texts(self, example: Example) -> tuple[str, ...]:
        if example.pair is None:
            return (example.text,)
        return (example.text + self.config.separator, example.pair)

    def _ends(self) -> tuple[Int32[np.ndarray, " _start"], Int32[np.ndarray, " _end"]]:
        frame = self.config.frame(self.tokenizer)
        return np.array(frame.prefix, dtype=np.int32), np.array(frame.suffix, dtype=np.int32)

    def _logits(self, model: Transformer, batch: Batch) -> Float[Tensor, "rows vocab"]:
        return model.heads["causal_lm"](model(batch.packed, rows=batch.targets.get("rows")))

    def _count_targets(self, batch: Batch) -> np.ndarray:
        rows = batch.targets.get("rows")
        if rows is None:
            return np.array(batch.packed.lengths)
        ends = np.cumsum(batch.packed.lengths)
        sequences = np.searchsorted(ends, rows.cpu().numpy(), side="right")
        return np.bincount(sequences, minlength=len(ends))

    def _split(self, batch: Batch) -> list[tuple[list[int], list[int]]]:
        """Of each sequence the ids that are given and those to predict."""
        labels = batch.targets["labels"].cpu().numpy()
        asked = np.split(labels, np.cumsum(self._count_targets(batch))[:-1])
        return [
            (ids[: len(ids) - len(each) + 1].tolist(), each.tolist())
            for ids, each in zip(batch.packed.split(), asked, strict=True)
        ]
