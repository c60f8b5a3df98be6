"""Write on from prompts: many at once, of any lengths, each token computed once."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from groundup.decoding.choose import choose
from groundup.decoding.config import Decoding
from groundup.decoding.text import Decode, TextStream
from groundup.errors import DataError
from groundup.model.cache import Cache
from groundup.model.transformer import Transformer, check_packed

Reason = Literal["end", "stop", "length"]
"""The model wrote its end token; a stop text was met; `max_tokens` were written."""


class Piece(NamedTuple):
    """What one step adds to one sequence."""

    prompt: int
    """The number of the prompt."""
    text: str
    """May be empty: half a character, or what may become a stop text."""
    reason: Reason | None
    """Why the sequence ends here; None where it goes on."""


@dataclass(frozen=True)
class Written:
    """What was written after one prompt."""

    text: str
    token_ids: tuple[int, ...]
    """Without the end token."""
    reason: Reason


class _Sequence:
    """One prompt being continued."""

    def __init__(self, number: int, prompt: Int[np.ndarray, " length"], decode: Decode, decoding: Decoding) -> None:
        self.number, self.written = number, list[int]()
        self.context = np.asarray(prompt, dtype=np.int64)
        self.stream = TextStream(decode, decoding.stop)

    def add(self, token: int, end_id: int | None, decoding: Decoding) -> Piece:
        if token == end_id:
            return Piece(self.number, self.stream.finish(), "end")
        self.written.append(token)
        text = self.stream.push(token)
        if self.stream.is_stopped:
            return Piece(self.number, text, "stop")
        if len(self.written) == decoding.max_tokens:
            return Piece(self.number, text + self.stream.finish(), "length")
        return Piece(self.number, text, None)

    def recent(self, length: int) -> Int[Tensor, " length"]:
        """The last tokens of prompt and writing together."""
        return torch.from_numpy(np.concatenate([self.context, np.array(self.written, dtype=np.int64)])[-length:])


class Writer:
    """A decoder at work: `stream` for pieces as they come, `write` for whole texts.

    Where a sequence fills all positions of the model, its older half is forgotten and the rest is read anew.
    """

    def __init__(
        self,
        model: Transformer,
        decode: Decode,
        *,
        end_id: int | None,
        banned_ids: Collection[int] = (),
    ) -> None:
        """Make a writer of a model.

        Args:
            model: a decoder in evaluation mode with a causal head.
            decode: the text of ids.
            end_id: the token that ends a text; None for none.
            banned_ids: tokens that are never written, such as padding.
        """
        if "causal_lm" not in model.heads:
            raise DataError("model", "has no causal head, so it cannot write", got=sorted(model.heads))
        self.model, self.decode, self.end_id = model, decode, end_id
        self.device = next(model.parameters()).device
        banned = sorted(set(banned_ids) - {end_id})
        self._banned = torch.tensor(banned, dtype=torch.int64, device=self.device)

    def write(
        self, prompts: Sequence[Int[np.ndarray, " _length"]], decoding: Decoding, *, batch_size: int = 64
    ) -> list[Written]:
        """Continue each prompt, `batch_size` of similar lengths at a time; the answers are in the order of prompts."""
        order = sorted(range(len(prompts)), key=lambda number: len(prompts[number]))
        done: dict[int, Written] = {}
        for start in range(0, len(order), batch_size):
            numbers = order[start : start + batch_size]
            sequences = self._start([prompts[number] for number in numbers], numbers, decoding)
            texts = {number: "" for number in numbers}
            for piece in self._run(sequences, decoding):
                texts[piece.prompt] += piece.text
                if piece.reason is not None:
                    written = next(each.written for each in sequences if each.number == piece.prompt)
                    done[piece.prompt] = Written(texts[piece.prompt], tuple(written), piece.reason)
        return [done[number] for number in range(len(prompts))]

    def stream(self, prompts: Sequence[Int[np.ndarray, " _length"]], decoding: Decoding) -> Iterator[Piece]:
        """Continue all prompts at once; a piece for each of them after every step, until its reason to end."""
        return self._run(self._start(prompts, range(len(prompts)), decoding), decoding)

    def _start(self, prompts: Sequence[np.ndarray], numbers: Sequence[int], decoding: Decoding) -> list[_Sequence]:
        for number, prompt in zip(numbers, prompts, strict=True):
            if len(prompt) == 0:
                cure = "give some text, or use a tokenizer with a start token"
                raise DataError(f"prompt {number + 1}", "holds no token to go on from", cure=cure)
        return [_Sequence(number, each, self.decode, decoding) for number, each in zip(numbers, prompts, strict=True)]

    @torch.inference_mode()
    def _run(self, sequences: list[_Sequence], decoding: Decoding) -> Iterator[Piece]:
        active, config = list(sequences), self.model.config
        cache = Cache(config, len(active), device=self.device, dtype=next(self.model.parameters()).dtype)
        new = [each.recent(config.max_length) for each in active]
        for step in range(decoding.max_tokens):
            logits = self._next_logits(cache, new)
            numbers = np.array([each.number for each in active], dtype=np.int64)
            tokens = choose(logits, decoding, numbers, step).tolist()
            pieces = [each.add(token, self.end_id, decoding) for each, token in zip(active, tokens, strict=True)]
            kept = [place for place, piece in enumerate(pieces) if piece.reason is None]
            if len(kept) < len(active):
                active = [active[place] for place in kept]
                cache.select(kept)
            yield from pieces
            if not active:
                return
            is_full = (cache.lengths >= config.max_length).tolist()
            cache.restart([place for place, full in enumerate(is_full) if full])
            half = max(1, config.max_length // 2)
            new = [each.recent(half if full else 1) for each, full in zip(active, is_full, strict=True)]

    def _next_logits(self, cache: Cache, new: Sequence[Int[Tensor, " _length"]]) -> Float[Tensor, "sequences vocab"]:
        packed = cache.pack(new)
        check_packed(self.model.config, packed)
        packed = packed.to(self.device)
        last = packed.boundaries[1:].long() - 1
        logits = self.model.heads["causal_lm"](self.model(packed, rows=last, cache=cache))
        logits[:, self._banned] = -torch.inf
        return logits
