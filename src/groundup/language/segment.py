"""Where words begin and end, in English, in Chinese and in both at once: what is masked, counted or shown as a whole.

Outside Chinese, rules decide: letters and digits side by side are a word, with the apostrophe of `don't` and the marks
of `3.14` and `1,000` inside; each other sign is one. Inside Chinese, which has no spaces, a segmenter decides, and its
dictionary may join Chinese to letters, digits and signs too (`维生素C`, `列夫·托尔斯泰`). White space is part of none.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from math import log
from typing import Annotated, Any, Literal, NamedTuple, final

from pydantic import Field

from groundup.config import Config, expand_path
from groundup.errors import DataError, MissingExtraError
from groundup.language.scripts import CJK_CLASS

Span = tuple[int, int]
"""A word: where it starts in the text, and where it ends."""

_LETTER = rf"[^\W_{CJK_CLASS}]"
_INSIDE = r"['’](?=[^\W\d_])|(?<=\d)[.．](?=\d)|(?<=\d),(?=\d{3}(?!\d))"
_CHINESE = re.compile(f"[{CJK_CLASS}]")
_A_LETTER = re.compile(_LETTER)
_UNIT = re.compile(
    rf"[{CJK_CLASS}]|{_LETTER}+(?:(?:{_INSIDE}){_LETTER}+)*|[\U0001f1e6-\U0001f1ff]{{2}}|[\udc80-\udcff]+|\S"
)
"""What no word ever ends inside. Lone surrogates stand for bytes of which a window of tokens cut the rest off."""

_JOINER = "\u200d"
_ATTACHED = {"Mn", "Mc", "Me", "Cf"}
_SKIN_TONES = "\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff"
_CURE = "write one word a line, which a count may follow"
# What jieba takes words out of; at every other character it ends one.
_JIEBA_WORD = re.compile(r"[\u4e00-\u9fd5a-zA-Z0-9+#&._%-]+")


class _JiebaConfig(Config):
    """What both programs of jieba's words are told."""

    dictionaries: tuple[str, ...] = ()
    """Files with words of your own, one a line, which a count may follow; `${NAME}` is taken from the environment."""

    def _read_dictionaries(self, where: str) -> tuple[dict[str, int | None], list[str]]:
        """Their words and the names of their contents."""
        words: dict[str, int | None] = {}
        digests = []
        for number, path in enumerate(self.dictionaries):
            found, digest = _read_words(path, f"{where}.dictionaries.{number}")
            lost = next((word for word in found if _JIEBA_WORD.fullmatch(word) is None), None)
            if lost is not None:
                cure = "take it out, or use segmenter.kind=dictionary"
                raise DataError(f"{where}.dictionaries.{number}", "jieba can find no such word", got=lost, cure=cure)
            words |= found
            digests.append(digest)
        return words, digests


class Jieba(_JiebaConfig):
    """jieba's words: the likeliest path through its dictionary, and a hidden Markov model for names it lacks."""

    kind: Literal["jieba"] = "jieba"

    def build(self, where: str = "segmenter") -> Segmenter:
        """Load it, which takes about a second.

        Raises:
            MissingExtraError: jieba is not installed.
            DataError: a dictionary is missing, empty or not of this form.
        """
        words, digests = self._read_dictionaries(where)
        loaded = _load(where, "jieba", _read_jieba)
        cut = _add_words(loaded.tokenizer, words).lcut if words else loaded.tokenizer.lcut
        return _segment_as_cut(f"jieba {loaded.version}", words, digests, cut)


class Rjieba(_JiebaConfig):
    """The same dictionary and model in Rust (jieba-rs), several times as fast; it cuts rare ties otherwise."""

    kind: Literal["rjieba"] = "rjieba"

    def build(self, where: str = "segmenter") -> Segmenter:
        """Load it. Raises MissingExtraError where rjieba is not installed, and DataError as for jieba."""
        words, digests = self._read_dictionaries(where)
        loaded = _load(where, "rjieba", _read_rjieba)
        for word, count in words.items():
            loaded.tokenizer.add_word(word, count or loaded.tokenizer.suggest_freq(word), None)
        return _segment_as_cut(f"rjieba {loaded.version}", words, digests, loaded.tokenizer.cut)


class Dictionary(Config):
    """The words of one file, traditional or simplified as they stand there; another Chinese character is a word itself.

    Of all ways to cut a text, the one of fewest words is taken, then the one with the most even ones (Tsai 1996); where
    every line of the file has a count, the likeliest one.
    """

    kind: Literal["dictionary"] = "dictionary"
    path: str
    """UTF-8, one word a line, which a count may follow; `${NAME}` is taken from the environment."""

    def build(self, where: str = "segmenter") -> Segmenter:
        """Read the file. Raises DataError where it is missing, empty or not of this form."""
        words, digest = _read_words(self.path, f"{where}.path")
        paths = _Paths(words)
        return Segmenter(f"dictionary {digest}", paths.join)


class NoSegmenter(Config):
    """Every Chinese character is a word."""

    kind: Literal["none"] = "none"

    def build(self, where: str = "segmenter") -> Segmenter:
        """There is nothing to load."""
        return Segmenter("none", lambda text, units: units)


SegmenterConfig = Annotated[Jieba | Rjieba | Dictionary | NoSegmenter, Field(discriminator="kind")]


@final
@dataclass(frozen=True)
class Segmenter:
    """Finds the words of a text. It keeps no state, so threads may share it."""

    name: str
    """What decides the words: the kind, its version, and the start of each dictionary's sha256."""
    join: Callable[[str, list[Span]], list[Span]]
    """Words from a text and its smallest units, which are Chinese characters and the words of other scripts."""

    def segment(self, text: str) -> list[Span]:
        """Start and end of every word, in order. White space belongs to none; everything else to exactly one."""
        return self.join(text, find_units(text))


def find_units(text: str) -> list[Span]:
    """The words of other scripts, single signs and single Chinese characters: all that needs no segmenter.

    An accent, a variant mark, a skin tone and what a joiner joins belong to the sign before them.
    """
    units = [match.span() for match in _UNIT.finditer(text)]
    attached = {char for char in set(text) if unicodedata.category(char) in _ATTACHED or char in _SKIN_TONES}
    if not attached:
        return units
    joined: list[Span] = []
    is_open = False  # whether what follows at once belongs to the last unit
    for start, end in units:
        is_attached = text[start] in attached
        if joined and joined[-1][1] == start and (is_attached or is_open):
            joined[-1] = (joined[-1][0], end)
            # After the accent of a letter its word goes on; after that of a Chinese character or a sign it does not.
            is_accent = is_attached and _is_letter(text, joined[-1][0]) and _is_letter(text, end)
            is_open = text[start] == _JOINER or is_accent
        else:
            joined.append((start, end))
            is_open = False
    return joined


def _is_letter(text: str, place: int) -> bool:
    return _A_LETTER.match(text, place) is not None


def _segment_as_cut(
    name: str, words: Mapping[str, int | None], digests: Sequence[str], cut: Callable[[str], list[str]]
) -> Segmenter:
    """The segmenter of a program that knows some words more."""
    foreign = frozenset(word for word in words if _CHINESE.search(word) is None)
    return Segmenter(" + ".join([name, *digests]), lambda text, units: _join_as_cut(text, units, cut, foreign))


def _join_as_cut(text: str, units: list[Span], cut: Callable[[str], list[str]], foreign: frozenset[str]) -> list[Span]:
    """Units joined to the words of `cut` that are Chinese in part or among the `foreign` ones, and cut no unit."""
    if not foreign and _CHINESE.search(text) is None:
        return units
    starts, ends = {start for start, _ in units}, {end for _, end in units}
    joined: dict[int, int] = {}
    place = 0
    for word in cut(text):
        start, place = place, place + len(word)
        if len(word) > 1 and start in starts and place in ends and (word in foreign or _CHINESE.search(word)):
            joined[start] = place
    words: list[Span] = []
    place = 0
    for start, end in units:
        if start >= place:
            place = joined.get(start, end)
            words.append((start, place))
    return words


class _Paths:
    """The best way through a dictionary (a shortest path, from the end of a text to its start)."""

    def __init__(self, words: Mapping[str, int | None]) -> None:
        counts = [count for count in words.values() if count is not None]
        has_counts = len(counts) == len(words)
        total = log(sum(counts)) if has_counts else 0.0
        # The unlisted weigh as what was counted once.
        self._unlisted = (total, 0) if has_counts else (1.0, 1)
        self._weights = {
            word: (total - log(count), 0) if has_counts and count is not None else (1.0, len(word) ** 2)
            for word, count in words.items()
        }
        lengths: dict[str, set[int]] = {}
        for word in words:
            lengths.setdefault(word[0], set()).add(len(word))
        self._lengths = {first: sorted(found, reverse=True) for first, found in lengths.items()}

    def join(self, text: str, units: list[Span]) -> list[Span]:
        """Units joined to words, for each stretch between two white spaces apart: none depends on another."""
        words: list[Span] = []
        start = 0
        for number, (_, end) in enumerate(units, start=1):
            if number == len(units) or units[number][0] != end:
                words += self._join_stretch(text, units[start:number])
                start = number
        return words

    def _join_stretch(self, text: str, units: list[Span]) -> list[Span]:
        """The words of the best path; of equal ones that with the longer word first."""
        after = {end: number + 1 for number, (_, end) in enumerate(units)}
        best: list[tuple[float, int]] = [(0.0, 0)] * (len(units) + 1)
        nearest = [0] * len(units)
        for number in range(len(units) - 1, -1, -1):
            start = units[number][0]
            choices = []
            for length in self._lengths.get(text[start], ()):
                weight = self._weights.get(text[start : start + length])
                if weight is not None and start + length in after:
                    choices.append((weight, after[start + length]))
            if not choices or choices[-1][1] != number + 1:
                choices.append((self._unlisted, number + 1))
            sums = [(weight[0] + best[then][0], weight[1] + best[then][1], then) for weight, then in choices]
            *least, nearest[number] = min(sums, key=lambda each: each[:2])
            best[number] = (least[0], least[1])
        words: list[Span] = []
        number = 0
        while number < len(units):
            words.append((units[number][0], units[nearest[number] - 1][1]))
            number = nearest[number]
        return words


def _read_words(path: str, where: str) -> tuple[dict[str, int | None], str]:
    """The words of a file with their counts, and the start of its sha256. A part of speech after a count is let be."""
    file = expand_path(path, where)
    try:
        data = file.read_bytes()
        lines = data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(f"{where} ({file}:{line})", "is not utf-8", cure="save it as UTF-8") from None
    except OSError as error:
        raise DataError(where, f"cannot be read ({error.strerror})", got=str(file), cure="check the path") from None
    words: dict[str, int | None] = {}
    for number, line in enumerate(lines, start=1):
        fields = line.split()
        if not fields:
            continue
        is_counted = len(fields) > 1
        if is_counted and (len(fields) > 3 or not re.fullmatch(r"[0-9]{1,15}", fields[1]) or int(fields[1]) == 0):
            raise DataError(f"{where} ({file}:{number})", "is no word with a count", got=line, cure=_CURE)
        words[fields[0]] = int(fields[1]) if is_counted else None
    if not words:
        raise DataError(where, "holds no word", got=str(file), cure=_CURE)
    return words, hashlib.sha256(data).hexdigest()[:12]


class _Loaded(NamedTuple):
    tokenizer: Any
    """A `jieba.Tokenizer` or `rjieba.Jieba`, which shares no dictionary with the functions of its module."""
    version: str


def _load(where: str, package: str, read: Callable[[], _Loaded]) -> _Loaded:
    try:
        return read()
    except ImportError:
        raise MissingExtraError(where, package, "chinese") from None


def _read_rjieba() -> _Loaded:
    """rjieba with its own dictionary, for one segmenter alone."""
    import rjieba

    return _Loaded(rjieba.Jieba(), version("rjieba"))


@lru_cache(maxsize=1)
def _read_jieba() -> _Loaded:
    """jieba with its own dictionary.

    Its own way to load prints to stderr and trusts, and leaves, a cache in the system's folder for temporary files.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import jieba

        tokenizer = jieba.Tokenizer()
        tokenizer.FREQ, tokenizer.total = tokenizer.gen_pfdict(tokenizer.get_dict_file())
        tokenizer.initialized = True
    return _Loaded(tokenizer, jieba.__version__)


def _add_words(tokenizer: Any, words: Mapping[str, int | None]) -> Any:
    """Another tokenizer that knows more words; one without a count gets the least with which it is found."""
    wider = type(tokenizer)()
    wider.FREQ, wider.total, wider.initialized = dict(tokenizer.FREQ), tokenizer.total, True
    for word, count in words.items():
        wider.add_word(word, count)
    return wider
