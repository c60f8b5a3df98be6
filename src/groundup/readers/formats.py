"""How the files of data sets are written, each format with the data sets that are released in it.

A format reads the files of one split, one example at a time. Whatever does not keep to it is a DataError that names the
file and the line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from groundup.errors import DataError
from groundup.readers.examples import AnyExample, ChoiceExample, Mark, SpanExample, TaggedExample, TranslationExample
from groundup.readers.lines import Line, TextEncoding, iterate_whole_lines, place
from groundup.readers.records import Layout, iterate_rows
from groundup.readers.source import ExampleKind
from groundup.readers.table import Columns, Example, iterate_examples, take_field

Kind = ExampleKind | Literal["translation"]


@runtime_checkable
class Format(Protocol):
    """How a split is written."""

    @property
    def kind(self) -> Kind:
        """Which kind of example it holds."""
        ...

    def read(self, files: Sequence[Path]) -> Iterator[AnyExample]:
        """The examples of a split, in the order of its files."""
        ...


@dataclass(frozen=True)
class TableFormat:
    """Rows of csv, tsv, jsonl or parquet with a text or a pair, and mostly a label."""

    columns: Columns
    layout: Layout = field(default_factory=Layout)
    label_names: Mapping[str, str] | None = None
    """What is written for a label, and its name; None: the label is its name."""
    unlabelled: str | None = None
    """What stands for a label where annotators found none: such rows are left out, as their publishers say."""
    coarse: str | None = None
    """What parts the coarse label from the fine one; the coarse one is taken."""
    kind: Kind = "text"

    def read(self, files: Sequence[Path]) -> Iterator[Example]:
        """The rows; in a file without the column of labels they have none."""
        (file,) = files
        for row in iterate_examples(file, self.layout, self.columns, needs_label=False, allows_empty=True):
            label = row.label
            if label is not None and label == self.unlabelled:
                continue
            if label is not None and self.coarse is not None:
                label = label.split(self.coarse)[0]
            if label is not None and self.label_names is not None:
                label = self._name(label, place(file, "", row.line))
            yield row._replace(label=label)

    def _name(self, label: str, here: str) -> str:
        assert self.label_names is not None
        if label not in self.label_names:
            known = ", ".join(self.label_names)
            raise DataError(here, "has a label that this data set has not", got=label, cure=f"labels are {known}")
        return self.label_names[label]


@dataclass(frozen=True)
class TreeFormat:
    """A bracketed tree a line, each part with its label, as the Stanford Sentiment Treebank is released."""

    kind: Kind = "text"

    def read(self, files: Sequence[Path]) -> Iterator[Example]:
        """The words of each tree with the label of its root."""
        (file,) = files
        for line in iterate_whole_lines(file):
            if not line.text.strip():
                continue
            root = re.match(r"\s*\((\w+) ", line.text)
            if root is None or line.text.count("(") != line.text.count(")"):
                raise DataError(
                    place(file, "", line.number), "is no tree", got=line.text, cure="write (3 (2 a) (4 film))"
                )
            words = [
                word.replace("-LRB-", "(").replace("-RRB-", ")") for word in re.findall(r" ([^()\s]+)\)", line.text)
            ]
            yield Example(" ".join(words), None, root[1], line.number)


@dataclass(frozen=True)
class ColumnsFormat:
    """A token a line, its tag in another column, a blank line after each sentence (CoNLL)."""

    tag: int = -1
    """The column of the tag."""
    encoding: TextEncoding = "utf-8"
    has_positions: bool = False
    """Whether a digit behind each character tells its place in a word: it is no part of the text."""
    replaces_broken: bool = False
    """Whether the released files hold bytes that are no text, which become U+FFFD."""
    kind: Kind = "tags"

    def read(self, files: Sequence[Path]) -> Iterator[TaggedExample]:
        """The sentences; a line that begins a document, `-DOCSTART-`, belongs to none."""
        (file,) = files
        tokens: list[str] = []
        tags: list[str] = []
        start = 0
        for line in iterate_whole_lines(file, self.encoding, replaces_broken=self.replaces_broken):
            if not line.text.strip() or line.text.startswith("-DOCSTART-"):
                if tokens:
                    yield TaggedExample(tuple(tokens), tuple(tags), start, has_lines=True)
                    tokens, tags = [], []
                continue
            token, tag = self._split(line, file)
            start = start if tokens else line.number
            tokens.append(token)
            tags.append(tag)
        if tokens:
            yield TaggedExample(tuple(tokens), tuple(tags), start, has_lines=True)

    def _split(self, line: Line, file: Path) -> tuple[str, str]:
        fields = line.text.split("\t") if "\t" in line.text else line.text.split()
        if len(fields) < 2 or not -len(fields) <= self.tag < len(fields):
            cure = "write a token and its tag, or a blank line after a sentence"
            raise DataError(place(file, "", line.number), "has no column for the tag", got=line.text, cure=cure)
        token = fields[0][:-1] if self.has_positions and fields[0][-1:].isdigit() and len(fields[0]) > 1 else fields[0]
        return token, fields[self.tag].strip()


@dataclass(frozen=True)
class ParallelTagsFormat:
    """Two files, tokens with spaces between them and their tags, line by line."""

    kind: Kind = "tags"

    def read(self, files: Sequence[Path]) -> Iterator[TaggedExample]:
        """The sentences."""
        for first, second, number in _iterate_pairs(files):
            tokens, tags = first.split(), second.split()
            if len(tokens) != len(tags):
                here, got = place(files[1], "", number), (len(tokens), len(tags))
                raise DataError(here, f"has not as many tags as {files[0].name} has tokens", got=got)
            if tokens:
                yield TaggedExample(tuple(tokens), tuple(tags), number)


@dataclass(frozen=True)
class ParallelTextFormat:
    """Two files, a text in one language and in another, line by line."""

    kind: Kind = "translation"

    def read(self, files: Sequence[Path]) -> Iterator[TranslationExample]:
        """The pairs."""
        for source, target, number in _iterate_pairs(files):
            yield TranslationExample(source, target, number)


@dataclass(frozen=True)
class MarkedTextFormat:
    """JSON lines `{"text", "label": {type: {surface: [[first, last]]}}}`, as CLUENER is released: last is inside."""

    kind: Kind = "spans"

    def read(self, files: Sequence[Path]) -> Iterator[SpanExample]:
        """The texts; one without the key `label` has no marks."""
        (file,) = files
        for row in iterate_rows(file, Layout(objects=True)):
            here = place(file, "", row.line)
            text = row.fields.get("text")
            if not isinstance(text, str):
                raise DataError(here, "has no text", got=text, cure='write {"text": "...", "label": {}}')
            label = row.fields.get("label")
            yield SpanExample(text, None if label is None else tuple(sorted(find_marks(text, label, here))), row.line)


@dataclass(frozen=True)
class ChoiceTableFormat:
    """Rows with a context, a question, a column for each choice and the number of the right one (SWAG)."""

    context: str
    question: str
    choices: tuple[str, ...]
    answer: str
    layout: Layout = field(default_factory=Layout)
    kind: Kind = "choice"

    def read(self, files: Sequence[Path]) -> Iterator[ChoiceExample]:
        """The rows; in a file without the column of answers they have none."""
        (file,) = files
        for row in iterate_rows(file, self.layout):
            context, question, *choices = (
                str(take_field(row, column, "columns", file, ""))
                for column in (self.context, self.question, *self.choices)
            )
            answer = row.fields.get(self.answer)
            if answer is not None and not (str(answer).isdigit() and int(str(answer)) < len(choices)):
                here = place(file, "", row.line)
                raise DataError(here, "names no choice as right", got=answer, cure=f"write 0 to {len(choices) - 1}")
            yield ChoiceExample(
                context, question, tuple(choices), None if answer is None else int(str(answer)), row.line
            )


def _iterate_pairs(files: Sequence[Path]) -> Iterator[tuple[str, str, int]]:
    first, second = (iterate_whole_lines(file) for file in files)
    for line in first:
        other = next(second, None)
        if other is None:
            raise DataError(place(files[1], "", line.number), f"is missing, {files[0].name} has this line")
        yield line.text, other.text, line.number
    extra = next(second, None)
    if extra is not None:
        raise DataError(place(files[1], "", extra.number), f"is too much, {files[0].name} has no such line")


def find_marks(text: str, label: object, here: str) -> Iterator[Mark]:
    """The entities of a text in `{type: {surface: [[first, last]]}}`. Raises DataError for one that is not there."""
    if not isinstance(label, Mapping):
        raise DataError(here, "has a label that is no object", got=label, cure='write {"type": {"surface": [[0, 3]]}}')
    for kind, surfaces in label.items():
        if not isinstance(surfaces, Mapping):
            raise DataError(here, f"has a label {kind!r} that is no object", got=surfaces)
        for surface, places in surfaces.items():
            for each in places if isinstance(places, list) else [places]:
                if not (isinstance(each, list) and len(each) == 2 and all(isinstance(number, int) for number in each)):
                    raise DataError(here, f"has no first and last character for {surface!r}", got=each)
                first, last = each
                if text[first : last + 1] != surface:
                    got = text[first : last + 1]
                    raise DataError(here, f"has at {first} to {last} another text than {surface!r}", got=got)
                yield Mark(first, last + 1, str(kind))
