"""What stands in a split of a data set, found in one pass over its examples: sizes, labels, repetitions and faults."""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from groundup.language.scripts import is_cjk
from groundup.language.tags import Scheme, find_faults, find_schemes, read_spans_loosely
from groundup.readers.examples import (
    AnyExample,
    ChoiceExample,
    QuestionExample,
    SpanExample,
    TaggedExample,
    TranslationExample,
)
from groundup.readers.questions import find_answer_fault
from groundup.readers.table import Example
from groundup.verbs.findings import Finding, Notes, find_repeats


@dataclass(frozen=True)
class Look:
    """One split."""

    name: str
    files: tuple[str, ...]
    count: int
    unit: str
    """What lengths count: characters or tokens."""
    lengths: dict[str, int]
    """Of the shortest, the median, the 99th hundredth and the longest."""
    labels: dict[str, int]
    """How often each stands there, the commonest first; types of entities for tags and spans; empty for numbers."""
    numbers: dict[str, float]
    """Where labels are numbers: the lowest, the median, the mean, the standard deviation, the highest."""
    unlabelled: int
    bare: int | None
    """Rows with none of the labels of which they may have several; None where a row has one."""
    findings: tuple[Finding, ...]
    samples: tuple[str, ...]

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        return asdict(self)


class _Seen(NamedTuple):
    """What one example comes to."""

    text: tuple[str, ...]
    """What makes it the same as another."""
    shared: str | None
    """What must not stand in training too: the passage of a question; None: the text."""
    length: int
    labels: tuple[str, ...] | None
    faults: tuple[tuple[str, str], ...]
    """What is wrong, and what stands there."""
    line: int
    sample: str


@dataclass
class Training:
    """What a training split holds, to compare others with."""

    texts: set[bytes] = field(default_factory=set)
    labels: set[str] = field(default_factory=set)
    schemes: tuple[Scheme, ...] = ()
    """Those that all of its tags keep to."""


def look_at(
    name: str,
    files: Sequence[str],
    examples: Iterable[AnyExample],
    *,
    known: Iterable[str] | None = None,
    scheme: Scheme | None = None,
    training: Training | None = None,
    is_number: bool = False,
    num_samples: int = 3,
) -> tuple[Look, Training]:
    """Go through a split once.

    Args:
        name: of the split.
        files: its files, of which the last holds the lines that findings name.
        examples: in their order.
        known: the labels that the data set has; None where any may stand.
        scheme: of its tags; None finds one that fits.
        training: what training holds, where this is another split.
        is_number: whether labels are numbers; they are, too, where all of them can be read as one and some have a dot.
        num_samples: examples to show, drawn by their content.
    """
    notes = Notes(files[-1])
    own, kinds = Training(), set(known) if known is not None else None
    label_of: dict[bytes, tuple[str, ...] | None] = {}
    counts: Counter[str] = Counter()
    lengths: list[int] = []
    ids: set[str] = set()
    samples: list[tuple[bytes, str]] = []
    tagged: list[TaggedExample] = []
    unseen: list[tuple[int, str]] = []
    unlabelled: list[tuple[int, str]] = []
    bare: int | None = None
    unit, is_classified = "characters", False
    for example in examples:
        seen = _see(example)
        digest, shared = _digest(seen.text), _digest((seen.shared,) if seen.shared is not None else seen.text)
        lengths.append(seen.length)
        if digest not in label_of:
            heapq.heappush(samples, (bytes(255 - byte for byte in digest), seen.sample))
            if len(samples) > num_samples:
                heapq.heappop(samples)
        for what, found in seen.faults:
            notes.add(what, seen.line, found)
        if digest in label_of:
            same = _are_alike(label_of[digest], seen.labels)
            notes.add(
                "stands there before" if same else "stands there before with another label", seen.line, seen.sample
            )
        label_of.setdefault(digest, seen.labels)
        own.texts.add(shared)
        if training is not None and shared in training.texts:
            notes.add("stands in training too", seen.line, seen.shared or seen.sample)
        is_classified = isinstance(example, Example) and example.labels is None
        if isinstance(example, QuestionExample):
            if example.id in ids:
                notes.add("has the id of another question", seen.line, example.id)
            ids.add(example.id)
        if isinstance(example, TaggedExample):
            unit = "tokens"
            tagged.append(example)
        if seen.labels is None:
            unlabelled.append((seen.line, seen.sample))
            continue
        if isinstance(example, Example) and example.labels is not None:
            bare = (bare or 0) + (not example.labels)
        counts.update(seen.labels)
        for label in set(seen.labels):
            if kinds is not None and label not in kinds:
                notes.add("has a label that this data set has not", seen.line, label)
            is_new = training is not None and training.labels and label not in training.labels
            if is_new and not isinstance(example, ChoiceExample):  # the place of a choice says nothing
                unseen.append((seen.line, label))
    own.labels = set(counts)
    numbers = _read_numbers(counts, is_number) if is_classified else None
    for line, label in unseen if numbers is None else ():
        notes.add("has a label that training never saw", line, label)
    own.schemes = _check_tags(tagged, scheme, notes, () if training is None else training.schemes)
    for line, sample in unlabelled if own.labels else ():
        notes.add("has no label, where others have", line, sample)
    if is_classified and numbers is None:
        _check_labels(counts, len(lengths) - len(unlabelled), notes, known=kinds)
    chosen = tuple(sample for _, sample in sorted(samples, reverse=True))
    found = _quantiles(lengths)
    labels = {} if numbers is not None else dict(counts.most_common())
    summary = {} if numbers is None else _summarise(numbers)
    faults = notes.findings()
    look = Look(name, tuple(files), len(lengths), unit, found, labels, summary, len(unlabelled), bare, faults, chosen)
    return look, own


def _see(example: AnyExample) -> _Seen:
    if isinstance(example, Example):
        texts = (example.text,) if example.pair is None else (example.text, example.pair)
        faults = [("is empty", "") for text in texts if not text.strip()] + list(find_repeats(example))
        labels = example.label_names
        head = "" if labels is None else f"[{'; '.join(labels)}] "
        return _Seen(texts, None, sum(map(len, texts)), labels, tuple(faults), example.line, head + " | ".join(texts))
    if isinstance(example, TaggedExample):
        spans = read_spans_loosely(example.tags)
        faults = [
            ("has an empty token", tag) for token, tag in zip(example.tokens, example.tags, strict=True) if not token
        ]
        shown = " ".join(
            token if tag == "O" else f"{token}/{tag}" for token, tag in zip(example.tokens, example.tags, strict=True)
        )
        kinds = tuple(span.type for span in spans)
        return _Seen(example.tokens, None, len(example.tokens), kinds, tuple(faults), example.line, shown)
    if isinstance(example, SpanExample):
        marks = example.marks or ()
        shown = "; ".join(f"{example.text[mark.start : mark.end]}={mark.type}" for mark in marks)
        faults = [("is empty", "")] if not example.text.strip() else []
        what = "has an entity that cuts a word: are these characters, not bytes or UTF-16 units?"
        cut = [mark for mark in marks if _cuts(example.text, mark.start) or _cuts(example.text, mark.end)]
        faults += [(what, example.text[mark.start : mark.end]) for mark in cut]
        kinds = None if example.marks is None else tuple(mark.type for mark in marks)
        return _Seen(
            (example.text,), None, len(example.text), kinds, tuple(faults), example.line, f"{example.text} [{shown}]"
        )
    if isinstance(example, QuestionExample):
        return _see_question(example)
    if isinstance(example, TranslationExample):
        faults = [("is empty on one side", "") for text in (example.source, example.target) if not text.strip()]
        both = (example.source, example.target)
        return _Seen(both, None, len(example.source), None, tuple(faults), example.line, " | ".join(both))
    return _see_choice(example)


def _cuts(text: str, at: int) -> bool:
    """Whether a place has letters of a script with spaces on both sides."""
    return 0 < at < len(text) and all(char.isalpha() and not is_cjk(char) for char in text[at - 1 : at + 1])


def _see_question(example: QuestionExample) -> _Seen:
    faults = [("has an empty question or passage", example.id)] * (
        not example.question.strip() or not example.passage.strip()
    )
    for answer in example.answers or ():
        fault = find_answer_fault(example.passage, answer)
        if fault is not None:
            # How far an answer is off differs each time: that it is off is one finding.
            what = "has an answer at another place" if fault.startswith("stands") else f"has an answer that {fault}"
            faults.append((what, f"{example.id}: {answer.text}"))
    labels = None if example.answers is None else ("answerable" if example.answers else "unanswerable",)
    shown = "no answer" if example.answers == () else "; ".join(answer.text for answer in example.answers or ())
    text = (example.question, example.passage)
    sample = f"{example.question} -> {shown}"
    return _Seen(text, example.passage, len(example.passage), labels, tuple(faults), example.line, sample)


def _see_choice(example: ChoiceExample) -> _Seen:
    text = (example.context, example.question, *example.choices)
    labels = None if example.answer is None else (str(example.answer),)
    shown = "" if example.answer is None else f" -> {example.choices[example.answer]}"
    sample = f"{example.question}{shown}"
    return _Seen(text, None, sum(map(len, text)), labels, find_repeats(example), example.line, sample)


def _check_tags(
    tagged: Sequence[TaggedExample], scheme: Scheme | None, notes: Notes, of_training: Sequence[Scheme]
) -> tuple[Scheme, ...]:
    """The schemes that the tags keep to."""
    if not tagged:
        return ()
    fitting = find_schemes(each.tags for each in tagged)
    if scheme is None and not fitting:
        letters = "".join(sorted({tag[:1] for each in tagged for tag in each.tags}))
        what = "no scheme of tags fits: they are broken, or schemes are mixed"
        notes.add(what, None, f"letters in use: {letters}")
        scheme = "bmes" if "M" in letters else "bioes" if "E" in letters or "S" in letters else "iob2"
    elif scheme is None and of_training and not set(of_training) & set(fitting):
        scheme = of_training[0]  # what training shows is what all splits must keep to
    for each in tagged if scheme is not None and scheme not in fitting else ():
        for fault in find_faults(each.tags, scheme):
            notes.add(f"breaks {scheme}", each.line_of(fault.place), f"{fault.tag} {fault.why}")
    return tuple(fitting)


def _check_labels(counts: Counter[str], labelled: int, notes: Notes, *, known: set[str] | None) -> None:
    if labelled > 1 and len(counts) == 1:
        notes.add("all examples have one label", None, next(iter(counts)))
    if known is None and len(counts) > max(20, labelled // 2):
        notes.add("nearly every example has a label of its own", None, f"{len(counts)} labels, {labelled} examples")


def _are_alike(one: tuple[str, ...] | None, other: tuple[str, ...] | None) -> bool:
    """Whether labels are the same, in whatever way a number is written."""
    if one is None or other is None or len(one) != 1 or len(other) != 1:
        return one == other
    return one == other or (_is_number(one[0]) and _is_number(other[0]) and float(one[0]) == float(other[0]))


def _is_number(label: str) -> bool:
    try:
        return math.isfinite(float(label))
    except ValueError:
        return False


def _read_numbers(counts: Counter[str], is_number: bool) -> Float64[np.ndarray, " numbers"] | None:
    """The labels as numbers, each as often as it stands there; None where they are names."""
    is_number = is_number or any("." in label for label in counts)
    if not counts or not is_number or not all(map(_is_number, counts)):
        return None
    return np.repeat([float(label) for label in counts], list(counts.values()))


def _summarise(numbers: Float64[np.ndarray, " numbers"]) -> dict[str, float]:
    found = {"lowest": numbers.min(), "median": np.median(numbers), "mean": numbers.mean()}
    return {
        name: float(value) for name, value in (found | {"deviation": numbers.std(), "highest": numbers.max()}).items()
    }


def _quantiles(lengths: Sequence[int]) -> dict[str, int]:
    if not lengths:
        return {}
    shares = {"shortest": 0.0, "median": 0.5, "99%": 0.99, "longest": 1.0}
    return {name: int(np.quantile(lengths, share, method="nearest")) for name, share in shares.items()}


def _digest(texts: Iterable[str]) -> bytes:
    """Of a text, whatever white space stands around its words."""
    joined = "\x1f".join(" ".join(text.split()) for text in texts)
    return blake2b(joined.encode("utf-8", "surrogatepass"), digest_size=16).digest()
