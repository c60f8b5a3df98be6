"""Entities in texts, as tags or as spans, read as places of words or characters; and windows of long texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple, TypeVar

import numpy as np
from jaxtyping import Int32, Shaped

from groundup.errors import DataError
from groundup.language.scripts import is_cjk
from groundup.language.tags import Scheme, Span, find_faults, find_schemes, read_spans
from groundup.metrics.details import Stretch
from groundup.readers.examples import SpanExample, TaggedExample
from groundup.text.passage import lay_windows
from groundup.text.tokenizer import Tokenizer
from groundup.text.units import Unit, UnitText, join_units, split_units

AnyTagged = TaggedExample | SpanExample
PredictionT = TypeVar("PredictionT")

_PREFERRED: tuple[Scheme, ...] = ("iob2", "iob1", "bioes", "bmes")
"""Of schemes that all fit, the first one."""


@dataclass(frozen=True)
class Writing:
    """How entities stand in a text."""

    scheme: Scheme
    unit: Unit
    """What has a tag."""


def find_writing(examples: Sequence[AnyTagged], scheme: Scheme | None, unit: Unit | None, where: str) -> Writing:
    """What is given, and for the rest what the examples show. Raises DataError where tags keep to no scheme."""
    unit = _find_unit(examples) if unit is None else unit
    tagged = [example for example in examples if isinstance(example, TaggedExample)]
    if scheme is None and tagged:
        fitting = find_schemes(example.tags for example in tagged)
        if not fitting:
            # The one that the fewest texts break is what was meant.
            broken = {each: [one for one in tagged if find_faults(one.tags, each)] for each in _PREFERRED}
            nearest = min(_PREFERRED, key=lambda each: len(broken[each]))
            raise _describe_fault(broken[nearest][0], nearest, where)
        scheme = next(each for each in _PREFERRED if each in fitting)
    return Writing(scheme or "iob2", unit)


def lay_units(example: AnyTagged, unit: Unit) -> UnitText:
    """The text of an example and where its units stand."""
    return join_units(example.tokens, unit) if isinstance(example, TaggedExample) else split_units(example.text, unit)


def read_entities(example: AnyTagged, units: UnitText, writing: Writing, where: str) -> list[Span] | None:
    """The entities of a text by its units, in order; None where nothing is known.

    Raises:
        DataError: with the line, for tags that the scheme does not allow, and entities that cut a unit.
    """
    if isinstance(example, TaggedExample):
        check_tags(example, writing.scheme, where)
        return read_spans(example.tags, writing.scheme)
    if example.marks is None:
        return None
    spans = []
    for start, end, kind in example.marks:
        found = _find_units(units, start, end)
        if found is None:
            raise _describe_cut(example.text, units, (start, end), writing.unit, f"{where}:{example.line}")
        spans.append(Span(*found, kind))
    return sorted(spans)


def check_tags(example: TaggedExample, scheme: Scheme, where: str) -> None:
    """DataError, with the line, for a tag that the scheme does not allow."""
    if find_faults(example.tags, scheme):
        raise _describe_fault(example, scheme, where)


def place_spans(spans: Sequence[Span], units: UnitText) -> tuple[Stretch, ...]:
    """Entities of units by their characters."""
    return tuple(Stretch(int(units.starts[start]), int(units.ends[end - 1]), kind) for start, end, kind in spans)


def keep_known(
    predictions: Sequence[PredictionT], examples: Sequence[Any]
) -> tuple[list[PredictionT], list[AnyTagged]]:
    """What was found in the texts whose entities are known, with these. DataError where there are none."""
    known = [pair for pair in zip(predictions, examples, strict=True) if pair[1].label_names is not None]
    if not known:
        what, cure = "says of no text which entities it has, so there is nothing to score", "name the column of tags"
        raise DataError("data", what, cure=f"{cure}, or mark the spans")
    return [found for found, _ in known], [example for _, example in known]


@dataclass(frozen=True)
class Room:
    """How texts are cut for a model: special tokens around windows of at most so many others."""

    before: tuple[int, ...]
    size: int
    after: tuple[int, ...]

    @classmethod
    def of(cls, tokenizer: Tokenizer, max_length: int) -> Room:
        """What a tokenizer puts around a text. Raises DataError where nothing is left."""
        size = max_length - len(tokenizer.prefix_ids) - len(tokenizer.suffix_ids)
        if size < 1:
            raise DataError("objective.max_length", "leaves no room for text", got=max_length, cure="raise it")
        return cls(tuple(tokenizer.prefix_ids), size, tuple(tokenizer.suffix_ids))

    def cut(self, num_tokens: int) -> list[Window]:
        """The windows of a text, half of each in the next one. Of what two see, each speaks for its own half."""
        windows = lay_windows(num_tokens, self.size, max(1, self.size // 2))
        borders = [0, *((start + end) // 2 for (_, end), (start, _) in pairwise(windows)), num_tokens]
        return [Window(*window, *own) for window, own in zip(windows, pairwise(borders), strict=True)]

    def frame(self, ids: Int32[np.ndarray, " tokens"], window: Window) -> Int32[np.ndarray, " length"]:
        """A window of a text between special tokens."""
        parts = [np.array(self.before), ids[window.start : window.end], np.array(self.after)]
        return np.concatenate(parts).astype(np.int32, copy=False)

    def spread(self, values: Shaped[np.ndarray, "tokens ..."], beside: int) -> Shaped[np.ndarray, "length ..."]:
        """What the tokens of a window have, and `beside` for the special ones."""
        around = ((len(self.before), len(self.after)), *((0, 0),) * (values.ndim - 1))
        return np.pad(values, around, constant_values=beside)


class Window(NamedTuple):
    """Tokens `start` to `end` of a text, which speaks for those from `low` to `high`: it sees more around them."""

    start: int
    end: int
    low: int
    high: int


def _find_unit(examples: Sequence[AnyTagged]) -> Unit:
    """Characters where nearly all tokens are one, or where a text with spans is mostly Chinese; else words."""
    tokens = [token for example in examples if isinstance(example, TaggedExample) for token in example.tokens]
    if tokens:
        is_single = sum(len(token) == 1 for token in tokens) > 0.9 * len(tokens)
        return "character" if is_single and any(map(is_cjk, tokens)) else "word"
    text = "".join(example.text for example in examples if isinstance(example, SpanExample))
    return "character" if 2 * sum(map(is_cjk, text)) > sum(not char.isspace() for char in text) else "word"


def _find_units(units: UnitText, start: int, end: int) -> tuple[int, int] | None:
    """The first unit of a span of characters and the one behind its last; None where the span cuts one."""
    first, last = int(np.searchsorted(units.starts, start)), int(np.searchsorted(units.ends, end))
    is_whole = first <= last < len(units) and units.starts[first] == start and units.ends[last] == end
    return (first, last + 1) if is_whole else None


def _describe_cut(text: str, units: UnitText, span: tuple[int, int], unit: Unit, here: str) -> DataError:
    """What is to be said of a span that cuts units; one that counts something else than characters fits them then."""
    got = (*span, text[slice(*span)])
    for encoding, width, counted in (("utf-16-le", 2, "UTF-16 units"), ("utf-8", 1, "bytes of UTF-8")):
        data = text.encode(encoding, "surrogatepass")
        start, end = (len(data[: place * width].decode(encoding, "ignore")) for place in span)
        if (start, end) != span and _find_units(units, start, end) is not None:
            cure = f"it stands at {start} to {end}; count characters (code points)"
            return DataError(here, f"has an entity that counts {counted} instead of characters", got=got, cure=cure)
    cure = "set objective.unit=character" if unit == "word" else "correct it"
    return DataError(here, f"has an entity whose ends are not those of {unit}s", got=got, cure=cure)


def _describe_fault(example: TaggedExample, scheme: Scheme, where: str) -> DataError:
    fault = find_faults(example.tags, scheme)[0]
    token = repr(example.tokens[fault.place]) if fault.place < len(example.tokens) else "the end of the text"
    what = f"the tag of {token} does not keep to {scheme}: {fault.why}"
    cure = "correct it; all files keep to one scheme (objective.scheme)"
    return DataError(f"{where}:{example.line_of(fault.place)}", what, got=fault.tag, cure=cure)
