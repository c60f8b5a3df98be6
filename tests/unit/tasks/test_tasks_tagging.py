"""Tags of words and characters: where they stand, what they lose, how windows and legal sequences make entities."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from small_tasks import make_task_model
from torch.nn import functional

from groundup.errors import ConfigError, DataError
from groundup.language.tags import find_faults
from groundup.model.packed import Packed
from groundup.model.transformer import Transformer
from groundup.readers.examples import Mark, SpanExample, TaggedExample
from groundup.tasks.entities import Writing
from groundup.tasks.tagging import Tagging, TaggingTask
from groundup.text.tokenizer import Tokenizer, WordPiece, train_tokenizer

LABELS = ("O", "B-LOC", "B-PER", "I-LOC", "I-PER")
WORDS = TaggedExample(
    ("Mary", "Smithson", "went", "to", "New", "York"), ("B-PER", "I-PER", "O", "O", "B-LOC", "I-LOC"), 3
)
CHINESE = SpanExample("李娜昨天去了北京。", (Mark(0, 2, "PER"), Mark(6, 8, "LOC")), 9)
TYPED = SpanExample("Mary 去了北京", None, 11)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    texts = [" ".join(WORDS.tokens), CHINESE.text, TYPED.text]
    return train_tokenizer(WordPiece(vocab_size=48, min_frequency=1, character_coverage=1.0), texts * 2)


def make(tokenizer: Tokenizer, **settings: object) -> TaggingTask:
    return Tagging(**settings).build(tokenizer, LABELS)


def read_logits(task: TaggingTask, model: Transformer, example: TaggedExample) -> torch.Tensor:
    """The logits of each word, from its first piece, by the tokenizer alone."""
    pieces = [task.tokenizer.encode_plain([word])[0] for word in example.tokens]
    ids = np.concatenate([task.tokenizer.prefix_ids, *pieces, task.tokenizer.suffix_ids]).astype(np.int32)
    firsts = len(task.tokenizer.prefix_ids) + np.cumsum([0, *map(len, pieces[:-1])])
    return model.heads["token"](model(Packed.from_sequences([ids])))[torch.from_numpy(firsts)]


def test_the_loss_is_that_of_the_first_pieces(tokenizer: Tokenizer) -> None:
    task = make(tokenizer)
    model, samples = make_task_model(task), task.encode([WORDS, TYPED], "data")
    batch = task.prepare([samples[0], samples[1]], seed=0, epoch=0)
    assert batch.count == 6 and len(tokenizer.encode_plain(["Smithson"])[0]) > 1
    logits = read_logits(task, model, WORDS)
    tags = torch.tensor([LABELS.index(tag) for tag in WORDS.tags])
    expected = functional.cross_entropy(logits, tags, reduction="sum")
    assert task.loss(model, batch).sum.item() == pytest.approx(expected.item(), rel=1e-12)
    wrong = functional.cross_entropy(logits.roll(1, dims=0), tags, reduction="sum")
    assert task.loss(model, batch).sum.item() != pytest.approx(wrong.item(), rel=1e-3)


def test_the_loss_of_a_chain_is_a_sum_over_all_paths(tokenizer: Tokenizer) -> None:
    task = make(tokenizer, chain=True)
    model, samples = make_task_model(task), task.encode([WORDS], "data")
    chain, logits = model.heads["token"].chain, read_logits(task, model, WORDS)
    with torch.no_grad():
        for parameter in chain.parameters():
            parameter.normal_()

    def score(path: tuple[int, ...]) -> torch.Tensor:
        total = logits[range(len(path)), path].sum() + chain.starts[path[0]] + chain.ends[path[-1]]
        return total + sum(chain.transitions[pair] for pair in itertools.pairwise(path))

    true = tuple(LABELS.index(tag) for tag in WORDS.tags)
    every = torch.stack([score(path) for path in itertools.product(range(len(LABELS)), repeat=len(true))])
    loss = task.loss(model, task.prepare([samples[0]], seed=0, epoch=0))
    assert loss.sum.item() == pytest.approx((every.logsumexp(0) - score(true)).item(), rel=1e-9) and loss.count == 6


@pytest.mark.parametrize("chain", [False, True])
@pytest.mark.parametrize("max_length", [6, 9, 64])
def test_every_unit_has_one_answer_whatever_the_windows(tokenizer: Tokenizer, max_length: int, chain: bool) -> None:
    task = make(tokenizer, max_length=max_length, chain=chain)
    model, examples = make_task_model(task), [WORDS, CHINESE, TYPED, SpanExample("", None, 1)]
    samples = task.encode(examples, "data")
    assert samples.lengths.max() <= max_length and (len(samples) > 4) == (max_length < 64)
    for part in (range(len(samples)), reversed(range(len(samples)))):
        batch = task.prepare([samples[number] for number in part], seed=0, epoch=0)
        with torch.inference_mode():
            found = task.decode(task.measure(model, batch), samples.examples)
        assert [len(each.tags) for each in found] == [6, 9, 5, 0]
        for each, example in zip(found, examples, strict=True):
            if max_length == 64:
                assert find_faults(each.tags, "iob2") == [], "only what the scheme allows is an answer"
            assert all(each.text[start:end].strip() == each.text[start:end] != "" for start, end, _ in each.found)
            row = task.answer(example, each)
            assert [one["text"] for one in row["entities"]] == [each.text[start:end] for start, end, _ in each.found]
    known = np.concatenate([samples[number].targets["unit"] for number in range(len(samples))])
    owners = np.repeat(samples.of_rows["example"], samples.sizes)
    spoken = sorted(zip(owners[known >= 0].tolist(), known[known >= 0].tolist(), strict=True))
    assert spoken == [(text, unit) for text, count in enumerate((6, 9, 5)) for unit in range(count)]


def test_gold_tags_score_one_and_others_do_not(tokenizer: Tokenizer) -> None:
    task = make(tokenizer)
    samples = task.encode([WORDS, CHINESE], "data")
    batch = task.prepare([samples[0], samples[1]], seed=0, epoch=0)
    model = make_task_model(task)
    with torch.inference_mode():
        measured = task.measure(model, batch)
    gold = measured | {"path": batch.targets["tag"].numpy()}
    metrics = task.score(gold, samples.examples)
    assert metrics["f1"].value == metrics["tag_accuracy"].value == 1.0 and "iob2, strict" in metrics["f1"].signature
    assert task.details(gold, samples.examples).classes["f1[PER]"].value == 1.0
    found = task.decode(gold, samples.examples)
    assert [each.found for each in found] == [
        ((0, 13, "PER"), (22, 30, "LOC")),
        ((0, 2, "PER"), (6, 8, "LOC")),
    ]
    known = [task.restate(example) for example in (WORDS, CHINESE)]
    assert task.mark(CHINESE, found[1]).is_right and task.answers.find_errors(found, known).tolist() == [0.0, 0.0]
    shorter = gold["path"].copy()
    shorter[1] = LABELS.index("O")  # Smithson
    assert task.score(measured | {"path": shorter}, samples.examples)["f1"].value == 0.75
    assert "Smithson" not in task.show(batch)[0] and "【I-PER】" in task.show(batch)[0]


def test_how_texts_are_written_is_found_and_travels(tokenizer: Tokenizer) -> None:
    task = make(tokenizer).fit([TaggedExample(("北", "京", "A"), ("I-LOC", "I-LOC", "O"), 1)], "train")
    assert task.writing == Writing("iob1", "character")
    assert make(tokenizer).restore(task.facts).writing == task.writing
    assert make(tokenizer).fit([CHINESE], "train").writing == Writing("iob2", "character")
    assert make(tokenizer).fit([WORDS], "train").writing == Writing("iob2", "word")
    assert Tagging().choose_labels([CHINESE], "train") == LABELS
    assert Tagging(scheme="bioes").build(tokenizer, ("O", "S-X")).writing.scheme == "bioes"


@pytest.mark.parametrize(
    ("example", "message"),
    [
        (
            TaggedExample(("a", "b"), ("O", "I-PER"), 4, has_lines=True),
            r"data:5: the tag of 'b' does not keep to iob2: goes on.*got 'I-PER'",
        ),
        (
            TaggedExample(("a",), ("B-PRE",), 5),
            r"data:5: has a label unseen in training, got 'B-PRE'; did you mean 'B-PER'",
        ),
        (SpanExample("Marys", (Mark(0, 4, "PER"),), 6), r"data:6: .*ends are not those of words.*unit=character"),
        (
            SpanExample("😀😀 Mary went", (Mark(5, 9, "PER"),), 9),
            r"data:9: .*counts UTF-16 units instead of characters, got \(5, 9, 'ry w'\); it stands at 3 to 7",
        ),
        (SpanExample("é è Mary went", (Mark(6, 10, "PER"),), 9), r"counts bytes of UTF-8.*it stands at 4 to 8"),
        (
            SpanExample("a b", (Mark(0, 3, "PER"), Mark(0, 1, "LOC")), 7),
            r"data:7: entities overlap, got \('a', 'a b'\).*no entity within another",
        ),
        (TaggedExample(("a",), ("PER",), 8), r"is no tag of IOB1"),
    ],
    ids=["illegal", "unseen", "inside a word", "utf-16", "bytes", "nested", "no tag"],
)
def test_what_tags_cannot_say_is_refused_with_its_line(
    tokenizer: Tokenizer, example: TaggedExample | SpanExample, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        make(tokenizer).encode([example], "data")


def test_mixed_schemes_and_impossible_labels_are_refused(tokenizer: Tokenizer) -> None:
    mixed = [WORDS, TaggedExample(("a", "b"), ("S-PER", "O"), 8)]
    with pytest.raises(DataError, match=r"train:8: the tag of 'a' does not keep to iob2: iob2 has no S.*one scheme"):
        make(tokenizer).fit(mixed, "train")
    with pytest.raises(DataError, match="holds no entity"):
        Tagging().choose_labels([TaggedExample(("a",), ("O",), 1)], "train")
    with pytest.raises(ConfigError, match="needs O and one or more"):
        Tagging().build(tokenizer, ("B-X", "I-X"))
