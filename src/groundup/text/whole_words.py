"""Which tokens make up a word, from their ids alone: a sample is a window of ids whose text is not at hand.

The ids are spelt out as bytes, so that a token may hold part of a character and a window may begin inside one. Where a
tokenizer keeps spaces, the text is exact. WordPiece loses them: there a word ends wherever a space may have stood,
which is before every token that neither continues one (`##`) nor has Chinese beside it. So `3.14` is one word to byte
pairs and three to WordPiece, as in BERT's own whole-word masking, and Chinese is read as if it had no spaces.

Words share no token: two that have a token in common (`的电` in `的电影`) count as one, or hiding `电影` alone
would leave half of it to be seen. A token that is one space belongs to the word after it; one of other white space
alone stands alone.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Final, NamedTuple, final

import numpy as np
from jaxtyping import Bool, Int64

from groundup.language.scripts import is_cjk
from groundup.language.segment import Segmenter
from groundup.text.readable import BYTE_OF_CHAR
from groundup.text.tokenizer import Tokenizer

_BYTE_PIECE = re.compile("<0x[0-9A-F]{2}>")
_SPACE_MARK = "\u2581"
_MOST_REMEMBERED: Final = 1 << 17
"""Windows; each takes some 200 bytes and a bit a token."""


@final
class WordFinder:
    """Finds the words of windows of ids. What it found is remembered, since every pass over the data asks again."""

    def __init__(self, tokenizer: Tokenizer, segmenter: Segmenter) -> None:
        """Nothing is computed before the first question.

        Args:
            tokenizer: what the ids are of.
            segmenter: finds the words in the text.
        """
        self.tokenizer, self.segmenter = tokenizer, segmenter
        # The first windows are kept, not the last: of data larger than the memory, each pass then still finds some.
        self._memory: dict[bytes, bytes] = {}

    def find_starts(self, ids: Int64[np.ndarray, " tokens"], lengths: Sequence[int]) -> Bool[np.ndarray, " tokens"]:
        """Whether each token is the first of its word, for windows laid end to end. Special tokens stand alone.

        What it answers for a window depends on that window alone.
        """
        starts = np.ones(len(ids), dtype=bool)
        ends = np.cumsum(lengths, dtype=np.int64).tolist()
        windows = [slice(end - length, end) for end, length in zip(ends, lengths, strict=True)]
        content = np.ascontiguousarray(ids, dtype=np.int64)
        keys = [hashlib.blake2b(content[window], digest_size=16).digest() for window in windows]
        new: list[int] = []
        for number, (window, key) in enumerate(zip(windows, keys, strict=True)):
            known = self._memory.get(key)
            if known is None:
                new.append(number)
            else:
                bits = np.frombuffer(known, dtype=np.uint8)
                starts[window] = np.unpackbits(bits, count=window.stop - window.start).astype(bool)
        if new:
            found = self._find([content[windows[number]] for number in new])
            for number, part in zip(new, found, strict=True):
                starts[windows[number]] = part
                if len(self._memory) < _MOST_REMEMBERED:
                    self._memory[keys[number]] = np.packbits(part).tobytes()
        return starts

    @cached_property
    def _spelling(self) -> _Spelling:
        return _read_spelling(self.tokenizer)

    def _find(self, windows: Sequence[Int64[np.ndarray, " _tokens"]]) -> list[Bool[np.ndarray, " _tokens"]]:
        """The answer for each window, all at once: what a call costs is mostly the same for one and for a hundred."""
        spelling, ids = self._spelling, np.concatenate(windows)
        ends = np.cumsum([len(window) for window in windows])
        has_gap = spelling.may_follow_space[ids]
        has_gap &= ~(spelling.starts_chinese[ids] | np.roll(spelling.ends_chinese[ids], 1))
        has_gap[ends[:-1][ends[:-1] < len(ids)]] = True  # a word never goes on in the next window
        pieces = list(map(spelling.pieces.__getitem__, ids.tolist()))
        sizes = np.fromiter(map(len, pieces), dtype=np.int64, count=len(pieces)) + has_gap
        text = b"".join([b" " + piece if gap else piece for piece, gap in zip(pieces, has_gap.tolist(), strict=True)])
        words = self._number_bytes(text)
        inside = np.flatnonzero(words >= 0)
        places = np.concatenate([[0], np.cumsum(words >= 0)])
        edges = np.concatenate([[0], np.cumsum(sizes)])
        before, after = places[edges[:-1]], places[edges[1:]]
        is_blank = before == after
        # A space and the word right after it were one to the tokenizer, which only lacks a token for both.
        is_prefix = spelling.is_space[ids[:-1]] & (np.append(words, -1)[edges[1:-1]] >= 0)
        first, last = np.full(len(ids), -1), np.full(len(ids), -1)
        first[~is_blank] = words[inside[before[~is_blank]]]
        last[~is_blank] = words[inside[after[~is_blank] - 1]]
        starts = np.ones(len(ids), dtype=bool)
        starts[1:] = ((first[1:] != last[:-1]) | is_blank[1:]) & ~is_prefix
        return np.split(starts, ends[:-1])

    def _number_bytes(self, text: bytes) -> Int64[np.ndarray, " bytes"]:
        """The number of the word that each byte is part of, -1 for white space."""
        characters = text.decode("utf-8", "surrogateescape")
        words = self.segmenter.segment(characters)
        spans = np.array(words, dtype=np.int64).reshape(-1, 2)
        edges = np.zeros(len(characters) + 1, dtype=np.int64)
        np.add.at(edges, spans[:, 0], 1)
        numbers = np.cumsum(edges) - 1
        np.add.at(edges, spans[:, 1], -1)
        numbers[np.cumsum(edges) == 0] = -1
        codes = np.frombuffer(characters.encode("utf-32-le", "surrogatepass"), dtype="<u4")
        is_byte = (codes >= 0xDC80) & (codes <= 0xDCFF)
        widths = 1 + (codes >= 0x80).astype(np.int64) + (codes >= 0x800) + (codes >= 0x10000)
        return np.repeat(numbers[:-1], np.where(is_byte, 1, widths))


class _Spelling(NamedTuple):
    """What each token of a vocabulary adds to a text."""

    pieces: list[bytes]
    """In UTF-8, a line's end for special tokens."""
    may_follow_space: Bool[np.ndarray, " vocab"]
    """Whether a space may stand before it that is in no token."""
    is_space: Bool[np.ndarray, " vocab"]
    """Whether it is one space and nothing else, of a tokenizer that puts the space before a word into its tokens."""
    starts_chinese: Bool[np.ndarray, " vocab"]
    ends_chinese: Bool[np.ndarray, " vocab"]


def _read_spelling(tokenizer: Tokenizer) -> _Spelling:
    values = json.loads(tokenizer.files()["tokenizer.json"])
    vocab = values["model"]["vocab"]
    tokens = {token: index for index, (token, _) in enumerate(vocab)} if isinstance(vocab, list) else vocab
    rules = _Rules.read(values)
    pieces = [b"\xef\xbf\xbd"] * tokenizer.vocab_size
    may_follow_space = np.zeros(tokenizer.vocab_size, dtype=bool)
    for token, index in tokens.items():
        pieces[index], may_follow_space[index] = rules.spell(token)
    for added in values["added_tokens"]:
        pieces[added["id"]], may_follow_space[added["id"]] = added["content"].encode(), rules.loses_spaces
    for index in tokenizer.special_ids:
        pieces[index], may_follow_space[index] = b"\n", False
    ends = [_ends(piece) for piece in pieces]
    return _Spelling(
        pieces,
        may_follow_space,
        np.array([piece == b" " and values["model"]["type"] != "WordLevel" for piece in pieces]),
        np.array([is_cjk(first) for first, _ in ends]),
        np.array([is_cjk(last) for _, last in ends]),
    )


def _ends(piece: bytes) -> tuple[str, str]:
    text = piece.decode("utf-8", "replace")
    return text[:1], text[-1:]


class _Rules(NamedTuple):
    """How a kind of tokenizer writes its tokens."""

    is_byte_level: bool
    has_byte_pieces: bool
    has_space_mark: bool
    loses_spaces: bool
    continuing: str
    closing: str

    @classmethod
    def read(cls, values: dict[str, Any]) -> _Rules:
        """From the content of `tokenizer.json`."""
        model = values["model"]
        decoder = json.dumps(values["decoder"])
        others = json.dumps([values["normalizer"], values["pre_tokenizer"], values["decoder"]], ensure_ascii=False)
        is_byte_level = '"ByteLevel"' in others
        has_space_mark = _SPACE_MARK in others
        closing = model.get("end_of_word_suffix") or ""
        return cls(
            is_byte_level=is_byte_level,
            has_byte_pieces='"ByteFallback"' in decoder,
            has_space_mark=has_space_mark,
            loses_spaces=not (is_byte_level or has_space_mark or closing or '"Fuse"' in decoder),
            continuing=model.get("continuing_subword_prefix") or "",
            closing=closing,
        )

    def spell(self, token: str) -> tuple[bytes, bool]:
        """The bytes of a token, and whether a space may stand before it that is in no token."""
        if self.is_byte_level and BYTE_OF_CHAR.keys() >= set(token):
            return bytes(map(BYTE_OF_CHAR.__getitem__, token)), False
        if self.has_byte_pieces and _BYTE_PIECE.fullmatch(token):
            return bytes([int(token[3:5], 16)]), False
        if self.has_space_mark:
            token = token.replace(_SPACE_MARK, " ")
        if self.closing and token.endswith(self.closing):
            token = token.removesuffix(self.closing) + " "
        is_continuing = self.continuing != "" and token.startswith(self.continuing)
        return token.removeprefix(self.continuing).encode(), self.loses_spaces and not is_continuing
