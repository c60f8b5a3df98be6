"""A figure and how it is printed."""

from __future__ import annotations

from groundup.metrics.metric import Metric, format_metrics


def test_what_metrics_share_is_said_once() -> None:
    metrics = [
        Metric("accuracy", 0.5, 10, "average=none|n=10|v1", 0.25, 0.75),
        Metric("f1", 0.25, 10, "average=macro|n=10|v1"),
    ]
    assert format_metrics(metrics) == [
        "  accuracy  0.5000  [0.2500, 0.7500]    average=none",
        "  f1        0.2500                      average=macro",
        "  n=10, v1",
    ]
    assert format_metrics([]) == []


def test_a_metric_is_plain_data_and_back() -> None:
    metric = Metric("loss", 1.5, 3, "v1", 1.0, 2.0)
    assert Metric(**metric.to_json()) == metric


def test_a_figure_beyond_all_bounds_is_a_power_of_ten() -> None:
    metric = Metric("perplexity", 1.0142320547350045e304, 73, "pseudo", 2.5, 1.0142320547350045e304)
    assert format_metrics([metric]) == ["  perplexity  1.014e+304  [2.5000, 1.014e+304]", "  pseudo"]
    assert str(metric) == "perplexity 1.014e+304 [2.5000, 1.014e+304] (n=73; pseudo)"
