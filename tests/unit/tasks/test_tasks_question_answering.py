from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from groundup.config import parse
from groundup.errors import ConfigError, DataError
from groundup.model.config import Dropout, ModelConfig
from groundup.model.initialize import initialize
from groundup.model.transformer import Transformer
from groundup.objectives.protocol import Tuned
from groundup.readers.examples import Answer, QuestionExample
from groundup.tasks.answer_parts import split_questions
from groundup.tasks.question_answering import AnsweringTask, QuestionAnswering
from groundup.text.sample import UNLABELLED, FlatSamples
from groundup.text.tokenizer import Tokenizer, WordPiece, train_tokenizer

PLACES = ["Oslo", "Rome", "Cairo", "北京", "上海", "广州"]
PASSAGES = [f"At noon the old train leaves for {place} and nobody waits." for place in PLACES[:3]]
PASSAGES += [f"中午的老火车开往{place}，没有人等。" for place in PLACES[3:]]


def ask(number: int, answers: Sequence[str] | None, question: str | None = None) -> QuestionExample:
    passage = PASSAGES[number]
    places = None if answers is None else tuple(Answer(each, passage.index(each)) for each in answers)
    usual = "where does it go" if number < 3 else "它去哪里"
    return QuestionExample(str(number), question or usual, passage, places, number + 1)


EXAMPLES = [ask(number, [place]) for number, place in enumerate(PLACES)]
WITH_NONE = [*EXAMPLES[:4], ask(4, [], "为什么没有人等"), ask(5, [], "why does nobody wait")]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    texts = [*PASSAGES, *(example.question for example in WITH_NONE)] * 2
    return train_tokenizer(WordPiece(vocab_size=400, min_frequency=1, character_coverage=1.0), texts)


def build(tokenizer: Tokenizer, **values: Any) -> AnsweringTask:
    small = {"max_length": 24, "stride": 6, "max_question_length": 6, "max_answer_length": 5}
    return parse(QuestionAnswering, small | values).build(tokenizer, ())


def make_model(tokenizer: Tokenizer, task: AnsweringTask) -> Transformer:
    config = ModelConfig(
        vocab_size=tokenizer.vocab_size,
        hidden_size=32,
        num_layers=2,
        num_heads=2,
        intermediate_size=64,
        dropout=Dropout(embedding=0.0, attention=0.0, residual=0.0),
        initializer_range=0.1,
        heads=(task.head,),
    )
    model = Transformer(config)
    initialize(model, 0)
    return model


def take(samples: FlatSamples, numbers: Sequence[int] | None = None) -> list:
    return [samples[number] for number in (range(len(samples)) if numbers is None else numbers)]


def measure(task: AnsweringTask, model: Transformer, examples: Sequence[QuestionExample], size: int = 2) -> dict:
    samples = take(task.encode(examples, "q.json"))[::-1]
    with torch.inference_mode():
        parts = [
            task.measure(model.eval(), task.prepare(samples[start : start + size], 0, -1))
            for start in range(0, len(samples), size)
        ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def learn(task: AnsweringTask, model: Transformer, examples: Sequence[QuestionExample], steps: int) -> None:
    batch = task.prepare(take(task.encode(examples, "q.json")), 0, 0)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(steps):
        loss = task.loss(model, batch)
        optimizer.zero_grad()
        (loss.sum / loss.count).backward()
        optimizer.step()


def test_the_loss_is_the_mean_of_two_cross_entropies(tokenizer: Tokenizer) -> None:
    """By hand in float64: -(log p_start + log p_end) / 2 of every window, over its own tokens alone."""
    task = build(tokenizer)
    model = make_model(tokenizer, task).double()
    samples = take(task.encode([*EXAMPLES[:3], EXAMPLES[5]], "q.json"))
    batch = task.prepare(samples, 0, 0)
    hidden = model(batch.packed).detach()
    expected = 0.0
    for part, sample in zip(hidden.split(list(batch.packed.lengths)), samples, strict=True):
        logits = (part @ model.heads["span"].linear.weight.T + model.heads["span"].linear.bias).detach()
        for side, name in enumerate(("start", "end")):
            column = logits[:, side]
            expected += 0.5 * float(column.exp().sum().log() - column[int(sample.targets[name])])
    loss = task.loss(model, batch)
    assert loss.count == len(samples) and loss.sum.item() == pytest.approx(expected, rel=1e-12)


def test_windows_of_which_nothing_is_known_change_nothing(tokenizer: Tokenizer) -> None:
    task = build(tokenizer)
    model = make_model(tokenizer, task)
    known = task.prepare(take(task.encode(EXAMPLES[:2], "q.json")), 0, 0)
    more = task.prepare(take(task.encode([*EXAMPLES[:2], ask(3, None)], "q.json")), 0, 0)
    assert known.count == more.count < len(more.packed.lengths)
    torch.testing.assert_close(task.loss(model, more).sum, task.loss(model, known).sum)
    nothing = task.prepare(take(task.encode([ask(3, None)], "q.json")), 0, 0)
    loss = task.loss(model, nothing)
    loss.sum.backward()
    assert (loss.sum.item(), loss.count) == (0.0, 0) and (nothing.targets["start"] == UNLABELLED).all()
    with pytest.raises(DataError, match="no question has an answer"):
        task.score(measure(task, model, [ask(3, None)]), [ask(3, None)])


def test_answers_are_learnt_in_both_languages_and_found_at_their_characters(tokenizer: Tokenizer) -> None:
    task = build(tokenizer, n_best=3)
    model = make_model(tokenizer, task)
    learn(task, model, EXAMPLES, 60)
    measured = measure(task, model, EXAMPLES)
    found = task.decode(measured, EXAMPLES)
    for example, each in zip(EXAMPLES, found, strict=True):
        best = each.candidates[0]
        assert (best.text, best.start) == (example.answers[0].text, example.answers[0].start)
        assert example.passage[best.start : best.end] == best.text and len(each.candidates) == 3
        assert sum(candidate.probability for candidate in each.candidates) == pytest.approx(1.0)
        row = task.answer(example, each)
        assert (row["id"], row["answer"], row["start"], row["end"]) == (example.id, best.text, best.start, best.end)
        assert "no_answer" not in row and [c["answer"] for c in row["candidates"]] == [c.text for c in each.candidates]
    metrics = task.score(measured, EXAMPLES)
    assert metrics["exact"].value == metrics["f1"].value == 100.0 and metrics["f1"].count == 6
    assert metrics["f1"].signature.startswith("cmrc2018|best of the true answers|percent|spans up to 5 tokens, best of")
    assert metrics["loss"].value == pytest.approx(measured["loss"].mean(), rel=1e-6)
    assert task.best[0] in metrics
    alone = task.score(measure(task, model, EXAMPLES, size=1), EXAMPLES)
    assert {name: each.value for name, each in alone.items()} == pytest.approx(
        {name: each.value for name, each in metrics.items()}, rel=1e-5
    )
    english = task.score(measure(task, model, EXAMPLES[:3]), EXAMPLES[:3])
    assert english["exact"].signature.startswith("squad1.1|")
    details = task.details(measured, EXAMPLES)
    assert {name: metric.count for name, metric in details.classes.items()} == {
        "f1[where]": 6,
        "f1[words 1]": 3,
        "f1[words 2-3]": 3,
    }


def test_no_answer_goes_by_a_threshold_that_is_chosen_once_and_travels(tokenizer: Tokenizer) -> None:
    task = build(tokenizer, no_answer=True)
    assert isinstance(task, Tuned) and task.best == ("f1", True) and task.threshold is None
    model = make_model(tokenizer, task)
    learn(task, model, WITH_NONE, 60)
    measured = measure(task, model, WITH_NONE)
    # As if the model were too sure that there is an answer: an even threshold is wrong, the best one is not.
    surest = max(found.null_score - found.candidates[0].score for found in task.decode(measured, WITH_NONE))
    measured["null"] -= surest + 0.1
    even = task.restore({"threshold": None}).score(measured, WITH_NONE)
    assert even["unanswerable_f1"].value == 0.0 and even["unanswerable_f1"].count == 2
    assert even["answerable_f1"].value == 100.0 and "no answer above 0.5|" in even["f1"].signature
    before = task.score(measured, WITH_NONE)
    assert before["f1"].value == before["best_f1"].value == before["best_exact"].value == 100.0 > even["f1"].value
    assert 0.0 < before["threshold"].value < 0.5
    assert all("chosen on these questions" in before[name].signature for name in ("f1", "best_f1"))
    tuned = task.tune(measured, WITH_NONE)
    assert tuned.threshold == before["threshold"].value and tuned.facts == {"threshold": tuned.threshold}
    assert task.restore(tuned.facts) == tuned
    after = tuned.score(measured, WITH_NONE)
    assert {name: each.value for name, each in after.items()} == {name: each.value for name, each in before.items()}
    assert f"no answer above {tuned.threshold:.6g}|" in after["f1"].signature
    assert tuned.details(measured, WITH_NONE).classes == task.details(measured, WITH_NONE).classes
    rows = [tuned.answer(*pair) for pair in zip(WITH_NONE, tuned.decode(measured, WITH_NONE), strict=True)]
    assert [row["answer"] for row in rows] == [*PLACES[:4], None, None]
    assert [row["start"] is None for row in rows] == [False] * 4 + [True] * 2
    assert all(0.0 <= row["no_answer"] <= 1.0 and row["candidates"] for row in rows)
    assert {"f1[none]", "f1[why]"} <= set(tuned.details(measured, WITH_NONE).classes)
    assert build(tokenizer).tune(measured, EXAMPLES).threshold is None, "where there always is an answer"


def test_settings_that_contradict_each_other_are_refused(tokenizer: Tokenizer) -> None:
    with pytest.raises(ConfigError, match=r"objective.rule: knows no question without answer, got 'cmrc2018'; choose"):
        build(tokenizer, no_answer=True, rule="cmrc2018")
    with pytest.raises(ConfigError) as caught:
        build(tokenizer, stride=20)
    assert str(caught.value) == (
        "objective.max_length: leaves 15 tokens of a passage beside the longest question, fewer than objective.stride, "
        "got 24; raise it to 29, or lower objective.stride or objective.max_question_length"
    )
    with pytest.raises(ConfigError, match="labels: must be none"):
        QuestionAnswering().build(tokenizer, ("a",))
    with pytest.raises(ConfigError, match=r"squad1.1: splits words at spaces.*; score Chinese answers by cmrc2018"):
        task = build(tokenizer, rule="squad1.1")
        task.score(measure(task, make_model(tokenizer, task), EXAMPLES), EXAMPLES)


@pytest.mark.parametrize("length", [4, 12, 40, 512])
def test_a_folder_of_any_length_can_be_asked(length: int, tokenizer: Tokenizer) -> None:
    config = QuestionAnswering.fitting(length)
    assert config.max_length == min(length, 384)
    if length > 4:
        config.build(tokenizer, ())
    assert QuestionAnswering.fitting(1000) == QuestionAnswering()


def test_pairs_that_are_typed_become_questions(tokenizer: Tokenizer) -> None:
    task = build(tokenizer)
    assert task.wants_pair
    (example,) = task.examples_of([("它去哪里", PASSAGES[3])])
    assert example == QuestionExample("1", "它去哪里", PASSAGES[3], None, 1)


def test_show_marks_the_answer(tokenizer: Tokenizer) -> None:
    task = build(tokenizer, no_answer=True, max_length=40)
    lines = task.show(task.prepare(take(task.encode([EXAMPLES[3], WITH_NONE[4], ask(0, None)], "q.json")), 0, 0))
    assert lines[0] == "[CLS] 它 去 哪 里 [SEP] 中 午 的 老 火 车 开 往 【北 京】 ， 没 有 人 等 。 [SEP]"
    assert lines[1].startswith("【[CLS]】 为 什 么") and "【" not in lines[2]


def test_parts_hold_every_question() -> None:
    examples = [
        ask(0, ["Oslo"]),
        ask(1, ["noon the old train leaves"]),
        ask(3, ["中午的老火车开往北京，没有人等。"]),
        WITH_NONE[4],
    ]
    parts = split_questions(examples)
    assert {name: chosen.tolist() for name, chosen in parts.items()} == {
        "where": [True, True, True, False],
        "why": [False, False, False, True],
        "words 1": [True, False, False, False],
        "words 4-7": [False, True, False, False],
        "words 8-15": [False, False, True, False],
        "none": [False, False, False, True],
    }
    assert replace(examples[0], answers=None) not in examples
