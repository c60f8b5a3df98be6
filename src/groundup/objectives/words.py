"""Which words are hidden as wholes, so that the share of hidden tokens is the asked one whatever the words' sizes.

The words of a sequence stand in a drawn order around a circle, each as wide as it has tokens, and an arc as long as the
asked share of it starts at a drawn place: the words that begin on the arc are hidden. So every word is hidden with that
very probability, long or short, and a sequence misses its share by less than its longest word. To fill a budget from a
shuffled list, as BERT's release does, hides long words less often than short ones: they do not fit at its end.

Spans stand around the circle in the same way, the words of each in their order. A span into which the arc begins or
ends is hidden in part, so that a sequence misses its share by no more than a word, not by a span.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int64

from groundup.objectives.packing import join_tokens
from groundup.objectives.protocol import Batch
from groundup.objectives.spans import Lengths, cut_spans
from groundup.randomness import draw_uniform, make_key
from groundup.text.readable import show_bytes
from groundup.text.tokenizer import Tokenizer
from groundup.text.whole_words import WordFinder


class Chosen(NamedTuple):
    """What is to be predicted."""

    rows: Int64[np.ndarray, " rows"]
    """The tokens, in order."""
    fate_positions: Int64[np.ndarray, " rows"]
    """Of each the position by which is drawn what is shown in its place: that of the first token of its span."""


class Places(NamedTuple):
    """Of each token of a run: its sequence in the run, the number of its sample, its position in the sequence."""

    sequences: Int64[np.ndarray, " tokens"]
    numbers: Int64[np.ndarray, " tokens"]
    positions: Int64[np.ndarray, " tokens"]


def choose_words(
    starts: Bool[np.ndarray, " tokens"],
    candidates: Int64[np.ndarray, " candidates"],
    places: Places,
    rate: float,
    seed: int,
    epoch: int,
    lengths: Lengths | None = None,
) -> Chosen:
    """The tokens to predict.

    Args:
        starts: whether each token of the run is the first of its word.
        candidates: the tokens that may be hidden, in order; no word holds one of them and one of the others.
        places: where each token of the run lies.
        rate: the share to hide.
        seed: of the run.
        epoch: of the data.
        lengths: those of spans of words that are hidden together; None for single words.
    """
    is_first = starts[candidates]
    firsts, words = candidates[is_first], np.cumsum(is_first) - 1
    numbers, positions = places.numbers[firsts], places.positions[firsts]
    if lengths is None:
        draws = draw_uniform(make_key(seed, epoch, "mask words"), numbers, positions)
        order = np.lexsort((draws, places.sequences[firsts]))
    else:
        begins = np.flatnonzero(cut_spans(places.sequences[firsts], numbers, positions, lengths, seed, epoch))
        spans = np.cumsum(np.bincount(begins, minlength=len(firsts))) - 1
        draws = draw_uniform(make_key(seed, epoch, "mask words"), numbers[begins], positions[begins])
        order = np.lexsort((positions, draws[spans], places.sequences[firsts]))
    sequences = places.sequences[firsts][order]
    sizes = np.bincount(words, minlength=len(firsts))[order]
    ends = np.cumsum(sizes)
    totals = np.bincount(places.sequences[candidates])
    around = (np.cumsum(totals) - totals)[sequences]  # where the circle of each word's sequence begins
    total = totals[sequences]
    distance = ends - sizes - around - draw_uniform(make_key(seed, epoch, "mask words from"), numbers[order]) * total
    distance[distance < 0] += total[distance < 0]
    is_hidden = np.zeros(len(firsts), dtype=bool)
    is_hidden[order] = distance <= rate * total  # where the rate is 1, the distance may be rounded up to the total
    is_chosen = is_hidden[words]
    rows = candidates[is_chosen]
    fates = places.positions[rows] if lengths is None else positions[begins[spans[words[is_chosen]]]]
    return Chosen(rows, fates)


def show_words(batch: Batch, tokenizer: Tokenizer, finder: WordFinder, mask_id: int) -> list[str]:
    """Each sequence for people: `[MASK MASK→word]` has what is seen and the word to predict, `[=word]` one all seen."""
    seen, rows = batch.packed.input_ids.cpu().numpy(), batch.targets["rows"].cpu().numpy()
    ids, is_asked = seen.copy(), np.zeros(len(seen), dtype=bool)
    ids[rows], is_asked[rows] = batch.targets["labels"].cpu().numpy(), True
    is_first = finder.find_starts(ids, batch.packed.lengths)
    tokens = ["MASK" if index == mask_id else token for index, token in zip(seen, tokenizer.tokens(seen), strict=True)]
    for start, stop in pairwise(
        [*np.flatnonzero(is_first[: batch.packed.num_tokens]).tolist(), batch.packed.num_tokens]
    ):
        if is_asked[start]:
            word = show_bytes(tokenizer.to_bytes(ids[start:stop])).strip() or "␣"
            is_kept = (seen[start:stop] == ids[start:stop]).all()
            shown = " ".join(token.strip() or "␣" for token in tokens[start:stop])
            tokens[start:stop] = [f"[={word}]" if is_kept else f"[{shown}→{word}]", *[""] * (stop - start - 1)]
    return join_tokens(batch.packed, tokens)
