"""Tagged text in files of one's own: a token a line, a row a sentence, or texts with entities by character."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal

from groundup.errors import DataError
from groundup.readers.examples import Mark, SpanExample, TaggedExample
from groundup.readers.formats import ColumnsFormat
from groundup.readers.lines import place
from groundup.readers.records import Layout, Row, iterate_rows
from groundup.readers.source import ExampleKind, FileSource
from groundup.readers.table import Column, find_column, take_field

_OBJECTS: Final = (".jsonl", ".ndjson", ".parquet")
_TABLES: Final = (".csv", ".tsv")
_TOKENS: Final = ("tokens", "words")
_TAGS: Final = ("tags", "ner_tags", "labels")
_MARKS: Final = ("spans", "entities", "label")
_CURE_MARK: Final = 'write [start, end, "TYPE"] or {"start": 0, "end": 2, "label": "TYPE"}; characters count from 0'


class TaggedConfig(FileSource):
    """Files of tagged text: a token a line (CoNLL), csv with a token a row, or jsonl with tokens and tags or spans."""

    kind: Literal["tagged"] = "tagged"
    token: Column = "token"
    """In csv and tsv with a header, the column of the token."""
    tag: Column | None = None
    """The column of the tag; null: `tag` where columns have names, or else the last one."""
    sentence: Column = "sentence"
    """In csv and tsv with a header, the column that tells which sentence a token is in: a number or a name."""
    header: bool | None = None
    """Whether the first line names the columns; null: in .csv yes, elsewhere no."""

    @property
    def example_kind(self) -> ExampleKind:
        """Tokens with a tag each; texts with spans go the same way."""
        return "tags"

    @property
    def has_pair(self) -> bool:
        """One text each."""
        return False

    def iterate_fields(self, path: Path) -> Iterator[Row]:
        """Those of objects; `tokens` and `tags` where a token has a line."""
        if path.suffix.lower() in _OBJECTS:
            yield from iterate_rows(path, Layout(encoding=self.encoding))
            return
        for example in self.iterate_file(path):
            assert isinstance(example, TaggedExample)
            yield Row(example.line, {"tokens": list(example.tokens), "tags": list(example.tags)}, 0)

    def iterate_file(
        self, path: Path, where: str = "", *, needs_label: bool = False
    ) -> Iterator[TaggedExample | SpanExample]:
        """The examples of a file, one at a time."""
        suffix = path.suffix.lower()
        if suffix in _OBJECTS:
            for row in iterate_rows(path, Layout(encoding=self.encoding), where):
                yield _read_object(row, path, where, needs_label=needs_label)
        elif suffix == ".csv" if self.header is None else self.header:
            if suffix not in _TABLES:
                cure = "name the file .csv or .tsv, or set `header: false`"
                raise DataError(place(path, where), "can have no header", got=path.suffix, cure=cure)
            yield from self._read_rows(path, where)
        else:
            if isinstance(self.tag, str):
                cure = "give its number, counted from 0; -1 is not needed: null is the last one"
                raise DataError(place(path, where), "names no columns, so `tag` cannot", got=self.tag, cure=cure)
            form = ColumnsFormat(-1 if self.tag is None else self.tag, self.encoding)
            yield from form.read((path,))

    def _read_rows(self, path: Path, where: str) -> Iterator[TaggedExample]:
        """The sentences of a table with a token a row; a sentence ends where its column says another one."""
        tokens: list[str] = []
        tags: list[str] = []
        before: object = None
        begun: set[object] = set()
        start = 0
        for row in iterate_rows(path, Layout(encoding=self.encoding), where):
            here = place(path, where, row.line)
            sentence = take_field(row, self.sentence, "sentence", path, where)
            token, tag = (
                str(take_field(row, column, setting, path, where))
                for column, setting in ((self.token, "token"), ("tag" if self.tag is None else self.tag, "tag"))
            )
            if not tag:
                raise DataError(here, "has no tag", cure="write O for a token in no entity")
            # In some files the name stands beside the first token alone.
            if sentence not in ("", before) and sentence in begun:
                cure = "its rows stand together; give every sentence a name of its own"
                raise DataError(here, "goes on with a sentence that has ended", got=sentence, cure=cure)
            begun.add(sentence)
            if tokens and sentence not in ("", before):
                yield TaggedExample(tuple(tokens), tuple(tags), start, has_lines=True)
                tokens, tags = [], []
            start = start if tokens else row.line
            before = before if sentence == "" else sentence
            tokens.append(token)
            tags.append(tag)
        if tokens:
            yield TaggedExample(tuple(tokens), tuple(tags), start, has_lines=True)


def _read_object(row: Row, path: Path, where: str, *, needs_label: bool) -> TaggedExample | SpanExample:
    here = place(path, where, row.line)
    tokens = _find(row.fields, _TOKENS)
    if tokens is not None:
        tags = _find(row.fields, _TAGS)
        if tags is None and not needs_label:
            # As if it were typed: what the tags are is asked for.
            return SpanExample(" ".join(_read_words(row.fields[tokens], tokens, here)), None, row.line)
        if tags is None:
            raise DataError(here, "has tokens and no tags", cure='write {"tokens": ["EU", "said"], "tags": ["B", "O"]}')
        words, named = (_read_words(row.fields[key], key, here) for key in (tokens, tags))
        if len(words) != len(named):
            raise DataError(here, "has not as many tags as tokens", got=(len(named), len(words)))
        return TaggedExample(words, named, row.line)
    text = row.fields.get("text")
    if not isinstance(text, str):
        cure = 'write {"tokens": [...], "tags": [...]} or {"text": "...", "spans": [[0, 2, "TYPE"]]}'
        raise DataError(here, "has neither tokens nor a text", got=text, cure=cure)
    marks = _find(row.fields, _MARKS)
    if marks is None and needs_label:
        raise DataError(here, "has a text and no spans", cure='write "spans": [] where there is no entity')
    return SpanExample(text, None if marks is None else read_marks(row.fields[marks], text, here), row.line)


def _find(fields: Mapping[str | int, object], names: Sequence[str]) -> str | None:
    return next((name for name in names if find_column(fields, name) is not None), None)


def _read_words(value: object, key: str, here: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise DataError(here, f"{key!r} is no list of words", got=value, cure='write ["one", "word", "each"]')
    return tuple(value)


def read_marks(value: object, text: str, here: str, *, is_found: bool = False) -> tuple[Mark, ...]:
    """The entities in a list of them, in order.

    Args:
        value: the list; each is `[start, end, "TYPE"]` or an object with these.
        text: what they stand in.
        here: the file with its line, for errors.
        is_found: whether they are of a tagger, whose tags may have no type, and units that are blank.

    Raises:
        DataError: one is no span of the text, or not the one that it says it is.
    """
    if not isinstance(value, list):
        raise DataError(here, "has spans that are no list", got=value, cure=_CURE_MARK)
    return tuple(sorted(_read_mark(each, text, here, is_found=is_found) for each in value))


def _read_mark(value: object, text: str, here: str, *, is_found: bool) -> Mark:
    if isinstance(value, Mapping):
        parts = [value.get("start"), value.get("end"), value.get("label", value.get("type"))]
        surface = value.get("text")
    else:
        parts = list(value) if isinstance(value, list) else []
        surface = parts.pop() if len(parts) == 4 else None
    is_whole = len(parts) == 3 and all(isinstance(each, int) and not isinstance(each, bool) for each in parts[:2])
    if not is_whole or not isinstance(parts[2], str) or not (parts[2] or is_found):
        raise DataError(here, "has a span that is none", got=value, cure=_CURE_MARK)
    start, end, kind = parts
    if not 0 <= start < end <= len(text):
        cure = "the end is behind the last character; count characters (code points), not bytes or UTF-16 units"
        raise DataError(here, f"has a span outside of its {len(text)} characters", got=(start, end, kind), cure=cure)
    if surface is not None and text[start:end] != surface:
        cure = "count characters (code points) from 0, not bytes or UTF-16 units"
        raise DataError(here, f"has at {start} to {end} another text than {surface!r}", got=text[start:end], cure=cure)
    if not is_found and text[start:end] != text[start:end].strip():
        cure = "leave them out; count characters (code points), not bytes or UTF-16 units"
        raise DataError(here, "has a span with blanks at its ends", got=text[start:end], cure=cure)
    return Mark(start, end, kind)
