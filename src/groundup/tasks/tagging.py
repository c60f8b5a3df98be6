"""Entities in a text: a tag for each word or character, with or without a chain over neighbours (Lample et al. 2016).

A unit's tag is learnt and read at its first token (Devlin et al. 2018, section 5.3). What is given as an answer is
always a sequence that the scheme of the tags allows: the likeliest of those.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
import torch
from jaxtyping import Float, Int
from pydantic import Field, PositiveInt
from torch import Tensor
from torch.nn import functional

from groundup.config import Config
from groundup.errors import ConfigError, DataError
from groundup.language.tags import Scheme, Span, read_spans, split_tag, write_tags
from groundup.metrics.details import Details, Marked
from groundup.metrics.entities import Reading, tag_tallies
from groundup.metrics.metric import Metric
from groundup.metrics.tally import Tally, divide, sums_tally
from groundup.metrics.tally import measure as measure_tallies
from groundup.model.config import TokenHead
from groundup.model.transformer import Transformer
from groundup.objectives.packing import pack_samples
from groundup.objectives.protocol import Batch, Loss
from groundup.readers.examples import SpanExample, TaggedExample
from groundup.readers.table import sort_labels
from groundup.tasks.chain import ChainScores, Layout, best_paths, chain_losses, class_probabilities, legal_chain
from groundup.tasks.entities import AnyTagged, Writing, find_writing, keep_known, lay_units, place_spans
from groundup.tasks.entity_answers import Entities, EntityAnswers, KnownText
from groundup.tasks.tag_samples import encode_tagged, read_tags
from groundup.text.sample import UNLABELLED, FlatSamples, Sample
from groundup.text.tokenizer import Tokenizer
from groundup.text.units import Unit


class Tagging(Config):
    """Find names, places and other entities in a text, from tags or from marked spans."""

    data_kinds: ClassVar[tuple[str, ...]] = ("tags", "spans")
    needs_label: ClassVar[bool] = True
    kind: Literal["tagging"] = "tagging"
    max_length: PositiveInt = 128
    """The most tokens of a window, special tokens included; longer texts are read in windows that overlap by half."""
    scheme: Scheme | None = None
    """How tags are written: `iob1`, `iob2`, `bioes` or `bmes`; null finds it in the training data. Marked spans are
    learnt as `iob2`."""
    unit: Unit | None = None
    """What has a tag, `word` or `character`; null finds it in the training data."""
    labels: tuple[str, ...] | None = None
    """The tags in order; null takes them from the training data."""
    chain: bool = False
    """Whether neighbouring tags score each other: a linear-chain CRF (Lafferty et al. 2001)."""
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.1
    """On the hidden states that are classified, while training."""
    reading: Reading = "strict"
    """What counts as an entity in figures: `strict` by the scheme, or as `conlleval` finds it."""

    def choose_labels(self, examples: Sequence[AnyTagged], where: str) -> tuple[str, ...]:
        """The tags of the recipe, or else `O` and those of the training data."""
        if self.labels is not None:
            return self.labels
        found = {tag for example in examples if isinstance(example, TaggedExample) for tag in example.tags}
        types = {mark.type for example in examples if isinstance(example, SpanExample) for mark in example.marks or ()}
        for kind in types:  # an entity of two units and one of three, and one beside another: all that can occur
            spans = [Span(0, 3, kind), Span(3, 5, kind), Span(6, 7, kind)]
            found |= set(write_tags(spans, 7, self.scheme or "iob2"))
        if not found - {"O"}:
            raise DataError(where, "holds no entity, so there is nothing to learn", cure="check the column of tags")
        return ("O", *sort_labels(found - {"O"}))

    def build(self, tokenizer: Tokenizer, labels: Sequence[str]) -> TaggingTask:
        """The task over these tags, in this order."""
        labels = tuple(labels)
        if len(set(labels)) != len(labels) or "O" not in labels or len(labels) < 2:
            raise ConfigError("objective.labels", "needs O and one or more different tags", got=labels)
        if self.labels is not None and self.labels != labels:
            raise ConfigError("objective.labels", f"differ from the labels at hand {labels}", got=self.labels)
        for label in labels:
            split_tag(label)
        writing = Writing(self.scheme or _guess_scheme(labels), self.unit or "word")
        return TaggingTask(self, tokenizer, labels, self.make_head(labels), writing)

    def make_head(self, labels: Sequence[str]) -> TokenHead:
        """A logit for each tag on every token, and the scores of a chain where it is asked for."""
        return TokenHead(num_labels=len(labels), dropout=self.dropout, chain=self.chain)


@dataclass(frozen=True)
class TaggingTask:
    """Encoding, loss, predictions and metrics of `Tagging`."""

    config: Tagging
    tokenizer: Tokenizer
    labels: tuple[str, ...]
    head: TokenHead
    writing: Writing
    best: tuple[str, bool] = ("f1", True)
    wants_pair: bool | None = False

    @property
    def facts(self) -> dict[str, object]:
        """How entities are written."""
        return {"scheme": self.writing.scheme, "unit": self.writing.unit}

    def restore(self, facts: Mapping[str, Any]) -> Self:
        """The task that writes as another one did."""
        return replace(self, writing=Writing(facts["scheme"], facts["unit"]))

    def fit(self, examples: Sequence[AnyTagged], where: str) -> Self:
        """The task that knows how the training data is written."""
        return replace(self, writing=find_writing(examples, self.config.scheme, self.config.unit, where))

    def encode(self, examples: Sequence[AnyTagged], where: str) -> FlatSamples:
        """Windows of texts. A tag that is not among `labels`, or not allowed where it is, is a DataError."""
        return encode_tagged(
            examples,
            self.tokenizer,
            labels=self.labels,
            writing=self.writing,
            max_length=self.config.max_length,
            where=where,
        )

    def prepare(self, samples: Sequence[Sample], seed: int, epoch: int) -> Batch:
        """Pack. Targets: `rows`, the tokens that speak for a unit; their `unit`, `tag` and `window`; of windows
        `example`, `is_start`, `is_end`."""
        units, tags = (np.concatenate([sample.targets[name] for sample in samples]) for name in ("unit", "tag"))
        windows = np.repeat(np.arange(len(samples)), [len(sample.input_ids) for sample in samples])
        rows = np.flatnonzero(units >= 0)
        targets = {"rows": rows, "unit": units[rows], "tag": tags[rows], "window": windows[rows]}
        targets |= {
            name: np.array([sample.targets[name] for sample in samples]) for name in ("example", "is_start", "is_end")
        }
        numbers = np.array([sample.index for sample in samples], dtype=np.int64)
        count = int((tags[rows] != UNLABELLED).sum())
        tensors = {name: torch.from_numpy(each) for name, each in targets.items()}
        return Batch(pack_samples(samples), tensors, count, numbers)

    def loss(self, model: Transformer, batch: Batch) -> Loss:
        """Cross-entropy summed over tagged units; with a chain, the negative log-likelihood of their sequences."""
        return Loss(self._losses(model, self._scores(model, batch), batch).sum(), batch.count)

    def measure(self, model: Transformer, batch: Batch) -> dict[str, np.ndarray]:
        """Of each unit: its likeliest tag among the sequences that the scheme allows, that tag's probability, its loss,
        its number and that of its example."""
        scores, targets = self._scores(model, batch), batch.targets
        path, sure = torch.zeros(len(scores), dtype=torch.int64), torch.zeros(len(scores))
        if len(scores):
            layout, chain = self._lay(model, batch, slice(None), is_legal=True)
            path = best_paths(scores, layout, chain)
            sure = class_probabilities(scores, layout, chain).gather(1, path[:, None])[:, 0]
        return {
            "path": path.cpu().numpy(),
            "sure": sure.float().cpu().numpy(),
            "loss": self._losses(model, scores, batch).float().cpu().numpy(),
            "is_known": (targets["tag"] != UNLABELLED).cpu().numpy(),
            "unit": targets["unit"].cpu().numpy(),
            "example": targets["example"][targets["window"]].cpu().numpy(),
            "sample": batch.samples[targets["window"].cpu().numpy()],
        }

    def score(self, measured: Mapping[str, np.ndarray], examples: Sequence[object]) -> dict[str, Metric]:
        """`precision`, `recall`, `f1` of entities, `macro_f1` over types, `tag_accuracy`, and `loss` (nats a unit)."""
        tallies = self._tallies(*keep_known(self.decode(measured, examples), examples))
        tallies = {name: tally for name, tally in tallies.items() if "[" not in name}
        how = "negative log-likelihood of the chain" if self.config.chain else "softmax cross-entropy"
        is_known = measured["is_known"]
        texts, place = np.unique(measured["example"][is_known], return_inverse=True)
        losses = np.bincount(place, weights=measured["loss"][is_known].astype(np.float64), minlength=len(texts))
        parts = np.stack([losses, np.bincount(place, minlength=len(texts))], axis=1)
        how = f"{how}, mean over units"
        loss = sums_tally("loss", "texts", parts, lambda sums: divide(sums[..., 0], sums[..., 1]), how)
        return measure_tallies(tallies) | measure_tallies({"loss": loss})

    def details(self, measured: Mapping[str, np.ndarray], examples: Sequence[object]) -> Details:
        """Precision, recall and F1 of every type."""
        tallies = self._tallies(*keep_known(self.decode(measured, examples), examples))
        return Details(measure_tallies({name: tally for name, tally in tallies.items() if "[" in name}))

    @property
    def answers(self) -> EntityAnswers:
        """Entities by characters, and tags; what is legal means one thing in all schemes and readings."""
        types = {split_tag(label).type for label in self.labels if label != "O"}
        return EntityAnswers(sort_labels(types), (self.writing, *sorted(self.labels)))

    def restate(self, example: AnyTagged) -> KnownText:
        """The entities of an example by its characters, and its tags."""
        tags, units = self._tags(example), lay_units(example, self.writing.unit)
        spans = None if tags is None else read_spans(tags, self.writing.scheme)
        return KnownText(units.text, None if spans is None else place_spans(spans, units), tags)

    def decode(self, measured: Mapping[str, np.ndarray], examples: Sequence[object]) -> list[Entities]:
        """What is found in each text, in their order."""
        order = np.lexsort((measured["unit"], measured["example"]))
        numbers = measured["example"][order]
        borders = np.searchsorted(numbers, np.arange(len(examples) + 1))
        found = []
        for example, start, end in zip(examples, borders, borders[1:], strict=False):
            rows = order[start:end]
            units = lay_units(example, self.writing.unit)  # type: ignore[arg-type]
            tags, sure = ["O"] * len(units), np.ones(len(units))
            for row in rows:
                tags[measured["unit"][row]] = self.labels[measured["path"][row]]
                sure[measured["unit"][row]] = measured["sure"][row]
            spans = read_spans(tags, self.writing.scheme)
            scores = tuple(float(sure[span.start : span.end].min()) for span in spans)
            stretches = place_spans(spans, units)
            found.append(Entities(units.text, stretches, scores, float(sure.min(initial=1.0)), tuple(tags)))
        return found

    def examples_of(self, rows: Sequence[tuple[str, str | None]]) -> list[SpanExample]:
        """Texts as they were typed."""
        return [SpanExample(text, None, number) for number, (text, _) in enumerate(rows, start=1)]

    def answer(self, example: AnyTagged, prediction: Entities) -> dict[str, object]:
        """The text, and every entity with its characters, its type and its score."""
        return self.answers.write(prediction)

    def mark(self, example: AnyTagged, prediction: Entities) -> Marked | None:
        """The entities that stand in a text and those that were found; None where nothing is known."""
        known = self.restate(example)
        if known.entities is None:
            return None
        is_right = known.entities == prediction.found
        return Marked(example.line, None, known.text, known.entities, prediction.found, is_right, prediction.confidence)

    def show(self, batch: Batch) -> list[str]:
        """Each window in words with the tags that are learnt: `[CLS] EU【B-ORG】 said [SEP]`."""
        tag_of = dict(zip(batch.targets["rows"].tolist(), batch.targets["tag"].tolist(), strict=True))
        lines, start = [], 0
        for ids in batch.packed.split():
            tags = [tag_of.get(place, UNLABELLED) for place in range(start, start + len(ids))]
            words = zip(self.tokenizer.tokens(ids.tolist()), tags, strict=True)
            named = [(token, "O" if tag == UNLABELLED else self.labels[tag]) for token, tag in words]
            lines.append(" ".join(token if tag == "O" else f"{token}【{tag}】" for token, tag in named))
            start += len(ids)
        return lines

    def guess_loss(self, vocab_size: int, lengths: Sequence[int]) -> float:
        """Of even odds for every tag."""
        return float(np.log(len(self.labels)))

    def _scores(self, model: Transformer, batch: Batch) -> Float[Tensor, "rows tags"]:
        """The logits of the units, in fp32, or float64 where the model is."""
        logits = model.heads["token"](model(batch.packed, rows=batch.targets["rows"]))
        return logits if logits.dtype == torch.float64 else logits.float()

    def _losses(self, model: Transformer, scores: Float[Tensor, "rows tags"], batch: Batch) -> Float[Tensor, " rows"]:
        """Of each unit, 0 where its tag is not known; that of a chain is spread evenly over its units."""
        tags = batch.targets["tag"]
        if not self.config.chain:
            return functional.cross_entropy(scores, tags, ignore_index=UNLABELLED, reduction="none")
        losses = torch.zeros(len(tags), dtype=scores.dtype, device=scores.device)
        known = (tags != UNLABELLED).nonzero()[:, 0]
        if not len(known):
            return losses + 0.0 * scores.sum()
        layout, chain = self._lay(model, batch, known, is_legal=False)
        lengths = torch.tensor(layout.lengths, device=scores.device)
        found = chain_losses(scores[known], tags[known], layout, chain) / lengths
        return losses.index_put((known,), torch.repeat_interleave(found, lengths))

    def _lay(
        self, model: Transformer, batch: Batch, rows: slice | Int[Tensor, " rows"], *, is_legal: bool
    ) -> tuple[Layout, ChainScores]:
        """The windows that some units are of, and what neighbouring tags score in them; -inf for what is not legal."""
        windows, lengths = batch.targets["window"][rows].unique_consecutive(return_counts=True)
        is_start, is_end = (batch.targets[name][windows] for name in ("is_start", "is_end"))
        legal = legal_chain(self.labels, self.writing.scheme, is_start, is_end)
        dtype = next(model.parameters()).dtype if next(model.parameters()).dtype == torch.float64 else torch.float32
        parts = [part.to(dtype) if is_legal else torch.zeros_like(part, dtype=dtype) for part in legal]
        if self.config.chain:
            own = model.heads["token"].chain
            transitions, starts, ends = (each.to(dtype) for each in (own.transitions, own.starts, own.ends))
            parts[0] = parts[0] + transitions
            # A window that begins within a text says nothing of what its first tag stands behind.
            parts[1] = parts[1] + torch.where(is_start[:, None], starts, 0.0)
            parts[2] = parts[2] + torch.where(is_end[:, None], ends, 0.0)
        return Layout(tuple(lengths.tolist())), ChainScores(*parts)

    def _tags(self, example: AnyTagged) -> tuple[str, ...] | None:
        """The true tags of an example."""
        tags = read_tags(example, lay_units(example, self.writing.unit), self.writing, "data")
        return None if tags is None else tuple(tags)

    def _tallies(self, predictions: Sequence[Entities], examples: Sequence[AnyTagged]) -> dict[str, Tally]:
        """With those of every type."""
        true = [self._tags(example) or () for example in examples]
        given = [each.tags or () for each in predictions]
        return tag_tallies(given, true, self.writing.scheme, reading=self.config.reading, unit="texts")


def _guess_scheme(labels: Sequence[str]) -> Scheme:
    """What tags of a folder that says no more look like."""
    prefixes = {label[:1] for label in labels}
    return "bmes" if "M" in prefixes else "bioes" if prefixes & {"E", "S"} else "iob2"
