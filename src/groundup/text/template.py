"""Special tokens around one text or two, as a tokenizer's post-processor has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int32
from tokenizers import Tokenizer as Backend

from groundup.errors import ConfigError, DataError

Ids = Int32[np.ndarray, " _ids"]


class Encoded(NamedTuple):
    """One text or pair as a model takes it, special tokens included."""

    input_ids: Int32[np.ndarray, " length"]
    token_type_ids: Int32[np.ndarray, " length"]
    """0 for the first text and its special tokens, 1 for the second, as the tokenizer's template has it."""
    num_truncated: int
    """Tokens of the text that did not fit."""


class Template(NamedTuple):
    """The special tokens before, between and after the texts, with their token types."""

    parts: tuple[Ids, ...]
    types: tuple[Ids, ...]
    text_types: tuple[int, ...]

    @classmethod
    def read(cls, backend: Backend, num_texts: int) -> Template:
        """Read it off an encoded probe, so that every post-processor of the library is served alike."""
        probe = backend.encode("a", "a") if num_texts == 2 else backend.encode("a")
        parts: list[list[int]] = [[] for _ in range(num_texts + 1)]
        types: list[list[int]] = [[] for _ in range(num_texts + 1)]
        text_types = [0] * num_texts
        seen = -1
        for index, type_id, text in zip(probe.ids, probe.type_ids, probe.sequence_ids, strict=True):
            if text is None:
                parts[seen + 1].append(index)
                types[seen + 1].append(type_id)
            elif text < seen:
                raise DataError("tokenizer", "puts the second text of a pair before the first", cure="use another one")
            else:
                seen, text_types[text] = text, type_id
        if seen != num_texts - 1:
            raise DataError("tokenizer", "cannot write the letter 'a'", cure="it needs an unknown token or bytes")
        return cls(
            tuple(np.array(part, dtype=np.int32) for part in parts),
            tuple(np.array(part, dtype=np.int32) for part in types),
            tuple(text_types),
        )

    @property
    def before(self) -> Ids:
        """The special ids before the first text."""
        return self.parts[0]

    @property
    def after(self) -> Ids:
        """The special ids after the last text."""
        return self.parts[-1]

    def fill(self, texts: Sequence[Ids], max_length: int | None) -> Encoded:
        """The texts with their special tokens, cut to `max_length` tokens in all."""
        kept = texts
        if max_length is not None:
            size = sum(map(len, self.parts))
            room = max_length - size
            if room < len(texts):
                raise ConfigError(
                    "max_length",
                    "leaves no room for text beside the special tokens",
                    got=max_length,
                    cure=f"at least {size + len(texts)}",
                )
            kept = [ids[:most] for ids, most in zip(texts, _fit([len(ids) for ids in texts], room), strict=True)]
        ids, types = [self.parts[0]], [self.types[0]]
        for text, text_type, part, part_types in zip(
            kept, self.text_types, self.parts[1:], self.types[1:], strict=True
        ):
            ids += [text, part]
            types += [np.full(len(text), text_type, dtype=np.int32), part_types]
        dropped = sum(map(len, texts)) - sum(map(len, kept))
        return Encoded(np.concatenate(ids), np.concatenate(types), dropped)


def _fit(sizes: list[int], room: int) -> list[int]:
    """Shorten the longer text first, then both alike, as the library's `longest_first` does."""
    if sum(sizes) <= room:
        return sizes
    if len(sizes) == 1:
        return [room]
    shorter = min(sizes)
    longer = max(shorter, room - shorter)
    if shorter + longer > room:
        shorter, longer = room // 2, room - room // 2
    return [longer, shorter] if sizes[0] > sizes[1] else [shorter, longer]
