"""ROUGE (Lin 2004): what a summary has in common with its reference, by words (1), pairs of words (2) and order (L).

Google's `rouge_score` computes it, which follows ROUGE-1.5.5 for English: lower case, runs of a-z and 0-9, stems by
Porter where asked for. That keeps nothing of a Chinese text, which is cut here into characters or words, as the
signature says.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import numpy as np

from groundup.errors import ConfigError, DataError, MissingExtraError
from groundup.language.segment import Jieba, NoSegmenter, Segmenter
from groundup.metrics.suits import require_ascii_letters, require_chinese
from groundup.metrics.tally import Tally, mean_tally

Kind = Literal["rouge1", "rouge2", "rougeL", "rougeLsum"]
Cut = Literal["english", "english-stems", "characters", "jieba"]
"""How texts become words. characters: Chinese ones; what stands between them is cut at its ends."""

KINDS: tuple[Kind, ...] = ("rouge1", "rouge2", "rougeL", "rougeLsum")


class RougeScore(NamedTuple):
    """Of one text, between 0 and 1."""

    precision: float
    recall: float
    f1: float


def rouge_tallies(predictions: Sequence[str], references: Sequence[Sequence[str]], cut: Cut) -> dict[str, Tally]:
    """The mean F1 of every kind over texts, of several references the best; for rougeLsum a line is a sentence.

    Args:
        predictions: a text each.
        references: one or more texts for each.
        cut: `english`, with or without stems, or for Chinese `characters` or the words of `jieba`.

    Raises:
        ConfigError: the cut would lose the language of the references.
        MissingExtraError: rouge_score, or jieba, is not installed.
        DataError: not as many predictions as references, or a text without any reference.
    """
    if len(predictions) != len(references):
        got = (len(predictions), len(references))
        raise DataError("metrics", "predictions and references differ in number", got=got)
    empty = next((number for number, each in enumerate(references) if not each), None)
    if empty is not None:
        raise DataError("metrics", f"text {empty} has no reference", cure="leave it out")
    everything = [text for each in references for text in each]
    if cut in ("english", "english-stems"):
        require_ascii_letters(everything, "rouge", "cut Chinese into characters or by jieba")
    else:
        require_chinese(everything, "rouge", "cut English by english or english-stems")
    cutter = find_cutter(cut)
    scores = np.array(
        [
            [max(_score(prediction, text, cutter)[kind].f1 for text in texts) for kind in KINDS]
            for prediction, texts in zip(predictions, references, strict=True)
        ]
    ).reshape(len(predictions), len(KINDS))
    return {
        kind: mean_tally(kind, "texts", scores[:, number], f"{kind}, f1|words={cutter.name}")
        for number, kind in enumerate(KINDS)
    }


def score_rouge(prediction: str, reference: str, cut: Cut) -> dict[Kind, RougeScore]:
    """All kinds of one text."""
    return _score(prediction, reference, find_cutter(cut))


class Cutter(NamedTuple):
    """How a text becomes words, and how to say so."""

    name: str
    uses_stems: bool = False
    segmenter: Segmenter | None = None
    """None for English, which the library cuts itself."""

    def tokenize(self, text: str) -> list[str]:
        """The words of a text in lower case, signs dropped."""
        assert self.segmenter is not None
        text = text.lower()
        words = [text[start:end] for start, end in self.segmenter.segment(text)]
        return [word for word in words if any(char.isalnum() for char in word)]


def find_cutter(cut: Cut) -> Cutter:
    """The cutter of a name. Raises ConfigError where there is none."""
    if cut == "english":
        return Cutter("a-z and 0-9")
    if cut == "english-stems":
        return Cutter("a-z and 0-9, stems of more than 3 letters by porter", uses_stems=True)
    if cut not in ("characters", "jieba"):
        raise ConfigError("rouge", "there is no such cut", got=cut, cure="english, english-stems, characters or jieba")
    segmenter = Jieba().build("rouge") if cut == "jieba" else NoSegmenter().build()
    name = segmenter.name if cut == "jieba" else "characters"
    return Cutter(f"{name}, lower case, signs dropped", segmenter=segmenter)


def _score(prediction: str, reference: str, cutter: Cutter) -> dict[Kind, RougeScore]:
    found = _load_scorer(cutter).score(reference, prediction)
    return {kind: RougeScore(found[kind].precision, found[kind].recall, found[kind].fmeasure) for kind in KINDS}


@lru_cache(maxsize=8)
def _load_scorer(cutter: Cutter) -> Any:
    try:
        from rouge_score.rouge_scorer import RougeScorer
    except ImportError:
        raise MissingExtraError("rouge", "rouge_score", "metrics") from None
    tokenizer = None if cutter.segmenter is None else cutter
    return RougeScorer(list(KINDS), use_stemmer=cutter.uses_stems, tokenizer=tokenizer)
