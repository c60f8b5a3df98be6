"""Windows: of an encoder each is a text of its own, of a decoder they tile the document token by token."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.errors import ConfigError
from groundup.text.sample import Sample
from groundup.text.windows import Frame, Windows

START, END = 900, 901


def lay(sizes: list[int], frame: Frame, max_length: int, min_length: int = 1) -> tuple[list[np.ndarray], list[Sample]]:
    """Documents of different tokens, and the samples laid over them."""
    ids = np.arange(sum(sizes), dtype=np.int32)
    ends = np.cumsum(sizes, dtype=np.int64)
    windows = Windows(ends, frame, max_length, min_length)
    samples = [windows.take(index, lambda start, end: ids[start:end]) for index in range(len(windows))]
    unread = int(frame.of == "document")
    assert windows.lengths.tolist() == [len(sample.input_ids) - unread for sample in samples]
    return np.split(ids, ends[:-1]), samples


@given(st.lists(st.integers(1, 40), min_size=1, max_size=8), st.integers(1, 12), st.booleans(), st.booleans())
def test_every_token_of_a_document_is_predicted_once(
    sizes: list[int], max_length: int, has_start: bool, has_end: bool
) -> None:
    frame = Frame("document", (START,) * has_start, (END,) * has_end)
    documents, samples = lay(sizes, frame, max_length)
    framed = [np.concatenate([frame.prefix, each, frame.suffix]).tolist() for each in documents]
    targets = [ids for sample in samples for ids in sample.input_ids[1:].tolist()]
    assert targets == [ids for each in framed for ids in each[1:]]
    pairs = {(a, b) for each in framed for a, b in itertools.pairwise(each)}
    for sample in samples:
        assert 2 <= len(sample.input_ids) <= max_length + 1
        ids = sample.input_ids.tolist()
        assert set(itertools.pairwise(ids)) <= pairs, "a window crosses the end of a document"


@given(st.lists(st.integers(1, 40), min_size=1, max_size=8), st.integers(3, 12))
def test_every_window_of_an_encoder_is_framed(sizes: list[int], max_length: int) -> None:
    documents, samples = lay(sizes, Frame("window", (START,), (END,)), max_length)
    assert all(sample.input_ids[0] == START and sample.input_ids[-1] == END for sample in samples)
    text = [ids for sample in samples for ids in sample.input_ids[1:-1].tolist()]
    assert text == [ids for each in documents for ids in each.tolist()]


def test_short_documents_and_ends_are_left_out() -> None:
    _, samples = lay([3, 11, 2], Frame("document", (START,), (END,)), 5, min_length=4)
    assert [sample.input_ids.tolist() for sample in samples] == [
        [START, 3, 4, 5, 6, 7],
        [7, 8, 9, 10, 11, 12],
    ]


def test_no_room_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"objective.max_length: leaves 2 tokens beside the special ones"):
        lay([9], Frame("window", (START,), (END,)), 4, min_length=3)
    with pytest.raises(ConfigError, match=r"objective.max_length: leaves 4 tokens, and data.min_length is 5"):
        lay([9], Frame("document", (START,), (END,)), 4, min_length=5)
