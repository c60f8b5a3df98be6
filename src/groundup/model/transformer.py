"""One Transformer for every family: a stack of blocks over a packed run, perhaps an encoder, and heads beside it."""

from __future__ import annotations

from functools import partial
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from groundup.errors import ConfigError, DataError
from groundup.model.block import Block
from groundup.model.cache import Cache
from groundup.model.config import MaskedLMHead, ModelConfig
from groundup.model.dropout import Dropout
from groundup.model.generator import shrink
from groundup.model.head import LanguageModelHead, build_head
from groundup.model.history import History
from groundup.model.linear import Linear
from groundup.model.norm import build_norm
from groundup.model.packed import Memory, Packed
from groundup.model.position import build_position


class Embedding(nn.Module):
    """projection(dropout(norm(token + token_type + position))), each part where the design has it."""

    def __init__(self, config: ModelConfig, *, has_token: bool = True) -> None:
        """With `has_token=False` the token embedding is another stack's."""
        super().__init__()
        size = config.resolved_embedding_size
        if has_token:
            self.token = nn.Embedding(config.vocab_size, size, padding_idx=config.padding_id)
        if config.num_token_types:
            self.token_type = nn.Embedding(config.num_token_types, size)
        self.has_token_types = bool(config.num_token_types)
        if config.query_stream:
            self.query = nn.Parameter(torch.empty(1, size))
        self.position = build_position(config)
        self.norm = build_norm(config.norm, size) if "embedding" in config.norm_places else nn.Identity()
        self.dropout = Dropout(config.dropout.embedding)
        self.projection = nn.Identity() if config.embedding_size is None else Linear(size, config.hidden_size)

    def forward(self, packed: Packed, token: nn.Embedding | None = None) -> Float[Tensor, "tokens hidden"]:
        """The residual stream before the first block; `token` is the other stack's embedding where it is shared."""
        hidden = (self.token if token is None else token)(packed.input_ids)
        if self.position.token_scale != 1.0:
            hidden = hidden * self.position.token_scale
        if self.has_token_types:
            hidden = hidden + self.token_type(packed.token_type_ids)
        added = self.position.embed(packed.position_ids)
        if added is not None:
            hidden = hidden + added.to(hidden.dtype)
        return self.projection(self.dropout(self.norm(hidden)))

    def ask(self, count: int) -> Float[Tensor, "count hidden"]:
        """The query stream before the first block: one vector for whatever token, since attention adds the place."""
        return self.projection(self.dropout(self.norm(self.query.expand(count, -1))))


class Stack(nn.Module):
    """Embedding, blocks, final norm."""

    def __init__(self, config: ModelConfig, *, has_token: bool = True) -> None:
        """With `has_token=False` the token embedding is another stack's."""
        super().__init__()
        self.embedding = Embedding(config, has_token=has_token)
        self.blocks = nn.ModuleList(Block(config, layer) for layer in range(config.num_blocks))
        self.layers = tuple(config.block_of(layer) for layer in range(config.num_layers))
        self.final_norm = (
            build_norm(config.norm, config.hidden_size) if "final" in config.norm_places else nn.Identity()
        )
        self.final_dropout = Dropout(config.dropout.final)

    def run(
        self,
        packed: Packed,
        *,
        rows: Int[Tensor, " rows"] | None = None,
        cache: Cache | History | None = None,
        stream: Literal["content", "query"] = "content",
        memory: Memory | None = None,
        token: nn.Embedding | None = None,
    ) -> Float[Tensor, "rows hidden"]:
        """The final hidden states, as `Transformer.forward` says; `token` is the embedding that another stack has."""
        hidden, queries = self.embedding(packed, token), None
        if stream == "query":
            queries = torch.arange(packed.num_tokens, device=hidden.device) if rows is None else rows
            rows = torch.arange(len(hidden), len(hidden) + len(queries), device=hidden.device)
            hidden = torch.cat([hidden, self.embedding.ask(len(queries))])
        relation = self.embedding.position.relate(packed, queries, cache if isinstance(cache, History) else None)
        place = partial(self.embedding.position.place, packed.position_ids)
        placements = {is_local: place(is_local=is_local) for is_local in {block.is_local for block in self.blocks}}
        stores = [None] * len(self.layers) if cache is None else cache.layers
        last = len(self.layers) - 1
        for number, (layer, store) in enumerate(zip(self.layers, stores, strict=True)):
            block = self.blocks[layer]
            placement = placements[block.is_local]._replace(relation=relation)
            hidden = block(hidden, packed, placement, store, rows if number == last else None, memory)
        if cache is not None:
            cache.advance(packed)
        return self.final_dropout(self.final_norm(hidden))


class Generator(nn.Module):
    """A stack and a masked-LM head on another stack's token embedding."""

    def __init__(self, config: ModelConfig, token: nn.Embedding) -> None:
        """`config` is that of the generator (`shrink`)."""
        super().__init__()
        self.stack = Stack(config, has_token=False)
        self.masked_lm = LanguageModelHead(config, MaskedLMHead(), token)
        # In a tuple the module is not registered a second time, as in the head.
        self._token = (token,)

    def forward(self, packed: Packed, rows: Int[Tensor, " rows"]) -> Float[Tensor, "rows vocab"]:
        """Logits over the vocabulary for the masked tokens."""
        return self.masked_lm(self.stack.run(packed, rows=rows, token=self._token[0]))


class Transformer(Stack):
    """A stack, with an encoder beside it where the design has one; pooler and heads for the objectives to call.

    It never sees labels. Fresh weights are undefined until `initialize` or a checkpoint fills them.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.config = config
        if config.encoder is not None:
            self.encoder = Stack(config.of_encoder, has_token=False)
        if config.has_pooler:
            self.pooler = nn.Linear(config.hidden_size, config.hidden_size)
        token = self.embedding.token
        self.heads = nn.ModuleDict(
            {
                head.kind: Generator(shrink(config, head), token)
                if head.kind == "generator"
                else build_head(config, head, token)
                for head in config.heads
            }
        )

    def encode(self, source: Packed) -> Memory:
        """What the decoder attends to: the encoder's hidden states of the sources."""
        if self.config.encoder is None:
            raise ConfigError("model.encoder", "there is none, so no source can be read", cure="set encoder: {}")
        return Memory(self.encoder.run(source, token=self.embedding.token), source)

    def forward(
        self,
        packed: Packed,
        *,
        rows: Int[Tensor, " rows"] | None = None,
        cache: Cache | History | None = None,
        stream: Literal["content", "query"] = "content",
        memory: Memory | None = None,
    ) -> Float[Tensor, "rows hidden"]:
        """The final hidden states. Those of filler tokens mean nothing; ids are not checked here (`check_packed`).

        Args:
            packed: the tokens.
            rows: those whose hidden states are asked for, such as the masked ones; None for all. The last block saves
                most of its work on the others.
            cache: what is known of the sequences already; the run then holds new tokens only (`Cache.pack`).
            stream: `query` for states that know the place of their token and what is below it in `packed.order`, but
                not the token itself; only designs with a query stream have them.
            memory: of an encoder-decoder, the sources of the sequences (`encode`); None where the cache has seen them.
        """
        if stream == "query" and not self.config.query_stream:
            raise ConfigError("model.query_stream", "is needed for the query stream", got=False)
        _check_memory(self.config, packed, cache, memory)
        return self.run(packed, rows=rows, cache=cache, stream=stream, memory=memory)

    def pooled_rows(self, packed: Packed) -> Int[Tensor, " sequences"]:
        """The token of each sequence that stands for it."""
        return packed.starts if self.config.pooled == "first" else packed.ends

    def summarize(self, packed: Packed, kind: str = "classification") -> Float[Tensor, "sequences hidden"]:
        """One vector for each sequence, as the design's head of this kind wants it."""
        pooling = next(head for head in self.config.heads if head.kind == kind).pooling
        if pooling == "mean":
            hidden = self(packed)[: packed.num_tokens]
            return torch.stack([part.mean(dim=0) for part in hidden.split(list(packed.lengths))])
        if pooling == "first":
            return self(packed, rows=packed.starts)
        if pooling == "last":
            return self(packed, rows=packed.ends)
        return self.pool(self(packed, rows=self.pooled_rows(packed)))

    def pool(self, pooled: Float[Tensor, "sequences hidden"]) -> Float[Tensor, "sequences hidden"]:
        """tanh(pooler(pooled token)) of each sequence; only designs with a head that needs it have a pooler."""
        return self.pooler(pooled).tanh()


def _check_memory(config: ModelConfig, packed: Packed, cache: Cache | History | None, memory: Memory | None) -> None:
    """DataError where the decoder would attend to nothing, or to the sources of others."""
    if memory is not None:
        if config.encoder is None:
            raise DataError("memory", "the design has no encoder, so it attends to none", cure="leave it out")
        if len(memory.packed.lengths) != len(packed.lengths):
            what = f"must hold a source for each of {len(packed.lengths)} sequences"
            raise DataError("memory", what, got=len(memory.packed.lengths))
    elif config.encoder is not None and not (isinstance(cache, Cache) and cache.has_memory):
        raise DataError("memory", "is missing: an encoder-decoder needs sources", cure="hand in model.encode(source)")


def check_packed(config: ModelConfig, packed: Packed) -> None:
    """DataError where a batch does not fit the design: too long a sequence, or an id that has no embedding.

    Call it on the CPU, before the batch moves: two passes over the ids, microseconds a batch. On a GPU it would wait
    for the device, and an id out of range there ends the process.
    """
    longest = max(packed.lengths, default=0)
    if longest > config.max_length:
        raise DataError(
            "sequence",
            f"is longer than the {config.max_length} positions of the model",
            got=longest,
            cure="shorten it, or raise model.max_length",
        )
    limits = [
        ("input_ids", packed.input_ids, config.vocab_size),
        ("position_ids", packed.position_ids, config.max_length),
    ]
    if config.num_token_types:
        limits.append(("token_type_ids", packed.token_type_ids, config.num_token_types))
    for name, ids, limit in limits:
        if not len(ids):
            continue
        low, high = (int(bound) for bound in ids.aminmax())
        if low < 0 or high >= limit:
            raise DataError(
                name,
                f"an id is outside 0 to {limit - 1}",
                got=low if low < 0 else high,
                cure="the tokenizer and the model do not belong together" if name == "input_ids" else "",
            )
