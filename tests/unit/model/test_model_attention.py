"""Attention against a float64 reference written from softmax(Q K^T / sqrt(d)) V, and what it must not see."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from groundup.errors import ConfigError
from groundup.model import attention
from groundup.model.attention import BACKENDS, Attention, AttentionBackend, attention_backend
from groundup.model.config import Dropout, ModelConfig, Window
from groundup.model.packed import Packed

CPU_BACKENDS: list[AttentionBackend] = ["grouped", "padded"]
LENGTHS = (5, 3, 3, 3, 1, 7)
NEVER = 1e-9
"""A rate of dropout, to the nearest 1/65536, of zero: it takes the path of dropout and drops nothing."""


def pack(lengths: tuple[int, ...] = LENGTHS, filler: int = 0) -> Packed:
    return Packed.from_sequences([np.arange(length) for length in lengths], filler=filler)


def draw_heads(tokens: int, num_heads: int = 4, num_kv_heads: int = 4, size: int = 8) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(tokens, heads, size, generator=generator) for heads in (num_heads, num_kv_heads, num_kv_heads)]


def reference_attention(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, lengths: tuple[int, ...], causal: bool
) -> np.ndarray:
    """One query at a time, in float64; query head h reads key head h // (heads / kv heads)."""
    q, k, v = (each.detach().double().numpy() for each in (q, k, v))
    out, share, start = np.zeros_like(q), q.shape[1] // k.shape[1], 0
    for length in lengths:
        for row in range(start, start + length):
            end = row + 1 if causal else start + length
            for head in range(q.shape[1]):
                keys, values = k[start:end, head // share], v[start:end, head // share]
                scores = keys @ q[row, head] / np.sqrt(q.shape[2])
                weights = np.exp(scores - scores.max())
                out[row, head] = weights / weights.sum() @ values
        start += length
    return out


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("num_kv_heads", [4, 2, 1])
@pytest.mark.parametrize("backend", CPU_BACKENDS)
def test_attention_is_the_formula(backend: AttentionBackend, num_kv_heads: int, causal: bool) -> None:
    packed = pack()
    q, k, v = draw_heads(packed.num_tokens, num_kv_heads=num_kv_heads)
    out = BACKENDS[backend](q, k, v, packed, causal=causal)
    expected = reference_attention(q, k, v, LENGTHS, causal)
    assert np.abs(out.numpy() - expected).max() < 1e-6
    # Negative controls: the other mask, one long sequence, and another scale are all seen.
    for wrong in (
        reference_attention(q, k, v, LENGTHS, not causal),
        reference_attention(q, k, v, (sum(LENGTHS),), causal),
        reference_attention(q * 1.01, k, v, LENGTHS, causal),
    ):
        assert np.abs(out.numpy() - wrong).max() > 1e-4


@pytest.mark.parametrize("causal", [False, True])
def test_one_group_alone_has_the_bits_of_one_that_is_cut_out(causal: bool) -> None:
    results = []
    for filler in (0, 2):
        heads = [each[: 18 + filler].clone().requires_grad_() for each in draw_heads(20)]
        out = BACKENDS["grouped"](*heads, pack((6, 6, 6), filler), causal=causal)[:18]
        gradients = torch.autograd.grad(out, heads, torch.linspace(-1, 2, out.numel()).view(out.shape))
        results.append([out, *(each[:18] for each in gradients)])
    assert all(torch.equal(alone, cut) and alone.any() for alone, cut in zip(*results, strict=True))


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("num_kv_heads", [4, 2])
@pytest.mark.parametrize("longest", [2, 512])
@pytest.mark.parametrize("autocast", [False, True])
def test_bfloat16_on_a_cpu(
    monkeypatch: pytest.MonkeyPatch, autocast: bool, longest: int, num_kv_heads: int, causal: bool
) -> None:
    """Stored probabilities for short sequences, torch's kernel in fp32 for long ones: forward and backward."""
    monkeypatch.setattr(attention, "LONGEST_STORED", longest)
    packed = pack(filler=2)
    heads = [each.bfloat16().requires_grad_() for each in draw_heads(packed.num_tokens + 2, num_kv_heads=num_kv_heads)]
    wide = [each.detach().double().requires_grad_() for each in heads]
    gradient = torch.linspace(-1, 2, heads[0].numel()).view(heads[0].shape).cos()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        out = BACKENDS["grouped"](*heads, packed, causal=causal)
    exact = BACKENDS["padded"](*wide, packed, causal=causal)
    assert out.dtype == torch.bfloat16
    assert np.abs(out[:-2].float().detach().numpy() - reference_attention(*wide, LENGTHS, causal)[:-2]).max() < 0.03
    found = torch.autograd.grad(out, heads, gradient.bfloat16())
    for one, other in zip(found, torch.autograd.grad(exact, wide, gradient.double()), strict=True):
        assert (one - other).norm() < 0.02 * other.norm()
        assert (one.roll(1, 0) - other).norm() > 0.2 * other.norm()


@pytest.mark.parametrize("backend", CPU_BACKENDS)
def test_filler_gets_zeros_and_changes_nothing(backend: AttentionBackend) -> None:
    q, k, v = draw_heads(sum(LENGTHS) + 4)
    out = BACKENDS[backend](q, k, v, pack(filler=4), causal=False)
    alone = BACKENDS[backend](q[:-4], k[:-4], v[:-4], pack(), causal=False)
    assert torch.equal(out[:-4], alone)
    assert not out[-4:].any()


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("num_kv_heads", [4, 2])
def test_backends_have_equal_gradients(num_kv_heads: int, causal: bool) -> None:
    packed, gradients = pack(filler=2), []
    for backend in CPU_BACKENDS:
        heads = [each.requires_grad_() for each in draw_heads(sum(LENGTHS) + 2, num_kv_heads=num_kv_heads)]
        BACKENDS[backend](*heads, packed, causal=causal).square().sum().backward()
        gradients.append([each.grad for each in heads])
    for ours, theirs in zip(*gradients, strict=True):
        assert (ours - theirs).abs().max() < 1e-5


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("num_kv_heads", [4, 2, 1])
def test_dropout_at_rate_zero_is_plain_attention(num_kv_heads: int, causal: bool) -> None:
    packed = pack(filler=2)
    ours = [each.requires_grad_() for each in draw_heads(sum(LENGTHS) + 2, num_kv_heads=num_kv_heads)]
    theirs = [each.detach().clone().requires_grad_() for each in ours]
    out = BACKENDS["grouped"](*ours, packed, causal=causal, dropout=NEVER)
    expected = BACKENDS["padded"](*theirs, packed, causal=causal)
    assert (out - expected).abs().max() < 1e-6
    out.square().sum().backward()
    expected.square().sum().backward()
    for one, other in zip(ours, theirs, strict=True):
        assert (one.grad - other.grad).abs().max() < 1e-5


def test_attention_dropout_keeps_the_expectation_and_follows_the_seed() -> None:
    packed = pack((6,))
    heads = draw_heads(6)
    plain = BACKENDS["grouped"](*heads, packed, causal=False)
    torch.manual_seed(1)
    draws = torch.stack([BACKENDS["grouped"](*heads, packed, causal=False, dropout=0.2) for _ in range(2000)])
    deviation = draws.std(0) / 2000**0.5
    assert ((draws.mean(0) - plain).abs() < 5 * deviation).all()
    torch.manual_seed(1)
    assert torch.equal(draws[0], BACKENDS["grouped"](*heads, packed, causal=False, dropout=0.2))
    assert not torch.equal(draws[0], draws[1])


@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_attention_in_bfloat16_stays_near_the_formula(dropout: float) -> None:
    packed = pack()
    heads = [each.bfloat16().requires_grad_() for each in draw_heads(packed.num_tokens)]
    out = BACKENDS["grouped"](*heads, packed, causal=True, dropout=dropout)
    out.sum().backward()
    assert out.dtype == heads[0].grad.dtype == torch.bfloat16
    if not dropout:
        assert np.abs(out.detach().float().numpy() - reference_attention(*heads, LENGTHS, True)).max() < 0.05


@pytest.mark.parametrize("num_kv_heads", [4, 2])
def test_multi_head_attention_is_the_formula(num_kv_heads: int) -> None:
    """concat(head_1 ... head_h) W_O with head_i = attention(x W_Q_i, x W_K_i, x W_V_i), in float64 from the paper."""
    config = ModelConfig(
        vocab_size=10, hidden_size=32, num_heads=4, num_kv_heads=num_kv_heads, dropout=Dropout(attention=0.0)
    )
    torch.manual_seed(0)
    attention, packed = Attention(config), pack()
    hidden = torch.randn(packed.num_tokens, 32)
    out = attention(hidden, packed).detach().numpy()
    weights = {name: parameter.detach().double() for name, parameter in attention.named_parameters()}

    def expect(share: int) -> np.ndarray:
        q, k, v = (hidden.double() @ weights[f"{each}.weight"].T + weights[f"{each}.bias"] for each in "qkv")
        heads = []
        for head in range(4):
            at, kv_at = slice(8 * head, 8 * head + 8), slice(8 * (head // share), 8 * (head // share) + 8)
            one = (each[:, None] for each in (q[:, at], k[:, kv_at], v[:, kv_at]))
            heads.append(reference_attention(*one, LENGTHS, False)[:, 0])
        joined = np.concatenate(heads, axis=1)
        return joined @ weights["o.weight"].numpy().T + weights["o.bias"].numpy()

    assert np.abs(out - expect(4 // num_kv_heads)).max() < 1e-5
    weights["k.weight"] = weights["k.weight"].roll(8, 0)
    assert np.abs(out - expect(4 // num_kv_heads)).max() > 1e-3, "a head with another head's keys must be seen"


def test_the_fastest_correct_backend_is_chosen() -> None:
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    assert attention_backend(cpu, torch.float32, 0.1) == "grouped"
    assert attention_backend(cuda, torch.bfloat16, 0.0) == "varlen"
    assert attention_backend(cuda, torch.bfloat16, 0.1) == "padded"
    assert attention_backend(cuda, torch.float32, 0.0) == "padded"
    assert attention_backend(cuda, torch.bfloat16, 0.0, is_dense=True) == "padded"


def test_what_a_forced_backend_cannot_do_is_no_silent_difference() -> None:
    packed = pack()
    heads = draw_heads(packed.num_tokens)
    with pytest.raises(ConfigError, match="attention backend: has no order of tokens, got 'varlen'"):
        BACKENDS["varlen"](*heads, packed.with_prefixes([2] * len(LENGTHS)), causal=True)
    with pytest.raises(ConfigError, match="has no bias"):
        BACKENDS["varlen"](*heads, packed, causal=True, bias=lambda queries, keys: torch.zeros(1, 4, 1, 1))


@pytest.mark.gpu
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("num_kv_heads", [4, 2])
def test_varlen_attention_is_the_formula(num_kv_heads: int, causal: bool) -> None:
    packed = pack(filler=3).to("cuda")
    heads = [each.bfloat16() for each in draw_heads(sum(LENGTHS) + 3, num_kv_heads=num_kv_heads, size=64)]
    on_gpu = [each.cuda().requires_grad_() for each in heads]
    out = BACKENDS["varlen"](*on_gpu, packed, causal=causal)
    out.float().square().sum().backward()
    expected = reference_attention(*(each[:-3] for each in heads), LENGTHS, causal)
    assert np.abs(out[:-3].detach().float().cpu().numpy() - expected).max() < 0.05
    assert not out[-3:].any()
    on_cpu = [each.float().requires_grad_() for each in heads]
    BACKENDS["padded"](*on_cpu, pack(filler=3), causal=causal).square().sum().backward()
    for ours, theirs in zip(on_gpu, on_cpu, strict=True):
        assert (ours.grad.float().cpu() - theirs.grad).norm() < 0.03 * theirs.grad.norm()


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("shifted", [1, 2])
def test_shifted_heads_are_searched_by_the_token_before(shifted: int, causal: bool) -> None:
    """Against the float64 reference with its keys moved by one token within each sequence."""
    config = ModelConfig(
        vocab_size=9, hidden_size=32, num_heads=4, num_kv_heads=2, causal=causal, shifted_kv_heads=shifted
    )
    layer, packed = Attention(config).eval(), pack(filler=3)
    hidden = torch.randn(sum(LENGTHS) + 3, 32, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        out = layer(hidden, packed)[: packed.num_tokens]
        q, k, v = (linear(hidden).unflatten(-1, (-1, 8))[: packed.num_tokens] for linear in (layer.q, layer.k, layer.v))
        moved, start = k.clone(), 0
        for length in LENGTHS:
            moved[start + 1 : start + length, :shifted] = k[start : start + length - 1, :shifted]
            start += length
        expected, plain = (
            layer.o(torch.from_numpy(reference_attention(q, keys, v, LENGTHS, causal)).float().flatten(1))
            for keys in (moved, k)
        )
    assert (out - expected).abs().max() < 1e-6
    assert (out - plain).abs().max() > 1e-3


class Slope:
    """A trained bias: one number per head times the distance, one more on the token itself."""

    def __init__(self, num_heads: int = 4) -> None:
        self.weight = torch.linspace(-0.3, 0.4, num_heads).requires_grad_()

    def __call__(self, query_positions: torch.Tensor, key_positions: torch.Tensor) -> torch.Tensor:
        distances = (key_positions[:, None, :] - query_positions[:, :, None])[:, None]
        return self.weight[:, None, None] * (distances + 2.0 * (distances == 0))


def reference_under_all(
    heads: list[torch.Tensor], order: torch.Tensor | None, bias: Slope | None, **values: object
) -> torch.Tensor:
    """softmax(scale Q K^T + bias) V pair by pair, with torch's gradients in float64."""
    q, k, v = heads
    out, start = [], 0
    for length in LENGTHS:
        for row in range(length):
            scores, seen = [], []
            for key in range(length):
                if order is None:
                    is_seen = key <= row or not values["causal"]
                else:
                    is_seen = bool(order[start + key] <= order[start + row])
                if not is_seen or abs(key - row) > values.get("window", 99):
                    continue
                score = (q[start + row] * k[start + key]).sum(-1) * values.get("scale", q.shape[-1] ** -0.5)
                if bias is not None:
                    score = score + bias.weight.double() * ((key - row) + 2.0 * (key == row))
                scores.append(score)
                seen.append(v[start + key])
            weights = torch.stack(scores).softmax(0)
            out.append((weights[:, :, None] * torch.stack(seen)).sum(0))
        start += length
    return torch.stack(out)


CONDITIONS = [
    {"causal": False, "window": 2},
    {"causal": True, "window": 2},
    {"causal": True, "window": 0},
    {"causal": False, "window": 2, "has_order": True},
    {"causal": True, "has_order": True, "scale": 1.0},
    {"causal": True, "scale": 0.7},
    {"causal": False, "has_bias": True},
    {"causal": True, "has_bias": True, "window": 3, "scale": 1.0},
    {"causal": False, "has_bias": True, "has_order": True},
]


@pytest.mark.parametrize("values", CONDITIONS, ids=str)
@pytest.mark.parametrize("way", ["grouped", "padded", "stored"])
def test_who_is_seen_and_what_is_added_is_the_formula(way: str, values: dict) -> None:
    values = dict(values)
    packed = pack(filler=2)
    order = (
        torch.tensor([4, 1, 3, 3, 2] + [0, 1, 2] * 3 + [7] + [5, 5, 5, 3, 1, 6, 0])
        if values.pop("has_order", 0)
        else None
    )
    bias = Slope() if values.pop("has_bias", 0) else None
    packed = replace(packed, order=None if order is None else torch.cat([order, torch.zeros(2, dtype=torch.int64)]))
    heads = [each.requires_grad_() for each in draw_heads(packed.num_tokens + 2)]
    if way == "stored":
        out = BACKENDS["grouped"](*heads, packed, bias=bias, dropout=NEVER, **values)
    else:
        out = BACKENDS[way](*heads, packed, bias=bias, **values)
    assert not out[packed.num_tokens :].any()
    weight = torch.randn(out.shape, generator=torch.Generator().manual_seed(5))
    inputs = heads + ([] if bias is None else [bias.weight])
    found = torch.autograd.grad((out * weight).sum(), inputs)

    def expect(**changed: object) -> list[torch.Tensor]:
        wide = [each.detach().double()[: packed.num_tokens].requires_grad_() for each in heads]
        expected = reference_under_all(wide, order, bias, **{**values, **changed})
        loss = (expected * weight[: packed.num_tokens]).sum()
        inner = torch.autograd.grad(loss, wide + ([] if bias is None else [bias.weight]))
        return [expected.detach(), *inner]

    expected = expect()
    assert (out[: packed.num_tokens] - expected[0]).abs().max() < 1e-5
    for ours, theirs in zip(found, expected[1:], strict=True):
        assert (ours[: len(theirs)] - theirs).norm() < 1e-5 * max(1.0, float(theirs.norm()))
    wrong = [{"window": values["window"] + 1}] if "window" in values else [{"scale": 0.5}]
    for changed in wrong:
        assert (out[: packed.num_tokens] - expect(**changed)[0]).abs().max() > 1e-3


def test_only_the_layers_that_are_named_have_a_window() -> None:
    config = ModelConfig(vocab_size=9, hidden_size=32, num_layers=3, window=Window(size=5, layers=(0, 2)))
    assert [Attention(config, layer).window for layer in range(3)] == [5, None, 5]
    for layers in [(2, 0), (0, 0), (), (3,), (-1,)]:
        with pytest.raises(ValueError, match=r"window\.layers: must be different layers of 0 to 2 in order"):
            ModelConfig(vocab_size=9, hidden_size=32, num_layers=3, window=Window(size=5, layers=layers))
    with pytest.raises(ValueError, match=r"window\.base: is for rotary positions"):
        ModelConfig(vocab_size=9, window=Window(size=5, base=100.0))
