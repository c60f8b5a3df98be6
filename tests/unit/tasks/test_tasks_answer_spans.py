from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from groundup.readers.examples import QuestionExample
from groundup.tasks.answer_spans import WindowSpans, find_window_spans, merge_windows

NOTHING = float("-inf")


def search_plainly(logits: torch.Tensor, first: list[int], last: list[int], reach: int) -> list[tuple[float, int, int]]:
    """Every valid span of one window, the best first."""
    found = []
    for start, end in itertools.product(range(len(first)), repeat=2):
        if first[start] >= 0 and last[end] >= 0 and start <= end < start + reach:
            found.append((float(logits[start, 0] + logits[end, 1]), first[start], last[end]))
    return sorted(found, key=lambda each: -each[0])


@given(st.lists(st.integers(1, 7), min_size=1, max_size=4), st.integers(1, 9), st.integers(1, 6), st.integers(0, 99))
def test_the_best_spans_are_those_of_a_plain_search(sizes: list[int], reach: int, most: int, seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    total = sum(sizes)
    logits = torch.randn(total, 2, generator=draw, dtype=torch.float64)
    places = torch.arange(total)
    first, last = (torch.where(torch.rand(total, generator=draw) < 0.7, places + shift, -1) for shift in (100, 101))
    found = find_window_spans(logits, sizes, first, last, max_answer_length=reach, most=most)
    start = 0
    for row, size in enumerate(sizes):
        part = slice(start, start + size)
        expected = search_plainly(logits[part], first[part].tolist(), last[part].tolist(), reach)[:most]
        scores = found.scores[row]
        assert scores[: len(expected)] == pytest.approx([score for score, _, _ in expected])
        assert (scores[len(expected) :] == NOTHING).all()
        spans = list(zip(found.starts[row].tolist(), found.ends[row].tolist(), strict=True))[: len(expected)]
        assert spans == [(begin, end) for _, begin, end in expected]
        start += size


def question(name: str, passage: str) -> QuestionExample:
    return QuestionExample(name, "?", passage, None, 1)


def test_windows_of_a_question_are_one_list_of_answers() -> None:
    """The same span in two windows counts once, with its better score; no answer has its least score."""
    examples = [question("a", "abcdef"), question("b", "uvwxyz")]
    spans = WindowSpans(
        np.array([[3.0, 1.0], [2.0, NOTHING], [4.0, 2.5]]),
        np.array([[2, 0], [1, 0], [2, 3]]),
        np.array([[4, 1], [2, 0], [4, 5]]),
    )
    null = np.array([5.0, 0.0, 3.0])
    found = merge_windows(np.array([0, 1, 0]), null, spans, examples, most=3, allows_none=True)
    assert list(found) == [0, 1]
    first, second = found[0], found[1]
    assert [(each.text, each.start, each.end, each.score) for each in first.candidates] == [
        ("cd", 2, 4, 4.0),
        ("de", 3, 5, 2.5),
        ("a", 0, 1, 1.0),
    ]
    assert first.null_score == 3.0
    values = np.exp([4.0, 2.5, 1.0, 3.0])
    assert [each.probability for each in first.candidates] == pytest.approx(values[:3] / values.sum())
    assert first.no_answer == pytest.approx(np.exp(3.0) / (np.exp(3.0) + np.exp(4.0)))
    assert [each.text for each in second.candidates] == ["v"] and second.no_answer == pytest.approx(1 / (1 + np.exp(2)))
    sure = merge_windows(np.array([0, 1, 0]), null, spans, examples, most=1, allows_none=False)
    assert sure[0].candidates[0].probability == 1.0


def test_chances_stay_finite() -> None:
    for null, expected in ((2000.0, 1.0), (-2000.0, 0.0)):
        spans = WindowSpans(np.array([[0.0]]), np.array([[0]]), np.array([[1]]))
        found = merge_windows(np.array([0]), np.array([null]), spans, [question("a", "b")], most=1, allows_none=True)
        assert found[0].no_answer == expected and np.isfinite(found[0].candidates[0].probability)
