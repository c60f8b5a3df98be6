"""From tagged examples to samples: units and their tokens, the tag on each first token, windows of long texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Int32, Int64

from groundup.errors import DataError
from groundup.language.scripts import is_cjk
from groundup.language.tags import Scheme, Span, find_faults, find_schemes, write_tags
from groundup.readers.examples import SpanExample, TaggedExample
from groundup.tasks.rows import refuse_label
from groundup.text.passage import lay_windows
from groundup.text.sample import UNLABELLED, EncodingReport, FlatSamples
from groundup.text.tokenizer import Tokenizer
from groundup.text.units import Unit, UnitText, align, join_units, split_units

AnyTagged = TaggedExample | SpanExample

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


def read_tags(example: AnyTagged, units: UnitText, writing: Writing, where: str) -> Sequence[str] | None:
    """The tag of each unit; None where nothing is known.

    Raises:
        DataError: with the line, for tags that the scheme does not allow, and entities that cut a unit or overlap.
    """
    if isinstance(example, TaggedExample):
        if find_faults(example.tags, writing.scheme):
            raise _describe_fault(example, writing.scheme, where)
        return example.tags
    if example.marks is None:
        return None
    spans = []
    for start, end, kind in example.marks:
        first = int(np.searchsorted(units.starts, start))
        last = int(np.searchsorted(units.ends, end))
        if not (first <= last < len(units) and units.starts[first] == start and units.ends[last] == end):
            cure = "set objective.unit=character" if writing.unit == "word" else "correct it"
            what = f"has an entity whose ends are not those of {writing.unit}s"
            raise DataError(f"{where}:{example.line}", what, got=(start, end, example.text[start:end]), cure=cure)
        spans.append(Span(first, last + 1, kind))
    try:
        return write_tags(spans, len(units), writing.scheme)
    except DataError as error:
        cure = "tags know no entity within another one: keep the outer ones or the inner ones"
        raise DataError(f"{where}:{example.line}", error.what, got=example.marks, cure=cure) from None


def encode_tagged(
    examples: Sequence[AnyTagged],
    tokenizer: Tokenizer,
    *,
    labels: Sequence[str],
    writing: Writing,
    max_length: int,
    where: str,
) -> FlatSamples:
    """Every window of every text as a sample.

    Targets of a token: `unit`, the number of the unit that it begins and this window speaks for, else -1; `tag`, the
    number of that unit's tag, UNLABELLED where it is not known. Of two windows with the same unit the one speaks for it
    that sees more around it. Of a window: `example`, and whether it is the first and the last of its text.

    Raises:
        DataError: with the line, as `read_tags`, and for a tag that is not among `labels`.
    """
    if not examples:
        raise DataError(where, "holds no text", cure="check the file")
    before, after = (np.array(ids, dtype=np.int32) for ids in (tokenizer.prefix_ids, tokenizer.suffix_ids))
    room = max_length - len(before) - len(after)
    if room < 1:
        raise DataError("objective.max_length", "leaves no room for text", got=max_length, cure="raise it")
    number_of = {label: number for number, label in enumerate(labels)}
    counts: Counter[str] = Counter()
    num_lost = num_empty = 0
    rows: list[_Window] = []
    for number, example in enumerate(examples):
        units = lay_units(example, writing.unit)
        aligned, tags = align(tokenizer, units), read_tags(example, units, writing, where)
        for tag in tags or ():
            if tag not in number_of:
                raise refuse_label(tag, labels, f"{where}:{example.line}")
        counts.update(tags or ())
        known = np.full(len(units), UNLABELLED) if tags is None else np.array([number_of[tag] for tag in tags], int)
        is_there = aligned.firsts >= 0
        num_lost += int((~is_there).sum())
        num_empty += not is_there.any()
        of_token = np.full((2, len(aligned.input_ids)), -1, dtype=np.int64)
        of_token[0, aligned.firsts[is_there]] = np.flatnonzero(is_there)
        of_token[1] = UNLABELLED
        of_token[1, aligned.firsts[is_there]] = known[is_there]
        rows += _cut(number, aligned.input_ids, of_token, room, before, after)
    notes = [f"{writing.scheme}, by {writing.unit}", f"{len(rows)} windows"]
    notes += [f"{num_lost} {writing.unit}s of which the tokenizer leaves nothing"] if num_lost else []
    return FlatSamples(
        np.concatenate([row.input_ids for row in rows]),
        np.array([len(row.input_ids) for row in rows], dtype=np.int32),
        EncodingReport(len(examples), num_empty, 0, 0, {label: counts[label] for label in labels}, tuple(notes)),
        label_names=tuple(labels),
        of_rows={
            "example": np.array([row.example for row in rows], dtype=np.int64),
            "is_start": np.array([row.is_start for row in rows], dtype=bool),
            "is_end": np.array([row.is_end for row in rows], dtype=bool),
        },
        of_tokens={
            "unit": np.concatenate([row.units for row in rows]),
            "tag": np.concatenate([row.tags for row in rows]),
        },
        examples=examples,
    )


@dataclass(frozen=True)
class _Window:
    example: int
    is_start: bool
    is_end: bool
    input_ids: Int32[np.ndarray, " length"]
    units: Int64[np.ndarray, " length"]
    tags: Int64[np.ndarray, " length"]


def _cut(
    number: int,
    ids: Int32[np.ndarray, " tokens"],
    of_token: Int64[np.ndarray, "2 tokens"],
    room: int,
    before: Int32[np.ndarray, " before"],
    after: Int32[np.ndarray, " after"],
) -> list[_Window]:
    """The windows of a text, half of each in the next one, with special tokens around."""
    windows = lay_windows(len(ids), room, max(1, room // 2))
    # Where one window stops to speak and the next one begins: the middle of what both see.
    borders = [0, *((start + end) // 2 for (_, end), (start, _) in pairwise(windows)), len(ids)]
    found = []
    for place, (start, end) in enumerate(windows):
        own = np.arange(start, end)
        is_own = (own >= borders[place]) & (own < borders[place + 1])
        units, tags = np.where(is_own, of_token[0, start:end], -1), np.where(is_own, of_token[1, start:end], UNLABELLED)
        ends = (np.full(len(before), -1), np.full(len(after), -1))
        found.append(
            _Window(
                number,
                place == 0,
                place == len(windows) - 1,
                np.concatenate([before, ids[start:end], after]).astype(np.int32, copy=False),
                np.concatenate([ends[0], units, ends[1]]),
                np.concatenate([np.full(len(before), UNLABELLED), tags, np.full(len(after), UNLABELLED)]),
            )
        )
    return found


def _find_unit(examples: Sequence[AnyTagged]) -> Unit:
    """Characters where nearly all tokens are one, or where a text with spans is mostly Chinese; else words."""
    tokens = [token for example in examples if isinstance(example, TaggedExample) for token in example.tokens]
    if tokens:
        is_single = sum(len(token) == 1 for token in tokens) > 0.9 * len(tokens)
        return "character" if is_single and any(map(is_cjk, tokens)) else "word"
    text = "".join(example.text for example in examples if isinstance(example, SpanExample))
    return "character" if 2 * sum(map(is_cjk, text)) > sum(not char.isspace() for char in text) else "word"


def _describe_fault(example: TaggedExample, scheme: Scheme, where: str) -> DataError:
    fault = find_faults(example.tags, scheme)[0]
    token = repr(example.tokens[fault.place]) if fault.place < len(example.tokens) else "the end of the text"
    what = f"the tag of {token} does not keep to {scheme}: {fault.why}"
    cure = "correct it; all files keep to one scheme (objective.scheme)"
    return DataError(f"{where}:{example.line}", what, got=fault.tag, cure=cure)
