"""BLEU and chrF of translations, digit for digit those of sacreBLEU (Post 2018), whose signature they carry.

BLEU (Papineni et al. 2002): how many runs of one to four words a translation shares with its references, cut short
where it is too short. Its value depends on how text is cut into words, so the language decides that: 13a, of the
campaigns of WMT, at spaces and signs; zh, each Chinese character alone. chrF (Popović 2015): runs of one to six
characters, with recall weighing twice; chrF++ adds runs of one and two words. All figures are in percent.
"""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from jaxtyping import Float

from groundup.errors import ConfigError, DataError
from groundup.metrics.suits import require_chinese, require_spaced
from groundup.metrics.tally import Tally, divide, sums_tally
from groundup.metrics.translation_words import split_13a, split_zh

SACREBLEU = "2.6.0"
"""The release of sacreBLEU whose figures these are."""

_MOST_WORDS = 4
_MOST_CHARACTERS = 6
_RECALL_WEIGHT = 2.0
_WORDS_OF = {"zh": ("zh", split_zh)}
_CUT_BY_PROGRAMS = {"ja": "MeCab", "ko": "MeCab", "th": "a dictionary", "km": "a dictionary", "lo": "a dictionary"}


def bleu_tally(predictions: Sequence[str], references: Sequence[Sequence[str]], language: str) -> Tally:
    """BLEU over all texts, with exponential smoothing of orders without a hit (Chen and Cherry 2014, method 3).

    Args:
        predictions: a translation each.
        references: one or more right translations of each.
        language: of the translations: `en`, `de`, `zh` and so on.

    Raises:
        ConfigError: the language needs words that only a program of its own can find, or the texts are not in it.
        DataError: not as many translations as references, or one without any reference.
    """
    _check_number(predictions, references)
    name, words_of = find_words(language, (text for each in references for text in each))
    parts = np.zeros((len(predictions), 2 + 2 * _MOST_WORDS))
    for row, (prediction, texts) in enumerate(zip(predictions, references, strict=True)):
        words, others = words_of(prediction.rstrip()), [words_of(text.rstrip()) for text in texts]
        parts[row] = _bleu_parts(words, others)
    signature = f"nrefs:{_count_references(references)}|case:mixed|eff:no|tok:{name}|smooth:exp|version:{SACREBLEU}"
    return sums_tally("bleu", "texts", parts, _bleu, signature, 100.0)


def chrf_tally(predictions: Sequence[str], references: Sequence[Sequence[str]], *, num_words: int = 0) -> Tally:
    """chrF2 over all texts, for every language; with `num_words=2` chrF2++, for those with spaces between words.

    Raises:
        ConfigError: words are asked for where the language has no spaces.
        DataError: not as many translations as references, or one without any reference.
    """
    _check_number(predictions, references)
    name = "chrf" + "+" * num_words
    if num_words:
        require_spaced((text for each in references for text in each), name, "score it by chrf")
    parts = np.array(
        [_chrf_parts(prediction, texts, num_words) for prediction, texts in zip(predictions, references, strict=True)]
    )
    signature = (
        f"nrefs:{_count_references(references)}|case:mixed|eff:yes|nc:{_MOST_CHARACTERS}|nw:{num_words}|space:no"
        f"|version:{SACREBLEU}"
    )
    return sums_tally(name, "texts", parts.reshape(len(predictions), -1), _chrf, signature, 100.0)


def find_words(language: str, references: Iterable[str]) -> tuple[str, Callable[[str], list[str]]]:
    """How texts of a language are cut for BLEU. Raises ConfigError where that makes no sense for the references."""
    if language in _CUT_BY_PROGRAMS:
        what = f"needs words of {language}, which only {_CUT_BY_PROGRAMS[language]} can find"
        raise ConfigError("bleu", what, cure="score it by chrf, which needs none")
    if language == "zh":
        require_chinese(references, "bleu", "name the language of the translations")
    else:
        require_spaced(references, "bleu", "set the language to zh where it is Chinese, else score by chrf")
    return _WORDS_OF.get(language, ("13a", split_13a))


def _check_number(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> None:
    if len(predictions) != len(references):
        got = (len(predictions), len(references))
        raise DataError("metrics", "translations and references differ in number", got=got)
    empty = next((number for number, each in enumerate(references) if not each), None)
    if empty is not None:
        raise DataError("metrics", f"text {empty} has no reference", cure="leave it out")


def _count_references(references: Sequence[Sequence[str]]) -> str:
    counts = {len(each) for each in references}
    return str(counts.pop()) if len(counts) == 1 else "var"


def _bleu_parts(words: list[str], references: list[list[str]]) -> list[int]:
    """Words, those of the nearest reference, hits of each order, and runs of each order."""
    nearest = min((len(each) for each in references), key=lambda size: (abs(size - len(words)), size))
    hits, totals = [], []
    for order in range(1, _MOST_WORDS + 1):
        ours = _runs(words, order)
        theirs: Counter[tuple[str, ...] | str] = Counter()
        for each in references:
            theirs |= _runs(each, order)
        hits.append(sum((ours & theirs).values()))
        totals.append(sum(ours.values()))
    return [len(words), nearest, *hits, *totals]


def _bleu(sums: Float[np.ndarray, "resamples parts"]) -> Float[np.ndarray, " resamples"]:
    ours, theirs = sums[:, 0], sums[:, 1]
    hits, totals = sums[:, 2 : 2 + _MOST_WORDS], sums[:, 2 + _MOST_WORDS :]
    # Each order without a hit halves once more what it counts as.
    missed = np.cumsum(hits == 0, axis=1)
    precisions = divide(np.where(hits > 0, hits, 0.5**missed), totals)
    is_known = (precisions > 0).all(axis=1) & (hits > 0).any(axis=1)
    logs = np.log(np.where(is_known[:, None], precisions, 1.0)).mean(axis=1)
    shortness = np.minimum(0.0, 1.0 - divide(theirs, ours))
    return np.where(is_known, 100.0 * np.exp(shortness + logs), 0.0)


def _chrf_parts(prediction: str, references: Sequence[str], num_words: int) -> list[int]:
    """Runs of each order: ours, theirs, in common; of several references by that of the best score."""
    found = [_chrf_parts_of(prediction, text, num_words) for text in references]
    return max(found, key=lambda parts: float(_chrf(np.array([parts], dtype=np.float64))[0]))


def _chrf_parts_of(prediction: str, reference: str, num_words: int) -> list[int]:
    sides = [("".join(text.split()), _split_ends(text)) for text in (prediction, reference)]
    parts = []
    for kind, most in ((0, _MOST_CHARACTERS), (1, num_words)):
        for order in range(1, most + 1):
            ours, theirs = (_runs(side[kind], order) for side in sides)
            # Where the reference has no run of this length there is nothing to miss.
            parts += [sum(ours.values()) if theirs else 0, sum(theirs.values()), sum((ours & theirs).values())]
    return parts


def _chrf(sums: Float[np.ndarray, "resamples parts"]) -> Float[np.ndarray, " resamples"]:
    ours, theirs, common = np.moveaxis(sums.reshape(len(sums), -1, 3), 2, 0)
    is_known = (ours > 0) & (theirs > 0)
    orders = is_known.sum(axis=1)
    precision = divide((divide(common, ours) * is_known).sum(axis=1), orders)
    recall = divide((divide(common, theirs) * is_known).sum(axis=1), orders)
    weight = _RECALL_WEIGHT**2
    return 100.0 * divide((1.0 + weight) * precision * recall, weight * precision + recall)


def _split_ends(text: str) -> list[str]:
    """Words with one ASCII sign at their end, or else at their start, as a word of its own."""
    words = []
    for word in text.split():
        if len(word) > 1 and word[-1] in string.punctuation:
            words += [word[:-1], word[-1]]
        elif len(word) > 1 and word[0] in string.punctuation:
            words += [word[0], word[1:]]
        else:
            words.append(word)
    return words


def _runs(items: Sequence[str], size: int) -> Counter[tuple[str, ...] | str]:
    """How often each run of `size` items stands in a text; of a string, each stretch of characters."""
    starts = range(len(items) - size + 1)
    if isinstance(items, str):
        return Counter(items[start : start + size] for start in starts)
    return Counter(tuple(items[start : start + size]) for start in starts)
