"""What `check` warns of: nothing that stops a run, all of it worth a look before one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from groundup.optim.schedule import count_warmup_steps
from groundup.recipe import Recipe
from groundup.verbs.check_data import Split
from groundup.verbs.check_report import CheckReport
from groundup.verbs.layout import clip, format_bytes, format_share, plural

_FEW_ROWS = 10


def find_warnings(recipe: Recipe, report: CheckReport) -> Iterator[str]:
    """One sentence or two for each thing to look at."""
    yield from _of_data(report)
    yield from _of_tokenizer(recipe, report)
    yield from _of_labels(report)
    yield from _of_lengths(recipe, report)
    yield from _of_settings(recipe, report)
    yield from _of_step(recipe, report)


def _of_data(report: CheckReport) -> Iterator[str]:
    is_table = report.data_kind != "corpus"
    unit = "row" if is_table else "document"
    for split in report.splits:
        share = split.duplicates / split.count
        if split.duplicates and (is_table or share > 0.01):
            yield f"{split.name} holds {plural(split.duplicates, unit)} ({format_share(share)}) a second time."
        if split.contradictions:
            yield f"Rows of {split.name} that repeat an earlier text with another label: {split.contradictions:,}."
        if split.seen_in_train:
            seen = split.seen_in_train / max(1, split.count - split.duplicates)
            text = f"{plural(split.seen_in_train, 'text')} ({format_share(seen)}) of {split.name} can be found in train"
            yield f"{text}, so its figures will be too good; remove them there." if seen > 0.01 else f"{text}."
        for finding in split.findings:
            rows, what = plural(finding.count, "row"), finding.what.removeprefix("has ")
            verb = "has" if finding.count == 1 else "have"
            yield f"{rows} of {split.name} {verb} {what}; the first: {finding.places[0]}"
        for warning in split.warnings:
            yield f"In {split.name}, {warning}"
        if split.share_read < 1:
            yield f"{_portion(split)}; what stands in the rest is not checked."


def _of_tokenizer(recipe: Recipe, report: CheckReport) -> Iterator[str]:
    figures, config = report.tokenizer, recipe.tokenizer
    is_trained_here = config is not None and config.kind in ("wordpiece", "unigram") and not figures.is_final
    if is_trained_here and figures.num_characters > 0.6 * config.vocab_size:
        yield (
            f"{figures.num_characters:,} of the tokenizer's {config.vocab_size:,} entries are single characters in "
            "a sample alone, and all of the text has more; raise tokenizer.vocab_size."
        )
    if report.tokenizer.unknown_share > 0.005:
        share = format_share(report.tokenizer.unknown_share)
        yield f"{share} of the tokens are unknown to the tokenizer: is it made for this language?"


def _portion(split: Split) -> str:
    return f"Only {format_share(split.share_read)} of {split.name} was read"


def _of_labels(report: CheckReport) -> Iterator[str]:
    one, many, label = ("entity", "entities", "type") if report.counts_entities else ("row", "rows", "label")
    for split in report.splits if report.labels else ():
        counts = split.label_counts or {}
        missing = [label for label in report.labels or () if not counts.get(label)]
        rare = [label for label, count in counts.items() if count < _FEW_ROWS]
        single = sum(count == 1 for count in counts.values())
        if split.name == "train" and len(counts) > 2 and single > len(counts) / 2:
            what = f"{single} of {len(counts)} {label}s of train have a single {one}, so that no other can be judged by"
            yield f"{what} them{': is data.label the right column?' if report.data_kind == 'table' else '.'}"
        if missing:
            yield f"No {one} of {split.name} has the {label} {_name(missing)}."
        if rare and split.name == "train":
            yield f"Fewer than {_FEW_ROWS} {many} of train have the {label} {_name(rare)}."
    baseline = report.baseline
    if baseline is not None and baseline.accuracy > 0.8:
        yield (
            f"The labels are so uneven that always answering {baseline.label!r} is right on "
            f"{format_share(baseline.accuracy)}; look at macro_f1 rather than at accuracy."
        )


def _of_lengths(recipe: Recipe, report: CheckReport) -> Iterator[str]:
    lengths, is_table = report.lengths, report.data_kind != "corpus"
    if is_table and lengths.num_cut > 0.02 * lengths.count:
        yield (
            f"{format_share(lengths.num_cut / lengths.count)} of the rows are cut; objective.max_length="
            f"{lengths.quantiles['90%']} would keep 90% of them whole, {lengths.quantiles['99%']} would keep 99%; "
            f"the model has {report.design.max_length} positions."
        )
    if not is_table and lengths.tokens_lost > 0.05 * lengths.tokens:
        share = format_share(lengths.tokens_lost / lengths.tokens)
        yield f"{share} of the tokens stand in documents or ends too short to use; lower data.min_length."
    if recipe.model.kind == "transformer" and recipe.model.position.kind == "learned":
        used = min(lengths.longest, lengths.limit)
        if used < report.design.max_length // 2:
            yield (
                f"No sequence reaches beyond {used} of the model's {report.design.max_length} learned positions, so "
                "the others stay untrained; lower model.max_length, or use position.kind=rotary."
            )


def _of_settings(recipe: Recipe, report: CheckReport) -> Iterator[str]:
    settings, plan = recipe.train, report.plan
    if not plan.validations:
        yield "There is no validation data, so the last weights are kept, not the best ones."
        if settings.patience is not None:
            yield "train.patience has no effect without validation data."
    elif settings.evaluate_every is not None and settings.evaluate_every > plan.steps:
        yield f"train.evaluate_every={settings.evaluate_every} is more than all steps: only the last is validated."
    if settings.patience is not None and 0 < plan.validations <= settings.patience:
        yield f"train.patience={settings.patience} has no effect: there are only {plan.validations} validations."
    is_long = plan.seconds is not None and plan.seconds > 600
    if settings.save_every is None and is_long:
        yield "train.save_every is null: a run that is killed goes back to its last best step."
    if settings.batch_size > plan.sequences:
        yield f"train.batch_size={settings.batch_size} is more than there are sequences: each step takes all of them."
    warmup = count_warmup_steps(recipe.schedule.warmup, plan.steps)
    if warmup > plan.steps / 2:
        yield f"The warm-up takes {warmup} of {plan.steps} steps."
    needed = (settings.keep_last + 2) * 3 * report.design.memory["weights"]
    folder = Path(report.output)
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free < needed:
        yield f"Checkpoints will take about {format_bytes(needed)}, and {folder} has {format_bytes(free)} left."


def _of_step(recipe: Recipe, report: CheckReport) -> Iterator[str]:
    step, memory = report.step, report.design.available_memory
    if memory is not None and report.design.total_memory > 0.9 * memory:
        yield "Training will hardly fit into memory; lower train.micro_batch_tokens, which changes no result."
    if step is None:
        return
    is_fresh = recipe.model.kind == "transformer" or recipe.objective.kind != "masked"
    # Two views of a text are alike from the start, a batch of numbers need not spread as all of them, and its classes
    # may weigh more than those of others: guessing evenly is no measure of fresh weights there.
    is_measured = recipe.objective.kind not in ("contrastive", "regression")
    is_even = getattr(recipe.objective, "class_weights", None) is None
    if is_fresh and is_measured and is_even and abs(step.loss - step.expected_loss) > 0.15 * step.expected_loss + 0.3:
        yield (
            f"Fresh weights lose {step.loss:.3f} where guessing evenly gives {step.expected_loss:.3f}: "
            "is initializer_range too large?"
        )


def _name(labels: list[str]) -> str:
    shown = ", ".join(repr(clip(label, 20)) for label in labels[:5])
    return shown if len(labels) <= 5 else f"{shown} and {len(labels) - 5} more"
