"""Keys and values of the tokens so far, so that a decoder computes each token once.

A cache holds one padded store per layer, `[sequences, capacity, kv heads, head width]`. A forward pass with a cache
takes a packed run of new tokens only: a whole prompt, or one token of each sequence. Sequences may be of any lengths.
Of an encoder-decoder it also keeps what its tokens attend to in their sources, from the first pass on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from groundup.errors import ConfigError, DataError
from groundup.model.config import ModelConfig
from groundup.model.packed import Packed
from groundup.model.scores import Bias, dense_mask


@dataclass(frozen=True)
class MemoryCache:
    """Keys and values of the sources in one layer, computed once for all tokens that attend to them."""

    keys: Float[Tensor, "sequences longest kv_heads head_dim"]
    values: Float[Tensor, "sequences longest kv_heads head_dim"]
    is_token: Bool[Tensor, "sequences longest"]

    @classmethod
    def of(
        cls,
        k: Float[Tensor, "tokens kv_heads head_dim"],
        v: Float[Tensor, "tokens kv_heads head_dim"],
        packed: Packed,
    ) -> MemoryCache:
        """From a packed run of sources."""
        places = _places(packed)
        keys, values = (each.new_zeros(len(packed.lengths), max(packed.lengths), *each.shape[1:]) for each in (k, v))
        for store, new in ((keys, k), (values, v)):
            store[places.sequences, places.offsets] = new[: packed.num_tokens]
        positions = torch.arange(keys.shape[1], device=k.device)
        return cls(keys, values, positions < packed.boundaries.diff().long()[:, None])

    def attend(
        self, q: Float[Tensor, "tokens heads head_dim"], packed: Packed, *, scale: float | None
    ) -> Float[Tensor, "tokens heads head_dim"]:
        """Each new token sees the whole source of its sequence."""
        places = _places(packed)
        query = q.new_zeros(len(packed.lengths), max(packed.lengths), *q.shape[1:])
        query[places.sequences, places.offsets] = q
        out = scaled_dot_product_attention(
            query.transpose(1, 2),
            self.keys.transpose(1, 2),
            self.values.transpose(1, 2),
            attn_mask=self.is_token[:, None, None, :],
            scale=scale,
            enable_gqa=q.shape[1] != self.keys.shape[2],
        )
        return out.transpose(1, 2)[places.sequences, places.offsets]

    def select(self, chosen: Int[Tensor, " sequences"]) -> MemoryCache:
        """The sources of these sequences."""
        chosen = chosen.to(self.keys.device)
        return MemoryCache(self.keys[chosen], self.values[chosen], self.is_token[chosen])


@dataclass
class LayerCache:
    """Keys and values of one layer, each under its own token."""

    keys: Float[Tensor, "sequences capacity kv_heads head_dim"]
    values: Float[Tensor, "sequences capacity kv_heads head_dim"]
    shifted_heads: int = 0
    """Heads, the first ones, that are searched by the key of the token before."""
    memory: MemoryCache | None = None
    """What cross-attention sees, once the memory went through the model."""

    def attend(
        self,
        q: Float[Tensor, "tokens heads head_dim"],
        k: Float[Tensor, "tokens kv_heads head_dim"],
        v: Float[Tensor, "tokens kv_heads head_dim"],
        packed: Packed,
        *,
        window: int | None = None,
        scale: float | None = None,
        bias: Bias | None = None,
    ) -> Float[Tensor, "tokens heads head_dim"]:
        """Store the new keys and values, and let each new token see its sequence up to itself, or a window of it.

        Where the run has an order, a token sees up to the place that its order names: the end of its prefix.
        """
        places = _places(packed)
        self.keys[places.sequences, packed.position_ids] = k
        self.values[places.sequences, packed.position_ids] = v
        longest = int(packed.position_ids.max()) + 1
        query = q.new_zeros(len(packed.lengths), max(packed.lengths), *q.shape[1:])
        query[places.sequences, places.offsets] = q
        last = packed.position_ids.new_zeros(query.shape[:2])  # a padded query sees the first key: no row is empty
        last[places.sequences, places.offsets] = packed.position_ids
        keys, order = torch.arange(longest, device=q.device)[None], None
        if packed.order is not None:
            order = torch.zeros_like(last)
            order[places.sequences, places.offsets] = packed.order
        mask = dense_mask(last, keys, causal=True, window=window, order=order, key_order=keys, bias=bias)
        out = scaled_dot_product_attention(
            query.transpose(1, 2),
            self._searched(longest).transpose(1, 2),
            self.values[:, :longest].transpose(1, 2),
            attn_mask=mask if mask.dtype == torch.bool else mask.to(q.dtype),
            scale=scale,
            enable_gqa=q.shape[1] != k.shape[1],
        )
        return out.transpose(1, 2)[places.sequences, places.offsets]

    def _searched(self, length: int) -> Float[Tensor, "sequences length kv_heads head_dim"]:
        keys = self.keys[:, :length]
        if not self.shifted_heads:
            return keys
        before = torch.cat([keys[:, :1], keys[:, :-1]], dim=1)
        return torch.cat([before[:, :, : self.shifted_heads], keys[:, :, self.shifted_heads :]], dim=2)


class Cache:
    """The stores of all layers, and how many tokens of each sequence they hold."""

    def __init__(
        self,
        config: ModelConfig,
        num_sequences: int,
        *,
        capacity: int | None = None,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """An empty cache for `num_sequences` sequences of at most `capacity` tokens; None for all that the model has.

        ConfigError for an encoder: there, a new token would change what the earlier ones are.
        """
        if not config.causal:
            raise ConfigError("model.causal", "only a decoder stack can be computed token by token", got=False)
        shape = (num_sequences, capacity or config.max_length, config.resolved_num_kv_heads, config.resolved_head_dim)
        self.layers = [
            LayerCache(*(torch.zeros(shape, device=device, dtype=dtype) for _ in range(2)), config.shifted_kv_heads)
            for _ in range(config.num_layers)
        ]
        self.lengths: Int[Tensor, " sequences"] = torch.zeros(num_sequences, dtype=torch.int64)
        self._sources = torch.arange(num_sequences)

    @property
    def has_memory(self) -> bool:
        """Whether the sources are known."""
        return self.layers[0].memory is not None

    def pack(self, input_ids: Sequence[Int[Tensor, " _length"]], prefixes: Sequence[int] | None = None) -> Packed:
        """New tokens of every sequence as a packed run at the positions where the sequences stand; on the CPU.

        Args:
            input_ids: of each sequence.
            prefixes: how many tokens of each, its first ones, see each other; None for none. Those of one sequence
                come in one run, else a DataError: what is stored already has not seen what comes now.
        """
        lengths = tuple(len(ids) for ids in input_ids)
        starts = self.lengths.tolist()
        for start, length, prefix in zip(starts, lengths, prefixes or (), strict=False):
            if start < prefix and (start or length < prefix):
                what, cure = "a prefix is not whole in one run", f"hand in its {prefix} tokens at once"
                raise DataError("prefixes", what, got=f"tokens {start} to {start + length}", cure=cure)
        positions = [torch.arange(start, start + length) for start, length in zip(starts, lengths, strict=True)]
        ids = torch.cat([torch.as_tensor(each, dtype=torch.int64) for each in input_ids])
        packed = Packed(ids, torch.zeros_like(ids), torch.cat(positions), lengths)
        return packed if prefixes is None else packed.with_prefixes(prefixes)

    def advance(self, packed: Packed) -> None:
        """Count the tokens of a run that went through the model."""
        self.lengths = self.lengths + torch.tensor(packed.lengths)

    def restart(self, sequences: Sequence[int]) -> None:
        """Forget all tokens of these sequences, whose next ones stand at position 0 again."""
        self.lengths[list(sequences)] = 0

    def select(self, sequences: Sequence[int]) -> None:
        """Keep these sequences, in this order; one may be kept twice (as a beam is)."""
        chosen = torch.tensor(list(sequences), dtype=torch.int64)
        self.lengths = self.lengths[chosen]
        sources = self._sources[chosen]
        # Beams of one source change places at every step, and what they attend to stays as it is.
        has_other_sources = not torch.equal(sources, self._sources)
        self._sources = sources
        for layer in self.layers:
            layer.keys = layer.keys[chosen.to(layer.keys.device)]
            layer.values = layer.values[chosen.to(layer.values.device)]
            if layer.memory is not None and has_other_sources:
                layer.memory = layer.memory.select(chosen)


@dataclass(frozen=True)
class _Places:
    """Of each token of a run: its sequence, and its number among the new tokens of it."""

    sequences: Int[Tensor, " tokens"]
    offsets: Int[Tensor, " tokens"]


def _places(packed: Packed) -> _Places:
    device = packed.input_ids.device
    lengths = packed.boundaries.diff().long()
    sequences = torch.arange(len(packed.lengths), device=device).repeat_interleave(lengths)
    offsets = torch.arange(packed.num_tokens, device=device) - packed.starts[sequences]
    return _Places(sequences, offsets)
