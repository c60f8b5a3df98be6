"""Logits of the next token for callers that hand in whole texts at every step."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

from groundup.decoding.continuation import Continuation
from groundup.model.transformer import Transformer


class Recall:
    """A cache that finds its texts by what they say, so that it needs no bookkeeping from whoever chooses tokens.

    Any text that is one that was read last time and one token more costs that token alone, wherever it now stands:
    beams may change places, and texts that have ended may be left out.
    """

    def __init__(self, model: Transformer) -> None:
        """Begin with nothing read."""
        self._model = model
        self._continuation: Continuation | None = None

    def next_logits(self, texts: Sequence[Sequence[int]]) -> Float[Tensor, "texts vocab"]:
        """Of the token that comes next in each text."""
        continuation = self._continuation
        known = {} if continuation is None else {tuple(ids): place for place, ids in enumerate(continuation.texts)}
        places = [known.get(tuple(ids[:-1])) for ids in texts]
        if continuation is None or None in places:
            continuation = Continuation(self._model, texts, self._model.config.max_length)
        else:
            continuation.extend(places, [ids[-1] for ids in texts])
        self._continuation = continuation
        return continuation.next_logits().clone()
