"""Figures of texts that are predicted token by token, by whatever they are predicted from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from torch import Tensor

from groundup.language.scripts import count_words
from groundup.metrics.interval import CONFIDENCE, NUM_RESAMPLES, Interval, bootstrap_ratio, bootstrap_share
from groundup.metrics.metric import Metric
from groundup.objectives.loss import token_losses
from groundup.objectives.protocol import Batch
from groundup.text.tokenizer import Tokenizer

GIVEN_MARK = "⇒"
"""Stands, for people, between what is given and what is to be predicted."""

Parts = Sequence[tuple[list[int], list[int]]]
"""Of each sequence the ids that are given and those to predict."""


def measure_next_tokens(
    logits: Float[Tensor, "rows vocab"], batch: Batch, parts: Parts, tokenizer: Tokenizer
) -> dict[str, np.ndarray]:
    """Of each token: `nll` in nats, whether it is the likeliest, its sample; of each sample its text's size."""
    labels = batch.targets["labels"]
    sizes = np.array([_count_text(*each, tokenizer) for each in parts], dtype=np.int64).reshape(-1, 3)
    return {
        "nll": token_losses(logits, labels).cpu().numpy(),
        "correct": (logits.argmax(dim=-1) == labels).cpu().numpy(),
        "sample": np.repeat(batch.samples, [len(asked) for _, asked in parts]),
        "text_sample": batch.samples,
        "text_sizes": sizes,
    }


def score_next_tokens(measured: Mapping[str, np.ndarray], tokenizer: Tokenizer, given: str = "") -> dict[str, Metric]:
    """`loss` (nats a token), `perplexity` by token, word and character, `bits_per_byte`, `accuracy`.

    Samples are resampled whole. Only figures by word, character or byte compare across tokenizers. `given` says what
    the tokens come after, where that is no plain text.
    """
    samples, of_token = np.unique(measured["sample"], return_inverse=True)
    losses = np.bincount(of_token, weights=measured["nll"].astype(np.float64))
    right = np.bincount(of_token, weights=measured["correct"].astype(np.float64))
    tokens = np.bincount(of_token).astype(np.float64)
    sizes = np.zeros((3, len(samples)))
    of_text = np.searchsorted(samples, measured["text_sample"])
    np.add.at(sizes.T, of_text, measured["text_sizes"].astype(np.float64))
    tail = (
        f"tokenizer={tokenizer.digest[:12]}|samples={len(samples)}"
        f"|interval=percentile bootstrap over samples, {CONFIDENCE:.0%}|resamples={NUM_RESAMPLES}|seed=0|v1"
    )
    loss = bootstrap_ratio(losses, tokens)
    found = {
        "loss": (loss, tokens, "nats a token"),
        "perplexity": (_exp(loss), tokens, "exp(loss)"),
        "accuracy": (bootstrap_share(right, tokens), tokens, "share of tokens that are the most likely one"),
    }
    units = (
        ("bits_per_byte", "bits a UTF-8 byte of decoded text", lambda each: each.scale(1 / np.log(2))),
        ("character_perplexity", "exp(nats a character)", _exp),
        ("word_perplexity", "exp(nats a word); a Chinese character counts as a word", _exp),
    )
    for (name, how, convert), size in zip(units, sizes, strict=True):
        if size.sum():
            found[name] = (convert(bootstrap_ratio(losses, size)), size, how)
    what = f"next token{given}"
    return {
        name: Metric(name, each.value, int(size.sum()), f"{what}, {how}|n={int(size.sum())}|{tail}", *each[1:])
        for name, (each, size, how) in found.items()
    }


def show_pair(given: Sequence[int], asked: Sequence[int], tokenizer: Tokenizer) -> str:
    """A sequence in tokens, `⇒` between what is given and what is to be predicted."""
    before, after = ([_visible(token) for token in tokenizer.tokens(ids)] for ids in (given, asked))
    return " ".join([*before, GIVEN_MARK, *after])


def _count_text(given: list[int], asked: list[int], tokenizer: Tokenizer) -> tuple[int, int, int]:
    """Bytes, characters and words of the text that is asked for; a word counts where it starts."""
    before, both = tokenizer.to_bytes(given), tokenizer.to_bytes(given + asked)
    raw = both[len(before) :]
    words = [count_words(each.decode("utf-8", errors="ignore")) for each in (before, both)]
    return len(raw), sum(byte & 0xC0 != 0x80 for byte in raw), max(0, words[1] - words[0])


def _exp(interval: Interval) -> Interval:
    return Interval(*(float(np.exp(min(value, 700.0))) for value in interval))


def _visible(token: str) -> str:
    """A token of white space as a sign that can be seen."""
    return token.replace("\n", "↵").replace("\t", "⇥") if token.strip(" ") else "␣" * len(token)
