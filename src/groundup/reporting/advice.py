"""What to try next: rules over the figures of a report, each with its reason and the very command."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Mapping
from typing import Any, Final

from groundup.figures import format_share
from groundup.reporting.content import Advice, DataSplit, Report
from groundup.reporting.content_rows import Figure

MOST: Final = 6
"""Pieces of advice; the first rules are the most telling."""
_WIDE: Final = 0.06
"""Of an interval, from end to end, from which on more validation rows are asked for."""

Found = tuple[str, dict[str, str | int | float], list[str], str | None]
"""A rule, its figures, the settings to change and the ending of the new folder's name; None for no command."""


def find_advice(report: Report) -> list[Advice]:
    """The first rules that apply."""
    rules = (_of_state, _of_learning, _of_fit, _of_data, _of_classes, _of_speed, _of_luck)
    found = [piece for rule in rules for piece in rule(report)]
    return [_write(report, *piece) for piece in found[:MOST]]


def _write(report: Report, rule: str, values: dict, overrides: list[str], ending: str | None) -> Advice:
    folder, command = report["run"]["folder"], None
    if ending is not None:
        changes = [*overrides, *([f"output={folder}-{ending}"] if ending else [])]
        command = shlex.join(["groundup", "train", f"{folder}/recipe.json", *changes])
    return {"rule": rule, "values": values, "overrides": overrides, "command": command}


def _of_state(report: Report) -> Iterator[Found]:
    run, recipe = report["run"], report["recipe"]
    if run["skipped"]:
        rate = recipe["optimizer"]["learning_rate"]
        changes = [f"optimizer.learning_rate={rate / 2:g}"]
        yield "skipped", {"skipped": run["skipped"], "rate": f"{rate:g}"}, changes, "half-rate"
    if run["state"] == "unfinished" and run["total_steps"]:
        yield "continue", {"step": run["step"], "total": run["total_steps"]}, [], ""
    if not recipe["data"]["validation"]:
        yield "no_validation", {}, [], None


def _of_learning(report: Report) -> Iterator[Found]:
    """Whether anything was learnt at all."""
    loss, baseline = _last_train_loss(report), report["baseline"]
    accuracy = _metric(report, "accuracy")
    guess = _guess(report)
    if report["run"]["state"] == "finished" and loss is not None and guess is not None and loss > 0.95 * guess:
        rate = report["recipe"]["optimizer"]["learning_rate"]
        changes = [f"optimizer.learning_rate={2 * rate:g}", *_scale_length(report["recipe"], 2.0)]
        yield "stuck", {"loss": f"{loss:.3f}", "guess": f"{guess:.3f}"}, changes, "faster"
    is_classifier = baseline is not None and baseline["metric"] == "accuracy"
    if is_classifier and accuracy is not None and accuracy["low"] is not None and accuracy["low"] <= baseline["value"]:
        figures = {name: format_share(accuracy[name]) for name in ("low", "high")}
        label = {"label": baseline["label"], "baseline": format_share(baseline["value"])}
        yield "guessing", figures | label, [], None


def _of_fit(report: Report) -> Iterator[Found]:
    """Too long, too short, too much by heart."""
    losses, steps = _validation_losses(report), report["curves"]["validation_steps"]
    run, recipe = report["run"], report["recipe"]
    if len(losses) < 3 or run["state"] not in ("finished", "stopped_early"):
        return
    train, best = _last_train_loss(report), min(range(len(losses)), key=losses.__getitem__)
    last, is_past_best = losses[-1], losses[-1] > 1.02 * losses[best]
    if train is not None and is_past_best and last > 1.2 * train:
        yield from _more_dropout(report, train, last)
    if is_past_best and steps[best] <= 0.75 * steps[-1]:
        values = {"best": steps[best], "total": steps[-1], "lowest": f"{losses[best]:.3f}", "last": f"{last:.3f}"}
        share = 1.15 * steps[best] / (run["total_steps"] or steps[-1])
        yield "shorter", values, _scale_length(recipe, min(share, 0.9)), "shorter"
    third = losses[len(losses) * 2 // 3 - 1]
    if best == len(losses) - 1 and last < 0.99 * third and run["state"] == "finished":
        where = steps[len(losses) * 2 // 3 - 1]
        values = {"earlier": f"{third:.3f}", "step": where, "last": f"{last:.3f}", "total": steps[-1]}
        yield "longer", values, _scale_length(recipe, 2.0), "longer"


def _more_dropout(report: Report, train: float, validation: float) -> Iterator[Found]:
    design = report["design"]
    if design is None:
        return
    now = design["config"]["dropout"]
    more = {name: round(min(0.5, now[name] + 0.1), 3) for name in ("embedding", "residual")}
    if more == {name: now[name] for name in more}:
        return
    usual = ("embedding", "attention", "residual", "attention_output")
    kept = {name: value for name, value in now.items() if value or (name in usual and value is not None)}
    setting = ", ".join(f"{name}: {value:g}" for name, value in (kept | more).items())
    values = {"train": f"{train:.3f}", "validation": f"{validation:.3f}"}
    yield "dropout", values, [f"model.dropout={{{setting}}}"], "dropout"


def _of_data(report: Report) -> Iterator[Found]:
    train = next((split for split in report["data"] if split["name"] == "train"), None)
    if train is None:
        return
    recipe, design = report["recipe"], report["design"]
    yield from _of_start(report, train)
    lost = train["tokens_lost"] / max(1, train["tokens"] + train["tokens_lost"])
    if recipe["data"]["kind"] == "table" and train["num_cut"] > 0.02 * train["sequences"]:
        yield from _longer_texts(recipe, design["config"] if design else {}, train, lost)
    if recipe["data"]["kind"] == "corpus" and lost > 0.05 and recipe["data"]["min_length"] > 1:
        values = {"lost": format_share(lost), "limit": recipe["data"]["min_length"]}
        yield "min_length", values, [f"data.min_length={max(1, recipe['data']['min_length'] // 2)}"], "short-ends"
    yield from _of_unknown(report, train)


def _of_unknown(report: Report, train: DataSplit) -> Iterator[Found]:
    """What the tokenizer cannot write: more entries where training has it, bytes where only new text does."""
    size = (report["recipe"]["tokenizer"] or {}).get("vocab_size")
    shares = {split["name"]: split["unknown_tokens"] / max(1, split["tokens"]) for split in report["data"]}
    if size and shares["train"] > 0.005:
        yield "vocabulary", {"share": format_share(shares["train"])}, [f"tokenizer.vocab_size={2 * size}"], "vocabulary"
    elif size and shares.get("validation", 0.0) > 0.01:
        values = {"share": format_share(shares["validation"]), "train": format_share(shares["train"])}
        yield "bytes", values, [f"tokenizer={{kind: byte_bpe, vocab_size: {max(size, 1000)}}}"], "bytes"


def _of_start(report: Report, train: DataSplit) -> Iterator[Found]:
    recipe = report["recipe"]
    if train["labels"] and recipe["model"]["kind"] == "transformer" and train["sequences"] < 20_000:
        changes = ["model={kind: pretrained, path: PATH}", "tokenizer=null"]
        yield "pretrained", {"sequences": f"{train['sequences']:,}"}, changes, "pretrained"


def _longer_texts(
    recipe: Mapping[str, Any], config: Mapping[str, Any], train: DataSplit, lost: float
) -> Iterator[Found]:
    limit, is_fresh = recipe["objective"]["max_length"], recipe["model"]["kind"] == "transformer"
    wanted = 2 * limit if is_fresh else min(2 * limit, config.get("max_length", limit))
    if wanted <= limit:
        return
    changes = [f"objective.max_length={wanted}"]
    if is_fresh and recipe["model"]["max_length"] < wanted:
        changes.append(f"model.max_length={wanted}")
    values = {"cut": format_share(train["num_cut"] / train["sequences"]), "limit": limit, "lost": format_share(lost)}
    yield "max_length", values, changes, f"length-{wanted}"


def _of_classes(report: Report) -> Iterator[Found]:
    classes = report["classes"]
    train = next((split for split in report["data"] if split["name"] == "train"), None)
    if classes is None or train is None:
        return
    counts = train["labels"] or {}
    rare, most = (choose(counts, key=counts.__getitem__, default="") for choose in (min, max))
    figures = next((each for each in classes["classes"] if each["label"] == rare), None)
    if figures is not None and counts[most] >= 3 * counts[rare]:
        values = {"label": rare, "count": counts[rare], "most": most, "most_count": counts[most]}
        yield "rare_class", values | {"recall": format_share(figures["recall"]["value"])}, [], None
    by_language = [bucket for bucket in classes["buckets"] if bucket["by"] == "language" and bucket["low"] is not None]
    if len(by_language) > 1:
        weak, strong = (choose(by_language, key=lambda bucket: bucket["accuracy"]) for choose in (min, max))
        if weak["high"] < strong["low"]:
            values = {"weak_name": weak["name"], "weak": format_share(weak["accuracy"])}
            yield (
                "language",
                values | {"strong_name": strong["name"], "strong": format_share(strong["accuracy"])},
                [],
                None,
            )
    accuracy = _metric(report, "accuracy")
    if accuracy is not None and accuracy["low"] is not None and accuracy["high"] - accuracy["low"] > _WIDE:
        width = accuracy["high"] - accuracy["low"]
        wanted = math.ceil(accuracy["count"] * (width / _WIDE) ** 2 / 100) * 100
        values = {"count": accuracy["count"], "width": f"{100 * width:.1f}", "wanted": f"{wanted:,}"}
        yield "more_validation", values, [], None


def _of_speed(report: Report) -> Iterator[Found]:
    run, steps, domain = report["run"], report["curves"]["validation_steps"], report["domain"] or {}
    share = run["evaluation_seconds"] / max(run["seconds"], 1e-9)
    if len(steps) > 2 and share > 0.25 and run["seconds"] > 60:
        every = steps[1] - steps[0]
        values = {"share": format_share(min(share, 1.0)), "every": every}
        yield "evaluate_less", values, [f"train.evaluate_every={2 * every}"], "fewer-validations"
    if domain.get("device") == "cuda" and domain.get("precision") == "fp32":
        yield "bf16", {}, ["train.precision=bf16"], "bf16"


def _of_luck(report: Report) -> Iterator[Found]:
    if report["run"]["state"] in ("finished", "stopped_early"):
        seed = report["recipe"]["seed"] + 1
        yield "seed", {}, [f"seed={seed}"], f"seed-{seed}"


def _scale_length(recipe: Mapping[str, Any], factor: float) -> list[str]:
    """The settings of a run that is `factor` times as long; its warm-up stays within it."""
    train, warmup = recipe["train"], recipe["schedule"].get("warmup", 0)
    if train["steps"] is None:
        return [f"train.epochs={max(0.01, round(train['epochs'] * factor, 2)):g}"]
    steps = max(1, round(train["steps"] * factor))
    shorter = ["schedule.warmup=0.1"] if isinstance(warmup, int) and warmup > steps // 2 else []
    return [f"train.steps={steps}", *shorter]


def _metric(report: Report, name: str) -> Figure | None:
    return next((figure for figure in report["metrics"] if figure["name"] == name), None)


def _validation_losses(report: Report) -> list[float]:
    return [figure["value"] for figure in report["curves"]["validation"].get("loss", [])]


def _last_train_loss(report: Report) -> float | None:
    losses = [value for value in report["curves"]["train"]["loss"] if value is not None]
    return losses[-1] if losses else None


def _guess(report: Report) -> float | None:
    """The loss of an even guess."""
    if report["classes"] is not None:
        return math.log(len(report["classes"]["labels"]))
    baseline = report["baseline"]
    return baseline["value"] if baseline is not None and baseline["metric"] == "loss" else None
