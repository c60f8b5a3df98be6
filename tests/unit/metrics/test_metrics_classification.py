from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, matthews_corrcoef, precision_recall_fscore_support
from sklearn.metrics import confusion_matrix as sklearn_confusion

from groundup.errors import DataError
from groundup.metrics.classification import (
    accuracy,
    average_scores,
    class_metrics,
    class_scores,
    classification_metrics,
    confusion_matrix,
    format_confusion,
    format_confusions,
    matthews,
    matthews_metric,
)
from groundup.metrics.interval import percentile_interval, resample_counts


@st.composite
def answers(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, int]:
    num_classes = draw(st.integers(2, 6))
    size = draw(st.integers(1, 40))
    numbers = st.lists(st.integers(0, num_classes - 1), min_size=size, max_size=size)
    return np.array(draw(numbers)), np.array(draw(numbers)), num_classes


def sklearn_scores(labels: np.ndarray, predictions: np.ndarray, num_classes: int, average: str | None) -> list:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return precision_recall_fscore_support(
            labels, predictions, labels=range(num_classes), average=average, zero_division=0
        )[:3]


@settings(max_examples=60, deadline=None)
@given(answers())
def test_scores_equal_those_of_sklearn(case: tuple[np.ndarray, np.ndarray, int]) -> None:
    labels, predictions, num_classes = case
    confusion = confusion_matrix(labels, predictions, num_classes)
    assert np.array_equal(confusion, sklearn_confusion(labels, predictions, labels=range(num_classes)))
    assert accuracy(confusion) == pytest.approx(accuracy_score(labels, predictions), abs=1e-12)
    np.testing.assert_allclose(class_scores(confusion), sklearn_scores(*case, average=None), atol=1e-12)
    for average in ("macro", "micro", "weighted"):
        np.testing.assert_allclose(
            average_scores(confusion, average), sklearn_scores(*case, average=average), atol=1e-12
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert matthews(confusion) == pytest.approx(matthews_corrcoef(labels, predictions), abs=1e-12)
    if num_classes == 2:
        expected = [scores[1] for scores in sklearn_scores(*case, average=None)]
        np.testing.assert_allclose(average_scores(confusion, "binary"), expected, atol=1e-12)


def test_the_formulas_by_hand() -> None:
    # Ten reviews; positive = 1. TP = 3, FP = 1, FN = 2, TN = 4.
    labels = np.array([1, 1, 1, 1, 1, 0, 0, 0, 0, 0])
    predictions = np.array([1, 1, 1, 0, 0, 1, 0, 0, 0, 0])
    metrics = classification_metrics(labels, predictions, ["negative", "positive"])
    assert metrics["accuracy"].value == pytest.approx((3 + 4) / 10)
    assert metrics["precision"].value == pytest.approx(3 / 4)
    assert metrics["recall"].value == pytest.approx(3 / 5)
    assert metrics["f1"].value == pytest.approx(2 * 0.75 * 0.6 / (0.75 + 0.6))
    negative_f1 = 2 * (4 / 6) * (4 / 5) / (4 / 6 + 4 / 5)
    assert metrics["macro_f1"].value == pytest.approx((metrics["f1"].value + negative_f1) / 2)


def test_the_order_of_the_classes_decides_which_is_positive() -> None:
    labels, predictions = np.array([1, 1, 1, 0]), np.array([1, 1, 0, 0])
    forward = classification_metrics(labels, predictions, ["no", "yes"])
    backward = classification_metrics(1 - labels, 1 - predictions, ["yes", "no"])
    assert forward["f1"].value != backward["f1"].value
    assert "positive=yes" in forward["f1"].signature
    assert "positive=no" in backward["f1"].signature
    assert forward["macro_f1"].value == pytest.approx(backward["macro_f1"].value)


def test_several_classes_are_averaged_by_macro_and_reported_one_by_one() -> None:
    labels, predictions = np.array([0, 0, 1, 1, 2, 2]), np.array([0, 1, 1, 1, 2, 0])
    names = ["体育", "财经", "科技"]
    metrics = classification_metrics(labels, predictions, names)
    assert set(metrics) == {"accuracy", "precision", "recall", "f1", "weighted_f1"}
    assert "average=macro" in metrics["f1"].signature
    each = class_metrics(labels, predictions, names)
    assert each["recall[体育]"].value == 0.5
    assert each["precision[财经]"].value == pytest.approx(2 / 3)
    assert metrics["f1"].value == pytest.approx(np.mean([each[f"f1[{name}]"].value for name in names]))


def test_thousands_of_classes_cost_what_their_rows_do() -> None:
    """A table of 2,000 classes drawn a thousand times would be 32 GB, which each figure of each class would pass."""
    labels, predictions = np.arange(2000), np.where(np.arange(2000) % 4, np.arange(2000), 0)
    names = [f"class {number}" for number in labels]
    each = class_metrics(labels, predictions, names, num_resamples=100)
    assert each["recall[class 0]"].value == each["f1[class 5]"].value == 1.0 > each["recall[class 8]"].value == 0.0
    assert each["precision[class 0]"].value == pytest.approx(1 / 500)
    full = np.array([[5, 2], [1, 7]])
    drawn = class_scores(resample_counts(full, 1000, seed=3)).f1[:, 1]
    pairs = np.repeat([(0, 0), (0, 1), (1, 0), (1, 1)], full.reshape(-1), axis=0)
    metric = class_metrics(*pairs.T, ["a", "b"], seed=3)["f1[b]"]
    assert (metric.low, metric.high) == percentile_interval(drawn), "the same draws as those of the whole table"


def test_a_class_never_predicted_scores_zero_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        metrics = classification_metrics(np.array([0, 0, 1]), np.array([0, 0, 0]), ["a", "b"])
    assert metrics["precision"].value == metrics["recall"].value == metrics["f1"].value == 0.0
    assert "zero_division=0" in metrics["f1"].signature


def test_every_figure_has_an_interval_around_it_and_says_how() -> None:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, 500)
    predictions = np.where(generator.random(500) < 0.8, labels, 1 - labels)
    metrics = classification_metrics(labels, predictions, ["0", "1"], num_resamples=400, seed=7)
    for metric in metrics.values():
        assert metric.low < metric.value < metric.high
        assert metric.high - metric.low < 0.15
        for part in ("n=500", "resamples=400", "seed=7", "average=", "zero_division=0"):
            assert part in metric.signature
    again = classification_metrics(labels, predictions, ["0", "1"], num_resamples=400, seed=7)
    other = classification_metrics(labels, predictions, ["0", "1"], num_resamples=400, seed=8)
    assert metrics == again
    assert metrics["f1"].low != other["f1"].low


@pytest.mark.parametrize(
    ("labels", "predictions", "words"),
    [
        ([0, 1], [0], "differ in number"),
        ([0, 2], [0, 1], "outside 0 to 1"),
        ([0, -100], [0, 1], "outside"),
        ([], [], "no item"),
    ],
)
def test_answers_that_do_not_fit_are_refused(labels: list[int], predictions: list[int], words: str) -> None:
    with pytest.raises(DataError, match=words):
        classification_metrics(np.array(labels, dtype=int), np.array(predictions, dtype=int), ["a", "b"])


def test_binary_averaging_needs_two_classes() -> None:
    with pytest.raises(DataError, match="two classes"):
        classification_metrics(np.array([0, 1, 2]), np.array([0, 1, 2]), ["a", "b", "c"], average="binary")


def test_the_table_of_confusions_is_aligned_with_chinese_names() -> None:
    text = format_confusion(np.array([[10, 2], [3, 400]]), ["负面", "positive"])
    assert text.splitlines() == [
        "true \\ predicted  负面  positive",
        "负面                10         2",
        "positive             3       400",
    ]


def test_of_many_classes_the_commonest_mistakes_are_told() -> None:
    text = format_confusions(np.array([[9, 1, 0], [0, 9, 2], [0, 0, 9]]), ["体育", "b", "c"], 1)
    assert text.splitlines() == ["3 of 30 rows wrong, most often", "  2 x 'b' taken for 'c'"]


def test_all_right_is_not_beyond_doubt() -> None:
    labels = np.array([0, 1] * 10)
    metrics = classification_metrics(labels, labels, ["no", "yes"])
    assert metrics["accuracy"].value == metrics["accuracy"].high == 1.0
    assert metrics["accuracy"].low == pytest.approx(0.839, abs=0.001)
    assert metrics["recall"].low < metrics["accuracy"].low, "ten rows lie behind it, not twenty"
    assert "edges=wilson" in metrics["f1"].signature
    never = class_metrics(labels, np.zeros(20, dtype=int), ["no", "yes"])
    assert never["precision[yes]"].low == 0.0 < never["precision[yes]"].high
    assert "edges" not in matthews_metric(labels, labels, 2).signature
