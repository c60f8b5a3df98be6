"""What a run folder holds: how far it is, whether its checkpoints are intact, and what it said last."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from groundup.checkpoint.store import Store
from groundup.figures import format_figure
from groundup.metrics.metric import Metric
from groundup.recipe import Recipe
from groundup.training.log import format_seconds, read_lines
from groundup.verbs.layout import DATA_KINDS, columns, entry, fold, format_bytes, format_count, plural
from groundup.verbs.run_folder import read_recipe

_WIDTH: Final = 70
"""Of the figures of a table, beside its steps."""
_FIGURE: Final = 7


@dataclass(frozen=True)
class Checkpoint:
    """One saved step."""

    step: int
    size: int
    """Bytes."""
    problems: tuple[str, ...]
    """What is damaged; empty where every byte is as it was written."""
    is_best: bool


@dataclass(frozen=True)
class RunReport:
    """A run from outside."""

    folder: str
    state: str
    """`finished`, `stopped early`, `not started`, or how far it is."""
    recipe: dict[str, object]
    progress: dict[str, Any] | None
    """Of the newest intact checkpoint."""
    checkpoints: tuple[Checkpoint, ...]
    last_step: dict[str, Any] | None
    """The newest training line of metrics.jsonl."""
    validations: tuple[tuple[int, dict[str, Metric]], ...]
    """Steps and their metrics, in order."""
    bad_steps: tuple[str, ...]
    """Files of batches whose loss was not finite."""
    model: str | None
    """The model folder, where there is one."""

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        return asdict(self)

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield from entry("run", f"{self.folder}: {self.state}")
        yield from entry("recipe", _summarise(self.recipe))
        if self.last_step is not None:
            last = self.last_step
            yield from entry(
                "last line", f"step {last['step']}: loss {format_figure(last['loss'])}, {_say_speed(last)}"
            )
        if self.progress is not None:
            yield from entry("trained on", f"{self.progress['tokens']:,} tokens, {self.progress['targets']:,} targets")
        if self.progress is not None and self.progress["skipped"]:
            yield from entry("skipped", f"{self.progress['skipped']} steps that were not finite")
        yield from self._show_checkpoints()
        yield from self._show_validations()
        for path in self.bad_steps:
            yield from entry("bad batch", path)
        yield from entry("model", self.model or "none yet: it is written at the end of the run")

    def _show_checkpoints(self) -> Iterator[str]:
        if not self.checkpoints:
            yield from entry("checkpoints", "none")
            return
        yield "checkpoints"
        rows = [
            (
                f"step {each.step}",
                format_bytes(each.size),
                "damaged" if each.problems else "intact",
                "best" if each.is_best else "",
            )
            for each in self.checkpoints
        ]
        yield from columns(rows, "rrll")
        for each in self.checkpoints:
            for problem in each.problems:
                yield from fold(problem, first="! ")

    def _show_validations(self) -> Iterator[str]:
        if not self.validations:
            return
        yield "validations"
        if len(self.validations) > 10:
            yield f"  the last 10 of {len(self.validations)}"
        for names in _split_columns(list(self.validations[-1][1]), _WIDTH):
            rows = [("step", *names)]
            for step, metrics in self.validations[-10:]:
                figures = (format_figure(metrics[name].value) if name in metrics else "" for name in names)
                rows.append((str(step), *figures))
            yield from columns(rows, "r" * len(rows[0]))


def _split_columns(names: Sequence[str], width: int) -> list[list[str]]:
    """The names of columns in as many tables as they need, each at most so wide; one name always fits."""
    tables: list[list[str]] = []
    left = 0
    for name in names:
        size = max(len(name), _FIGURE) + 2
        if size > left:
            tables.append([])
            left = width
        tables[-1].append(name)
        left -= size
    return tables


def inspect_run(folder: Path) -> RunReport:
    """Look at a run folder, one that is being trained in included."""
    recipe = read_recipe(folder)
    store = Store(folder / "checkpoints")
    steps = store.steps()
    problems = {step: tuple(store.verify(step)) for step in steps}
    good = next((step for step in reversed(steps) if not problems[step]), None)
    progress = None if good is None else dict(store.load(good)["progress"])
    best = None if progress is None else progress["best_step"]
    lines = read_lines(folder / "metrics.jsonl")
    trained = [line for line in lines if line.get("kind") == "train"]
    has_model = (folder / "model" / "config.json").is_file()
    return RunReport(
        folder=str(folder),
        state=_find_state(recipe, progress, trained, has_model),
        recipe=recipe.to_json(),
        progress=progress,
        checkpoints=tuple(Checkpoint(step, _measure(store.path(step)), problems[step], step == best) for step in steps),
        last_step=trained[-1] if trained else None,
        validations=tuple(
            (line["step"], {name: Metric(**values) for name, values in line["metrics"].items()})
            for line in lines
            if line.get("kind") == "evaluation"
        ),
        bad_steps=tuple(str(path) for path in sorted((folder / "bad_batches").glob("*.json"))),
        model=str(folder / "model") if has_model else None,
    )


def _find_state(recipe: Recipe, progress: dict[str, Any] | None, trained: list[dict], has_model: bool) -> str:
    if has_model:
        early = progress is not None and progress["stopped_early"]
        return f"stopped early after step {progress['step']}" if early and progress else "finished"
    if progress is None:
        return "no checkpoint yet" if trained else "not started"
    total = "" if recipe.train.steps is None else f" of {recipe.train.steps}"
    return f"not finished; `groundup train` continues after step {progress['step']}{total}"


def _measure(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _say_speed(line: dict[str, Any]) -> str:
    timing = line.get("time", {})
    rate = f"{format_count(timing['tokens_per_second'])} tokens/s" if "tokens_per_second" in timing else ""
    spent = f", {format_seconds(timing['seconds'])} in all" if "seconds" in timing else ""
    return f"learning rate {line['learning_rate']:.2e}, {rate}{spent}"


def _summarise(recipe: dict[str, Any]) -> str:
    """What is learnt, from what, how, in one line."""
    train, optimizer = recipe["train"], recipe["optimizer"]
    epochs = "1 epoch" if train["epochs"] == 1 else f"{train['epochs'] or 0:g} epochs"
    length = epochs if train["steps"] is None else plural(train["steps"], "step")
    start = recipe["model"].get("path", "fresh weights")
    data = DATA_KINDS[recipe["data"]["kind"]]
    return (
        f"{recipe['objective']['kind']} on {data} from {start}, {length} of {train['batch_size']} "
        f"sequences, {optimizer['kind']} {optimizer['learning_rate']:g}, seed {recipe['seed']}"
    )
