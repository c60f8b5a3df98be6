"""What a recipe reaches over several seeds: the mean of a metric, how far seeds lie apart, how sure the mean is.

Fine-tuning differs more from seed to seed than many published gains (Dodge et al. 2020), so a figure of one seed says
little. The interval is Student's t over the seeds: how the mean would vary with other seeds, on these very items.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np

from groundup.errors import DataError
from groundup.figures import format_figure
from groundup.metrics.interval import CONFIDENCE, mean_interval
from groundup.metrics.metric import Metric

_OF_ITEMS = ("edges=", "interval=", "resamples=", "seed=")
"""Fields of a signature that say how sure a figure of one seed is; the mean over seeds has its own interval."""
_CHOSEN: Final = re.compile(r"^(threshold=|no answer above )[-+.e\d]+")
"""A threshold that each model chooses for itself belongs to it, as its weights do."""


@dataclass(frozen=True)
class SeedMetric:
    """One metric over seeds. With a single seed there is neither spread nor interval."""

    name: str
    mean: float
    spread: float | None
    """The standard deviation over seeds, divided by their number less one."""
    low: float | None
    high: float | None
    """Of the mean."""
    values: dict[int, float]
    """Of each seed."""
    signature: str

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        return asdict(self)


def over_seeds(figures: Mapping[int, Mapping[str, Metric]]) -> dict[str, SeedMetric]:
    """Every metric that all seeds have, by name.

    Args:
        figures: the metrics of each seed.

    Raises:
        DataError: a metric was not computed alike for all seeds.
    """
    if not figures:
        return {}
    every = list(figures.values())
    names = [name for name in every[0] if all(name in each for each in every)]
    return {name: _over_seeds(name, {seed: each[name] for seed, each in figures.items()}) for name in names}


def bare_signature(signature: str) -> str:
    """How a metric is computed and over how much, without how its interval was drawn and what each model chose."""
    fields = (field for field in signature.split("|") if not field.startswith(_OF_ITEMS))
    return "|".join(_CHOSEN.sub(r"\1that of each model", field) for field in fields)


def format_seeds(metrics: Iterable[SeedMetric]) -> list[str]:
    """One aligned line a metric, then how all of them were computed."""
    metrics = list(metrics)
    if not metrics:
        return []
    width = max(len(metric.name) for metric in metrics)
    lines = [f"  {''.ljust(width)}    mean  spread  interval"]
    for metric in metrics:
        line = f"  {metric.name.ljust(width)}  {format_figure(metric.mean)}"
        if metric.spread is not None and metric.low is not None and metric.high is not None:
            line += f"  {format_figure(metric.spread)}  [{format_figure(metric.low)}, {format_figure(metric.high)}]"
        lines.append(line)
    shared = metrics[0].signature.partition("|of ")[0]
    return [*lines, f"  {shared.replace('|', ', ')}"]


def _over_seeds(name: str, figures: Mapping[int, Metric]) -> SeedMetric:
    signatures = {bare_signature(metric.signature) for metric in figures.values()}
    if len(signatures) > 1:
        cure = "seeds must be measured on the same items: was the data changed?"
        raise DataError(name, "was not computed alike for all seeds", got=sorted(signatures), cure=cure)
    values = {seed: metric.value for seed, metric in figures.items()}
    seeds = ",".join(map(str, values))
    signature = f"mean over seeds {seeds}"
    if len(values) == 1:
        (value,) = values.values()
        return SeedMetric(name, value, None, None, None, values, f"{signature}|of {signatures.pop()}")
    array = np.array(list(values.values()))
    mean, low, high = mean_interval(array)
    signature += f"|spread=standard deviation|interval=Student's t over seeds, {CONFIDENCE:.0%}"
    return SeedMetric(name, mean, float(array.std(ddof=1)), low, high, values, f"{signature}|of {signatures.pop()}")
