"""From texts with entities to samples: windows of units, and with each unit the entities that begin there."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Int

from groundup.errors import DataError
from groundup.language.tags import Span
from groundup.readers.examples import SpanExample
from groundup.tasks.entities import AnyTagged, Room, Window, Writing, lay_units, read_entities
from groundup.tasks.nesting import find_clash
from groundup.tasks.rows import refuse_label
from groundup.text.sample import UNLABELLED, EncodingReport, FlatSamples, Sample
from groundup.text.tokenizer import Tokenizer
from groundup.text.units import Aligned, UnitText, align

_Hurdle = Literal["long", "wide", "lost"]
"""What keeps an entity from being found: more units than spans may have, a narrow window, an end that is no token."""


@dataclass(frozen=True)
class Spans:
    """Which spans of a text there are, and how they are written."""

    writing: Writing
    nested: bool
    """Whether one may lie within another."""
    longest: int | None
    """The most units of one; None for any number."""

    def read(self, example: AnyTagged, units: UnitText, where: str) -> list[Span] | None:
        """The entities of a text, each once; None where nothing is known.

        Raises:
            DataError: with the line, as `read_entities`, and for entities that may not stand together.
        """
        spans = read_entities(example, units, self.writing, where)
        if spans is None:
            return None
        spans = sorted(set(spans))
        clash = find_clash(spans, nested=self.nested)
        if clash is not None:
            cure = "set objective.nested=true" if "within" in clash else "correct it: one within another, or apart"
            got = example.marks if isinstance(example, SpanExample) else spans
            raise DataError(f"{where}:{example.line}", clash, got=got, cure=cure)
        return spans


def encode_spans(
    examples: Sequence[AnyTagged],
    tokenizer: Tokenizer,
    *,
    labels: Sequence[str],
    spans: Spans,
    max_length: int,
    where: str,
) -> FlatSamples:
    """Every window of every text as a sample.

    Targets of a token: `unit`, the number of the unit that it begins, else -1; `last` and `type`, the last unit and the
    type of each entity that begins with that unit, -1 where there are no more. Of a window: `example`, whether its
    entities are known, and `low` and `high`, between which the middle of a span must lie for this window to speak for
    it: of two windows the one that sees more around it.

    Raises:
        DataError: with the line, as `Spans.read`, and for a type that is not among `labels`.
    """
    if not examples:
        raise DataError(where, "holds no text", cure="check the file")
    room = Room.of(tokenizer, max_length)
    number_of = {label: number for number, label in enumerate(labels)}
    counts: Counter[str] = Counter()
    missed: Counter[_Hurdle] = Counter()
    num_lost = num_empty = needed = 0
    of_windows: defaultdict[str, list[int]] = defaultdict(list)
    of_tokens: defaultdict[str, list[np.ndarray]] = defaultdict(list)
    for number, example in enumerate(examples):
        units = lay_units(example, spans.writing.unit)
        aligned, found = align(tokenizer, units), spans.read(example, units, where)
        for span in found or ():
            if span.type not in number_of:
                raise refuse_label(span.type, labels, f"{where}:{example.line}")
            counts[span.type] += 1
        windows = room.cut(len(aligned.input_ids))
        is_there = aligned.firsts >= 0
        num_lost += int((~is_there).sum())
        for span in found or ():
            hurdle = _find_hurdle(span, aligned, windows, spans.longest)
            if hurdle is not None:
                missed[hurdle] += 1
                needed = max(needed, _count_units(span, aligned))
        num_empty += not is_there.any()
        of_unit = np.full(len(aligned.input_ids), -1, dtype=np.int64)
        of_unit[aligned.firsts[is_there]] = np.flatnonzero(is_there)
        last, kind = _lay_entities(found or (), aligned, number_of)
        for window in windows:
            of_windows["example"].append(number)
            of_windows["is_known"].append(found is not None)
            for name, border in (("low", window.low), ("high", window.high)):
                of_windows[name].append(border - window.start + len(room.before))
            of_tokens["input_ids"].append(room.frame(aligned.input_ids, window))
            for name, values in (("unit", of_unit), ("last", last), ("type", kind)):
                of_tokens[name].append(room.spread(values[window.start : window.end], -1))
    sizes = np.array([len(ids) for ids in of_tokens["input_ids"]], dtype=np.int32)
    how = f"spans of {spans.writing.unit}s" + ("" if spans.longest is None else f", {spans.longest} at most")
    notes = [how, f"{len(sizes)} windows"]
    notes += [f"{num_lost} {spans.writing.unit}s of which the tokenizer leaves nothing"] if num_lost else []
    warnings = tuple(_describe_missed(missed, counts.total(), spans, needed, max_length))
    joined = {name: np.concatenate(_widen(parts)) for name, parts in of_tokens.items()}
    return FlatSamples(
        joined.pop("input_ids"),
        sizes,
        EncodingReport(
            len(examples),
            num_empty,
            0,
            0,
            {label: counts[label] for label in labels},
            tuple(notes),
            warnings,
            counts_entities=True,
        ),
        label_names=tuple(labels),
        of_rows={name: np.array(values, dtype=np.int64) for name, values in of_windows.items()},
        of_tokens=joined,
        examples=examples,
    )


@dataclass(frozen=True)
class Grid:
    """The spans of a batch, by the unit that they begin with and the number of units behind it."""

    rows: Int[np.ndarray, " units"]
    """The token that each unit begins with."""
    units: Int[np.ndarray, " units"]
    """Its number in its text."""
    windows: Int[np.ndarray, " units"]
    is_span: Bool[np.ndarray, "units longest"]
    """Whether there is such a span, for which its window speaks."""
    labels: Int[np.ndarray, "units longest"]
    """The class: 0 for no entity, then the types; UNLABELLED where it is not known or there is no such span."""


def lay_grid(samples: Sequence[Sample], longest: int | None) -> Grid:
    """All spans of windows that are laid end to end, up to `longest` units or as long as the longest window."""
    sizes = [len(sample.input_ids) for sample in samples]
    longest = max(1, *sizes) if longest is None else min(longest, max(1, *sizes))
    unit, last, kind = (
        np.concatenate([sample.targets[name] for sample in samples]) for name in ("unit", "last", "type")
    )
    low, high, is_known = (
        np.array([int(sample.targets[name]) for sample in samples]) for name in ("low", "high", "is_known")
    )
    rows = np.flatnonzero(unit >= 0)
    windows = np.repeat(np.arange(len(samples)), sizes)[rows]
    place = rows - (np.cumsum(sizes) - sizes)[windows]
    behind = np.arange(len(rows))[:, None] + np.arange(longest)
    end = behind.clip(max=max(0, len(rows) - 1))
    middle = (place[:, None] + place[end]) // 2
    is_own = (middle >= low[windows, None]) & (middle < high[windows, None])
    is_span = (behind < len(rows)) & (windows[:, None] == windows[end]) & is_own
    labels = np.where(is_span & (is_known[windows, None] > 0), 0, UNLABELLED)
    # Units ascend within a window, and windows do: so the row of an entity's last unit is found by both.
    unit, last, kind = unit[rows], last[rows], kind[rows]
    scale = int(unit.max(initial=0)) + 2
    start, which = np.nonzero((last >= 0) & (last < scale))
    wanted = windows[start] * scale + last[start, which]
    keys = windows * scale + unit
    found = np.searchsorted(keys, wanted).clip(max=max(0, len(rows) - 1))
    offset = found - start
    is_there = (keys[found] == wanted) & (offset < longest)
    start, which, offset = start[is_there], which[is_there], offset[is_there]
    is_there = is_span[start, offset]
    labels[start[is_there], offset[is_there]] = kind[start, which][is_there] + 1
    return Grid(rows, unit, windows, is_span, labels)


def _lay_entities(
    found: Sequence[Span], aligned: Aligned, number_of: dict[str, int]
) -> tuple[Int[np.ndarray, "tokens most"], Int[np.ndarray, "tokens most"]]:
    """The last unit and the type of every entity, at its first token, beside each other."""
    known = [span for span in found if aligned.firsts[span.start] >= 0]
    starts = Counter(span.start for span in known)
    last, kind = (np.full((len(aligned.input_ids), max(starts.values(), default=1)), -1, np.int64) for _ in range(2))
    beside: Counter[int] = Counter()
    for span in known:
        place = aligned.firsts[span.start], beside[span.start]
        last[place], kind[place] = span.end - 1, number_of[span.type]
        beside[span.start] += 1
    return last, kind


def _find_hurdle(span: Span, aligned: Aligned, windows: Sequence[Window], longest: int | None) -> _Hurdle | None:
    """Why no answer can name a span; None where one can: a window speaks for it, and for spans as long."""
    first, last = aligned.firsts[span.start], aligned.firsts[span.end - 1]
    if first < 0 or last < 0:
        return "lost"
    if longest is not None and _count_units(span, aligned) > longest:
        return "long"
    window = next(each for each in windows if each.low <= (first + last) // 2 < each.high)
    return None if window.start <= first and last < window.end else "wide"


def _count_units(span: Span, aligned: Aligned) -> int:
    """The units of a span of which the tokenizer leaves something."""
    return int((aligned.firsts[span.start : span.end] >= 0).sum())


def _describe_missed(
    missed: Mapping[_Hurdle, int], total: int, spans: Spans, needed: int, max_length: int
) -> Iterator[str]:
    """A sentence for each hurdle, with how many of all entities it keeps from being found."""
    unit = spans.writing.unit
    of_hurdles: dict[_Hurdle, tuple[str, str]] = {
        "long": (
            f"have more than {spans.longest} {unit}{'' if spans.longest == 1 else 's'}",
            f"objective.max_span={needed} has room for all",
        ),
        "wide": (f"do not fit into a window of objective.max_length={max_length} tokens", "raise it"),
        "lost": (f"begin or end with a {unit} of which the tokenizer leaves nothing", "take another tokenizer"),
    }
    for hurdle, (what, cure) in of_hurdles.items():
        if missed[hurdle]:
            yield f"{missed[hurdle]:,} of {total:,} entities {what} and can only be missed; {cure}."


def _widen(parts: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
    """Arrays as wide as the widest, with -1 beside."""
    if parts[0].ndim == 1:
        return parts
    widest = max(part.shape[1] for part in parts)
    return [np.pad(part, ((0, 0), (0, widest - part.shape[1])), constant_values=-1) for part in parts]
