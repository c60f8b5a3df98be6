"""ROUGE (Lin 2004): what a summary has in common with its reference, by words (1), pairs of words (2) and order (L).

English as Google's `rouge_score` has it, which follows ROUGE-1.5.5: lower case, runs of a-z and 0-9, stems by Porter
where asked for. That keeps nothing of a Chinese text, which is cut into characters or words, as the signature says.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np

from groundup.errors import ConfigError, DataError
from groundup.language.segment import Jieba, NoSegmenter, Segmenter
from groundup.metrics.stemmer import stem
from groundup.metrics.suits import require_ascii_letters, require_chinese
from groundup.metrics.tally import Tally, mean_tally

Kind = Literal["rouge1", "rouge2", "rougeL", "rougeLsum"]
Cut = Literal["english", "english-stems", "characters", "jieba"]
"""How texts become words. characters: Chinese ones; what stands between them is cut at its ends."""

KINDS: tuple[Kind, ...] = ("rouge1", "rouge2", "rougeL", "rougeLsum")

_ENGLISH_WORD = re.compile(r"[a-z0-9]+")


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
        MissingExtraError: jieba is not installed.
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
    words_of, how = find_cutter(cut)
    scores = np.array(
        [
            [max(_scores(prediction, text, words_of)[kind].f1 for text in texts) for kind in KINDS]
            for prediction, texts in zip(predictions, references, strict=True)
        ]
    ).reshape(len(predictions), len(KINDS))
    return {
        kind: mean_tally(kind, "texts", scores[:, number], f"{kind}, f1|words={how}")
        for number, kind in enumerate(KINDS)
    }


def score_rouge(prediction: str, reference: str, cut: Cut) -> dict[Kind, RougeScore]:
    """All kinds of one text."""
    return _scores(prediction, reference, find_cutter(cut)[0])


def find_cutter(cut: Cut) -> tuple[Callable[[str], list[str]], str]:
    """How a text becomes words, and how to say so."""
    if cut == "english":
        return lambda text: _ENGLISH_WORD.findall(text.lower()), "a-z and 0-9"
    if cut == "english-stems":
        return _stemmed, "a-z and 0-9, stems of more than 3 letters by porter"
    if cut not in ("characters", "jieba"):
        raise ConfigError("rouge", "there is no such cut", got=cut, cure="english, english-stems, characters or jieba")
    segmenter = Jieba().build("rouge") if cut == "jieba" else NoSegmenter().build()
    name = segmenter.name if cut == "jieba" else "characters"
    return lambda text: _segmented(text, segmenter), f"{name}, lower case, signs dropped"


def _stemmed(text: str) -> list[str]:
    # ROUGE-1.5.5 leaves the shortest words as they are.
    return [stem(word) if len(word) > 3 else word for word in _ENGLISH_WORD.findall(text.lower())]


def _segmented(text: str, segmenter: Segmenter) -> list[str]:
    text = text.lower()
    words = [text[start:end] for start, end in segmenter.segment(text)]
    return [word for word in words if any(char.isalnum() for char in word)]


def _scores(prediction: str, reference: str, words_of: Callable[[str], list[str]]) -> dict[Kind, RougeScore]:
    predicted, true = words_of(prediction), words_of(reference)
    lines = [[words_of(line) for line in text.split("\n") if line] for text in (prediction, reference)]
    return {
        "rouge1": _score_ngrams(predicted, true, 1),
        "rouge2": _score_ngrams(predicted, true, 2),
        "rougeL": _score(_common_length(predicted, true), len(predicted), len(true)),
        "rougeLsum": _score_lines(*lines),
    }


def _score(common: int, predicted: int, true: int) -> RougeScore:
    precision, recall = common / max(predicted, 1), common / max(true, 1)
    f1 = 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0
    return RougeScore(precision, recall, f1)


def _score_ngrams(predicted: Sequence[str], true: Sequence[str], size: int) -> RougeScore:
    ours, theirs = (
        Counter(tuple(words[start : start + size]) for start in range(len(words) - size + 1))
        for words in (predicted, true)
    )
    return _score(sum((ours & theirs).values()), sum(ours.values()), sum(theirs.values()))


def _common_length(first: Sequence[str], second: Sequence[str]) -> int:
    """The length of the longest common subsequence, a row of its table as the bits of one number (Hyyrö 2004)."""
    places: dict[str, int] = {}
    for place, word in enumerate(first):
        places[word] = places.get(word, 0) | 1 << place
    every = (1 << len(first)) - 1
    row = every
    for word in second:
        hits = row & places.get(word, 0)
        row = ((row + hits) | (row - hits)) & every
    return len(first) - row.bit_count()


def _score_lines(predicted: Sequence[Sequence[str]], true: Sequence[Sequence[str]]) -> RougeScore:
    """By summary (section 3.2): of each true line the words that lie on a common subsequence with any predicted line.

    As in ROUGE-1.5.5, and not in the paper, no word counts more often than it stands in the prediction.
    """
    left = Counter(word for line in predicted for word in line)
    common = 0
    for line in true:
        on_any = sorted({place for other in predicted for place in _common_places(line, other)})
        for place in on_any:
            if left[line[place]] > 0:
                left[line[place]] -= 1
                common += 1
    return _score(common, sum(map(len, predicted)), sum(map(len, true)))


def _common_places(line: Sequence[str], other: Sequence[str]) -> list[int]:
    """Where in `line` one longest common subsequence lies: of several the one that ROUGE-1.5.5 walks back along."""
    table = [[0] * (len(other) + 1)]
    for word in line:
        before, row = table[-1], [0]
        for place, each in enumerate(other):
            row.append(before[place] + 1 if word == each else max(before[place + 1], row[place]))
        table.append(row)
    places = []
    row, column = len(line), len(other)
    while row and column:
        if line[row - 1] == other[column - 1]:
            row, column = row - 1, column - 1
            places.append(row)
        elif table[row][column - 1] > table[row - 1][column]:
            column -= 1
        else:
            row -= 1
    return places
