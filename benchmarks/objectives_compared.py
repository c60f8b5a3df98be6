"""Which objective helps what? Each pretrained on the same text at the same compute, then fine-tuned on a few rows.

    python benchmarks/objectives_compared.py --work runs/objectives --output benchmarks/results/objectives-compared.json

English: a part of BabyLM-like text, then SST-2, and BLiMP's minimal pairs where a model reads texts. Chinese: a part of
the modern column of classical-to-modern pairs, then ChnSentiCorp. Every model has the same stack, sees the same
documents and stops after the same training FLOPs, by the project's own estimate on the batches that it will read. An
encoder-decoder pays for both its stacks, and its encoder is what is fine-tuned. Beside each stands the same design from
fresh weights. The figure is the accuracy on the whole development set at the last step, so that nothing was chosen on
it; rows whose text stands in the development set are left out of training. Intervals are Student's t over the seeds of
fine-tuning, and a gain is over pairs of runs with the same seed. Each model is pretrained once, with one seed.

What is finished is kept in the work folder and not done again. Every recipe stands in its folder `recipes`, so that one
cell can be repeated alone: `groundup train runs/objectives/recipes/english-masked.yaml`, and the same with `-task`.
Needs GROUNDUP_DATA.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import torch

from groundup.checkpoint import pretrained
from groundup.metrics.interval import difference_interval, mean_interval
from groundup.model.estimate import estimate
from groundup.model.transformer import Transformer
from groundup.objectives.likelihood import Reading
from groundup.objectives.protocol import Batch, find_heads
from groundup.readers.table import TableConfig, read_table
from groundup.recipe import Recipe
from groundup.text.tokenizer import Tokenizer, train_tokenizer
from groundup.text.tokenizer_config import WordPiece
from groundup.training.log import read_lines, write_whole
from groundup.training.step import prepare_step
from groundup.verbs.assemble import assemble
from groundup.verbs.corpora import make_planner
from groundup.verbs.evaluate import evaluate_pairs
from groundup.verbs.train import TrainReport, train

NO_DROPOUT = {"embedding": 0.0, "attention": 0.0, "residual": 0.0}  # one pass: nothing to memorise
DROPOUT = {"embedding": 0.1, "attention": 0.0, "residual": 0.1}
RELATIVE = {"position": {"kind": "relative"}, "query_stream": True}
SENTINELS = 16
MEASURED_STEPS = 8
HELD_OUT_BYTES = 100_000
CURVE_POINTS = 20


class Arm(NamedTuple):
    """A way to pretrain, or one of the designs from fresh weights."""

    title: str
    objective: dict[str, Any] | None = None
    control: str = "fresh"
    """The same design from fresh weights."""
    model: Mapping[str, Any] = MappingProxyType({})
    """Where its design differs."""
    readings: tuple[Reading, ...] = ()
    """How it reads minimal pairs."""
    corpus: str = "plain"
    """What its text must be prepared for: `plain`, `sentences`, or `sentinels`."""


def mix(form: str) -> dict[str, Any]:
    """BERT's or ALBERT's two objectives."""
    parts = [{"kind": "masked"}, {"kind": "sentence", "form": form}]
    return {"kind": "mix", "parts": [{"weight": 0.5, "objective": each} for each in parts]}


BOTH_STACKS = {"causal": True, "encoder": {}}
JIEBA = {"kind": "jieba"}
ARMS = {
    "fresh": Arm("no pretraining"),
    "fresh-decoder": Arm("no pretraining, decoder", model={"causal": True}),
    "fresh-relative": Arm("no pretraining, relative positions", model=RELATIVE),
    "masked": Arm("masked tokens", {"kind": "masked"}, readings=("masked",)),
    "words": Arm("masked whole words", {"kind": "masked", "unit": "word", "segmenter": JIEBA}, readings=("masked",)),
    "spans": Arm("masked spans", {"kind": "masked", "unit": "span", "segmenter": JIEBA}, readings=("masked",)),
    "falling": Arm(
        "masked tokens, 30 to 15 %", {"kind": "masked", "rate": {"start": 0.3, "end": 0.15}}, readings=("masked",)
    ),
    "next-sentence": Arm("masked + next sentence", mix("next"), readings=("masked",), corpus="sentences"),
    "sentence-order": Arm("masked + sentence order", mix("order"), readings=("masked",), corpus="sentences"),
    "hybrid": Arm("masked and causal (hybrid)", {"kind": "hybrid"}, readings=("masked", "causal")),
    "permuted": Arm("permuted (XLNet)", {"kind": "permuted"}, "fresh-relative", RELATIVE),
    "span": Arm(
        "span corruption (T5)", {"kind": "span", "num_sentinels": SENTINELS}, model=BOTH_STACKS, corpus="sentinels"
    ),
    "denoising": Arm("denoising (BART)", {"kind": "denoising"}, model=BOTH_STACKS, corpus="sentences"),
    "contrastive": Arm("contrastive (SimCSE)", {"kind": "contrastive"}, model={"dropout": DROPOUT}),
    "causal": Arm("causal", {"kind": "causal"}, "fresh-decoder", {"causal": True}, readings=("causal",)),
    "replaced": Arm("replaced tokens (ELECTRA)", {"kind": "replaced", "generator_size": 0.5}),
}
LANGUAGES = {"english": "SST-2", "chinese": "ChnSentiCorp"}


def data_folder() -> Path:
    """Where the data sets stand."""
    if not os.environ.get("GROUNDUP_DATA"):
        sys.exit("GROUNDUP_DATA: is not set; name the folder with babylm_like, classical_modern, glue and chnsenticorp")
    return Path(os.environ["GROUNDUP_DATA"])


def english_documents(names: str, size: int) -> list[str]:
    """The beginning of every line of some files, the same share of each, `size` bytes in all."""
    files = sorted((data_folder() / "babylm_like").glob(names))
    lines = [line for path in files for line in path.read_text(encoding="utf-8").splitlines()]
    share = min(1.0, size / sum(len(line.encode()) for line in lines))
    return [line[: int(len(line) * share)].rpartition(" ")[0] for line in lines]


def chinese_documents(name: str, size: int) -> list[str]:
    """The modern text of whole chapters, in drawn order, until they have `size` bytes."""
    chapters: dict[str, list[str]] = {}
    for line in (data_folder() / "classical_modern" / name).read_text(encoding="utf-8").splitlines():
        chapter, _, modern = line.split("\t")
        chapters.setdefault(chapter, []).append(modern)
    documents = ["".join(lines) for lines in chapters.values()]
    random.Random(0).shuffle(documents)
    ends = np.cumsum([len(document.encode()) for document in documents])
    return documents[: int(np.searchsorted(ends, size)) + 1]


def write_texts(language: str, folder: Path, options: argparse.Namespace) -> None:
    """The text to pretrain on and the held-out one, a document a line, and the tokenizer of all models."""
    size = round(options.megabytes * 1e6)
    if language == "english":
        documents = english_documents("[!m]*.txt", size)  # all but mixed_dev.txt
        held_out = english_documents("mixed_dev.txt", HELD_OUT_BYTES)
    else:
        documents, held_out = chinese_documents("train.tsv", size), chinese_documents("valid.tsv", HELD_OUT_BYTES)
    for name, texts in (("train", documents), ("held-out", held_out)):
        write_whole(folder / f"{name}.txt", "\n".join([*filter(str.strip, texts), ""]).encode())
    train_tokenizer(WordPiece(vocab_size=options.vocabulary), documents).save(folder / "tokenizer")


def write_rows(language: str, folder: Path, num_rows: int) -> None:
    """Rows of the task, drawn once; none whose text stands in the development set. That set as it is."""
    home, text = ("glue/SST-2", "sentence") if language == "english" else ("chnsenticorp", "text_a")
    splits = {}
    for name in ("train", "dev"):
        path = str(data_folder() / home / f"{name}.tsv")
        splits[name] = read_table(path, TableConfig(train=path, text=text))
    known = {row.text.strip() for row in splits["dev"]}
    rest = [row for row in splits["train"] if row.text.strip() not in known]
    splits["train"] = random.Random(0).sample(rest, min(num_rows, len(rest)))
    for name, rows in splits.items():
        lines = ["text\tlabel", *(f"{row.text}\t{row.label}" for row in rows), ""]
        write_whole(folder / f"task-{name}.tsv", "\n".join(lines).encode())


def write_pairs(folder: Path, num_pairs: int) -> None:
    """The first pairs of every paradigm, but for the few whose sentences are the same."""
    folder.mkdir(exist_ok=True)
    for path in sorted((data_folder() / "blimp_fast").glob("*.jsonl")):
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        lines = [json.dumps(row) + "\n" for row in rows if row["sentence_good"] != row["sentence_bad"]]
        write_whole(folder / path.name, "".join(lines[:num_pairs]).encode())


def pretraining(name: str, language: str, steps: int, options: argparse.Namespace) -> dict[str, Any]:
    """The recipe of one model, as plain values."""
    arm, home = ARMS[name], options.work / language
    return {
        "output": str(options.work / "runs" / f"{language}-{name}"),
        "tokenizer": {"kind": "pretrained", "path": str(home / "tokenizer")},
        "data": {
            "kind": "corpus",
            "train": [str(home / "train.txt")],
            "validation": [str(home / "held-out.txt")],
            "sentences": arm.corpus == "sentences",
            "folder": str(home / f"corpus-{arm.corpus}"),
        },
        "model": design(options) | {"dropout": NO_DROPOUT} | dict(arm.model),
        "objective": {**(arm.objective or {}), "max_length": options.length},
        "optimizer": {"kind": "muon", "learning_rate": 4e-3},
        "schedule": {"kind": "cosine", "warmup": 0.05, "final_fraction": 0.1},
        "train": {
            "steps": steps,
            "batch_size": options.batch_size,
            "log_every": max(1, steps // CURVE_POINTS),
            "evaluate_every": steps,
            "threads": options.threads,
        },
    }


def fine_tuning(name: str, language: str, start: Path | None, options: argparse.Namespace) -> dict[str, Any]:
    """The recipe of one classifier, from a model folder or from fresh weights, as plain values."""
    home, model = options.work / language, design(options) | dict(ARMS[name].model) | {"dropout": DROPOUT}
    recipe = {
        "output": str(options.work / "runs" / f"{language}-{name}-task"),
        "data": {
            "kind": "table",
            "train": str(home / "task-train.tsv"),
            "validation": str(home / "task-dev.tsv"),
        },
        "model": model if start is None else {"kind": "pretrained", "path": str(start), "dropout": DROPOUT},
        "objective": {"kind": "classification", "max_length": options.length},
        "optimizer": {"kind": "adamw", "learning_rate": options.learning_rate},
        "schedule": {"kind": "linear", "warmup": 0.1},
        "train": {
            "epochs": options.epochs,
            "batch_size": 16,
            "evaluate_every": 1_000_000,  # the last step alone
            "threads": options.threads,
        },
    }
    tokenizer = {"tokenizer": {"kind": "pretrained", "path": str(home / "tokenizer")}} if start is None else {}
    return tokenizer | recipe


def design(options: argparse.Namespace) -> dict[str, Any]:
    """The stack of all models."""
    return {
        "kind": "transformer",
        "hidden_size": options.width,
        "num_layers": options.layers,
        "num_heads": 4,
        "intermediate_size": 4 * options.width,
        "max_length": max(128, options.length),  # minimal pairs are not cut
        "norm_places": ["input", "final"],
    }


def flops_per_step(values: Mapping[str, Any]) -> float:
    """Training FLOPs of a step, on average over some steps all along the run that are really prepared."""
    recipe = Recipe.from_values(values)
    parts = assemble(recipe, recipe.folder, quiet=True)
    tokenizer, total = parts.tokenizer, recipe.train.steps
    config = recipe.model.resolve(tokenizer.vocab_size, tokenizer.pad_id, *find_heads(parts.objective))
    planner, flops = make_planner(recipe, parts.train), 0.0
    for step in np.linspace(0, total - 1, MEASURED_STEPS).astype(int).tolist():
        for batch in prepare_step(parts.objective, parts.train, planner.plan(step), recipe.seed, total):
            costs = estimate(
                config,
                batch_tokens=batch.packed.num_tokens,
                lengths=batch.packed.lengths,
                source_lengths=None if batch.source is None else batch.source.lengths,
                target_fraction=count_targets(batch) / batch.packed.num_tokens,
            )
            flops += costs.training_flops_per_token * batch.packed.num_tokens / MEASURED_STEPS
    return flops


def count_targets(batch: Batch) -> int:
    """Tokens that a language-model head is computed on: those that a batch names, or else all."""
    rows = [target for name, target in batch.targets.items() if name.split(".")[-1] == "rows"]
    return len(rows[0]) if rows else batch.packed.num_tokens


def keep_encoder(source: Path, target: Path) -> Path:
    """The encoder of an encoder-decoder as a model folder of its own."""
    loaded = pretrained.load(source)
    encoder, state = Transformer(loaded.config.of_encoder), loaded.model.state_dict()
    shared = "embedding.token.weight"
    own = {name: state[name if name == shared else f"encoder.{name}"] for name in encoder.state_dict()}
    encoder.load_state_dict(own)
    files = Tokenizer.load(loaded.tokenizer_folder).files()
    pretrained.save(target, encoder, tokenizer_files=files, manifest={"encoder_of": str(source)}, card=str(source))
    return target


def run(recipe: Mapping[str, Any], overrides: Sequence[str] = ()) -> TrainReport:
    """Train to the end, or end here where a signal asks for it."""
    report = train(recipe, overrides, quiet=True)
    if not report.is_finished:
        sys.exit(128 + (report.stopped_by or 0))
    return report


def pretrain(name: str, language: str, options: argparse.Namespace) -> dict[str, Any]:
    """Train one model; how long and on how much, and its curve."""
    trial = pretraining(name, language, 1000, options)
    cost = flops_per_step(trial)
    recipe = pretraining(name, language, max(2, round(options.teraflops * 1e12 / cost)), options)
    write_recipe(recipe, f"{language}-{name}", options)
    started = time.perf_counter()
    report = run(recipe)
    lines = [line for line in read_lines(report.folder / "metrics.jsonl") if line["kind"] == "train"]
    return {
        "steps": report.step,
        "teraflops": round(cost * report.step / 1e12, 3),
        "tokens": lines[-1]["tokens"],
        "seconds": round(time.perf_counter() - started, 1),
        "curve": {line["step"]: round(line["loss"], 4) for line in lines},
        "held_out_loss": round(report.metrics["loss"].value, 4),
    }


def fine_tune(name: str, language: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Train one classifier and read its only validation."""
    start = None
    if ARMS[name].objective is not None:
        start = options.work / "runs" / f"{language}-{name}" / "model"
        if "encoder" in ARMS[name].model:
            start = keep_encoder(start, start.with_name("encoder"))
    recipe = fine_tuning(name, language, start, options)
    write_recipe(recipe, f"{language}-{name}-task", options)
    started = time.perf_counter()
    report = run(recipe, [f"seed={seed}", f"output={recipe['output']}-{seed}"])
    accuracy = report.metrics["accuracy"]
    print(f"{language} {name} seed {seed}: {accuracy.value:.4f} of {accuracy.count}", file=sys.stderr, flush=True)
    seconds = round(time.perf_counter() - started, 1)
    return {"accuracy": round(accuracy.value, 5), "rows": accuracy.count, "seconds": seconds}


def read_pairs(name: str, reading: Reading, options: argparse.Namespace) -> dict[str, Any]:
    """The accuracy on minimal pairs."""
    run = options.work / "runs" / f"english-{name}"
    found = evaluate_pairs(run, [str(options.work / "pairs" / "*.jsonl")], reading=reading).metrics["accuracy"]
    return {"accuracy": found.value, "low": found.low, "high": found.high, "pairs": found.count}


def write_recipe(recipe: Mapping[str, Any], name: str, options: argparse.Namespace) -> None:
    """For `groundup train`; JSON is YAML."""
    write_whole(options.work / "recipes" / f"{name}.yaml", json.dumps(recipe, indent=1, ensure_ascii=False).encode())


def fill_cell(name: str, language: str, options: argparse.Namespace) -> None:
    """Do what is still to be done of a cell; each part is on disk as soon as it is there."""
    path = options.work / "cells" / f"{language}-{name}.json"
    cell = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"fine_tuning": {}, "pairs": {}}

    def keep() -> None:
        write_whole(path, json.dumps(cell, indent=1).encode())

    if ARMS[name].objective is not None and "pretraining" not in cell:
        cell["pretraining"] = pretrain(name, language, options)
        keep()
    for seed in options.seeds:
        if str(seed) not in cell["fine_tuning"]:
            cell["fine_tuning"][str(seed)] = fine_tune(name, language, seed, options)
            keep()
    for reading in ARMS[name].readings if language == "english" else ():
        if reading not in cell["pairs"]:
            cell["pairs"][reading] = read_pairs(name, reading, options)
            keep()


def summarize(options: argparse.Namespace) -> dict[str, Any]:
    """All cells that are there, with means, intervals and gains over the same design from fresh weights."""
    result: dict[str, Any] = {
        "command": "python " + " ".join(sys.argv),
        "machine": f"{describe_processor()}, {options.threads} thread(s), torch {torch.__version__}",
        "settings": settings_of(options),
        "seeds": options.seeds,
        "languages": {},
    }
    for language in options.languages:
        cells = {}
        for name in ARMS:
            path = options.work / "cells" / f"{language}-{name}.json"
            found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
            scores = [found.get("fine_tuning", {}).get(str(seed), {}).get("accuracy") for seed in options.seeds]
            cells[name] = {"title": ARMS[name].title, **found}
            if None not in scores:
                cells[name]["scores"] = scores
        for name, cell in cells.items():
            if "scores" not in cell or len(cell["scores"]) < 2:
                continue
            cell["accuracy"] = mean_interval(np.array(cell["scores"]))._asdict()
            control = cells[ARMS[name].control].get("scores")
            if ARMS[name].objective is not None and control is not None:
                cell["gain"] = difference_interval(np.array(cell["scores"]), np.array(control))._asdict()
        result["languages"][language] = {"task": LANGUAGES[language], "cells": cells}
    return result


def show_table(result: Mapping[str, Any]) -> str:
    """Rows of a Markdown table: percent, with intervals."""
    lines = []
    for name, arm in ARMS.items():
        fields = [arm.title]
        for language in result["languages"].values():
            cell = language["cells"][name]
            fields += [show_share(cell.get("accuracy")), show_share(cell.get("gain"), "+") if arm.objective else ""]
        pairs = result["languages"].get("english", {"cells": {name: {}}})["cells"][name].get("pairs", {})
        read = [f"{show_share(pairs.get(reading), key='accuracy')} {reading}" for reading in arm.readings]
        lines.append(" | ".join(["", *fields, ", ".join(read), ""]).strip())
    return "\n".join(lines)


def show_share(found: Mapping[str, float] | None, sign: str = "", key: str = "value") -> str:
    """A mean with its interval, in percent."""
    if found is None:
        return "not measured"
    value, low, high = (f"{100 * found[each]:{sign}.1f}" for each in (key, "low", "high"))
    return f"{value} [{low}, {high}]"


def describe_processor() -> str:
    """The processor's name, where the system tells."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "CPU")


def read_options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The defaults are those of the committed table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("runs/objectives"), help="what is finished is kept here")
    parser.add_argument("--output", type=Path, help="a JSON file to write")
    parser.add_argument("--objectives", nargs="+", choices=list(ARMS), default=list(ARMS))
    parser.add_argument("--languages", nargs="+", choices=list(LANGUAGES), default=list(LANGUAGES))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="of fine-tuning")
    parser.add_argument("--megabytes", type=float, default=8.0, help="of text in each language")
    parser.add_argument("--teraflops", type=float, default=2.5, help="of training, for each model")
    parser.add_argument("--vocabulary", type=int, default=6000)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--length", type=int, default=64, help="the most tokens of a sequence")
    parser.add_argument("--batch-size", type=int, default=16, help="sequences of a step of pretraining")
    parser.add_argument("--rows", type=int, nargs=2, default=[2000, 1500], help="labelled, of SST-2 and ChnSentiCorp")
    parser.add_argument("--epochs", type=float, default=3.0, help="of fine-tuning")
    parser.add_argument("--learning-rate", type=float, default=5e-4, help="of fine-tuning")
    parser.add_argument("--pairs", type=int, default=30, help="minimal pairs of each paradigm")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args(arguments)


def settings_of(options: argparse.Namespace) -> dict[str, Any]:
    """What decides the figures of a cell."""
    others = ("work", "output", "objectives", "languages", "seeds", "threads")
    return {key: value for key, value in vars(options).items() if key not in others}


def check_settings(options: argparse.Namespace) -> None:
    """Cells of one work folder have the same settings."""
    path, settings = options.work / "settings.json", settings_of(options)
    if path.exists() and (kept := json.loads(path.read_text(encoding="utf-8"))) != settings:
        sys.exit(f"--work: {options.work} holds cells of other settings, {kept}; name another folder")
    write_whole(path, json.dumps(settings, indent=1).encode())


def main(arguments: Sequence[str] | None = None) -> None:
    options = read_options(arguments)
    for name in ("recipes", "cells", *options.languages):
        (options.work / name).mkdir(parents=True, exist_ok=True)
    check_settings(options)
    for language in options.languages:
        if not (options.work / language / "task-dev.tsv").exists():
            write_texts(language, options.work / language, options)
            write_rows(language, options.work / language, options.rows[list(LANGUAGES).index(language)])
    write_pairs(options.work / "pairs", options.pairs)
    for name in options.objectives:
        for language in options.languages:
            fill_cell(name, language, options)
            if options.output:
                write_whole(options.output, (json.dumps(summarize(options), indent=1) + "\n").encode())
    print(show_table(summarize(options)))


if __name__ == "__main__":
    main()
