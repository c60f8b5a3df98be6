"""A vocabulary that exists, with entries of a new domain: words that it could only write in many pieces.

Pairs of its own pieces are joined by frequency on the new text (Sennrich et al. 2016), so every new entry is made of
entries that were there, old text is written as before wherever no new entry occurs, and a model can start each new row
from the rows of the pieces. Characters that it could not write at all come first.
"""

from __future__ import annotations

import heapq
import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any, Final

from tokenizers import Tokenizer

from groundup.errors import ConfigError, DataError

_CONTINUING: Final = "##"
_GAIN: Final = 1e-4
"""How much likelier than its pieces a new unigram entry is: enough to be taken, too little to change anything else."""
_MOST_WORDS: Final = 1 << 20
"""Different words that are counted; those seen once are forgotten when there are more."""
_LONGEST_WORD: Final = 512
_BYTE_PIECE: Final = re.compile("<0x[0-9A-F]{2}>")


def extend_backend(
    base: Tokenizer, texts: Iterable[str], *, add: int, min_frequency: int, where: str = "tokenizer"
) -> Tokenizer:
    """A tokenizer with up to `add` more entries, whose ids follow the old ones.

    Args:
        base: with a WordPiece, BPE or unigram model; it is not changed.
        texts: of the new domain, read once.
        add: the most new entries.
        min_frequency: how often a pair of pieces, or a new character, must occur.
        where: the setting, for errors.

    Raises:
        ConfigError: another kind of model, or one whose entries leave no room behind them.
        DataError: the text gives not a single new entry.
    """
    values = json.loads(base.to_str())
    kind = values["model"]["type"]
    if kind not in ("WordPiece", "BPE", "Unigram"):
        raise ConfigError(
            where, f"a vocabulary of kind {kind} cannot be extended", cure="WordPiece, BPE or unigram can"
        )
    words, unknown = _count_words(base, texts)
    characters = _new_characters(base, kind, unknown, min_frequency)[:add]
    pairs = join_pairs(words, add - len(characters), min_frequency, _join_wordpiece if kind == "WordPiece" else _join)
    known = base.get_vocab(with_added_tokens=True)
    if not characters and not pairs:
        cure = "give more text, or lower the frequency"
        raise DataError(where, f"the text holds no new entry that occurs {min_frequency} times", cure=cure)
    entries = [*characters, *dict.fromkeys(joined for _, _, joined in pairs if joined not in known)]
    first = max(known.values()) + 1
    return Tokenizer.from_str(json.dumps(_write(values, kind, entries, pairs, first, where), ensure_ascii=False))


def split_entry(base: Tokenizer, entry: str) -> list[int]:
    """The ids of the old entries that make up a new one; none for a character that was unknown."""
    vocab = base.get_vocab(with_added_tokens=True)
    model = json.loads(base.to_str())["model"]
    if model["type"] != "WordPiece":
        unknown = model.get("unk_id") if model["type"] == "Unigram" else vocab.get(model.get("unk_token"))
        return [token.id for token in base.model.tokenize(entry) if token.id != unknown]
    is_inner, rest, ids = entry.startswith(_CONTINUING), entry.removeprefix(_CONTINUING), list[int]()
    while rest:
        prefix = _CONTINUING if is_inner or ids else ""
        end = next((end for end in range(len(rest), 0, -1) if prefix + rest[:end] in vocab), None)
        if end is None:
            return []
        ids.append(vocab[prefix + rest[:end]])
        rest = rest[end:]
    return ids


def join_pairs(
    words: Counter[tuple[str, ...]], count: int, min_frequency: int, join: Callable[[str, str], str]
) -> list[tuple[str, str, str]]:
    """The `count` joins (left, right, joined) that are most frequent, one after the other; ties by their text.

    `join` writes two neighbouring pieces as one.
    """
    pieces = [list(word) for word in words]
    times = list(words.values())
    frequency: Counter[tuple[str, str]] = Counter()
    found_in: defaultdict[tuple[str, str], set[int]] = defaultdict(set)
    for number, word in enumerate(pieces):
        for pair in pairwise(word):
            frequency[pair] += times[number]
            found_in[pair].add(number)
    queue = [(-value, pair) for pair, value in frequency.items()]
    heapq.heapify(queue)
    joins: list[tuple[str, str, str]] = []
    while queue and len(joins) < count:
        value, pair = heapq.heappop(queue)
        if frequency[pair] != -value:
            if frequency[pair] >= min_frequency:
                heapq.heappush(queue, (-frequency[pair], pair))
            continue
        if -value < min_frequency:
            break
        joined = join(*pair)
        joins.append((*pair, joined))
        changed: set[tuple[str, str]] = set()
        for number in sorted(found_in.pop(pair)):
            before = list(pairwise(pieces[number]))
            pieces[number] = _replace(pieces[number], pair, joined)
            after = list(pairwise(pieces[number]))
            for each in before:
                frequency[each] -= times[number]
            for each in after:
                frequency[each] += times[number]
                found_in[each].add(number)
            changed.update(after)
        del frequency[pair]
        for each in sorted(changed):
            heapq.heappush(queue, (-frequency[each], each))
    return joins


def _replace(word: Sequence[str], pair: tuple[str, str], joined: str) -> list[str]:
    parts, place = list[str](), 0
    while place < len(word):
        if tuple(word[place : place + 2]) == pair:
            parts.append(joined)
            place += 2
        else:
            parts.append(word[place])
            place += 1
    return parts


def _count_words(base: Tokenizer, texts: Iterable[str]) -> tuple[Counter[tuple[str, ...]], Counter[str]]:
    """Words in pieces of the old vocabulary, and the words that it cannot write, by how often they occur."""
    counts: Counter[str] = Counter()
    for text in texts:
        if base.normalizer is not None:
            text = base.normalizer.normalize_str(text)
        found = [(text, None)] if base.pre_tokenizer is None else base.pre_tokenizer.pre_tokenize_str(text)
        counts.update(word for word, _ in found if len(word) <= _LONGEST_WORD)
        if len(counts) > _MOST_WORDS:
            counts = Counter({word: number for word, number in counts.items() if number > 1})
    vocab, unknown = base.get_vocab(with_added_tokens=True), Counter[str]()
    words: Counter[tuple[str, ...]] = Counter()
    for word, number in counts.items():
        tokens = base.model.tokenize(word)
        if any(token.value not in vocab or _BYTE_PIECE.fullmatch(token.value) for token in tokens) or (
            len(tokens) == 1 and tokens[0].value != word
        ):
            unknown[word] += number
        else:
            words[tuple(token.value for token in tokens)] += number
    return words, unknown


def _new_characters(base: Tokenizer, kind: str, unknown: Counter[str], min_frequency: int) -> list[str]:
    """Characters that the old vocabulary lacks, the most frequent first."""
    vocab = base.get_vocab(with_added_tokens=True)
    counts: Counter[str] = Counter()
    for word, number in unknown.items():
        for place, character in enumerate(word):
            is_inner = kind == "WordPiece" and place > 0
            counts[f"{_CONTINUING}{character}" if is_inner else character] += number
    fresh = [(-number, each) for each, number in counts.items() if each not in vocab and number >= min_frequency]
    return [each for _, each in sorted(fresh)]


def _write(
    values: dict[str, Any],
    kind: str,
    entries: Sequence[str],
    pairs: Sequence[tuple[str, str, str]],
    first: int,
    where: str,
) -> dict[str, Any]:
    """tokenizer.json with the new entries behind the old ones."""
    model = values["model"]
    if kind == "Unigram":
        if first != len(model["vocab"]):
            raise ConfigError(where, "its special tokens stand behind the pieces, where new ones would", got=first)
        scores = dict(model["vocab"])
        lowest = min(scores.values())
        for left, right, joined in pairs:
            scores.setdefault(joined, scores[left] + scores[right] + _GAIN)
        model["vocab"] += [[entry, scores.get(entry, lowest)] for entry in entries]
        return values
    model["vocab"] |= {entry: first + number for number, entry in enumerate(entries)}
    if kind == "BPE":
        is_paired = not model["merges"] or isinstance(model["merges"][0], list)
        model["merges"] += [[left, right] if is_paired else f"{left} {right}" for left, right, _ in pairs]
    return values


def _join(left: str, right: str) -> str:
    return left + right


def _join_wordpiece(left: str, right: str) -> str:
    return left + right.removeprefix(_CONTINUING)
