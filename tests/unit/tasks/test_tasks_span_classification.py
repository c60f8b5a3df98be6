"""Every span of a text: its loss and its place among the others by brute force, windows, what is refused."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from small_tasks import make_task_model
from torch.nn import functional

from groundup.errors import ConfigError, DataError
from groundup.language.tags import Span
from groundup.model.packed import Packed
from groundup.model.transformer import Transformer
from groundup.readers.examples import Mark, SpanExample, TaggedExample
from groundup.tasks.entities import Writing, lay_units
from groundup.tasks.nesting import choose_spans, find_clash
from groundup.tasks.span_classification import SpanClassification, SpanTask
from groundup.text.tokenizer import Tokenizer, WordPiece, train_tokenizer

LABELS = ("LOC", "ORG", "PER")
ENGLISH = SpanExample(
    "Mary Smithson left the Port of New York.", (Mark(0, 13, "PER"), Mark(23, 39, "ORG"), Mark(31, 39, "LOC")), 3
)
CHINESE = SpanExample("北京大学在上海。", (Mark(0, 2, "LOC"), Mark(0, 4, "ORG"), Mark(5, 7, "LOC")), 9)
TYPED = SpanExample("Mary 去了北京", None, 11)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    texts = [ENGLISH.text, CHINESE.text, TYPED.text]
    return train_tokenizer(WordPiece(vocab_size=56, min_frequency=1, character_coverage=1.0), texts * 2)


def make(tokenizer: Tokenizer, **settings: object) -> SpanTask:
    return SpanClassification(size=7, **settings).build(tokenizer, LABELS)


def score_span(model: Transformer, start: torch.Tensor, end: torch.Tensor) -> torch.Tensor:
    """The formula for one span of hidden states."""
    head = model.heads["biaffine"]
    first, last = head.start(start).relu(), head.end(end).relu()
    both = torch.stack([last @ matrix @ first for matrix in head.bilinear])
    return both + head.linear(torch.cat([first, last]))


@pytest.mark.parametrize("longest", [3, None])
def test_the_loss_is_that_of_every_span_alone(tokenizer: Tokenizer, longest: int | None) -> None:
    task = make(tokenizer, max_span=longest)
    model, samples = make_task_model(task), task.encode([ENGLISH, TYPED], "data")
    batch = task.prepare([samples[1], samples[0]], seed=0, epoch=0)
    words = ["Mary", "Smithson", "left", "the", "Port", "of", "New", "York", "."]
    pieces = [tokenizer.encode_plain([word])[0] for word in words]
    assert len(pieces[1]) > 1
    ids = np.concatenate([tokenizer.prefix_ids, *pieces, tokenizer.suffix_ids]).astype(np.int32)
    firsts = len(tokenizer.prefix_ids) + np.cumsum([0, *map(len, pieces[:-1])])
    hidden = model(Packed.from_sequences([ids]))[torch.from_numpy(firsts)]
    named = {(0, 1): "PER", (4, 7): "ORG", (6, 7): "LOC"}

    def total(turned: bool) -> tuple[float, int]:
        found, count = 0.0, 0
        for start in range(9):
            for end in range(start, 9 if longest is None else min(9, start + longest)):
                number = 1 + LABELS.index(named[start, end]) if (start, end) in named else 0
                pair = (hidden[end], hidden[start]) if turned else (hidden[start], hidden[end])
                found += functional.cross_entropy(score_span(model, *pair), torch.tensor(number)).item()
                count += 1
        return found, count

    loss, (expected, count) = task.loss(model, batch), total(turned=False)
    assert loss.count == count == (45 if longest is None else 24)
    assert loss.sum.item() == pytest.approx(expected, rel=1e-12)
    assert loss.sum.item() != pytest.approx(total(turned=True)[0], rel=1e-3)


def clashes(one: Span, other: Span, nested: bool) -> bool:
    """By the definition: two spans share some unit and neither holds the other."""
    own, theirs = set(range(one.start, one.end)), set(range(other.start, other.end))
    shared = own & theirs
    return bool(shared) and not (nested and (own < theirs or theirs < own))


def test_what_stands_together_is_chosen_as_by_the_definition() -> None:
    draw, differing = random.Random(0), 0
    for _ in range(300):
        places = [(start, end) for start in range(9) for end in range(start + 1, 10)]
        spans = [Span(*place, "X") for place in draw.sample(places, draw.randrange(12))]
        chosen = {}
        for nested in (True, False):
            expected: list[int] = []
            for number, span in enumerate(spans):
                if not any(clashes(span, spans[other], nested) for other in expected):
                    expected.append(number)
            chosen[nested] = choose_spans(spans, 10, nested=nested)
            assert chosen[nested] == expected
            assert find_clash([spans[number] for number in expected], nested=nested) is None
            is_clean = not any(clashes(a, b, nested) for a in spans for b in spans if a != b)
            assert (find_clash(spans, nested=nested) is None) == is_clean
        differing += chosen[True] != chosen[False]
    assert differing > 100, "or the two rules were not told apart"


def test_the_likeliest_stand(tokenizer: Tokenizer) -> None:
    spans = {(0, 2): 0.9, (1, 3): 0.8, (1, 2): 0.7, (4, 5): 0.6, (3, 8): 0.95}
    measured = {
        "start": np.array([start for start, _ in spans]),
        "end": np.array([end for _, end in spans]),
        "type": np.zeros(len(spans), dtype=np.int64),
        "log_probability": np.log(list(spans.values())),
        "text": np.ones(len(spans), dtype=np.int64),
        "example": np.arange(2),
        "least": np.log([0.5, 0.4]),
    }
    found = {}
    for nested in (True, False):
        task = make(tokenizer, nested=nested, unit="character")
        nothing, found[nested] = task.decode(measured, [TYPED, CHINESE])
        assert nothing.found == () and nothing.confidence == pytest.approx(0.5)
    assert [each[:2] for each in found[True].found] == [(0, 2), (1, 2), (3, 8), (4, 5)]
    assert found[True].scores == pytest.approx((0.9, 0.7, 0.95, 0.6))
    assert [each[:2] for each in found[False].found] == [(0, 2), (3, 8)]


@pytest.mark.parametrize("max_length", [7, 10, 64])
def test_every_span_has_one_answer_whatever_the_windows(tokenizer: Tokenizer, max_length: int) -> None:
    task = make(tokenizer, max_length=max_length, max_span=3)
    examples = [ENGLISH, CHINESE, TYPED, SpanExample("", (), 1)]
    samples = task.encode(examples, "data")
    assert samples.lengths.max() <= max_length and (len(samples) > 4) == (max_length < 64)
    batch = task.prepare([samples[number] for number in reversed(range(len(samples)))], seed=0, epoch=0)
    units, windows, owners = (batch.targets[name].numpy() for name in ("unit", "window", "example"))
    start, offset = batch.targets["is_span"].numpy().nonzero()
    spans = list(
        zip(owners[windows[start]].tolist(), units[start].tolist(), units[start + offset].tolist(), strict=True)
    )
    assert len(set(spans)) == len(spans)
    sizes = {0: 9, 1: 8, 2: 5}
    every = {(text, i, j) for text, size in sizes.items() for i in range(size) for j in range(i, min(size, i + 3))}
    assert set(spans) <= every and (set(spans) == every) == (max_length == 64), "words may have more pieces than room"
    assert {span for span in spans if span[0] == 1} == {span for span in every if span[0] == 1}
    model = make_task_model(task)
    with torch.inference_mode():
        found = task.decode(task.measure(model, batch), samples.examples)
    for each, example in zip(found, examples, strict=True):
        assert all(each.text[start:end].strip() == each.text[start:end] != "" for start, end, _ in each.found)
        row = task.answer(example, each)
        assert [one["text"] for one in row["entities"]] == [each.text[start:end] for start, end, _ in each.found]
    gold = {
        (number, span.start, span.end - 1)
        for number, example in enumerate(examples)
        for span in task.spans.read(example, lay_units(example, "word"), "data") or ()
    }
    missed = [int(warning.split()[0]) for warning in samples.report.warnings]
    assert sum(missed) == len(gold - set(spans))
    # The port and the university are of 4.
    what = "2 of 6 entities have more than 3 words and can only be missed; objective.max_span=4 has room for all."
    assert samples.report.warnings[0] == what
    wide = f"1 of 6 entities do not fit into a window of objective.max_length={max_length} tokens"
    longer = make(tokenizer, max_length=max_length, max_span=4).encode(examples, "data")
    assert longer.report.warnings == ((f"{wide} and can only be missed; raise it.",) if max_length < 64 else ())


def test_gold_spans_score_one_and_others_do_not(tokenizer: Tokenizer) -> None:
    task = make(tokenizer).fit([ENGLISH], "data")
    assert task.spans.longest == 4
    samples = task.encode([ENGLISH, TYPED, CHINESE], "data")
    batch = task.prepare([samples[number] for number in range(3)], seed=0, epoch=0)
    model = make_task_model(task)

    def answer(labels: torch.Tensor) -> dict[str, np.ndarray]:
        start, offset = labels.numpy().clip(0).nonzero()
        units, windows, owners = (batch.targets[name].numpy() for name in ("unit", "window", "example"))
        with torch.inference_mode():
            measured = task.measure(model, batch)
        return measured | {
            "start": units[start],
            "end": units[start + offset] + 1,
            "type": labels.numpy()[start, offset] - 1,
            "log_probability": np.zeros(len(start)),
            "text": owners[windows[start]],
        }

    gold = answer(batch.targets["label"])
    metrics = task.score(gold, samples.examples)
    assert metrics["f1"].value == metrics["macro_f1"].value == 1.0 and "exact spans, nested" in metrics["f1"].signature
    assert metrics["f1"].count == metrics["loss"].count == 2, "nothing is known of the typed text"
    with torch.inference_mode():
        loss = task.loss(model, batch)
    assert metrics["loss"].value == pytest.approx(loss.sum.item() / loss.count, rel=1e-6)
    assert task.details(gold, samples.examples).classes["f1[LOC]"].value == 1.0
    found = task.decode(gold, samples.examples)
    assert found[0].found == ((0, 13, "PER"), (23, 39, "ORG"), (31, 39, "LOC"))
    assert found[2].found == ((0, 4, "ORG"), (0, 2, "LOC"), (5, 7, "LOC"))
    assert task.mark(TYPED, found[1]) is None and task.mark(CHINESE, found[2]).is_right
    known = [task.restate(example) for example in (ENGLISH, CHINESE)]
    assert task.answers.find_errors([found[0], found[2]], known).tolist() == [0.0, 0.0]
    fewer = answer(torch.where(batch.targets["label"] == 1 + LABELS.index("LOC"), 0, batch.targets["label"]))
    assert task.score(fewer, samples.examples)["recall"].value == 0.5
    assert task.answers.find_errors(task.decode(fewer, samples.examples)[::2], known).tolist() == [1.0, 1.0]
    shown = task.show(batch)
    assert (
        shown[0].endswith("##k】LOC】ORG . [SEP]")
        and shown[0].startswith("[CLS] 【mary s ##mit")
        and "【" not in shown[1]
    )
    assert shown[2] == "[CLS] 【【北 京】LOC 大 学】ORG 在 【上 海】LOC 。 [SEP]"


def test_tags_are_read_as_spans(tokenizer: Tokenizer) -> None:
    tagged = TaggedExample(("北", "京", "在", "A"), ("B-LOC", "E-LOC", "O", "S-PER"), 1)
    config = SpanClassification()
    assert config.choose_labels([tagged], "train") == ("LOC", "PER")
    task = config.build(tokenizer, LABELS).fit([tagged], "train")
    assert task.facts == {"scheme": "bioes", "unit": "character", "max_span": 2}
    samples = task.encode([tagged], "train")
    assert samples.report.label_counts == {"LOC": 1, "ORG": 0, "PER": 1}
    assert task.show(task.prepare([samples[0]], 0, 0)) == ["[CLS] 【北 京】LOC 在 【a】PER [SEP]"]
    again = make(tokenizer).restore(task.facts)
    assert again.spans == task.spans and again.spans.writing == Writing("bioes", "character")
    assert config.choose_labels([ENGLISH, CHINESE], "train") == LABELS


@pytest.mark.parametrize(
    ("marks", "settings", "message"),
    [
        (((0, 3, "PER"),), {}, r"data:6: .*ends are not those of words.*unit=character"),
        (((0, 7, "PER"), (5, 12, "LOC")), {}, r"data:6: has entities that cross each other.*one within another"),
        (((0, 7, "PER"), (0, 7, "LOC")), {}, r"data:6: has two types for the same span"),
        (((0, 7, "ORG"), (5, 7, "LOC")), {"nested": False}, r"data:6: has an entity within another.*nested=true"),
        (((0, 4, "PRE"),), {}, r"data:6: has a label unseen in training, got 'PRE'; did you mean 'PER'"),
    ],
    ids=["inside a word", "crossing", "two types", "nested", "unseen"],
)
def test_what_is_wrong_is_refused_with_its_line(
    tokenizer: Tokenizer, marks: tuple[tuple[int, int, str], ...], settings: dict[str, bool], message: str
) -> None:
    example = SpanExample("Mary of York", tuple(Mark(*mark) for mark in marks), 6)
    with pytest.raises(DataError, match=message):
        make(tokenizer, **settings).encode([example], "data")


def test_impossible_settings_are_refused(tokenizer: Tokenizer) -> None:
    with pytest.raises(DataError, match=r"train:3: has an entity of 4 words, more than objective.max_span=3.*raise it"):
        make(tokenizer, max_span=3).fit([replace(CHINESE, marks=()), ENGLISH], "train")
    with pytest.raises(DataError, match="holds no entity"):
        SpanClassification().choose_labels([TYPED], "train")
    with pytest.raises(ConfigError, match="needs one or more different types"):
        SpanClassification().build(tokenizer, ("LOC", "LOC"))
    with pytest.raises(DataError, match="leaves no room"):
        make(tokenizer, max_length=2).encode([ENGLISH], "data")
    task = make(tokenizer)
    unlabelled = task.encode([replace(ENGLISH, marks=None)], "data")
    assert task.prepare([unlabelled[0]], 0, 0).count == 0
