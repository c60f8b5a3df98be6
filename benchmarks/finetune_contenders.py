"""The three loops of finetune_vs_hf.py: groundup's, a plain script, and the Hugging Face Trainer.

Each starts from the same model folder, its fresh head included, reads the same token ids and is timed over the steps of
training alone. A contender answers with its examples a second and, when asked, what it says of the development rows.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import transformers
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import (
    AutoModelForSequenceClassification,
    PrinterCallback,
    TrainerCallback,
    get_linear_schedule_with_warmup,
)

from groundup.checkpoint import pretrained
from groundup.model.initialize import parameter_role
from groundup.model.transformer import Transformer
from groundup.optim.adamw import AdamW
from groundup.optim.schedule import Linear
from groundup.tasks.classification import Classification, ClassificationTask
from groundup.tasks.regression import Regression, RegressionTask
from groundup.text.pack import Shuffled
from groundup.text.sample import FlatSamples, Sample
from groundup.training.config import TrainConfig
from groundup.training.evaluate import measure_all
from groundup.training.trainer import Trainer

CLIP_NORM, WEIGHT_DECAY, WARMUP = 1.0, 0.01, 0.1
MICRO_BATCH_TOKENS = 1 << 30  # a step is never cut


@dataclass(frozen=True)
class Kind:
    """How a kind of task is told to transformers, and its logits to our metrics."""

    config: type[Classification | Regression]
    model: type
    """transformers' class."""
    label_of: Callable[[Sample], int | float]
    """As transformers takes it."""
    read: Callable[[Mapping[str, np.ndarray]], np.ndarray]
    """The logits in what our task has measured."""
    measure: Callable[[Float[np.ndarray, "rows logits"], FlatSamples], dict[str, np.ndarray]]
    """What our task would have measured, from the logits of any model."""


def _measure_classes(logits: Float[np.ndarray, "rows labels"], samples: FlatSamples) -> dict[str, np.ndarray]:
    return {
        "log_probabilities": torch.from_numpy(logits).log_softmax(dim=-1).numpy(),
        "loss": np.zeros(len(samples), dtype=np.float32),
        "label": samples.labels,
        "sample": np.arange(len(samples)),
    }


def _measure_numbers(logits: Float[np.ndarray, "rows 1"], samples: FlatSamples) -> dict[str, np.ndarray]:
    return {
        "prediction": logits[:, 0].astype(np.float64),
        "loss": np.zeros(len(samples), dtype=np.float32),
        "number": samples.of_rows["number"],
        "is_labelled": samples.of_rows["is_labelled"],
        "sample": np.arange(len(samples)),
    }


KINDS = {
    "classification": Kind(
        Classification,
        AutoModelForSequenceClassification,
        lambda sample: sample.label,
        lambda measured: measured["log_probabilities"],
        _measure_classes,
    ),
    # In the unit of the file, as the peers have it: `fit`, which would standardise the numbers, is not called.
    "regression": Kind(
        Regression,
        AutoModelForSequenceClassification,
        lambda sample: float(sample.targets["number"]),
        lambda measured: measured["prediction"][:, None],
        _measure_numbers,
    ),
}


@dataclass(frozen=True)
class Job:
    """What a contender is asked to do."""

    start: Path
    """The model folder with a fresh head."""
    kind: Kind
    task: ClassificationTask | RegressionTask
    train: FlatSamples
    development: FlatSamples
    epochs: int
    batch_size: int
    learning_rate: float
    seed: int
    """Of order and dropout."""
    pad_id: int


class Outcome(NamedTuple):
    """What a training came to."""

    examples_per_second: float
    seconds: float
    predict: Callable[[], Float[np.ndarray, "rows logits"]]
    """The logits of the development rows in their order; of classes they are known up to a constant in each row."""


def run_ours(job: Job) -> Outcome:
    """groundup's loop, with its own order of samples."""
    model = pretrained.load(job.start, heads=[job.task.head]).model
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            model=model,
            objective=job.task,
            samples=job.train,
            planner=Shuffled(
                job.train.lengths, seed=job.seed, batch_size=job.batch_size, micro_batch_tokens=MICRO_BATCH_TOKENS
            ),
            validation=None,
            optimizer=AdamW(learning_rate=job.learning_rate, weight_decay=WEIGHT_DECAY).build(
                model.named_parameters(), parameter_role
            ),
            schedule=Linear(warmup=WARMUP),
            settings=TrainConfig(
                epochs=job.epochs,
                batch_size=job.batch_size,
                micro_batch_tokens=MICRO_BATCH_TOKENS,
                clip_norm=CLIP_NORM,
                device="cpu",
            ),
            seed=job.seed,
            folder=Path(folder),
            recipe={},
            quiet=True,
        )
        seconds = trainer.run().progress.seconds
    return _outcome(job, seconds, lambda: predict_ours(model, job))


def run_script(job: Job) -> Outcome:
    """The loop of most tutorials: batches in random order, each padded to its longest row."""
    model = load_peer(job)
    generator = torch.Generator().manual_seed(job.seed)
    loader = DataLoader(
        make_features(job.train, job.kind),
        batch_size=job.batch_size,
        shuffle=True,
        generator=generator,
        collate_fn=lambda features: pad_features(features, job.pad_id),
    )
    optimizer = torch.optim.AdamW(_group(model), lr=job.learning_rate)
    total = job.epochs * len(loader)
    schedule = get_linear_schedule_with_warmup(optimizer, int(WARMUP * total), total)
    torch.manual_seed(job.seed)
    model.train()
    started = time.perf_counter()
    for _ in range(job.epochs):
        for batch in loader:
            loss = model(**batch).loss
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
    return _outcome(job, time.perf_counter() - started, lambda: predict_peer(model, job))


def run_grouped_trainer(job: Job) -> Outcome:
    """The Hugging Face Trainer with its length-grouped sampling."""
    model, clock = load_peer(job), Clock()
    with tempfile.TemporaryDirectory() as folder:
        arguments = transformers.TrainingArguments(
            output_dir=folder,
            num_train_epochs=job.epochs,
            per_device_train_batch_size=job.batch_size,
            learning_rate=job.learning_rate,
            weight_decay=WEIGHT_DECAY,
            max_grad_norm=CLIP_NORM,
            lr_scheduler_type="linear",
            warmup_steps=WARMUP,
            train_sampling_strategy="group_by_length",
            seed=job.seed,
            save_strategy="no",
            logging_strategy="no",
            report_to="none",
            disable_tqdm=True,
            remove_unused_columns=False,
            use_cpu=True,
        )
        trainer = transformers.Trainer(
            model=model,
            args=arguments,
            data_collator=lambda features: pad_features(features, job.pad_id),
            train_dataset=make_features(job.train, job.kind),
            callbacks=[clock],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    return _outcome(job, clock.ended - clock.started, lambda: predict_peer(model, job))


CONTENDERS = {"groundup": run_ours, "script": run_script, "length-grouped Trainer": run_grouped_trainer}


class Clock(TrainerCallback):
    """When the first step began and the last one ended."""

    started = ended = 0.0

    def on_step_begin(self, *_: object, **__: object) -> None:
        self.started = self.started or time.perf_counter()

    def on_step_end(self, *_: object, **__: object) -> None:
        self.ended = time.perf_counter()


def load_peer(job: Job) -> transformers.PreTrainedModel:
    """transformers' model of the folder that all start from."""
    return job.kind.model.from_pretrained(job.start, dtype=torch.float32)


def make_features(samples: FlatSamples, kind: Kind) -> list[dict[str, object]]:
    """Encoded rows as transformers' collators take them."""
    return [_make_feature(samples[number], kind) for number in range(len(samples))]


def pad_features(features: Sequence[dict[str, object]], pad_id: int) -> dict[str, Tensor]:
    """One batch, padded to its longest row."""
    longest = max(len(feature["input_ids"]) for feature in features)
    filling = {"input_ids": pad_id, "token_type_ids": 0, "attention_mask": 0}
    batch = {
        name: torch.tensor([[*feature[name], *[fill] * (longest - len(feature[name]))] for feature in features])
        for name, fill in filling.items()
    }
    return batch | {"labels": torch.tensor([feature["labels"] for feature in features])}


def predict_ours(model: Transformer, job: Job) -> Float[np.ndarray, "rows logits"]:
    """The logits of the development rows."""
    measured = measure_all(model, job.task, job.development, device=torch.device("cpu"))
    return job.kind.read(measured)[np.argsort(measured["sample"])]


def predict_peer(model: nn.Module, job: Job) -> Float[np.ndarray, "rows logits"]:
    """The logits of the development rows, computed in batches of like lengths."""
    order = np.argsort(job.development.lengths, kind="stable")
    features = [_make_feature(job.development[int(number)], job.kind) for number in order]
    logits = np.empty((len(order), job.task.head.num_labels), dtype=np.float32)
    model.eval()
    with torch.inference_mode():
        for places, chosen in zip(_runs(order), _runs(features), strict=True):
            logits[places] = model(**pad_features(chosen, job.pad_id)).logits.numpy()
    return logits


def _runs(items: Sequence, size: int = 64) -> Iterator[Sequence]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _make_feature(sample: Sample, kind: Kind) -> dict[str, object]:
    types = np.zeros_like(sample.input_ids) if sample.token_type_ids is None else sample.token_type_ids
    return {
        "input_ids": sample.input_ids.tolist(),
        "token_type_ids": types.tolist(),
        "attention_mask": [1] * len(sample.input_ids),
        "labels": kind.label_of(sample),
    }


def _group(model: nn.Module) -> list[dict[str, object]]:
    """Weights that decay and, as in most scripts, biases and norms that do not."""
    named = list(model.named_parameters())
    is_free = [name.endswith("bias") or "LayerNorm" in name for name, _ in named]
    return [
        {"params": [p for (_, p), free in zip(named, is_free, strict=True) if free == wanted], "weight_decay": decay}
        for wanted, decay in ((False, WEIGHT_DECAY), (True, 0.0))
    ]


def _outcome(job: Job, seconds: float, predict: Callable[[], np.ndarray]) -> Outcome:
    return Outcome(len(job.train) * job.epochs / seconds, seconds, predict)
