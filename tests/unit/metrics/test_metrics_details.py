"""What is wrong with what was found in texts, and how."""

from __future__ import annotations

from groundup.metrics.details import Marked, Stretch, count_faults


def make(expected: list[Stretch], found: list[Stretch]) -> Marked:
    return Marked(1, None, "0123456789", tuple(expected), tuple(found), expected == found, 0.5)


def test_every_fault_is_counted_once() -> None:
    person, place = Stretch(0, 3, "PER"), Stretch(5, 7, "LOC")
    assert count_faults([make([person, place], [person, place])]) == {"missed": 0}
    cases = {
        "type": ([person], [Stretch(0, 3, "ORG")]),
        "boundary": ([person], [Stretch(0, 2, "PER")]),
        "both": ([person], [Stretch(1, 4, "ORG")]),
        "invented": ([person], [person, Stretch(4, 5, "PER")]),
        "missed": ([person, place], [person]),
    }
    for name, (expected, found) in cases.items():
        counts = count_faults([make(expected, found)])
        assert {key: count for key, count in counts.items() if count} == {name: 1}, name


def test_neighbours_do_not_overlap_and_nested_ones_are_told_apart() -> None:
    outer, inner = Stretch(0, 6, "ORG"), Stretch(0, 2, "LOC")
    assert count_faults([make([outer, inner], [outer])]) == {"missed": 1}
    assert count_faults([make([outer], [outer, inner])])["both"] == 1
    assert count_faults([make([Stretch(0, 2, "PER")], [Stretch(2, 4, "PER")])]) == {"invented": 1, "missed": 1}
