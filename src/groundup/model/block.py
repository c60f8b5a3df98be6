"""One block: attention, in an encoder-decoder cross-attention, then feed-forward, each a residual branch with norms."""

from __future__ import annotations

from typing import Final, Literal

from jaxtyping import Float, Int
from torch import Tensor, nn

from groundup.model.attention import Attention, CrossAttention, take_rows
from groundup.model.cache import LayerCache
from groundup.model.config import ModelConfig
from groundup.model.dropout import Dropout
from groundup.model.feed_forward import build_feed_forward
from groundup.model.history import LayerHistory
from groundup.model.norm import build_norm
from groundup.model.packed import Memory, Packed
from groundup.model.position import NOWHERE, Placement
from groundup.model.relative_attention import RelativeAttention

BranchPlace = Literal["input", "output", "residual"]
BRANCH_PLACES: Final[tuple[BranchPlace, ...]] = ("input", "output", "residual")


class BranchNorms(nn.ModuleDict):
    """The norms of a branch `x -> N_residual(x + dropout(N_output(f(N_input(x)))))`; absent ones do nothing."""

    def __init__(self, config: ModelConfig, *, has_input: bool = True) -> None:
        """`has_input` is false for a branch without the input norm that others of the design have."""
        places = [place for place in BRANCH_PLACES if place in config.norm_places and (has_input or place != "input")]
        super().__init__({place: build_norm(config.norm, config.hidden_size) for place in places})

    def at(self, place: BranchPlace, hidden: Float[Tensor, "tokens hidden"]) -> Float[Tensor, "tokens hidden"]:
        """`hidden` through the norm of this place, if there is one."""
        return self[place](hidden) if place in self else hidden


class Block(nn.Module):
    """Attention and feed-forward, with cross-attention between them in a decoder beside an encoder."""

    def __init__(self, config: ModelConfig, layer: int = 0) -> None:
        """Block `layer` of the stack, counted from 0."""
        super().__init__()
        is_relative = config.position.kind == "relative"
        self.attention = RelativeAttention(config) if is_relative else Attention(config, layer)
        self.attention_norms = BranchNorms(config, has_input=config.first_input_norm or layer > 0)
        self.attention_dropout = Dropout(config.dropout.resolved_attention_output)
        self.has_memory = config.encoder is not None
        if self.has_memory:
            self.cross_attention = CrossAttention(config)
            self.cross_attention_norms = BranchNorms(config)
        self.feed_forward = build_feed_forward(config)
        self.feed_forward_norms = BranchNorms(config)
        self.dropout = Dropout(config.dropout.residual)

    @property
    def is_local(self) -> bool:
        """Whether its tokens see a window alone."""
        return self.attention.window is not None

    def forward(
        self,
        hidden: Float[Tensor, "tokens hidden"],
        packed: Packed,
        placement: Placement = NOWHERE,
        cache: LayerCache | LayerHistory | None = None,
        rows: Int[Tensor, " rows"] | None = None,
        memory: Memory | None = None,
    ) -> Float[Tensor, "rows hidden"]:
        """The residual stream after this block, at `rows` alone where they are given.

        All tokens are attended to, but whatever comes after attention is computed on the rows that are asked for.
        """
        norms, asked = self.attention_norms, None if self.has_memory else rows
        branch = self.attention(norms.at("input", hidden), packed, placement, cache, asked)
        hidden = norms.at("residual", take_rows(hidden, asked) + self.attention_dropout(norms.at("output", branch)))
        if self.has_memory:
            norms = self.cross_attention_norms
            branch = self.cross_attention(norms.at("input", hidden), packed, memory, cache, rows)
            hidden = norms.at("residual", take_rows(hidden, rows) + self.attention_dropout(norms.at("output", branch)))
        norms = self.feed_forward_norms
        branch = self.feed_forward(norms.at("input", hidden))
        return norms.at("residual", hidden + self.dropout(norms.at("output", branch)))
