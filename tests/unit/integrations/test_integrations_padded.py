"""Padded batches become packed runs and come back, whatever side is padded."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from groundup.errors import DataError
from groundup.integrations.padded import Padded

IDS = torch.tensor([[7, 8, 9, 0], [0, 0, 5, 6], [1, 2, 3, 4], [0, 9, 8, 0]])
MASK = torch.tensor([[1, 1, 1, 0], [0, 0, 1, 1], [1, 1, 1, 1], [0, 1, 1, 0]])


def test_a_batch_is_packed_by_length_and_padded_again() -> None:
    padded = Padded.read(IDS, MASK, IDS % 2)
    packed = padded.packed
    assert packed.lengths == (2, 2, 3, 4)
    assert [each.tolist() for each in packed.split()] == [[5, 6], [9, 8], [7, 8, 9], [1, 2, 3, 4]]
    assert packed.token_type_ids.tolist() == (packed.input_ids % 2).tolist()
    assert packed.position_ids.tolist() == [0, 1, 0, 1, 0, 1, 2, 0, 1, 2, 3]
    assert padded.texts() == [[7, 8, 9], [5, 6], [1, 2, 3, 4], [9, 8]]
    values = torch.stack((packed.input_ids, -packed.input_ids), dim=-1).float()
    again = padded.pad(values, fill=0.5)
    assert torch.equal(again[MASK.bool()][:, 0], IDS[MASK.bool()].float())
    assert (again[~MASK.bool()] == 0.5).all()
    firsts = packed.input_ids[packed.starts].float()
    assert padded.order(firsts).tolist() == [7.0, 5.0, 1.0, 9.0]


def test_without_a_mask_all_are_tokens() -> None:
    assert Padded.read(IDS, None, None).texts() == IDS.tolist()


def test_gradients_come_back_to_the_tokens_alone() -> None:
    padded = Padded.read(IDS, MASK, None)
    values = torch.ones(padded.packed.num_tokens, requires_grad=True)
    (padded.pad(values) * torch.arange(16.0).view(4, 4)).sum().backward()
    assert values.grad.tolist() == padded.places.float().tolist()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((IDS, MASK * torch.tensor([[1], [1], [0], [1]]), None), "attention_mask: leaves a row without a token, got 2"),
        ((IDS, MASK[:, :3], None), r"attention_mask: must have the shape of input_ids, \(4, 4\), got \(4, 3\)"),
        ((IDS, MASK[:, None, None].expand(4, 1, 4, 4), None), "attention_mask: must have the shape"),
        ((IDS, None, IDS[:1]), "token_type_ids: must have the shape"),
        ((IDS[0], None, None), r"input_ids: must be a batch of rows, got \(4,\)"),
    ],
)
def test_what_is_no_batch_says_so(arguments: tuple, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Padded.read(*arguments)


def test_an_empty_row_is_found_among_many() -> None:
    mask = np.ones((5, 3))
    mask[3] = 0
    with pytest.raises(DataError, match="got 3"):
        Padded.read(torch.zeros(5, 3, dtype=torch.int64), torch.from_numpy(mask), None)
