"""Pairs of segments: true and false ones half and half, from their documents, in both languages; and BERT's mix."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer as Backend
from tokenizers import models

from groundup.config import parse, to_json
from groundup.errors import ConfigError
from groundup.model.config import Dropout, ModelConfig
from groundup.model.initialize import initialize
from groundup.model.transformer import Transformer
from groundup.objectives.masked import Masked
from groundup.objectives.mix import Mix, MixPart
from groundup.objectives.protocol import balance
from groundup.objectives.sentence import Sentence, take_sentences
from groundup.readers.lines import iterate_lines
from groundup.text.corpus import Corpus, CorpusConfig, prepare
from groundup.text.pair_windows import PairFrame
from groundup.text.sample import Sample
from groundup.text.tokenizer import Tokenizer, WordPiece, train_tokenizer

NOUNS = {
    "english": ["river", "mill", "boat", "stone", "bread", "horse", "garden", "letter"],
    "chinese": ["河", "山", "船", "石", "饭", "马", "园", "信"],
}
NUM_DOCUMENTS = 60


def write_documents(language: str) -> list[str]:
    """Documents of 2 to 6 sentences, each of a noun and its numbers, so that every sentence tells where it is from."""
    draw = np.random.default_rng(0)
    documents = []
    for number in range(NUM_DOCUMENTS):
        noun = NOUNS[language][number % 8]
        count = int(draw.integers(2, 7))
        if language == "english":
            sentences = [
                f"The {noun} {number} has {place} {'old ' * int(draw.integers(0, 3))}signs." for place in range(count)
            ]
            documents.append(" ".join(sentences))
        else:
            sentences = [f"{noun}{number}有{place}个{'旧' * int(draw.integers(0, 3))}字。" for place in range(count)]
            documents.append("".join(sentences))
    return documents


@pytest.fixture(params=["english", "chinese"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Tokenizer, Corpus]:
    path = tmp_path / "text.txt"
    path.write_text("\n".join(write_documents(request.param)) + "\n", encoding="utf-8")
    texts = [line.text for line in iterate_lines(path, "utf-8")]
    tokenizer = train_tokenizer(WordPiece(vocab_size=200, min_frequency=1, character_coverage=1.0), texts)
    files = (str(path),)
    prepare(files, tokenizer, tmp_path / "out", CorpusConfig(train=files, sentences=True))
    frame = PairFrame.of(tokenizer, needs_others=True)
    return tokenizer, Corpus.open(tmp_path / "out", tokenizer, max_length=80, min_length=2, frame=frame)


def split_pair(tokenizer: Tokenizer, sample: Sample) -> tuple[list[int], list[int]]:
    ids, types = sample.input_ids, sample.token_type_ids
    assert ids[0] == tokenizer.cls_id and ids[-1] == tokenizer.sep_id
    first, second = ids[types == 0][1:], ids[types == 1]
    assert first[-1] == tokenizer.sep_id
    return first[:-1].tolist(), second[:-1].tolist()


def contains(ids: np.ndarray, part: list[int]) -> bool:
    return " ".join(map(str, part)) in " ".join(map(str, ids.tolist()))


def test_half_of_the_pairs_are_true_and_the_others_from_other_documents(opened: tuple[Tokenizer, Corpus]) -> None:
    tokenizer, corpus = opened
    objective = Sentence().build(tokenizer)
    runs = [corpus[index] for index in range(len(corpus))]
    labels, cuts, lengths = [], [], {0: [], 1: []}
    for epoch in range(16):
        for run, pair in zip(runs, objective.arrange(runs, seed=0, epoch=epoch), strict=True):
            first, second = split_pair(tokenizer, pair)
            whole = run.input_ids.tolist()
            assert whole[: len(first)] == first and len(first) in run.sentence_ends[:-1]
            assert len(pair.input_ids) <= corpus.lengths[run.index] <= 80
            assert (first + second == whole) == (pair.label == 0)
            if pair.label:
                sources = {each.index for each in runs if contains(each.input_ids, second)}
                assert sources and (run.index not in sources or len(second) < 6)
            labels.append(pair.label)
            cuts.append(np.searchsorted(run.sentence_ends, len(first)) / max(1, len(run.sentence_ends) - 1))
            lengths[pair.label].append(len(second))
    assert np.mean(labels) == pytest.approx(0.5, abs=0.05)
    assert 0.2 < np.mean(cuts) < 0.8
    assert np.mean(lengths[1]) > 0.75 * np.mean(lengths[0]), "what is false must not be told by its length"


def test_swapped_pairs_hold_the_same_text(opened: tuple[Tokenizer, Corpus]) -> None:
    tokenizer, corpus = opened
    objective = Sentence(form="order").build(tokenizer)
    runs = [corpus[index] for index in range(len(corpus))] * 20
    pairs = objective.arrange(runs, seed=0, epoch=0)
    assert len({pair.label for pair in pairs[:: len(corpus)]}) == 1, "one sample and epoch, one draw"
    labels = []
    for epoch in range(16):
        for run, pair in zip(runs[: len(corpus)], objective.arrange(runs[: len(corpus)], 0, epoch), strict=True):
            first, second = split_pair(tokenizer, pair)
            assert (second + first if pair.label else first + second) == run.input_ids.tolist()
            labels.append(pair.label)
    assert np.mean(labels) == pytest.approx(0.5, abs=0.05)


def test_true_pairs_are_those_of_a_plain_reference(opened: tuple[Tokenizer, Corpus]) -> None:
    """Every place between two sentences is cut at equally often, as where a reference draws it with Python's dice."""
    tokenizer, corpus = opened
    run = max((corpus[index] for index in range(len(corpus))), key=lambda each: len(each.sentence_ends))
    runs = [Sample(number, run.input_ids, sentence_ends=run.sentence_ends) for number in range(2000)]
    pairs = Sentence(form="order").build(tokenizer).arrange(runs, seed=0, epoch=0)
    found = [len(split_pair(tokenizer, pair)[pair.label]) for pair in pairs]
    shares = np.unique(found, return_counts=True)[1] / len(found)
    assert np.unique(found).tolist() == run.sentence_ends[:-1].tolist()
    np.testing.assert_allclose(shares, 1 / (len(run.sentence_ends) - 1), atol=0.03)


def test_a_segment_from_elsewhere_ends_where_a_sentence_does() -> None:
    run = Sample(0, np.arange(20, dtype=np.int32), sentence_ends=np.array([4, 9, 15, 20], dtype=np.int32))
    found = {(int(each[0]), len(each)) for each in (take_sentences(run, 11, draw / 50) for draw in range(50))}
    assert found == {(0, 9), (4, 11), (9, 11)}, "from 15 on no eleven are left"
    assert len(take_sentences(run, 3, 0.0)) == 3, "a sentence that does not fit is cut"
    mixed = Sample(0, np.arange(20, dtype=np.int32), sentence_ends=np.array([12, 15, 20], dtype=np.int32))
    assert {len(take_sentences(mixed, 4, draw / 20)) for draw in range(20)} == {3}, "one that fits is taken first"
    assert take_sentences(run, 30, 0.9).tolist() == list(range(20))


def test_the_loss_is_that_of_a_float64_reference(opened: tuple[Tokenizer, Corpus]) -> None:
    tokenizer, corpus = opened
    objective = Sentence().build(tokenizer)
    model = make_model(tokenizer, objective.config.heads)
    batch = objective.prepare([corpus[index] for index in range(9)], seed=0, epoch=0)
    loss = objective.loss(model, batch)
    first = model(batch.packed)[batch.packed.starts]
    pooled = torch.tanh(first @ model.pooler.weight.T + model.pooler.bias)
    head = model.heads["next_sentence"].linear
    logs = (pooled @ head.weight.T + head.bias).log_softmax(dim=-1)
    expected = -logs[torch.arange(9), batch.targets["labels"]].sum()
    assert loss.sum.item() == pytest.approx(expected.item(), rel=1e-12)
    swapped = -logs[torch.arange(9), 1 - batch.targets["labels"]].sum()
    assert swapped.item() != pytest.approx(expected.item(), rel=1e-3)


def make_model(tokenizer: Tokenizer, heads: tuple, **changed: object) -> Transformer:
    values = {"hidden_size": 32, "num_layers": 2, "num_heads": 2, "intermediate_size": 64, "initializer_range": 0.1}
    no_dropout = Dropout(embedding=0.0, attention=0.0, residual=0.0)
    config = ModelConfig(vocab_size=tokenizer.vocab_size, dropout=no_dropout, heads=heads, **values | changed)
    model = Transformer(config)
    initialize(model, 0)
    return model.double().eval()


def test_a_model_learns_the_order_of_sentences(opened: tuple[Tokenizer, Corpus]) -> None:
    tokenizer, corpus = opened
    objective = Sentence(form="order").build(tokenizer)
    model = make_model(tokenizer, objective.config.heads, num_layers=1, initializer_range=0.05).float()
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
    runs = [corpus[index] for index in range(16)]
    for epoch in range(80):
        loss = objective.loss(model, objective.prepare(runs, seed=0, epoch=epoch))
        optimizer.zero_grad()
        (loss.sum / loss.count).backward()
        optimizer.step()
    with torch.inference_mode():
        metrics = objective.score(objective.measure(model, objective.prepare(runs, seed=0, epoch=-1)), ())
    assert metrics["accuracy"].value > 0.9


def test_each_form_has_the_head_of_its_own_name(opened: tuple[Tokenizer, Corpus]) -> None:
    tokenizer, corpus = opened
    for form, kind in (("next", "next_sentence"), ("order", "sentence_order")):
        objective = Sentence(form=form).build(tokenizer)
        assert [head.kind for head in objective.config.heads] == [objective.head.kind] == [kind]
        batch = objective.prepare([corpus[index] for index in range(4)], seed=0, epoch=0)
        assert objective.loss(make_model(tokenizer, objective.config.heads), batch).sum > 0


def test_show_names_the_pair_and_marks_its_border(opened: tuple[Tokenizer, Corpus]) -> None:
    tokenizer, corpus = opened
    runs = [corpus[index] for index in range(12)]
    lines = Sentence().build(tokenizer).show(Sentence().build(tokenizer).prepare(runs, 0, 0))
    assert {line[: line.index("]") + 1] for line in lines} == {"[follows]", "[from elsewhere]"}
    assert all(line.count("‖") == 1 and "[SEP] ‖ " in line for line in lines)


def test_a_tokenizer_without_the_tokens_of_a_pair_is_refused() -> None:
    tokenizer = train_tokenizer(WordPiece(vocab_size=60, min_frequency=1), ["a b c"])
    assert Sentence().build(tokenizer).head.kind == "next_sentence"
    with pytest.raises(ConfigError, match="has no cls token"):
        Sentence().build(Tokenizer(Backend(models.WordLevel({"a": 0}, unk_token="a"))))


def make_mix(weight: float, **masked: float) -> Mix:
    parts = (MixPart(weight=weight, objective=Masked(**masked)), MixPart(weight=1 - weight, objective=Sentence()))
    return Mix(parts=parts, max_length=80)


@pytest.mark.parametrize("weight", [0.5, 0.9])
def test_the_loss_of_a_mix_is_the_weighted_sum_of_the_means(opened: tuple[Tokenizer, Corpus], weight: float) -> None:
    tokenizer, corpus = opened
    objective = make_mix(weight).build(tokenizer)
    model = make_model(tokenizer, objective.heads)
    runs = [corpus[index] for index in range(20)]
    batch = objective.prepare(runs, seed=0, epoch=0)
    masked, sentence = objective.objectives
    pairs = sentence.arrange(runs, 0, 0)
    hidden = masked.prepare(pairs, 0, 0)
    assert torch.equal(hidden.packed.input_ids, batch.packed.input_ids), "what is masked is the pair"
    of_words = masked.loss(model, hidden)
    told = sentence.corrupt(pairs, 0, 0, 1.0)
    of_pairs = sentence.loss_on(model, told, model(batch.packed, rows=batch.packed.starts))
    expected = weight * of_words.sum / of_words.count + (1 - weight) * of_pairs / told.count
    loss = objective.loss(model, batch)
    assert (loss.sum / loss.count).item() == pytest.approx(expected.item(), rel=1e-12)
    assert loss.count == of_words.count + len(runs) and [part.count for part in batch.parts] == [of_words.count, 20]
    assert objective.guess_loss(100, []) == pytest.approx(weight * np.log(100) + (1 - weight) * np.log(2))


def test_a_step_weighs_by_all_its_targets_and_a_part_without_any_adds_nothing(
    opened: tuple[Tokenizer, Corpus],
) -> None:
    tokenizer, corpus = opened
    objective = make_mix(0.25).build(tokenizer)
    parts = [[corpus[0], corpus[1]], [corpus[index] for index in range(2, 20)]]
    batches = balance([objective.prepare(part, 0, 0) for part in parts])
    total = sum(batch.count for batch in batches)
    for number, weight in enumerate((0.25, 0.75)):
        of_part = sum(batch.parts[number].count for batch in batches)
        assert {batch.parts[number].factor for batch in batches} == {weight * total / of_part}
    alone = make_mix(0.25, rate=1e-9).build(tokenizer)
    batch = alone.prepare(parts[0], 0, 0)
    model = make_model(tokenizer, alone.heads)
    assert [part.count for part in batch.parts] == [0, 2] and batch.parts[0].factor == 0.0
    loss = alone.loss(model, batch)
    assert torch.isfinite(loss.sum) and loss.sum.item() / loss.count == pytest.approx(
        0.75 * alone.objectives[1].loss(model, alone.objectives[1].prepare(parts[0], 0, 0)).sum.item() / 2
    )


def test_show_of_a_mix_has_the_marks_of_both(opened: tuple[Tokenizer, Corpus]) -> None:
    tokenizer, corpus = opened
    objective = make_mix(0.5, rate=0.5).build(tokenizer)
    lines = objective.show(objective.prepare([corpus[index] for index in range(12)], 0, 0))
    assert all(line.startswith(("[follows] ", "[from elsewhere] ")) for line in lines)
    assert all("‖" in line and "→" in line for line in lines)
    words = Mix(
        parts=(MixPart(weight=0.5, objective=Masked(unit="word", rate=0.5)), MixPart(weight=0.5, objective=Sentence()))
    )
    shown = words.build(tokenizer).show(words.build(tokenizer).prepare([corpus[0]], 0, 0))[0]
    assert "‖" in shown and "→" in shown


def test_weights_that_do_not_sum_and_parts_that_do_not_fit_are_refused() -> None:
    masked, sentence = {"kind": "masked"}, {"kind": "sentence"}

    def mix(*weights: float, objectives: tuple[dict, ...] = (masked, sentence), **changed: object) -> Mix:
        parts = [{"weight": weight, "objective": each} for weight, each in zip(weights, objectives, strict=True)]
        return parse(Mix, {"parts": parts} | changed)

    assert mix(0.8, 0.2, max_length=64).parts[1].objective.max_length == 64
    assert parse(Mix, to_json(mix(0.8, 0.2, max_length=64))) == mix(0.8, 0.2, max_length=64)
    with pytest.raises(ConfigError, match=r"parts: the weights must sum to 1, got 1\.1"):
        mix(0.8, 0.3)
    for weights in ((1.5, -0.5), (1.0, 0.0)):
        with pytest.raises(ConfigError, match=r"parts\.[01]\.weight: must be"):
            mix(*weights)
    with pytest.raises(ConfigError, match="each kind of objective once, got masked, masked"):
        mix(0.5, 0.5, objectives=(masked, masked))
    with pytest.raises(ConfigError, match="parts: must be at least 2 long"):
        mix(1.0, objectives=(masked,))
    with pytest.raises(ConfigError, match=r"parts\.0\.objective\.max_length: is the mix's 128, got 64"):
        mix(0.5, 0.5, objectives=({"kind": "masked", "max_length": 64}, sentence))
