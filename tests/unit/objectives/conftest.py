from __future__ import annotations

import numpy as np
import pytest

from groundup.model.config import Dropout, MaskedLMHead, ModelConfig
from groundup.model.initialize import initialize
from groundup.model.transformer import Transformer
from groundup.text.sample import Sample
from groundup.text.tokenizer import Tokenizer, WordPiece, train_tokenizer

ENGLISH = [
    "a slow film that finds its feet in the last half hour",
    "the acting is fine but the story goes nowhere at all",
    "one of the best films of the year",
    "dull",
]
CHINESE = ["这部电影节奏很慢但是结尾非常好看", "演员不错可惜故事没有意思", "今年最好的电影之一", "无聊"]


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    return train_tokenizer(WordPiece(vocab_size=400, min_frequency=1, character_coverage=1.0), [*ENGLISH, *CHINESE] * 3)


@pytest.fixture
def samples(tokenizer: Tokenizer) -> list[Sample]:
    encoded = tokenizer.encode_batch([*ENGLISH, *CHINESE])
    return [Sample(10 + 3 * number, each.input_ids, None) for number, each in enumerate(encoded)]


@pytest.fixture
def model(tokenizer: Tokenizer) -> Transformer:
    no_dropout = Dropout(embedding=0.0, attention=0.0, residual=0.0)
    config = ModelConfig(
        vocab_size=tokenizer.vocab_size,
        hidden_size=32,
        num_layers=2,
        num_heads=2,
        intermediate_size=64,
        max_length=64,
        dropout=no_dropout,
        heads=(MaskedLMHead(),),
        initializer_range=0.1,
    )
    model = Transformer(config)
    initialize(model, 0)
    return model


@pytest.fixture
def many(tokenizer: Tokenizer) -> list[Sample]:
    """Random sequences over the regular vocabulary, lengths 3 to 60."""
    generator = np.random.default_rng(0)
    regular = np.setdiff1d(np.arange(tokenizer.vocab_size), list(tokenizer.special_ids))
    found = []
    for number in range(600):
        ids = generator.choice(regular, generator.integers(1, 59))
        found.append(Sample(number, np.array([*tokenizer.prefix_ids, *ids, *tokenizer.suffix_ids], dtype=np.int32)))
    return found
