"""What the metric that chooses the best weights comes to where nothing was learnt: by it a run counts as collapsed.

Mosbach et al. (2021) call a run failed that is not above the most frequent label. F1 has such a floor too, and a higher
one than 0: always answering the rare label of two finds all of it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from groundup.metrics.classification import average_sums
from groundup.model.config import ModelConfig
from groundup.recipe import Recipe
from groundup.tasks.classification import ClassificationTask
from groundup.tasks.multi_label import MultiLabelTask
from groundup.tasks.multiple_choice import MultipleChoiceTask
from groundup.tasks.question_answering import AnsweringTask
from groundup.text.sample import Samples
from groundup.verbs.assemble import Parts
from groundup.verbs.report_run import find_baseline
from groundup.verbs.series_folder import Judge


def find_judge(recipe: Recipe, parts: Parts, config: ModelConfig) -> Judge:
    """The metric that chooses the best weights, with the most that one answer to everything reaches.

    Of a loss that is an even guess, of figures such as Matthews' coefficient or the F1 of entities 0.
    """
    metric, is_larger_better = parts.objective.best
    floor, label = _find_constant(metric, parts.objective, parts.validation) or (None, None)
    if floor is not None:
        return Judge(metric, is_larger_better, floor, label)
    baseline = find_baseline(recipe, parts, config)
    if baseline is not None and baseline["metric"] == metric:
        return Judge(metric, is_larger_better, baseline["value"], baseline["label"])
    return Judge(metric, is_larger_better, 0.0 if is_larger_better else None, None)


def _find_constant(metric: str, objective: object, validation: Samples | None) -> tuple[float, str | None] | None:
    """The best figure of one answer to all of validation, and that answer; None where there is no such thing."""
    report = getattr(validation, "report", None)
    if validation is None or report is None:
        return None
    counts = {label: count for label, count in report.label_counts.items() if count}
    if isinstance(objective, ClassificationTask) and metric in ("accuracy", "f1", "macro_f1") and counts:
        return max(_score_label(metric, objective, counts, label) for label in objective.labels)
    if isinstance(objective, MultiLabelTask) and metric == "f1" and counts:
        return _score_most_frequent(counts, report.num_rows)
    if isinstance(objective, MultipleChoiceTask) and metric == "accuracy":
        return float(np.mean([1.0 / len(example.choices) for example in validation.examples])), None
    if isinstance(objective, AnsweringTask) and objective.config.no_answer:
        known = [example.answers for example in validation.examples if example.answers is not None]
        return 100.0 * sum(not answers for answers in known) / max(1, len(known)), "no answer"
    return None


def _score_label(
    metric: str, objective: ClassificationTask, counts: Mapping[str, int], label: str
) -> tuple[float, str]:
    """Of always answering this label."""
    actual = np.array([counts.get(each, 0) for each in objective.labels])
    predicted = np.where(np.array(objective.labels) == label, actual.sum(), 0)
    right = np.minimum(predicted, actual)
    if metric == "accuracy":
        return float(right.sum() / actual.sum()), label
    average = objective.config.average or ("binary" if len(actual) == 2 else "macro")
    return float(average_sums(right, predicted, actual, "macro" if metric == "macro_f1" else average).f1), label


def _score_most_frequent(counts: Mapping[str, int], num_rows: int) -> tuple[float, str]:
    """Of giving every row the same labels, the most frequent ones: F1 over all pairs of row and label."""
    names = sorted(counts, key=lambda label: -counts[label])
    right, total = np.cumsum([counts[name] for name in names]), sum(counts.values())
    scores = 2.0 * right / (num_rows * np.arange(1, len(names) + 1) + total)
    most = int(scores.argmax())
    return float(scores[most]), ", ".join(names[: most + 1])
