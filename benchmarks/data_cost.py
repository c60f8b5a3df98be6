"""What packing and masking take of a step: a BERT of 4 layers and width 512, tokens and whole words, both languages.

    python benchmarks/data_cost.py --output benchmarks/results/data-cost-cpu.json

The share is the one that every run writes into its log as `data`: planning, packing and corruption, over the time of
the window. A run is two windows long; the first, with its first reading of dictionaries, is not counted, and the second
is of new text throughout, so that no word is found a second time. What words there are is remembered, so a second
run, on text that the first window has read whole, tells what later passes cost (its few texts pack worse). The waste is
the room of an epoch's steps that no token fills. English: BabyLM-like text by the sentence; Chinese: the modern column
of classical-to-modern pairs. Beside it, how often jieba and rjieba cut its sentences alike, and how much faster one is.
Needs GROUNDUP_DATA and the extra `chinese`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from groundup.language.segment import Jieba, Rjieba
from groundup.recipe import Recipe
from groundup.text.best_fit import BestFit
from groundup.training.log import read_lines, write_whole
from groundup.verbs.assemble import assemble
from groundup.verbs.corpora import make_planner
from groundup.verbs.train import train

TEXTS: dict[str, dict[str, Any]] = {
    "english": {"train": ["${GROUNDUP_DATA}/babylm_like/simple_wiki.txt"], "document": "sentence"},
    "chinese": {"train": ["${GROUNDUP_DATA}/classical_modern/train.tsv"], "column": 2},
}
UNITS: dict[str, dict[str, Any]] = {"token": {"unit": "token"}, "word": {"unit": "word"}}
CUTS = {
    "english": UNITS,
    "chinese": UNITS | {"word by rjieba": {"unit": "word", "segmenter": {"kind": "rjieba"}}},
}


def write_recipe(language: str, unit: str, tokens: int, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """A run of two windows of the log over so many tokens of text, without validation."""
    size = {"hidden_size": options.width, "num_heads": options.width // 64, "intermediate_size": 4 * options.width}
    return {
        "output": str(folder / f"{language}-{unit.replace(' ', '-')}-{tokens}"),
        "tokenizer": {"kind": "pretrained", "path": str(folder / f"{language}-tokenizer")},
        "data": {"kind": "corpus", "folder": str(folder / f"{language}-corpus-{tokens}"), "max_tokens": tokens}
        | TEXTS[language],
        "model": {"kind": "transformer", "num_layers": options.layers, "max_length": 128, **size},
        "objective": {"kind": "masked", "max_length": 128} | CUTS[language][unit],
        "optimizer": {"kind": "adamw", "learning_rate": 1e-4},
        "train": {
            "steps": 2 * options.steps,
            "batch_tokens": options.batch_tokens,
            "log_every": options.steps,
            "threads": options.threads,
            "device": options.device,
        },
    }


def make_tokenizer(language: str, folder: Path, options: argparse.Namespace) -> None:
    """The tokenizer of a language, in the folder of a run that is never started."""
    values = write_recipe(language, "token", options.tokens, folder, options)
    values["tokenizer"] = {"kind": "wordpiece", "vocab_size": options.vocabulary}
    values["output"] = str(folder / f"{language}-tokenizer")
    recipe = Recipe.from_values(values)
    assemble(recipe, recipe.folder, quiet=True)


def measure(language: str, unit: str, tokens: int, folder: Path, options: argparse.Namespace) -> dict[str, float]:
    """The figures of one run."""
    recipe = Recipe.from_values(write_recipe(language, unit, tokens, folder, options))
    planner = make_planner(recipe, assemble(recipe, recipe.folder, quiet=True).train)
    assert isinstance(planner, BestFit)
    train(recipe, quiet=True)
    lines = [line for line in read_lines(recipe.folder / "metrics.jsonl") if "data_share" in line.get("time", {})]
    last = lines[-1]["time"]
    return {
        "data_share": round(float(last["data_share"]), 5),
        "tokens_per_second": round(float(last["tokens_per_second"]), 1),
        "waste": round(1.0 - planner.fill, 5),
        "mean_length": round(float(np.mean(planner.lengths)), 2),
    }


def compare_segmenters(most: int) -> dict[str, float]:
    """The first sentences of the Chinese text that no run reads, cut into words by both."""
    path = Path(os.environ["GROUNDUP_DATA"]) / "classical_modern" / "valid.tsv"
    with path.open(encoding="utf-8") as file:
        texts = [line.rstrip("\n").split("\t")[2] for line in islice(file, most)]
    cut, seconds = {}, {}
    for config in (Jieba(), Rjieba()):
        segmenter = config.build()
        segmenter.segment(texts[0])  # its dictionary is read
        started = time.perf_counter()
        cut[config.kind] = [segmenter.segment(text) for text in texts]
        seconds[config.kind] = time.perf_counter() - started
    alike = sum(one == other for one, other in zip(*cut.values(), strict=True))
    ratio = seconds["jieba"] / seconds["rjieba"]
    return {"sentences": len(texts), "cut_otherwise": len(texts) - alike, "rjieba_times_as_fast": round(ratio, 1)}


def read_options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The defaults are those of the committed figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, help="a JSON file to write")
    parser.add_argument("--steps", type=int, default=8, help="of a window of the log; a run has two")
    parser.add_argument("--batch-tokens", type=int, default=4096)
    parser.add_argument("--tokens", type=int, default=1_000_000, help="of text that is prepared")
    parser.add_argument("--sentences", type=int, default=4000, help="that jieba and rjieba cut")
    parser.add_argument("--vocabulary", type=int, default=8192)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    options = read_options(arguments)
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        for language in TEXTS:
            make_tokenizer(language, Path(name), options)
            for unit in CUTS[language]:
                found[f"{language}, {unit}"] = measure(language, unit, options.tokens, Path(name), options)
            known = (options.steps - 1) * options.batch_tokens
            found[f"{language}, word, again"] = measure(language, "word", known, Path(name), options)
    given = arguments if arguments is not None else sys.argv[1:]
    result = {
        "command": " ".join(["python", "benchmarks/data_cost.py", *given]),
        "device": f"{platform.processor() or platform.machine()}, {options.threads} threads",
        "torch": torch.__version__,
        "settings": {key: value for key, value in vars(options).items() if key not in ("output", "device")},
        "runs": found,
        "segmenters": compare_segmenters(options.sentences),
    }
    if options.output:
        write_whole(options.output, (json.dumps(result, indent=1) + "\n").encode())
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
