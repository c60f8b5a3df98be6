"""Results of a quickstart of either kind, written by hand: every part of its page has something to show."""

from __future__ import annotations

from typing import Any

MASKED = [
    {
        "text": "[CLS] the bed was so [MASK MASK→comfortable] that we [MASK ##ped→skipped] the muse ##um . [SEP]",
        "sample": 852,
    },
    {"text": "[CLS] 网 课 用 的 [=是] 同 一 本 [MASK MASK→教材] ， 多 两 次 答 疑 。 [SEP]", "sample": 200},
]


def share(name: str, value: float, count: int = 120, spread: float = 0.07) -> dict[str, Any]:
    return {"name": name, "count": count, "value": value, "low": value - spread, "high": value + spread}


def group(value: float, count: int, beside: float = 0.0125, **name: str) -> dict[str, Any]:
    low, high = max(0.0, value - 0.06), min(1.0, value + 0.06)
    return {"name": name, "count": count, "exact": value, "low": low, "high": high, "nearest_neighbour": beside}


def judged(run: str, value: float, commonest: float = 0.3842, **groups: float) -> dict[str, Any]:
    return {
        "all": share("all", value),
        "groups": [share(name, each, 60, 0.1) for name, each in groups.items()],
        "commonest": share("neutral", commonest),
        "is_right": [True, False],
        "run": run,
        "seconds": 31.7,
    }


def sample(verdict: str, language: str, direction: str, prompt: str, answer: str, expected: str) -> dict[str, str]:
    return {
        "prompt": prompt,
        "answer": answer,
        "expected": expected,
        "language": language,
        "direction": direction,
        "split": "test_values",
        "verdict": verdict,
    }


def resume(**changes: Any) -> dict[str, Any]:
    found = {
        "steps": 24,
        "killed_in_save_of": 12,
        "resumed_from": 6,
        "uninterrupted": "85" * 32,
        "resumed": "85" * 32,
        "is_exact": True,
    }
    return found | changes


def make_default(**changes: Any) -> dict[str, Any]:
    """A quickstart on what comes with the toolkit; `changes` replace whole parts."""
    fine = [
        group(0.31 + 0.1 * place + 0.02 * (language == "zh"), 85 + place, split=split, language=language, direction=way)
        for place, split in enumerate(("test_values", "test_patterns"))
        for language in ("en", "zh")
        for way in ("to_written", "to_spoken")
    ]
    whole = [group(0.7137, 400, split="test_values"), group(0.4471, 400, split="test_patterns"), group(0.58, 800)]
    kinds = [group(0.9123, 44, kind="date"), group(0.2749, 172, kind="mixed"), group(0.5, 62, kind="brand_new")]
    written = {
        "groups": [*fine, *kinds, *whole],
        "examples": [
            sample("right", "en", "to_written", "write: three hundred and five dollars", "$305", "$305"),
            sample("wrong", "zh", "to_written", "写：给百分之九十五点一的小费", "给95.7%的小费", "给95.1%的小费"),
        ],
        "run": "runs/quickstart/written",
        "seconds": 97.4,
        "steps": 1001,
    }
    results = {
        "kind": "default",
        "minutes": 4.0,
        "threads": 2,
        "resume": resume(),
        "written": written,
        "masked": MASKED,
        "sentiment": judged("runs/quickstart/sentiment", 0.5931, en=0.6112, zh=0.5749),
        "transformers": {"model": "m/model", "texts": 40, "largest_difference": 4.77e-7, "why_not": ""},
    }
    return results | changes


def make_own(**changes: Any) -> dict[str, Any]:
    """A quickstart on somebody's own text and labels."""
    metric = {"count": 5121, "signature": "how", "low": None, "high": None}
    metrics = {
        "loss": {"name": "loss", "value": 4.871} | metric,
        "accuracy": {"name": "accuracy", "value": 0.2713} | metric | {"low": 0.2591, "high": 0.2837},
    }
    pretrained = {
        "folder": "runs/own/pretrained",
        "step": 640,
        "total_steps": 640,
        "is_finished": True,
        "stopped_by": None,
        "model": "runs/own/pretrained/model",
        "step_of_model": 480,
        "metrics": metrics,
        "seconds": 118.2,
    }
    results = {
        "kind": "own",
        "minutes": 5.0,
        "threads": 2,
        "resume": resume(),
        "pretrained": pretrained,
        "masked": MASKED,
        "pretrained_labels": judged("runs/own/pretrained_labels", 0.8116),
        "fresh_labels": judged("runs/own/fresh_labels", 0.7583),
        "gain": share("difference", 0.0533, spread=0.0311),
        "transformers": {"model": "m/model", "texts": 40, "largest_difference": None, "why_not": "not installed"},
    }
    return results | changes
