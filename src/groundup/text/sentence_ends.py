"""Where sentences end in what is tokenized, found in the text itself: ids may have lost its capitals and its spaces."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int64

from groundup.language.sentences import split_sentences
from groundup.text.tokenizer import Tokenizer

_CLOSED = re.compile(r"[.!?。！？…．｡‽⁇⁈⁉‼][\"'”’」』》）】〉］｝〕〗〞)\]}»›]*\s*$")


class Sentences(NamedTuple):
    """The sentences of a text; joined they are the text."""

    texts: list[str]
    """Each with the white space before it, as tokenizers take a space for a part of the word that follows."""
    is_closed: bool
    """Whether the last one has a mark at its end, so that it is whole even where the text goes on elsewhere."""


def find_sentences(text: str) -> Sentences:
    """Split a text for a tokenizer."""
    texts: list[str] = []
    space = ""
    for sentence in split_sentences(text):
        bare = sentence.rstrip()
        if not bare and texts:
            space += sentence
            continue
        texts.append(space + bare)
        space = sentence[len(bare) :]
    if texts:
        texts[-1] += space
    return Sentences(texts or [text], _CLOSED.search(text) is not None)


def encode_sentences(
    tokenizer: Tokenizer, texts: Sequence[str]
) -> tuple[list[np.ndarray], Int64[np.ndarray, " sentences"]]:
    """The ids of each text, its sentences tokenized one by one, and where sentences end in all of them end to end."""
    split = [find_sentences(text).texts for text in texts]
    ids, sizes = tokenizer.encode_flat([sentence for sentences in split for sentence in sentences])
    ends = np.cumsum(sizes, dtype=np.int64)
    counts = np.cumsum([len(sentences) for sentences in split])
    borders = ends[counts - 1] if len(counts) else ends
    return np.split(ids, borders[:-1]), np.unique(ends[ends > 0])
