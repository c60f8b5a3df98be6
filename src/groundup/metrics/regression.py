"""Predicted numbers against true ones: correlations (the official metrics of STS-B) and errors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int, Num

from groundup.errors import DataError
from groundup.metrics.tally import Tally, Values, Weights, divide, sums_tally


def regression_tallies(
    predictions: Num[np.ndarray, " answers"], references: Num[np.ndarray, " rows"]
) -> dict[str, Tally]:
    """`pearson`, `spearman`, `mse`, `rmse`, `mae` and `r2`, the share of the variance that is explained.

    A correlation with a constant is 0, as GLUE's submissions take it.

    Raises:
        DataError: predictions and references are not as many, or one is not finite.
    """
    predictions, references = (np.asarray(each, dtype=np.float64) for each in (predictions, references))
    if predictions.shape != references.shape:
        got = (len(predictions), len(references))
        raise DataError("metrics", "predictions and references differ in number", got=got)
    for each in (predictions, references):
        if not np.isfinite(each).all():
            raise DataError("metrics", "a number is not finite", got=float(each[~np.isfinite(each)][0]))
    errors = predictions - references
    # Sums of squares lose no digits where the numbers lie around zero.
    x, y = (each - each.mean() if len(each) else each for each in (predictions, references))
    parts = np.column_stack([np.ones_like(errors), errors**2, np.abs(errors), y, y**2])
    return {
        "pearson": sums_tally("pearson", "rows", _moments(x, y), _correlation, "pearson"),
        "spearman": Tally(
            "spearman",
            "rows",
            len(errors),
            _spearman_figure(predictions, references),
            "spearman, ties share their mean rank",
        ),
        "mse": sums_tally("mse", "rows", parts, lambda sums: sums[:, 1] / sums[:, 0], "mean squared error"),
        "rmse": sums_tally("rmse", "rows", parts, lambda sums: np.sqrt(sums[:, 1] / sums[:, 0]), "root of mse"),
        "mae": sums_tally("mae", "rows", parts, lambda sums: sums[:, 2] / sums[:, 0], "mean absolute error"),
        "r2": sums_tally("r2", "rows", parts, _explained, "1 - mse / variance of the references"),
    }


def _moments(x: np.ndarray, y: np.ndarray) -> Float[np.ndarray, "items moments"]:
    return np.column_stack([np.ones_like(x), x, y, x * x, y * y, x * y])


def _correlation(sums: Float[np.ndarray, "resamples moments"]) -> Values:
    n, x, y, xx, yy, xy = sums.T
    spread = (n * xx - x * x) * (n * yy - y * y)
    # Of equal numbers rounding leaves a spread that is not quite nothing.
    spread = np.where(spread > 1e-12 * (n * xx) * (n * yy), spread, 0.0)
    return divide(n * xy - x * y, np.sqrt(spread))


def _explained(sums: Float[np.ndarray, "resamples parts"]) -> Values:
    n, squared, _, y, yy = sums.T
    return 1.0 - divide(squared, yy - y * y / n)


def _spearman_figure(predictions: np.ndarray, references: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    groups = [np.unique(each, return_inverse=True)[1] for each in (predictions, references)]
    order = [np.argsort(group, kind="stable") for group in groups]

    def figure(weights: Weights) -> Values:
        x, y = (_ranks(weights, group, by) for group, by in zip(groups, order, strict=True))
        each = _moments_of(weights, x, y)
        return _correlation(each)

    return figure


def _ranks(weights: Weights, group: Int[np.ndarray, " items"], order: Int[np.ndarray, " items"]) -> Weights:
    """Of each item in each resample, where equal ones share the mean of their ranks, from their middle."""
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    sizes = np.add.reduceat(weights[:, order], starts, axis=1)
    middles = np.cumsum(sizes, axis=1) - sizes / 2.0 - sizes.sum(axis=1, keepdims=True) / 2.0
    return middles[:, group]


def _moments_of(weights: Weights, x: Weights, y: Weights) -> Float[np.ndarray, "resamples moments"]:
    columns = (np.ones_like(x), x, y, x * x, y * y, x * y)
    return np.column_stack([(weights * column).sum(axis=1) for column in columns])
