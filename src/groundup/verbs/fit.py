"""Tokenizer: train or load the recipe's, and tell how well it fits the text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np

from groundup.readers.source import ExampleSource
from groundup.recipe import Recipe
from groundup.text.tokenizer import Tokenizer
from groundup.text.tokenizer_report import Fit, measure_fit
from groundup.verbs.assemble import as_recipe, get_tokenizer
from groundup.verbs.check_data import read_corpus, read_split, spread_texts
from groundup.verbs.layout import clip, columns, entry, format_share
from groundup.verbs.run_folder import work_folder

MEASURED_CHARS: Final = 500_000
"""Text that the fit is measured on, spread over the data."""
_EXAMPLES: Final = 3


@dataclass(frozen=True)
class TokenizerReport:
    """A tokenizer and its fit."""

    kind: str
    folder: str | None
    """Where a trained one is kept; None for one that exists elsewhere."""
    vocab_size: int
    digest: str
    special: dict[str, int]
    """Its special tokens."""
    measured_characters: int
    entries_used: int
    """Entries that occur in the measured text."""
    chinese: Fit
    other: Fit
    """Everything that is not Chinese."""
    unknown: dict[str, int]
    """What became the unknown token, the most frequent first."""
    examples: tuple[tuple[str, tuple[str, ...]], ...]
    """Texts and their tokens."""

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        return asdict(self)

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        kept = "" if self.folder is None else f", kept in {self.folder}"
        yield from entry("tokenizer", f"{self.kind}, {self.vocab_size:,} entries{kept}")
        yield from entry("special", "  ".join(f"{token} {index}" for token, index in self.special.items()))
        share = format_share(self.entries_used / self.vocab_size)
        yield from entry("measured", f"{self.measured_characters:,} characters of train use {share} of the entries")
        rows = [("", "characters", "words", "tokens", "tokens/word", "tokens/char", "unknown")]
        rows += [_fit_row(name, fit) for name, fit in (("Chinese", self.chinese), ("other", self.other))]
        yield from columns(rows, "lrrrrrr", indent=0)
        if self.chinese.characters:
            yield "(a Chinese character counts as a word)"
        if self.unknown:
            names = "  ".join(f"{clip(text, 20)} {count}" for text, count in self.unknown.items())
            yield from entry("unknown", names)
        for text, tokens in self.examples:
            yield ""
            yield from entry("text", text)
            yield from entry("tokens", " | ".join(tokens))


def tokenizer(recipe: str | Path | Recipe | Mapping[str, object], overrides: Sequence[str] = ()) -> TokenizerReport:
    """Train the recipe's tokenizer into the run folder as `train` would, or load it; measure it.

    Args:
        recipe: a YAML file, a Recipe, or plain values.
        overrides: `key.path=value`, applied to it.
    """
    recipe = as_recipe(recipe, overrides)
    with work_folder(recipe) as folder:
        found = get_tokenizer(recipe, folder)
    config = recipe.tokenizer
    is_trained = config is not None and config.kind != "pretrained"
    texts = spread_texts(_read(recipe), MEASURED_CHARS)
    fit = measure_fit(found, texts)
    ids = found.encode_plain(texts)
    return TokenizerReport(
        kind="pretrained" if config is None else config.kind,
        folder=str(folder / "tokenizer") if is_trained else None,
        vocab_size=found.vocab_size,
        digest=found.digest,
        special=dict(zip(found.tokens(sorted(found.special_ids)), sorted(found.special_ids), strict=True)),
        measured_characters=sum(map(len, texts)),
        entries_used=len(np.unique(np.concatenate(ids))),
        chinese=fit.chinese,
        other=fit.other,
        unknown=_find_unknown(found, texts),
        examples=tuple(_show_tokens(found, text) for text in _choose(texts)),
    )


def _read(recipe: Recipe) -> list[str]:
    if isinstance(recipe.data, ExampleSource):
        _, rows, _ = read_split(recipe.data, "train", frozenset(), needs_label=recipe.objective.needs_label)
        return [text for row in rows for text in row.texts]
    return read_corpus(recipe.data, "train", frozenset())[1]


def _choose(texts: Sequence[str]) -> list[str]:
    """Some texts, from all over."""
    return [texts[index] for index in sorted({round(i) for i in np.linspace(0, len(texts) - 1, _EXAMPLES)})]


def _show_tokens(found: Tokenizer, text: str) -> tuple[str, tuple[str, ...]]:
    shown = clip(text, 200)
    is_cut = len(shown) < len(" ".join(text.split()))
    # The mark of the cut is no text, and unknown to many.
    return shown, tuple(found.tokens(found.encode_plain([shown[:-1] if is_cut else shown])[0]))


def _find_unknown(found: Tokenizer, texts: Sequence[str], most: int = 12) -> dict[str, int]:
    counts: Counter[str] = Counter()
    if found.unknown_id is None:
        return {}
    for text in texts:
        encoding = found.encode_with_offsets(text)
        for index, (start, end) in zip(encoding.ids, encoding.offsets, strict=True):
            if index == found.unknown_id:
                counts[text[start:end]] += 1
    return dict(counts.most_common(most))


def _fit_row(name: str, fit: Fit) -> tuple[str, ...]:
    if not fit.characters:
        return (name, "0", "", "", "", "", "")
    return (
        name,
        f"{fit.characters:,}",
        f"{fit.words:,}",
        f"{fit.tokens:,}",
        f"{fit.tokens_per_word:.2f}" if fit.characters < 10 * fit.words else "",  # of punctuation it would say nothing
        f"{fit.tokens_per_character:.2f}",
        format_share(fit.unknown_rate),
    )
