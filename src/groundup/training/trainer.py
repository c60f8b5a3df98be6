"""The one loop: pretraining and fine-tuning differ only in the objective they hand it."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType, MappingProxyType
from typing import Final

import torch

from groundup.checkpoint.store import Store, Tree
from groundup.errors import TrainingError
from groundup.figures import format_figure
from groundup.metrics.metric import Metric, rank
from groundup.model.transformer import Transformer
from groundup.objectives.protocol import Batch, Objective, Sourced
from groundup.optim.schedule import ScheduleConfig
from groundup.text.pack import Planner, StepPlan
from groundup.text.sample import Samples
from groundup.training.config import TrainConfig
from groundup.training.evaluate import evaluate
from groundup.training.log import Log, write_whole
from groundup.training.machine import catch_signals, restore_signals
from groundup.training.resume import check_best, check_data
from groundup.training.state import Progress, State, check_domain, exactness_domain
from groundup.training.step import StepOutcome, compute_gradient, prepare_step

FURTHER: Final = ("loss", "perplexity", "accuracy")
"""The metrics that are told of what is measured beside the validation data."""


@dataclass(frozen=True)
class Outcome:
    """How a run ended. A run that was asked to stop is not finished and continues when it is started again."""

    progress: Progress
    total_steps: int
    is_finished: bool
    stopped_by: int | None = None
    """The signal that stopped it before its end."""


class Trainer:
    """Walks a model through its steps and leaves checkpoints, metrics and, where a step goes wrong, its batch."""

    def __init__(
        self,
        *,
        model: Transformer,
        objective: Objective,
        samples: Samples,
        planner: Planner,
        validation: Samples | None,
        further: Mapping[str, Samples] = MappingProxyType({}),
        optimizer: torch.optim.Optimizer,
        schedule: ScheduleConfig,
        settings: TrainConfig,
        seed: int,
        folder: Path,
        recipe: Mapping[str, object],
        quiet: bool = False,
    ) -> None:
        """Put a run together; nothing heavy happens yet.

        Args:
            model: on the device it trains on.
            objective: what it learns.
            samples: what it learns from.
            planner: which of them at which step.
            validation: what it is judged on; None for no validation.
            further: what is measured beside it, by names.
            optimizer: over the parameters of `model`; its learning rates are the peaks of the schedule.
            schedule: the learning rate's factor by step.
            settings: the recipe's section `train`.
            seed: of order, corruption and dropout.
            folder: the run folder, which exists.
            recipe: as plain JSON, stored with every checkpoint.
            quiet: print nothing.
        """
        self.model, self.objective, self.settings, self.seed = model, objective, settings, seed
        self.samples, self.validation, self.schedule = samples, validation, schedule
        self.folder, self.recipe, self.quiet = folder, dict(recipe), quiet
        self.device = next(model.parameters()).device
        self.planner, self.further = planner, dict(further)
        self.total_steps = count_steps(settings, planner)
        self.store = Store(folder / "checkpoints")
        self.state = State(model, optimizer, Progress())
        self._peaks = [group["lr"] for group in optimizer.param_groups]
        self._stop_signal: int | None = None

    def run(self, *, accept_inexact: bool = False) -> Outcome:
        """Train to the end, from the newest checkpoint where the folder has one."""
        different = self._resume(accept_inexact)
        try:
            return self._run(different)
        except BrokenPipeError:
            raise  # nobody reads what is printed any more
        except OSError as error:
            where = str(error.filename or self.folder)
            cure = "start the same command again, and it continues from its last checkpoint"
            raise TrainingError(where, f"cannot be read or written ({error.strerror or error})", cure=cure) from error

    def _run(self, different: list[str]) -> Outcome:
        progress = self.state.progress
        log = Log(self.folder, step=progress.step, total_steps=self.total_steps, quiet=self.quiet)
        previous = catch_signals(self._ask_to_stop)
        ahead = ThreadPoolExecutor(max_workers=1) if self.device.type == "cuda" else None
        try:
            if progress.step:
                log.say(f"continuing after step {progress.step} of {self.total_steps}")
            for difference in different:
                log.say(f"not exact from here on: {difference}")
            self._loop(log, ahead)
        finally:
            if ahead is not None:
                ahead.shutdown(cancel_futures=True)
            restore_signals(previous)
            log.close()
        finished = progress.step >= self.total_steps or progress.stopped_early
        return Outcome(progress, self.total_steps, finished, None if finished else self._stop_signal)

    def _loop(self, log: Log, ahead: ThreadPoolExecutor | None) -> None:
        progress = self.state.progress
        self.model.train()
        window_start, window_tokens, window_waiting = time.perf_counter(), 0, 0.0
        started, first_step = window_start, progress.step
        prepared = self._prepare(self.planner.plan(progress.step), ahead)
        while progress.step < self.total_steps and not progress.stopped_early:
            asked = time.perf_counter()
            plan, batches = self.planner.plan(progress.step), prepared()
            window_waiting += time.perf_counter() - asked
            if progress.step + 1 < self.total_steps:
                prepared = self._prepare(self.planner.plan(progress.step + 1), ahead)
            outcome = self._take_step(plan, batches, log)
            window_tokens += outcome.tokens
            now = time.perf_counter()
            left = (now - started) / (progress.step - first_step) * (self.total_steps - progress.step)
            if progress.step % self.settings.log_every == 0 or progress.step == self.total_steps:
                seconds = now - window_start
                progress.seconds += seconds
                self._log_window(log, plan, outcome, window_tokens / seconds, window_waiting / seconds, left)
                window_start, window_tokens, window_waiting = time.perf_counter(), 0, 0.0
            is_new_best = self._evaluate(log) if self._is_due(self.settings.evaluate_every, plan.epoch) else False
            at_end = progress.step == self.total_steps or progress.stopped_early
            every, stop_signal = self.settings.save_every, self._stop_signal  # once: it may arrive at any instant
            if is_new_best or at_end or stop_signal or (every and progress.step % every == 0):
                self._save(log)
            if stop_signal and not at_end:
                log.say(f"stopped by signal {stop_signal} after step {progress.step}; start again to continue")
                return

    def _take_step(self, plan: StepPlan, batches: list[Batch], log: Log) -> StepOutcome:
        progress, optimizer = self.state.progress, self.state.optimizer
        factor = self.schedule.factor(plan.step, self.total_steps)
        for group, peak in zip(optimizer.param_groups, self._peaks, strict=True):
            group["lr"] = peak * factor
        outcome = compute_gradient(
            self.model,
            self.objective,
            batches,
            step=plan.step,
            seed=self.seed,
            device=self.device,
            precision=self.settings.precision,
            clip_norm=self.settings.clip_norm,
        )
        if outcome.is_finite:
            optimizer.step()
            progress.window_loss += outcome.loss
            progress.window_count += outcome.count
            progress.skipped_in_a_row = 0
        else:
            self._report_bad_step(plan, batches, outcome, log)
        optimizer.zero_grad(set_to_none=True)
        progress.step += 1
        progress.tokens += outcome.tokens
        progress.targets += outcome.count
        return outcome

    def _report_bad_step(self, plan: StepPlan, batches: list[Batch], outcome: StepOutcome, log: Log) -> None:
        """Show a loss that is not finite and write its batch out; stop unless the recipe says to skip it."""
        progress = self.state.progress
        path = self.folder / "bad_batches" / f"step-{plan.step + 1}.json"
        path.parent.mkdir(exist_ok=True)
        description = [
            {
                "samples": batches[number].samples.tolist(),
                "input_ids": [ids.tolist() for ids in batches[number].packed.split()],
                "text": self.objective.show(batches[number]),
            }
            for number in outcome.bad_batches
        ]
        figures = {"loss": str(outcome.loss / outcome.count), "grad_norm": str(outcome.grad_norm)}
        content = {"step": plan.step + 1, **figures, "micro_batches": description}
        write_whole(path, json.dumps(content, ensure_ascii=False, indent=1).encode())
        progress.skipped += 1
        progress.skipped_in_a_row += 1
        log.event(plan.step + 1, "bad_step", {**figures, "batch": str(path.relative_to(self.folder))})
        message = f"loss {figures['loss']}, gradient norm {figures['grad_norm']}; the batch is in {path}"
        if self.settings.on_nonfinite == "stop":
            raise TrainingError(
                f"step {plan.step + 1}",
                f"is not finite: {message}",
                cure="lower optimizer.learning_rate, or set train.on_nonfinite=skip",
            )
        if progress.skipped_in_a_row >= self.settings.max_skipped_in_a_row:
            raise TrainingError(f"step {plan.step + 1}", f"{progress.skipped_in_a_row} bad steps in a row: {message}")
        log.say(f"step {plan.step + 1} skipped: {message}")

    def _log_window(
        self, log: Log, plan: StepPlan, outcome: StepOutcome, rate: float, waiting: float, left: float
    ) -> None:
        """A line of the log; `waiting` is the share of the time that went into planning, packing and corrupting."""
        progress = self.state.progress
        if progress.window_count == 0:
            return
        loss = progress.window_loss / progress.window_count
        learning_rate = self.state.optimizer.param_groups[0]["lr"]
        values = {
            "epoch": plan.epoch,
            "loss": loss,
            "learning_rate": learning_rate,
            "tokens": progress.tokens,
            "targets": progress.targets,
        }
        if outcome.is_finite:
            values["grad_norm"] = outcome.grad_norm
        times = {"seconds": progress.seconds, "tokens_per_second": rate, "data_share": waiting}
        log.train(progress.step, values, times)
        text = f"loss {format_figure(loss)}  lr {learning_rate:.2e}  {rate:,.0f} tokens/s (data {waiting:.1%})"
        log.terminal.progress(progress.step, text, left)
        progress.window_loss, progress.window_count = 0.0, 0

    def _evaluate(self, log: Log) -> bool:
        """Validate; whether the score is a new best."""
        progress, started = self.state.progress, time.perf_counter()
        if self.validation is None:
            return False
        metrics = self._measure(self.validation)
        for name, samples in self.further.items():
            found = self._measure(samples)
            metrics |= {
                f"{each}[{name}]": replace(found[each], name=f"{each}[{name}]") for each in FURTHER if each in found
            }
        is_finite = all(math.isfinite(metric.value) for metric in metrics.values())
        if is_finite:
            log.evaluation(progress.step, metrics, {"seconds": time.perf_counter() - started})
        else:
            self._report_bad_validation(metrics, log)
        name, larger_is_better = self.objective.best
        found = list(rank(metrics, name, is_larger_better=larger_is_better)) if is_finite else None
        best = progress.best_rank
        is_better = found is not None and (best is None or found > best)
        if found is not None and (best is None or found[0] > best[0]):
            progress.evaluations_without_gain = 0
        else:
            progress.evaluations_without_gain += 1
            patience = self.settings.patience
            progress.stopped_early = patience is not None and progress.evaluations_without_gain >= patience
        if is_better:
            progress.best_rank, progress.best_step = found, progress.step
        figures = "  ".join(f"{each} {format_figure(metric.value)}" for each, metric in metrics.items())
        log.say(f"step {progress.step}: validation {figures}{'  (best so far)' if is_better else ''}")
        if progress.stopped_early:
            log.say(f"no better {name} in {progress.evaluations_without_gain} validations: stopping early")
        return is_better

    def _measure(self, samples: Samples) -> dict[str, Metric]:
        return evaluate(
            self.model,
            self.objective,
            samples,
            device=self.device,
            precision=self.settings.precision,
            max_tokens=self.settings.micro_batch_tokens,
        )

    def _report_bad_validation(self, metrics: Mapping[str, Metric], log: Log) -> None:
        """Show figures that are not finite; stop unless the recipe says to skip: then it is no gain, never the best."""
        step, figures = self.state.progress.step, {name: str(metric.value) for name, metric in metrics.items()}
        log.event(step, "bad_validation", {"metrics": figures})
        if self.settings.on_nonfinite == "stop":
            raise TrainingError(
                f"step {step}",
                f"the validation after it is not finite: {', '.join(f'{n} {value}' for n, value in figures.items())}",
                cure="lower optimizer.learning_rate, or set train.on_nonfinite=skip",
            )

    def _is_due(self, every: int | None, epoch: int) -> bool:
        """Whether the step just done is one to validate after: every so many, at the end of an epoch, at the end."""
        step = self.state.progress.step
        if step == self.total_steps:
            return True
        return step % every == 0 if every else step == (epoch + 1) * self.planner.steps_per_epoch

    def _save(self, log: Log) -> None:
        progress = self.state.progress
        log.sync()
        self.store.save(progress.step, self._tree())
        self._prune()

    def _prune(self) -> None:
        best = self.state.progress.best_step
        self.store.prune(self.settings.keep_last, [] if best is None else [best])

    def _tree(self) -> Tree:
        return {
            **self.state.to_tree(),
            "recipe": self.recipe,
            "data": self._digests(),
            "domain": exactness_domain(self.device, self.settings.precision),
        }

    def _digests(self) -> dict[str, str | None]:
        """Of all that decides what a step sees, beside the recipe."""
        sources = self.objective.sources if isinstance(self.objective, Sourced) else {}
        validation = None if self.validation is None else self.validation.digest
        further = {f"validation[{name}]": samples.digest for name, samples in self.further.items()}
        return {"train": self.samples.digest, "validation": validation, **further, **sources}

    def _resume(self, accept_inexact: bool) -> list[str]:
        """Take over the newest checkpoint after checking that it is of this run; what differs of the machine."""
        self.store.clean()
        if not self.store.steps():
            return []
        tree = self.store.load()
        domain = exactness_domain(self.device, self.settings.precision)
        different = check_domain(tree["domain"], domain, accept_inexact=accept_inexact)
        check_data(tree, self._digests())
        check_best(self.folder, tree)
        self.state.load_tree(tree)
        self._prune()  # a kill between a save and its pruning left one too many
        return different

    def _prepare(self, plan: StepPlan, ahead: ThreadPoolExecutor | None) -> _Prepared:
        arguments = (self.objective, self.samples, plan, self.seed, self.total_steps)
        return _Prepared(None if ahead is None else ahead.submit(prepare_step, *arguments), arguments)

    def _ask_to_stop(self, number: int, frame: FrameType | None) -> None:
        self._stop_signal = number


@dataclass(frozen=True)
class _Prepared:
    """The batches of a step: being prepared in a thread while a GPU computes, or prepared when asked for."""

    future: Future[list[Batch]] | None
    arguments: tuple[Objective, Samples, StepPlan, int, int]

    def __call__(self) -> list[Batch]:
        return prepare_step(*self.arguments) if self.future is None else self.future.result()


def count_steps(settings: TrainConfig, planner: Planner) -> int:
    """Steps of the whole run."""
    if settings.steps is not None:
        return settings.steps
    return max(1, round((settings.epochs or 0.0) * planner.steps_per_epoch))
