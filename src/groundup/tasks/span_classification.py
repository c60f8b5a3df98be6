"""Entities in a text, one within another too: every span is classified (Yu, Bohnet and Poesio 2020).

A span is a first and a last word or character, each read at its first token; its class is a type, or no entity. Of the
spans that are called entities the likeliest are taken first, as long as they cross none that was taken before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
import torch
from jaxtyping import Float
from pydantic import Field, PositiveInt
from torch import Tensor
from torch.nn import functional

from groundup.config import Config
from groundup.errors import ConfigError, DataError
from groundup.language.tags import Scheme, Span, split_tag
from groundup.metrics.details import Details, Marked
from groundup.metrics.entities import span_tallies
from groundup.metrics.metric import Metric
from groundup.metrics.tally import Tally, divide, sums_tally
from groundup.metrics.tally import measure as measure_tallies
from groundup.model.config import BiaffineHead
from groundup.model.transformer import Transformer
from groundup.objectives.packing import pack_samples
from groundup.objectives.protocol import Batch, Loss
from groundup.readers.examples import SpanExample, TaggedExample
from groundup.readers.table import sort_labels
from groundup.tasks.entities import AnyTagged, Writing, find_writing, keep_known, lay_units, place_spans
from groundup.tasks.entity_answers import Entities, EntityAnswers, KnownText
from groundup.tasks.nesting import choose_spans
from groundup.tasks.span_samples import Spans, encode_spans, lay_grid
from groundup.text.sample import UNLABELLED, FlatSamples, Sample
from groundup.text.tokenizer import Tokenizer
from groundup.text.units import Unit


class SpanClassification(Config):
    """Find entities in a text, also those within others, from marked spans or from tags."""

    data_kinds: ClassVar[tuple[str, ...]] = ("tags", "spans")
    needs_label: ClassVar[bool] = True
    kind: Literal["span_classification"] = "span_classification"
    max_length: PositiveInt = 128
    """The most tokens of a window, special tokens included; longer texts are read in windows that overlap by half."""
    nested: bool = True
    """Whether an entity may lie within another one; without it no two overlap."""
    max_span: PositiveInt | None = None
    """The most words or characters of an entity; null takes the longest of the training data. Time and memory grow
    with it."""
    unit: Unit | None = None
    """What begins and ends an entity, `word` or `character`; null finds it in the training data."""
    scheme: Scheme | None = None
    """How tags are written, where entities come as tags; null finds it in the training data."""
    labels: tuple[str, ...] | None = None
    """The types in order; null takes them from the training data."""
    size: PositiveInt = 150
    """The width to which a token is mapped, as the start and as the end of an entity."""
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.1
    """On the hidden states that are read, while training."""

    def choose_labels(self, examples: Sequence[AnyTagged], where: str) -> tuple[str, ...]:
        """The types of the recipe, or else those of the training data."""
        if self.labels is not None:
            return self.labels
        tags = {tag for example in examples if isinstance(example, TaggedExample) for tag in example.tags}
        types = {split_tag(tag).type for tag in tags - {"O"}}
        types |= {mark.type for example in examples if isinstance(example, SpanExample) for mark in example.marks or ()}
        if not types:
            raise DataError(where, "holds no entity, so there is nothing to learn", cure="check the column of tags")
        return sort_labels(types)

    def build(self, tokenizer: Tokenizer, labels: Sequence[str]) -> SpanTask:
        """The task over these types, in this order."""
        labels = tuple(labels)
        if len(set(labels)) != len(labels) or not labels:
            raise ConfigError("objective.labels", "needs one or more different types", got=labels)
        if self.labels is not None and self.labels != labels:
            raise ConfigError("objective.labels", f"differ from the labels at hand {labels}", got=self.labels)
        spans = Spans(Writing(self.scheme or "iob2", self.unit or "word"), self.nested, self.max_span)
        return SpanTask(self, tokenizer, labels, self.make_head(labels), spans)

    def make_head(self, labels: Sequence[str]) -> BiaffineHead:
        """A score of every span for each type, and for no entity."""
        return BiaffineHead(num_labels=len(labels), size=self.size, dropout=self.dropout)


@dataclass(frozen=True)
class SpanTask:
    """Encoding, loss, predictions and metrics of `SpanClassification`."""

    config: SpanClassification
    tokenizer: Tokenizer
    labels: tuple[str, ...]
    head: BiaffineHead
    spans: Spans
    best: tuple[str, bool] = ("f1", True)
    wants_pair: bool | None = False

    @property
    def facts(self) -> dict[str, object]:
        """How entities are written, and how long they may be."""
        return {"scheme": self._writing.scheme, "unit": self._writing.unit, "max_span": self.spans.longest}

    def restore(self, facts: Mapping[str, Any]) -> Self:
        """The task that reads as another one did."""
        writing = Writing(facts["scheme"], facts["unit"])
        return replace(self, spans=replace(self.spans, writing=writing, longest=facts["max_span"]))

    def fit(self, examples: Sequence[AnyTagged], where: str) -> Self:
        """The task that knows how the training data is written. DataError for an entity longer than the settings."""
        writing = find_writing(examples, self.config.scheme, self.config.unit, where)
        spans, longest = replace(self.spans, writing=writing), 1
        for example in examples:
            units = lay_units(example, writing.unit)
            size, span = max(
                ((span.end - span.start, span) for span in spans.read(example, units, where) or ()),
                default=(0, Span(0, 0, "")),
            )
            longest = max(longest, size)
            if self.config.max_span is not None and size > self.config.max_span:
                (place,) = place_spans([span], units)
                what = f"has an entity of {size} {writing.unit}s, more than objective.max_span={self.config.max_span}"
                cure = f"raise it to {size}, or leave it out for the longest of the training data"
                raise DataError(f"{where}:{example.line}", what, got=tuple(place), cure=cure)
        return replace(self, spans=replace(spans, longest=self.config.max_span or longest))

    def encode(self, examples: Sequence[AnyTagged], where: str) -> FlatSamples:
        """Windows of texts. A type that is not among `labels`, or entities that cross, are a DataError."""
        return encode_spans(
            examples,
            self.tokenizer,
            labels=self.labels,
            spans=self.spans,
            max_length=self.config.max_length,
            where=where,
        )

    def prepare(self, samples: Sequence[Sample], seed: int, epoch: int) -> Batch:
        """Pack. Targets: `rows`, the tokens that units begin with; their `unit` and `window`; of the spans from each
        unit on whether there is one, `is_span`, and its class, `label`; of windows `example`."""
        grid = lay_grid(samples, self.spans.longest)
        targets = {
            "rows": grid.rows,
            "unit": grid.units,
            "window": grid.windows,
            "is_span": grid.is_span,
            "label": grid.labels,
            "example": np.array([int(sample.targets["example"]) for sample in samples]),
        }
        numbers = np.array([sample.index for sample in samples], dtype=np.int64)
        tensors = {name: torch.from_numpy(each) for name, each in targets.items()}
        return Batch(pack_samples(samples), tensors, int((grid.labels != UNLABELLED).sum()), numbers)

    def loss(self, model: Transformer, batch: Batch) -> Loss:
        """Softmax cross-entropy, summed over all spans of labelled texts."""
        scores, labels = self._scores(model, batch), batch.targets["label"]
        return Loss(functional.cross_entropy(scores, labels, ignore_index=UNLABELLED, reduction="sum"), batch.count)

    def measure(self, model: Transformer, batch: Batch) -> dict[str, np.ndarray]:
        """Of each span that is likelier some type than no entity: its units, its type and that one's log-probability.
        Of each window: its loss, its labelled spans and the least probability of the likeliest class of a span."""
        targets = {name: each.cpu().numpy() for name, each in batch.targets.items()}
        logs = self._scores(model, batch).log_softmax(dim=1)
        labels = batch.targets["label"]
        losses = functional.nll_loss(logs, labels, ignore_index=UNLABELLED, reduction="none").cpu().numpy()
        best, kind = (each.cpu().numpy() for each in logs.max(dim=1))
        rows, behind = np.nonzero(targets["is_span"] & (kind > 0))
        windows, num_windows = targets["window"], len(targets["example"])
        sums = (losses.sum(axis=1, dtype=np.float64), (targets["label"] != UNLABELLED).sum(axis=1))
        least = np.zeros(num_windows)
        np.minimum.at(least, windows, np.where(targets["is_span"], best, 0.0).min(axis=1, initial=0.0))
        return {
            "start": targets["unit"][rows],
            "end": targets["unit"][rows + behind] + 1,
            "type": kind[rows, behind] - 1,
            "log_probability": best[rows, behind],
            "text": targets["example"][windows[rows]],
            "loss": np.bincount(windows, weights=sums[0], minlength=num_windows),
            "num_spans": np.bincount(windows, weights=sums[1], minlength=num_windows),
            "least": least,
            "example": targets["example"],
        }

    def score(self, measured: Mapping[str, np.ndarray], examples: Sequence[object]) -> dict[str, Metric]:
        """`precision`, `recall`, `f1` of entities, `macro_f1` over types, and `loss` (nats a span)."""
        found, known = keep_known(self.decode(measured, examples), examples)
        is_known = np.array([example.label_names is not None for example in examples])  # type: ignore[attr-defined]
        sums = [
            np.bincount(measured["example"], weights=measured[name], minlength=len(examples))[is_known]
            for name in ("loss", "num_spans")
        ]
        parts, how = np.stack(sums, axis=1), "softmax cross-entropy, mean over spans"
        loss = sums_tally("loss", "texts", parts, lambda each: divide(each[..., 0], each[..., 1]), how)
        tallies = {name: tally for name, tally in self._tallies(found, known).items() if "[" not in name}
        return measure_tallies(tallies) | measure_tallies({"loss": loss})

    def details(self, measured: Mapping[str, np.ndarray], examples: Sequence[object]) -> Details:
        """Precision, recall and F1 of every type."""
        tallies = self._tallies(*keep_known(self.decode(measured, examples), examples))
        return Details(measure_tallies({name: tally for name, tally in tallies.items() if "[" in name}))

    @property
    def answers(self) -> EntityAnswers:
        """Entities by characters; whether one may lie within another is a matter of the model."""
        return EntityAnswers(self.labels)

    def restate(self, example: AnyTagged) -> KnownText:
        """The entities of an example by its characters."""
        units = lay_units(example, self._writing.unit)
        spans = self.spans.read(example, units, "data")
        return KnownText(units.text, None if spans is None else place_spans(spans, units))

    def decode(self, measured: Mapping[str, np.ndarray], examples: Sequence[object]) -> list[Entities]:
        """What is found in each text, in their order."""
        logs, starts, ends = measured["log_probability"], measured["start"], measured["end"]
        # The likeliest first; of equal ones the one that begins first, then the longest.
        order = np.lexsort((-ends, starts, -logs, measured["text"]))
        borders = np.searchsorted(measured["text"][order], np.arange(len(examples) + 1))
        least = np.zeros(len(examples))
        np.minimum.at(least, measured["example"], measured["least"])
        texts = []
        for number, example in enumerate(examples):
            rows = order[borders[number] : borders[number + 1]]
            units = lay_units(example, self._writing.unit)  # type: ignore[arg-type]
            spans = [Span(int(starts[row]), int(ends[row]), self.labels[measured["type"][row]]) for row in rows]
            taken = choose_spans(spans, len(units), nested=self.spans.nested)
            taken.sort(key=lambda each: (spans[each].start, -spans[each].end))
            stretches = place_spans([spans[each] for each in taken], units)
            scores = tuple(float(np.exp(logs[rows[each]])) for each in taken)
            texts.append(Entities(units.text, stretches, scores, float(np.exp(least[number]))))
        return texts

    def examples_of(self, rows: Sequence[tuple[str, str | None]]) -> list[SpanExample]:
        """Texts as they were typed."""
        return [SpanExample(text, None, number) for number, (text, _) in enumerate(rows, start=1)]

    def answer(self, example: AnyTagged, prediction: Entities) -> dict[str, object]:
        """The text, and every entity with its characters, its type and its probability."""
        return self.answers.write(prediction)

    def mark(self, example: AnyTagged, prediction: Entities) -> Marked | None:
        """The entities that stand in a text and those that were found; None where nothing is known."""
        expected, found = self.restate(example).entities, prediction.found
        if expected is None:
            return None
        is_right = set(expected) == set(found)
        return Marked(example.line, None, prediction.text, expected, found, is_right, prediction.confidence)

    def show(self, batch: Batch) -> list[str]:
        """Each window in words with its entities between marks: `[CLS] 【port of 【leiden】LOC】ORG [SEP]`."""
        rows, labels = batch.targets["rows"].tolist(), batch.targets["label"].numpy()
        ends = np.cumsum(batch.packed.lengths)
        # A unit goes on to the next one, or to the special tokens behind its window.
        windows = batch.targets["window"].numpy()
        behind = np.minimum([*rows[1:], int(ends[-1])], ends[windows] - len(self.tokenizer.suffix_ids))
        words = self.tokenizer.tokens(batch.packed.input_ids[: int(ends[-1])].tolist())
        starts, offsets = np.nonzero(labels > 0)
        # The shortest first, so that the marks of longer ones stand around.
        for start, offset in sorted(zip(starts.tolist(), offsets.tolist(), strict=True), key=lambda each: each[1]):
            first, last = rows[start], int(behind[start + offset]) - 1
            words[first] = f"【{words[first]}"
            words[last] = f"{words[last]}】{self.labels[labels[start, offset] - 1]}"
        return [" ".join(words[end - size : end]) for end, size in zip(ends, batch.packed.lengths, strict=True)]

    def guess_loss(self, vocab_size: int, lengths: Sequence[int]) -> float:
        """Of even odds for every class."""
        return float(np.log(len(self.labels) + 1))

    @property
    def _writing(self) -> Writing:
        return self.spans.writing

    def _scores(self, model: Transformer, batch: Batch) -> Float[Tensor, "units classes longest"]:
        """The logits of the spans from each unit on, in fp32, or float64 where the model is."""
        hidden = model(batch.packed, rows=batch.targets["rows"])
        scores = model.heads["biaffine"](hidden, batch.targets["label"].shape[1])
        return scores if scores.dtype == torch.float64 else scores.float()

    def _tallies(self, predictions: Sequence[Entities], examples: Sequence[AnyTagged]) -> dict[str, Tally]:
        """With those of every type."""
        found, true = (
            [[Span(*each) for each in side] for side in sides]
            for sides in (
                [each.found for each in predictions],
                [self.restate(example).entities or () for example in examples],
            )
        )
        how = f"exact spans, {'nested' if self.spans.nested else 'flat'}"
        return span_tallies(found, true, how=how, unit="texts")
