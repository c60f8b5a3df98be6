"""Padded batches, as other libraries hand them in, and the packed runs that are computed."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from groundup.errors import DataError
from groundup.model.packed import Packed


@dataclass(frozen=True)
class Padded:
    """A packed run, and where each of its tokens stands in a padded batch; the run is sorted by length."""

    packed: Packed
    is_token: Bool[Tensor, "rows columns"]
    sequences: Int[Tensor, " rows"]
    """The row that each sequence of the run is in."""
    places: Int[Tensor, " tokens"]
    """The number of each token of the run in the batch, row by row."""

    @classmethod
    def read(
        cls,
        input_ids: Tensor,
        attention_mask: Tensor | None,
        token_type_ids: Tensor | None,
    ) -> Padded:
        """From a batch padded on whatever side. Tokens are numbered from 0 in each row, what is masked left out.

        Raises:
            DataError: shapes that differ, or a row without a token.
        """
        _check(input_ids, attention_mask, token_type_ids)
        is_token = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        is_token = is_token.to(input_ids.device) != 0
        sizes = is_token.sum(dim=1)
        if not bool(sizes.all()):
            raise DataError("attention_mask", "leaves a row without a token", got=int((sizes == 0).nonzero()[0]))
        sequences = sizes.argsort(stable=True)
        numbers = torch.arange(input_ids.numel(), device=input_ids.device).view_as(input_ids)
        places = numbers[sequences][is_token[sequences]]
        types = torch.zeros_like(input_ids) if token_type_ids is None else token_type_ids
        packed = Packed(
            input_ids.flatten()[places].long(),
            types.flatten()[places].long(),
            (is_token.cumsum(dim=1) - 1).flatten()[places],
            tuple(sizes[sequences].tolist()),
        )
        return cls(packed, is_token, sequences, places)

    def pad(self, values: Float[Tensor, " tokens *size"], fill: float = 0.0) -> Float[Tensor, "rows columns *size"]:
        """Values of tokens at their places in the batch; `fill` where no token is."""
        flat = values.new_full((self.is_token.numel(), *values.shape[1:]), fill)
        return flat.index_copy(0, self.places, values).view(*self.is_token.shape, *values.shape[1:])

    def order(self, values: Float[Tensor, " rows *size"]) -> Float[Tensor, " rows *size"]:
        """Values of sequences in the order of the batch."""
        return torch.empty_like(values).index_copy(0, self.sequences, values)

    def texts(self) -> list[list[int]]:
        """The ids of each row, in the order of the batch."""
        ids = [each.tolist() for each in self.packed.split()]
        return [ids[place] for place in self.sequences.argsort().tolist()]


def _check(input_ids: Tensor, attention_mask: Tensor | None, token_type_ids: Tensor | None) -> None:
    if input_ids.ndim != 2:
        raise DataError("input_ids", "must be a batch of rows", got=tuple(input_ids.shape))
    for name, each in (("attention_mask", attention_mask), ("token_type_ids", token_type_ids)):
        if each is not None and each.shape != input_ids.shape:
            raise DataError(name, f"must have the shape of input_ids, {tuple(input_ids.shape)}", got=tuple(each.shape))
