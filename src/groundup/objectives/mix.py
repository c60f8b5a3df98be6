"""Objectives weighted together over one pass of the model: BERT is `masked` and `sentence` (Devlin et al. 2018).

The losses are mixed, not the samples: every sequence has the targets of all parts, the model runs once, and the loss of
a step is the weighted sum of the parts' means. Each mean is over the part's own targets in the whole step: a pair is
one target and its masked tokens are twenty, and neither their number nor the cut into micro-batches changes a weight.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
import torch
from pydantic import Field, PositiveInt, model_validator

from groundup.config import Config
from groundup.metrics.metric import Metric
from groundup.model.config import Head
from groundup.model.transformer import Transformer
from groundup.objectives.masked import Masked, MaskedObjective
from groundup.objectives.protocol import Batch, Loss, Part, balance
from groundup.objectives.sentence import Sentence, SentenceObjective
from groundup.text.pair_windows import PairFrame
from groundup.text.sample import Sample
from groundup.text.tokenizer import Tokenizer
from groundup.text.windows import Frame


class MixPart(Config):
    """One of the objectives."""

    weight: float = Field(gt=0.0, le=1.0)
    """Its share in the loss."""
    objective: Annotated[Masked | Sentence, Field(discriminator="kind")]
    """What is learnt. Its `max_length` is that of the mix."""

    def of_length(self, max_length: int) -> MixPart:
        """The same for sequences of at most so many tokens."""
        return self.model_copy(update={"objective": self.objective.model_copy(update={"max_length": max_length})})


class Mix(Config):
    """Learn several things from the same sequences."""

    data_kinds: ClassVar[tuple[str, ...]] = ("corpus",)
    needs_label: ClassVar[bool] = False
    kind: Literal["mix"] = "mix"
    max_length: PositiveInt = 128
    """The most tokens of one sequence, special tokens included."""
    parts: tuple[MixPart, ...] = Field(
        (MixPart(weight=0.5, objective=Masked()), MixPart(weight=0.5, objective=Sentence())), min_length=2
    )
    """The objectives with their weights, which sum to 1; each kind once. Left out, they are BERT's."""

    @model_validator(mode="after")
    def _check_parts(self) -> Self:
        kinds = [part.objective.kind for part in self.parts]
        if len(set(kinds)) != len(kinds):
            raise ValueError(f"parts: each kind of objective once, got {', '.join(kinds)}")
        total = sum(part.weight for part in self.parts)
        if abs(total - 1.0) > 1e-9:
            raise ValueError(f"parts: the weights must sum to 1, got {total:g}")
        for number, part in enumerate(self.parts):
            length = part.objective.max_length
            if "max_length" in part.objective.model_fields_set and length != self.max_length:
                raise ValueError(
                    f"parts.{number}.objective.max_length: is the mix's {self.max_length}, got {length}; leave it out"
                )
        self.__dict__["parts"] = tuple(
            part.of_length(self.max_length) for part in self.parts
        )  # being made, not changed
        return self

    @property
    def heads(self) -> tuple[Head, ...]:
        """Those of all parts."""
        return tuple(head for part in self.parts for head in part.objective.heads)

    @property
    def needs_sentences(self) -> bool:
        """Whether a part reads pairs of segments."""
        return any(isinstance(part.objective, Sentence) for part in self.parts)

    def frame(self, tokenizer: Tokenizer) -> Frame | PairFrame:
        """That of the part that makes pairs, else that of the first."""
        ordered = sorted(self.parts, key=lambda part: not isinstance(part.objective, Sentence))
        return ordered[0].objective.frame(tokenizer)

    def load_segmenter(self) -> None:
        """Load the segmenters of the parts, to find out what is missing."""
        for part in self.parts:
            if isinstance(part.objective, Masked):
                part.objective.load_segmenter()

    def build(self, tokenizer: Tokenizer, labels: Sequence[str] = ()) -> MixObjective:
        """All parts over the vocabulary of `tokenizer`."""
        return MixObjective(self, tokenizer, tuple(part.objective.build(tokenizer) for part in self.parts))


@dataclass(frozen=True, eq=False)
class MixObjective:
    """The losses of all parts over one pass. Targets are named after their part: `masked.rows`."""

    config: Mix
    tokenizer: Tokenizer
    objectives: tuple[MaskedObjective | SentenceObjective, ...]
    best: tuple[str, bool] = ("loss", False)

    @property
    def head(self) -> Head:
        """That of the first part."""
        return self.objectives[0].head

    @property
    def heads(self) -> tuple[Head, ...]:
        """Those of all parts."""
        return tuple(objective.head for objective in self.objectives)

    @property
    def sources(self) -> dict[str, str]:
        """What the parts read."""
        found = [each.sources for each in self.objectives if isinstance(each, MaskedObjective)]
        return {name: source for sources in found for name, source in sources.items()}

    def prepare(self, samples: Sequence[Sample], seed: int, epoch: int) -> Batch:
        """As at the end of training."""
        return self.prepare_at(samples, seed, epoch, progress=1.0)

    def prepare_at(self, samples: Sequence[Sample], seed: int, epoch: int, progress: float) -> Batch:
        """Arrange, then pack once, with the targets of all parts."""
        arranged: Sequence[Sample] = samples
        for objective in self.objectives:
            arranged = objective.arrange(arranged, seed, epoch)
        batches = [objective.corrupt(arranged, seed, epoch, progress) for objective in self.objectives]
        read = next(
            (batch for objective, batch in zip(self.objectives, batches, strict=True) if objective.corrupts), batches[0]
        )
        targets = {
            f"{objective.config.kind}.{name}": target
            for objective, batch in zip(self.objectives, batches, strict=True)
            for name, target in batch.targets.items()
        }
        parts = tuple(
            Part(part.weight, batch.count, 0.0) for part, batch in zip(self.config.parts, batches, strict=True)
        )
        count = sum(batch.count for batch in batches)
        return balance([Batch(read.packed, targets, count, read.samples, parts)])[0]

    def loss(self, model: Transformer, batch: Batch) -> Loss:
        """The parts' sums with the factors of the step."""
        found = self._run(model, batch)
        sums = [
            objective.loss_on(model, own, hidden) * part.factor
            for (objective, own, hidden), part in zip(found, batch.parts, strict=True)
        ]
        return Loss(torch.stack(sums).sum(), batch.count)

    def guess_loss(self, vocab_size: int, lengths: Sequence[int]) -> float:
        """The weighted sum of what guessing loses in each part."""
        pairs = zip(self.config.parts, self.objectives, strict=True)
        return sum(part.weight * objective.guess_loss(vocab_size, lengths) for part, objective in pairs)

    def count_choices(self, batch: Batch) -> int:
        """The masked tokens; whether sentences are neighbours is read off one vector."""
        pairs = zip(self.objectives, batch.parts, strict=True)
        return sum(part.count for objective, part in pairs if isinstance(objective, MaskedObjective))

    def find_masked(self, batch: Batch) -> tuple[MaskedObjective, Batch] | None:
        """The part that hides tokens, and its share of a batch."""
        pairs = zip(self.objectives, self._split(batch), strict=True)
        return next(((each, own) for each, own in pairs if isinstance(each, MaskedObjective)), None)

    def measure(self, model: Transformer, batch: Batch) -> dict[str, np.ndarray]:
        """What the parts measure, named after them."""
        return {
            f"{objective.config.kind}.{name}": values
            for objective, own, hidden in self._run(model, batch)
            for name, values in objective.measure_on(model, own, hidden).items()
        }

    def score(self, measured: Mapping[str, np.ndarray], examples: Sequence[object]) -> dict[str, Metric]:
        """`loss`, the weighted sum of the parts' losses, and all figures of the parts: `masked.accuracy`."""
        found: dict[str, Metric] = {}
        values, lows, highs, count = 0.0, 0.0, 0.0, 0
        for part, objective in zip(self.config.parts, self.objectives, strict=True):
            kind = objective.config.kind
            own = {name[len(kind) + 1 :]: array for name, array in measured.items() if name.startswith(f"{kind}.")}
            metrics = objective.score(own, examples)
            loss = metrics["loss"]
            values, count = values + part.weight * loss.value, count + loss.count
            lows, highs = lows + part.weight * (loss.low or 0.0), highs + part.weight * (loss.high or 0.0)
            found |= {f"{kind}.{name}": replace(metric, name=f"{kind}.{name}") for name, metric in metrics.items()}
        weights = " + ".join(f"{part.weight:g} {part.objective.kind}.loss" for part in self.config.parts)
        # The ends of the parts' intervals summed: wider than the interval of the sum, never narrower.
        signature = f"{weights}|n={count}|interval=sum of those of the parts|seed=0|v1"
        return {"loss": Metric("loss", values, count, signature, lows, highs)} | found

    def show(self, batch: Batch) -> list[str]:
        """Each sequence with the marks of all parts."""
        pairs = list(zip(self.objectives, self._split(batch), strict=True))
        lines = next(objective.show(own) for objective, own in pairs if isinstance(objective, MaskedObjective))
        for objective, own in pairs:
            if isinstance(objective, SentenceObjective):
                lines = [f"{title} {line}" for title, line in zip(objective.titles(own), lines, strict=True)]
        return lines

    def _split(self, batch: Batch) -> list[Batch]:
        """The batch as each part made it, over the tokens that all of them read."""
        found: list[Batch] = []
        for objective, part in zip(self.objectives, batch.parts, strict=True):
            prefix = f"{objective.config.kind}."
            targets = {name[len(prefix) :]: t for name, t in batch.targets.items() if name.startswith(prefix)}
            found.append(Batch(batch.packed, targets, part.count, batch.samples))
        return found

    def _run(
        self, model: Transformer, batch: Batch
    ) -> list[tuple[MaskedObjective | SentenceObjective, Batch, torch.Tensor]]:
        """Of each part: itself, its batch and the hidden states it reads, all of one pass."""
        batches = self._split(batch)
        rows = [objective.rows(own) for objective, own in zip(self.objectives, batches, strict=True)]
        hidden = model(batch.packed, rows=torch.cat(rows)).split([len(each) for each in rows])
        return list(zip(self.objectives, batches, hidden, strict=True))
