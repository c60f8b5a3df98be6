"""Scores of whole texts, against one forward pass a token; and minimal pairs as they are read and counted."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from groundup.errors import ConfigError, DataError
from groundup.model.config import ModelConfig
from groundup.model.initialize import initialize
from groundup.model.packed import Packed
from groundup.model.transformer import Transformer
from groundup.objectives.causal import Causal
from groundup.objectives.hybrid import Hybrid
from groundup.objectives.likelihood import find_readings, score_texts
from groundup.objectives.masked import Masked
from groundup.objectives.protocol import Objective
from groundup.readers.minimal_pairs import MinimalPair, read_minimal_pairs
from groundup.text.tokenizer import Tokenizer, WordPiece, train_tokenizer
from groundup.verbs.evaluate import score_pairs

TEXTS = ["the cat sees a dog", "猫看见狗", "a dog", "the the the cat 狗 sees"]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer(WordPiece(vocab_size=60, min_frequency=1), TEXTS * 3)


def build(objective: Objective, tokenizer: Tokenizer, *, is_causal: bool) -> Transformer:
    config = ModelConfig(
        vocab_size=tokenizer.vocab_size,
        hidden_size=16,
        num_layers=2,
        num_heads=2,
        intermediate_size=32,
        max_length=16,
        causal=is_causal,
        heads=(objective.head,),
    )
    model = Transformer(config)
    initialize(model, 0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2)))
    return model.eval()


def log_probability(model: Transformer, ids: list[int], place: int, row: int, order: list[int] | None) -> float:
    packed = Packed.from_sequences([np.array(ids)])
    if order is not None:
        packed = replace(packed, order=torch.tensor(order))
    with torch.no_grad():
        hidden = model(packed)[row : row + 1]
        (head,) = model.heads.values()
        return float(head(hidden)[0].double().log_softmax(-1)[place])


@pytest.mark.parametrize("length", [4, 16384])
def test_a_causal_score_is_the_chain_rule(tokenizer: Tokenizer, length: int) -> None:
    objective = Causal(max_length=16).build(tokenizer)
    model = build(objective, tokenizer, is_causal=True)
    found = score_texts(model, objective, TEXTS, max_tokens=length)
    for text, score in zip(TEXTS, found, strict=True):
        ids = [tokenizer.cls_id, *tokenizer.encode_plain([text])[0].tolist()]
        terms = [log_probability(model, ids[:end], ids[end], end - 1, None) for end in range(1, len(ids))]
        assert score == pytest.approx(sum(terms), abs=1e-4)
        assert score != pytest.approx(sum(terms[1:]), abs=1e-2)


@pytest.mark.parametrize("length", [4, 16384])
def test_a_masked_score_hides_one_token_at_a_time(tokenizer: Tokenizer, length: int) -> None:
    objective = Masked(max_length=16).build(tokenizer)
    model = build(objective, tokenizer, is_causal=False)
    found = score_texts(model, objective, TEXTS, max_tokens=length)
    for text, score in zip(TEXTS, found, strict=True):
        ids = tokenizer.encode(text).input_ids.tolist()
        hide = lambda place: [tokenizer.mask_id if at == place else each for at, each in enumerate(ids)]  # noqa: B023,E731
        terms = [log_probability(model, hide(place), ids[place], place, None) for place in range(1, len(ids) - 1)]
        assert score == pytest.approx(sum(terms), abs=1e-4)
        seen = [log_probability(model, ids, ids[place], place, None) for place in range(1, len(ids) - 1)]
        assert score != pytest.approx(sum(seen), abs=1e-2), "a token that is not hidden must be told"


def test_a_hybrid_reads_both_ways_one_place_ahead(tokenizer: Tokenizer) -> None:
    objective = Hybrid(max_length=16).build(tokenizer)
    model = build(objective, tokenizer, is_causal=False)
    assert find_readings(objective) == ("masked", "causal")
    masked, causal = (score_texts(model, objective, TEXTS, reading=each) for each in ("masked", "causal"))
    for number, text in enumerate(TEXTS):
        ids = tokenizer.encode(text).input_ids.tolist()
        order = list(range(len(ids)))
        hide = lambda place: [tokenizer.mask_id if at == place else each for at, each in enumerate(ids)]  # noqa: B023,E731
        places = range(1, len(ids) - 1)
        assert masked[number] == pytest.approx(
            sum(log_probability(model, hide(place), ids[place], place - 1, [0] * len(ids)) for place in places),
            abs=1e-4,
        )
        assert causal[number] == pytest.approx(
            sum(log_probability(model, ids, ids[place], place - 1, order) for place in places), abs=1e-4
        )
    assert score_texts(model, objective, TEXTS) == pytest.approx(masked)


def test_what_cannot_be_read_says_so(tokenizer: Tokenizer) -> None:
    objective = Masked(max_length=16).build(tokenizer)
    model = build(objective, tokenizer, is_causal=False)
    with pytest.raises(
        ConfigError, match="a model of kind 'masked' does not read texts so, got 'causal'; read it masked"
    ):
        score_texts(model, objective, TEXTS, reading="causal")
    with pytest.raises(DataError, match=r"texts: 'the cat.*longer than the 16 positions of the model, got 22"):
        score_texts(model, objective, [*TEXTS, "the cat " * 10])
    with pytest.raises(DataError, match="has no token"):
        score_texts(model, objective, [*TEXTS, " "])


def test_pairs_are_read_as_they_are_released(tmp_path: Path) -> None:
    rows = [
        {"sentence_good": "a cat sees", "sentence_bad": "a cat see", "UID": "agreement", "field": "morphology"},
        {"sentence_good": "猫看见狗", "sentence_bad": "猫狗看见"},
    ]
    path = tmp_path / "own.jsonl"
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    expected = [
        MinimalPair("a cat sees", "a cat see", "agreement", "morphology"),
        MinimalPair("猫看见狗", "猫狗看见", "own", None),
    ]
    assert read_minimal_pairs([str(path)]) == (expected, 0)
    alike = json.dumps({"sentence_good": "a", "sentence_bad": "a"})
    with path.open("a", encoding="utf-8") as file:
        file.write(f"\n{alike}\n")
    assert read_minimal_pairs([str(path)]) == (expected, 1), "BLiMP has some in which nobody can choose"
    path.write_text(json.dumps({"sentence_good": "a"}), encoding="utf-8")
    with pytest.raises(DataError, match=r"own\.jsonl:1.*has no text in 'sentence_bad'"):
        read_minimal_pairs([str(path)])
    for empty in ("\n", alike):
        path.write_text(empty, encoding="utf-8")
        with pytest.raises(DataError, match="holds no pair"):
            read_minimal_pairs([str(path)])


def test_paradigms_count_alike_whatever_their_size() -> None:
    pairs = [MinimalPair("a", "b", "many", "x")] * 8 + [MinimalPair("a", "b", "few", "y")] * 2
    is_right = np.array([True] * 6 + [False] * 2 + [True, False])
    metrics, paradigms = score_pairs(pairs, is_right, "causal")
    assert metrics["accuracy"].value == pytest.approx((0.75 + 0.5) / 2)
    assert metrics["accuracy[x]"].value == 0.75 and paradigms["accuracy[few]"].value == 0.5
    assert metrics["accuracy"].low < metrics["accuracy"].value < metrics["accuracy"].high
    assert "mean over 2 paradigms|n=10|edges=" in metrics["accuracy"].signature
    assert (
        "|left out: 3 of the same sentence twice|" in score_pairs(pairs, is_right, "causal", 3)[0]["accuracy"].signature
    )
