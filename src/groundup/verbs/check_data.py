"""What `check` finds out about text and tables before anything is trained or written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Int32, Int64

from groundup.errors import DataError, GroundupError
from groundup.language.tags import read_spans_loosely
from groundup.readers.examples import TaggedExample
from groundup.readers.lines import find_files
from groundup.readers.source import AnExample, ExampleSource
from groundup.readers.source import Split as Part
from groundup.recipe import Recipe
from groundup.text.corpus_config import CorpusConfig, CorpusFiles
from groundup.text.cut import always_safe
from groundup.text.documents import Piece, iterate_pieces
from groundup.text.pair_windows import PairFrame, PairWindows
from groundup.text.sample import Sample
from groundup.text.tokenizer import Tokenizer
from groundup.text.windows import Frame, Windows
from groundup.verbs.findings import Finding, Notes, find_repeats
from groundup.verbs.layout import nice_bins

READ_BYTES: Final = {"lines": 64_000_000, "columns": 12_000_000}
"""Text of a split that is read at most: some two seconds."""
SAMPLE_CHARS: Final = 2_000_000
"""Text that is tokenized at most, taken evenly from what is read."""

_QUANTILES: Final = (0.5, 0.9, 0.99)


@dataclass(frozen=True)
class Split:
    """One file, or set of files, of the recipe's data."""

    name: str
    files: tuple[str, ...]
    count: int
    """Rows of a table, documents of a corpus, in what was read."""
    characters: int
    share_read: float
    """Of its bytes; figures about the rest are extrapolated."""
    label_counts: dict[str, int] | None
    """Rows with each label; entities of each type, where words or characters are tagged."""
    duplicates: int
    """Texts that stand in it a second time."""
    contradictions: int
    """Of them, those with another label."""
    seen_in_train: int
    """Texts that training has too; 0 for the training split itself."""
    findings: tuple[Finding, ...] = ()
    """What is likely wrong in single rows."""
    notes: tuple[str, ...] = ()
    """How its rows were read, in words."""
    warnings: tuple[str, ...] = ()
    """What of it will count as wrong whatever is learnt."""

    @property
    def estimated_count(self) -> int:
        """Rows or documents of all of it."""
        return round(self.count / self.share_read)


@dataclass(frozen=True)
class Lengths:
    """How long sequences are, and what the limit costs."""

    count: int
    limit: int
    """`objective.max_length`."""
    bins: tuple[tuple[int, int | None, int], ...]
    """First and last length (None: open) and how many."""
    quantiles: dict[str, int]
    longest: int
    tokens: int
    """Tokens of text and special tokens before anything is cut."""
    num_cut: int
    """Rows longer than the limit, or ends of documents that are too short to use."""
    tokens_lost: int

    @classmethod
    def of(cls, lengths: np.ndarray, limit: int, *, num_cut: int, tokens: int, tokens_lost: int) -> Lengths:
        """Summarise the lengths of a split."""
        return cls(
            count=len(lengths),
            limit=limit,
            bins=tuple(nice_bins(lengths, edge=limit if int(lengths.max()) >= limit else None)),
            quantiles={f"{share:.0%}": int(np.quantile(lengths, share)) for share in _QUANTILES},
            longest=int(lengths.max()),
            tokens=tokens,
            num_cut=num_cut,
            tokens_lost=tokens_lost,
        )


class SampledWindows:
    """Windows over encoded texts in memory, as `Corpus` lays them over its shards (implements Samples)."""

    examples: Sequence[object] = ()

    def __init__(
        self,
        texts: Sequence[np.ndarray],
        frame: Frame | PairFrame,
        max_length: int,
        min_length: int,
        sentences: Int64[np.ndarray, " sentences"] | None = None,
    ) -> None:
        """Lay windows over the ids of each text, or runs of sentences where `frame` is for pairs."""
        self._ids = np.concatenate([*texts, np.zeros(0, dtype=np.int32)])
        ends = np.cumsum([len(text) for text in texts], dtype=np.int64)
        if isinstance(frame, PairFrame):
            assert sentences is not None
            self._windows = PairWindows(np.unique(ends[ends > 0]), sentences, frame, max_length, min_length)
            self.num_text_tokens, self.num_short_ends = len(self._ids), self._windows.num_single
            return
        self._windows = Windows(ends, frame, max_length, min_length)
        if len(self._windows) == 0:
            raise DataError(
                "data.train", f"holds no document of {min_length} tokens or more", cure="lower data.min_length"
            )
        self.num_text_tokens = len(self._ids)
        room = max_length - (0 if frame.of == "document" else len(frame.prefix) + len(frame.suffix))
        rests = np.diff(ends, prepend=0) % room
        self.num_short_ends = int(((rests > 0) & (rests < min_length)).sum())

    @property
    def lengths(self) -> Int32[np.ndarray, " samples"]:
        """Tokens in each sample, special tokens included."""
        return self._windows.lengths

    @property
    def digest(self) -> str:
        """Of the ids."""
        return blake2b(self._ids.tobytes(), digest_size=16).hexdigest()

    @property
    def num_window_tokens(self) -> int:
        """Tokens of text in all windows."""
        return min(self._windows.num_text_tokens, self.num_text_tokens)

    def __len__(self) -> int:
        return len(self._windows)

    def __getitem__(self, index: int) -> Sample:
        return self._windows.take(index, lambda start, end: self._ids[start:end])


def check_files(recipe: Recipe, where: str = "recipe") -> None:
    """Open every file of the data and read its first row. One error names all that fail."""
    data = recipe.data
    problems: list[GroundupError] = []
    if isinstance(data, ExampleSource):
        for name in ("train", "validation", "test"):
            if getattr(data, name) is not None:
                _attempt(problems, lambda: _open_examples(recipe, data, name))  # noqa: B023
    else:
        for where, source in data.sources.items():
            for name in ("train", "validation"):
                if getattr(source, name):
                    _attempt(problems, lambda: _open_corpus_files(source, name, where))  # noqa: B023
    if len(problems) == 1:
        raise problems[0]
    if problems:
        lines = "\n  ".join(str(problem) for problem in problems)
        raise DataError(where, f"{len(problems)} problems with the data\n  {lines}")


def _attempt(problems: list[GroundupError], work: object) -> None:
    try:
        work()
    except GroundupError as error:
        problems.append(error)


def _open_examples(recipe: Recipe, data: ExampleSource, name: Part) -> None:
    next(data.iterate(name, needs_label=recipe.objective.needs_label), None)


def _open_corpus_files(source: CorpusFiles, name: str, where: str) -> None:
    for path in find_files(getattr(source, name), f"{where}.{name}"):
        next(iterate_pieces(path, source, always_safe, f"{where}.{name}"), None)


def read_split(
    data: ExampleSource, name: Part, seen: frozenset[bytes], *, needs_label: bool = True
) -> tuple[Split, Sequence[AnExample], frozenset[bytes]]:
    """All examples of a split, what is to be said of them, and the hashes of their texts.

    Args:
        data: where the recipe takes them from.
        name: of the split.
        seen: hashes of the texts of the training split.
        needs_label: whether the objective learns from labels.
    """
    rows = data.read(name, needs_label=needs_label)
    files = tuple(map(str, data.find_files(name)))
    notes = Notes(files[-1])
    label_of: dict[bytes, tuple[str, ...] | None] = {}
    duplicates = contradictions = 0
    for row in rows:
        key = _digest("\0".join(row.texts))
        if key in label_of:
            duplicates += 1
            contradictions += label_of[key] != row.label_names
        else:
            label_of[key] = row.label_names
        for what, found in find_repeats(row):
            notes.add(what, row.line, found)
    counts = Counter(label for row in rows for label in _labels_of(row, name)) if needs_label else None
    split = Split(
        name=name,
        files=files,
        count=len(rows),
        characters=sum(len(text) for row in rows for text in row.texts),
        share_read=1.0,
        label_counts=None if counts is None else dict(counts),
        duplicates=duplicates,
        contradictions=contradictions,
        seen_in_train=sum(key in seen for key in label_of),
        findings=notes.findings(),
    )
    return split, rows, frozenset(label_of)


def _labels_of(row: AnExample, name: Part) -> Sequence[str]:
    """The labels of a row; the types of its entities, whatever the scheme of its tags, which sound tags do not need."""
    if not isinstance(row, TaggedExample):
        return row.label_names or ()
    try:
        return [span.type or "no type" for span in read_spans_loosely(row.tags)]
    except DataError as error:
        raise DataError(f"data.{name}:{row.line}", str(error).removeprefix("tags: ")) from None


def read_corpus(data: CorpusConfig, name: str, seen: frozenset[bytes]) -> tuple[Split, list[str], frozenset[bytes]]:
    """The beginning of every file of a corpus: what is to be said of it, texts spread over it, hashes of documents."""
    files = find_files(getattr(data, name), f"data.{name}")
    sizes = [path.stat().st_size for path in files]
    budget = READ_BYTES["lines" if data.column is None else "columns"]
    share = min(1.0, budget / max(1, sum(sizes)))
    reader = _CorpusReader()
    for path, size in zip(files, sizes, strict=True):
        reader.read(iterate_pieces(path, data, always_safe, f"data.{name}"), size, int(share * size))
    if not reader.texts:
        raise DataError(f"data.{name}", "holds no text", got=[str(path) for path in files], cure="check the files")
    split = Split(
        name=name,
        files=tuple(str(path) for path in files),
        count=max(1, reader.num_documents),
        characters=reader.num_characters,
        share_read=min(1.0, reader.num_bytes / max(1, sum(sizes))),
        label_counts=None,
        duplicates=reader.num_duplicates,
        contradictions=0,
        seen_in_train=len(reader.documents & seen),
    )
    return split, spread_texts(reader.texts), frozenset(reader.documents)


class _CorpusReader:
    """Reads documents, counts them, and keeps texts spread evenly over them: one in so many."""

    def __init__(self) -> None:
        self._stride, self._seen, self._kept = 1, 0, 0
        self._hash = blake2b(digest_size=8)
        self.texts: list[str] = []
        self.documents: set[bytes] = set()
        self.num_documents = self.num_duplicates = self.num_characters = self.num_bytes = 0

    def read(self, pieces: Iterator[Piece], size: int, limit: int) -> None:
        """One file, up to `limit` bytes of it."""
        offset = 0
        for piece in pieces:
            offset = piece.offset
            self.num_characters += len(piece.text)
            self._keep(piece.text)
            self._hash.update(piece.text.encode("utf-8", "surrogatepass"))
            if piece.is_end:
                self._end()
            if offset > limit and limit < size:
                break
        else:
            offset = size
        self._hash = blake2b(digest_size=8)
        self.num_bytes += offset

    def _keep(self, text: str) -> None:
        if self._seen % self._stride == 0:
            self.texts.append(text)
            self._kept += len(text)
            if self._kept > 2 * SAMPLE_CHARS and len(self.texts) > 1:
                self.texts = self.texts[::2]
                self._kept, self._stride = sum(map(len, self.texts)), 2 * self._stride
        self._seen += 1

    def _end(self) -> None:
        key, self._hash = self._hash.digest(), blake2b(digest_size=8)
        self.num_documents += 1
        self.num_duplicates += key in self.documents
        self.documents.add(key)


def spread_texts(texts: Sequence[str], characters: int = SAMPLE_CHARS) -> list[str]:
    """Every so many of the texts, so that they have at most about so many characters together."""
    return list(texts[:: max(1, -(-sum(map(len, texts)) // characters))])


def count_unknown(ids: Sequence[np.ndarray], tokenizer: Tokenizer) -> int:
    """Unknown tokens in all texts."""
    unknown = tokenizer.unknown_id
    return 0 if unknown is None else sum(int((text == unknown).sum()) for text in ids)


def name_files(files: Sequence[str]) -> str:
    """One file by its path, several by their folder and number."""
    if len(files) == 1:
        return files[0]
    folders = {str(Path(file).parent) for file in files}
    return f"{len(files)} files in {folders.pop()}" if len(folders) == 1 else f"{len(files)} files"


def _digest(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
