"""Repetition is restrained exactly as transformers' processors do."""

from __future__ import annotations

import pytest
import torch

from groundup.decoding.config import Decoding
from groundup.decoding.repetition import find_repeats, restrain
from groundup.errors import DataError

TEXTS = [[3, 1, 3, 2, 3], [7, 7, 7, 7, 7], [0, 1, 2, 3, 4], [5, 6, 5, 6, 5]]


def draw_scores() -> torch.Tensor:
    return 2.0 * torch.randn(len(TEXTS), 9, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("scores", [draw_scores(), draw_scores().log_softmax(dim=-1)])
@pytest.mark.parametrize("values", [{"repetition_penalty": 1.3}, {"repetition_penalty": 0.5}, {"no_repeat_ngram": 2}])
@pytest.mark.parametrize("size", [None, 1, 3, 6])
def test_scores_are_those_of_transformers(scores: torch.Tensor, values: dict, size: int | None) -> None:
    from transformers import LogitsProcessorList, NoRepeatNGramLogitsProcessor, RepetitionPenaltyLogitsProcessor

    decoding = Decoding(**({} if size is None else {"no_repeat_ngram": size}) | values)
    theirs = LogitsProcessorList()
    if decoding.repetition_penalty != 1.0:
        theirs.append(RepetitionPenaltyLogitsProcessor(decoding.repetition_penalty))
    if decoding.no_repeat_ngram is not None:
        theirs.append(NoRepeatNGramLogitsProcessor(decoding.no_repeat_ngram))
    before = scores.clone()
    found = restrain(scores, TEXTS, decoding)
    assert torch.equal(scores, before), "the scores handed in are changed"
    assert torch.equal(found, theirs(torch.tensor(TEXTS), scores))
    assert not torch.equal(found, scores)
    assert torch.equal(restrain(scores, TEXTS, Decoding()), scores)


def test_runs_that_stand_there_are_found() -> None:
    assert find_repeats([1, 2, 3, 1, 2, 4, 1, 2], 3) == [3, 4]
    assert find_repeats([1, 2, 3], 1) == [1, 2, 3]
    assert find_repeats([1, 2], 3) == find_repeats([1], 3) == []


def test_texts_of_any_lengths_are_restrained_alone() -> None:
    decoding, texts = Decoding(repetition_penalty=1.3, no_repeat_ngram=2), [[1], [3, 1, 3], [0, 1, 2, 3, 4, 0]]
    scores = draw_scores()[:3]
    alone = [restrain(row[None], [ids], decoding) for row, ids in zip(scores, texts, strict=True)]
    assert torch.equal(restrain(scores, texts, decoding), torch.cat(alone))


def test_a_rule_that_leaves_no_token_says_so() -> None:
    with pytest.raises(DataError, match="no_repeat_ngram: leaves no token to go on with, got 1; raise it"):
        restrain(torch.zeros(1, 3), [[0, 1, 2]], Decoding(no_repeat_ngram=1))
