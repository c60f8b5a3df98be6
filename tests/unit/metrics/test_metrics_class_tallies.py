"""A classifier's metrics as tallies are the same figures, so that paired tests are about what is reported."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.metrics.class_tallies import class_tallies
from groundup.metrics.classification import Average, classification_metrics, matthews_metric
from groundup.metrics.metric import split_signatures
from groundup.metrics.paired import compare
from groundup.metrics.tally import value_of

NAMES = ("a", "b", "c")


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=40),
    st.sampled_from([None, "macro", "micro", "weighted"]),
)
def test_values_are_those_of_the_table(rows: list[tuple[int, int]], average: Average | None) -> None:
    labels, answers = (np.array(column) for column in zip(*rows, strict=True))
    expected = classification_metrics(labels, answers, NAMES, average=average, num_resamples=2)
    expected |= {"matthews": matthews_metric(labels, answers, 3, num_resamples=2)}
    found = class_tallies(labels, answers, NAMES, average=average)
    assert set(expected) == set(found)
    for name, metric in expected.items():
        assert value_of(found[name]) == pytest.approx(metric.value), name
        assert metric.signature.startswith(found[name].signature), name


def test_two_classes_have_a_positive_one_and_an_auc() -> None:
    labels, answers = np.array([0, 1, 1, 0, 1]), np.array([0, 1, 0, 1, 1])
    shares = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7], [0.1, 0.9]])
    found = class_tallies(labels, answers, ("no", "yes"), probabilities=shares)
    assert value_of(found["precision"]) == pytest.approx(2 / 3) and "positive=yes" in found["f1"].signature
    assert value_of(found["auc"]) == pytest.approx(5 / 6)
    assert value_of(found["loss"]) == pytest.approx(-np.mean(np.log([0.9, 0.8, 0.4, 0.3, 0.9])))
    assert {"auc", "loss", "calibration_error"} & set(class_tallies(labels, answers, ("no", "yes"))) == set()
    turned = class_tallies(1 - labels, 1 - answers, ("yes", "no"), probabilities=shares[:, ::-1])
    assert turned["f1"].signature != found["f1"].signature


def test_a_share_that_was_written_as_nothing_has_a_loss() -> None:
    found = class_tallies(np.array([0]), np.array([1]), ("a", "b"), probabilities=np.array([[0.0, 1.0]]))
    assert value_of(found["loss"]) == pytest.approx(27.63, abs=0.01)


def test_a_metric_is_compared_alike_alone_and_among_others() -> None:
    generator = np.random.default_rng(3)
    labels = generator.integers(0, 3, 60).tolist()
    first, second = (np.where(generator.random(60) < share, labels, 0).tolist() for share in (0.9, 0.6))

    def all_of(answers: list[int], references: list[int]) -> dict:
        return class_tallies(np.array(references), np.array(answers), NAMES)

    def accuracy_of(answers: list[int], references: list[int]) -> dict:
        return {"accuracy": all_of(answers, references)["accuracy"]}

    found = compare(all_of, first, second, labels, num_shuffles=500, num_resamples=200)
    assert (
        found["accuracy"]
        == compare(accuracy_of, first, second, labels, num_shuffles=500, num_resamples=200)["accuracy"]
    )
    assert found["f1"].p_value < 0.05


def test_signatures_are_told_once() -> None:
    assert split_signatures(["a=1|n=3|v1", "a=2|n=3|v1"]) == (["a=1", "a=2"], "n=3, v1")
    assert split_signatures([]) == ([], "")
