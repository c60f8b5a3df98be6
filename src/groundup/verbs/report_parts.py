"""The parts that a report divides rows into, by language and by length, and how a model does on each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from groundup.language.scripts import guess_language
from groundup.metrics.interval import bootstrap_share
from groundup.reporting.content_rows import Bucket
from groundup.text.tokenizer import Tokenizer
from groundup.verbs.layout import nice_bins

_LANGUAGES: Final = ("en", "zh", "mixed", "other")
_MOST_BINS: Final = 5


class Part(NamedTuple):
    """Some of the rows."""

    by: Literal["language", "length"]
    name: str
    """`en`, or a range such as `9-16` (`65-` is open)."""
    inside: Bool[np.ndarray, " rows"]


def divide_rows(texts: Sequence[str], lengths: Int[np.ndarray, " rows"]) -> Iterator[Part]:
    """Rows by their language, unless they are all in one, which is the headline figure; then by their tokens."""
    languages = np.array([guess_language(text) for text in texts])
    found = [name for name in _LANGUAGES if (languages == name).any()]
    if len(found) > 1:
        yield from (Part("language", name, languages == name) for name in found)
    for low, high, count in nice_bins(lengths, _MOST_BINS):
        if count:
            inside = (lengths >= low) & (lengths <= (high if high is not None else lengths.max()))
            yield Part("length", f"{low}-{'' if high is None else high}", inside)


def make_buckets(
    texts: Sequence[str], lengths: Int[np.ndarray, " rows"], is_right: Bool[np.ndarray, " rows"]
) -> list[Bucket]:
    """How many rows are right in each language and length."""
    return [make_bucket(part.by, part.name, is_right[part.inside]) for part in divide_rows(texts, lengths)]


def make_bucket(
    by: str, name: str, is_right: Bool[np.ndarray, " items"], losses: Float[np.ndarray, " items"] | None = None
) -> Bucket:
    """The accuracy of a part of the rows or tokens, with its interval over them."""
    found = bootstrap_share(is_right)
    loss = None if losses is None else float(losses.mean(dtype=np.float64))
    return {
        "by": by,  # type: ignore[typeddict-item]
        "name": name,
        "count": len(is_right),
        "accuracy": found.value,
        "low": found.low,
        "high": found.high,
        "loss": loss,
    }


def count_tokens(tokenizer: Tokenizer, texts: Sequence[str]) -> Int[np.ndarray, " texts"]:
    """The tokens of each text with special ones, however long it is."""
    return np.array([len(each.input_ids) for each in tokenizer.encode_batch(list(texts))], dtype=np.int64)
