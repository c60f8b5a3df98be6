"""A figure that carries its own proof: the value, its interval, how many items it is over, and how it was computed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

from groundup.figures import format_figure


@dataclass(frozen=True)
class Metric:
    """One measured number. `low` and `high` bound its interval; they are None where none was computed."""

    name: str
    value: float
    count: int
    """Items (rows, targets) that the value is over."""
    signature: str
    """How it was computed: averaging, units, interval, version. Two equal signatures may be compared."""
    low: float | None = None
    high: float | None = None

    def to_json(self) -> dict[str, object]:
        """Plain data for `metrics.jsonl` and `groundup.json`."""
        return asdict(self)

    def __str__(self) -> str:
        interval = "" if self.low is None or self.high is None else f" {_bounds(self)}"
        return f"{self.name} {format_figure(self.value)}{interval} (n={self.count}; {self.signature})"


def format_metrics(metrics: Iterable[Metric]) -> list[str]:
    """One aligned line a metric, then how all of them were computed, what they have in common said once."""
    metrics = list(metrics)
    if not metrics:
        return []
    own, shared = split_signatures([metric.signature for metric in metrics])
    width = max(len(metric.name) for metric in metrics)
    lines = []
    for metric, rest in zip(metrics, own, strict=True):
        interval = "" if metric.low is None or metric.high is None else _bounds(metric)
        lines.append(
            f"  {metric.name.ljust(width)}  {format_figure(metric.value)}  {interval.ljust(18)}  {rest}".rstrip()
        )
    return [*lines, *([f"  {shared}"] if shared else [])]


def rank(metrics: Mapping[str, Metric], name: str, *, is_larger_better: bool) -> tuple[float, float]:
    """What the better of two models has more of: the metric `name`, and of equals the one that loses less."""
    value, loss = metrics[name].value, metrics.get("loss")
    return value if is_larger_better else -value, 0.0 if loss is None else -loss.value


def split_signatures(signatures: Sequence[str]) -> tuple[list[str], str]:
    """Of each signature what the others have not, and what all of them have in common."""
    fields = [signature.split("|") for signature in signatures]
    shared = [field for field in fields[0] if all(field in others for others in fields)] if fields else []
    return [", ".join(field for field in own if field not in shared) for own in fields], ", ".join(shared)


def _bounds(metric: Metric) -> str:
    assert metric.low is not None and metric.high is not None
    return f"[{format_figure(metric.low)}, {format_figure(metric.high)}]"
