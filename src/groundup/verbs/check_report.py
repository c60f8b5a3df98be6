"""The report of `check`, as data and as text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

from groundup.training.log import format_seconds
from groundup.verbs.check_data import Lengths, Split, name_files
from groundup.verbs.check_step import DesignReport, StepReport
from groundup.verbs.layout import (
    DATA_KINDS,
    bar,
    clip,
    columns,
    entry,
    fold,
    format_bytes,
    format_count,
    format_share,
    plural,
)

_MOST_LABELS = 20


@dataclass(frozen=True)
class TokenizerFigures:
    """The tokenizer on the training text."""

    kind: str
    vocab_size: int
    origin: str
    """Where it comes from: loaded, kept in the run folder, or trained in memory."""
    is_final: bool
    """False: it was trained on a sample here, and the run's own will differ a little."""
    num_characters: int
    """Its entries that are a single character."""
    characters_per_token: float
    unknown_share: float
    """Of all tokens of the sample."""


@dataclass(frozen=True)
class Baseline:
    """What always answering the most frequent label of the training data would reach."""

    label: str
    accuracy: float
    split: str


@dataclass(frozen=True)
class Plan:
    """How long the run is."""

    sequences: int
    """Of the training data; an estimate where a corpus was read in part."""
    is_estimate: bool
    steps_per_epoch: int
    steps: int
    epochs: float
    validations: int
    seconds: float | None
    """A rough figure for this machine; None where no step was taken."""


@dataclass(frozen=True)
class CheckReport:
    """What is known of a run before it starts."""

    recipe: str
    output: str
    output_state: str
    data_kind: str
    objective: str
    labels: tuple[str, ...] | None
    splits: tuple[Split, ...]
    baseline: Baseline | None
    tokenizer: TokenizerFigures
    lengths: Lengths
    design: DesignReport
    weights: tuple[str, ...]
    """Of a pretrained model: what is not used of it, and what is fresh."""
    step: StepReport | None
    """None where it does not fit into memory."""
    plan: Plan
    warnings: tuple[str, ...]

    @property
    def counts_entities(self) -> bool:
        """Whether what is counted of each label are entities, not rows."""
        return self.objective in ("tagging", "span_classification")

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        return asdict(self)

    def __str__(self) -> str:
        parts = (self._show_data(), self._show_labels(), self._show_lengths(), self._show_run(), self._show_warnings())
        return "\n\n".join("\n".join(part) for part in (list(part) for part in parts) if part)

    def _show_data(self) -> Iterator[str]:
        yield f"{self.recipe}: {self.objective} on {DATA_KINDS[self.data_kind]}"
        yield from entry("output", f"{self.output} ({self.output_state})")
        for split in self.splits:
            unit = "rows" if split.label_counts is not None else "documents"
            size = f"{split.count:,} {unit}, {format_count(split.characters)} characters"
            if split.share_read < 1:
                size += f" in the {format_share(split.share_read)} that was read"
            yield from entry(split.name, f"{size}: {name_files(split.files)}")
            if split.notes:
                yield from entry("", "; ".join(split.notes))
        figures = self.tokenizer
        text = f"{figures.kind}, {figures.vocab_size:,} entries, {figures.origin}; "
        text += f"{figures.characters_per_token:.2f} characters a token, {format_share(figures.unknown_share)} unknown"
        yield from entry("tokenizer", text)

    def _show_labels(self) -> Iterator[str]:
        if self.labels is None:
            return
        rows = [("type" if self.counts_entities else "label", *(split.name for split in self.splits))]
        for label in self.labels[:_MOST_LABELS]:
            rows.append((clip(label, 30), *(_label_cell(split, label, self.objective) for split in self.splits)))
        yield from columns(rows, "l" + "r" * len(self.splits), indent=0)
        if len(self.labels) > _MOST_LABELS:
            yield f"... and {len(self.labels) - _MOST_LABELS} {'types' if self.counts_entities else 'labels'} more"
        if self.baseline is not None:
            name, figure = clip(self.baseline.label, 30), self.baseline.accuracy
            yield f"always answering {name!r} is right on {format_share(figure)} of {self.baseline.split}"

    def _show_lengths(self) -> Iterator[str]:
        lengths = self.lengths
        yield f"sequences of train by length in tokens (objective.max_length {lengths.limit})"
        most = max(count for _, _, count in lengths.bins)
        rows = [
            (
                f"{low}" if low == high else f"{low} or more" if high is None else f"{low} to {high}",
                f"{count:,}",
                bar(count / most, 40),
            )
            for low, high, count in lengths.bins
        ]
        yield from columns(rows, "rrl")
        shares = ", ".join(f"{share} up to {length}" for share, length in lengths.quantiles.items())
        yield from fold(f"{shares}, the longest {lengths.longest}")
        yield from fold(self._say_what_is_lost())

    def _say_what_is_lost(self) -> str:
        lengths, is_table = self.lengths, self.data_kind != "corpus"
        if not lengths.num_cut:
            return "nothing is cut" if is_table else "every token is in a window"
        share = format_share(lengths.tokens_lost / max(1, lengths.tokens))
        if is_table:
            rows = format_share(lengths.num_cut / lengths.count)
            return f"{lengths.num_cut:,} rows ({rows}) are cut and lose {lengths.tokens_lost:,} tokens ({share} of all)"
        return (
            f"documents are laid out in windows of that length; ends and documents shorter than data.min_length are "
            f"left out: {share} of the tokens"
        )

    def _show_run(self) -> Iterator[str]:
        design, plan = self.design, self.plan
        yield from entry(
            "model",
            f"{design.num_parameters:,} parameters: {design.num_layers} layers of {design.hidden_size}, "
            f"{design.num_heads} heads, vocabulary {design.vocab_size:,}, {design.max_length} positions",
        )
        parts = ", ".join(f"{name} {format_count(size)}" for name, size in design.parameters.items() if size)
        yield from entry("", parts.replace("feed_forward", "feed-forward"))
        for note in self.weights:
            yield from entry("", clip(note, 68))
        memory = ", ".join(f"{name} {format_bytes(size)}" for name, size in design.memory.items())
        free = "" if design.available_memory is None else f"; {format_bytes(design.available_memory)} are free"
        yield from entry("memory", f"about {format_bytes(design.total_memory)}: {memory}{free}")
        yield from self._show_step()
        about = "about " if plan.is_estimate else ""
        validations = plural(plan.validations, "validation") if plan.validations else "no validation"
        sequences = f"{about}{plural(plan.sequences, 'sequence')}"
        epochs = "1 epoch" if plan.epochs == 1 else f"{plan.epochs:.2g} epochs"
        text = f"{plural(plan.steps, 'step')} = {epochs} of {sequences}, {validations}"
        yield from entry("run", text if plan.seconds is None else f"{text}: about {format_seconds(plan.seconds)} here")

    def _show_step(self) -> Iterator[str]:
        step = self.step
        if step is None:
            yield from entry("step", "not taken: it does not fit into memory")
            return
        cut = plural(step.micro_batches, "micro-batch", "es")
        place = step.device if step.threads is None else f"{step.device}, {plural(step.threads, 'thread')}"
        counts = ((step.sequences, "sequence"), (step.tokens, "token"), (step.targets, "target"))
        text = f"{', '.join(plural(count, noun) for count, noun in counts)} in {cut} ({place})"
        yield from entry("step", text)
        guess = "always the mean" if self.objective == "regression" else f"guessing evenly among {step.num_choices:,}"
        yield from entry("", f"loss {step.loss:.4f}; {guess} gives {step.expected_loss:.4f}")
        yield from entry(
            "",
            f"{step.tokens * step.seconds_per_token:.3g} s, {1 / step.seconds_per_token:,.0f} tokens/s, "
            f"{format_count(step.flops_per_second, ' ')}FLOP/s",
        )

    def _show_warnings(self) -> Iterator[str]:
        if not self.warnings:
            yield "no warnings: ready to train"
            return
        yield "1 warning" if len(self.warnings) == 1 else f"{len(self.warnings)} warnings"
        for warning in self.warnings:
            yield from fold(warning, first="- ")


def _label_cell(split: Split, label: str, objective: str) -> str:
    counts = split.label_counts or {}
    count, total = counts.get(label, 0), split.count if objective == "multi_label" else sum(counts.values())
    return f"{count:,}  {format_share(count / max(1, total)):>7}"
