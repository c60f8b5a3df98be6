"""Lines of text files as they are found in the wild: checked, decoded, a bounded piece at a time."""

from __future__ import annotations

import codecs
import glob
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

from groundup.errors import DataError
from groundup.readers.locate import locate

TextEncoding = Literal["utf-8", "latin-1", "cp1252", "gb18030", "big5"]
"""Encodings in which a line break is the byte 10 and nothing else is."""

_UTF8_MARK = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_CHUNK_BYTES = 1 << 18


class Line(NamedTuple):
    """A line without its ending, or a piece of a long one."""

    number: int
    """Counted from 1."""
    text: str
    is_end: bool
    """Whether the line ends here."""
    offset: int
    """Bytes of the file that were read by now."""


def iterate_lines(
    path: Path,
    encoding: TextEncoding = "utf-8",
    *,
    max_bytes: int = _CHUNK_BYTES,
    where: str = "",
    replaces_broken: bool = False,
) -> Iterator[Line]:
    """The lines of a file, long ones in pieces of about `max_bytes`.

    A byte-order mark and CR before LF are no part of a line. Raises DataError for a file that is missing, empty,
    binary or in another encoding, naming the line and the byte; with `replaces_broken`, for data sets that are known to
    hold such bytes, what is no text becomes U+FFFD instead.
    """
    name = place(path, where)
    try:
        with path.open("rb") as file:
            start = file.read(3)
            _refuse_odd_start(start, name)
            has_mark = start == _UTF8_MARK and encoding == "utf-8"
            file.seek(len(_UTF8_MARK) if has_mark else 0)
            yield from _cut_lines(file, _Decoder(path, encoding, where, file.tell(), replaces_broken), max_bytes)
    except OSError as error:
        raise _unreadable(name, path, error) from None


def iterate_whole_lines(
    path: Path, encoding: TextEncoding = "utf-8", *, where: str = "", replaces_broken: bool = False
) -> Iterator[Line]:
    """Each line as one, however long it is."""
    parts: list[str] = []
    for line in iterate_lines(path, encoding, where=where, replaces_broken=replaces_broken):
        parts.append(line.text)
        if line.is_end:
            yield line._replace(text="".join(parts))
            parts.clear()


def find_files(patterns: Sequence[str], where: str) -> list[Path]:
    """The files that paths and globs name, in the order given, each glob's in alphabetical order, none twice."""
    found: dict[Path, None] = {}
    for number, pattern in enumerate(patterns):
        place_of = f"{where}.{number}"
        path = locate(pattern, place_of)
        if path.is_file():
            found[path] = None
        elif path.is_dir():
            raise DataError(place_of, "is a folder", got=str(path), cure=f"name its files, such as {path / '*.txt'}")
        else:
            matches = sorted(glob.glob(str(path), recursive=True))
            files = [Path(match) for match in matches if Path(match).is_file()]
            if not files:
                what = "matches no file" if glob.has_magic(str(path)) else "does not exist"
                raise DataError(place_of, what, got=str(path), cure=_near(path))
            found.update(dict.fromkeys(files))
    return list(found)


def hash_file(path: Path) -> str:
    """The sha256 of a file's bytes."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _unreadable(str(path), path, error) from None


def place(path: Path, where: str, line: int | None = None) -> str:
    """How messages name a file, a line of it, and the setting that named it."""
    text = str(path) if line is None else f"{path}:{line}"
    return f"{where} ({text})" if where else text


def _cut_lines(file: BinaryIO, decoder: _Decoder, max_bytes: int) -> Iterator[Line]:
    held, is_open = "", False
    while chunk := file.readline(max_bytes):
        is_end = chunk.endswith(b"\n")
        number = decoder.line
        text = held + decoder.decode(chunk, is_end)
        if is_end:
            yield Line(number, text[:-1].removesuffix("\r"), True, decoder.offset)
            held = ""
        else:
            # A CR here may be half of CR LF.
            held = "\r" if text.endswith("\r") else ""
            yield Line(number, text.removesuffix("\r"), False, decoder.offset)
        is_open = not is_end
    if is_open:
        yield Line(decoder.line, decoder.decode(b"", True), True, decoder.offset)


class _Decoder:
    """Bytes to text across pieces of a line, with messages that name the line and the byte."""

    def __init__(self, path: Path, encoding: str, where: str, offset: int, replaces_broken: bool) -> None:
        self.line = 1
        self._path, self._encoding, self._where, self.offset = path, encoding, where, offset
        self._decoder = codecs.getincrementaldecoder(encoding)("replace" if replaces_broken else "strict")

    def decode(self, chunk: bytes, is_end: bool) -> str:
        """The characters that are whole by now; all must be where `is_end` says that the line ends."""
        zero = chunk.find(b"\0")
        if zero >= 0:
            raise DataError(self._here, f"is binary: byte {self.offset + zero} is 0x00", cure="give a text file")
        pending = len(self._decoder.getstate()[0])
        try:
            text = self._decoder.decode(chunk, is_end)
        except UnicodeDecodeError as error:
            byte = self.offset - pending + error.start
            raise DataError(
                self._here,
                f"is not {self._encoding}: byte {byte} of the file is 0x{error.object[error.start]:02X}",
                cure=_encoding_cure(error.object, self._encoding),
            ) from None
        self.offset += len(chunk)
        self.line += is_end
        return text

    @property
    def _here(self) -> str:
        return place(self._path, self._where, self.line)


def _encoding_cure(body: bytes, encoding: str) -> str:
    if encoding != "utf-8":
        return "set `encoding: utf-8`, or convert the file"
    high = sum(byte >= 0x80 for byte in body)
    try:
        body.decode("gb18030")
        is_chinese = high >= 6 and high % 2 == 0 and high > len(body) // 4
    except UnicodeDecodeError:
        is_chinese = False
    likely, other = ("gb18030", "latin-1") if is_chinese else ("latin-1", "gb18030")
    return f"set `encoding: {likely}` if the file is in it (`encoding: {other}` is another one often met)"


def _refuse_odd_start(start: bytes, name: str) -> None:
    if not start:
        raise DataError(name, "is empty", cure="check the path, or leave the file out")
    if start.startswith(_UTF16_MARKS):
        raise DataError(name, "is in utf-16", cure="convert it: iconv -f utf-16 -t utf-8 OLD > NEW")


def _near(path: Path) -> str:
    """The cure for a path that leads nowhere: what does exist beside it."""
    folder = path.parent
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    if folder != path.parent:
        return f"{folder} exists, what follows it does not"
    names = sorted(entry.name for entry in folder.iterdir())
    shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    return f"{folder} holds {shown or 'nothing'}"


def _unreadable(name: str, path: Path, error: OSError) -> DataError:
    if isinstance(error, FileNotFoundError):
        return DataError(name, "does not exist", cure=_near(path))
    if isinstance(error, IsADirectoryError):
        return DataError(name, "is a folder", cure="give a file")
    if isinstance(error, PermissionError):
        return DataError(name, "may not be read", cure="check its permissions (chmod u+r)")
    return DataError(name, f"cannot be read ({error.strerror})", cure="check the disk and the path")
