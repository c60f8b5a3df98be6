"""Which pieces a text is best written with (Kudo 2018, "Subword Regularization", section 3.2), always the same ones.

The trainer of the `tokenizers` library goes through hash maps and adds up floats in the order in which threads finish,
so two runs differ. Here every sum has one order, ties are broken by the alphabet, and all words are worked on at once.
What differs from the paper: the loss of a piece is what its own uses would lose with the next best way to write it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int32, Int64

from groundup.text.words import UNSPACED

LONGEST_PIECE: Final = 16
LONGEST_UNSPACED: Final = 4
"""Without spaces to stop at, whole phrases would become pieces. Most Chinese words have two characters, idioms four."""

_LONGEST_RUN = 32  # longer ones are cut: as many probabilities multiplied are far from the smallest float
_SEEDS_PER_PIECE = 10
_KEPT_PER_ROUND = 0.75
_SPARE = 1.1
_LEAST_USES = 0.5
_DECIMALS = 6
_IS_UNSPACED = re.compile(f"[{UNSPACED}]")


def fit_pieces(words: Mapping[str, int], alphabet: Sequence[str], num_pieces: int) -> list[tuple[str, float]]:
    """The characters and the longer pieces most worth having, with the logarithms of their probabilities, best first.

    Args:
        words: every word with its count; no piece goes beyond a word.
        alphabet: characters in the order of their code points, which are pieces always; others end a word.
        num_pieces: the most pieces, the alphabet included; fewer where the words do not repeat enough.
    """
    runs = _Runs.of(_split(words, alphabet), alphabet)
    tree = _Tree.of(runs, len(alphabet), _SEEDS_PER_PIECE * num_pieces)
    pieces = [*alphabet, *tree.spell(alphabet)]
    corpus = _Lattice.of(runs, tree)
    # Each piece again as a text of its own, to be written without itself.
    inside = _Lattice.of(_Runs.of(dict.fromkeys(pieces, 1), alphabet), tree)
    row_of = {text: row for row, text in enumerate(inside.texts)}
    rows = np.array([row_of[text] for text in pieces])
    is_needed = np.arange(len(pieces)) < len(alphabet)
    is_alive = np.ones(len(pieces), dtype=bool)
    uses, target = tree.uses, max(round(_SPARE * num_pieces), len(alphabet))
    inside = inside.select(rows[inside.piece] != inside.word)
    while True:
        for _ in range(2):
            uses = corpus.count_uses(_score(uses, is_alive))
            uses[is_needed] = np.maximum(uses[is_needed], 1.0)
            is_alive &= uses >= _LEAST_USES
            corpus = corpus.select(is_alive[corpus.piece])
        size = np.count_nonzero(is_alive)
        if size <= target:
            break
        scores = _score(uses, is_alive)
        inside = inside.select(is_alive[inside.piece])
        losses = np.full(len(pieces), -np.inf)
        others = inside.find_best(scores)[rows]
        losses[is_alive] = uses[is_alive] * (scores - others)[is_alive]
        is_alive = _keep_best(losses, is_needed, max(target, int(_KEPT_PER_ROUND * size)))
        corpus = corpus.select(is_alive[corpus.piece])
    scores = np.round(_score(uses, is_alive), _DECIMALS)
    kept = np.flatnonzero(_keep_best(np.where(is_alive, scores, -np.inf), is_needed, num_pieces))
    return sorted(((pieces[at], float(scores[at])) for at in kept), key=lambda item: (-item[1], item[0]))


class _Runs(NamedTuple):
    """Texts of known characters, the longest first, end to end as numbers of the alphabet."""

    texts: list[str]
    counts: Float64[np.ndarray, " texts"]
    codes: Int64[np.ndarray, " characters"]
    word: Int64[np.ndarray, " characters"]
    """The text that a character stands in."""
    left: Int64[np.ndarray, " characters"]
    """Characters from here to the end of the text."""

    @classmethod
    def of(cls, counts: Mapping[str, int], alphabet: Sequence[str]) -> _Runs:
        texts = sorted(counts, key=lambda text: (-len(text), text))
        lengths = np.array([len(text) for text in texts], dtype=np.int64)
        codes = np.searchsorted(_encode("".join(alphabet)), _encode("".join(texts)))
        left = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(codes))
        weights = np.array([counts[text] for text in texts], dtype=np.float64)
        return cls(texts, weights, codes, np.repeat(np.arange(len(texts)), lengths), left)


class _Level(NamedTuple):
    """The strings of one length that occur twice or more, in alphabetical order."""

    keys: Int64[np.ndarray, " strings"]
    """The number of a string without its last character, times the size of the alphabet, plus that character."""
    uses: Float64[np.ndarray, " strings"]
    number: Int64[np.ndarray, " strings"]
    """Which piece it is; -1 for none."""


class _Tree(NamedTuple):
    """The strings among which pieces are looked for, by length, and the most promising ones as pieces."""

    levels: list[_Level]
    size: int
    """Of the alphabet."""

    @classmethod
    def of(cls, runs: _Runs, size: int, most: int) -> _Tree:
        """The alphabet, and at most `most` longer strings: those with the most characters in all their occurrences."""
        tree = cls(_grow(runs, size), size)
        worth = np.concatenate([length * level.uses for length, level in enumerate(tree.levels, start=1)])
        order = np.argsort(-worth[size:], kind="stable")[:most]
        number = np.full(len(worth), -1)
        number[:size] = np.arange(size)
        number[size + np.sort(order)] = size + np.arange(len(order))
        parts = np.split(number, np.cumsum([len(level.keys) for level in tree.levels])[:-1])
        return cls([level._replace(number=part) for level, part in zip(tree.levels, parts, strict=True)], size)

    @property
    def uses(self) -> Float64[np.ndarray, " pieces"]:
        return np.concatenate([level.uses[level.number >= 0] for level in self.levels])

    def spell(self, alphabet: Sequence[str]) -> list[str]:
        """The pieces longer than one character, in the order of their numbers."""
        found: list[str] = []
        for depth in range(1, len(self.levels)):
            node = np.flatnonzero(self.levels[depth].number >= 0)
            columns = []
            for level in self.levels[depth:0:-1]:
                node, last = np.divmod(level.keys[node], self.size)
                columns.append(last)
            rows = np.stack([node, *reversed(columns)], axis=1)
            found += ["".join([alphabet[code] for code in row]) for row in rows.tolist()]
        return found


class _Lattice(NamedTuple):
    """All ways to write texts with pieces: edges from place to place, those that end at the same depth together.

    Places are numbered by depth and then by text. The longest texts come first, so that those which reach a depth are
    numbered without gaps.
    """

    texts: list[str]
    counts: Float64[np.ndarray, " texts"]
    lengths: Int64[np.ndarray, " texts"]
    first: Int64[np.ndarray, " depths"]
    """The first place of each depth."""
    word: Int32[np.ndarray, " edges"]
    depth: Int32[np.ndarray, " edges"]
    """Where an edge ends in its text."""
    start: Int32[np.ndarray, " edges"]
    piece: Int32[np.ndarray, " edges"]

    @classmethod
    def of(cls, runs: _Runs, tree: _Tree) -> _Lattice:
        lengths = np.bincount(runs.word, minlength=len(runs.texts))
        width = np.array([np.count_nonzero(lengths >= depth) for depth in range(_LONGEST_RUN + 1)])
        first = np.cumsum(width) - width
        at, node, edges = np.arange(len(runs.codes)), runs.codes, []
        for length, level in enumerate(tree.levels, start=1):
            is_piece = level.number[node] >= 0
            edges.append((at[is_piece], np.full(np.count_nonzero(is_piece), length), level.number[node[is_piece]]))
            if length == len(tree.levels):
                break
            goes_on = runs.left[at] > length
            at, node = at[goes_on], node[goes_on]
            keys, wanted = tree.levels[length].keys, node * tree.size + runs.codes[at + length]
            node = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
            is_known = keys[node] == wanted
            at, node = at[is_known], node[is_known]
        at, size, piece = (np.concatenate(part) for part in zip(*edges, strict=True))
        word = runs.word[at]
        begin = lengths[word] - runs.left[at]
        order = np.argsort(begin + size, kind="stable")
        parts = (word, begin + size, first[begin] + word, piece)
        return cls(runs.texts, runs.counts, lengths, first, *(part[order].astype(np.int32) for part in parts))

    def select(self, is_kept: Bool[np.ndarray, " edges"]) -> _Lattice:
        """The lattice with some of its edges."""
        names = ("word", "depth", "start", "piece")
        return self._replace(**{name: getattr(self, name)[is_kept] for name in names})

    def count_uses(self, scores: Float64[np.ndarray, " pieces"]) -> Float64[np.ndarray, " pieces"]:
        """How often each piece is expected in the texts: the E-step, forwards and backwards through all at once."""
        probability = np.exp(scores)[self.piece]
        places = int(self.first[-1]) + np.count_nonzero(self.lengths >= _LONGEST_RUN)
        forward, backward = np.zeros(places), np.zeros(places)
        forward[: len(self.texts)] = 1.0
        slices = self._depths()
        for depth, edges in slices:
            reached = np.bincount(self.word[edges], forward[self.start[edges]] * probability[edges])
            forward[self.first[depth] : self.first[depth] + len(reached)] = reached
        ends = self.first[self.lengths] + np.arange(len(self.texts))
        backward[ends] = self.counts / forward[ends]
        flow = np.zeros(len(self.piece))
        for depth, edges in reversed(slices):
            behind = probability[edges] * backward[self.first[depth] + self.word[edges]]
            flow[edges] = forward[self.start[edges]] * behind
            np.add.at(backward, self.start[edges], behind)
        return np.bincount(self.piece, flow, minlength=len(scores))

    def find_best(self, scores: Float64[np.ndarray, " pieces"]) -> Float64[np.ndarray, " texts"]:
        """The score of the best way to write each text; minus infinity where there is none."""
        best = np.full(int(self.first[-1]) + np.count_nonzero(self.lengths >= _LONGEST_RUN), -np.inf)
        best[: len(self.texts)] = 0.0
        for depth, edges in self._depths():
            np.maximum.at(
                best, self.first[depth] + self.word[edges], best[self.start[edges]] + scores[self.piece[edges]]
            )
        return best[self.first[self.lengths] + np.arange(len(self.texts))]

    def _depths(self) -> list[tuple[int, slice]]:
        bounds = np.searchsorted(self.depth, np.arange(1, _LONGEST_RUN + 2)).tolist()
        return [(depth, slice(*bounds[depth - 1 : depth + 1])) for depth in range(1, _LONGEST_RUN + 1)]


def _split(words: Mapping[str, int], alphabet: Sequence[str]) -> dict[str, int]:
    """Runs of known characters, of bounded length, with their counts."""
    unknown = re.compile(f"[^{re.escape(''.join(alphabet))}]+")
    runs: Counter[str] = Counter()
    for word, count in words.items():
        for run in unknown.split(word):
            for start in range(0, len(run), _LONGEST_RUN):
                runs[run[start : start + _LONGEST_RUN]] += count
    return dict(runs)


def _grow(runs: _Runs, size: int) -> list[_Level]:
    """All strings inside the runs that occur twice, by length: each is one that occurs twice and a character more."""
    unspaced = np.array([_IS_UNSPACED.search(text) is not None for text in runs.texts], dtype=bool)
    limit = np.where(unspaced, LONGEST_UNSPACED, LONGEST_PIECE)[runs.word]
    weights = runs.counts[runs.word]
    node, at = runs.codes, np.arange(len(runs.codes))
    levels = [_Level(np.arange(size), np.bincount(node, weights, minlength=size), np.full(size, -1))]
    for length in range(2, LONGEST_PIECE + 1):
        goes_on = (runs.left[at] >= length) & (limit[at] >= length) & (levels[-1].uses[node] >= 2)
        at, node = at[goes_on], node[goes_on]
        keys, node = np.unique(node * size + runs.codes[at + length - 1], return_inverse=True)
        uses = np.bincount(node, weights[at], minlength=len(keys))
        is_kept = uses >= 2
        if not is_kept.any():
            break
        at, node = at[is_kept[node]], (np.cumsum(is_kept) - 1)[node[is_kept[node]]]
        levels.append(_Level(keys[is_kept], uses[is_kept], np.full(np.count_nonzero(is_kept), -1)))
    return levels


def _score(
    uses: Float64[np.ndarray, " pieces"], is_alive: Bool[np.ndarray, " pieces"]
) -> Float64[np.ndarray, " pieces"]:
    """The M-step with a sparse prior (Liang et al. 2007), which costs rare pieces more than their share."""
    scores = np.full(len(uses), -np.inf)
    scores[is_alive] = _digamma(uses[is_alive]) - _digamma(np.array([uses[is_alive].sum()]))
    return scores


def _digamma(x: Float64[np.ndarray, " values"]) -> Float64[np.ndarray, " values"]:
    """The derivative of log gamma: its recurrence up to 7, and from there the asymptotic series around x - 1/2."""
    shift, x = np.zeros_like(x), x.copy()
    while (is_small := x < 7.0).any():
        shift[is_small] -= 1.0 / x[is_small]
        x[is_small] += 1.0
    square = 1.0 / (x - 0.5) ** 2
    series = square * (1 / 24 - square * (7 / 960 - square * (31 / 8064 - square * 127 / 30720)))
    return shift + np.log(x - 0.5) + series


def _keep_best(
    values: Float64[np.ndarray, " pieces"], is_needed: Bool[np.ndarray, " pieces"], most: int
) -> Bool[np.ndarray, " pieces"]:
    """The needed pieces, and as many of the others as fit beside them; rounded, so that a last bit decides nothing."""
    is_kept = is_needed.copy()
    order = np.argsort(-np.round(np.where(is_needed, -np.inf, values), _DECIMALS), kind="stable")
    order = order[: max(0, most - np.count_nonzero(is_needed))]
    is_kept[order[np.isfinite(values[order]) & ~is_needed[order]]] = True
    return is_kept


def _encode(text: str) -> Int64[np.ndarray, " characters"]:
    return np.frombuffer(text.encode("utf-32-le"), dtype="<u4").astype(np.int64)
