from __future__ import annotations

import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import IOB1, IOB2, IOBES, Entities

from groundup.errors import DataError
from groundup.language.tags import (
    Fault,
    Span,
    find_faults,
    find_schemes,
    read_spans,
    read_spans_loosely,
    split_tag,
    write_tags,
)

SCHEMES = ("iob1", "iob2", "bioes", "bmes")


def tags_of(prefixes: str) -> st.SearchStrategy[list[str]]:
    tag = st.sampled_from(["O", *(f"{prefix}-{kind}" for prefix in prefixes for kind in ("PER", "LOC"))])
    return st.lists(tag, min_size=1, max_size=12)


@st.composite
def entities(draw: st.DrawFn) -> tuple[list[Span], int]:
    """Entities side by side, some of them touching."""
    spans, place = [], 0
    for _ in range(draw(st.integers(0, 5))):
        start = place + draw(st.integers(0, 2))
        place = start + draw(st.integers(1, 4))
        spans.append(Span(start, place, draw(st.sampled_from(["PER", "地点", "x-y"]))))
    return spans, place + draw(st.integers(0, 2))


@given(entities(), st.sampled_from(SCHEMES))
def test_what_is_written_is_read_again_by_both_readings(case: tuple[list[Span], int], scheme: str) -> None:
    spans, length = case
    tags = write_tags(spans, length, scheme)
    assert len(tags) == length
    assert read_spans(tags, scheme) == spans
    assert read_spans_loosely(tags) == spans
    assert find_faults(tags, scheme) == []
    assert scheme in find_schemes([tags])


def strict_by_seqeval(tags: list[str], scheme: type) -> list[Span]:
    return sorted(Span(each.start, each.end, each.tag) for each in Entities([tags], scheme).entities[0])


@given(tags_of("BI"))
def test_strict_reading_of_iob2_is_that_of_seqeval(tags: list[str]) -> None:
    assert read_spans(tags, "iob2") == strict_by_seqeval(tags, IOB2)


@given(tags_of("BIES"))
def test_strict_reading_of_bioes_and_bmes_is_that_of_seqeval(tags: list[str]) -> None:
    expected = strict_by_seqeval(tags, IOBES)
    assert read_spans(tags, "bioes") == expected
    assert read_spans([tag.replace("I-", "M-") for tag in tags], "bmes") == expected


@given(tags_of("BI"))
def test_strict_reading_of_iob1_is_that_of_seqeval_where_nothing_is_broken(tags: list[str]) -> None:
    if not find_faults(tags, "iob1"):
        assert read_spans(tags, "iob1") == strict_by_seqeval(tags, IOB1)


@given(st.lists(tags_of("BIES"), min_size=1, max_size=3))
def test_loose_reading_is_that_of_seqeval_by_default(sequences: list[list[str]]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for tags in sequences:
            expected = [Span(start, end + 1, kind) for kind, start, end in get_entities(tags)]
            assert read_spans_loosely(tags) == expected


@given(st.sampled_from(SCHEMES).flatmap(lambda scheme: st.tuples(st.just(scheme), tags_of("BIES"))))
def test_without_fault_both_readings_are_one(case: tuple[str, list[str]]) -> None:
    scheme, tags = case
    tags = [tag.replace("I-", "M-") for tag in tags] if scheme == "bmes" else tags
    if not find_faults(tags, scheme):
        assert read_spans(tags, scheme) == read_spans_loosely(tags)


def test_the_readings_differ_where_a_tag_is_broken() -> None:
    tags = ["I-PER", "I-PER", "O", "B-LOC", "I-PER"]
    assert read_spans(tags, "iob2") == [Span(3, 4, "LOC")]
    assert read_spans_loosely(tags) == [Span(0, 2, "PER"), Span(3, 4, "LOC"), Span(4, 5, "PER")]
    assert read_spans(tags, "iob1") == [Span(0, 2, "PER"), Span(4, 5, "PER")]
    assert [fault.place for fault in find_faults(tags, "iob2")] == [0, 4]
    assert find_faults(tags, "iob1")[0].place == 3
    assert find_faults(["B-PER", "O"], "bioes") == [Fault(1, "O", "stands where an entity of type 'PER' has not ended")]
    assert find_faults(["B-PER"], "bmes")[0].place == 1, "the end of the text"
    assert find_faults(["S-PER"], "iob2") == [Fault(0, "S-PER", "iob2 has no S")]


def test_the_schemes_that_fit_are_found() -> None:
    assert find_schemes([["B-PER", "I-PER"], ["O"]]) == ["iob2"]
    assert find_schemes([["I-PER", "B-PER"]]) == ["iob1"]
    assert find_schemes([["S-PER"], ["B-PER", "M-PER", "E-PER"]]) == ["bmes"]
    assert find_schemes([["S-PER"], ["B-PER", "I-PER"]]) == [], "mixed"
    assert find_schemes([["O"]]) == list(SCHEMES)


@pytest.mark.parametrize("tag", ["", "PER", "X-PER", "BPER", "O-PER", "b-PER"])
def test_what_is_no_tag_is_refused(tag: str) -> None:
    with pytest.raises(DataError, match="is no tag"):
        split_tag(tag)


def test_both_ways_to_write_a_type_and_none() -> None:
    assert split_tag("B_ORG") == ("B", "ORG")
    assert split_tag("I-a-b") == ("I", "a-b")
    assert split_tag("M-X") == ("I", "X")
    assert read_spans(list("BIOB"), "iob2") == [Span(0, 2, ""), Span(3, 4, "")]


def test_overlap_and_bounds_are_refused() -> None:
    with pytest.raises(DataError, match=r"overlap, got \(1, 3, 'B'\)"):
        write_tags([Span(0, 2, "A"), Span(1, 3, "B")], 4, "iob2")
    with pytest.raises(DataError, match="outside of 0 to 2"):
        write_tags([Span(1, 3, "A")], 2, "iob2")
