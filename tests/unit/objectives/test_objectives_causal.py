"""Causal language modelling: what is predicted, what is counted, what is shown."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from groundup.errors import DataError
from groundup.model.config import CausalLMHead, ModelConfig
from groundup.model.initialize import initialize
from groundup.model.transformer import Transformer
from groundup.objectives.causal import Causal, CausalObjective
from groundup.readers.table import Example
from groundup.text.sample import Sample
from groundup.text.tokenizer import ByteBPE, Tokenizer, WordPiece, train_tokenizer

TEXTS = ["the cat sees the dog", "我看见一只猫和一只狗", "say three hundred and five", "三百零五 dollars"]


@pytest.fixture(scope="module", params=["byte_bpe", "wordpiece"])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    if request.param == "byte_bpe":
        return train_tokenizer(ByteBPE(vocab_size=300), TEXTS * 3)
    return train_tokenizer(WordPiece(vocab_size=200, min_frequency=1, character_coverage=1.0), TEXTS * 3)


def build_model(tokenizer: Tokenizer) -> Transformer:
    config = ModelConfig(
        vocab_size=tokenizer.vocab_size, hidden_size=16, num_heads=2, causal=True, heads=(CausalLMHead(),)
    )
    model = Transformer(config)
    initialize(model, 0)
    return model.double().eval()


def measure(objective: CausalObjective, samples: list[Sample]) -> dict[str, np.ndarray]:
    with torch.inference_mode():
        return objective.measure(build_model(objective.tokenizer), objective.prepare(samples, 0, 0))


def test_the_loss_is_the_formula(tokenizer: Tokenizer) -> None:
    """-sum log softmax(logits)[next token], over a plain pass of each sequence, in float64."""
    objective = Causal().build(tokenizer)
    rows = objective.encode([Example(text, None, None, 1) for text in TEXTS], "t")
    model = build_model(tokenizer)
    expected, count = 0.0, 0
    from groundup.model.packed import Packed

    for number in range(len(rows)):
        ids = rows[number].input_ids
        logits = model.heads["causal_lm"](model(Packed.from_sequences([ids]))).detach().numpy()
        logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        expected -= logs[np.arange(len(ids) - 1), ids[1:]].sum()
        count += len(ids) - 1
    loss = objective.loss(model, objective.prepare([rows[number] for number in range(len(rows))], 0, 0))
    assert loss.count == count
    assert loss.sum.item() == pytest.approx(expected, rel=1e-12)


def test_a_completion_alone_is_predicted(tokenizer: Tokenizer) -> None:
    objective = Causal(separator=" = ").build(tokenizer)
    rows = objective.encode([Example("the cat", "我看见", None, 1), Example("the dog sees", "猫", None, 2)], "t")
    batch = objective.prepare([rows[0], rows[1]], 0, 0)
    completions = [objective.tokenizer.encode_plain([text])[0].tolist() for text in ("我看见", "猫")]
    expected = [ids for each in completions for ids in [*each, tokenizer.end_id]]
    assert batch.targets["labels"].tolist() == expected
    inputs = batch.packed.input_ids[batch.targets["rows"]].tolist()
    prompts = [objective.encode_prompt(text)[-1] for text in ("the cat", "the dog sees")]
    assert inputs == [ids for last, each in zip(prompts, completions, strict=True) for ids in [last, *each]]
    assert batch.count == len(expected)


def test_a_long_prompt_loses_its_beginning_and_a_long_completion_its_end(tokenizer: Tokenizer) -> None:
    full = Causal(max_length=64).build(tokenizer).encode([Example("the cat sees", "the dog", None, 1)], "t")[0]
    size = len(full.input_ids)
    cut = Causal(max_length=size - 3).build(tokenizer).encode([Example("the cat sees", "the dog", None, 1)], "t")
    assert cut.report.num_truncated == 1 and cut.report.tokens_lost == 2
    assert cut[0].input_ids.tolist() == [full.input_ids[0], *full.input_ids[3:]]
    assert cut[0].num_context == full.num_context - 2
    tiny = Causal(max_length=2).build(tokenizer).encode([Example("the cat sees", "the dog", None, 1)], "t")[0]
    assert tiny.input_ids.tolist() == full.input_ids[[0, full.num_context, full.num_context + 1]].tolist()
    assert tiny.num_context == 1


def test_text_is_counted_exactly(tokenizer: Tokenizer) -> None:
    objective = Causal(max_length=64).build(tokenizer)
    rows = objective.encode([Example(text, None, None, 1) for text in TEXTS], "t")
    sizes = measure(objective, [rows[number] for number in range(len(rows))])["text_sizes"]
    written = [tokenizer.decode(tokenizer.encode_plain([text])[0]) for text in TEXTS]
    assert sizes[:, 0].tolist() == [len(text.encode()) for text in written]
    assert sizes[:, 1].tolist() == [len(text) for text in written]
    assert sizes[:, 2].tolist() == [5, 10, 5, 5]


def test_a_text_in_parts_counts_as_often_as_the_whole() -> None:
    """Windows may end inside a word, and with bytes inside a character."""
    tokenizer = train_tokenizer(ByteBPE(vocab_size=262), TEXTS * 3)
    objective = Causal(max_length=64).build(tokenizer)
    ids = tokenizer.encode_plain(["a cat sees 我看见一只猫"])[0]
    ids = np.concatenate([[tokenizer.start_id], ids]).astype(np.int32)
    whole = measure(objective, [Sample(0, ids)])["text_sizes"]
    for cut in range(1, len(ids) - 1):
        parts = measure(objective, [Sample(0, ids[: cut + 1]), Sample(1, ids[cut:])])["text_sizes"]
        assert parts[:, :2].sum(axis=0).tolist() == whole[0, :2].tolist()


def test_figures_by_unit_are_one_loss() -> None:
    tokenizer = train_tokenizer(ByteBPE(vocab_size=300), TEXTS * 3)
    objective = Causal(max_length=64).build(tokenizer)
    rows = objective.encode([Example(text, None, None, 1) for text in TEXTS], "t")
    metrics = objective.score(measure(objective, [rows[number] for number in range(len(rows))]), ())
    nats = metrics["loss"].value * metrics["loss"].count
    assert metrics["perplexity"].value == pytest.approx(np.exp(metrics["loss"].value))
    assert metrics["bits_per_byte"].value == pytest.approx(nats / np.log(2) / sum(len(t.encode()) for t in TEXTS))
    assert metrics["character_perplexity"].value == pytest.approx(np.exp(nats / sum(map(len, TEXTS))))
    assert metrics["word_perplexity"].value == pytest.approx(np.exp(nats / 25))


def test_nothing_to_predict_is_an_error() -> None:
    tokenizer = train_tokenizer(WordPiece(vocab_size=200, min_frequency=1), TEXTS * 3)
    objective = Causal(max_length=64).build(tokenizer)
    with pytest.raises(DataError, match="t: holds no row"):
        objective.encode([], "t")


def test_a_batch_is_shown_with_what_is_given() -> None:
    tokenizer = train_tokenizer(ByteBPE(vocab_size=300), TEXTS * 3)
    objective = Causal().build(tokenizer)
    rows = objective.encode([Example("the cat", "猫", None, 1)], "t")
    (line,) = objective.show(objective.prepare([rows[0]], 0, 0))
    given, asked = line.split(" ⇒ ")
    assert given.startswith("[CLS]") and given.endswith("↵") and asked.endswith("[SEP]")


def test_a_prompt_is_a_prefix_that_sees_itself(tokenizer: Tokenizer) -> None:
    rows = [Example("the cat", "我看见", None, 1), Example("", "猫", None, 2), Example("我看见一只狗", "dog", None, 3)]
    plain, objective = (Causal(separator="", prefix=prefix).build(tokenizer) for prefix in (False, True))
    samples = [each for encoded in [objective.encode(rows, "t")] for each in (encoded[0], encoded[1], encoded[2])]
    batches = [objective.prepare(samples, seed, epoch) for seed, epoch in ((0, 0), (1, 2))]
    causal = plain.prepare(samples, 0, 0)
    for batch in batches:
        assert batch.targets["labels"].tolist() == causal.targets["labels"].tolist(), "nothing of a completion is given"
        orders = batch.packed.order.split(list(batch.packed.lengths))
        for order, sample in zip(orders, samples, strict=True):
            given = sample.num_context
            assert order.tolist() == [given - 1] * given + list(range(given, len(order)))
    assert samples[1].num_context == 1 and samples[0].num_context > 2
    model = build_model(tokenizer)
    found, expected = (each.loss(model, batch) for each, batch in ((objective, batches[0]), (plain, causal)))
    assert found.count == expected.count and abs(found.sum.item() - expected.sum.item()) > 1e-9
    assert (
        "next token after a prefix that sees itself, "
        in objective.score(measure(objective, samples), ())["loss"].signature
    )


def test_of_a_document_a_prefix_of_any_length_is_drawn(tokenizer: Tokenizer) -> None:
    """As often of one token as of all but one, anew in every epoch; a row without a second text is a document."""
    objective = Causal(prefix=True).build(tokenizer)
    row = objective.encode([Example("我看见一只猫和一只狗", None, None, 1)], "t")[0]
    ids = row.input_ids[:9]
    for targets in (row.targets, {}):
        samples = [Sample(number, ids, targets=targets) for number in range(1600)]
        first, second = (objective.prepare(samples, 3, epoch) for epoch in (0, 1))
        given = [(order == order[0]).sum().item() for order in first.packed.order.split(8)]
        assert np.bincount(given, minlength=9)[1:] == pytest.approx(200, abs=60) and min(given) == 1
        assert first.targets["rows"].tolist() == [
            8 * n + place for n, size in enumerate(given) for place in range(size - 1, 8)
        ]
        assert first.targets["labels"].tolist() == [each for size in given for each in ids[size:].tolist()]
        assert first.packed.order.tolist() != second.packed.order.tolist()
