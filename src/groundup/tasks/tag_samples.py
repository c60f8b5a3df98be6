"""From tagged examples to samples: units and their tokens, the tag on each first token, windows of long texts."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from groundup.errors import DataError
from groundup.language.tags import read_spans, split_tag, write_tags
from groundup.readers.examples import TaggedExample
from groundup.tasks.entities import AnyTagged, Room, Writing, lay_units, read_entities
from groundup.tasks.rows import refuse_label
from groundup.text.sample import UNLABELLED, EncodingReport, FlatSamples
from groundup.text.tokenizer import Tokenizer
from groundup.text.units import UnitText, align


def read_tags(example: AnyTagged, units: UnitText, writing: Writing, where: str) -> Sequence[str] | None:
    """The tag of each unit; None where nothing is known.

    Raises:
        DataError: with the line, as `read_entities`, and for entities that overlap.
    """
    spans = read_entities(example, units, writing, where)
    if isinstance(example, TaggedExample):
        return example.tags
    if spans is None:
        return None
    try:
        return write_tags(spans, len(units), writing.scheme)
    except DataError as error:
        cure = "tags know no entity within another one: take objective.kind=span_classification, which does"
        marks = sorted(example.marks or ())
        got = next(pair for pair in pairwise(marks) if pair[1].start < pair[0].end)
        texts = tuple(example.text[mark.start : mark.end] for mark in got)
        raise DataError(f"{where}:{example.line}", error.what, got=texts, cure=cure) from None


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
    room = Room.of(tokenizer, max_length)
    number_of = {label: number for number, label in enumerate(labels)}
    counts: Counter[str] = Counter()
    num_lost = num_empty = 0
    of_windows: defaultdict[str, list[int]] = defaultdict(list)
    of_tokens: defaultdict[str, list[np.ndarray]] = defaultdict(list)
    for number, example in enumerate(examples):
        units = lay_units(example, writing.unit)
        aligned, tags = align(tokenizer, units), read_tags(example, units, writing, where)
        for place, tag in enumerate(tags or ()):
            if tag not in number_of:
                line = example.line_of(place) if isinstance(example, TaggedExample) else example.line
                raise refuse_label(tag, labels, f"{where}:{line}")
        counts.update(span.type for span in read_spans(tags or (), writing.scheme))
        known = np.full(len(units), UNLABELLED) if tags is None else np.array([number_of[tag] for tag in tags], int)
        is_there = aligned.firsts >= 0
        num_lost += int((~is_there).sum())
        num_empty += not is_there.any()
        unit_of, tag_of = (np.full(len(aligned.input_ids), beside, dtype=np.int64) for beside in (-1, UNLABELLED))
        unit_of[aligned.firsts[is_there]] = np.flatnonzero(is_there)
        tag_of[aligned.firsts[is_there]] = known[is_there]
        windows = room.cut(len(unit_of))
        for place, window in enumerate(windows):
            of_windows["example"].append(number)
            of_windows["is_start"].append(place == 0)
            of_windows["is_end"].append(place == len(windows) - 1)
            here = slice(window.start, window.end)
            places = np.arange(window.start, window.end)
            is_own = (places >= window.low) & (places < window.high)
            of_tokens["input_ids"].append(room.frame(aligned.input_ids, window))
            for name, values, beside in (("unit", unit_of, -1), ("tag", tag_of, UNLABELLED)):
                of_tokens[name].append(room.spread(np.where(is_own, values[here], beside), beside))
    sizes = np.array([len(ids) for ids in of_tokens["input_ids"]], dtype=np.int32)
    notes = [f"{len(labels)} tags of {writing.scheme} by {writing.unit}", f"{len(sizes)} windows"]
    notes += [f"{num_lost} {writing.unit}s of which the tokenizer leaves nothing"] if num_lost else []
    joined = {name: np.concatenate(parts) for name, parts in of_tokens.items()}
    types = dict.fromkeys(split_tag(label).type for label in labels if label != "O")
    by_type = {kind: counts[kind] for kind in types}
    return FlatSamples(
        joined.pop("input_ids"),
        sizes,
        EncodingReport(len(examples), num_empty, 0, 0, by_type, tuple(notes), counts_entities=True),
        label_names=tuple(labels),
        of_rows={
            "example": np.array(of_windows["example"], dtype=np.int64),
            "is_start": np.array(of_windows["is_start"], dtype=bool),
            "is_end": np.array(of_windows["is_end"], dtype=bool),
        },
        of_tokens=joined,
        examples=examples,
    )
