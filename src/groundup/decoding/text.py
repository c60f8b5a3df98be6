"""Tokens to text while they come: whole characters only, and nothing of a stop text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, final

Decode = Callable[[Sequence[int]], str]

Reason = Literal["end", "stop", "length"]
"""The model wrote its end token; a stop text was met; `max_tokens` were written."""

_HALF = "\ufffd"
"""What decoders write for bytes that are no whole character yet."""


def find_stop(text: str, stop: Sequence[str]) -> int | None:
    """Where the first stop text begins; None where there is none."""
    return min((place for place in map(text.find, stop) if place >= 0), default=None)


def read_text(decode: Decode, token_ids: Sequence[int], stop: Sequence[str]) -> str:
    """The text of a whole sequence, without a stop text and what follows it, or half a character at its end."""
    text = decode(token_ids)
    return text[: find_stop(text, stop)].rstrip(_HALF)


@final
class TextStream:
    """The text of one sequence. What was handed out stays: pieces joined are the text."""

    def __init__(self, decode: Decode, stop: Sequence[str]) -> None:
        """`decode` gives the text of ids; `stop` are the texts that end it."""
        self._decode, self._stop = decode, tuple(stop)
        self._ids: list[int] = []
        self.text = ""
        """All that was handed out."""
        self.is_stopped = False
        """Whether a stop text was met."""

    def push(self, token_id: int) -> str:
        """One token more; the text that is now certain."""
        self._ids.append(token_id)
        whole = self._decode(self._ids)
        end = find_stop(whole, self._stop)
        if end is not None:
            self.is_stopped = True
            return self._hand_out(whole[:end])
        return self._hand_out(whole[: len(whole) - self._uncertain(whole)])

    def finish(self) -> str:
        """The rest, when no token comes any more; half a character is left out."""
        return "" if self.is_stopped else self._hand_out(self._decode(self._ids).rstrip(_HALF))

    def _uncertain(self, text: str) -> int:
        """Characters at the end that the next token may still change, or that may be the start of a stop text."""
        half = len(text) - len(text.rstrip(_HALF))
        starts = (size for stop in self._stop for size in range(len(stop) - 1, 0, -1) if text.endswith(stop[:size]))
        return max(half, max(starts, default=0))

    def _hand_out(self, certain: str) -> str:
        if not certain.startswith(self.text):
            return ""  # a decoder that rewrites what it wrote (a space before punctuation) is waited for
        piece = certain[len(self.text) :]
        self.text += piece
        return piece
