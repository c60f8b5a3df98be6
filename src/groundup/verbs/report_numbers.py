"""What a report says of a model that predicts numbers: predicted against true, errors by part, the largest of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import torch
from jaxtyping import Bool, Float

from groundup.metrics.interval import bootstrap_mean
from groundup.model.transformer import Transformer
from groundup.readers.table import Example
from groundup.recipe import Recipe
from groundup.reporting.charts import short_number
from groundup.reporting.content_rows import ErrorPart, NumberedRow, Numbers
from groundup.tasks.regression import RegressionTask
from groundup.verbs.report_parts import divide_rows
from groundup.verbs.report_run import clip_text
from groundup.verbs.report_sample import Chosen, measure, spread

_POINTS: Final = 400
_BANDS: Final = 6
_SHOWN: Final = 12
_SHOWN_CHARS: Final = 600


def measure_numbers(
    recipe: Recipe, task: RegressionTask, model: Transformer, chosen: Chosen, device: torch.device
) -> Numbers | None:
    """Everything that the page shows of them; None where no chosen row has a number."""
    measured = measure(recipe, task, model, chosen, device)
    order = np.argsort(measured["sample"], kind="stable")
    places = np.flatnonzero(measured["is_labelled"][order])
    if not len(places):
        return None
    true, predicted = (measured[name][order][places] for name in ("number", "prediction"))
    rows = [chosen.examples[int(chosen.numbers[place])] for place in places]
    errors = predicted - true
    divided = divide_rows([" ".join(row.texts) for row in rows], chosen.lengths[places])
    worst = np.argsort(-np.abs(errors), kind="stable")[:_SHOWN]
    return {
        "rows": len(places),
        "of": int(sum(example.label_names is not None for example in chosen.examples)),
        "points": [[float(true[place]), float(predicted[place])] for place in spread(len(places), _POINTS)],
        "parts": [
            *(_make_part("band", name, errors[inside]) for name, inside in _divide_numbers(true)),
            *(_make_part(part.by, part.name, errors[part.inside]) for part in divided),
        ],
        "worst": [_describe(rows[place], float(true[place]), float(predicted[place])) for place in worst],
    }


def _divide_numbers(true: Float[np.ndarray, " rows"]) -> Iterator[tuple[str, Bool[np.ndarray, " rows"]]]:
    """Bands with about as many rows each, named by the numbers in them; one for each number where these are few."""
    values = np.unique(true)
    starts = values
    if len(values) > _BANDS:
        starts = np.unique(np.quantile(true, np.arange(_BANDS) / _BANDS, method="higher"))
    band = np.searchsorted(starts, true, side="right")
    for number in np.unique(band):
        inside = band == number
        low, high = (short_number(float(edge)) for edge in (true[inside].min(), true[inside].max()))
        yield low if low == high else f"{low} – {high}", inside


def _make_part(by: str, name: str, errors: Float[np.ndarray, " rows"]) -> ErrorPart:
    found = bootstrap_mean(np.abs(errors))
    is_sure = len(errors) > 1  # a single row is the same in all resamples
    return {
        "by": by,  # type: ignore[typeddict-item]
        "name": name,
        "count": len(errors),
        "error": found.value,
        "low": found.low if is_sure else None,
        "high": found.high if is_sure else None,
        "bias": float(errors.mean()),
    }


def _describe(row: Example, true: float, predicted: float) -> NumberedRow:
    return {
        "line": row.line,
        "text": clip_text(row.text, _SHOWN_CHARS),
        "pair": None if row.pair is None else clip_text(row.pair, _SHOWN_CHARS),
        "true": true,
        "predicted": predicted,
    }
