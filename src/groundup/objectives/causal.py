"""Causal language modelling: every token from those before it (Radford et al. 2018).

Of a corpus, every token of a document is predicted once, its end included. Of a table, a row is a document; or, where
it has a second text, a prompt and its completion, of which the completion alone is learnt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float, Int32
from pydantic import PositiveInt
from torch import Tensor

from groundup.config import Config
from groundup.errors import DataError
from groundup.language.scripts import count_words
from groundup.metrics.interval import CONFIDENCE, NUM_RESAMPLES, Interval, bootstrap_ratio, bootstrap_share
from groundup.metrics.metric import Metric
from groundup.model.config import CausalLMHead, Head
from groundup.model.packed import Packed
from groundup.model.transformer import Transformer
from groundup.objectives.loss import cross_entropy_sum, token_losses
from groundup.objectives.protocol import Batch, Loss
from groundup.readers.table import Example
from groundup.text.sample import EncodingReport, FlatSamples, Sample
from groundup.text.tokenizer import Tokenizer
from groundup.text.windows import Frame

GIVEN_MARK = "⇒"
"""Stands, for people, between what is given and what is to be predicted."""


class Causal(Config):
    """Predict every token from those before it; of a prompt and its completion, the completion alone."""

    data_kinds: ClassVar[tuple[str, ...]] = ("corpus", "table")
    needs_label: ClassVar[bool] = False
    heads: ClassVar[tuple[Head, ...]] = (CausalLMHead(),)
    kind: Literal["causal"] = "causal"
    max_length: PositiveInt = 128
    """The most tokens that the model reads of one sequence. A longer prompt loses its beginning."""
    separator: str = "\n"
    """What stands between a prompt and its completion. It travels with the model."""

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
    """The loss and the figures of `Causal`. Nothing is corrupted, so `prepare` draws nothing."""

    config: Causal
    tokenizer: Tokenizer
    head: CausalLMHead = field(default_factory=CausalLMHead)
    best: tuple[str, bool] = ("loss", False)

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
        return FlatSamples(flat, sizes, report, contexts=np.array(contexts, dtype=np.int32), num_unread=1)

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
        starts = np.cumsum([0, *packed.lengths])
        rows = np.concatenate(
            [
                np.arange(start + sample.num_context - 1, start + len(sample.input_ids) - 1)
                for start, sample in zip(starts, samples, strict=False)
            ]
        )
        labels = np.concatenate([sample.input_ids[sample.num_context :] for sample in samples]).astype(np.int64)
        targets = {"labels": torch.from_numpy(labels)}
        if len(rows) < packed.num_tokens:
            targets["rows"] = torch.from_numpy(rows.astype(np.int64))
        return Batch(packed, targets, len(labels), np.array([sample.index for sample in samples], dtype=np.int64))

    def loss(self, model: Transformer, batch: Batch) -> Loss:
        """Cross-entropy summed over the tokens to predict."""
        return Loss(cross_entropy_sum(self._logits(model, batch), batch.targets["labels"]), batch.count)

    def measure(self, model: Transformer, batch: Batch) -> dict[str, np.ndarray]:
        """Of each token: `nll` in nats, whether it is the likeliest, its sample; of each sample its text's size."""
        logits, labels = self._logits(model, batch), batch.targets["labels"]
        counts = self._count_targets(batch)
        sizes = np.array([self._count_text(*parts) for parts in self._split(batch)], dtype=np.int64).reshape(-1, 3)
        return {
            "nll": token_losses(logits, labels).cpu().numpy(),
            "correct": (logits.argmax(dim=-1) == labels).cpu().numpy(),
            "sample": np.repeat(batch.samples, counts),
            "text_sample": batch.samples,
            "text_sizes": sizes,
        }

    def score(self, measured: Mapping[str, np.ndarray]) -> dict[str, Metric]:
        """`loss` (nats a token), `perplexity` by token, word and character, `bits_per_byte`, `accuracy`.

        Samples are resampled whole. Only figures by word, character or byte compare across tokenizers.
        """
        samples, of_token = np.unique(measured["sample"], return_inverse=True)
        losses = np.bincount(of_token, weights=measured["nll"].astype(np.float64))
        right = np.bincount(of_token, weights=measured["correct"].astype(np.float64))
        tokens = np.bincount(of_token).astype(np.float64)
        sizes = np.zeros((3, len(samples)))
        of_text = np.searchsorted(samples, measured["text_sample"])
        np.add.at(sizes.T, of_text, measured["text_sizes"].astype(np.float64))
        tail = (
            f"tokenizer={self.tokenizer.digest[:12]}|samples={len(samples)}"
            f"|interval=percentile bootstrap over samples, {CONFIDENCE:.0%}|resamples={NUM_RESAMPLES}|seed=0|v1"
        )
        loss = bootstrap_ratio(losses, tokens)
        found = {
            "loss": (loss, tokens, "nats a token"),
            "perplexity": (_exp(loss), tokens, "exp(loss)"),
            "accuracy": (bootstrap_share(right, tokens), tokens, "share of tokens that are the most likely one"),
        }
        units = (
            ("bits_per_byte", "bits a UTF-8 byte of decoded text", lambda each: each.scale(1 / np.log(2))),
            ("character_perplexity", "exp(nats a character)", _exp),
            ("word_perplexity", "exp(nats a word); a Chinese character counts as a word", _exp),
        )
        for (name, how, convert), size in zip(units, sizes, strict=True):
            if size.sum():
                found[name] = (convert(bootstrap_ratio(losses, size)), size, how)
        return {
            name: Metric(name, each.value, int(size.sum()), f"next token, {how}|n={int(size.sum())}|{tail}", *each[1:])
            for name, (each, size, how) in found.items()
        }

    def show(self, batch: Batch) -> list[str]:
        """Each sequence in tokens, `⇒` between what is given and what is to be predicted."""
        show = self.tokenizer.tokens
        return [
            " ".join([*map(_visible, show(given)), GIVEN_MARK, *map(_visible, show(asked))])
            for given, asked in self._split(batch)
        ]

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

    def _count_text(self, given: list[int], asked: list[int]) -> tuple[int, int, int]:
        """Bytes, characters and words of the text that is asked for; a word counts where it starts."""
        before, both = self.tokenizer.to_bytes(given), self.tokenizer.to_bytes(given + asked)
        raw = both[len(before) :]
        words = [count_words(each.decode("utf-8", errors="ignore")) for each in (before, both)]
        return len(raw), sum(byte & 0xC0 != 0x80 for byte in raw), max(0, words[1] - words[0])


def _exp(interval: Interval) -> Interval:
    return Interval(*(float(np.exp(min(value, 700.0))) for value in interval))


def _visible(token: str) -> str:
    """A token of white space as a sign that can be seen."""
    return token.replace("\n", "↵").replace("\t", "⇥") if token.strip(" ") else "␣" * len(token)
