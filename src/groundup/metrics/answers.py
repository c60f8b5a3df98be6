"""Answers against the true ones: exact match and F1 as the official scripts of SQuAD and CMRC 2018 compute them.

SQuAD (Rajpurkar et al. 2016, 2018) compares lower-cased words without punctuation and articles, each as often as it
stands. CMRC 2018 (Cui et al. 2019) cuts Chinese into characters and the rest into words, and takes the longest stretch
that both have in common. Of several true answers the best counts. All figures are in percent.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal, NamedTuple, get_args

import numpy as np
from jaxtyping import Bool, Float

from groundup.errors import ConfigError, DataError
from groundup.metrics.mixed_words import MARKS, mixed_words
from groundup.metrics.suits import is_spaced, require_chinese, require_spaced
from groundup.metrics.tally import Tally, mean_tally

Rule = Literal["squad1.1", "squad2.0", "cmrc2018", "cmrc2018+none"]
"""Whose script; CMRC 2018 knows no question without answer, so `+none` counts such as SQuAD 2.0 does."""

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


class Threshold(NamedTuple):
    """From which probability of there being no answer on none is given."""

    value: float
    """None is given where the probability lies above it."""
    score: float
    """The mean score with it, in percent."""


def normalize(text: str) -> str:
    """SQuAD's comparable form: lower case, no ASCII punctuation, no articles, single spaces."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split())


def squad_exact(prediction: str, answer: str) -> float:
    """1 where both have the same comparable form."""
    return float(normalize(prediction) == normalize(answer))


def squad_f1(prediction: str, answer: str, *, rewards_none: bool = True) -> float:
    """F1 of the words of both; where neither has one, 1 by version 2.0 (`rewards_none`) and 0 by version 1.1."""
    predicted, true = normalize(prediction).split(), normalize(answer).split()
    if not predicted or not true:
        return float(predicted == true and rewards_none)
    common = sum((Counter(predicted) & Counter(true)).values())
    if not common:
        return 0.0
    precision, recall = common / len(predicted), common / len(true)
    return 2 * precision * recall / (precision + recall)


def cmrc_exact(prediction: str, answer: str) -> float:
    """1 where both are alike but for case and the marks that CMRC's script drops."""
    return float(_without_marks(prediction) == _without_marks(answer))


def cmrc_f1(prediction: str, answer: str, *, rewards_none: bool = False) -> float:
    """F1 of the longest stretch of characters and words in common; with `rewards_none` 1 where neither has one."""
    predicted, true = (mixed_words(text, keeps_marks=False) for text in (prediction, answer))
    if not predicted or not true:
        return float(predicted == true and rewards_none)
    common = _longest_common(predicted, true)
    if not common:
        return 0.0
    precision, recall = common / len(predicted), common / len(true)
    return 2 * precision * recall / (precision + recall)


def choose_rule(answers: Sequence[str], *, knows_none: bool) -> Rule:
    """The rule for the language of such answers, where some questions may have none or not."""
    if is_spaced(answers):
        return "squad2.0" if knows_none else "squad1.1"
    return "cmrc2018+none" if knows_none else "cmrc2018"


def knows_none(rule: Rule) -> bool:
    """Whether a question may have no answer."""
    return rule in ("squad2.0", "cmrc2018+none")


def answer_tallies(predictions: Sequence[str], references: Sequence[Sequence[str]], rule: Rule) -> dict[str, Tally]:
    """`exact` and `f1`; where both kinds occur also `answerable_exact`, `unanswerable_exact` and the like.

    Args:
        predictions: an answer to each question, empty for none.
        references: the true answers of each; a question without any has none, which squad2.0 and cmrc2018+none know.
        rule: whose official script.

    Raises:
        DataError: not as many of both, or a question without answer where the rule knows none.
        ConfigError: the rule makes no sense for the language of the answers.
    """
    exact, f1 = score_answers(predictions, references, rule)
    signature = f"{rule}|best of the true answers|percent"
    scores = {"exact": exact, "f1": f1}
    tallies = {name: mean_tally(name, "questions", each, signature, full=100.0) for name, each in scores.items()}
    has_answer = _has_answer(references)
    if knows_none(rule) and has_answer.any() and not has_answer.all():
        for kind, part in (("answerable", has_answer), ("unanswerable", ~has_answer)):
            for name, each in scores.items():
                key, how = f"{kind}_{name}", f"{signature}|{kind} questions"
                tallies[key] = mean_tally(key, "questions", each, how, full=100.0, of=part)
    return tallies


def score_answers(
    predictions: Sequence[str], references: Sequence[Sequence[str]], rule: Rule
) -> tuple[Float[np.ndarray, " questions"], Float[np.ndarray, " questions"]]:
    """Exact match and F1 of each question, between 0 and 1."""
    if len(predictions) != len(references):
        got = (len(predictions), len(references))
        raise DataError("metrics", "predictions and references differ in number", got=got)
    everything = [answer for answers in references for answer in answers]
    rewards_none = knows_none(rule)
    if rule in ("cmrc2018", "cmrc2018+none"):
        require_chinese(everything, rule, "score English answers by squad1.1 or squad2.0")
        measures: tuple[Callable[[str, str], float], ...] = (cmrc_exact, partial(cmrc_f1, rewards_none=rewards_none))
    elif rule in ("squad1.1", "squad2.0"):
        cure = f"score Chinese answers by {'cmrc2018+none' if rewards_none else 'cmrc2018'}"
        require_spaced(everything, rule, cure)
        measures = (squad_exact, partial(squad_f1, rewards_none=rewards_none))
    else:
        raise ConfigError("rule", "is unknown", got=rule, cure=f"choose {', '.join(get_args(Rule))}")
    table = np.zeros((2, len(references)))
    for number, (prediction, answers) in enumerate(zip(predictions, references, strict=True)):
        true = _true_answers(answers, rule, number)
        for row, measure in enumerate(measures):
            table[row, number] = max(measure(prediction, answer) for answer in true)
    return table[0], table[1]


def find_threshold(
    scores: Float[np.ndarray, " questions"],
    no_answer_probabilities: Float[np.ndarray, " others"],
    has_answer: Bool[np.ndarray, " questions"],
) -> Threshold:
    """The best threshold for giving no answer, as SQuAD 2.0's script searches it, to be chosen on validation data.

    Questions of one probability get an answer together or not at all, where the script may part them. A threshold lies
    in the middle between two probabilities, so that no last bit of either decides. Of equal ones the lowest is taken.

    Args:
        scores: of each question as it was answered (for one without answer: 1 if none was given).
        no_answer_probabilities: of there being no answer.
        has_answer: whether there is one.
    """
    if not len(scores) == len(no_answer_probabilities) == len(has_answer) or not len(scores):
        got = (len(scores), len(no_answer_probabilities), len(has_answer))
        raise DataError("metrics", "scores and probabilities must be as many, and some", got=got)
    order = np.argsort(no_answer_probabilities, kind="stable")
    ordered = no_answer_probabilities[order]
    # By answering one more question its score is won; by not answering it, 1 if it has no answer.
    gains = np.cumsum((scores - ~has_answer)[order])
    is_last = np.append(ordered[1:] != ordered[:-1], True)
    start = float((~has_answer).sum())
    totals = np.concatenate([[start], start + gains[is_last]])
    best = int(np.argmax(totals))
    low, high = np.concatenate([[0.0], ordered[is_last], [1.0]])[best : best + 2].tolist()
    middle = (low + high) / 2.0
    value = middle if middle < high else low  # two probabilities may have no number between them
    return Threshold(value, 100.0 * float(totals[best]) / len(scores))


def _has_answer(references: Sequence[Sequence[str]]) -> Bool[np.ndarray, " questions"]:
    return np.array([bool(answers) for answers in references], dtype=bool)


def _true_answers(answers: Sequence[str], rule: Rule, number: int) -> Sequence[str]:
    if rule == "squad2.0":
        # An answer of nothing but articles and marks is no answer; the script drops it.
        return [answer for answer in answers if normalize(answer)] or [""]
    if answers:
        return answers
    if not knows_none(rule):
        cure = f"score it by {'cmrc2018+none' if rule == 'cmrc2018' else 'squad2.0'}"
        raise DataError("metrics", f"question {number} has no true answer", cure=cure)
    return [""]


def _longest_common(first: Sequence[str], second: Sequence[str]) -> int:
    """The length of the longest run of both."""
    best, before = 0, [0] * (len(second) + 1)
    for item in first:
        now = [0] * (len(second) + 1)
        for place, other in enumerate(second):
            if item == other:
                now[place + 1] = before[place] + 1
        best, before = max(best, *now), now
    return best


def _without_marks(text: str) -> str:
    return "".join(char for char in text.lower().strip() if char not in MARKS)
