"""Where sentences end, in English and in Chinese. The pieces joined are the text, so that nothing is ever lost.

Rules, not a model: a run of end marks, the closing quotes and brackets after it, then the white space. Chinese marks
end a sentence wherever they stand; English ones only before white space and never before a lower-case word, with the
abbreviations, initials and numbers of running text taken care of. The time is linear in the text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from groundup.language.scripts import CJK_CLASS, is_cjk

_WIDE_MARKS = "。！？…．｡"
_CLOSERS = "\"'”’』」》）】〉］｝〕〗〞)\\]}»›"
_END = re.compile(
    rf"(?P<marks>[.!?{_WIDE_MARKS}‽⁇⁈⁉‼]++)(?P<closers>[{_CLOSERS}]*+)(?P<space>\s*+)"
    r"|(?P<blank>\r?\n[^\S\n]*+\n\s*+)"
)
_BLANK_LINE = re.compile(r"\n[^\S\n]*+\n")
_CONTINUES = re.compile(r"[，、；：,;:—～~的]")
_NO_WORD = re.compile(rf"[{CJK_CLASS}(\[\"“‘'（「]")
_ACRONYM = re.compile(r"[A-Za-z](\.[A-Za-z])+")
_LIST_NUMBER = re.compile(r"\s*[(\[]?([0-9]{1,3}|[A-Za-z]|[ivxIVX]{1,4})[)\]]?")
_LOOK_BACK = 24


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_NEVER_LAST = _words(
    "mr mrs ms mx dr prof rev fr hon st mt messrs mme mlle gen col maj capt cpt lt sgt cmdr adm sen rep gov pres supt"
    " insp e.g i.e eg ie cf vs viz approx ca al resp incl ph"
)
_BEFORE_A_NUMBER = _words(
    "no nos fig figs sec eq eqs vol vols pp p ch chap art arts tab ref refs ed eds ver v pt op"
    " jan feb mar apr jun jul aug sep sept oct nov dec"
)
_MAY_BE_LAST = _words("inc ltd co corp bros llc plc dept univ assn ave blvd rd jr sr esq est etc")
_STARTERS = _words(
    "a an and as at but by for from he her his how however i if in it its my no not on one or our she so some still"
    " that the their then there these they this those though to we what when where which while who why with yet you"
    " your"
)


def split_sentences(text: str, max_length: int | None = None) -> list[str]:
    """The sentences of an English, Chinese or mixed text, each with the white space that follows it.

    A blank line also ends a sentence; a single line break does not, because text is wrapped. Joined, the pieces are
    exactly `text`.

    Args:
        text: any text; an empty one has no sentences.
        max_length: cut pieces of more characters than this, at white space or a comma where one is near, so that text
            without any end of a sentence cannot make a piece without bound.
    """
    pieces: list[str] = []
    start = 0
    for end in _find_ends(text):
        pieces.append(text[start:end])
        start = end
    if start < len(text):
        pieces.append(text[start:])
    if max_length is None:
        return pieces
    if max_length < 1:
        raise ValueError(f"max_length: must be at least 1, got {max_length}")
    return [part for piece in pieces for part in _cut(piece, max_length)]


def _find_ends(text: str) -> Iterator[int]:
    start = 0
    num_quotes, counted = 0, 0
    for match in _END.finditer(text):
        if match["blank"] is not None:
            end = match.end()
        else:
            # Straight quotes look alike on both sides: an odd number since the sentence began means that one is open.
            num_quotes += text.count('"', counted, match.end("marks"))
            counted = match.end("marks")
            end = _end_of(text, start, match, has_open_quote=num_quotes % 2 == 1)
        if start < end:
            yield end
            start = counted = end
            num_quotes = 0


def _end_of(text: str, start: int, match: re.Match[str], *, has_open_quote: bool) -> int:
    """Where the sentence that this run of marks may end does end; 0 where it goes on."""
    marks, closers, space = match["marks"], match["closers"], match["space"]
    end = match.end()
    following = text[end : end + 1]
    if not following or _BLANK_LINE.search(space):
        return end
    before = text[match.start() - 1 : match.start()]
    if marks == "．" and before.isdigit() and following.isdigit():
        return 0
    is_wide = any(mark in _WIDE_MARKS for mark in marks) or (is_cjk(before) and (is_cjk(following) or not space))
    if is_wide and not ("…" in marks and following.islower()):
        if closers.startswith('"') and not space and not has_open_quote:
            return match.end("marks")
        return 0 if _CONTINUES.match(following) and (closers or "…" in marks or following != "的") else end
    if not space:
        return end if is_cjk(following) and marks[-1] in "!?" else 0
    if following.islower() or _CONTINUES.match(following):
        return 0
    if marks == "." and not closers and _is_abbreviation(text, start, match.start(), end):
        return 0
    return end


def _is_abbreviation(text: str, start: int, dot: int, following: int) -> bool:
    words = text[max(start, dot - _LOOK_BACK) : dot].rsplit(None, 1)
    word = _NO_WORD.split(words[-1])[-1] if words else ""
    plain = word.lower()
    if dot - start <= 6 and _LIST_NUMBER.fullmatch(text, start, dot) and word != "I":
        return True
    if plain in _NEVER_LAST:
        return True
    if plain in _BEFORE_A_NUMBER:
        return text[following].isdigit() or text[following] in "(["
    is_initial = len(word) == 1 and word.isupper() and word != "I"
    if is_initial or plain in _MAY_BE_LAST or _ACRONYM.fullmatch(word):
        next_word = re.match(r"\w*", text[following : following + _LOOK_BACK])
        return next_word is not None and next_word[0] != "" and next_word[0].lower() not in _STARTERS
    return False


def _cut(piece: str, max_length: int) -> Iterator[str]:
    start = 0
    while len(piece) - start > max_length:
        end = start + max_length
        cut = _last_break(piece, start + max_length // 2, end) or _before_combining(piece, start, end)
        yield piece[start:cut]
        start = cut
    yield piece[start:]


def _last_break(piece: str, low: int, high: int) -> int:
    window = piece[low:high]
    for pattern in (r"[，、；：,;:]\s*", r"\s+"):
        ends = [match.end() for match in re.finditer(pattern, window)]
        if ends:
            return low + ends[-1]
    return 0


def _before_combining(piece: str, start: int, end: int) -> int:
    cut = end
    while cut > start + 1 and end - cut < 8 and (unicodedata.combining(piece[cut]) or piece[cut] in "\u200d\ufe0f"):
        cut -= 1
    return cut
