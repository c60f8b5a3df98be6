"""The nanoGPT tutorial on a CPU: its loop in plain PyTorch, our recipe of it and our best one, in one process.

    python benchmarks/shakespeare_vs_tutorial.py --rounds 3 --output benchmarks/results/shakespeare-cpu.json

All learn the first 90 % of tinyshakespeare by the letter and are measured by one pass over the last 10 %, in windows of
64 tokens that predict every token once. `tutorial` is the tutorial's model and loop as it describes them: 4 layers of
128, context 64, batch 12, 2,000 steps, random offsets, one matrix for q, k and v, fused attention, AdamW (fused, which
the tutorial has on GPUs alone), cosine, no dropout. `same` is recipes/shakespeare-char.yaml: the same model and
optimizer in our loop. `same-bf16` is that with `train.precision=bf16`. `same-tuned` is that with another rate and
schedule, and the steps that it then needs. `best` is recipes/shakespeare-char-best.yaml.
Seconds are those of training; validation and what comes before and after training are not counted for anyone. Every
round takes the next seed and starts with another contender; ratios are taken within a round. Needs GROUNDUP_DATA.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from groundup.model.initialize import parameter_role
from groundup.recipe import Recipe
from groundup.training.evaluate import evaluate
from groundup.training.trainer import Trainer
from groundup.verbs.assemble import assemble, build_model
from groundup.verbs.corpora import make_planner

RECIPES = Path(__file__).parents[1] / "recipes"
STEPS, BATCH, CONTEXT, LAYERS, HEADS, WIDTH = 2000, 12, 64, 4, 4, 128
PEAK, FLOOR, WARMUP = 1e-3, 1e-4, 100
TUNED = [
    "train.precision=bf16",
    "train.steps=1050",
    "train.evaluate_every=1050",
    "optimizer.learning_rate=4e-3",
    "schedule={kind: warmup_stable_decay, warmup: 50, decay: 0.8, shape: linear}",
]
"""AdamW still, of the tutorial's betas and weight decay."""


class Outcome(NamedTuple):
    """What one training came to."""

    loss: float
    seconds: float
    steps: int
    tokens: int


class TutorialAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.output = nn.Linear(WIDTH, WIDTH, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, _ = x.shape
        q, k, v = (each.view(batch, length, HEADS, -1).transpose(1, 2) for each in self.qkv(x).split(WIDTH, dim=2))
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.output(y.transpose(1, 2).contiguous().view(batch, length, WIDTH))


class TutorialBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm_1, self.norm_2 = nn.LayerNorm(WIDTH, bias=False), nn.LayerNorm(WIDTH, bias=False)
        self.attention = TutorialAttention()
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH, bias=False), nn.Linear(4 * WIDTH, WIDTH, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm_1(x))
        return x + self.down(functional.gelu(self.up(self.norm_2(x))))


class TutorialModel(nn.Module):
    def __init__(self, vocab_size: int) -> None:
        super().__init__()
        self.token, self.position = nn.Embedding(vocab_size, WIDTH), nn.Embedding(CONTEXT, WIDTH)
        self.blocks = nn.ModuleList(TutorialBlock() for _ in range(LAYERS))
        self.norm = nn.LayerNorm(WIDTH, bias=False)
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                is_output = name.endswith(("attention.output.weight", "down.weight"))
                nn.init.normal_(parameter, 0.0, 0.02 / math.sqrt(2 * LAYERS) if is_output else 0.02)

    def forward(self, ids: Tensor, labels: Tensor) -> Tensor:
        x = self.token(ids) + self.position(torch.arange(ids.shape[1]))
        for block in self.blocks:
            x = block(x)
        logits = functional.linear(self.norm(x), self.token.weight)
        return functional.cross_entropy(logits.view(-1, logits.shape[-1]), labels.reshape(-1))


def run_tutorial(text: np.ndarray, validation: list[np.ndarray], vocab_size: int, seed: int) -> Outcome:
    """The tutorial's loop on the ids of the first 90 %."""
    torch.manual_seed(seed)
    model = TutorialModel(vocab_size)
    matrices = [parameter for parameter in model.parameters() if parameter.ndim == 2]
    norms = [parameter for parameter in model.parameters() if parameter.ndim < 2]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": norms, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=PEAK, betas=(0.9, 0.99), fused=True)

    def draw_batch() -> tuple[Tensor, Tensor]:
        starts = torch.randint(len(text) - CONTEXT, (BATCH,)).tolist()
        ids = torch.stack([torch.from_numpy(text[start : start + CONTEXT]) for start in starts])
        after = [torch.from_numpy(text[start + 1 : start + 1 + CONTEXT]) for start in starts]
        return ids, torch.stack(after)

    started = time.perf_counter()
    batch = draw_batch()
    for step in range(STEPS):
        wave = 0.5 * (1.0 + math.cos(math.pi * (step - WARMUP) / (STEPS - WARMUP)))
        rate = PEAK * (step + 1) / (WARMUP + 1) if step < WARMUP else FLOOR + wave * (PEAK - FLOOR)
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss = model(*batch)
        batch = draw_batch()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if step % 10 == 0:
            loss.item()
    seconds = time.perf_counter() - started
    with torch.no_grad():
        summed, count = 0.0, 0
        for length in sorted({len(ids) - 1 for ids in validation}):
            rows = torch.from_numpy(np.stack([ids for ids in validation if len(ids) - 1 == length]))
            for part in rows.split(256):
                summed += model(part[:, :-1], part[:, 1:]).item() * part[:, 1:].numel()
                count += part[:, 1:].numel()
    return Outcome(summed / count, seconds, STEPS, STEPS * BATCH * CONTEXT)


def run_recipe(name: str, overrides: list[str], seed: int) -> Outcome:
    """One of our recipes in our loop; validation comes after it, as the recipe says."""
    with tempfile.TemporaryDirectory() as folder:
        recipe = Recipe.load(RECIPES / name, [f"output={folder}", f"seed={seed}", *overrides])
        parts = assemble(recipe, recipe.folder, quiet=True)
        model, _ = build_model(recipe, parts)
        trainer = Trainer(
            model=model,
            objective=parts.objective,
            samples=parts.train,
            planner=make_planner(recipe, parts.train),
            validation=None,
            optimizer=recipe.optimizer.build(model.named_parameters(), parameter_role),
            schedule=recipe.schedule,
            settings=recipe.train,
            seed=seed,
            folder=recipe.folder,
            recipe=recipe.to_json(),
            quiet=True,
        )
        progress = trainer.run().progress
        metrics = evaluate(model, parts.objective, parts.validation, device=torch.device("cpu"))
        return Outcome(metrics["loss"].value, progress.seconds, progress.step, progress.tokens)


def read_text() -> tuple[np.ndarray, list[np.ndarray], int]:
    """The first 90 % and the windows of the rest, as the recipe prepares them, in letters numbered from 0; how many."""
    with tempfile.TemporaryDirectory() as folder:
        recipe = Recipe.load(RECIPES / "shakespeare-char.yaml", [f"output={folder}"])
        parts = assemble(recipe, recipe.folder, quiet=True)
        windows = [parts.train[number].input_ids for number in range(len(parts.train))]
        # A window starts with the last token of the one before.
        text = np.concatenate([windows[0][:1], *(window[1:] for window in windows)])
        held_out = [parts.validation[number].input_ids for number in range(len(parts.validation))]
        letters = np.unique(np.concatenate([text, *held_out]))  # the two that mark its start and end included
        ids, *windows = (np.searchsorted(letters, each).astype(np.int64) for each in (text, *held_out))
        return ids, windows, len(letters)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="one seed each")
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--only", nargs="+", default=[], help="some contenders; the tutorial is always there")
    parser.add_argument("--set", nargs="+", default=[], dest="overrides", help="overrides of every recipe, for trials")
    parser.add_argument("--output", type=Path, help="a JSON file to write")
    options = parser.parse_args()
    if "GROUNDUP_DATA" not in os.environ:
        parser.error("needs real data: set GROUNDUP_DATA to the folder that holds it")
    torch.set_num_threads(options.threads)
    text, validation, vocab_size = read_text()
    plain, more = "shakespeare-char.yaml", options.overrides
    contenders: dict[str, Callable[[int], Outcome]] = {
        "tutorial": lambda seed: run_tutorial(text, validation, vocab_size, seed),
        "same": lambda seed: run_recipe(plain, more, seed),
        "same-bf16": lambda seed: run_recipe(plain, ["train.precision=bf16", *more], seed),
        "same-tuned": lambda seed: run_recipe(plain, [*TUNED, *more], seed),
        "best": lambda seed: run_recipe("shakespeare-char-best.yaml", more, seed),
    }
    names = [name for name in contenders if not options.only or name in ("tutorial", *options.only)]
    rounds: list[dict[str, Outcome]] = []
    for number in range(options.rounds):
        order = names[number % len(names) :] + names[: number % len(names)]
        found = {name: contenders[name](options.first_seed + number) for name in order}
        rounds.append({name: found[name] for name in names})
        for name, outcome in rounds[-1].items():
            print(f"round {number + 1}: {name} loss {outcome.loss:.4f} in {outcome.seconds:.1f} s", file=sys.stderr)
    result = {
        "command": "python " + " ".join(sys.argv),
        "device": f"{describe_processor()}, {options.threads} threads",
        "torch": torch.__version__,
        "seeds": [options.first_seed + number for number in range(options.rounds)],
        "validation": {"windows": len(validation), "targets": sum(len(ids) - 1 for ids in validation)},
        "contenders": {name: summarise(name, rounds) for name in names},
    }
    print(json.dumps(result, indent=1))
    if options.output:
        options.output.write_text(json.dumps(result, indent=1) + "\n")


def summarise(name: str, rounds: list[dict[str, Outcome]]) -> dict[str, object]:
    """The runs of one contender, their medians, and its ratios to the tutorial within each round."""
    mine = [outcomes[name] for outcomes in rounds]
    ratios = [outcomes["tutorial"].seconds / outcomes[name].seconds for outcomes in rounds]
    return {
        "loss": {"median": round(statistics.median(o.loss for o in mine), 4), "all": [round(o.loss, 4) for o in mine]},
        "seconds": {
            "median": round(statistics.median(o.seconds for o in mine), 2),
            "all": [round(o.seconds, 2) for o in mine],
        },
        "steps": mine[0].steps,
        "tokens": mine[0].tokens,
        "times_as_fast_as_tutorial": {
            "median": round(statistics.median(ratios), 2),
            "all": [round(ratio, 2) for ratio in ratios],
        },
    }


def describe_processor() -> str:
    """The processor's name, where the system tells."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "CPU")


if __name__ == "__main__":
    main()
