"""What every member of the unions of objectives and tasks must keep."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np
import pytest
import torch

from groundup.config import parse, to_json
from groundup.language.segment import Jieba
from groundup.model.config import Dropout, Encoder, LearnedPositions, ModelConfig, RelativePositions
from groundup.model.head import LanguageModelHead
from groundup.model.initialize import initialize
from groundup.model.transformer import Transformer
from groundup.objectives.causal import Causal, CausalObjective
from groundup.objectives.contrastive import Contrastive
from groundup.objectives.denoising import Denoising
from groundup.objectives.hybrid import Hybrid
from groundup.objectives.masked import Masked
from groundup.objectives.mix import Mix, MixPart
from groundup.objectives.permuted import Permuted, PermutedObjective
from groundup.objectives.protocol import (
    Batch,
    Indivisible,
    Loss,
    Objective,
    Task,
    balance,
    count_logit_rows,
    find_heads,
)
from groundup.objectives.rate import FallingRate
from groundup.objectives.replaced import Replaced
from groundup.objectives.restoring import RestoringObjective
from groundup.objectives.sentence import Sentence
from groundup.objectives.seq2seq import Seq2Seq, Seq2SeqObjective
from groundup.objectives.span import SpanCorruption
from groundup.readers.examples import Answer, Mark, QuestionExample, SpanExample
from groundup.recipe import AnyObjectiveConfig, ObjectiveChoice, needs_sentences
from groundup.tasks.class_loss import CrossEntropy, Focal
from groundup.tasks.classification import Classification
from groundup.tasks.multi_label import MultiLabel
from groundup.tasks.multiple_choice import MultipleChoice
from groundup.tasks.question_answering import QuestionAnswering
from groundup.tasks.regression import Regression
from groundup.tasks.span_classification import SpanClassification
from groundup.tasks.tagging import Tagging
from groundup.text.pair_windows import PairFrame, PairWindows
from groundup.text.sample import Sample
from groundup.text.sentence_ends import encode_sentences
from groundup.text.tokenizer import Tokenizer, WordPiece, train_tokenizer

TEXTS = [
    "a slow film that finds its feet in the last half hour and does not let go until the very end of it",
    "the acting is fine but the story goes nowhere at all",
    "one of the best films of the year",
    "dull",
    "这部电影节奏很慢但是结尾非常好看值得再看一遍",
    "演员不错可惜故事没有意思",
    "今年最好的电影之一",
    "无聊",
]


@dataclass(frozen=True)
class Member:
    """A member of a union: settings that are not its defaults, and how to build it."""

    config: AnyObjectiveConfig
    build: Callable[[AnyObjectiveConfig, Tokenizer], Objective]
    is_random: bool
    """Whether it corrupts its samples, so that every pass differs."""
    is_even: bool = False
    """Whether every sample has as many targets as any other."""


TAGS = ("O", "B-A", "B-B", "I-A", "I-B")

MEMBERS = {
    "seq2seq": Member(
        Seq2Seq(max_length=64, max_target_length=60, start="[SEP]"),
        lambda config, tokenizer: config.build(tokenizer),
        False,
    ),
    "causal": Member(Causal(max_length=64, separator=" -> "), lambda config, tokenizer: config.build(tokenizer), False),
    "causal prefix": Member(
        Causal(max_length=64, prefix=True), lambda config, tokenizer: config.build(tokenizer), True
    ),
    "masked": Member(
        Masked(rate=0.3, mask=0.7, random=0.2, keep=0.1), lambda config, tokenizer: config.build(tokenizer), True
    ),
    "masked words": Member(
        Masked(rate=0.3, unit="word", segmenter=Jieba()), lambda config, tokenizer: config.build(tokenizer), True
    ),
    "masked spans": Member(
        Masked(rate=FallingRate(start=0.5, end=0.3), unit="span", segmenter=Jieba()),
        lambda config, tokenizer: config.build(tokenizer),
        True,
    ),
    "permuted": Member(Permuted(rate=0.3, longest_span=3), lambda config, tokenizer: config.build(tokenizer), True),
    "permuted segments": Member(
        Permuted(rate=0.4, unit="word", segmenter=Jieba(), segment_length=7, memory_length=9),
        lambda config, tokenizer: config.build(tokenizer),
        True,
    ),
    "sentence": Member(Sentence(max_length=48), lambda config, tokenizer: config.build(tokenizer), True, is_even=True),
    "sentence order": Member(
        Sentence(form="order"), lambda config, tokenizer: config.build(tokenizer), True, is_even=True
    ),
    "contrastive": Member(
        Contrastive(temperature=0.2, pooling="mean"), lambda config, tokenizer: config.build(tokenizer), False
    ),
    "span": Member(
        SpanCorruption(rate=0.3, num_sentinels=20),
        lambda config, tokenizer: config.build(config.extend(tokenizer)),
        True,
    ),
    "gap sentences": Member(
        SpanCorruption(rate=0.4, hide="sentence"),
        lambda config, tokenizer: config.build(config.extend(tokenizer)),
        True,
    ),
    "denoising": Member(Denoising(rate=0.2), lambda config, tokenizer: config.build(tokenizer), True),
    "infilling": Member(
        Denoising(rate=0.2, shuffle=False, segmenter=Jieba()), lambda config, tokenizer: config.build(tokenizer), True
    ),
    "hybrid": Member(
        Hybrid(causal_share=0.4, masking=Masked(rate=0.3)), lambda config, tokenizer: config.build(tokenizer), True
    ),
    "replaced": Member(
        Replaced(generator_size=0.5, weight=3.0, masking=Masked(rate=0.3, mask=1.0, random=0.0, keep=0.0)),
        lambda config, tokenizer: config.build(tokenizer),
        True,
    ),
    "mix": Member(
        Mix(
            parts=(
                MixPart(weight=0.75, objective=Masked(rate=0.3)),
                MixPart(weight=0.25, objective=Sentence(form="order")),
            )
        ),
        lambda config, tokenizer: config.build(tokenizer),
        True,
    ),
    "classification": Member(
        Classification(labels=("a", "b", "c"), dropout=0.2, average="weighted"),
        lambda config, tokenizer: config.build(tokenizer, ("a", "b", "c")),
        False,
    ),
    "multi_label": Member(
        MultiLabel(labels=("a", "b", "c"), threshold=0.4, loss=CrossEntropy(smoothing=0.1)),
        lambda config, tokenizer: config.build(tokenizer, ("a", "b", "c")),
        False,
    ),
    "multi_label focal": Member(
        MultiLabel(loss=Focal(), class_weights={"b": 3.0}, threshold="per_label", best="macro_f1"),
        lambda config, tokenizer: config.build(tokenizer, ("a", "b", "c")),
        False,
    ),
    "multiple_choice": Member(
        MultipleChoice(dropout=0.2), lambda config, tokenizer: config.build(tokenizer, ()), False
    ),
    "regression": Member(
        Regression(dropout=0.2, best="spearman"),
        lambda config, tokenizer: replace(config.build(tokenizer, ()), center=2.0, scale=3.0, unit=1.5),
        False,
    ),
    "focal classification": Member(
        Classification(loss=Focal(gamma=1.5), class_weights={"b": 3.0}, best="macro_f1"),
        lambda config, tokenizer: config.build(tokenizer, ("a", "b", "c")),
        False,
    ),
    "tagging": Member(Tagging(max_length=96), lambda config, tokenizer: config.build(tokenizer, TAGS), False),
    "tagging chain": Member(
        Tagging(max_length=96, chain=True), lambda config, tokenizer: config.build(tokenizer, TAGS), False
    ),
    "span_classification": Member(
        SpanClassification(max_length=96, max_span=6, size=20),
        lambda config, tokenizer: config.build(tokenizer, ("A", "B")),
        False,
    ),
    "question_answering": Member(
        QuestionAnswering(max_length=96, stride=16, max_answer_length=9, n_best=3),
        lambda config, tokenizer: config.build(tokenizer, ()),
        False,
    ),
}

TASKS = {
    "classification",
    "multi_label",
    "multiple_choice",
    "question_answering",
    "regression",
    "span_classification",
    "tagging",
}


QUESTIONS = [
    QuestionExample(str(number), "what film" if number < 4 else "什么电影", text, answers, number)
    for number, (text, answers) in enumerate(
        (text, None if number % 4 == 3 else (Answer(text[start : start + 4], start),))
        for number, (text, start) in enumerate(zip(TEXTS, (2, 4, 0, 0, 2, 3, 4, 0), strict=True))
    )
]
"""On texts that are read in one window each; some without answers."""

TAGGED = [
    SpanExample(text, None if number % 4 == 3 else (Mark(0, size, "AB"[number % 2]),), 1)
    for number, (text, size) in enumerate(zip(TEXTS, (1, 3, 3, 4, 1, 1, 1, 1), strict=True))
]
"""The first word of each text, or its first character, as an entity; some where nothing is known."""

DOCUMENTS = [
    f"The {first}. The {second}. The {first}, but {second}."
    for first, second in zip(TEXTS[:4], TEXTS[3::-1], strict=True)
]
DOCUMENTS += [f"{first}。{second}！{second}，{first}。" for first, second in zip(TEXTS[4:], TEXTS[:3:-1], strict=True)]


@pytest.fixture(params=sorted(MEMBERS))
def member(request: pytest.FixtureRequest) -> Member:
    return MEMBERS[request.param]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer(WordPiece(vocab_size=400, min_frequency=1, character_coverage=1.0), TEXTS * 3)


@pytest.fixture
def objective(member: Member, tokenizer: Tokenizer) -> Objective:
    return member.build(member.config, tokenizer)


@pytest.fixture
def samples(member: Member, objective: Objective, tokenizer: Tokenizer) -> list[Sample]:
    if isinstance(member.config, QuestionAnswering):
        encoded = objective.encode(QUESTIONS, "questions")
        return [encoded[number] for number in range(len(encoded))]
    if isinstance(member.config, Tagging | SpanClassification):
        encoded = objective.encode(TAGGED, "tagged")
        return [encoded[number] for number in range(len(encoded))]
    if needs_sentences(member.config):
        return make_runs(tokenizer)
    return make_samples(tokenizer)


def make_runs(tokenizer: Tokenizer) -> list[Sample]:
    """Runs of sentences of documents in both languages."""
    texts, ends = encode_sentences(tokenizer, DOCUMENTS)
    ids = np.concatenate(texts)
    frame = PairFrame.of(tokenizer, needs_others=True)
    windows = PairWindows(np.cumsum([len(text) for text in texts]), ends, frame, 128, 4)
    assert len(windows) == len(DOCUMENTS)
    return [windows.take(index, lambda start, end: ids[start:end].copy()) for index in range(len(windows))]


def make_samples(tokenizer: Tokenizer) -> list[Sample]:
    encoded = tokenizer.encode_batch(TEXTS)
    labels = [0, 1, 2, None, 0, 2, 1, None]  # rows without a label, so that counts differ between micro-batches
    return [
        Sample(
            number,
            each.input_ids,
            each.token_type_ids,
            label,
            num_context=1 + number % 3,
            targets=make_targets(number, label, len(each.input_ids)),
        )
        for number, (each, label) in enumerate(zip(encoded, labels, strict=True))
    ]


def make_targets(number: int, label: int | None, length: int) -> dict[str, np.ndarray]:
    """What tasks learn of a sample besides its one label."""
    return {
        "has_label": np.array([label == 0, number % 2 == 0, label == 2]),
        "choice": np.arange(length) * 3 // length,
        "is_labelled": np.array(label is not None),
        "number": np.array(number + (label or 0) / 3),
    }


@pytest.fixture
def model(objective: Objective, tokenizer: Tokenizer) -> Transformer:
    """In float64 and without dropout: differences are then those of the objective."""
    config = ModelConfig(
        vocab_size=objective.tokenizer.vocab_size,
        hidden_size=16,
        num_layers=2,
        num_heads=2,
        intermediate_size=32,
        dropout=Dropout(embedding=0.0, attention=0.0, residual=0.0),
        initializer_range=0.2,
        padding_id=None,
        # Every token of these samples is of one type, so that segments would have no gradient.
        position=RelativePositions(segments=False) if isinstance(objective, PermutedObjective) else LearnedPositions(),
        query_stream=isinstance(objective, PermutedObjective),
        causal=isinstance(objective, CausalObjective | Seq2SeqObjective | RestoringObjective),
        encoder=Encoder(num_layers=1) if isinstance(objective, Seq2SeqObjective | RestoringObjective) else None,
        num_token_types=0 if isinstance(objective, CausalObjective | Seq2SeqObjective | RestoringObjective) else 2,
        heads=find_heads(objective),
    )
    model = Transformer(config)
    initialize(model, 0)
    return model.double().eval()


def content(batch: Batch) -> tuple[object, ...]:
    targets = {name: target.tolist() for name, target in batch.targets.items()}
    runs = [batch.packed] if batch.source is None else [batch.packed, batch.source]
    read = [(run.input_ids.tolist(), run.lengths) for run in runs]
    return read, targets, batch.count, batch.samples.tolist()


def gradient(model: Transformer, totals: list[torch.Tensor]) -> torch.Tensor:
    model.zero_grad(set_to_none=True)
    for total in totals:
        total.backward()
    return torch.cat([parameter.grad.flatten() for parameter in model.parameters() if parameter.grad is not None])


def test_members_implement_the_protocols(objective: Objective) -> None:
    assert isinstance(objective, Objective)
    assert isinstance(objective, Task) == (objective.config.kind in TASKS)


def test_settings_survive_json(member: Member) -> None:
    data = to_json(member.config)
    assert data["kind"] == member.config.kind
    assert parse(type(member.config), data) == member.config
    assert to_json(parse(type(member.config), {"kind": member.config.kind})) != data


def test_the_same_key_gives_the_same_batch(member: Member, tokenizer: Tokenizer, samples: list[Sample]) -> None:
    first, second = (member.build(member.config, tokenizer).prepare(samples, seed=3, epoch=1) for _ in range(2))
    assert content(first) == content(second)


def test_every_pass_and_seed_corrupts_anew(member: Member, objective: Objective, samples: list[Sample]) -> None:
    found = [content(objective.prepare(samples, seed, epoch)) for seed, epoch in ((0, 0), (0, 1), (1, 0), (0, -1))]
    assert all((first != second) == member.is_random for i, first in enumerate(found) for second in found[:i])


def test_samples_are_not_changed(objective: Objective, samples: list[Sample]) -> None:
    names = ("input_ids", "token_type_ids", "sentence_ends")
    before = [({name: copy(getattr(sample, name)) for name in names}, sample.label) for sample in samples]
    for sample in samples:
        for name in names:
            if (array := getattr(sample, name)) is not None:
                array.flags.writeable = False  # as memory-mapped shards are
    batch = objective.prepare(samples, seed=0, epoch=0)
    batch.packed.input_ids.zero_()
    for sample, (arrays, label) in zip(samples, before, strict=True):
        for name, array in arrays.items():
            np.testing.assert_array_equal(getattr(sample, name), array)
        assert sample.label == label


def test_micro_batches_change_nothing(
    member: Member, objective: Objective, model: Transformer, samples: list[Sample]
) -> None:
    whole = objective.loss(model, objective.prepare(samples, seed=0, epoch=0))
    if isinstance(objective, Indivisible):
        apart = [objective.loss(model, objective.prepare([sample], seed=0, epoch=0)) for sample in samples]
        assert sum(loss.count for loss in apart) == whole.count
        assert sum(loss.sum.item() for loss in apart) < 0.9 * whole.sum.item(), "or a step could be cut"
        return

    def losses(parts: list[list[Sample]]) -> list[Loss]:
        batches = balance([objective.prepare(part, seed=0, epoch=0) for part in parts])
        return [objective.loss(model, batch) for batch in batches]

    single = losses([[sample] for sample in samples])
    assert sum(loss.count for loss in single) == whole.count
    is_ragged = len({loss.count for loss in single}) > 1
    assert is_ragged != member.is_even, "counts must be ragged for this test to see anything"
    assert sum(loss.sum.item() for loss in single) == pytest.approx(whole.sum.item(), rel=1e-12)
    expected = gradient(model, [whole.sum / whole.count])
    split = [loss.sum / whole.count for loss in losses([[sample] for sample in samples])]
    assert (gradient(model, split) - expected).norm() < 1e-6 * expected.norm()

    uneven = [samples[:1], samples[1:5], samples[5:]]
    found = [objective.loss(model, objective.prepare(part, seed=0, epoch=0)) for part in uneven]
    averaged = gradient(model, [loss.sum / loss.count / len(found) for loss in found])
    assert (averaged - expected).norm() > 1e-2 * expected.norm()


def test_rows_of_logits_are_counted(objective: Objective, model: Transformer, samples: list[Sample]) -> None:
    batch, seen = objective.prepare(samples, seed=0, epoch=0), list[int]()
    for module in model.modules():
        if isinstance(module, LanguageModelHead):
            module.register_forward_hook(lambda _, given, logits: seen.append(len(logits)))
    objective.loss(model, batch)
    if seen:
        assert sum(seen) == count_logit_rows(objective, batch)
    else:
        assert not any(
            head.kind in ("masked_lm", "causal_lm", "permuted_lm", "generator") for head in find_heads(objective)
        )


def test_the_order_of_samples_changes_nothing(objective: Objective, model: Transformer, samples: list[Sample]) -> None:
    forward = objective.prepare(samples, seed=0, epoch=0)
    backward = objective.prepare(samples[::-1], seed=0, epoch=0)
    there, back = (
        sorted(zip(batch.samples.tolist(), (ids.tolist() for ids in batch.packed.split()), strict=True))
        for batch in (forward, backward)
    )
    assert there == back and {number for number, _ in there} == {sample.index for sample in samples}
    expected = gradient(model, [objective.loss(model, forward).sum])
    assert (gradient(model, [objective.loss(model, backward).sum]) - expected).norm() < 1e-10 * expected.norm()


def test_gradients_reach_every_parameter(objective: Objective, model: Transformer, samples: list[Sample]) -> None:
    gradient(model, [objective.loss(model, objective.prepare(samples, seed=0, epoch=0)).sum])
    untouched = [
        name for name, parameter in model.named_parameters() if parameter.grad is None or not parameter.grad.any()
    ]
    # A key's bias adds the same to every score of a query, which the softmax takes out again.
    assert [name for name in untouched if not name.endswith("attention.k.bias")] == []


def test_scores_follow_from_measures(objective: Objective, model: Transformer, samples: list[Sample]) -> None:
    with torch.inference_mode():
        batch = objective.prepare(samples, seed=0, epoch=-1)
        parts = [objective.measure(model, objective.prepare([sample], seed=0, epoch=-1)) for sample in samples]
        loss = objective.loss(model, batch)
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    examples = {"question_answering": QUESTIONS, "tagging": TAGGED, "span_classification": TAGGED}.get(
        objective.config.kind, ()
    )
    metrics = objective.score(joined, examples)
    num_known = sum(example.label_names is not None for example in examples)
    name, _ = objective.best
    assert metrics["loss"].value == pytest.approx(loss.sum.item() / loss.count, rel=1e-6)
    assert name in metrics
    for name, metric in metrics.items():
        is_by_text = "byte" in name or "word_" in name or "character_" in name
        assert (
            metric.count == loss.count
            or is_by_text
            or name == "spearman"
            or metric.count in {part.count for part in batch.parts}
            or metric.count == num_known
        )
        assert metric.low <= metric.value <= metric.high
        assert f"n={metric.count}" in metric.signature
        assert "seed=0" in metric.signature


def test_a_causal_objective_is_blind_to_the_future(tokenizer: Tokenizer) -> None:
    """The loss on the first tokens does not change with those after them, and does with those before them."""
    objective = Causal().build(tokenizer)
    config = ModelConfig(
        vocab_size=tokenizer.vocab_size, hidden_size=16, num_heads=2, causal=True, heads=(objective.head,)
    )
    model = Transformer(config)
    initialize(model, 0)
    model.double().eval()

    def losses(ids: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return objective.measure(model, objective.prepare([Sample(0, ids)], seed=0, epoch=0))["nll"]

    ids = make_samples(tokenizer)[0].input_ids
    changed = ids.copy()
    changed[7] = 40
    assert ids[7] != 40
    before, after = losses(ids), losses(changed)
    assert np.array_equal(before[:6], after[:6])
    assert (before[6:] != after[6:]).all()


def test_every_member_of_the_union_is_here() -> None:
    union = get_args(ObjectiveChoice)[0]
    assert {member.model_fields["kind"].default for member in get_args(union)} == {
        member.config.kind for member in MEMBERS.values()
    }


def test_every_sequence_can_be_shown(objective: Objective, samples: list[Sample]) -> None:
    batch = objective.prepare(samples, seed=0, epoch=0)
    lines = objective.show(batch)
    assert len(lines) == len(batch.packed.lengths)
    assert set(batch.samples.tolist()) == {sample.index for sample in samples}
    assert all(line.isprintable() and line for line in lines)


def test_batches_move_whole(objective: Objective, samples: list[Sample]) -> None:
    moved = objective.prepare(samples, seed=0, epoch=0).to("meta")
    tensors = [moved.packed.input_ids, moved.packed.token_type_ids, moved.packed.position_ids, *moved.targets.values()]
    assert {tensor.device.type for tensor in tensors} == {"meta"}
