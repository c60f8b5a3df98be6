"""Prepare, and look at, the text a recipe learns from."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from groundup.errors import ConfigError
from groundup.recipe import Recipe
from groundup.text.corpus import Corpus
from groundup.text.corpus_config import CorpusConfig, Source
from groundup.verbs.assemble import as_recipe, get_tokenizer
from groundup.verbs.check_data import check_files
from groundup.verbs.corpora import open_source, prepare_sources, source_folder, split_names
from groundup.verbs.fit import tokenizer
from groundup.verbs.layout import columns, fold, format_bytes, format_share
from groundup.verbs.run_folder import enter_run
from groundup.verbs.show import show

__all__ = ["prepare", "show", "tokenizer"]


@dataclass(frozen=True)
class PreparedSplit:
    """What a split's folder of shards holds."""

    name: str
    folder: str
    files: int
    """Source files."""
    documents: int
    characters: int
    tokens: int
    """Of text, special tokens not counted."""
    unknown_tokens: int
    shards: int
    bytes_on_disk: int
    sequences: int
    """Samples at the recipe's `objective.max_length`."""
    sequence_tokens: int
    """Tokens of text in them; the rest lies in ends shorter than `data.min_length`."""


@dataclass(frozen=True)
class PrepareReport:
    """A prepared corpus."""

    splits: tuple[PreparedSplit, ...]
    max_length: int
    seconds: float

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        return asdict(self)

    def __str__(self) -> str:
        figures = [
            ("", *(split.name for split in self.splits)),
            *((label, *(_format(split, name) for split in self.splits)) for label, name in _ROWS),
        ]
        lines = ["prepared", *columns(figures, "l" + "r" * len(self.splits))]
        lines += fold(f"sequences are windows of at most {self.max_length} tokens inside a document")
        return "\n".join([*lines, *(f"  {split.name}: {split.folder}" for split in self.splits)])


_ROWS = (
    ("files", "files"),
    ("documents", "documents"),
    ("characters", "characters"),
    ("tokens", "tokens"),
    ("unknown tokens", "unknown_tokens"),
    ("shards", "shards"),
    ("on disk", "bytes_on_disk"),
    ("sequences", "sequences"),
    ("tokens in them", "sequence_tokens"),
)


def prepare(
    recipe: str | Path | Recipe | Mapping[str, object], overrides: Sequence[str] = (), *, quiet: bool = False
) -> PrepareReport:
    """Turn the text of a corpus into token shards, as `train` would; what is there already is not done again.

    Args:
        recipe: a YAML file, a Recipe, or plain values.
        overrides: `key.path=value`, applied to it.
        quiet: print no progress.

    Raises:
        ConfigError: the recipe learns from a table, which needs no preparing.
    """
    recipe = as_recipe(recipe, overrides)
    data = recipe.data
    if not isinstance(data, CorpusConfig):
        raise ConfigError("data.kind", "only a corpus is prepared", got=data.kind, cure="train reads a table directly")
    started = time.perf_counter()
    with enter_run(recipe) as folder:
        check_files(recipe)
        found = get_tokenizer(recipe, folder)
        prepare_sources(recipe, data, found, folder, quiet=quiet)
        splits = tuple(
            _describe(
                f"{source.name} {split}" if isinstance(source, Source) else split,
                open_source(recipe, data, source, found, folder, split),
                source_folder(data, source, folder, split),
            )
            for source in data.sources.values()
            for split in split_names(source)
        )
    return PrepareReport(splits, recipe.objective.max_length, time.perf_counter() - started)


def _describe(name: str, corpus: Corpus, folder: Path) -> PreparedSplit:
    manifest = corpus.manifest
    return PreparedSplit(
        name=name,
        folder=str(folder),
        files=len(manifest.origin.sources),
        documents=int(manifest.counts["documents"]),
        characters=int(manifest.counts["characters"]),
        tokens=int(manifest.counts["tokens"]),
        unknown_tokens=int(manifest.counts["unknown_tokens"]),
        shards=len(manifest.shards),
        bytes_on_disk=sum(path.stat().st_size for path in folder.iterdir() if path.is_file()),
        sequences=len(corpus),
        sequence_tokens=corpus.num_text_tokens,
    )


def _format(split: PreparedSplit, name: str) -> str:
    value = getattr(split, name)
    if name == "bytes_on_disk":
        return format_bytes(value)
    if name == "unknown_tokens":
        return f"{value:,} ({format_share(value / max(1, split.tokens))})"
    return f"{value:,}"
