"""The recipes of the quickstart, as plain values. Their designs are what so little computing is best spent on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

Values = dict[str, Any]

_NO_DROPOUT = {"embedding": 0.0, "attention": 0.0, "residual": 0.0}


def make_written(data: Path, output: Path, steps: int, threads: int) -> Values:
    """Spoken to written text and back: a decoder whose first heads copy, trained with Muon."""
    return {
        "output": str(output),
        "tokenizer": {"kind": "byte_bpe", "vocab_size": 3600, "split_digits": True, "split_chinese": True},
        "data": {
            "kind": "table",
            "train": str(data / "train.jsonl"),
            "validation": str(data / "validation.jsonl"),
            "text": "prompt",
            "pair": "completion",
        },
        "model": {
            "kind": "transformer",
            "causal": True,
            "hidden_size": 128,
            "num_layers": 3,
            "num_heads": 4,
            "shifted_kv_heads": 2,
            "intermediate_size": 320,
            "max_length": 160,
            "num_token_types": 0,
            "position": {"kind": "rotary"},
            "norm": {"kind": "rms_norm"},
            "norm_places": ["input", "final"],
            "feed_forward": {"kind": "gated"},
            "attention_bias": False,
            "feed_forward_bias": False,
            "output_init": "zero",
            "dropout": _NO_DROPOUT,
        },
        "objective": {"kind": "causal", "max_length": 160},
        "optimizer": {"kind": "muon", "learning_rate": 9e-3, "others": 0.45, "precision": "fp32", "betas": [0.9, 0.98]},
        "schedule": {"kind": "linear", "warmup": 0.05},
        "train": {"steps": steps, "batch_size": 24, "evaluate_every": steps, "save_every": 200, "threads": threads},
    }


def make_masked(table: Path, output: Path, segmenter: str) -> Values:
    """Whole words hidden in the project's own sentences: to be looked at, not to be trained."""
    objective = {"kind": "masked", "max_length": 64, "unit": "word", "segmenter": {"kind": segmenter}}
    return {
        "output": str(output),
        "tokenizer": {"kind": "wordpiece", "vocab_size": 3000},
        "data": {"kind": "corpus", "train": [str(table)], "column": "text", "header": True},
        "model": _encoder(),
        "objective": objective,
        "optimizer": {"kind": "adamw"},
        "train": {"steps": 1, "batch_size": 32},
    }


def make_sentiment(data: Path, output: Path, epochs: float, threads: int) -> Values:
    """Positive, neutral or negative, in two languages, from fresh weights."""
    return {
        "output": str(output),
        "tokenizer": {"kind": "wordpiece", "vocab_size": 3000},
        "data": {"kind": "table", "train": str(data / "train.csv"), "validation": str(data / "validation.csv")},
        "model": _encoder(dropout={"embedding": 0.5, "attention": 0.1, "residual": 0.5}),
        "objective": {"kind": "classification", "max_length": 64},
        "optimizer": {"kind": "adamw", "learning_rate": 5e-4},
        "train": {"epochs": epochs, "batch_size": 32, "threads": threads},
    }


def make_pretraining(texts: list[str], output: Path, steps: int, threads: int, segmenter: str) -> Values:
    """An encoder that reads the user's own text."""
    return {
        "output": str(output),
        "tokenizer": {"kind": "wordpiece", "vocab_size": 8000},
        "data": {"kind": "corpus", "train": texts, "validation_share": 0.02},
        "model": _encoder(layers=4, dropout=_NO_DROPOUT),
        "objective": {"kind": "masked", "max_length": 64} | _by_word(segmenter),
        "optimizer": {"kind": "muon", "learning_rate": 4e-3, "precision": "fp32"},
        "schedule": {"kind": "warmup_stable_decay"},
        "train": {
            "steps": steps,
            "batch_size": 64,
            "evaluate_every": max(1, steps // 4),
            "save_every": 200,
            "threads": threads,
        },
    }


def make_classifier(
    data: Path, output: Path, pretrained: Path, *, is_fresh: bool, epochs: float, threads: int
) -> Values:
    """The user's own labels, from the encoder that read the user's text, or from fresh weights of the same design."""
    model: Mapping[str, Any] = {
        "kind": "pretrained",
        "path": str(pretrained),
        "dropout": {"embedding": 0.1, "attention": 0.1, "residual": 0.1},
    }
    return {
        "output": str(output),
        "tokenizer": {"kind": "pretrained", "path": str(pretrained)},
        "data": {"kind": "table", "train": str(data / "train.csv"), "validation": str(data / "validation.csv")},
        "model": _encoder(layers=4) if is_fresh else model,
        "objective": {"kind": "classification", "max_length": 64},
        "optimizer": {"kind": "adamw", "learning_rate": 5e-4},
        "train": {"epochs": epochs, "batch_size": 32, "threads": threads},
    }


def _by_word(segmenter: str) -> Values:
    return {} if segmenter == "none" else {"unit": "word", "segmenter": {"kind": segmenter}}


def _encoder(layers: int = 2, dropout: Mapping[str, float] | None = None) -> Values:
    return {
        "kind": "transformer",
        "hidden_size": 128,
        "num_layers": layers,
        "num_heads": 2,
        "intermediate_size": 128 * layers,
        "max_length": 64,
        **({} if dropout is None else {"dropout": dict(dropout)}),
    }
