"""Groups of sequences of about one length: what they cost, where rows go, and that padding is never seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from groundup.model import attention_dropout
from groundup.model.attention import BACKENDS
from groundup.model.attention_dropout import DroppedAttention
from groundup.model.attention_layout import ROW, AttentionLayout, Extent, lay_out
from groundup.model.dropout import keep_rate
from groundup.model.packed import Packed

LENGTHS = (9, 9, 7, 6, 2, 1, 1, 8)
KEY_LENGTHS = (3, 3, 5, 1, 6, 2, 9, 4)
ONE = 1 << 30
"""So much padding is spared that one group is left."""


@pytest.mark.parametrize("spare", [0, 300, 900, ONE])
def test_a_group_pads_no_more_than_what_it_spares(spare: int) -> None:
    exact, layout = (lay_out(LENGTHS, KEY_LENGTHS, 4, 2, each) for each in (0, spare))
    assert sum(extent.count for extent in layout.extents) == len(LENGTHS)
    added = sum(each.cost(4, 2) for each in layout.extents) - sum(each.cost(4, 2) for each in exact.extents)
    assert added <= spare * (len(exact.extents) - len(layout.extents))
    assert (added > 0) == (spare > 0) == (len(layout.queries.padding) > 0)


def test_groups_are_few_where_lengths_are_near() -> None:
    def shapes(spare: int) -> list[tuple[int, ...]]:
        return [tuple(each) for each in lay_out(LENGTHS, LENGTHS, 1, 1, spare).extents]

    assert shapes(0) == [(2, 9, 9), (1, 7, 7), (1, 6, 6), (1, 2, 2), (2, 1, 1), (1, 8, 8)]
    # 6 beside 7 adds 13 scores and 2 rows, two of 1 beside 2 add 6 and 4; 7 beside 9 would add 32 scores and 4 rows.
    assert shapes(70) == [(2, 9, 9), (2, 7, 7), (3, 2, 2), (1, 8, 8)]
    assert shapes(69) == [(2, 9, 9), (2, 7, 7), (1, 2, 2), (2, 1, 1), (1, 8, 8)]
    assert shapes(ONE) == [(8, 9, 9)]
    assert Extent(2, 3, 5).cost(4, 2) == 4 * 30 + ROW * (4 * 6 + 2 * 10)


def test_dropout_takes_padded_groups_where_no_mask_is_and_lengths_are_near(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []

    def draw(size: int, p: float) -> Tensor:
        sizes.append(size)
        return torch.ones(size)

    monkeypatch.setattr(attention_dropout, "draw_signs", draw)
    for lengths, window in (((5, 3), None), ((5, 3), 1), ((400, 100), None)):
        packed = Packed.from_sequences([np.arange(length) for length in lengths])
        heads = torch.ones(3, sum(lengths), 2, 4)
        BACKENDS["grouped"](*heads, packed, causal=False, dropout=0.1, window=window)
    assert sizes == [2 * 2 * 25, 2 * (25 + 9), 2 * (160_000 + 10_000)]


@pytest.mark.parametrize("share", [1, 2])
@pytest.mark.parametrize("spare", [0, 300, ONE])
def test_rows_come_back_to_where_they_were_taken_from(spare: int, share: int) -> None:
    layout = lay_out(LENGTHS, LENGTHS, 4, 4 // share, spare)
    run = torch.arange(1.0, 1 + (sum(LENGTHS) + 3) * 4 * 2).view(-1, 4, 2)
    rows = layout.queries.gather(run)
    back = layout.queries.put_back(rows, run.shape)
    assert torch.equal(back[:-3], run[:-3])
    assert not back[-3:].any()
    start = 0
    sequences = [each for extent in layout.extents for each in [extent.length] * extent.count]
    taken = rows.split([4 * length for length in sequences])
    for length, padded, found in zip(LENGTHS, sequences, taken, strict=True):
        heads = found.view(4, padded, 2)
        assert torch.equal(heads[:, :length], run[start : start + length].transpose(0, 1))
        assert torch.equal(heads[:, length:], run[start].unsqueeze(1).expand(4, padded - length, 2))
        start += length
    for matrix, extent in zip(layout.queries.cut(rows), layout.extents, strict=True):
        assert matrix.shape == (extent.count * 4 // share, share * extent.length, 2)
        assert matrix.untyped_storage().data_ptr() == rows.untyped_storage().data_ptr()


def draw(lengths: tuple[int, ...], key_lengths: tuple[int, ...], num_kv_heads: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    sizes = ((lengths, 4), (key_lengths, num_kv_heads), (key_lengths, num_kv_heads))
    drawn = [torch.randn(sum(of) + 2, heads, 8, generator=generator, dtype=torch.float64) for of, heads in sizes]
    return [each.requires_grad_() for each in drawn]


def attend_alone(
    heads: list[Tensor],
    lengths: tuple[int, ...],
    key_lengths: tuple[int, ...],
    layout: AttentionLayout,
    signs: Tensor,
    p: float,
    causal: bool,
) -> Tensor:
    """softmax(Q K^T / sqrt(d)) V with the same draws, a sequence at a time."""
    share = heads[0].shape[1] // heads[1].shape[1]
    runs = [each.split([*of, 2]) for each, of in zip(heads, (lengths, key_lengths, key_lengths), strict=True)]
    drawn = signs.split([4 * extent.area for extent in layout.extents])
    by_sequence = [
        one
        for extent, each in zip(layout.extents, drawn, strict=True)
        for one in each.view(extent.count, 4, extent.length, extent.key_length)
    ]
    out = []
    for query, key, value, sign in zip(*runs, [*by_sequence, None], strict=True):
        if sign is None:
            out.append(torch.zeros_like(query))
            continue
        key, value = (each.repeat_interleave(share, 1) for each in (key, value))
        scores = torch.einsum("qhd,khd->hqk", query, key) / 8**0.5
        if causal:
            scores = scores.masked_fill(torch.ones(scores.shape[1:], dtype=torch.bool).triu(1), -torch.inf)
        kept = (sign[:, : scores.shape[1], : scores.shape[2]] > 0).double() / keep_rate(p)
        out.append(torch.einsum("hqk,khd->qhd", scores.softmax(-1) * kept, value))
    return torch.cat(out)


@pytest.mark.parametrize("case", ["whole", "causal", "other run", "one query"])
@pytest.mark.parametrize("num_kv_heads", [4, 2])
@pytest.mark.parametrize("p", [0.0, 0.3])
@pytest.mark.parametrize("spare", [0, 300, ONE])
def test_padded_groups_and_their_gradients_are_the_formula(
    spare: int, p: float, num_kv_heads: int, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths = (1,) * len(LENGTHS) if case == "one query" else LENGTHS
    key_lengths = LENGTHS if case in ("whole", "causal") else KEY_LENGTHS
    layout = lay_out(lengths, key_lengths, 4, num_kv_heads, spare)
    total = sum(4 * extent.area for extent in layout.extents)
    signs = torch.randn(total, generator=torch.Generator().manual_seed(3)) + 0.5 if p else torch.ones(total)
    monkeypatch.setattr(attention_dropout, "draw_signs", lambda size, p: signs)
    heads, causal = draw(lengths, key_lengths, num_kv_heads), case == "causal"
    out = DroppedAttention.apply(*heads, layout, causal, p, None)
    expected = attend_alone(heads, lengths, key_lengths, layout, signs, p, causal)
    weight = torch.randn(out.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    pairs = zip(
        [out, *torch.autograd.grad((out * weight).sum(), heads)],
        [expected, *torch.autograd.grad((expected * weight).sum(), heads)],
        strict=True,
    )
    for one, other in pairs:
        assert (one - other).abs().max() < 1e-12
        assert one.abs().max() > 0.1


def test_padding_that_is_not_hidden_would_be_seen() -> None:
    layout = lay_out(LENGTHS, LENGTHS, 4, 4, ONE)
    heads = draw(LENGTHS, LENGTHS, 4)
    hidden, seen = (
        DroppedAttention.apply(*heads, each, False, 0.0, None)
        for each in (layout, replace(layout, padded_keys=(None,)))
    )
    assert (hidden - seen)[: sum(LENGTHS)].abs().max() > 1e-2


def test_a_source_without_tokens_gives_zeros_and_stands_alone() -> None:
    layout = lay_out((2, 2, 2), (3, 0, 3), 4, 4, ONE)
    heads = draw((2, 2, 2), (3, 0, 3), 4)
    out = DroppedAttention.apply(*heads, layout, False, 0.0, None)
    assert len(layout.extents) == 3
    assert not out[2:4].any() and out[:2].all() and out[4:6].all()
    assert all(each.isfinite().all() for each in torch.autograd.grad(out.sum(), heads))
