"""Compare two recipes rather than two models: by the differences of their runs that share a seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from groundup.errors import ConfigError
from groundup.figures import format_figure, format_signed
from groundup.metrics.interval import CONFIDENCE, difference_interval, student_t_tails
from groundup.metrics.metric import Metric
from groundup.metrics.seeds import bare_signature
from groundup.verbs.compare_files import check_same_examples
from groundup.verbs.evaluate import measure_target
from groundup.verbs.layout import columns, fold, plural
from groundup.verbs.series_folder import read_run, read_series, seed_folder


@dataclass(frozen=True)
class SeedDifference:
    """One metric of two recipes over the seeds that they share."""

    name: str
    first: float
    """The mean over seeds."""
    second: float
    difference: float
    """The mean of first - second."""
    low: float | None
    """None, as `high` and `p_value` are, where every seed has the same difference: nothing tells of other seeds."""
    high: float | None
    p_value: float | None
    """Of the paired t-test, two-sided."""
    differences: dict[int, float]
    """Of each seed."""
    signature: str


@dataclass(frozen=True)
class SeedsCompareReport:
    """Two recipes on the same rows."""

    first: str
    second: str
    data: str
    seeds: tuple[int, ...]
    metrics: dict[str, SeedDifference]

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        return asdict(self)

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"{self.first} against {self.second} on {self.data}, {plural(len(self.seeds), 'shared seed')}"
        rows = [("", "first", "second", "first - second", f"{CONFIDENCE:.0%} interval", "p")]
        for each in self.metrics.values():
            figures = (format_figure(each.first), format_figure(each.second), format_signed(each.difference))
            if each.low is None or each.high is None or each.p_value is None:
                rows.append((each.name, *figures, "-", "-"))
            else:
                interval = f"[{format_signed(each.low)}, {format_signed(each.high)}]"
                rows.append((each.name, *figures, interval, f"{each.p_value:.4f}"))
        yield from columns(rows, "lrrrlr")
        how = f"means over seeds {', '.join(map(str, self.seeds))}; interval and p by Student's t of paired differences"
        if any(each.p_value is None for each in self.metrics.values()):
            how += "; -: the difference is the same with each seed, so nothing tells of other seeds"
        yield from fold(how)


def compare_seeds(first: Path, second: Path, overrides: Sequence[str] = ()) -> SeedsCompareReport:
    """The difference of two folders of several seeds, seed by seed: what it would be with other seeds, on these rows.

    Raises:
        ConfigError: they share fewer than two seeds that finished, or a metric is not computed alike.
        DataError: they are not of the same rows.
    """
    seeds = sorted(_find_seeds(first) & _find_seeds(second))
    if len(seeds) < 2:
        cure = "train both with the same `seed` and --seeds, or compare two of their runs"
        raise ConfigError("seeds", f"of {first} and {second} that finished are fewer than two", got=seeds, cure=cure)
    pairs: dict[int, tuple[dict[str, Metric], dict[str, Metric]]] = {}
    data = ""
    for seed in seeds:
        one, other = (measure_target(seed_folder(folder, seed), overrides) for folder in (first, second))
        check_same_examples(one, other)
        scores = (each.trained.objective.score(each.measured, each.samples.examples) for each in (one, other))
        pairs[seed], data = tuple(scores), one.data
    every = [metrics for pair in pairs.values() for metrics in pair]
    names = [name for name in every[0] if all(name in metrics for metrics in every)]
    metrics = {
        name: _compare(name, {seed: (one[name], other[name]) for seed, (one, other) in pairs.items()}) for name in names
    }
    return SeedsCompareReport(str(first), str(second), data, tuple(seeds), metrics)


def _find_seeds(folder: Path) -> set[int]:
    """Those that finished."""
    _, seeds, diverged = read_series(folder)
    return {seed for seed in seeds if read_run(folder, seed, diverged)[1] is not None}


def _compare(name: str, pairs: dict[int, tuple[Metric, Metric]]) -> SeedDifference:
    signatures = {bare_signature(metric.signature) for pair in pairs.values() for metric in pair}
    if len(signatures) > 1:
        cure = "compare recipes whose objective and tokenizer are measured in the same way"
        raise ConfigError(name, "is not computed alike for both", got=sorted(signatures), cure=cure)
    first, second = (np.array([pair[side].value for pair in pairs.values()]) for side in (0, 1))
    mean, low, high = difference_interval(first, second)
    differences = first - second
    p_value = None
    # Rounding leaves a spread that is not quite nothing.
    if high - low > 1e-9 * abs(mean):
        p_value = student_t_tails(mean * len(pairs) ** 0.5 / float(differences.std(ddof=1)), len(pairs) - 1)
    signature = (
        f"mean difference over seeds {','.join(map(str, pairs))}|interval=Student's t of paired differences, "
        f"{CONFIDENCE:.0%}|p=paired t-test, two-sided|of {signatures.pop()}"
    )
    return SeedDifference(
        name,
        float(first.mean()),
        float(second.mean()),
        mean,
        None if p_value is None else low,
        None if p_value is None else high,
        p_value,
        dict(zip(pairs, differences.tolist(), strict=True)),
        signature,
    )
