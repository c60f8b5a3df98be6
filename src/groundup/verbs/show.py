"""Show: the very batch that a step trains on, decoded, with what is hidden and what is asked marked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from groundup.errors import ConfigError
from groundup.objectives.hybrid import HybridObjective
from groundup.objectives.masked import MaskedObjective
from groundup.objectives.mix import MixObjective
from groundup.objectives.protocol import Batch
from groundup.objectives.replaced import ReplacedObjective
from groundup.recipe import Recipe
from groundup.reporting.batch_page import render_batch
from groundup.text.pack import StepPlan
from groundup.training.step import prepare_step
from groundup.training.trainer import count_steps
from groundup.verbs.assemble import Parts, as_recipe, assemble
from groundup.verbs.corpora import make_planner
from groundup.verbs.layout import fold, format_share, plural
from groundup.verbs.run_folder import work_folder, write_text


@dataclass(frozen=True)
class MaskCounts:
    """What became of the tokens that a masked model is asked for."""

    hidden: int
    """Shown as the mask token."""
    replaced: int
    """Shown as another token."""
    kept: int
    """Shown as they are."""

    @property
    def total(self) -> int:
        """Tokens to predict."""
        return self.hidden + self.replaced + self.kept

    def __str__(self) -> str:
        return f"{self.total} to predict: {self.hidden} hidden, {self.replaced} replaced, {self.kept} kept"


@dataclass(frozen=True)
class ShownSequence:
    """One sequence of the batch."""

    micro_batch: int
    """Counted from 1."""
    place: int
    """Its place in the micro-batch, counted from 1."""
    sample: int
    """Its number in the training data."""
    start: int
    """Where it starts in the micro-batch's run of tokens; it ends before `start + length`."""
    length: int
    """Tokens, special ones included."""
    masks: MaskCounts | None
    """None for an objective that hides nothing."""
    text: str


@dataclass(frozen=True)
class MicroBatch:
    """What is computed at once."""

    tokens: int
    lengths: tuple[int, ...]
    """Of its sequences, in their order."""
    masks: MaskCounts | None


@dataclass(frozen=True)
class ShowReport:
    """A batch for people."""

    step: int
    total_steps: int
    epoch: int
    micro_batches: tuple[MicroBatch, ...]
    sequences: tuple[ShownSequence, ...]
    """Those that were asked for, spread evenly over the batch."""

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        return asdict(self)

    def __str__(self) -> str:
        count = sum(len(each.lengths) for each in self.micro_batches)
        tokens = sum(each.tokens for each in self.micro_batches)
        cut = plural(len(self.micro_batches), "micro-batch", "es")
        lines = fold(
            f"step {self.step} (of 0 to {self.total_steps - 1}), epoch {self.epoch}: {count:,} sequences, "
            f"{tokens:,} tokens, no padding, in {cut}",
            indent=0,
        )
        for number, each in enumerate(self.micro_batches, start=1):
            lines += fold(_describe(each), first=f"{number}: ")
        for each in self.sequences:
            end = each.start + each.length
            lines += ["", f"micro-batch {each.micro_batch}, tokens {each.start} to {end - 1}: sample {each.sample}"]
            figures = f"{each.length} tokens" + ("" if each.masks is None else f", {each.masks}")
            lines += [f"  ({figures})", *fold(each.text)]
        return "\n".join(lines)


def show(
    recipe: str | Path | Recipe | Mapping[str, object],
    overrides: Sequence[str] = (),
    *,
    count: int = 5,
    step: int = 0,
) -> ShowReport:
    """Decode what a step trains on.

    The data is prepared in the run folder first where it is not, as `train` would.

    Args:
        recipe: a YAML file, a Recipe, or plain values.
        overrides: `key.path=value`, applied to it.
        count: how many sequences to show; they are spread evenly over the batch, from the longest to the shortest.
        step: counted from 0.
    """
    recipe = as_recipe(recipe, overrides)
    with work_folder(recipe) as folder:
        return show_step(recipe, assemble(recipe, folder), count=count, step=step)


def write_page(report: ShowReport, name: str, path: str | Path) -> None:
    """Draw a batch as one page that needs nothing else, in English and Chinese."""
    sequences = [
        {
            "micro_batch": each.micro_batch,
            "sample": each.sample,
            "start": each.start,
            "end": each.start + each.length - 1,
            "text": each.text,
        }
        for each in report.sequences
    ]
    figures = {
        "step": report.step + 1,
        "epoch": report.epoch + 1,
        "sequences": sum(len(each.lengths) for each in report.micro_batches),
        "tokens": sum(each.tokens for each in report.micro_batches),
        "micro_batches": len(report.micro_batches),
    }
    write_text(Path(path), render_batch(name, figures, sequences, version("groundup")))


def show_step(recipe: Recipe, parts: Parts, *, count: int, step: int) -> ShowReport:
    """`show` for a run that is put together already."""
    planner = make_planner(recipe, parts.train)
    total = count_steps(recipe.train, planner)
    if not 0 <= step < total:
        raise ConfigError("step", f"is not one of the run's steps 0 to {total - 1}", got=step)
    plan = planner.plan(step)
    batches = prepare_step(parts.objective, parts.train, plan, recipe.seed, total)
    return _report(parts, plan, total, batches, count)


def _report(parts: Parts, plan: StepPlan, total: int, batches: Sequence[Batch], count: int) -> ShowReport:
    masks = [_count_masks(parts, batch) for batch in batches]
    micro_batches = tuple(
        MicroBatch(batch.num_tokens, batch.packed.lengths, None if each is None else _add(each))
        for batch, each in zip(batches, masks, strict=True)
    )
    places = [(number, place) for number, each in enumerate(micro_batches) for place in range(len(each.lengths))]
    chosen = sorted({round(index) for index in np.linspace(0, len(places) - 1, min(count, len(places)))})
    texts = {number: parts.objective.show(batches[number]) for number, _ in (places[index] for index in chosen)}
    shown = []
    for number, place in (places[index] for index in chosen):
        lengths, each = batches[number].packed.lengths, masks[number]
        sample, start = int(batches[number].samples[place]), sum(lengths[:place])
        counts = None if each is None else each[place]
        shown.append(ShownSequence(number + 1, place + 1, sample, start, lengths[place], counts, texts[number][place]))
    return ShowReport(plan.step, total, plan.epoch, micro_batches, tuple(shown))


def _count_masks(parts: Parts, batch: Batch) -> list[MaskCounts] | None:
    """Of each sequence; None where the objective hides nothing."""
    objective = parts.objective
    knows = isinstance(objective, MixObjective | HybridObjective | ReplacedObjective)
    found = objective.find_masked(batch) if knows else (objective, batch)
    if found is None or not isinstance(found[0], MaskedObjective):
        return None
    objective, batch = found
    rows, labels = batch.targets["rows"].numpy(), batch.targets["labels"].numpy()
    seen, size = batch.packed.input_ids.numpy()[rows], len(batch.packed.lengths)
    sequences = np.searchsorted(np.cumsum(batch.packed.lengths), rows, side="right")
    is_hidden = seen == objective.mask_id
    is_kept = ~is_hidden & (seen == labels)
    hidden, kept, wanted = (
        np.bincount(sequences[which], minlength=size).tolist() for which in (is_hidden, is_kept, np.ones_like(is_kept))
    )
    return [MaskCounts(h, w - h - k, k) for h, k, w in zip(hidden, kept, wanted, strict=True)]


def _add(counts: Sequence[MaskCounts]) -> MaskCounts:
    return MaskCounts(*(sum(getattr(each, name) for each in counts) for name in ("hidden", "replaced", "kept")))


def _describe(each: MicroBatch) -> str:
    groups = [f"{length} x {times}" for length, times in Counter(each.lengths).items()]
    shown = ", ".join(groups if len(groups) <= 6 else [*groups[:3], "...", *groups[-2:]])
    text = f"{each.tokens:,} tokens, lengths {shown}"
    if each.masks is None:
        return text
    return f"{text}; {each.masks} ({format_share(each.masks.total / max(1, each.tokens))})"
