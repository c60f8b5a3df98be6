"""The content of a report, written by hand: every part of the page has something to show."""

from __future__ import annotations

import copy
import math
from typing import Any

from groundup.model.config import ClassificationHead, ModelConfig
from groundup.reporting.content import Report

EVIL = '<script>alert("x")</script>&amp;\'"{braces} %s 你好 <img src=x onerror=alert(1)>'


def figure(name: str, value: float, spread: float = 0.05, count: int = 40) -> dict[str, Any]:
    """A metric with an interval."""
    signature = f"how {name}|n={count}"
    return {
        "name": name,
        "value": value,
        "count": count,
        "signature": signature,
        "low": value - spread,
        "high": value + spread,
    }


def make_content(**changes: Any) -> Report:
    """A finished classifier that has also learnt to fill masks; `changes` replace whole sections."""
    steps = [4, 8, 12]
    losses = [figure("loss", value) for value in (1.05, 0.71, 0.93)]
    accuracies = [figure("accuracy", value) for value in (0.4, 0.75, 0.7)]
    content: dict[str, Any] = {
        "format": 1,
        "run": {
            "name": "a-run",
            "folder": "runs/a-run",
            "state": "finished",
            "step": 12,
            "total_steps": 12,
            "model_step": 8,
            "epochs": 1.5,
            "tokens": 4321,
            "targets": 192,
            "seconds": 75.0,
            "evaluation_seconds": 3.0,
            "skipped": 0,
            "objective": "classification",
            "data_kind": "table",
            "start": None,
            "version": "0.1.0",
            "made": "2026-01-02 03:04+00:00",
        },
        "metrics": [accuracies[1], losses[1]],
        "baseline": {"metric": "accuracy", "value": 0.6, "label": "cat"},
        "curves": {
            "lines_per_point": 1,
            "train": {
                "step": [2, 4, 6, 8, 10, 12],
                "loss": [1.1, 0.9, 0.8, 0.6, 0.4, 0.2],
                "learning_rate": [0.001, 0.002, 0.0015, 0.001, 0.0005, 0.0],
                "tokens_per_second": [900.0, 1000.0, 1100.0, 1000.0, 980.0, 990.0],
                "grad_norm": [1.0, None, 0.7, 0.6, 0.5, 0.5],
            },
            "validation_steps": steps,
            "validation": {"loss": losses, "accuracy": accuracies},
            "best_metric": "accuracy",
            "best_is_larger": True,
        },
        "classes": make_classes(),
        "labels": make_labels(),
        "numbers": make_numbers(),
        "choices": make_choices(),
        "masked": make_masked(),
        "found": make_found(),
        "writing": make_writing(),
        "batch": {
            "step": 12,
            "epoch": 2,
            "micro_batches": 1,
            "sequences": 16,
            "tokens": 210,
            "lines": ["[cat] [CLS] the cat sees [SEP]", "[none] [CLS] 他 看 书 [SEP]"],
        },
        "design": make_design(),
        "data": [_split("train", 120, {"cat": 80, "none": 40}), _split("validation", 40, {"cat": 24, "none": 16})],
        "recipe": {
            "seed": 5,
            "output": "runs/a-run",
            "tokenizer": {"kind": "wordpiece", "vocab_size": 120},
            "data": {"kind": "table", "train": "train.tsv", "validation": "dev.tsv"},
            "model": {"kind": "transformer", "max_length": 48},
            "objective": {"kind": "classification", "max_length": 32},
            "optimizer": {"kind": "adamw", "learning_rate": 0.002},
            "schedule": {"kind": "linear", "warmup": 0.1},
            "train": {"steps": 12, "epochs": None, "precision": "fp32"},
        },
        "recipe_yaml": "seed: 5\noutput: runs/a-run\n",
        "domain": {"device": "cpu", "precision": "fp32", "torch": "2.11.0", "threads": 1, "machine": "x86_64"},
        "advice": [],
    }
    return content | changes  # type: ignore[return-value]


def make_classes(labels: tuple[str, ...] = ("cat", "none")) -> dict[str, Any]:
    """Figures of a classifier over these labels."""
    count = len(labels)
    return {
        "rows": 40,
        "of": 40,
        "right_rows": 30,
        "wrong_rows": 10,
        "labels": list(labels),
        "confusion": [[15 if row == column else 5 for column in range(count)] for row in range(count)],
        "classes": [
            {
                "label": label,
                "count": 20,
                "precision": figure("precision", 0.71),
                "recall": figure("recall", 0.72),
                "f1": figure("f1", 0.73),
            }
            for label in labels
        ],
        "buckets": [
            {"by": "language", "name": "en", "count": 22, "accuracy": 0.5, "low": 0.4, "high": 0.6, "loss": None},
            {"by": "language", "name": "zh", "count": 18, "accuracy": 0.9, "low": 0.8, "high": 1.0, "loss": None},
            {"by": "length", "name": "1-8", "count": 30, "accuracy": 0.7, "low": 0.6, "high": 0.8, "loss": None},
            {"by": "length", "name": "9-", "count": 10, "accuracy": 0.6, "low": 0.3, "high": 0.9, "loss": None},
        ],
        "calibration": {
            "error": 0.123,
            "bins": [
                {"low": 0.0, "high": 0.5, "count": 0, "confidence": None, "accuracy": None},
                {"low": 0.5, "high": 0.75, "count": 25, "confidence": 0.6, "accuracy": 0.55},
                {"low": 0.75, "high": 1.0, "count": 15, "confidence": 0.9, "accuracy": 0.8},
            ],
        },
        "wrong": [_example(labels[0], labels[1], 0.9)],
        "right": [_example(labels[0], labels[0], 0.4)],
    }


def make_labels() -> dict[str, Any]:
    """Two labels: a row with one too many, a row without any."""
    share = {"accuracy": 0.62, "low": 0.45, "high": 0.77, "loss": None}
    row = {"line": 8, "text": "猫 and dog", "pair": "一只", "true": ["猫"]}
    return {
        "rows": 38,
        "of": 40,
        "right_rows": 23,
        "wrong_rows": 15,
        "figures": [
            {
                "label": label,
                "count": 19,
                "threshold": threshold,
                **{name: figure(name, value) for name, value in (("precision", 0.66), ("recall", 0.81), ("f1", 0.7))},
            }
            for label, threshold in (("dog", 0.275), ("猫", 0.5))
        ],
        "buckets": [{"by": "length", "name": name, "count": 19} | share for name in ("1-8", "9-")],
        "wrong": [row | {"given": ["dog", "猫"], "probabilities": {"dog": 0.31, "猫": 0.92}}],
        "right": [row | {"true": [], "given": [], "probabilities": {"dog": 0.21, "猫": 0.11}}],
    }


def make_numbers() -> dict[str, Any]:
    """Five rows with numbers, of which one is far from right."""
    parts = [("band", "1 – 2"), ("band", "4.5"), ("length", "1-8"), ("language", "zh")]
    return {
        "rows": 5,
        "of": 5,
        "points": [[1.0, 1.2], [2.0, 2.4], [4.5, 1.5], [4.5, 4.1], [3.0, 3.0]],
        "parts": [
            {"by": by, "name": name, "count": 2, "error": 0.84, "low": 0.21, "high": 1.43, "bias": -0.33}
            for by, name in parts
        ]
        + [{"by": "language", "name": "en", "count": 1, "error": 3.0, "low": None, "high": None, "bias": 3.0}],
        "worst": [{"line": 3, "text": "好看 film", "pair": None, "true": 4.5, "predicted": 1.5}],
    }


def make_choices() -> dict[str, Any]:
    """A question that was answered wrongly, and one rightly."""
    choices = [
        {"text": "在山上", "probability": 0.72, "is_true": False, "is_answer": True},
        {"text": "here", "probability": 0.28, "is_true": True, "is_answer": False},
    ]
    right = [each | {"is_true": each["is_answer"]} for each in choices]
    return {
        "rows": 20,
        "of": 20,
        "right_rows": 12,
        "wrong_rows": 8,
        "buckets": [
            {"by": "length", "name": "9-16", "count": 20, "accuracy": 0.6, "low": 0.4, "high": 0.8, "loss": None}
        ],
        "wrong": [{"line": 12, "context": "他在山上", "question": "他在 where?", "choices": choices}],
        "right": [{"line": 14, "context": "", "question": "他在哪里？", "choices": right}],
    }


def _example(label: str, prediction: str, share: float) -> dict[str, Any]:
    others = {prediction: share, label: 1 - share} if label != prediction else {label: 1 - share, "other": share}
    return {
        "line": 7,
        "text": "他 sees the cat",
        "pair": None,
        "label": label,
        "prediction": prediction,
        "probabilities": others,
    }


def make_masked() -> dict[str, Any]:
    """Figures of a masked model and one sequence."""
    answers = [{"token": "狗", "probability": 0.61}, {"token": "cat", "probability": 0.2}]
    return {
        "split": "validation",
        "sequences": 40,
        "of": 44,
        "targets": 99,
        "buckets": [
            {"by": "fate", "name": "hidden", "count": 80, "accuracy": 0.3, "low": 0.2, "high": 0.4, "loss": 3.21},
            {"by": "script", "name": "zh", "count": 50, "accuracy": 0.35, "low": 0.2, "high": 0.5, "loss": 2.98},
        ],
        "shown": [
            {
                "sample": 17,
                "num_asked": 2,
                "num_right": 1,
                "tokens": [
                    {"text": "[CLS]", "space": True, "fate": "special"},
                    {"text": "the", "space": True},
                    {
                        "text": "狗",
                        "space": True,
                        "fate": "hidden",
                        "seen": "[MASK]",
                        "answers": answers,
                        "is_right": True,
                    },
                    {
                        "text": "red",
                        "space": True,
                        "fate": "replaced",
                        "seen": "blue",
                        "answers": answers,
                        "is_right": False,
                    },
                ],
            }
        ],
    }


def make_writing(*, is_scored: bool = True) -> dict[str, Any]:
    """What a decoder writes: completions that are right or wrong, or texts that are written on."""
    texts = [
        {"number": 3, "prompt": "三点十分", "expected": "3:10", "written": "3:10", "is_right": True},
        {"number": 9, "prompt": "three dollars", "expected": "$3", "written": "$30", "is_right": False},
    ]
    bucket = {"by": "all", "name": "all", "count": 64, "accuracy": 0.31, "low": 0.21, "high": 0.41, "loss": None}
    return {
        "split": "validation",
        "rows": 64,
        "of": 70,
        "exact_rows": 20 if is_scored else None,
        "wrong_rows": 44 if is_scored else None,
        "buckets": [bucket] if is_scored else [],
        "shown": [text | ({} if is_scored else {"is_right": None}) for text in texts],
    }


def make_found() -> dict[str, Any]:
    """What is found in texts: one that is right, one with every fault, and a question whose answer is wrong."""
    tagged = {"title": None, "text": "Li Lei 在北京见到了 Mary Smith"}
    stretches = [{"start": 0, "end": 6, "name": "PER"}, {"start": 8, "end": 10, "name": "LOC"}]
    nested = {"start": 3, "end": 6, "name": "NAME"}
    passage = {"line": 9, "title": "谁写了这本书？", "text": "…鲁迅写了这本书", "is_right": False}
    return {
        "split": "validation",
        "rows": 30,
        "of": 31,
        "right_rows": 20,
        "wrong_rows": 10,
        "expected": {"PER": 12, "LOC": 7},
        "found": {"PER": 11, "NAME": 1},
        "parts": [figure(name, 0.7) for name in ("f1[PER]", "f1[LOC]", "recall[PER]", "f1[NAME]")],
        "buckets": [
            {"by": "length", "name": "1-20", "count": 18, "accuracy": 0.72, "low": 0.5, "high": 0.9, "loss": None},
            {"by": "length", "name": "21-", "count": 12, "accuracy": 0.58, "low": 0.3, "high": 0.8, "loss": None},
        ],
        "faults": {"boundary": 3, "missed": 0, "type": 4},
        "shown": [
            tagged | {"line": 4, "expected": stretches, "found": stretches[:1], "is_right": False},
            tagged | {"line": 5, "expected": [nested], "found": [*stretches, nested], "is_right": True},
            passage | {"expected": [{"start": 1, "end": 3, "name": ""}], "found": []},
        ],
    }


def make_design(**changes: Any) -> dict[str, Any]:
    """A design and its costs; `changes` are to its values."""
    config = ModelConfig(
        vocab_size=120,
        hidden_size=32,
        num_layers=2,
        num_heads=2,
        intermediate_size=64,
        max_length=48,
        heads=(ClassificationHead(num_labels=2),),
    ).model_dump(mode="json")
    return {
        "name": "a-run",
        "config": config | changes,
        "modules": [
            {"name": "embedding", "shapes": {}, "parameters": 3840, "times": 1},
            {"name": "blocks.*", "shapes": {}, "parameters": 9000, "times": 2},
            {"name": "blocks.*.attention.q", "shapes": {"weight": [32, 32]}, "parameters": 1024, "times": 2},
        ],
        "parameters": {"embedding": 3840, "attention": 8000, "pooler": 0},
        "parameter_shares": {"embedding": 0.3243, "attention": 0.6757, "pooler": 0.0},
        "num_parameters": 11840,
        "forward_flops": {"projections": 8000.0, "scores": 24600.0, "pooler": 0.0, "heads": 8400.0},
        "flops_shares": {"projections": 0.1951, "scores": 0.6, "pooler": 0.0, "heads": 0.2049},
        "forward_flops_per_token": 41000.0,
        "training_flops_per_token": 123000.0,
        "total_flops": 531483000.0,
        "flops_per_second": 7086440.0,
        "memory": {"weights": 47360, "activations": 990000},
        "memory_shares": {"weights": 0.0457, "activations": 0.9543},
        "cache_bytes_per_token": 512,
        "length": 48,
        "activation_bytes": 4,
        "costs": [
            {"rule": "scores", "values": {"length": "48", "share": "60.0%"}},
            {"rule": "rms_norm", "values": {}},
        ],
        "total_memory": 1037360,
        "micro_batch_tokens": 512,
        "notes": [],
    }


def _split(name: str, rows: int, labels: dict[str, int]) -> dict[str, Any]:
    return {
        "name": name,
        "files": [{"name": f"{name}.tsv", "bytes": 12345, "sha256": "ab" * 32}],
        "digest": "cd" * 16,
        "sequences": rows,
        "tokens": 10 * rows,
        "documents": None,
        "characters": None,
        "labels": labels,
        "label_shares": {label: count / rows for label, count in labels.items()},
        "counts_entities": False,
        "unlabelled": 0,
        "empty": 0,
        "num_cut": 0,
        "tokens_lost": 0,
        "unknown_tokens": 0,
        "lengths": {
            "limit": 32,
            "bins": [(1, 8, rows - 5), (9, None, 5)],
            "quantiles": {"50%": 7, "99%": 20},
            "longest": 22,
        },
    }


def change(report: Report, path: str, value: object) -> None:
    """Set what stands at a dotted path."""
    inner: Any = report
    *first, last = path.split(".")
    for key in first:
        inner = inner[int(key)] if isinstance(inner, list) else inner[key]
    inner[int(last) if isinstance(inner, list) else last] = copy.deepcopy(value)


RULES: list[tuple[str, dict[str, object], list[str] | None]] = [
    ("skipped", {"run.skipped": 3}, ["optimizer.learning_rate=0.001"]),
    ("continue", {"run.state": "unfinished", "run.step": 7}, []),
    ("no_validation", {"recipe.data.validation": None}, []),
    (
        "stuck",
        {"curves.train.loss": [math.log(2)] * 6},
        ["optimizer.learning_rate=0.004", "train.steps=24"],
    ),
    ("guessing", {"metrics.0": figure("accuracy", 0.62, 0.04)}, []),
    ("pretrained", {"recipe.model": {"kind": "transformer", "max_length": 48}}, None),
    (
        "dropout",
        {"curves.validation.loss": [figure("loss", value) for value in (0.9, 0.7, 0.8)]},
        ["model.dropout={embedding: 0.2, attention: 0.1, residual: 0.2}"],
    ),
    (
        "shorter",
        {"curves.validation.loss": [figure("loss", value) for value in (0.4, 0.7, 0.8)]},
        ["train.steps=5"],
    ),
    (
        "longer",
        {"curves.validation.loss": [figure("loss", value) for value in (0.5, 0.4, 0.3)]},
        ["train.steps=24"],
    ),
    ("max_length", {"data.0.num_cut": 30, "design.config.max_length": 512}, ["objective.max_length=64"]),
    ("vocabulary", {"data.0.unknown_tokens": 100}, ["tokenizer.vocab_size=240"]),
    ("bytes", {"data.1.unknown_tokens": 10}, ["tokenizer={kind: byte_bpe, vocab_size: 1000}"]),
    ("rare_class", {"data.0.labels": {"cat": 90, "none": 30}}, []),
    ("language", {"classes.buckets": make_classes()["buckets"]}, []),
    ("more_validation", {"metrics.0": figure("accuracy", 0.9, 0.06)}, []),
    (
        "evaluate_less",
        {"run.seconds": 100.0, "run.evaluation_seconds": 40.0},
        ["train.evaluate_every=8"],
    ),
    ("bf16", {"domain": {"device": "cuda", "precision": "fp32"}}, ["train.precision=bf16"]),
]
"""Each rule of advice, what must be changed for it to fire, and the settings it then names (None: not compared)."""
