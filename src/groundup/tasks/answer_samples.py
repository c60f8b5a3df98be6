"""Questions on passages as samples: the question in front, then a window of the passage (Devlin et al. 2018, 4.2)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Int32

from groundup.errors import DataError
from groundup.readers.examples import Answer, QuestionExample
from groundup.readers.questions import find_answer_fault, mend_answer
from groundup.text.passage import Passage, lay_windows, trim
from groundup.text.sample import UNLABELLED, EncodingReport, FlatSamples
from groundup.text.tokenizer import Tokenizer

_REMEMBERED: Final = 64
"""Passages that are kept while the questions on them are encoded, which mostly follow each other."""
_NOTES: Final = {
    "mended": "answers put right that stood elsewhere",
    "unplaced": "answers not learnt from, their place is not sure",
    "unseen": "answers not learnt from, no token stands for them",
    "long": "answers longer than objective.max_answer_length",
    "split": "answers whole in no window",
    "inside": "answers that begin or end inside a token",
}


@dataclass(frozen=True)
class Reading:
    """How questions and passages are laid out, and what is expected of answers."""

    max_length: int
    stride: int
    max_question_length: int
    max_answer_length: int
    allows_none: bool
    """Whether a question may have no answer."""
    repairs: bool
    """Whether answers that do not stand where they are said to are put right."""


class Span(NamedTuple):
    """The tokens of an answer in its passage, the last included."""

    first: int
    last: int


class _Row(NamedTuple):
    """A window with its question in front."""

    input_ids: Int32[np.ndarray, " length"]
    token_type_ids: Int32[np.ndarray, " length"]
    of_row: Mapping[str, int]
    first: Int32[np.ndarray, " length"]
    last: Int32[np.ndarray, " length"]


def encode_questions(
    examples: Sequence[QuestionExample], tokenizer: Tokenizer, reading: Reading, where: str
) -> FlatSamples:
    """Every window of every question as a sample.

    Targets of a window: `start` and `end`, the tokens of the first answer that lies in it, `null` where none does, and
    UNLABELLED where nothing is known; `null`, the token that stands for no answer; `question`, the number of its
    example. Of a token: `first`, its first character in the passage, where an answer may start with it, else -1;
    `last`, the character behind it, where one may end.

    Raises:
        DataError: names the line and id of what is no question, of an id that stands twice, of an answer that does not
            stand where it is said to, or of none where there must be one.
    """
    if not examples:
        raise DataError(where, "holds no question", cure="check the file")
    _check_ids(examples, where)
    counts: Counter[str] = Counter()
    questions = tokenizer.encode_plain([example.question for example in examples])
    read = lru_cache(_REMEMBERED)(partial(Passage.read, tokenizer))
    frame, rows = _Frame.of(tokenizer), []
    for number, (example, ids) in enumerate(zip(examples, questions, strict=True)):
        passage = read(example.passage)
        if not passage.can_start.any():
            what, cure = f"the passage of {example.id!r} holds no text", "fill it in or remove it"
            raise DataError(_place(example, where), what, got=example.passage, cure=cure)
        counts["empty"] += len(ids) == 0
        spans = find_spans(example, passage, reading, counts, where)
        counts["cut"] += len(ids) > reading.max_question_length
        counts["lost"] += max(0, len(ids) - reading.max_question_length)
        rows += frame.lay(number, ids[: reading.max_question_length], passage, spans, reading, counts)
    named = [f"{counts[name]} {text}" for name, text in _NOTES.items() if counts[name]]
    report = EncodingReport(
        num_rows=len(examples),
        num_empty=counts["empty"],
        num_truncated=counts["cut"],
        tokens_lost=counts["lost"],
        notes=(f"{len(rows)} windows", *named),
    )
    return FlatSamples(
        np.concatenate([row.input_ids for row in rows]).astype(np.int32, copy=False),
        np.array([len(row.input_ids) for row in rows], dtype=np.int32),
        report,
        np.concatenate([row.token_type_ids for row in rows]).astype(np.int32, copy=False),
        of_rows={name: np.array([row.of_row[name] for row in rows], dtype=np.int64) for name in rows[0].of_row},
        of_tokens={
            "first": np.concatenate([row.first for row in rows]),
            "last": np.concatenate([row.last for row in rows]),
        },
        examples=examples,
    )


def find_spans(
    example: QuestionExample, passage: Passage, reading: Reading, counts: Counter[str], where: str
) -> list[Span] | None:
    """The tokens of each answer; None where nothing is known, nothing where there is no answer."""
    if example.answers is None:
        return None
    if not example.answers and not reading.allows_none:
        what = f"question {example.id!r} has no answer"
        raise DataError(_place(example, where), what, cure="set objective.no_answer=true if such questions are meant")
    spans = []
    for answer in example.answers:
        placed = _place_answer(example, answer, reading, counts, where)
        if placed is None:
            counts["unplaced"] += 1
            continue
        characters = trim(example.passage, placed.start, placed.start + len(placed.text))
        found = passage.find_tokens(*characters)
        if found is None:
            counts["unseen"] += 1
            continue
        counts["inside"] += passage.find_characters(*found) != characters
        counts["long"] += found[1] - found[0] >= reading.max_answer_length
        spans.append(Span(*found))
    return spans if spans or not example.answers else None


@dataclass(frozen=True)
class _Frame:
    """The special tokens around a question and a window, and which of them stands for no answer."""

    tokenizer: Tokenizer
    sizes: tuple[int, ...]
    null: int
    """Its place, counted from the end where it stands behind the window, as XLNet's does."""

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> _Frame:
        before, between, after = tokenizer.pair_parts
        sizes = (len(before), len(between), len(after))
        places = {int(index): place for place, index in enumerate(before)}
        places |= {int(index): place - len(after) for place, index in enumerate(after) if int(index) not in places}
        return cls(tokenizer, sizes, 0 if tokenizer.cls_id is None else places.get(tokenizer.cls_id, 0))

    def lay(
        self,
        number: int,
        question: Int32[np.ndarray, " question"],
        passage: Passage,
        spans: Sequence[Span] | None,
        reading: Reading,
        counts: Counter[str],
    ) -> Iterator[_Row]:
        """The windows of one question."""
        offset = self.sizes[0] + len(question) + self.sizes[1]
        windows = lay_windows(len(passage.input_ids), reading.max_length - offset - self.sizes[2], reading.stride)
        firsts = np.where(passage.can_start, passage.starts, -1).astype(np.int32)
        lasts = np.where(passage.can_end, passage.ends, -1).astype(np.int32)
        for start, end in windows:
            encoded = self.tokenizer.join_pair(question, passage.input_ids[start:end])
            length = len(encoded.input_ids)
            null = self.null % length
            inside = [span for span in spans or () if start <= span.first and span.last < end]
            # A window that holds a part of an answer holds none (Devlin et al. 2018, run_squad).
            target = (inside[0].first - start + offset, inside[0].last - start + offset) if inside else (null, null)
            target = (UNLABELLED, UNLABELLED) if spans is None else target
            of_row = {"start": target[0], "end": target[1], "null": null, "question": number}
            first, last = (np.full(length, -1, dtype=np.int32) for _ in range(2))
            first[offset : offset + end - start] = firsts[start:end]
            last[offset : offset + end - start] = lasts[start:end]
            yield _Row(encoded.input_ids, encoded.token_type_ids, of_row, first, last)
        counts["split"] += sum(
            not any(start <= span.first and span.last < end for start, end in windows) for span in spans or ()
        )


def _place_answer(
    example: QuestionExample, answer: Answer, reading: Reading, counts: Counter[str], where: str
) -> Answer | None:
    fault = find_answer_fault(example.passage, answer)
    if fault is None:
        return answer
    mended = mend_answer(example.passage, answer)
    if not reading.repairs:
        cure = "correct it" if mended is None else f"it stands at {mended.start}; correct it"
        what = f"an answer to question {example.id!r} {fault}"
        cure += ", or set objective.repair=true to learn from what is sure and only score by the rest"
        raise DataError(_place(example, where), what, got=(answer.text, answer.start), cure=cure)
    counts["mended"] += mended is not None
    return mended


def _check_ids(examples: Sequence[QuestionExample], where: str) -> None:
    line_of: dict[str, int] = {}
    for example in examples:
        if example.answers is None:  # questions that are typed have no ids of their own
            continue
        if example.id in line_of:
            cure = f"line {line_of[example.id]} has it too; give every question an id of its own"
            raise DataError(_place(example, where), "has an id that stands twice", got=example.id, cure=cure)
        line_of[example.id] = example.line


def _place(example: QuestionExample, where: str) -> str:
    return f"{where}:{example.line}"
