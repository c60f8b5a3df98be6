"""One step of writing, whatever chooses the token: what may come next after each of several texts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from groundup.model.cache import Cache
from groundup.model.packed import Memory, Packed
from groundup.model.transformer import Transformer, check_packed


class Continuation:
    """Texts that a decoder writes on. Each token is computed once.

    Where a text fills all positions of the model, its older half is forgotten and the rest is read anew. A model of
    prefixes sees what is read of a prompt in both directions, and what it wrote from left to right.
    """

    def __init__(
        self,
        model: Transformer,
        prompts: Sequence[Sequence[int]],
        max_tokens: int,
        *,
        sources: Sequence[Sequence[int]] | None = None,
    ) -> None:
        """Begin.

        Args:
            model: a decoder, with an encoder or without.
            prompts: texts to go on from, each of one token or more.
            max_tokens: the most tokens that will be added to each.
            sources: what the encoder reads, one for each prompt; None where there is no encoder.
        """
        self.model, self._sources = model, sources
        self.texts: list[list[int]] = [list(prompt) for prompt in prompts]
        """The ids of each text so far, its prompt included."""
        first, length = next(model.parameters()), model.config.max_length
        capacity = min(length, max(map(len, prompts)) + max_tokens)
        self._cache = Cache(model.config, len(prompts), capacity=capacity, device=first.device, dtype=first.dtype)
        self._device = first.device
        self._unread = [text[-length:] for text in self.texts]
        self._prompts = [len(text) if model.config.has_prefix else 0 for text in self.texts]

    @torch.inference_mode()
    def next_logits(self) -> Float[Tensor, "texts vocab"]:
        """Of the token that comes next in each text; called once between two calls of `extend`."""
        packed = self._cache.pack([torch.tensor(ids) for ids in self._unread], self._find_prefixes())
        check_packed(self.model.config, packed)
        packed, memory = packed.to(self._device), self._encode()
        last = packed.ends
        hidden = self.model(packed, rows=last, cache=self._cache, memory=memory)
        return self.model.heads["causal_lm"](hidden).float()

    @torch.inference_mode()
    def extend(self, kept: Sequence[int], tokens: Sequence[int]) -> None:
        """Go on with these texts in this order, one perhaps more than once, each with a token more."""
        if list(kept) != list(range(len(self.texts))):
            self._cache.select(kept)
        self.texts = [[*self.texts[place], token] for place, token in zip(kept, tokens, strict=True)]
        self._prompts = [self._prompts[place] for place in kept]
        length = self.model.config.max_length
        is_full = [held >= length for held in self._cache.lengths.tolist()]
        self._cache.restart([place for place, full in enumerate(is_full) if full])
        half = max(1, length // 2)
        self._unread = [text[-half:] if full else text[-1:] for text, full in zip(self.texts, is_full, strict=True)]

    def _find_prefixes(self) -> list[int] | None:
        """Of each text, how many of the unread tokens, the first ones, are of its prompt; None where none is."""
        starts = [len(text) - len(unread) for text, unread in zip(self.texts, self._unread, strict=True)]
        prefixes = [
            0 if held else max(0, prompt - start)
            for held, prompt, start in zip(self._cache.lengths.tolist(), self._prompts, starts, strict=True)
        ]
        return prefixes if any(prefixes) else None

    def _encode(self) -> Memory | None:
        """What the decoder attends to, the first time alone: the cache keeps it."""
        if self._sources is None:
            return None
        source = Packed.from_sequences([np.array(ids) for ids in self._sources])
        check_packed(self.model.config.of_encoder, source)
        self._sources = None
        return self.model.encode(source.to(self._device))
