"""What a report says of a classifier: its classes, its confusions, its calibration, rows right and wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch

from groundup.metrics.calibration import calibration_bins, calibration_error
from groundup.metrics.details import Details
from groundup.model.transformer import Transformer
from groundup.readers.table import Example as Row
from groundup.recipe import Recipe
from groundup.reporting.content_rows import Classes, ClassFigures, Example
from groundup.tasks.classification import ClassificationTask
from groundup.tasks.row_answers import Prediction
from groundup.text.sample import UNLABELLED
from groundup.verbs.report_parts import make_buckets
from groundup.verbs.report_run import clip_text
from groundup.verbs.report_sample import Chosen, measure

_SHOWN: Final = {"wrong": 12, "right": 6}
"""Rows of each kind."""
_SHOWN_LABELS: Final = 5
_SHOWN_CHARS: Final = 600


def measure_classes(
    recipe: Recipe, task: ClassificationTask, model: Transformer, chosen: Chosen, device: torch.device
) -> Classes | None:
    """Everything that the page shows of a classifier; None where no chosen row has a label."""
    measured = measure(recipe, task, model, chosen, device)
    order = np.argsort(measured["sample"], kind="stable")
    labels = measured["label"][order]
    is_labelled = labels != UNLABELLED
    if not is_labelled.any():
        return None
    answers = measured["log_probabilities"][order].argmax(axis=1)
    is_right = answers == labels
    predictions = task.decode(measured, chosen.examples)
    texts = [chosen.examples[int(number)] for number in chosen.numbers]
    details = task.details(measured, chosen.examples)
    sure = np.array([each.probabilities[each.label] for each in predictions])
    bins = calibration_bins(sure[is_labelled], is_right[is_labelled])
    places = np.flatnonzero(is_labelled)
    return {
        "rows": int(is_labelled.sum()),
        "of": int((chosen.all_labels != UNLABELLED).sum()),
        "right_rows": int((is_right & is_labelled).sum()),
        "wrong_rows": int((~is_right & is_labelled).sum()),
        "labels": list(task.labels),
        "confusion": details.confusion.tolist(),  # type: ignore[union-attr]
        "classes": _read_classes(details),
        "buckets": make_buckets(
            [" ".join(texts[place].texts) for place in places], chosen.lengths[places], is_right[places]
        ),
        "calibration": {"error": calibration_error(bins), "bins": [each._asdict() for each in bins]},  # type: ignore[typeddict-item]
        "wrong": _choose(task, texts, labels, predictions, places[~is_right[places]], "wrong"),
        "right": _choose(task, texts, labels, predictions, places[is_right[places]], "right"),
    }


def _read_classes(details: Details) -> list[ClassFigures]:
    assert details.confusion is not None
    figures, counts = details.classes, details.confusion.sum(axis=1)
    return [
        {
            "label": label,
            "count": int(count),
            "precision": figures[f"precision[{label}]"].to_json(),
            "recall": figures[f"recall[{label}]"].to_json(),
            "f1": figures[f"f1[{label}]"].to_json(),
        }  # type: ignore[typeddict-item]
        for label, count in zip(details.labels, counts, strict=True)
    ]


def _choose(
    task: ClassificationTask,
    rows: Sequence[Row],
    labels: np.ndarray,
    predictions: Sequence[Prediction],
    places: np.ndarray,
    which: str,
) -> list[Example]:
    """The rows whose true label has the lowest probability: the worst mistakes, or the closest calls."""
    shares = np.array([predictions[place].probabilities[task.labels[labels[place]]] for place in places])
    worst = places[np.argsort(shares, kind="stable")][: _SHOWN[which]]
    return [_describe(task.labels[labels[place]], rows[place], predictions[place]) for place in worst]


def _describe(label: str, row: Row, prediction: Prediction) -> Example:
    shares = prediction.probabilities
    likely = sorted(shares, key=lambda name: -shares[name])[:_SHOWN_LABELS]
    shown = dict.fromkeys([*likely, label])
    return {
        "line": row.line,
        "text": clip_text(row.text, _SHOWN_CHARS),
        "pair": None if row.pair is None else clip_text(row.pair, _SHOWN_CHARS),
        "label": label,
        "prediction": prediction.label,
        "probabilities": {name: shares[name] for name in shown},
    }
