"""Which spans may stand in one text: within each other or apart, never across (Yu et al. 2020, section 3)."""

from __future__ import annotations

from collections.abc import Sequence

from groundup.language.tags import Span


def find_clash(spans: Sequence[Span], *, nested: bool) -> str | None:
    """What is wrong with the first two of some different spans that may not stand together; None where all may.

    Args:
        spans: in any order.
        nested: whether one may lie within another.
    """
    around: list[Span] = []
    for span in sorted(spans, key=lambda each: (each.start, -each.end)):
        while around and around[-1].end <= span.start:
            around.pop()
        if around:
            outer = around[-1]
            if span[:2] == outer[:2]:
                return "has two types for the same span"
            if span.end > outer.end:
                return "has entities that cross each other"
            if not nested:
                return "has an entity within another one"
        around.append(span)
    return None


def choose_spans(spans: Sequence[Span], num_units: int, *, nested: bool) -> list[int]:
    """Of spans in the order of their worth, the numbers of those that clash with none taken before, in that order.

    Args:
        spans: at most one type for each start and end.
        num_units: of the text.
        nested: whether one may lie within another.
    """
    taken: list[int] = []
    is_taken = bytearray(num_units)
    # The furthest end of what begins at a unit, and the earliest start of what ends behind it.
    furthest, earliest = [0] * num_units, list(range(num_units))
    for number, (start, end, _) in enumerate(spans):
        if nested:
            is_free = max(furthest[start + 1 : end], default=0) <= end
            is_free = is_free and min(earliest[start : end - 1], default=start) >= start
        else:
            is_free = not any(is_taken[start:end])
        if is_free:
            taken.append(number)
            is_taken[start:end] = b"\1" * (end - start)
            furthest[start] = max(furthest[start], end)
            earliest[end - 1] = min(earliest[end - 1], start)
    return taken
