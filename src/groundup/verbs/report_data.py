"""What a report says of the data: files and their hashes, counts, labels, lengths, what was lost."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from groundup.readers.lines import hash_file
from groundup.readers.source import ExampleSource
from groundup.recipe import Recipe
from groundup.reporting.content import DataSplit, File, Lengths
from groundup.text.corpus import Corpus
from groundup.text.corpus_config import CorpusConfig
from groundup.text.joined import Joined
from groundup.text.sample import FlatSamples, Samples
from groundup.verbs.assemble import Parts
from groundup.verbs.check_data import Lengths as LengthFigures


def describe_data(recipe: Recipe, parts: Parts) -> list[DataSplit]:
    """The training data, then the validation data where there is some; source by source."""
    splits: list[tuple[str, Samples | None]] = [("train", parts.train), ("validation", parts.validation)]
    if isinstance(recipe.data, CorpusConfig) and isinstance(parts.train, Joined):
        others = [source.name for source in recipe.data.others]
        # The last stage has sequences of full length.
        last = parts.train.parts[-1 - len(others) :]
        splits = [("train", last[0]), ("validation", parts.validation), *zip(others, last[1:], strict=True)]
    splits += [(f"{name} validation", samples) for name, samples in parts.further.items()]
    return [_describe(recipe, parts, name, samples) for name, samples in splits if samples is not None]


def _describe(recipe: Recipe, parts: Parts, name: str, samples: Samples) -> DataSplit:
    limit = recipe.objective.max_length
    shared: DataSplit = {
        "name": name,
        "files": [],
        "digest": samples.digest,
        "sequences": len(samples),
        "tokens": int(samples.lengths.sum(dtype=np.int64)),
        "documents": None,
        "characters": None,
        "labels": None,
        "label_shares": None,
        "counts_entities": False,
        "unlabelled": 0,
        "empty": 0,
        "num_cut": 0,
        "tokens_lost": 0,
        "unknown_tokens": 0,
        "lengths": _measure_lengths(samples.lengths, limit),
    }
    if isinstance(samples, Corpus):
        return _of_corpus(shared, samples)
    assert isinstance(samples, FlatSamples) and isinstance(recipe.data, ExampleSource)
    return _of_examples(shared, samples, recipe.data, parts)


def _of_corpus(shared: DataSplit, corpus: Corpus) -> DataSplit:
    counts = corpus.manifest.counts
    files: list[File] = [
        {"name": str(source["name"]), "bytes": int(str(source["bytes"])), "sha256": str(source["sha256"])}
        for source in corpus.manifest.origin.sources
    ]
    return shared | {
        "files": files,
        "documents": int(counts["documents"]),
        "characters": int(counts["characters"]),
        "tokens_lost": int(counts["tokens"]) - corpus.num_text_tokens,
        "unknown_tokens": int(counts["unknown_tokens"]),
    }  # type: ignore[return-value]


def _of_examples(shared: DataSplit, samples: FlatSamples, data: ExampleSource, parts: Parts) -> DataSplit:
    report, unknown = samples.report, parts.tokenizer.unknown_id
    labels = dict(report.label_counts)
    unlabelled = sum(each.label_names is None for each in samples.examples) if labels else 0  # type: ignore[attr-defined]
    whole = sum(labels.values()) if report.counts_entities else report.num_rows - unlabelled
    return shared | {
        "files": [_fingerprint(path) for path in data.find_files(shared["name"])],
        "labels": labels or None,
        "label_shares": {label: count / max(1, whole) for label, count in labels.items()} or None,
        "counts_entities": report.counts_entities,
        "unlabelled": unlabelled,
        "empty": report.num_empty,
        "num_cut": report.num_truncated,
        "tokens_lost": report.tokens_lost,
        "unknown_tokens": 0 if unknown is None else int((samples.input_ids == unknown).sum()),
    }  # type: ignore[return-value]


def _fingerprint(path: Path) -> File:
    return {"name": str(path), "bytes": path.stat().st_size, "sha256": hash_file(path)}


def _measure_lengths(lengths: np.ndarray, limit: int) -> Lengths:
    found = LengthFigures.of(lengths, limit, num_cut=0, tokens=0, tokens_lost=0)
    return {
        "limit": limit,
        "bins": list(found.bins),
        "quantiles": found.quantiles,
        "longest": found.longest,
    }
