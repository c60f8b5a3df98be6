"""Write on from prompts: many at once, of any lengths, each token computed once."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int

from groundup.decoding.beam import search
from groundup.decoding.choose import choose
from groundup.decoding.config import Decoding
from groundup.decoding.continuation import Continuation
from groundup.decoding.repetition import restrain
from groundup.decoding.text import Decode, Reason, TextStream, read_text
from groundup.errors import ConfigError, DataError
from groundup.model.transformer import Transformer

Prompt = Int[np.ndarray, " _length"]


class Piece(NamedTuple):
    """What one step adds to one text."""

    prompt: int
    """The number of the prompt."""
    answer: int
    """The number of the answer to it, below `num_return`."""
    text: str
    """May be empty: half a character, or what may become a stop text."""
    reason: Reason | None
    """Why the text ends here; None where it goes on."""


@dataclass(frozen=True)
class Written:
    """One answer to a prompt."""

    text: str
    token_ids: tuple[int, ...]
    """Without the end token."""
    reason: Reason
    score: float | None = None
    """Of a beam: its log probability / tokens^length_penalty, the end token counted; None where none was searched."""


class _Answer:
    """One text being written."""

    def __init__(self, prompt: int, answer: int, decode: Decode, decoding: Decoding) -> None:
        self.prompt, self.answer, self.token_ids = prompt, answer, list[int]()
        self.reason: Reason | None = None
        self._stream, self._max_tokens = TextStream(decode, decoding.stop), decoding.max_tokens

    @property
    def number(self) -> int:
        """What its draws are drawn by: that of the prompt alone for the first answer."""
        return self.prompt + (self.answer << 32)

    def add(self, token: int, end_id: int | None) -> Piece:
        """The next token, and what it adds to the text."""
        text = ""
        if token == end_id:
            self.reason = "end"
        else:
            self.token_ids.append(token)
            text = self._stream.push(token)
            if self._stream.is_stopped:
                self.reason = "stop"
            elif len(self.token_ids) == self._max_tokens:
                self.reason = "length"
        if self.reason is not None:
            text += self._stream.finish()
        return Piece(self.prompt, self.answer, text, self.reason)

    def finish(self) -> Written:
        """All of it, once it has ended."""
        assert self.reason is not None
        return Written(self._stream.text, tuple(self.token_ids), self.reason)


class Writer:
    """A decoder at work: `stream` for pieces as they come, `write` for whole texts.

    A decoder alone goes on from its prompts; one with an encoder reads them and answers.
    """

    def __init__(
        self,
        model: Transformer,
        decode: Decode,
        *,
        end_id: int | None,
        banned_ids: Collection[int] = (),
        start_ids: Sequence[int] = (),
    ) -> None:
        """Make a writer of a model.

        Args:
            model: a decoder in evaluation mode with a causal head.
            decode: the text of ids.
            end_id: the token that ends a text; None for none.
            banned_ids: tokens that are never written, such as padding.
            start_ids: what every answer to a source begins with, unseen; for encoder-decoders alone.
        """
        if "causal_lm" not in model.heads:
            raise DataError("model", "has no causal head, so it cannot write", got=sorted(model.heads))
        if (model.config.encoder is not None) != bool(start_ids):
            is_needed = "are needed to begin an answer" if not start_ids else "are for encoder-decoders alone"
            raise DataError("start_ids", is_needed, got=list(start_ids))
        self.model, self.decode, self.end_id = model, decode, end_id
        self.start_ids = tuple(start_ids)
        banned = sorted(set(banned_ids) - {end_id})
        self._banned = torch.tensor(banned, dtype=torch.int64, device=next(model.parameters()).device)

    def write(self, prompts: Sequence[Prompt], decoding: Decoding, *, batch_size: int = 64) -> list[Written]:
        """The answers to each prompt, `num_return` one after another, in the order of prompts.

        Args:
            prompts: ids to go on from, or to answer to.
            decoding: how; answers of beams come best first.
            batch_size: texts at a time, of similar lengths; it changes no answer but by rounding.
        """
        _check(prompts)
        order = sorted(range(len(prompts)), key=lambda number: len(prompts[number]))
        size = max(1, batch_size // max(decoding.num_beams, decoding.num_return))
        done: dict[int, list[Written]] = {}
        for start in range(0, len(order), size):
            numbers = order[start : start + size]
            chosen = [prompts[number] for number in numbers]
            write = self._search if decoding.num_beams > 1 else self._write
            done |= zip(numbers, write(chosen, numbers, decoding), strict=True)
        return [each for number in range(len(prompts)) for each in done[number]]

    def stream(self, prompts: Sequence[Prompt], decoding: Decoding) -> Iterator[Piece]:
        """Continue all prompts at once; a piece for every answer after every step, until its reason to end.

        ConfigError with beams: which of them is the best is known in the end alone.
        """
        _check(prompts)
        if decoding.num_beams > 1:
            cure = "write it whole, or leave num_beams out"
            raise ConfigError(
                "num_beams", "a beam cannot be shown before it is whole", got=decoding.num_beams, cure=cure
            )
        return self._run(prompts, self._begin(range(len(prompts)), decoding), decoding)

    def _begin(self, numbers: Sequence[int], decoding: Decoding) -> list[_Answer]:
        answers = range(decoding.num_return)
        return [_Answer(number, answer, self.decode, decoding) for number in numbers for answer in answers]

    def _write(self, prompts: Sequence[Prompt], numbers: Sequence[int], decoding: Decoding) -> list[list[Written]]:
        answers = self._begin(numbers, decoding)
        for _ in self._run(prompts, answers, decoding):
            pass
        whole, count = [each.finish() for each in answers], decoding.num_return
        return [whole[start : start + count] for start in range(0, len(whole), count)]

    @torch.inference_mode()
    def _search(self, prompts: Sequence[Prompt], numbers: Sequence[int], decoding: Decoding) -> list[list[Written]]:
        continuation = self._continue(prompts, decoding)
        found = search(continuation, decoding, self.decode, end_id=self.end_id, banned=self._banned)
        return [
            [Written(read_text(self.decode, each.token_ids, decoding.stop), *each) for each in hypotheses]
            for hypotheses in found
        ]

    def _run(self, prompts: Sequence[Prompt], answers: Sequence[_Answer], decoding: Decoding) -> Iterator[Piece]:
        continuation, active = self._continue(prompts, decoding), list(answers)
        # A prompt is read once, however many answers are drawn to it.
        rows = [row for row in range(len(prompts)) for _ in range(decoding.num_return)]
        for step in range(decoding.max_tokens):
            numbers = np.array([each.number for each in active], dtype=np.int64)
            tokens = self._choose(continuation, rows, decoding, numbers, step)
            yield from [each.add(token, self.end_id) for each, token in zip(active, tokens, strict=True)]
            kept = [place for place, each in enumerate(active) if each.reason is None]
            if not kept:
                return
            active = [active[place] for place in kept]
            continuation.extend([rows[place] for place in kept], [tokens[place] for place in kept])
            rows = list(range(len(active)))

    @torch.inference_mode()
    def _choose(
        self, continuation: Continuation, rows: list[int], decoding: Decoding, numbers: np.ndarray, step: int
    ) -> list[int]:
        """The next token of these texts."""
        logits = continuation.next_logits()
        logits[:, self._banned] = -torch.inf
        logits = restrain(logits, continuation.texts, decoding)
        return choose(logits[rows], decoding, numbers, step).tolist()

    def _continue(self, prompts: Sequence[Prompt], decoding: Decoding) -> Continuation:
        ids = [prompt.tolist() for prompt in prompts]
        if not self.start_ids:
            return Continuation(self.model, ids, decoding.max_tokens)
        starts = [self.start_ids] * len(ids)
        return Continuation(self.model, starts, decoding.max_tokens, sources=ids)


def _check(prompts: Sequence[Prompt]) -> None:
    for number, prompt in enumerate(prompts):
        if len(prompt) == 0:
            cure = "give some text, or use a tokenizer with a start token"
            raise DataError(f"prompt {number + 1}", "holds no token to go on from", cure=cure)
