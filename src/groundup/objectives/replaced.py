"""Replaced tokens (ELECTRA, Clark et al. 2020): a small generator fills masks, and the model finds what it filled.

The generator is trained as a masked language model, by its own loss; what it puts in the place of a mask is drawn from
its distribution, by one uniform number for each (seed, epoch, sample, position), and no gradient passes the draw. The
model says of every token, special ones too, whether it was replaced; a token that was drawn as it had been was not.

Both losses are means over their own targets of the step, weighted 1 to 50. The two stacks share the token embedding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal, NamedTuple, Self

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor
from torch.nn import functional

from groundup.config import Config
from groundup.errors import DataError
from groundup.language.segment import Segmenter
from groundup.metrics.interval import CONFIDENCE, NUM_RESAMPLES, bootstrap_ratio, bootstrap_share
from groundup.metrics.metric import Metric
from groundup.model.config import GeneratorHead, Head, ReplacedHead
from groundup.model.transformer import Transformer
from groundup.objectives.loss import cross_entropy_sum, token_losses
from groundup.objectives.masked import Masked, MaskedObjective
from groundup.objectives.protocol import Batch, Loss, Part, balance
from groundup.randomness import draw_uniform, make_key
from groundup.text.sample import Sample
from groundup.text.tokenizer import Tokenizer
from groundup.text.windows import Frame

PARTS = ("generator", "discriminator")
"""The two losses, in the order of `Batch.parts`."""


class Replaced(Config):
    """Find the tokens that a small generator put in the place of masks; the generator is thrown away in the end."""

    data_kinds: ClassVar[tuple[str, ...]] = ("corpus",)
    needs_label: ClassVar[bool] = False
    kind: Literal["replaced"] = "replaced"
    max_length: PositiveInt = 128
    """The most tokens of one sequence, special tokens included."""
    generator_size: float = Field(0.25, gt=0.0, le=1.0)
    """Width, heads and inner width of the generator as a share of the model's; a quarter to a half works best."""
    weight: float = Field(50.0, gt=0.0)
    """Of the loss of the model; that of the generator has the weight 1."""
    masking: Masked = Masked(mask=1.0, random=0.0, keep=0.0)
    """What the generator is to fill. Its `max_length` is that of the whole, and without shares of its own all that is
    chosen is hidden."""

    @property
    def heads(self) -> tuple[Head, ...]:
        """Of the model, and the generator beside it."""
        return ReplacedHead(), GeneratorHead(fraction=self.generator_size)

    @model_validator(mode="after")
    def _share_length(self) -> Self:
        length = self.masking.max_length
        if "max_length" in self.masking.model_fields_set and length != self.max_length:
            raise ValueError(f"masking.max_length: is the objective's {self.max_length}, got {length}; leave it out")
        own: dict[str, float] = {"max_length": self.max_length}
        if self.masking.model_fields_set.isdisjoint(("mask", "random", "keep")):
            own |= {"mask": 1.0, "random": 0.0, "keep": 0.0}
        # The values are being made here, not changed.
        self.__dict__["masking"] = self.masking.model_copy(update=own)
        return self

    def frame(self, tokenizer: Tokenizer) -> Frame:
        """Each window of a corpus is a text of its own."""
        return Frame.of_windows(tokenizer)

    def load_segmenter(self) -> Segmenter | None:
        """That of the masking, to find out what is missing."""
        return self.masking.load_segmenter()

    def build(self, tokenizer: Tokenizer, labels: Sequence[str] = ()) -> ReplacedObjective:
        """The objective over the vocabulary of `tokenizer`, which needs a mask token (else a ConfigError)."""
        return ReplacedObjective(self, tokenizer, self.masking.build(tokenizer))


class _Pass(NamedTuple):
    """What both stacks say of a batch."""

    generated: Float[Tensor, "rows vocab"]
    """Logits of the generator."""
    found: Float[Tensor, " tokens"]
    """Logits of the model."""
    is_replaced: Bool[Tensor, " tokens"]


@dataclass(frozen=True, eq=False)
class ReplacedObjective:
    """The corruption and the two losses of `Replaced`."""

    config: Replaced
    tokenizer: Tokenizer
    masking: MaskedObjective
    head: ReplacedHead = field(default_factory=ReplacedHead)
    best: tuple[str, bool] = ("loss", False)

    @property
    def heads(self) -> tuple[Head, ...]:
        """That of the model, and the generator."""
        return self.config.heads

    @property
    def sources(self) -> dict[str, str]:
        """The segmenter and its dictionary, where there is one."""
        return self.masking.sources

    def prepare(self, samples: Sequence[Sample], seed: int, epoch: int) -> Batch:
        """As at the end of training."""
        return self.prepare_at(samples, seed, epoch, progress=1.0)

    def prepare_at(self, samples: Sequence[Sample], seed: int, epoch: int, progress: float) -> Batch:
        """Pack and mask. Targets: `rows` and `labels` of the masked tokens, and `draws`, by which they are filled."""
        masked = self.masking.prepare_at(samples, seed, epoch, progress)
        rows, size = masked.targets["rows"].numpy(), masked.packed.num_tokens
        numbers = np.repeat(masked.samples, masked.packed.lengths)[rows]
        draws = draw_uniform(make_key(seed, epoch, "replaced"), numbers, masked.packed.position_ids.numpy()[rows])
        parts = (Part(1.0, len(rows), 0.0), Part(self.config.weight, size, 0.0))
        targets = {**masked.targets, "draws": torch.from_numpy(draws)}
        return balance([replace(masked, targets=targets, count=len(rows) + size, parts=parts)])[0]

    def loss(self, model: Transformer, batch: Batch) -> Loss:
        """Both cross-entropies summed, with the factors of the step."""
        found = self._run(model, batch)
        sums = (
            cross_entropy_sum(found.generated, batch.targets["labels"]),
            _detection_losses(found).sum(),
        )
        return Loss(sum(part.factor * each for part, each in zip(batch.parts, sums, strict=True)), batch.count)

    def guess_loss(self, vocab_size: int, lengths: Sequence[int]) -> float:
        """Of one of all tokens, and of replaced or not."""
        return float(np.log(vocab_size) + self.config.weight * np.log(2.0))

    def count_choices(self, batch: Batch) -> int:
        """What the generator is to fill."""
        return len(batch.targets["rows"])

    def find_masked(self, batch: Batch) -> tuple[MaskedObjective, Batch]:
        """What the generator is to fill."""
        return self.masking, replace(batch, count=len(batch.targets["rows"]), parts=())

    def measure(self, model: Transformer, batch: Batch) -> dict[str, np.ndarray]:
        """Of each target: its part, its loss in nats, whether it was said right, whether it is a replaced token."""
        found, labels = self._run(model, batch), batch.targets["labels"]
        is_right = (found.generated.argmax(dim=-1) == labels, (found.found > 0) == found.is_replaced)
        rows = batch.targets["rows"].cpu().numpy()
        samples = np.repeat(batch.samples, batch.packed.lengths)
        return {
            "is_discriminator": np.repeat([False, True], [len(rows), len(samples)]),
            "nll": torch.cat([token_losses(found.generated, labels), _detection_losses(found)]).cpu().numpy(),
            "correct": torch.cat(is_right).cpu().numpy(),
            "replaced": torch.cat([torch.zeros_like(is_right[0]), found.is_replaced]).cpu().numpy(),
            "sample": np.concatenate([samples[rows], samples]),
        }

    def score(self, measured: Mapping[str, np.ndarray], examples: Sequence[object]) -> dict[str, Metric]:
        """`loss`, weighted as in training; of each part `loss` and `accuracy`; the share of replaced tokens."""
        found: dict[str, Metric] = {}
        total, is_later = np.zeros(3), measured["is_discriminator"]
        for name, weight, is_own in zip(PARTS, (1.0, self.config.weight), (~is_later, is_later), strict=True):
            if not is_own.any():
                raise DataError("data.validation", f"has no token for the {name}", cure="use more text")
            metrics = self._score_part(name, {key: values[is_own] for key, values in measured.items()})
            loss = metrics[f"{name}.loss"]
            total += weight * np.array([loss.value, loss.low, loss.high])
            found |= metrics
        count = len(measured["nll"])
        # The ends of the parts' intervals summed: wider than the interval of the sum, never narrower.
        signature = (
            f"generator.loss + {self.config.weight:g} discriminator.loss|n={count}"
            f"|interval=sum of those of the parts|seed=0|v1"
        )
        value, low, high = total.tolist()
        return {"loss": Metric("loss", value, count, signature, low, high)} | found

    def show(self, batch: Batch) -> list[str]:
        """As `masked` shows what the generator is to fill: with what, it says only in training."""
        objective, masked = self.find_masked(batch)
        return objective.show(masked)

    def _run(self, model: Transformer, batch: Batch) -> _Pass:
        rows, labels = batch.targets["rows"], batch.targets["labels"]
        generated = model.heads["generator"](batch.packed, rows)
        drawn = draw_tokens(generated, batch.targets["draws"])
        size = batch.packed.num_tokens
        ids = batch.packed.input_ids.index_copy(0, rows, drawn)
        is_replaced = torch.zeros_like(ids, dtype=torch.bool).index_copy(0, rows, drawn != labels)[:size]
        hidden = model(replace(batch.packed, input_ids=ids))[:size]
        return _Pass(generated, model.heads["replaced"](hidden)[:, 0], is_replaced)

    def _score_part(self, name: str, measured: Mapping[str, np.ndarray]) -> dict[str, Metric]:
        _, sample = np.unique(measured["sample"], return_inverse=True)
        tokens = np.bincount(sample).astype(np.float64)
        count = len(sample)
        signature = (
            f"replaced, {name}|n={count}|samples={len(tokens)}|tokenizer={self.tokenizer.digest[:12]}"
            f"|interval=percentile bootstrap over samples, {CONFIDENCE:.0%}|resamples={NUM_RESAMPLES}|seed=0|v1"
        )

        def sums(key: str) -> np.ndarray:
            return np.bincount(sample, weights=measured[key].astype(np.float64))

        figures = {"loss": bootstrap_ratio(sums("nll"), tokens), "accuracy": bootstrap_share(sums("correct"), tokens)}
        if name == "discriminator":
            figures["replaced"] = bootstrap_share(sums("replaced"), tokens)
        named = {f"{name}.{key}": figure for key, figure in figures.items()}
        return {key: Metric(key, value, count, signature, low, high) for key, (value, low, high) in named.items()}


@torch.no_grad()
def draw_tokens(logits: Float[Tensor, "rows vocab"], draws: Float[Tensor, " rows"]) -> Int64[Tensor, " rows"]:
    """From each row's distribution the token in whose part of [0, 1), by its number, the row's draw lies."""
    sums = logits.to(draws.dtype).softmax(dim=-1).cumsum(dim=-1)
    # The last sum may be rounded to below a draw; scaled, every draw lies below it.
    found = torch.searchsorted(sums, (draws * sums[:, -1])[:, None], right=True)[:, 0]
    return found.clamp(max=logits.shape[1] - 1)


def _detection_losses(found: _Pass) -> Float[Tensor, " tokens"]:
    """Of each token, in fp32 (float64 where the model is)."""
    logits = found.found if found.found.dtype == torch.float64 else found.found.float()
    return functional.binary_cross_entropy_with_logits(logits, found.is_replaced.to(logits.dtype), reduction="none")
