"""Looks for prompts with two answers; as a program over as many pairs as its argument says."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterable

from groundup.spoken.pairs import SPLITS, Pair, draw_pairs
from groundup.spoken.rows import make_prompt

_PAIRS_OF_A_SEED = 5_000


def find_ambiguous(pairs: Iterable[Pair]) -> list[list[str]]:
    """The answers to each prompt that has more than one, in either direction."""
    answers: dict[str, set[str]] = defaultdict(set)
    for pair in pairs:
        for spoken in (pair.spoken, pair.canonical):
            answers[make_prompt(spoken, "to_written", pair.language)].add(pair.written)
        answers[make_prompt(pair.written, "to_spoken", pair.language)].add(pair.canonical)
    return [sorted(found) for found in answers.values() if len(found) > 1]


if __name__ == "__main__":
    seeds = int(sys.argv[1]) // (_PAIRS_OF_A_SEED * len(SPLITS))
    drawn = [pair for seed in range(seeds) for split in SPLITS for pair in draw_pairs(split, _PAIRS_OF_A_SEED, seed)]
    print(json.dumps({"pairs": len(drawn), "ambiguous": find_ambiguous(drawn)}, ensure_ascii=False))
