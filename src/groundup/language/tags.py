"""Entities as tags on words or characters, one each, and back: IOB1, IOB2, BIOES and BMES.

Ramshaw and Marcus (1995) marked what is inside (I) and outside (O) and began with B only where two entities of a type
touch: IOB1, as in CoNLL-2003. IOB2 begins every entity with B. BIOES also marks its end (E) and one of a single word
(S); BMES, in which Chinese word segmentation is written, says M for I.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, get_args

from groundup.errors import DataError

Scheme = Literal["iob1", "iob2", "bioes", "bmes"]

_PREFIXES = {"iob1": "BIO", "iob2": "BIO", "bioes": "BIOES", "bmes": "BMOES"}


class Span(NamedTuple):
    """An entity: the places from `start` up to, not including, `end`."""

    start: int
    end: int
    type: str


class Tag(NamedTuple):
    """A tag in its two parts."""

    prefix: str
    """B, I, O, E or S; M is read as I."""
    type: str
    """Empty for O, and where a scheme has no types."""


class Fault(NamedTuple):
    """A tag that the scheme does not allow where it stands."""

    place: int
    tag: str
    why: str


def split_tag(tag: str) -> Tag:
    """`B-PER` or `B_PER` in its parts. Raises DataError for what is no tag."""
    prefix, rest = tag[:1], tag[1:]
    if prefix not in tuple("BIOESM") or (rest and rest[0] not in "-_") or (prefix == "O" and rest):
        raise DataError(
            "tags", "is no tag of IOB1, IOB2, BIOES or BMES", got=tag, cure="write O, or B-TYPE and the like"
        )
    return Tag("I" if prefix == "M" else prefix, rest[1:])


def read_spans(tags: Sequence[str], scheme: Scheme) -> list[Span]:
    """The entities that are written as the scheme wants it; one that is broken anywhere is none (strict)."""
    starts_at_inside, marks_ends = scheme == "iob1", scheme in ("bioes", "bmes")
    spans: list[Span] = []
    start, is_sound, before = 0, False, Tag("O", "")
    for place, tag in enumerate([*map(split_tag, tags), Tag("O", "")]):
        goes_on = before.prefix in "BI" and tag.prefix in "IE" and tag.type == before.type
        if not goes_on:
            if is_sound and not marks_ends and before.prefix != "O":
                spans.append(Span(start, place, before.type))
            start = place
            touches = before.prefix in "BI" and before.type == tag.type
            begins = tag.prefix in ("BS" if marks_ends else "B")
            is_sound = tag.prefix == "I" or (begins and touches) if starts_at_inside else begins
        if marks_ends and is_sound and tag.prefix in "ES":
            spans.append(Span(start, place + 1, tag.type))
        before = tag
    return spans


def read_spans_loosely(tags: Sequence[str]) -> list[Span]:
    """The entities as conlleval, the script of CoNLL-2000, finds them: where one breaks off, another begins."""
    spans: list[Span] = []
    start, before = 0, Tag("O", "")
    for place, tag in enumerate([*map(split_tag, tags), Tag("O", "")]):
        goes_on = before.prefix in "BI" and tag.prefix in "IE" and tag.type == before.type
        if not goes_on:
            if before.prefix != "O":
                spans.append(Span(start, place, before.type))
            start = place
        before = tag
    return spans


def write_tags(spans: Iterable[Span], length: int, scheme: Scheme) -> list[str]:
    """One tag for each place. Raises DataError for entities that overlap, which no scheme can write."""
    tags = ["O"] * length
    end_of: dict[int, str] = {}
    for start, end, kind in sorted(spans):
        if not 0 <= start < end <= length:
            raise DataError("tags", f"an entity lies outside of 0 to {length}", got=(start, end, kind))
        if any(tag != "O" for tag in tags[start:end]):
            raise DataError("tags", "entities overlap", got=(start, end, kind), cure="use a head for nested spans")
        prefixes = _prefixes(end - start, scheme, touches=end_of.get(start) == kind)
        tags[start:end] = [f"{prefix}-{kind}" if kind else prefix for prefix in prefixes]
        end_of[end] = kind
    return tags


def find_faults(tags: Sequence[str], scheme: Scheme) -> list[Fault]:
    """Every tag that may not stand where it does."""
    faults: list[Fault] = []
    before = Tag("O", "")
    for place, (written, tag) in enumerate(zip([*tags, "O"], [*map(split_tag, tags), Tag("O", "")], strict=True)):
        if written[:1] not in tuple(_PREFIXES[scheme]):
            faults.append(Fault(place, written, f"{scheme} has no {written[:1]}"))
        elif (why := _fault(before, tag, scheme)) is not None:
            faults.append(Fault(place, written, why))
        before = tag
    return faults


def may_follow(before: str, tag: str, scheme: Scheme) -> bool:
    """Whether a tag may stand behind another one; `O` stands for what is before the first tag and after the last."""
    return _fault(split_tag(before), split_tag(tag), scheme) is None


def find_schemes(sequences: Iterable[Sequence[str]]) -> list[Scheme]:
    """The schemes in which all sequences are without fault: often several, none where the schemes are mixed."""
    fitting: list[Scheme] = list(get_args(Scheme))
    for tags in sequences:
        fitting = [scheme for scheme in fitting if not find_faults(tags, scheme)]
        if not fitting:
            break
    return fitting


def _fault(before: Tag, tag: Tag, scheme: Scheme) -> str | None:
    goes_on = before.prefix in "BI" and tag.type == before.type
    if scheme == "iob1":
        needless = tag.prefix == "B" and not goes_on
        return "begins an entity that touches none of its type: iob1 writes I" if needless else None
    if scheme in ("bioes", "bmes") and before.prefix in "BI" and not (goes_on and tag.prefix in "IE"):
        return f"stands where an entity of type {before.type!r} has not ended"
    if tag.prefix in "IE" and not goes_on:
        return "goes on with an entity that has not begun"
    return None


def _prefixes(length: int, scheme: Scheme, *, touches: bool) -> str:
    if scheme == "iob1":
        return ("B" if touches else "I") + "I" * (length - 1)
    if scheme == "iob2":
        return "B" + "I" * (length - 1)
    return "S" if length == 1 else "B" + ("M" if scheme == "bmes" else "I") * (length - 2) + "E"
