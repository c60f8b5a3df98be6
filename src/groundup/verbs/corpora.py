"""The corpora of a recipe: its sources prepared and opened, mixed by their shares, in sequences that may grow."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from groundup.config import expand_path
from groundup.recipe import Recipe
from groundup.text.best_fit import BestFit
from groundup.text.corpus import Corpus
from groundup.text.corpus_config import CorpusConfig, CorpusFiles, Source
from groundup.text.joined import Joined, Mixed, Staged
from groundup.text.pack import Planner, Shuffled
from groundup.text.prepare import Progress, prepare
from groundup.text.sample import Samples
from groundup.text.tokenizer import Tokenizer
from groundup.training.log import format_seconds


def source_folder(data: CorpusConfig, source: CorpusFiles, folder: Path, split: str) -> Path:
    """Where the prepared tokens of `train` or `validation` are kept; those that share files are kept together."""
    home = folder / "corpus" if data.folder is None else expand_path(data.folder, "data.folder")
    home = home / source.name if isinstance(source, Source) else home
    return home / ("train" if source.validation_share is not None else split)


def source_files(source: CorpusFiles, split: str) -> tuple[tuple[str, ...], CorpusFiles]:
    """The files that `train` or `validation` is prepared from, and how."""
    if split == "validation" and source.validation_share is None:
        return source.validation, source.model_copy(update={"max_tokens": source.max_validation_tokens})
    return source.train, source


def split_names(source: CorpusFiles) -> tuple[str, ...]:
    """`train`, and `validation` where there is one."""
    return ("train", "validation") if source.has_validation else ("train",)


def prepare_sources(recipe: Recipe, data: CorpusConfig, tokenizer: Tokenizer, folder: Path, *, quiet: bool) -> None:
    """Tokenize every source that is not tokenized yet."""
    for where, source in data.sources.items():
        for split in split_names(source):
            prepare_source(data, source, tokenizer, folder, split, where=where, quiet=quiet)


def prepare_source(
    data: CorpusConfig,
    source: CorpusFiles,
    tokenizer: Tokenizer,
    folder: Path,
    split: str,
    *,
    where: str = "data",
    quiet: bool = False,
) -> None:
    """Tokenize one split of a source where that is not done yet."""
    files, settings = source_files(source, split)
    name = f"{source.name} {split}" if isinstance(source, Source) else split
    report = None if quiet else _ProgressLine(f"preparing {name}")
    home = source_folder(data, source, folder, split)
    prepare(files, tokenizer, home, settings, where=f"{where}.{split}", progress=report)


def open_source(
    recipe: Recipe,
    data: CorpusConfig,
    source: CorpusFiles,
    tokenizer: Tokenizer,
    folder: Path,
    split: str,
    *,
    max_length: int | None = None,
) -> Corpus:
    """The prepared tokens of a split as samples; its texts are not asked for. `max_length` None: the objective's."""
    border = 1.0 - (source.validation_share or 0.0)
    is_held_out = split == "validation" and source.validation_share is not None
    return Corpus.open(
        source_folder(data, source, folder, split),
        tokenizer,
        max_length=max_length or recipe.objective.max_length,
        min_length=source.min_length,
        frame=recipe.objective.frame(tokenizer),
        part=(border, 1.0) if is_held_out else (0.0, border),
    )


def open_training(recipe: Recipe, data: CorpusConfig, tokenizer: Tokenizer, folder: Path) -> Samples:
    """What is learnt from: all sources of the first stage, then of the next; `make_planner` knows this order."""
    limits = [*(stage.max_length for stage in data.curriculum), recipe.objective.max_length]
    parts = [
        open_source(recipe, data, source, tokenizer, folder, "train", max_length=limit)
        for limit in limits
        for source in data.sources.values()
    ]
    return parts[0] if len(parts) == 1 else Joined(parts)


def open_further(recipe: Recipe, data: CorpusConfig, tokenizer: Tokenizer, folder: Path) -> dict[str, Samples]:
    """What is held out of the other sources, by their names."""
    return {
        source.name: open_source(recipe, data, source, tokenizer, folder, "validation")
        for source in data.others
        if source.has_validation
    }


def count_single(samples: Samples) -> str:
    """What is to be said of sentences that no pair holds; nothing where there are none."""
    corpora = samples.parts if isinstance(samples, Joined) else (samples,)
    count = sum(each.num_single for each in corpora if isinstance(each, Corpus))
    return f"; {count:,} sentences without a neighbour left out" if count else ""


def make_planner(recipe: Recipe, train: Samples) -> Planner:
    """The planner of a run over its samples: of a table, of one corpus, or of `open_training`."""
    data, limit = recipe.data, recipe.objective.max_length
    if not isinstance(train, Joined) or not isinstance(data, CorpusConfig):
        return _plan_stage(recipe, data, [train], recipe.train.batch_size)
    size = 1 + len(data.others)
    stages = [train.parts[start : start + size] for start in range(0, len(train.parts), size)]
    limits = [*(stage.max_length for stage in data.curriculum), limit]
    planners = [
        _plan_stage(recipe, data, parts, max(1, round(recipe.train.batch_size * limit / each)))
        for parts, each in zip(stages, limits, strict=True)
    ]
    if len(planners) == 1:
        return planners[0]
    ends = [round(stage.until * (recipe.train.steps or 0)) for stage in data.curriculum]
    return Staged(planners, ends, train.starts[::size].tolist())


def _plan_stage(recipe: Recipe, data: object, parts: list[Samples] | tuple[Samples, ...], batch_size: int) -> Planner:
    settings, lengths = recipe.train, [part.lengths for part in parts]
    limits = {"seed": recipe.seed, "micro_batch_tokens": settings.micro_batch_tokens}
    if len(parts) == 1 and settings.batch_tokens is not None:
        return BestFit(lengths[0], batch_tokens=settings.batch_tokens, **limits)
    if len(parts) == 1:
        return Shuffled(lengths[0], batch_size=batch_size, **limits)
    shares = [source.share for source in data.others]
    return Mixed(lengths, [1.0 - sum(shares), *shares], batch_size=batch_size, **limits)


class _ProgressLine:
    """The progress of a preparation, at most once a second."""

    def __init__(self, what: str) -> None:
        self._what, self._started, self._last = what, time.monotonic(), time.monotonic()

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if now - self._last < 1.0:
            return
        self._last = now
        share = progress.done_bytes / max(1, progress.total_bytes)
        left = (now - self._started) * (1.0 - share) / max(share, 1e-9)
        print(
            f"{self._what}: {share:.0%}  {progress.num_tokens:,} tokens  {progress.tokens_per_second:,.0f} tokens/s  "
            f"{format_seconds(left)} left",
            file=sys.stderr,
        )
