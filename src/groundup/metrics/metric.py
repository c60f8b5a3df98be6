"""A figure that carries its own proof: the value, its interval, how many items it is over, and how it was computed."""

from __future__ import annotations

from dataclasses import asdict, dataclass


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
        interval = "" if self.low is None or self.high is None else f" [{self.low:.4f}, {self.high:.4f}]"
        return f"{self.name} {self.value:.4f}{interval} (n={self.count}; {self.signature})"
