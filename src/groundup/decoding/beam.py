"""Beam search: the likeliest texts are kept at every step, and whole ones are compared in the end."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from groundup.decoding.config import Decoding
from groundup.decoding.continuation import Continuation
from groundup.decoding.repetition import restrain
from groundup.decoding.text import Decode, Reason, find_stop
from groundup.errors import DataError


class Hypothesis(NamedTuple):
    """A text that has ended."""

    token_ids: tuple[int, ...]
    """What was written, without the end token."""
    reason: Reason
    score: float
    """Its log probability / tokens^length_penalty, the end token counted."""


class Beam:
    """The search of one prompt: texts that are open, best first, and the best that have ended.

    The rules are those of transformers 5: twice as many candidates as beams are looked at, so that ends among them
    never leave fewer open texts than beams, and an end counts only among the first `num_beams`.
    """

    def __init__(self, decoding: Decoding, decode: Decode, end_id: int | None) -> None:
        """A search that begins with one open text, the prompt."""
        self._decoding, self._decode, self._end_id = decoding, decode, end_id
        self._sums = torch.zeros(1)
        self._open: list[tuple[int, ...]] = [()]
        self.ended: list[Hypothesis] = []
        """The best texts that have ended, at most `num_beams`, the best first."""
        self.is_done = False
        """Whether no open text is looked at any more."""

    @property
    def num_open(self) -> int:
        """Open texts, whose scores `advance` expects."""
        return len(self._open)

    def advance(self, scores: Float[Tensor, "open vocab"]) -> tuple[list[int], list[int]]:
        """Which open texts go on, in their new order, and each one's next token, by log probabilities of it."""
        num_beams, vocab = self._decoding.num_beams, scores.shape[-1]
        sums = (self._sums[:, None] + scores.cpu()).flatten()
        found = sums.topk(min(2 * num_beams, len(sums)))
        kept: list[int] = []
        for rank, (total, index) in enumerate(zip(found.values.tolist(), found.indices.tolist(), strict=True)):
            if total == -torch.inf:
                break
            written = (*self._open[index // vocab], index % vocab)
            reason = self._find_reason(written)
            if reason is None:
                kept.append(index)
            elif rank < num_beams:
                score = total / len(written) ** self._decoding.length_penalty
                self.ended.append(Hypothesis(written[:-1] if reason == "end" else written, reason, score))
        del kept[num_beams:]
        places, tokens = [index // vocab for index in kept], [index % vocab for index in kept]
        self._open = [(*self._open[place], token) for place, token in zip(places, tokens, strict=True)]
        self._sums = sums[kept]
        self.ended.sort(key=lambda each: -each.score)
        del self.ended[num_beams:]
        self.is_done = not kept or self._is_decided()
        return places, tokens

    def _find_reason(self, written: tuple[int, ...]) -> Reason | None:
        if written[-1] == self._end_id:
            return "end"
        if self._decoding.stop and find_stop(self._decode(written), self._decoding.stop) is not None:
            return "stop"
        return "length" if len(written) == self._decoding.max_tokens else None

    def _is_decided(self) -> bool:
        """Whether the texts that have ended are those to return."""
        rules = self._decoding
        if len(self.ended) < rules.num_beams:
            return False
        if rules.early_stopping is True:
            return True
        # A log probability only falls; divided by the length it may rise as far as max_tokens go.
        is_hopeful = rules.early_stopping == "never" and rules.length_penalty > 0
        length = rules.max_tokens if is_hopeful else len(self._open[0])
        return float(self._sums[0]) / length**rules.length_penalty <= self.ended[-1].score


def search(
    continuation: Continuation,
    decoding: Decoding,
    decode: Decode,
    *,
    end_id: int | None,
    banned: Int[Tensor, " banned"],
) -> list[list[Hypothesis]]:
    """The best `num_return` texts after each prompt, best first; prompts that are done leave the batch.

    Args:
        continuation: the prompts, just begun.
        decoding: with two beams or more.
        decode: the text of ids, for stop texts.
        end_id: the token that ends a text; None for none.
        banned: tokens that are never written. What is likely besides them does not become likelier.
    """
    beams = [Beam(decoding, decode, end_id) for _ in continuation.texts]
    active = list(beams)
    while active:
        scores = continuation.next_logits().log_softmax(dim=-1)
        scores[:, banned] = -torch.inf
        parts = restrain(scores, continuation.texts, decoding).split([beam.num_open for beam in active])
        kept, tokens, start = list[int](), list[int](), 0
        for beam, part in zip(active, parts, strict=True):
            places, chosen = beam.advance(part)
            if not beam.is_done:
                kept += [start + place for place in places]
                tokens += chosen
            start += len(part)
        active = [beam for beam in active if not beam.is_done]
        if active:
            continuation.extend(kept, tokens)
    fewest = min(len(beam.ended) for beam in beams)
    if fewest < decoding.num_return:
        raise DataError("num_return", f"only {fewest} different texts can be written", got=decoding.num_return)
    return [beam.ended[: decoding.num_return] for beam in beams]
