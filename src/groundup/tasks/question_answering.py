"""Extractive question answering: the answer is a span of a passage, or there is none (Devlin et al. 2018, 4.2, 4.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from jaxtyping import Float
from pydantic import PositiveInt
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from groundup.config import Config
from groundup.errors import ConfigError, DataError
from groundup.metrics.answers import (
    Rule,
    answer_tallies,
    knows_none,
    score_answers,
)
from groundup.metrics.details import Details, Marked
from groundup.metrics.metric import Metric
from groundup.metrics.tally import mean_tally
from groundup.metrics.tally import measure as measure_tallies
from groundup.metrics.threshold import EVEN
from groundup.model.config import SpanHead
from groundup.model.transformer import Transformer
from groundup.objectives.packing import pack_samples
from groundup.objectives.protocol import Batch, Constant, Loss
from groundup.readers.examples import QuestionExample
from groundup.tasks.answer_parts import find_thresholds, mark_answer, split_questions
from groundup.tasks.answer_samples import Reading, encode_questions
from groundup.tasks.answer_spans import Found, find_window_spans, measured_spans, merge_windows
from groundup.tasks.passage_answers import AskedQuestion, PassageAnswers
from groundup.text.sample import UNLABELLED, FlatSamples, Sample
from groundup.text.tokenizer import Tokenizer


class QuestionAnswering(Config):
    """Find the answer to a question in a passage."""

    data_kinds: ClassVar[tuple[str, ...]] = ("questions",)
    needs_label: ClassVar[bool] = True
    kind: Literal["question_answering"] = "question_answering"
    max_length: PositiveInt = 384
    """The most tokens of a question and a window of its passage, special tokens included."""
    stride: PositiveInt = 128
    """How many tokens of the passage each window starts behind the one before it."""
    max_question_length: PositiveInt = 64
    """The most tokens of a question; what is longer is cut and counted."""
    max_answer_length: PositiveInt = 64
    """The most tokens of an answer that is given."""
    no_answer: bool = False
    """Whether a question may have no answer in its passage, as in SQuAD 2.0."""
    n_best: PositiveInt = 10
    """How many answers to a question are kept, the best among them."""
    rule: Rule | None = None
    """Whose exact match and F1: `squad1.1`, `squad2.0` (knows of no answer), `cmrc2018` (Chinese) or `cmrc2018+none`;
    null takes that of the answers' language."""
    repair: bool = False
    """Whether an answer that does not stand where it is said to is looked for: in another unit, or where its text
    stands once. Others are not learnt from, only scored by. Without it such an answer is an error."""

    @classmethod
    def fitting(cls, max_length: int) -> Self:
        """The defaults for a model that reads so many tokens, which may be few."""
        usual = {name: cls.model_fields[name].default for name in ("max_length", "stride", "max_question_length")}
        length = min(max_length, usual["max_length"])
        return cls(
            max_length=length,
            stride=min(usual["stride"], max(1, length // 3)),
            max_question_length=min(usual["max_question_length"], max(1, length // 6)),
        )

    def choose_labels(self, examples: Sequence[QuestionExample], where: str) -> tuple[str, ...]:
        """None: spans have no classes."""
        return ()

    def build(self, tokenizer: Tokenizer, labels: Sequence[str]) -> AnsweringTask:
        """The task with this tokenizer."""
        if labels:
            raise ConfigError("labels", "must be none for answers in passages", got=labels)
        if self.rule is not None and self.no_answer and not knows_none(self.rule):
            cure = f"choose {'cmrc2018+none' if self.rule == 'cmrc2018' else 'squad2.0'}"
            raise ConfigError("objective.rule", "knows no question without answer", got=self.rule, cure=cure)
        special = sum(map(len, tokenizer.pair_parts))
        room = self.max_length - self.max_question_length - special
        if room < self.stride:
            what = f"leaves {max(room, 0)} tokens of a passage beside the longest question, fewer than objective.stride"
            least = self.stride + self.max_question_length + special
            cure = f"raise it to {least}, or lower objective.stride or objective.max_question_length"
            raise ConfigError("objective.max_length", what, got=self.max_length, cure=cure)
        return AnsweringTask(self, tokenizer, self.make_head(()))

    def make_head(self, labels: Sequence[str]) -> SpanHead:
        """A start and an end logit for every token."""
        return SpanHead()


@dataclass(frozen=True)
class AnsweringTask:
    """Windows, loss, answers and metrics of `QuestionAnswering`."""

    config: QuestionAnswering
    tokenizer: Tokenizer
    head: SpanHead
    best: tuple[str, bool] = ("f1", True)
    labels: tuple[str, ...] = ()
    wants_pair: bool | None = True
    threshold: float | None = None
    """No answer is given where its probability lies above this; None until it was chosen on validation (`tune`)."""

    def guess_loss(self, vocab_size: int, lengths: Sequence[int]) -> float:
        """Of guessing evenly among the tokens of each window."""
        return float(np.log(lengths).mean())

    def score_constant(self, samples: FlatSamples) -> Constant | None:
        """Of never giving an answer, in percent; None where every question has one."""
        if not self.config.no_answer:
            return None
        known = [example.answers for example in samples.examples if example.answers is not None]
        return Constant(100.0 * sum(not answers for answers in known) / max(1, len(known)), "no answer")

    @property
    def facts(self) -> dict[str, object]:
        """The threshold."""
        return {"threshold": self.threshold}

    def restore(self, facts: Mapping[str, Any]) -> Self:
        """The task with the threshold of another one; with an even one where that had no data to choose it on."""
        is_open = self.config.no_answer and facts["threshold"] is None
        return replace(self, threshold=EVEN if is_open else facts["threshold"])

    def tune(self, measured: Mapping[str, np.ndarray], examples: Sequence[object]) -> Self:
        """The task with the threshold that gives the best F1 on these questions, where there may be no answer."""
        if not self.config.no_answer:
            return self
        known, found = self._known(measured, examples)
        return replace(self, threshold=find_thresholds(found, *self._refer(known))["f1"].value)

    def encode(self, examples: Sequence[QuestionExample], where: str) -> FlatSamples:
        """Every window of every question."""
        config = self.config
        reading = Reading(
            max_length=config.max_length,
            stride=config.stride,
            max_question_length=config.max_question_length,
            max_answer_length=config.max_answer_length,
            allows_none=config.no_answer,
            repairs=config.repair,
        )
        return encode_questions(examples, self.tokenizer, reading, where)

    def prepare(self, samples: Sequence[Sample], seed: int, epoch: int) -> Batch:
        """Pack. Windows of questions whose answers are not known have targets UNLABELLED and do not count."""
        targets = {
            name: torch.tensor([int(sample.targets[name]) for sample in samples], dtype=torch.int64)
            for name in ("start", "end", "null", "question")
        }
        for name in ("first", "last"):
            tokens = np.concatenate([sample.targets[name] for sample in samples])
            targets[name] = torch.from_numpy(tokens.astype(np.int64))
        numbers = np.array([sample.index for sample in samples], dtype=np.int64)
        return Batch(pack_samples(samples), targets, int((targets["start"] != UNLABELLED).sum()), numbers)

    def loss(self, model: Transformer, batch: Batch) -> Loss:
        """The mean of the cross-entropies of start and end over a window's tokens, summed over windows."""
        return Loss(_losses(_logits(model, batch), batch).sum(), batch.count)

    def measure(self, model: Transformer, batch: Batch) -> dict[str, np.ndarray]:
        """Of each window: its best spans, the score of no answer, its loss, its question and its sample."""
        logits, targets = _logits(model, batch), batch.targets
        spans = find_window_spans(
            logits,
            batch.packed.lengths,
            targets["first"],
            targets["last"],
            max_answer_length=self.config.max_answer_length,
            most=self.config.n_best,
        )
        null = logits[batch.packed.starts + targets["null"]].sum(dim=1)
        return {
            "span_scores": spans.scores,
            "span_starts": spans.starts,
            "span_ends": spans.ends,
            "null": null.cpu().numpy().astype(np.float64),
            "loss": _losses(logits, batch).cpu().numpy(),
            "is_known": (targets["start"] != UNLABELLED).cpu().numpy(),
            "question": targets["question"].cpu().numpy(),
            "sample": batch.samples,
        }

    def score(self, measured: Mapping[str, np.ndarray], examples: Sequence[object]) -> dict[str, Metric]:
        """`exact`, `f1` (percent, over the questions whose answers are known) and `loss` (nats, over their windows).

        Where there may be no answer also `best_exact`, `best_f1` and `threshold`: the best that a threshold for giving
        none reaches on these questions, as SQuAD 2.0's script computes it, and the one for the best F1. All other
        figures go by the threshold that was chosen on validation; before it was, by that one, and signatures say so.
        """
        known, found = self._known(measured, examples)
        references, rule = self._refer(known)
        how, task = f"spans up to {self.config.max_answer_length} tokens, best of all windows", self
        best = find_thresholds(found, references, rule) if self.config.no_answer else None
        if best is not None:
            limit = best["f1"].value if self.threshold is None else self.threshold
            task, how = replace(self, threshold=limit), f"{how}|no answer above {limit:.6g}"
            how += ", chosen on these questions" if self.threshold is None else ""
        given = [task._text(each) for each in found]
        tallies = answer_tallies(given, references, rule)
        tallies = {name: replace(tally, signature=f"{tally.signature}|{how}") for name, tally in tallies.items()}
        losses = measured["loss"][measured["is_known"]]
        loss = mean_tally(
            "loss", "windows", losses, "mean of start and end cross-entropy, mean over windows", full=None
        )
        metrics = measure_tallies(tallies) | (measure_tallies({"loss": loss}) if len(losses) else {})
        if best is None:
            return metrics
        count, how = len(known), f"{rule}|percent|threshold chosen on these questions|n={len(known)}|v1"
        metrics |= {f"best_{name}": Metric(f"best_{name}", each.score, count, how) for name, each in best.items()}
        how = f"probability of no answer, for the best f1|{how}"
        return metrics | {"threshold": Metric("threshold", best["f1"].value, count, how)}

    def details(self, measured: Mapping[str, np.ndarray], examples: Sequence[object]) -> Details:
        """F1 by what is asked for (`f1[who]`, in both languages), and by the length of the answer in words."""
        known, found = self._known(measured, examples)
        references, rule = self._refer(known)
        task = self if self.threshold is not None else self.tune(measured, examples)
        _, f1 = score_answers([task._text(each) for each in found], references, rule)
        parts = split_questions(known)
        tallies = {
            f"f1[{name}]": mean_tally(f"f1[{name}]", "questions", f1, f"{rule}|percent|{name}", full=100.0, of=chosen)
            for name, chosen in parts.items()
        }
        return Details(measure_tallies(tallies))

    def decode(self, measured: Mapping[str, np.ndarray], examples: Sequence[object]) -> list[Found]:
        """The best answers to every question of which there are windows, in their order, and whether none is given."""
        found = self._find(measured, examples).values()
        return [replace(each, is_none=self.gives_none(each)) for each in found]

    def examples_of(self, rows: Sequence[tuple[str, str | None]]) -> list[QuestionExample]:
        """Pairs of a question and a passage."""
        return [
            QuestionExample(str(number), question, passage or "", None, number)
            for number, (question, passage) in enumerate(rows, start=1)
        ]

    def answer(self, example: QuestionExample, prediction: Found) -> dict[str, object]:
        """The question, its answer with its characters in the passage (null for none), and what else it might be."""
        return self.answers.write(example, prediction)

    @property
    def answers(self) -> PassageAnswers:
        """Answers in passages; the figures are `exact` and `f1` of `score`."""
        return PassageAnswers(self.config.no_answer, self.config.rule)

    def restate(self, example: QuestionExample) -> AskedQuestion:
        """The question with the texts of its answers: of several places in the passage any will do."""
        texts = None if example.answers is None else tuple(answer.text for answer in example.answers)
        return AskedQuestion(example.id, example.question, example.passage, texts)

    def mark(self, example: QuestionExample, prediction: Found) -> Marked | None:
        """The answers and what was given, in the passage; None where no answer is known."""
        if example.answers is None:
            return None
        rule = self._refer([example])[1]
        return mark_answer(example, None if prediction.is_none else prediction.candidates[0], rule)

    def gives_none(self, found: Found) -> bool:
        """Whether no answer is given."""
        return self.config.no_answer and found.no_answer > (EVEN if self.threshold is None else self.threshold)

    def show(self, batch: Batch) -> list[str]:
        """Each window in words, its answer between marks: `[CLS] who ? [SEP] it was 【mary】 . [SEP]`."""
        lines, starts, ends = [], batch.targets["start"].tolist(), batch.targets["end"].tolist()
        for ids, start, end in zip(batch.packed.split(), starts, ends, strict=True):
            tokens = self.tokenizer.tokens(ids.tolist())
            if start != UNLABELLED:
                tokens[start] = f"【{tokens[start]}"
                tokens[end] = f"{tokens[end]}】"
            lines.append(" ".join(tokens))
        return lines

    def _text(self, found: Found) -> str:
        return "" if self.gives_none(found) else found.candidates[0].text

    def _find(self, measured: Mapping[str, np.ndarray], examples: Sequence[object]) -> dict[int, Found]:
        return merge_windows(
            measured["question"],
            measured["null"],
            measured_spans(measured),
            examples,  # type: ignore[arg-type]
            most=self.config.n_best,
            allows_none=self.config.no_answer,
        )

    def _known(
        self, measured: Mapping[str, np.ndarray], examples: Sequence[object]
    ) -> tuple[list[QuestionExample], list[Found]]:
        """The questions whose answers are known, with what was found."""
        pairs = [(examples[number], found) for number, found in self._find(measured, examples).items()]
        pairs = [(example, found) for example, found in pairs if example.answers is not None]  # type: ignore[attr-defined]
        if not pairs:
            cure = "name the column of answers"
            raise DataError("data", "no question has an answer, so there is nothing to score", cure=cure)
        return [example for example, _ in pairs], [found for _, found in pairs]  # type: ignore[misc]

    def _refer(self, known: Sequence[QuestionExample]) -> tuple[list[list[str]], Rule]:
        """The true answers of each question, and by which rule they are scored."""
        return self.answers.refer([self.restate(example) for example in known])


def _logits(model: Transformer, batch: Batch) -> Float[Tensor, "tokens 2"]:
    """Of start and end, in fp32, or float64 where the model is."""
    logits = model.heads["span"](model(batch.packed)[: batch.packed.num_tokens])
    return logits if logits.dtype == torch.float64 else logits.float()


def _losses(logits: Float[Tensor, "tokens 2"], batch: Batch) -> Float[Tensor, " windows"]:
    """Of each window, 0 where its target is not known."""
    rows = pad_sequence(list(logits.split(list(batch.packed.lengths))), batch_first=True, padding_value=float("-inf"))
    both = [
        functional.cross_entropy(rows[..., side], batch.targets[name], ignore_index=UNLABELLED, reduction="none")
        for side, name in enumerate(("start", "end"))
    ]
    return (both[0] + both[1]) / 2
