"""Relative attention beside a plain float64 reference, pair by pair; who sees whom; what is remembered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from groundup.errors import ConfigError, DataError
from groundup.model import linear
from groundup.model.config import (
    ClassificationHead,
    Dropout,
    LearnedPositions,
    ModelConfig,
    PermutedLMHead,
    RelativePositions,
    Window,
)
from groundup.model.estimate import count_parameters, estimate
from groundup.model.history import History
from groundup.model.initialize import initialize, parameter_role
from groundup.model.packed import Packed
from groundup.model.relative import distance_waves
from groundup.model.relative_attention import RelativeAttention
from groundup.model.transformer import Transformer

LENGTHS = (6, 6, 3, 1)
NO_DROPOUT = Dropout(embedding=0.0, attention=0.0, residual=0.0)


def design(**values: object) -> ModelConfig:
    base = {
        "vocab_size": 50,
        "hidden_size": 24,
        "num_layers": 2,
        "num_heads": 3,
        "intermediate_size": 32,
        "num_token_types": 0,
        "position": RelativePositions(clamp=4),
        "query_stream": True,
        "norm_places": ("residual",),
        "dropout": NO_DROPOUT,
        "padding_id": None,
    }
    return ModelConfig(**base | values)


def build(**values: object) -> Transformer:
    model = Transformer(design(**values))
    initialize(model, 0)
    with torch.no_grad():
        for number, parameter in enumerate(model.parameters()):
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(number)))
    return model.double().eval()


def draw(lengths: Sequence[int] = LENGTHS, *, filler: int = 0) -> Packed:
    random = np.random.default_rng(0)
    ids = [random.integers(0, 50, length) for length in lengths]
    types = [random.integers(0, 3, length) for length in lengths]
    packed = Packed.from_sequences(ids, types, filler=filler)
    order = [random.permutation(np.maximum(0, np.arange(length) - length // 2)) for length in lengths]
    return replace(packed, order=torch.from_numpy(np.concatenate([*order, np.zeros(filler, dtype=np.int64)])))


def attend_plainly(
    attention: RelativeAttention,
    query: Tensor,
    keys: Tensor,
    place: int,
    first: int,
    is_other: Sequence[bool],
    may_see: Sequence[bool],
) -> Tensor:
    """One row over keys that stand at `first` and behind, in the words of the papers."""
    heads, out = len(attention.content_bias), []
    q = attention.q(query).view(heads, -1)
    k, v = (linear(keys).view(len(keys), heads, -1) for linear in (attention.k, attention.v))
    frequencies = 10000.0 ** -(torch.arange(0, 24, 2, dtype=torch.float64) / 24)
    for head in range(heads):
        scores = []
        for number in range(len(keys)):
            angles = float(np.clip(place - first - number, -4, 4)) * frequencies
            r = attention.r(torch.cat([angles.sin(), angles.cos()])).view(heads, -1)[head]
            score = (q[head] + attention.content_bias[head]) @ k[number, head]
            score = score + (q[head] + attention.distance_bias[head]) @ r
            score = score + (q[head] + attention.segment_bias[head]) @ attention.segment[int(is_other[number]), head]
            scores.append(score * attention.scale if may_see[number] else torch.tensor(-torch.inf).double())
        shares = torch.stack(scores).softmax(0)
        out.append(shares @ v[:, head])
    return attention.o(torch.cat(out))


@pytest.mark.parametrize("filler", [0, 3])
def test_every_row_of_both_streams_is_what_the_papers_say(filler: int) -> None:
    model = build()
    packed, attention = draw(filler=filler), model.blocks[0].attention
    hidden = torch.randn(len(packed.input_ids) + 5, 24, generator=torch.Generator().manual_seed(1)).double()
    queries = torch.tensor([9, 2, 4, 13, 8])  # in no order, of some sequences none
    relation = model.embedding.position.relate(packed, queries, None)
    with torch.no_grad():
        found = attention(
            hidden, packed, model.embedding.position.place(packed.position_ids)._replace(relation=relation)
        )
        ends = np.cumsum(LENGTHS)
        for row in [*range(packed.num_tokens), *range(len(packed.input_ids), len(hidden))]:
            is_query = row >= len(packed.input_ids)
            token = int(queries[row - len(packed.input_ids)]) if is_query else row
            sequence = int(np.searchsorted(ends, token, side="right"))
            start, end = int(ends[sequence] - LENGTHS[sequence]), int(ends[sequence])
            order, types = packed.order[start:end], packed.token_type_ids[start:end]
            own = packed.order[token]
            may_see = (order < own) if is_query else (order <= own)
            if not may_see.any():
                torch.testing.assert_close(found[row], attention.o(torch.zeros(24).double()))
                continue
            expected = attend_plainly(
                attention,
                hidden[row],
                hidden[start:end],
                token - start,
                0,
                (types != packed.token_type_ids[token]).tolist(),
                may_see.tolist(),
            )
            torch.testing.assert_close(found[row], expected, rtol=1e-6, atol=1e-6)


def test_waves_are_those_of_the_paper_in_float64() -> None:
    table = distance_waves(20, 8, 100.0, clamp=7)
    assert table.shape == (41, 8) and table.dtype == torch.float32
    for row, distance in enumerate(range(20, -21, -1)):
        clamped = max(-7, min(7, distance))
        angles = clamped * 100.0 ** -(np.arange(0, 8, 2) / 8)
        np.testing.assert_allclose(table[row], np.concatenate([np.sin(angles), np.cos(angles)]), atol=1e-7)


def states(model: Transformer, packed: Packed, rows: Sequence[int] | None = None) -> Tensor:
    asked = None if rows is None else torch.tensor(rows, dtype=torch.int64)
    with torch.no_grad():
        return model(packed, rows=asked, stream="content" if rows is None else "query")


@pytest.mark.parametrize("changed", range(6))
def test_a_token_changes_nothing_that_is_below_it_in_the_order(changed: int) -> None:
    model, packed = build(), draw((6,))
    packed = replace(packed, order=torch.tensor([0, 3, 0, 1, 2, 4]))
    ids = packed.input_ids.clone()
    ids[changed] = (ids[changed] + 7) % 50
    other, order = replace(packed, input_ids=ids), packed.order
    content = (states(model, packed) - states(model, other)).abs().amax(-1) > 1e-12
    query = (states(model, packed, range(6)) - states(model, other, range(6))).abs().amax(-1) > 1e-12
    assert torch.equal(content, order >= order[changed])
    # The query stream never knows its own token: the first in the order know nothing at all.
    assert torch.equal(query, order > order[changed])


def test_sequences_and_batches_do_not_matter() -> None:
    model, packed = build(), draw(filler=2)
    rows, starts = [1, 3, 8, 12, 14], np.cumsum([0, *LENGTHS])
    content, query = states(model, packed), states(model, packed, rows)
    for number, (start, length) in enumerate(zip(starts, LENGTHS, strict=False)):
        part = slice(start, start + length)
        alone = Packed(
            *(each[part] for each in (packed.input_ids, packed.token_type_ids)), torch.arange(length), (length,)
        )
        alone = replace(alone, order=packed.order[part])
        torch.testing.assert_close(states(model, alone), content[part])
        mine = [row for row in rows if start <= row < start + length]
        places = [rows.index(row) for row in mine]
        torch.testing.assert_close(states(model, alone, [row - start for row in mine]), query[places])
        assert len(mine) or number == 3


def test_an_order_of_one_is_no_order() -> None:
    model, packed = build(), draw()
    free = replace(packed, order=None)
    torch.testing.assert_close(
        states(model, replace(packed, order=torch.zeros(16, dtype=torch.int64))), states(model, free)
    )


def test_types_matter_by_being_equal_alone() -> None:
    model, packed = build(), draw()
    renamed = replace(packed, token_type_ids=(packed.token_type_ids + 1) % 3)
    torch.testing.assert_close(states(model, packed), states(model, renamed))
    equal = replace(packed, token_type_ids=torch.zeros_like(packed.token_type_ids))
    assert (states(model, packed) - states(model, equal)).abs().max() > 1e-2
    without = build(position=RelativePositions(segments=False))
    torch.testing.assert_close(states(without, packed), states(without, equal))


def cut(packed: Packed, start: int, end: int) -> Packed:
    """Places `start` to `end` of every sequence of equal length."""
    length = packed.lengths[0]
    rows = torch.cat([torch.arange(start, end) + number * length for number in range(len(packed.lengths))])
    lengths = (end - start,) * len(packed.lengths)
    return Packed(packed.input_ids[rows], packed.token_type_ids[rows], packed.position_ids[rows] - start, lengths)


def test_segments_with_a_history_are_a_stack_that_sees_earlier_segments() -> None:
    """Two segments in two passes are one pass under an order, without a gradient into the first."""
    model, packed = build(position=RelativePositions(segments=False)), draw((6, 6))
    whole = replace(packed, order=(packed.position_ids >= 4).long())
    history = History(model.config)
    with torch.no_grad():
        expected = model(whole).view(2, 6, 24)
        first, second = (model(cut(packed, *ends), cache=history).view(2, -1, 24) for ends in ((0, 4), (4, 6)))
    torch.testing.assert_close(torch.cat([first, second], dim=1), expected)
    assert history.lengths == (6, 6)


def test_a_history_is_bounded_and_follows_its_sequences() -> None:
    model, packed = build(), replace(draw((6, 6, 6)), order=None)
    limited, chosen, whole = History(model.config, 3, reuse=2), History(model.config), History(model.config)
    with torch.no_grad():
        for ends in ((0, 3), (2, 5)):
            model(cut(packed, *ends), cache=limited)
        assert limited.lengths == (3, 3, 3) and all(len(layer.past) == 9 for layer in limited.layers)
        model(cut(packed, 0, 4), cache=chosen)
        model(cut(packed, 0, 4), cache=whole)
        chosen.keep([2, 0])
        last = cut(packed, 4, 6)
        some = Packed(
            *(each[[4, 5, 0, 1]] for each in (last.input_ids, last.token_type_ids, last.position_ids)), (2, 2)
        )
        torch.testing.assert_close(
            model(some, cache=chosen).view(2, 2, 24), model(last, cache=whole).view(3, 2, 24)[[2, 0]]
        )
    with pytest.raises(DataError, match="history: holds 2 sequences, and the run others, got 3; call `keep`"):
        model(last, cache=chosen)


def test_histories_of_unlike_lengths_stand_side_by_side() -> None:
    model = build()
    ids = [np.arange(length) % 50 for length in (5, 2, 2)]
    first, second = Packed.from_sequences(ids), Packed.from_sequences([each[:2] + 9 for each in ids])
    history, alone = History(model.config), [History(model.config) for _ in ids]
    with torch.no_grad():
        model(first, cache=history)
        together = model(second, cache=history).view(3, 2, 24)
        for number, each in enumerate(ids):
            model(Packed.from_sequences([each]), cache=alone[number])
            found = model(Packed.from_sequences([each[:2] + 9]), cache=alone[number])
            torch.testing.assert_close(found, together[number])


def test_no_gradient_flows_into_what_is_remembered() -> None:
    model, packed = build(), draw((6, 6))
    history = History(model.config)
    model(replace(cut(packed, 0, 3)), cache=history)
    assert all(layer.past is not None and not layer.past.requires_grad for layer in history.layers)


def test_no_query_at_all_is_no_error() -> None:
    assert states(build(), draw(), []).shape == (0, 24)


def test_the_query_stream_needs_its_vector_and_an_order() -> None:
    with pytest.raises(ConfigError, match=r"model.query_stream: is needed for the query stream"):
        build(query_stream=False)(draw(), stream="query")
    with pytest.raises(DataError, match=r"packed.order: is missing"):
        build()(replace(draw(), order=None), stream="query")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"position": LearnedPositions()}, "query_stream: needs positions that stand in no token, got 'learned'"),
        ({"causal": True}, "causal: does not go with relative positions, got True; leave it out"),
        ({"num_kv_heads": 1}, "num_kv_heads: does not go with relative positions, got 1"),
        ({"shifted_kv_heads": 1}, "shifted_kv_heads: does not go with relative positions"),
        ({"window": Window(size=3)}, "window: does not go with relative positions"),
        ({"qk_norm": True}, "qk_norm: does not go with relative positions"),
        ({"hidden_size": 27}, "position: relative needs an even hidden_size, got 27"),
    ],
)
def test_impossible_designs_are_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        design(**values)


def test_a_history_needs_positions_that_reach_back() -> None:
    with pytest.raises(ConfigError, match=r"model.position: reaches no earlier segment, got 'learned'"):
        History(ModelConfig(vocab_size=9))


@pytest.mark.parametrize("has_segments", [True, False])
@pytest.mark.parametrize(
    "heads", [(), (PermutedLMHead(),), (PermutedLMHead(bias=False),), (ClassificationHead(num_labels=3),)]
)
def test_parameters_are_counted_exactly(has_segments: bool, heads: tuple) -> None:
    for has_bias in (True, False):
        config = design(
            position=RelativePositions(segments=has_segments),
            heads=heads,
            attention_bias=has_bias,
            query_stream=has_bias,
            tie_embeddings=has_bias,
        )
        model = Transformer(config)
        assert sum(count_parameters(config).values()) == sum(each.numel() for each in model.parameters())


def test_flops_are_those_that_torch_counts_with_and_without_queries(monkeypatch: pytest.MonkeyPatch) -> None:
    """But for one distance in two lengths: a row meets the waves of 2 n - 1 of them, and 2 n are counted."""
    monkeypatch.setattr(linear, "product_library", lambda: "torch")  # the counter knows no products of oneDNN
    packed = draw((40, 40, 40))
    rows = torch.cat([torch.arange(8) + start for start in (0, 40, 80)])
    for heads, share in (((PermutedLMHead(),), 0.2), ((), 1.0)):
        model = build(heads=heads, position=RelativePositions(segments=False)).requires_grad_(requires_grad=False)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            if heads:
                model.heads["permuted_lm"](model(packed, rows=rows, stream="query"))
            else:
                model(packed)
        found = estimate(model.config, batch_tokens=120, lengths=packed.lengths, target_fraction=share)
        assert found.forward_flops_per_token * 120 == pytest.approx(counter.get_total_flops(), rel=0.01)


def test_fresh_weights_have_their_roles() -> None:
    model = Transformer(design())
    initialize(model, 0)
    roles = {name: parameter_role(name, each) for name, each in model.named_parameters()}
    assert roles["blocks.0.attention.content_bias"] == roles["blocks.0.attention.segment_bias"] == "bias"
    assert roles["embedding.query"] == "embedding" and roles["blocks.0.attention.r.weight"] == "matrix"
    assert not model.blocks[0].attention.distance_bias.any() and model.blocks[0].attention.segment.any()
    assert model.embedding.query.any()


def test_the_pooled_token_is_the_first_or_the_last() -> None:
    packed = draw()
    assert build(pooled="last").pooled_rows(packed).tolist() == [5, 11, 14, 15]
    assert build().pooled_rows(packed).tolist() == [0, 6, 12, 15]
    model = build(pooled="last", heads=(ClassificationHead(num_labels=2),))
    with torch.no_grad():
        torch.testing.assert_close(model.summarize(packed), model.pool(model(packed)[[5, 11, 14, 15]]))
