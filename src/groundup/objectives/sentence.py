"""Whether two segments belong together: next-sentence prediction and sentence order.

`form: next` (BERT, Devlin et al. 2018, section 3.1): the second segment follows the first in its document, or, half the
time, comes from another one. `form: order` (ALBERT, Lan et al. 2020, section 3.1): both follow one another, and half
the time they are swapped, which topic alone does not tell.

A run of neighbouring sentences is cut in two between two of them. Whether the pair is a true one, where the cut is and
what stands in for the second segment is drawn from (seed, epoch, sample) alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float, Int32, Int64
from pydantic import PositiveInt
from torch import Tensor

from groundup.config import Config
from groundup.errors import DataError
from groundup.metrics.interval import CONFIDENCE, NUM_RESAMPLES, bootstrap_mean
from groundup.metrics.metric import Metric
from groundup.model.config import NextSentenceHead, SentenceOrderHead
from groundup.model.transformer import Transformer
from groundup.objectives.loss import cross_entropy_sum, token_losses
from groundup.objectives.packing import join_tokens, pack_samples
from groundup.objectives.protocol import Batch, Loss
from groundup.randomness import draw_uniform, make_key
from groundup.text.pair_windows import PairFrame
from groundup.text.sample import Sample
from groundup.text.tokenizer import Tokenizer

_NAMES = {"next": ("follows", "from elsewhere"), "order": ("in order", "swapped")}


class Sentence(Config):
    """Tell whether a segment of text follows another."""

    data_kinds: ClassVar[tuple[str, ...]] = ("corpus",)
    needs_label: ClassVar[bool] = False
    needs_sentences: ClassVar[bool] = True
    kind: Literal["sentence"] = "sentence"
    max_length: PositiveInt = 128
    """The most tokens of both segments, special tokens included."""
    form: Literal["next", "order"] = "next"
    """What a false pair is: `next`, a second segment from another document; `order`, the two segments swapped."""

    @property
    def heads(self) -> tuple[NextSentenceHead | SentenceOrderHead]:
        """That of BERT or that of ALBERT, so that folders of either name what was learnt."""
        return (NextSentenceHead() if self.form == "next" else SentenceOrderHead(),)

    def frame(self, tokenizer: Tokenizer) -> PairFrame:
        """Samples are runs of two sentences or more."""
        return PairFrame.of(tokenizer, needs_others=self.form == "next")

    def build(self, tokenizer: Tokenizer, labels: Sequence[str] = ()) -> SentenceObjective:
        """The objective; the tokenizer needs the tokens of a pair (else a ConfigError)."""
        tokenizer.require("cls_id")
        tokenizer.require("sep_id")
        return SentenceObjective(self, tokenizer)


@dataclass(frozen=True, eq=False)
class SentenceObjective:
    """The pairs and the loss of `Sentence`. Class 0 is the true pair, as in the heads of BERT and ALBERT."""

    config: Sentence
    tokenizer: Tokenizer
    best: tuple[str, bool] = ("loss", False)
    corrupts: bool = False

    @property
    def head(self) -> NextSentenceHead | SentenceOrderHead:
        """That of the form."""
        return self.config.heads[0]

    def arrange(self, samples: Sequence[Sample], seed: int, epoch: int) -> list[Sample]:
        """Runs of sentences as pairs with special tokens; `label` is 0 for a true one, 1 for a false one."""
        numbers = np.array([sample.index for sample in samples], dtype=np.int64)
        cuts, fates, others, starts = (
            draw_uniform(make_key(seed, epoch, f"sentence {purpose}"), numbers)
            for purpose in ("cut", "fate", "other", "start")
        )
        return [
            self._pair(
                sample, float(cuts[place]), bool(fates[place] < 0.5), (float(others[place]), float(starts[place]))
            )
            for place, sample in enumerate(samples)
        ]

    def prepare(self, samples: Sequence[Sample], seed: int, epoch: int) -> Batch:
        """Make pairs and pack them. Targets: `labels`."""
        return self.corrupt(self.arrange(samples, seed, epoch), seed, epoch, progress=1.0)

    def corrupt(self, arranged: Sequence[Sample], seed: int, epoch: int, progress: float) -> Batch:
        """Pack pairs."""
        labels = torch.tensor([sample.label for sample in arranged], dtype=torch.int64)
        numbers = np.array([sample.index for sample in arranged], dtype=np.int64)
        return Batch(pack_samples(arranged), {"labels": labels}, len(labels), numbers)

    def loss(self, model: Transformer, batch: Batch) -> Loss:
        """Cross-entropy summed over pairs."""
        return Loss(self.loss_on(model, batch, model(batch.packed, rows=self.rows(batch))), batch.count)

    def rows(self, batch: Batch) -> Int64[Tensor, " rows"]:
        """The first token of every pair."""
        return batch.packed.starts

    def loss_on(self, model: Transformer, batch: Batch, hidden: Float[Tensor, "rows hidden"]) -> Float[Tensor, ""]:
        """Cross-entropy summed over pairs, from the hidden states of their first tokens."""
        return cross_entropy_sum(model.heads[self.head.kind](model.pool(hidden)), batch.targets["labels"])

    def guess_loss(self, vocab_size: int, lengths: Sequence[int]) -> float:
        """Of one of two."""
        return float(np.log(2))

    def measure(self, model: Transformer, batch: Batch) -> dict[str, np.ndarray]:
        """Of each pair: `nll` in nats, whether it is told right, its sample."""
        return self.measure_on(model, batch, model(batch.packed, rows=self.rows(batch)))

    def measure_on(
        self, model: Transformer, batch: Batch, hidden: Float[Tensor, "rows hidden"]
    ) -> dict[str, np.ndarray]:
        """`measure`, from the hidden states of first tokens."""
        logits, labels = model.heads[self.head.kind](model.pool(hidden)), batch.targets["labels"]
        return {
            "nll": token_losses(logits, labels).cpu().numpy(),
            "correct": (logits.argmax(dim=-1) == labels).cpu().numpy(),
            "sample": batch.samples,
        }

    def score(self, measured: Mapping[str, np.ndarray], examples: Sequence[object]) -> dict[str, Metric]:
        """`loss` (nats a pair) and `accuracy`, of which half is chance."""
        count = len(measured["nll"])
        if not count:
            raise DataError("data.validation", "holds no pair of sentences", cure="take longer documents")
        signature = (
            f"sentence pairs, form={self.config.form}|n={count}|tokenizer={self.tokenizer.digest[:12]}"
            f"|interval=percentile bootstrap over pairs, {CONFIDENCE:.0%}|resamples={NUM_RESAMPLES}|seed=0|v1"
        )
        found = {"loss": measured["nll"], "accuracy": measured["correct"]}
        return {
            name: Metric(name, value, count, signature, low, high)
            for name, values in found.items()
            for value, low, high in [bootstrap_mean(values.astype(np.float64))]
        }

    def show(self, batch: Batch) -> list[str]:
        """Each pair in tokens, what it is in front, `‖` between its segments: `[swapped] [CLS] b [SEP] ‖ a [SEP]`."""
        lines = join_tokens(batch.packed, self.tokenizer.tokens(batch.packed.input_ids))
        return [f"{title} {line}" for title, line in zip(self.titles(batch), lines, strict=True)]

    def titles(self, batch: Batch) -> list[str]:
        """What each pair is: `[swapped]`."""
        return [f"[{_NAMES[self.config.form][label]}]" for label in batch.targets["labels"].tolist()]

    def _pair(self, sample: Sample, cut: float, is_false: bool, draws: tuple[float, float]) -> Sample:
        """A pair out of a run of sentences; `draws` choose the other run and the sentence in it to begin at."""
        assert sample.sentence_ends is not None
        ends = sample.sentence_ends
        border = int(ends[int(cut * (len(ends) - 1))])
        first, second = sample.input_ids[:border], sample.input_ids[border:]
        if is_false and self.config.form == "order":
            first, second = second, first
        elif is_false:
            assert sample.draw_other is not None
            second = take_sentences(sample.draw_other(draws[0]), len(second), draws[1])
        pair = self.tokenizer.join_pair(first, second)
        return Sample(sample.index, pair.input_ids, pair.token_type_ids, int(is_false))


def take_sentences(run: Sample, room: int, draw: float) -> Int32[np.ndarray, " tokens"]:
    """As many neighbouring sentences as fit into `room` tokens, at least one, which is cut where it does not fit.

    They begin at a drawn one of those that fit and behind which enough is left to fill the room, else of those that
    fit, so that what comes from elsewhere ends like what it stands for and is about as long. Else its look would tell.
    """
    assert run.sentence_ends is not None
    ends = run.sentence_ends
    starts = np.concatenate([[0], ends[:-1]])
    fits, is_ample = ends - starts <= room, (ends[-1] - starts >= room) | (starts == 0)
    among = next(starts[each] for each in (fits & is_ample, fits, is_ample, ends > 0) if each.any())
    start = int(among[int(draw * len(among))])
    fitting = ends[(ends > start) & (ends <= start + room)]
    return run.input_ids[start : int(fitting[-1]) if len(fitting) else start + room]
