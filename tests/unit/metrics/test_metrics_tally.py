from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sklearn

from groundup.errors import DataError
from groundup.metrics.calibration import calibration_bins, calibration_error, calibration_tally
from groundup.metrics.multilabel import multilabel_tallies
from groundup.metrics.paired import compare
from groundup.metrics.ranking import auc_tally, one_vs_rest_tallies
from groundup.metrics.regression import regression_tallies
from groundup.metrics.tally import draw_weights, mean_tally, measure, value_of


def repeat(tally_of, weights: np.ndarray, *columns: np.ndarray) -> float:
    """The metric of a data set in which each item stands as often as it weighs."""
    return value_of(tally_of(*(np.repeat(column, weights.astype(int), axis=0) for column in columns)))


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=2, max_size=30))
def test_auc_equals_that_of_sklearn(rows: list[tuple[bool, int]]) -> None:
    labels, scores = (np.array(column) for column in zip(*rows, strict=True))
    if labels.all() or not labels.any():
        with pytest.raises(DataError, match="rows of another"):
            auc_tally(labels, scores)
        return
    assert value_of(auc_tally(labels, scores)) == pytest.approx(sklearn.roc_auc_score(labels, scores), abs=1e-12)


@pytest.mark.parametrize("num_positive", [1, 20, 39])
def test_auc_is_the_share_of_pairs_to_its_last_digit_whatever_rows_weigh(num_positive: int) -> None:
    generator = np.random.default_rng(0)
    scores, is_positive = generator.integers(0, 9, 40), generator.permutation(40) < num_positive
    weights = next(draw_weights(40, 50, 0))
    wins = (scores[:, None] > scores) + (scores[:, None] == scores) / 2.0
    own, other = weights * is_positive, weights * ~is_positive
    won, pairs = np.einsum("ri,ij,rj->r", own, wins, other), own.sum(axis=1) * other.sum(axis=1)
    expected = np.divide(won, pairs, out=np.full(50, np.nan), where=pairs > 0)
    figures = auc_tally(is_positive, scores).figure(weights)
    np.testing.assert_array_equal(figures, expected)
    assert np.isnan(figures).any() == (num_positive in (1, 39))
    assert (auc_tally(is_positive, -scores).figure(weights) != figures).all()


def test_auc_of_several_classes_is_one_against_the_rest() -> None:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, 60)
    scores = generator.dirichlet(np.ones(3), 60)
    tallies = one_vs_rest_tallies(labels, scores, ["体育", "b", "c"])
    assert value_of(tallies["auc"]) == pytest.approx(
        sklearn.roc_auc_score(labels, scores, multi_class="ovr"), abs=1e-12
    )
    metric = measure(tallies)["auc[体育]"]
    assert metric.low < metric.value < metric.high
    with pytest.raises(DataError, match="for each of the 2 classes"):
        one_vs_rest_tallies(labels, scores, ["a", "b"])
    with pytest.raises(DataError, match="not finite"):
        auc_tally(labels == 0, np.full(60, np.nan))


@given(st.lists(st.tuples(st.integers(-5, 5), st.integers(-5, 5)), min_size=3, max_size=30))
def test_correlations_and_errors_equal_those_of_scipy_and_sklearn(rows: list[tuple[int, int]]) -> None:
    predictions, references = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    found = {name: value_of(tally) for name, tally in regression_tallies(predictions, references).items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pearson, spearman = stats.pearsonr(predictions, references)[0], stats.spearmanr(predictions, references)[0]
    assert found["pearson"] == pytest.approx(np.nan_to_num(pearson), abs=1e-9)
    assert found["spearman"] == pytest.approx(np.nan_to_num(spearman), abs=1e-9)
    assert found["mse"] == pytest.approx(sklearn.mean_squared_error(references, predictions))
    assert found["rmse"] == pytest.approx(found["mse"] ** 0.5)
    assert found["mae"] == pytest.approx(sklearn.mean_absolute_error(references, predictions))
    if references.std():
        assert found["r2"] == pytest.approx(sklearn.r2_score(references, predictions))


def test_numbers_far_from_zero_lose_no_digits() -> None:
    generator = np.random.default_rng(3)
    x = generator.normal(size=50)
    y = x + generator.normal(size=50)
    near, far = regression_tallies(x, y), regression_tallies(x + 1e6, y + 1e6)
    assert value_of(far["pearson"]) == pytest.approx(value_of(near["pearson"]), abs=1e-8)


@given(st.integers(0, 1000))
def test_a_weight_counts_as_so_many_rows(seed: int) -> None:
    generator = np.random.default_rng(seed)
    labels, scores = generator.integers(0, 2, 20).astype(bool), generator.integers(0, 6, 20).astype(float)
    weights = next(draw_weights(20, 1, seed))
    assert weights.sum() == 20
    for name in ("pearson", "spearman", "r2"):
        found = regression_tallies(scores, labels * 1.0)[name].figure(weights)[0]
        expected = repeat(lambda *each, name=name: regression_tallies(*each)[name], weights[0], scores, labels * 1.0)
        assert found == pytest.approx(expected, abs=1e-9)
    if 0 < (weights[0] * labels).sum() < 20:
        assert auc_tally(labels, scores).figure(weights)[0] == pytest.approx(
            repeat(auc_tally, weights[0], labels, scores)
        )


@given(st.integers(0, 1000))
def test_multi_label_figures_equal_those_of_sklearn(seed: int) -> None:
    generator = np.random.default_rng(seed)
    references, predictions = (generator.random((12, 4)) < 0.4 for _ in range(2))
    found = {name: value_of(each) for name, each in multilabel_tallies(predictions, references, list("abcd")).items()}
    for name, average in (("f1", "micro"), ("macro_f1", "macro"), ("samples_f1", "samples")):
        expected = sklearn.f1_score(references, predictions, average=average, zero_division=0)
        assert found[name] == pytest.approx(expected, abs=1e-12)
    assert found["precision"] == pytest.approx(
        sklearn.precision_score(references, predictions, average="micro", zero_division=0)
    )
    assert found["recall"] == pytest.approx(
        sklearn.recall_score(references, predictions, average="micro", zero_division=0)
    )
    each = sklearn.f1_score(references, predictions, average=None, zero_division=0)
    assert [found[f"f1[{name}]"] for name in "abcd"] == pytest.approx(list(each))
    assert found["exact_match"] == pytest.approx(sklearn.accuracy_score(references, predictions))
    assert found["hamming_loss"] == pytest.approx(sklearn.hamming_loss(references, predictions))
    with pytest.raises(DataError, match="differ in number"):
        multilabel_tallies(predictions, references, ["a"])


def test_the_calibration_error_as_a_metric_is_that_of_the_bins() -> None:
    generator = np.random.default_rng(1)
    confidences = generator.random(300)
    is_right = generator.random(300) < confidences**2
    metric = measure({"ece": calibration_tally(confidences, is_right)})["ece"]
    assert metric.value == pytest.approx(calibration_error(calibration_bins(confidences, is_right)), abs=1e-12)
    assert metric.low < metric.high


def test_a_perfect_mean_has_an_interval_with_a_width() -> None:
    metric = measure({"em": mean_tally("em", "questions", np.ones(20), "exact", full=100.0)})["em"]
    assert (metric.value, metric.high) == (100.0, 100.0)
    assert metric.low == pytest.approx(83.9, abs=0.1)
    assert metric.signature == (
        "exact|n=20|edges=wilson|interval=percentile bootstrap over questions, 95%|resamples=1000|seed=0|v1"
    )


def test_nothing_to_score_and_unequal_counts_are_refused() -> None:
    with pytest.raises(DataError, match="no item"):
        measure({"em": mean_tally("em", "questions", np.ones(0), "exact")})
    with pytest.raises(DataError, match=r"different numbers of items, got \[2, 3\]"):
        measure({str(n): mean_tally("em", "questions", np.ones(n), "exact") for n in (2, 3)})


def accuracy(answers: list[int], references: list[int]) -> dict:
    right = np.array(answers) == np.array(references)
    return {"accuracy": mean_tally("accuracy", "rows", right, "accuracy")}


def test_paired_test_equals_the_exact_one() -> None:
    # 12 rows only the first has right, 3 only the second: the sign test is exact for accuracy.
    references = [1] * 60
    first = [1] * 50 + [0] * 10
    second = [1] * 38 + [0] * 12 + [1] * 3 + [0] * 7
    found = compare(accuracy, first, second, references)["accuracy"]
    assert found.difference == pytest.approx(9 / 60)
    assert found.p_value == pytest.approx(stats.binomtest(12, 15).pvalue, abs=0.005)
    assert 0 < found.low < found.difference < found.high
    back = compare(accuracy, second, first, references)["accuracy"]
    assert back.difference == -found.difference
    assert back.p_value == found.p_value


def test_systems_that_are_alike_do_not_differ() -> None:
    same = compare(accuracy, [1, 0, 1], [1, 0, 1], [1, 1, 1])["accuracy"]
    assert (same.difference, same.p_value) == (0.0, 1.0)
    generator = np.random.default_rng(7)
    p_values = []
    for seed in range(200):
        first, second = (generator.integers(0, 2, 40).tolist() for _ in range(2))
        found = compare(accuracy, first, second, [1] * 40, num_shuffles=200, num_resamples=10, seed=seed)
        p_values.append(found["accuracy"].p_value)
    assert np.mean(np.array(p_values) <= 0.05) < 0.09
    assert np.mean(p_values) > 0.45


def test_a_metric_that_is_no_mean_is_compared_too() -> None:
    generator = np.random.default_rng(5)
    labels = generator.integers(0, 2, 200)
    good, poor = labels + generator.normal(0, 0.5, 200), labels + generator.normal(0, 2.0, 200)

    def tallies_of(answers: list[float], references: list[int]) -> dict:
        return {"auc": auc_tally(np.array(references) == 1, np.array(answers))}

    found = compare(tallies_of, good.tolist(), poor.tolist(), labels.tolist(), num_shuffles=500)["auc"]
    assert found.first == pytest.approx(sklearn.roc_auc_score(labels, good))
    assert found.second == pytest.approx(sklearn.roc_auc_score(labels, poor))
    assert found.p_value < 0.01
    assert found.low > 0
    with pytest.raises(DataError, match="every item once, got \\(2, 3, 3\\)"):
        compare(accuracy, [1, 0], [1, 0, 1], [1, 1, 1])
