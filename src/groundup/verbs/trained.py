"""A trained model with everything it was trained with: what evaluate, predict and serve share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from groundup.checkpoint import pretrained
from groundup.errors import CheckpointError, DataError
from groundup.model.transformer import Transformer
from groundup.objectives.causal import Causal
from groundup.objectives.denoising import Denoising
from groundup.objectives.masked import Masked
from groundup.objectives.permuted import Permuted
from groundup.objectives.protocol import Keeping, Tuned
from groundup.objectives.seq2seq import Seq2Seq
from groundup.objectives.span import SpanCorruption
from groundup.readers.source import ExampleSource
from groundup.recipe import AnyObjectiveConfig, Recipe
from groundup.tasks.classification import Classification
from groundup.tasks.multi_label import MultiLabel
from groundup.tasks.multiple_choice import MultipleChoice
from groundup.tasks.question_answering import QuestionAnswering
from groundup.tasks.regression import Regression
from groundup.tasks.span_classification import SpanClassification
from groundup.tasks.tagging import Tagging
from groundup.text.tokenizer import Tokenizer
from groundup.training.evaluate import measure_all
from groundup.training.machine import choose_device
from groundup.verbs.assemble import AnyObjective, Parts
from groundup.verbs.run_folder import RECIPE_FILE
from groundup.verbs.series_folder import find_run, is_series


@dataclass(frozen=True)
class Trained:
    """A model in evaluation mode, its tokenizer, and the objective that prepares input for it as in training."""

    folder: Path
    model: Transformer
    tokenizer: Tokenizer
    objective: AnyObjective
    recipe: Recipe | None
    """The recipe it was trained with; None for a folder that was not written by `train`."""

    @property
    def has_completions(self) -> bool:
        """Whether it learnt to complete prompts, rather than to write on."""
        data = None if self.recipe is None else self.recipe.data
        return isinstance(data, ExampleSource) and data.has_pair and self.objective.config.kind == "causal"

    @property
    def writes_on(self) -> bool:
        """Whether what it writes goes on from its prompt; otherwise it is an answer, and stands for itself."""
        return self.model.config.encoder is None and not self.has_completions


def find_model_folder(target: str | Path) -> str | Path:
    """The model folder of a recipe file, a run folder or a model folder; a hub name stays as it is.

    Of a folder with several seeds it is that of the best by validation.

    Raises:
        CheckpointError: the run has no model yet.
    """
    path = Path(target)
    if path.suffix in (".yaml", ".yml"):
        path = Recipe.load(path).folder
    elif not (path / RECIPE_FILE).is_file() and not is_series(path):
        return target
    path = find_run(path)
    if not (path / "model").is_dir():
        raise CheckpointError(str(path), "holds no trained model yet", cure="run `groundup train` to its end first")
    return path / "model"


def load_trained(target: str | Path) -> Trained:
    """Load a model for use. Its labels and preprocessing come from the folder itself."""
    return wrap_trained(pretrained.load(find_model_folder(target)), target)


def wrap_trained(loaded: pretrained.Pretrained, target: str | Path) -> Trained:
    """A model that was read from `target`, ready for use."""
    tokenizer = Tokenizer.load(loaded.tokenizer_folder)
    manifest = loaded.manifest
    values = None if manifest is None else manifest.get("recipe")
    recipe = None if values is None else Recipe.from_values(values, where=f"{target}/groundup.json")
    config = recipe.objective if recipe is not None else _guess_objective(loaded)
    if tokenizer.vocab_size > loaded.config.vocab_size:
        raise CheckpointError(
            str(target),
            f"its tokenizer has {tokenizer.vocab_size} entries and its model {loaded.config.vocab_size}",
            cure="they do not belong together",
        )
    labels = loaded.labels or ()
    if isinstance(config, Seq2Seq | SpanCorruption | Denoising):
        objective = config.build(tokenizer, start_id=pretrained.read_start(loaded.tokenizer_folder))
    else:
        objective = config.build(tokenizer, labels)
    objective = restore(objective, manifest or {})
    return Trained(Path(target), loaded.model.eval(), tokenizer, objective, recipe)


def restore(objective: AnyObjective, manifest: Mapping[str, Any]) -> AnyObjective:
    """An objective with what it knew when groundup.json was written."""
    is_known = isinstance(objective, Keeping) and manifest.get("facts") is not None
    return objective.restore(manifest["facts"]) if is_known else objective


def tune(recipe: Recipe, parts: Parts, model: Transformer) -> Parts:
    """The parts with a task that has chosen for this model what validation data decides, where it is a task's to."""
    task, samples = parts.objective, parts.validation
    if not isinstance(task, Tuned) or samples is None:
        return parts
    device = choose_device(recipe.train)
    measured = measure_all(
        model.to(device),
        task,
        samples,
        device=device,
        precision=recipe.train.precision,
        max_tokens=recipe.train.micro_batch_tokens,
    )
    return replace(parts, objective=task.tune(measured, samples.examples))


def check_utf8(text: str, where: str) -> None:
    """DataError for what a terminal or a file in another encoding hands in as half characters."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise DataError(where, "is no UTF-8 text", got=text, cure="convert it to UTF-8") from None


def _guess_objective(loaded: pretrained.Pretrained) -> AnyObjectiveConfig:
    """What a Hugging Face folder can do, by its heads."""
    kinds = [head.kind for head in loaded.config.heads]
    length = loaded.config.max_length
    if "classification" in kinds:
        num_labels, problem = len(loaded.labels or ()), loaded.extra_config.get("problem_type")
        if problem == "multi_label_classification":
            return MultiLabel(max_length=length, threshold=0.5)
        if problem == "regression" or (problem is None and num_labels == 1):
            if num_labels > 1:
                raise CheckpointError("model", "predicts several numbers, which is not supported", got=num_labels)
            return Regression(max_length=length)
        return Classification(max_length=length)
    if "token" in kinds:
        return Tagging(max_length=length)
    if "biaffine" in kinds:
        return SpanClassification(max_length=length)
    if "span" in kinds:
        return QuestionAnswering.fitting(length)
    if "multiple_choice" in kinds:
        return MultipleChoice(max_length=length)
    if "masked_lm" in kinds:
        return Masked(max_length=length)
    if "causal_lm" in kinds and loaded.config.encoder is not None:
        return Seq2Seq(max_length=length)
    if "causal_lm" in kinds:
        return Causal(max_length=length, separator="", prefix=loaded.config.has_prefix)
    if "permuted_lm" in kinds:
        return Permuted(max_length=length)
    raise CheckpointError(
        "model", "has no head that predicts", got=kinds, cure="fine-tune it first: model.kind=pretrained in a recipe"
    )
