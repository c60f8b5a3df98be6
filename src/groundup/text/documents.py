"""Files to documents, and long documents to pieces, in bounded memory and always in the same way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from groundup.errors import DataError
from groundup.language.sentences import split_sentences
from groundup.readers.lines import Line, find_files, iterate_lines, place
from groundup.readers.records import iterate_rows
from groundup.readers.table import take_field
from groundup.text.corpus_config import CorpusFiles
from groundup.text.cut import CONTEXT, IsSafe, always_safe, find_cut

PIECE_CHARS = 1 << 15
"""Documents longer than twice this are cut into pieces of about this size."""

_LONGEST_UNCUT = 1 << 20
_COLUMN_FILES = (".tsv", ".csv", ".jsonl", ".ndjson")


class Piece(NamedTuple):
    """A document, or a part of a long one."""

    text: str
    is_end: bool
    """Whether the document ends here."""
    offset: int
    """Bytes of the file that were read by now."""


def iterate_texts(files: Iterable[str], config: CorpusFiles, where: str = "data.train") -> Iterator[str]:
    """The text of all files in pieces of bounded size, as a tokenizer is trained on it."""
    for path in find_files(tuple(files), where):
        for piece in iterate_pieces(path, config, always_safe, where):
            yield piece.text


def iterate_pieces(path: Path, config: CorpusFiles, is_safe: IsSafe, where: str = "") -> Iterator[Piece]:
    """The documents of one file. Blank ones are left out. Raises DataError naming the file and the line."""
    builder = _Builder(path, where, is_safe)
    if config.column is not None:
        yield from _split_lines(_iterate_column(path, config, where), config, builder)
        return
    if path.suffix.lower() in _COLUMN_FILES:
        cure = "name the one to learn from, such as data.column=text or data.column=0"
        raise DataError(place(path, where), "holds columns, and data.column is null", cure=cure)
    lines = iterate_lines(path, config.encoding, where=where)
    split = _split_lines if config.document in ("line", "sentence") else _join_lines
    yield from split(lines, config, builder)


def _iterate_column(path: Path, config: CorpusFiles, where: str) -> Iterator[Line]:
    assert config.column is not None
    for row in iterate_rows(path, config.layout, where):
        value = take_field(row, config.column, "column", path, where)
        if not isinstance(value, str):
            here = place(path, where, row.line)
            raise DataError(here, f"column {config.column!r} is no text", got=value, cure="write it as a JSON string")
        yield Line(row.line, value, True, row.offset)


def _split_lines(lines: Iterator[Line], config: CorpusFiles, builder: _Builder) -> Iterator[Piece]:
    """Each line is a document, or holds some."""
    if config.document == "sentence":
        yield from _split_sentences(lines, config.sentences_per_document, builder)
        return
    for line in lines:
        yield from builder.add(line.text, line)
        if line.is_end:
            yield from builder.end()


def _join_lines(lines: Iterator[Line], config: CorpusFiles, builder: _Builder) -> Iterator[Piece]:
    """Several lines are a document: up to the end of the file, or to a blank line."""
    is_start, is_blank, breaks = True, True, 0
    for line in lines:
        is_blank = (is_start or is_blank) and not line.text.strip()
        if not is_blank:
            yield from builder.add("\n" * breaks + line.text, line)
            breaks = 0
        is_start = line.is_end
        if not line.is_end:
            continue
        if is_blank and config.document == "paragraph":
            yield from builder.end()
            breaks = 0
        elif not (is_blank and builder.is_empty):
            breaks += 1
    yield from builder.end()


def _split_sentences(lines: Iterator[Line], count: int, builder: _Builder) -> Iterator[Piece]:
    waiting, complete = "", 0
    for line in lines:
        waiting += line.text
        sentences = split_sentences(waiting)
        # The last sentence may go on in the next piece of the line.
        waiting = "" if line.is_end or not sentences else sentences.pop()
        for sentence in sentences:
            yield from builder.add(sentence, line)
            complete += 1
            if complete == count:
                yield from builder.end()
                complete = 0
        if len(waiting) > 2 * PIECE_CHARS:
            yield from builder.add(waiting, line)
            waiting = ""
        if line.is_end:
            yield from builder.end()
            complete = 0


class _Builder:
    """The text of the document being read, of which never more than some pieces wait here."""

    def __init__(self, path: Path, where: str, is_safe: IsSafe) -> None:
        self._path, self._where, self._is_safe = path, where, is_safe
        self._text, self._searched, self._is_open, self._offset = "", 0, False, 0

    @property
    def is_empty(self) -> bool:
        return not self._text and not self._is_open

    def add(self, text: str, line: Line) -> Iterator[Piece]:
        """More of the document; what is complete of it comes back."""
        self._text, self._offset = self._text + text, line.offset
        while len(self._text) - self._searched > 2 * PIECE_CHARS:
            cut = find_cut(self._text, self._searched + PIECE_CHARS, self._is_safe)
            if cut is None:
                self._searched = len(self._text) - PIECE_CHARS - CONTEXT
                self._check_length(line)
                return
            yield self._take(cut)

    def end(self) -> Iterator[Piece]:
        """The rest of the document, unless all of it is blank."""
        if self._is_open or self._text.strip():
            yield self._take(len(self._text))._replace(is_end=True)
        self._text, self._searched, self._is_open = "", 0, False

    def _take(self, cut: int) -> Piece:
        piece = Piece(self._text[:cut], False, self._offset)
        self._text, self._searched, self._is_open = self._text[cut:], 0, True
        return piece

    def _check_length(self, line: Line) -> None:
        if len(self._text) > _LONGEST_UNCUT:
            raise DataError(
                place(self._path, self._where, line.number),
                f"has {len(self._text)} characters without a place to cut at",
                cure="text has white space or the end of a sentence now and then; check that the file is text, or "
                "choose a tokenizer that splits words first",
            )
