"""What the metric that chooses the best weights comes to where nothing was learnt: by it a run counts as collapsed.

Mosbach et al. (2021) call a run failed that is not above the most frequent label. F1 has such a floor too, and a higher
one than 0: always answering the rare label of two finds all of it.
"""

from __future__ import annotations

from groundup.model.config import ModelConfig
from groundup.objectives.protocol import Collapsing
from groundup.recipe import Recipe
from groundup.verbs.assemble import Parts
from groundup.verbs.report_run import find_baseline
from groundup.verbs.series_folder import Judge


def find_judge(recipe: Recipe, parts: Parts, config: ModelConfig) -> Judge:
    """The metric that chooses the best weights, with the most that one answer to everything reaches.

    Of a loss that is an even guess, of figures such as Matthews' coefficient or the F1 of entities 0.
    """
    metric, is_larger_better = parts.objective.best
    if isinstance(parts.objective, Collapsing) and parts.validation is not None:
        constant = parts.objective.score_constant(parts.validation)
        if constant is not None:
            return Judge(metric, is_larger_better, constant.value, constant.answer)
    baseline = find_baseline(recipe, parts, config)
    if baseline is not None and baseline["metric"] == metric:
        return Judge(metric, is_larger_better, baseline["value"], baseline["label"])
    return Judge(metric, is_larger_better, 0.0 if is_larger_better else None, None)
