"""What a report says of rows with several labels: each label with its threshold, rows wholly right and not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from jaxtyping import Int

from groundup.metrics.details import Details
from groundup.model.transformer import Transformer
from groundup.readers.table import Example
from groundup.recipe import Recipe
from groundup.reporting.content_rows import LabelFigures, LabelledRow, Labels
from groundup.tasks.multi_label import MultiLabelTask
from groundup.tasks.row_answers import LabelsPrediction
from groundup.verbs.report_parts import make_buckets
from groundup.verbs.report_run import clip_text
from groundup.verbs.report_sample import Chosen, measure

_SHOWN: Final = {"wrong": 12, "right": 6}
"""Rows of each kind."""
_SHOWN_LABELS: Final = 3
"""Likeliest ones besides those that are true or given."""
_SHOWN_CHARS: Final = 600


def measure_labels(
    recipe: Recipe, task: MultiLabelTask, model: Transformer, chosen: Chosen, device: torch.device
) -> Labels | None:
    """Everything that the page shows of them; None where no chosen row has labels."""
    measured = measure(recipe, task, model, chosen, device)
    order = np.argsort(measured["sample"], kind="stable")
    places = np.flatnonzero(measured["is_labelled"][order])
    if not len(places):
        return None
    details = task.details(measured, chosen.examples)
    predictions = task.decode(measured, chosen.examples)
    rows = [chosen.examples[int(number)] for number in chosen.numbers]
    is_right = np.array([set(rows[place].label_names or ()) == set(predictions[place].labels) for place in places])
    losses = measured["loss"][order][places]

    def choose(which: str, numbers: Int[np.ndarray, " some"]) -> list[LabelledRow]:
        worst = places[numbers[np.argsort(-losses[numbers], kind="stable")]][: _SHOWN[which]]
        return [_describe(rows[place], predictions[place]) for place in worst]

    has_label = measured["has_label"][order][places]
    return {
        "rows": len(places),
        "of": int(sum(example.label_names is not None for example in chosen.examples)),
        "right_rows": int(is_right.sum()),
        "wrong_rows": int((~is_right).sum()),
        "figures": _read_labels(details, has_label.sum(axis=0), task.thresholds or ()),
        "buckets": make_buckets([" ".join(rows[place].texts) for place in places], chosen.lengths[places], is_right),
        "wrong": choose("wrong", np.flatnonzero(~is_right)),
        "right": choose("right", np.flatnonzero(is_right)),
    }


def _read_labels(
    details: Details, counts: Int[np.ndarray, " labels"], thresholds: Sequence[float]
) -> list[LabelFigures]:
    return [
        {
            "label": label,
            "count": int(count),
            "threshold": float(threshold),
            "precision": details.classes[f"precision[{label}]"].to_json(),
            "recall": details.classes[f"recall[{label}]"].to_json(),
            "f1": details.classes[f"f1[{label}]"].to_json(),
        }  # type: ignore[typeddict-item]
        for label, count, threshold in zip(details.labels, counts, thresholds, strict=True)
    ]


def _describe(row: Example, prediction: LabelsPrediction) -> LabelledRow:
    shares, true = prediction.probabilities, list(row.label_names or ())
    likely = sorted(shares, key=lambda name: -shares[name])[:_SHOWN_LABELS]
    shown = {*likely, *true, *prediction.labels}
    return {
        "line": row.line,
        "text": clip_text(row.text, _SHOWN_CHARS),
        "pair": None if row.pair is None else clip_text(row.pair, _SHOWN_CHARS),
        "true": true,
        "given": list(prediction.labels),
        "probabilities": {name: share for name, share in shares.items() if name in shown},
    }
