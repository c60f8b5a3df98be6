"""Ids from a memory of words: a text is mostly words met before, and a lookup costs a tenth of tokenizing.

Only text between places where the tokenizer surely ends a word is remembered, and each such span gets its ids from the
tokenizer itself, so the ids are those of a plain encode. What is not surely of this form is encoded as a whole.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from itertools import chain
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int32, Int64
from tokenizers import Tokenizer as Backend

from groundup.text.words import (
    ONE_CHARACTER,
    ONE_CHINESE,
    ONE_DIGIT,
    UNIGRAM_WORDS,
    UNIGRAM_WORDS_AND_DIGITS,
    split_at_spaces,
)

_MOST_CHARACTERS = 1 << 23
"""What the memory holds before it starts anew; some 100 MB with what belongs to it."""

# BERT ends a word at white space and on both sides of punctuation and Chinese characters. These are the sure ones.
_ISOLATED = r"!-/:-@\[-`{-~\u3400-\u4dbf\u4e00-\u9fff、。，！？；：“”‘’（）《》…—"
_BERT_WORDS = re.compile(rf"[{_ISOLATED}]|[^{_ISOLATED} \t\n\r]+")


class FlatIds(NamedTuple):
    """The ids of many texts end to end, and how many each has."""

    ids: Int32[np.ndarray, " ids"]
    sizes: Int64[np.ndarray, " texts"]


class FastEncoder:
    """Encodes without special tokens. Its memory of words is bounded and guarded by a lock."""

    def __init__(self, backend: Backend) -> None:
        """Look at the tokenizer's rules; those not known here are served by the tokenizer alone."""
        self._backend = backend
        self._split = _find_split(backend)
        contents = sorted(token.content for token in backend.get_added_tokens_decoder().values())
        self._added = re.compile("|".join(map(re.escape, contents))) if contents else None
        self._lock = Lock()
        self._forget()

    def encode(self, texts: Sequence[str]) -> FlatIds:
        """The ids of each text, exactly as the tokenizer gives them."""
        if self._split is None:
            return _encode_plainly(self._backend, texts)
        with self._lock:
            if self._num_characters > _MOST_CHARACTERS:
                self._forget()
            words = [self._split_text(text) for text in texts]
            counts = np.fromiter(map(len, words), dtype=np.int64, count=len(words))
            flat = chain.from_iterable(words)
            numbers = np.fromiter(map(self._words.__getitem__, flat), dtype=np.int64, count=int(counts.sum()))
            self._learn()
            return self._gather(numbers, counts)

    def _split_text(self, text: str) -> list[str]:
        assert self._split is not None
        # An added token such as [MASK] is taken out of the text before any word is.
        return [text] if self._added is not None and self._added.search(text) else self._split(text)

    def _forget(self) -> None:
        self._words = _Numbering()
        self._num_characters = 0
        self._ids = np.zeros(0, dtype=np.int32)
        self._starts = np.zeros(0, dtype=np.int64)
        self._sizes = np.zeros(0, dtype=np.int64)

    def _learn(self) -> None:
        """Have the tokenizer encode the words met for the first time."""
        new = self._words.take_new()
        if new:
            encoded = _encode_plainly(self._backend, new)
            self._num_characters += sum(map(len, new))
            self._starts = np.concatenate([self._starts, len(self._ids) + np.cumsum(encoded.sizes) - encoded.sizes])
            self._sizes = np.concatenate([self._sizes, encoded.sizes])
            self._ids = np.concatenate([self._ids, encoded.ids])

    def _gather(self, numbers: np.ndarray, counts: np.ndarray) -> FlatIds:
        sizes = self._sizes[numbers]
        ends = np.concatenate([[0], np.cumsum(sizes)])
        shifts = np.repeat(self._starts[numbers] - ends[:-1], sizes)
        bounds = np.concatenate([[0], np.cumsum(counts)])
        return FlatIds(self._ids[shifts + np.arange(len(shifts))], np.diff(ends[bounds]))


class _Numbering(dict[str, int]):
    """Numbers words as they are met."""

    def __init__(self) -> None:
        super().__init__()
        self._new: list[str] = []

    def __missing__(self, word: str) -> int:
        self[word] = number = len(self)
        self._new.append(word)
        return number

    def take_new(self) -> list[str]:
        new, self._new = self._new, []
        return new


def _encode_plainly(backend: Backend, texts: Sequence[str]) -> FlatIds:
    encodings = backend.encode_batch_fast(list(texts), add_special_tokens=False)
    sizes = np.fromiter(map(len, encodings), dtype=np.int64, count=len(encodings))
    flat = chain.from_iterable(encoding.ids for encoding in encodings)
    return FlatIds(np.fromiter(flat, dtype=np.int32, count=int(sizes.sum())), sizes)


def _find_split(backend: Backend) -> Callable[[str], list[str]] | None:
    """How to split a text into spans that the tokenizer treats apart; None where its rules are not known here."""
    values = json.loads(backend.to_str())
    if any(token["normalized"] for token in values["added_tokens"]):
        return None
    normalizer, pre_tokenizer = values["normalizer"] or {}, values["pre_tokenizer"] or {}
    model, splits = values["model"]["type"], pre_tokenizer.get("type")
    if (model, normalizer.get("type"), splits) == ("WordPiece", "BertNormalizer", "BertPreTokenizer"):
        return _BERT_WORDS.findall if normalizer["handle_chinese_chars"] else None
    forms = {each["type"] for each in normalizer.get("normalizers", [normalizer] if normalizer else [])}
    if model == "WordLevel" and _splits_at(pre_tokenizer, ONE_CHARACTER):
        return list if forms <= {"Lowercase"} else None
    if values["model"].get("dropout") or not forms <= {"Lowercase", "NFC", "NFKC"}:
        return None
    if model == "Unigram":
        is_known = any(_splits_at(pre_tokenizer, words) for words in (UNIGRAM_WORDS, UNIGRAM_WORDS_AND_DIGITS))
        return split_at_spaces if is_known else None
    parts = pre_tokenizer["pretokenizers"] if splits == "Sequence" else [pre_tokenizer]
    while len(parts) > 1 and any(_splits_at(parts[0], pattern) for pattern in (ONE_DIGIT, ONE_CHINESE)):
        parts = parts[1:]  # such a character ends every word beside it, and so ends none that goes on behind a space
    if model == "BPE" and len(parts) == 1 and parts[0].get("type") == "ByteLevel":
        is_known = parts[0].get("use_regex", True) and not parts[0]["add_prefix_space"]
        return split_at_spaces if is_known else None
    return None


def _splits_at(pre_tokenizer: dict[str, Any], pattern: str) -> bool:
    """Whether it makes each match of a pattern a word, and what stands between them too."""
    isolated = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    return pre_tokenizer == isolated
