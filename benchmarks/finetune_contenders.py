"""The three loops of finetune_vs_hf.py: groundup's, a plain script, and the Hugging Face Trainer.

Each starts from the same model folder, its fresh head included, reads the same token ids and is timed over the steps of
training alone. A contender answers with its examples a second and, when asked, what it says of the development
rows, which are read in the same batches and measured by the same function for all.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import transformers
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader
from transformers import (
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    PrinterCallback,
    TrainerCallback,
    get_linear_schedule_with_warmup,
)

from groundup.checkpoint import pretrained
from groundup.model.initialize import parameter_role
from groundup.model.packed import Packed
from groundup.model.transformer import Transformer
from groundup.optim.adamw import AdamW
from groundup.optim.schedule import Linear
from groundup.tasks.classification import Classification, ClassificationTask
from groundup.tasks.regression import Regression, RegressionTask
from groundup.tasks.tagging import Tagging, TaggingTask
from groundup.text.pack import Shuffled
from groundup.text.sample import UNLABELLED, FlatSamples, Sample
from groundup.training.config import TrainConfig
from groundup.training.evaluate import measure_all
from groundup.training.trainer import Trainer

CLIP_NORM, WEIGHT_DECAY, WARMUP = 1.0, 0.01, 0.1
MICRO_BATCH_TOKENS = 1 << 30  # a step is never cut


class Kind(NamedTuple):
    """How a kind of task is told to transformers."""

    config: Callable[..., Classification | Regression | Tagging]
    model: type
    """transformers' class."""
    label_of: Callable[[Sample], int | float | list[int]]
    """As transformers takes it."""


KINDS = {
    "classification": Kind(Classification, AutoModelForSequenceClassification, lambda sample: sample.label),
    # In the unit of the file, as the peers have it: `fit`, which would standardise the numbers, is not called.
    "regression": Kind(Regression, AutoModelForSequenceClassification, lambda sample: float(sample.targets["number"])),
    "tagging": Kind(
        partial(Tagging, reading="conlleval"),
        AutoModelForTokenClassification,
        lambda sample: sample.targets["tag"].tolist(),
    ),
}


@dataclass(frozen=True)
class Job:
    """What a contender is asked to do."""

    start: Path
    """The model folder with a fresh head."""
    kind: Kind
    task: ClassificationTask | RegressionTask | TaggingTask
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
    measure: Callable[[], dict[str, np.ndarray]]
    """What the task finds in the development rows."""


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
    return _outcome(job, seconds, lambda: measure_model(model, job))


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
    return _outcome(job, time.perf_counter() - started, lambda: measure_model(Peer(model), job))


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
    return _outcome(job, clock.ended - clock.started, lambda: measure_model(Peer(model), job))


CONTENDERS = {"groundup": run_ours, "script": run_script, "length-grouped Trainer": run_grouped_trainer}


class Clock(TrainerCallback):
    """When the first step began and the last one ended."""

    started = ended = 0.0

    def on_step_begin(self, *_: object, **__: object) -> None:
        self.started = self.started or time.perf_counter()

    def on_step_end(self, *_: object, **__: object) -> None:
        self.ended = time.perf_counter()


class Peer(Transformer):
    """transformers' model, asked as our tasks ask ours: its head is in it already."""

    def __init__(self, model: transformers.PreTrainedModel) -> None:
        nn.Module.__init__(self)  # it has nothing of ours but the calls
        self.model = model
        self.heads = nn.ModuleDict({"classification": nn.Identity(), "token": nn.Identity()})

    def forward(self, packed: Packed, *, rows: Int[Tensor, " rows"]) -> Float[Tensor, "rows labels"]:
        """The logits of some tokens."""
        logits = self._ask(packed)
        return torch.cat([each[:length] for each, length in zip(logits, packed.lengths, strict=True)])[rows]

    def summarize(self, packed: Packed, kind: str) -> Float[Tensor, "sequences labels"]:
        """The logits of the sequences."""
        return self._ask(packed)

    def _ask(self, packed: Packed) -> Tensor:
        types = packed.token_type_ids[: packed.num_tokens].split(list(packed.lengths))
        ids, types = (pad_sequence(each, batch_first=True) for each in (packed.split(), types))
        is_token = torch.arange(ids.shape[1]) < torch.tensor(packed.lengths)[:, None]
        return self.model(input_ids=ids, token_type_ids=types, attention_mask=is_token.long()).logits


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
    if isinstance(features[0]["labels"], list):
        filling["labels"] = UNLABELLED
    batch = {
        name: torch.tensor([[*feature[name], *[fill] * (longest - len(feature[name]))] for feature in features])
        for name, fill in filling.items()
    }
    if "labels" not in batch:
        batch["labels"] = torch.tensor([feature["labels"] for feature in features])
    return batch


def measure_model(model: Transformer, job: Job) -> dict[str, np.ndarray]:
    """What the task finds in the development rows."""
    return measure_all(model, job.task, job.development, device=torch.device("cpu"))


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


def _outcome(job: Job, seconds: float, measure: Callable[[], dict[str, np.ndarray]]) -> Outcome:
    return Outcome(len(job.train) * job.epochs / seconds, seconds, measure)
