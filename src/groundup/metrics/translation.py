"""BLEU and chrF of translations, as sacreBLEU (Post 2018) computes them, with its signature.

BLEU (Papineni et al. 2002): how many runs of one to four words a translation shares with its references, cut short
where it is too short. Its value depends on how text is cut into words, so the language decides that: 13a, of the
campaigns of WMT, at spaces and signs; zh, each Chinese character alone. chrF (Popović 2015): runs of one to six
characters, with recall weighing twice; chrF++ adds runs of one and two words. All figures are in percent.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from groundup.errors import ConfigError, DataError, MissingExtraError
from groundup.metrics.suits import require_chinese, require_spaced
from groundup.metrics.tally import Tally, sums_tally

if TYPE_CHECKING:
    from sacrebleu.metrics.base import Metric as Scorer

_CUT_BY_PROGRAMS = {"ja": "MeCab", "ko": "MeCab", "th": "a dictionary", "km": "a dictionary", "lo": "a dictionary"}


def bleu_tally(predictions: Sequence[str], references: Sequence[Sequence[str]], language: str) -> Tally:
    """BLEU over all texts, with exponential smoothing of orders without a hit (Chen and Cherry 2014, method 3).

    Args:
        predictions: a translation each.
        references: one or more right translations of each.
        language: of the translations: `en`, `de`, `zh` and so on.

    Raises:
        MissingExtraError: sacreBLEU is not installed.
        ConfigError: the language needs words that only a program of its own can find, or the texts are not in it.
        DataError: not as many translations as references, or one without any reference.
    """
    _check_number(predictions, references)
    words = find_words(language, (text for each in references for text in each))
    return _tally("bleu", _load("bleu").BLEU(tokenize=words), predictions, references)


def chrf_tally(predictions: Sequence[str], references: Sequence[Sequence[str]], *, num_words: int = 0) -> Tally:
    """chrF2 over all texts, for every language; with `num_words=2` chrF2++, for those with spaces between words.

    Raises:
        MissingExtraError: sacreBLEU is not installed.
        ConfigError: words are asked for where the language has no spaces.
        DataError: not as many translations as references, or one without any reference.
    """
    _check_number(predictions, references)
    name = "chrf" + "+" * num_words
    if num_words:
        require_spaced((text for each in references for text in each), name, "score it by chrf")
    return _tally(name, _load(name).CHRF(word_order=num_words), predictions, references)


def find_words(language: str, references: Iterable[str]) -> str:
    """sacreBLEU's name of the words of a language. Raises ConfigError where that makes no sense for the references."""
    if language in _CUT_BY_PROGRAMS:
        what = f"needs words of {language}, which only {_CUT_BY_PROGRAMS[language]} can find"
        raise ConfigError("bleu", what, cure="score it by chrf, which needs none")
    if language == "zh":
        require_chinese(references, "bleu", "name the language of the translations")
        return "zh"
    require_spaced(references, "bleu", "set the language to zh where it is Chinese, else score by chrf")
    return "13a"


def _load(where: str) -> Any:
    try:
        from sacrebleu import metrics
    except ImportError:
        raise MissingExtraError(where, "sacrebleu", "metrics") from None
    return metrics


def _tally(name: str, scorer: Scorer, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> Tally:
    """sacreBLEU's own statistics of each text; its own figure of their sums, as in its bootstrap."""
    most = max((len(each) for each in references), default=1)
    # It wants the first references of all texts, then the second ones; None where a text has fewer.
    streams = [[each[number] if number < len(each) else None for each in references] for number in range(most)]
    parts = scorer._extract_corpus_statistics(list(predictions), streams) if predictions else [[0.0]]

    def figure(sums: Float[np.ndarray, "resamples parts"]) -> Float[np.ndarray, " resamples"]:
        return np.array([scorer._compute_score_from_stats(row).score for row in sums.tolist()])

    parts = np.array(parts, dtype=np.float64)[: len(predictions)]
    return sums_tally(name, "texts", parts, figure, scorer.get_signature().format(), 100.0)


def _check_number(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> None:
    if len(predictions) != len(references):
        got = (len(predictions), len(references))
        raise DataError("metrics", "translations and references differ in number", got=got)
    empty = next((number for number, each in enumerate(references) if not each), None)
    if empty is not None:
        raise DataError("metrics", f"text {empty} has no reference", cure="leave it out")
