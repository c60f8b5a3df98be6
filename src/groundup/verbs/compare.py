"""Compare: two models, or two files of predictions, on the same rows, with a paired test of every metric.

Two intervals that overlap say little of a difference: models err on the same hard rows. So rows are drawn, and answers
exchanged, in pairs; the counts of who is better where are those that McNemar's test (1947) looks at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from groundup.errors import ConfigError, DataError
from groundup.figures import format_figure, format_signed
from groundup.metrics.interval import CONFIDENCE
from groundup.metrics.metric import split_signatures
from groundup.metrics.paired import Comparison
from groundup.metrics.paired import compare as compare_answers
from groundup.metrics.tally import Tally, divide, sums_tally
from groundup.objectives.protocol import Comparable, Task
from groundup.tasks.written import Answered
from groundup.training.machine import keep_threads
from groundup.verbs.compare_files import check_same_examples, is_prediction_file, read_predictions, restate
from groundup.verbs.compare_seeds import SeedsCompareReport, compare_seeds
from groundup.verbs.evaluate import Evaluated, measure_target
from groundup.verbs.layout import columns, fold, plural
from groundup.verbs.series_folder import find_series


@dataclass(frozen=True)
class CompareReport:
    """Two systems on the same rows."""

    first: str
    second: str
    data: str
    count: int
    """Rows, or texts."""
    metrics: dict[str, Comparison]
    first_better: int
    """Rows on which the first one is right, or less wrong, and the second one is not."""
    second_better: int
    both_right: int | None
    """None where no answer is simply right, as with a loss."""
    alike: int
    """Rows on which neither is better, those on which both are right included."""
    left_out: tuple[str, ...] = ()
    """Metrics of one of them that mean something else, or nothing, of the other: the share of right tags, say, where
    these are written in two ways."""

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        return asdict(self)

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"{self.first} against {self.second} on {self.data}, {plural(self.count, 'row')}"
        own, shared = split_signatures([each.signature for each in self.metrics.values()])
        rows = [("", "first", "second", "first - second", f"{CONFIDENCE:.0%} interval", "p", "")]
        for each, rest in zip(self.metrics.values(), own, strict=True):
            figures = [format_figure(value) for value in (each.first, each.second)]
            interval = f"[{format_signed(each.low)}, {format_signed(each.high)}]"
            rows.append((each.name, *figures, format_signed(each.difference), interval, f"{each.p_value:.4f}", rest))
        yield from columns(rows, "lrrrlrl")
        yield from fold(shared)
        what = "right where the other is wrong" if self.both_right is not None else "better than the other"
        yield f"{what}: first {self.first_better:,}, second {self.second_better:,}"
        if self.both_right is not None:
            yield f"both right {self.both_right:,}, both wrong {self.alike - self.both_right:,}"
        if self.left_out:
            yield f"left out, as it does not mean the same of both: {', '.join(self.left_out)}"


@keep_threads()
def compare(
    first: str | Path, second: str | Path, overrides: Sequence[str] = (), *, gold: str = "gold"
) -> CompareReport | SeedsCompareReport:
    """Whether one of two systems is better than the other on the same data, metric by metric.

    Taggers of two schemes, or a tagger and a classifier of spans, are compared by the entities that they find. Two
    folders of several seeds are compared seed by seed; of one beside a single model, its best seed is taken.

    Args:
        first: a model folder, a run folder or a recipe; or a file of predictions, as `predict` writes it.
        second: another one of the same kind.
        overrides: settings of both recipes to change first, such as `data.validation=test.csv`.
        gold: in files of predictions, the column of what is right, as it stands in data to learn from.

    Raises:
        ConfigError: the two learnt different things, were measured in another way, or cannot be compared.
        DataError: they are not of the same rows, or a file does not say what was answered or what is right.
    """
    files = [is_prediction_file(each) for each in (first, second)]
    if all(files):
        if overrides:
            raise ConfigError(f"override {overrides[0]}", "changes nothing for files of predictions")
        one, other = read_predictions(Path(first), Path(second), gold)
        return _compare_answers(str(first), str(second), str(first), one, other)
    if any(files):
        one, other = (first, second) if files[0] else (second, first)
        cure = f"write its predictions to a file first: groundup predict {other} ... --output FILE"
        raise ConfigError(str(other), f"is a model, and {one} a file of predictions", cure=cure)
    one, other = (find_series(target) for target in (first, second))
    if one is not None and other is not None:
        return compare_seeds(one, other, overrides)
    found = [measure_target(target, overrides) for target in (first, second)]
    tasks = [each.trained.objective for each in found]
    if all(isinstance(task, Task) for task in tasks):
        return _compare_tasks(str(first), str(second), *found)
    _check_kinds(tasks[0].config.kind == tasks[1].config.kind, *found)
    return _compare_losses(str(first), str(second), *found)


def _check_kinds(is_one: bool, one: Evaluated, other: Evaluated) -> None:
    if not is_one:
        kinds = [each.trained.objective.config.kind for each in (one, other)]
        raise ConfigError("objective", "is not the same for both", got=kinds, cure="compare models of one kind")


def _compare_tasks(first: str, second: str, one: Evaluated, other: Evaluated) -> CompareReport:
    tasks = [each.trained.objective for each in (one, other)]
    if not all(isinstance(task, Comparable) for task in tasks):
        raise ConfigError("objective", "has no paired comparison", got=tasks[0].config.kind)
    kinds = [task.answers for task in tasks]
    _check_kinds(type(kinds[0]) is type(kinds[1]), one, other)
    kinds[0].join(kinds[1])  # what differs in labels differs in rows, too, and is better said of labels
    check_same_examples(one, other)
    known = [number for number, example in enumerate(one.samples.examples) if example.label_names is not None]
    if not known:
        raise DataError(one.data, "no row has a label, so there is nothing to compare", cure="name the label column")
    sides = []
    for task, kind, each in zip(tasks, kinds, (one, other), strict=True):
        examples, answers = each.samples.examples, task.decode(each.measured, each.samples.examples)
        rows = restate(task, [examples[number] for number in known])
        sides.append(Answered(kind, rows, [answers[number] for number in known]))
    return _compare_answers(first, second, one.data, *sides)


def _compare_answers(first: str, second: str, data: str, one: Answered, other: Answered) -> CompareReport:
    """Of systems whose answers are right or wrong, or more or less wrong."""
    sides = (one, other)
    own = [side.answers.tallies(side.predictions, side.examples) for side in sides]
    joint, same = one.answers.join(other.answers), other.answers.join(one.answers)
    common = [
        found if kind == side.answers else kind.tallies(side.predictions, side.examples)
        for kind, side, found in zip((joint, same), sides, own, strict=True)
    ]
    _check_signatures(*common)
    metrics = compare_answers(joint.tallies, one.predictions, other.predictions, one.examples)
    errors = [joint.find_errors(side.predictions, one.examples) for side in sides]
    has_right = all(np.isin(each, (0.0, 1.0)).all() for each in errors)
    left_out = sorted({name for found in own for name in found} - metrics.keys())
    return _report(first, second, data, metrics, *errors, has_right=has_right, left_out=left_out)


def _compare_losses(first: str, second: str, one: Evaluated, other: Evaluated) -> CompareReport:
    """Of language models that were asked for the same tokens: the losses of whole texts are drawn in pairs."""
    if not all({"nll", "sample"} <= set(each.measured) for each in (one, other)):
        raise ConfigError("objective", "has no paired comparison", got=one.trained.objective.config.kind)
    check_same_examples(one, other)
    counts, losses = zip(*(_sum_up(each.measured) for each in (one, other)), strict=True)
    if counts[0] != counts[1]:
        cure = "compare models of one objective with the same settings"
        raise DataError("data.validation", "was not asked for the same tokens of both models", cure=cure)
    tokens = np.array(list(counts[0].values()))

    def tallies_of(of_texts: list[float], of_tokens: list[int]) -> dict[str, Tally]:
        parts = np.stack([of_texts, of_tokens], axis=1)
        how = "nats a token, texts drawn whole"
        return {"loss": sums_tally("loss", "texts", parts, lambda sums: divide(sums[..., 0], sums[..., 1]), how)}

    metrics = compare_answers(tallies_of, *(each.tolist() for each in losses), tokens.tolist())
    return _report(first, second, one.data, metrics, *(each / tokens for each in losses), has_right=False)


def _sum_up(measured: Mapping[str, np.ndarray]) -> tuple[dict[int, int], Float[np.ndarray, " texts"]]:
    """Of every text that was asked for something: how many tokens, and their summed loss."""
    texts, place = np.unique(measured["sample"], return_inverse=True)
    counts = np.bincount(place)
    losses = np.bincount(place, weights=measured["nll"].astype(np.float64))
    return dict(zip(texts.tolist(), counts.tolist(), strict=True)), losses


def _report(
    first: str,
    second: str,
    data: str,
    metrics: dict[str, Comparison],
    one: Float[np.ndarray, " rows"],
    other: Float[np.ndarray, " others"],
    *,
    has_right: bool,
    left_out: Sequence[str] = (),
) -> CompareReport:
    both = int(((one == 0.0) & (other == 0.0)).sum()) if has_right else None
    return CompareReport(
        first,
        second,
        data,
        len(one),
        metrics,
        int((one < other).sum()),
        int((other < one).sum()),
        both,
        int((one == other).sum()),
        tuple(left_out),
    )


def _check_signatures(one: Mapping[str, Tally], other: Mapping[str, Tally]) -> None:
    """ConfigError where a metric is not computed alike for both."""
    for name in one.keys() & other.keys():
        signatures = (one[name].signature, other[name].signature)
        if signatures[0] != signatures[1]:
            cure = "measure both by the same settings of the objective; in files, order probabilities alike"
            raise ConfigError(name, "is not computed alike for both", got=signatures, cure=cure)
