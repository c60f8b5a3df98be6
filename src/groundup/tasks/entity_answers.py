"""What is said of a text in which entities are found: written, read back, and compared, by tags or by spans.

Tags that a scheme allows stand for one set of spans in every scheme, and for the same in every reading of them. So a
tagger, one of another scheme and a classifier of spans are compared by the characters of what they found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self, get_args

import numpy as np
from jaxtyping import Float

from groundup.errors import DataError
from groundup.language.tags import Span, read_spans
from groundup.metrics.details import Stretch
from groundup.metrics.entities import accuracy_tallies, span_tallies
from groundup.metrics.tally import Tally
from groundup.readers.examples import TaggedExample
from groundup.readers.formats import find_marks
from groundup.readers.tagged_files import read_marks
from groundup.tasks.entities import find_writing, lay_units, place_spans
from groundup.tasks.written import Answered, WrittenRow, check_labels
from groundup.text.units import Unit

_TOKENS = ("tokens", "words")


@dataclass(frozen=True)
class Entities:
    """What a model finds in a text."""

    text: str
    found: tuple[Stretch, ...]
    """By characters of the text, in their order."""
    scores: tuple[float, ...]
    """Of each: its probability; of a tagger, the least one of the tags of its units."""
    confidence: float
    """The least probability of what any part of the text was called."""
    tags: tuple[str, ...] | None = None
    """Of each unit, where tags were found."""


@dataclass(frozen=True)
class KnownText:
    """A text whose entities are known."""

    text: str
    entities: tuple[Stretch, ...] | None
    """By characters, in their order, each once; None where nothing is known."""
    tags: tuple[str, ...] | None = field(default=None, compare=False)
    """Of each unit, where a tagger reads them."""


@dataclass(frozen=True)
class EntityAnswers:
    """Entities by characters of their text."""

    columns: ClassVar[tuple[str, ...]] = ("text", "entities")
    types: tuple[str, ...] | None = None
    """Those that are told apart; None for answers of a file, which do not say it."""
    tagging: tuple[Any, ...] | None = None
    """How tags are written, and which there are; None where only spans are compared."""

    def write(self, prediction: Entities) -> dict[str, object]:
        """The text, and every entity with its characters, its type and its score."""
        text = prediction.text
        entities = [
            {"start": start, "end": end, "type": name, "text": text[start:end], "score": score}
            for (start, end, name), score in zip(prediction.found, prediction.scores, strict=True)
        ]
        return {"text": text, "entities": entities}

    @classmethod
    def read(cls, rows: Sequence[WrittenRow]) -> Answered:
        """What `write` wrote, with or without scores; the true ones in the same way, or as tags beside their tokens."""
        predictions = []
        for row in rows:
            found = read_marks(row.take_value("entities"), row.take_text("text"), row.here, is_found=True)
            stretches = tuple(Stretch(*each) for each in found)
            predictions.append(Entities(row.take_text("text"), stretches, (), 0.0))
        return Answered(cls(), _read_true(rows), predictions)

    def join(self, other: Self) -> Self:
        """By entities of the same types; by tags, too, where they are written alike."""
        if self.types is not None and other.types is not None:
            check_labels(self.types, other.types)
        return self if self.tagging == other.tagging else replace(self, tagging=None)

    def tallies(self, predictions: Sequence[Entities], examples: Sequence[KnownText]) -> dict[str, Tally]:
        """`precision`, `recall` and `f1` of entities, `macro_f1` over types; of tags also `tag_accuracy`."""
        found, true = (
            [[Span(*each) for each in side] for side in sides]
            for sides in ([each.found for each in predictions], [example.entities or () for example in examples])
        )
        tallies = span_tallies(found, true, unit="texts")
        tallies = {name: tally for name, tally in tallies.items() if "[" not in name}
        if self.tagging is None:
            return tallies
        tags = [each.tags or () for each in predictions], [example.tags or () for example in examples]
        return tallies | accuracy_tallies(*tags, unit="texts")

    def find_errors(
        self, predictions: Sequence[Entities], examples: Sequence[KnownText]
    ) -> Float[np.ndarray, " examples"]:
        """1 where anything else was found than stands there."""
        pairs = zip(predictions, examples, strict=True)
        return np.array([float(set(each.found) != set(example.entities or ())) for each, example in pairs])


def _read_true(rows: Sequence[WrittenRow]) -> list[KnownText]:
    """The true entities of every text. DataError for what is none, and for tags of another text or of no scheme."""
    known = [_read_known(row) for row in rows]
    tagged = [each for each in known if isinstance(each, TaggedExample)]
    if not tagged:
        return [each for each in known if isinstance(each, KnownText)]
    # All tags of a file tell together in which scheme they are.
    scheme = find_writing(tagged, None, None, str(rows[0].file)).scheme
    return [
        _place(row, each, read_spans(each.tags, scheme)) if isinstance(each, TaggedExample) else each
        for row, each in zip(rows, known, strict=True)
    ]


def _read_known(row: WrittenRow) -> TaggedExample | KnownText:
    """Entities as `read` takes them, also as CLUENER is released, or tags with their tokens."""
    value, text = row.take_value(row.gold), row.take_text("text")
    if not isinstance(value, list) or not value or not all(isinstance(each, str) for each in value):
        marks = find_marks(text, value, row.here) if isinstance(value, Mapping) else read_marks(value, text, row.here)
        return KnownText(text, tuple(sorted({Stretch(*each) for each in marks})))
    column = next((name for name in _TOKENS if name in row.fields), None)
    tokens: Any = None if column is None else row.take_value(column)
    if not isinstance(tokens, list) or len(tokens) != len(value):
        cure = 'keep their tokens, one a tag: --keep tokens; or write the entities: [[0, 2, "TYPE"]]'
        raise DataError(row.here, f"column {row.gold!r} holds tags without their tokens", got=value, cure=cure)
    return TaggedExample(tuple(map(str, tokens)), tuple(value), row.line)


def _place(row: WrittenRow, example: TaggedExample, spans: Sequence[Span]) -> KnownText:
    """Entities of tokens by the characters of their text, in whichever unit it was written from them."""
    unit: Unit
    for unit in get_args(Unit):
        units = lay_units(example, unit)
        if units.text == row.take_text("text"):
            return KnownText(units.text, place_spans(spans, units))
    got = (row.take_text("text"), lay_units(example, "word").text)
    raise DataError(row.here, "has tokens of another text than its own", got=got, cure="keep the tokens of the input")
