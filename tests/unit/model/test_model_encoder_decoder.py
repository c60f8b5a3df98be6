"""An encoder-decoder against the formulas of 2017 in float64, its backends and cache, and what it refuses."""

from __future__ import annotations

import copy
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from groundup.errors import ConfigError, DataError
from groundup.model import attention
from groundup.model.attention import BACKENDS
from groundup.model.cache import Cache
from groundup.model.config import (
    CausalLMHead,
    Dropout,
    Encoder,
    GatedFeedForward,
    MaskedLMHead,
    ModelConfig,
    NoPositions,
    PlainFeedForward,
    RelativeBias,
    RMSNormConfig,
    RotaryPositions,
    SinusoidalPositions,
    Window,
)
from groundup.model.estimate import count_parameters
from groundup.model.initialize import initialize, parameter_role
from groundup.model.packed import Memory, Packed, pair_groups
from groundup.model.transformer import Transformer

VOCAB = 50
NONE = Dropout(embedding=0.0, attention=0.0, residual=0.0)
SOURCES = (7, 4, 4, 4, 9, 1)
TARGETS = (3, 5, 5, 5, 2, 6)
DESIGNS = {
    "2017": {
        "position": SinusoidalPositions(),
        "norm_places": ("residual",),
        "feed_forward": PlainFeedForward(activation="relu"),
    },
    "t5": {
        "position": RelativeBias(num_buckets=8, max_distance=6),
        "norm": RMSNormConfig(),
        "norm_places": ("input", "final"),
        "attention_scale": 1.0,
        "head_dim": 5,
        "attention_bias": False,
        "feed_forward": GatedFeedForward(activation="gelu_tanh"),
    },
    "of our own": {
        "position": RotaryPositions(),
        "norm_places": ("embedding", "input", "output", "final"),
        "num_kv_heads": 2,
        "window": Window(size=2, layers=(1,)),
        "qk_norm": True,
        "attention_output_bias": False,
        "encoder": Encoder(num_heads=2, intermediate_size=20),
    },
}


def build(design: str = "2017", **values: object) -> Transformer:
    settings = {"hidden_size": 24, "num_layers": 2, "num_heads": 4, "intermediate_size": 36, "max_length": 20}
    settings |= {"vocab_size": VOCAB, "num_token_types": 0, "causal": True, "encoder": Encoder(num_layers=3)}
    settings |= {"padding_id": None, "heads": (CausalLMHead(bias=True),), "dropout": NONE}
    model = Transformer(ModelConfig(**settings | DESIGNS[design] | values))
    initialize(model, 0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return model.eval()


def draw(lengths: tuple[int, ...], seed: int = 0, filler: int = 0) -> Packed:
    random = np.random.default_rng(seed)
    return Packed.from_sequences([random.integers(0, VOCAB, length) for length in lengths], filler=filler)


def norm(x: np.ndarray, module: torch.nn.Module) -> np.ndarray:
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + module.eps)
    return x * module.weight.numpy() + module.bias.numpy()


def attend(x: np.ndarray, y: np.ndarray, module: torch.nn.Module, causal: bool) -> np.ndarray:
    """MultiHead(x, y, y): section 3.2.2, one head at a time."""
    q, k, v = (
        of @ linear.weight.numpy().T + linear.bias.numpy()
        for of, linear in ((x, module.q), (y, module.k), (y, module.v))
    )
    heads, width = [], module.head_dim
    for start in range(0, q.shape[1], width):
        of_head = slice(start, start + width)
        scores = q[:, of_head] @ k[:, of_head].T / math.sqrt(width)
        if causal:
            scores = np.where(np.tril(np.ones_like(scores)) == 1, scores, -np.inf)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        heads.append(weights / weights.sum(-1, keepdims=True) @ v[:, of_head])
    return np.concatenate(heads, axis=1) @ module.o.weight.numpy().T + module.o.bias.numpy()


def feed(x: np.ndarray, module: torch.nn.Module) -> np.ndarray:
    inner = np.maximum(0, x @ module.up.weight.numpy().T + module.up.bias.numpy())
    return inner @ module.down.weight.numpy().T + module.down.bias.numpy()


def embed(ids: np.ndarray, weight: np.ndarray) -> np.ndarray:
    size = weight.shape[1]
    angles = np.arange(len(ids))[:, None] / 10000 ** (2 * (np.arange(size) // 2) / size)
    return weight[ids] * math.sqrt(size) + np.where(np.arange(size) % 2, np.cos(angles), np.sin(angles))


def formulas_of_2017(model: Transformer, source: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The encoder's states and the logits of one pair: Vaswani et al. 2017, sections 3.1 to 3.5."""
    with torch.no_grad():
        weight = model.embedding.token.weight.numpy()
        x = embed(source, weight)
        for block in model.encoder.blocks:
            x = norm(x + attend(x, x, block.attention, causal=False), block.attention_norms["residual"])
            x = norm(x + feed(x, block.feed_forward), block.feed_forward_norms["residual"])
        y = embed(target, weight)
        for block in model.blocks:
            y = norm(y + attend(y, y, block.attention, causal=True), block.attention_norms["residual"])
            y = norm(y + attend(y, x, block.cross_attention, causal=False), block.cross_attention_norms["residual"])
            y = norm(y + feed(y, block.feed_forward), block.feed_forward_norms["residual"])
        return x, y @ weight.T + model.heads["causal_lm"].bias.numpy()


def run(model: Transformer, source: Packed, target: Packed) -> tuple[Tensor, Tensor]:
    memory = model.encode(source)
    return memory.hidden, model.heads["causal_lm"](model(target, memory=memory))


@torch.no_grad()
def test_the_design_of_2017_is_its_formulas() -> None:
    model, source, target = build().double(), draw(SOURCES), draw(TARGETS, 1)
    states, logits = run(model, source, target)
    wrong = build(position=SinusoidalPositions(scale_embedding=False)).double()
    parts = zip(source.split(), target.split(), states.split(list(SOURCES)), logits.split(list(TARGETS)), strict=True)
    for of_source, of_target, hidden, scores in parts:
        x, y = formulas_of_2017(model, of_source.numpy(), of_target.numpy())
        # The table of sines is rounded to float32.
        assert np.abs(hidden.numpy() - x).max() < 1e-6
        assert np.abs(scores.numpy() - y).max() < 1e-6
        unscaled, without = run(wrong, *(Packed.from_sequences([each.numpy()]) for each in (of_source, of_target)))
        assert np.abs(unscaled.numpy() - x).max() > 1e-2
        assert np.abs(without.numpy() - y).max() > 1e-2


def gradients(model: Transformer, source: Packed, target: Packed) -> list[Tensor]:
    model.zero_grad()
    _, logits = run(model, source, target)
    logits = logits[: target.num_tokens]
    (logits * torch.linspace(-1, 1, logits.numel()).view(logits.shape)).sum().backward()
    return [logits.detach(), *(parameter.grad.clone() for parameter in model.parameters())]


@pytest.mark.parametrize("design", DESIGNS)
def test_a_batch_is_what_its_pairs_are_alone(design: str) -> None:
    model, source, target = build(design).double(), draw(SOURCES, filler=3), draw(TARGETS, 1, filler=2)
    whole = gradients(model, source, target)
    names = ["logits", *(name for name, _ in model.named_parameters())]
    untouched = [name for name, gradient in zip(names, whole, strict=True) if gradient.abs().max() < 1e-6]
    assert all(name.endswith((".k.bias", ".k_norm.bias")) for name in untouched), (
        "the bias of keys moves all scores of a query alike"
    )
    alone = [
        gradients(model, Packed.from_sequences([x.numpy()]), Packed.from_sequences([y.numpy()]))[0]
        for x, y in zip(source.split(), target.split(), strict=True)
    ]
    assert torch.allclose(whole[0], torch.cat(alone), atol=1e-9)
    turned = Packed.from_sequences([each.numpy() for each in source.split()][::-1])
    assert not torch.allclose(run(model, turned, target)[1][: target.num_tokens], whole[0], atol=1e-2)


@pytest.mark.parametrize("design", DESIGNS)
def test_backends_agree_with_their_gradients(design: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, source, target = build(design).double(), draw(SOURCES, filler=3), draw(TARGETS, 1, filler=2)
    expected = gradients(model, source, target)
    for module in model.modules():
        if hasattr(type(module), "backend"):
            module.backend = "padded"
    padded = gradients(model, source, target)
    assert all(torch.allclose(ours, theirs, atol=1e-9) for ours, theirs in zip(padded, expected, strict=True))


def test_cross_attention_with_dropout_drops_probabilities_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel for dropout, drawing nothing, is the kernel without; its draws keep each value's expectation."""
    source, target = draw(SOURCES, filler=1), draw(TARGETS, 1, filler=2)
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(n, h, 6, generator=generator) for n, h in ((28, 4), (30, 2), (30, 2)))
    options = {"causal": False, "source": source}
    expected = BACKENDS["grouped"](q, k, v, target, **options)
    assert not expected[26:].any()
    many = torch.stack([BACKENDS["grouped"](q, k, v, target, dropout=0.3, **options) for _ in range(600)])
    assert not torch.allclose(many[0], many[1])
    assert (many.mean(0) - expected).abs().max() < 6 * float(many.std(0).max()) / 600**0.5
    monkeypatch.setattr(attention, "LONGEST_STORED", 512)
    low = BACKENDS["grouped"](q.bfloat16(), k.bfloat16(), v.bfloat16(), target, **options)
    assert (low.float() - expected).abs().max() < 0.05


def test_gradients_of_dropped_cross_attention_are_those_of_finite_differences() -> None:
    source, target = draw((3, 3, 2)), draw((2, 2, 4), 1)
    generator = torch.Generator().manual_seed(0)
    heads = [torch.randn(n, 2, 4, generator=generator, dtype=torch.float64) for n in (8, 8, 8)]

    def attend_dropped(*heads: Tensor) -> Tensor:
        torch.manual_seed(5)
        return BACKENDS["grouped"](*heads, target, causal=False, dropout=0.4, source=source)

    assert torch.autograd.gradcheck(attend_dropped, [each.requires_grad_() for each in heads])


def test_groups_are_neighbours_with_both_lengths_equal() -> None:
    targets, sources = pair_groups((5, 5, 5, 2), (4, 4, 3, 3))
    assert targets == ((0, 2, 5), (10, 1, 5), (15, 1, 2))
    assert sources == ((0, 2, 4), (8, 1, 3), (11, 1, 3))


@pytest.mark.parametrize("design", DESIGNS)
@torch.no_grad()
def test_cached_steps_are_those_of_the_whole_sequences(design: str) -> None:
    model, source, target = build(design), draw(SOURCES), draw(TARGETS, 1)
    memory = model.encode(source)
    expected = model(target, memory=memory).split(list(TARGETS))
    cache, known = Cache(model.config, len(TARGETS)), [0] * len(TARGETS)
    first = True
    while any(start < len(ids) for start, ids in zip(known, target.split(), strict=True)):
        # Each sequence gets what it has left, two tokens at a time, and its last token again when it is done.
        kept = [number for number, ids in enumerate(target.split()) if known[number] < len(ids)]
        if len(kept) < len(cache.lengths):
            cache.select([place for place, number in enumerate(active) if number in kept])
        active = kept
        new = [target.split()[number][known[number] : known[number] + 2] for number in active]
        hidden = model(cache.pack(new), cache=cache, memory=memory if first else None)
        first = False
        for number, ours in zip(active, hidden.split([len(ids) for ids in new]), strict=True):
            theirs = expected[number][known[number] : known[number] + 2]
            assert (ours - theirs).abs().max() < 1e-5
            known[number] += 2


@torch.no_grad()
def test_beams_take_their_source_along() -> None:
    model, source = build("t5"), draw((5, 2, 8))
    memory, start = model.encode(source), torch.tensor([1])
    cache = Cache(model.config, 3)
    model(cache.pack([start] * 3), cache=cache, memory=memory)
    before = cache.layers[0].memory
    cache.select([0, 1, 2])
    assert cache.layers[0].memory is before, "nothing is copied where every source stays in its place"
    chosen = [2, 2, 0]
    cache.select(chosen)
    after = cache.layers[0].memory
    cache.select([1, 0, 2])
    assert cache.layers[0].memory is after, "beams of one source change places for nothing"
    found = model(cache.pack([torch.tensor([7])] * 3), cache=cache)
    for ours, number in zip(found, chosen, strict=True):
        alone = model.encode(Packed.from_sequences([source.split()[number].numpy()]))
        theirs = model(Packed.from_sequences([np.array([1, 7])]), memory=alone)[1]
        assert (ours - theirs).abs().max() < 1e-5
    assert (found[0] - found[2]).abs().max() > 1e-2


@pytest.mark.parametrize("design", DESIGNS)
@torch.no_grad()
def test_asked_rows_are_those_of_the_whole_run(design: str) -> None:
    model, target = build(design), draw(TARGETS, 1)
    memory, rows = model.encode(draw(SOURCES)), torch.tensor([9, 0, 25])
    assert torch.allclose(model(target, memory=memory, rows=rows), model(target, memory=memory)[rows], atol=1e-6)


@torch.no_grad()
def test_a_decoder_is_blind_to_its_future_and_sees_its_whole_source() -> None:
    model, source, target = build("t5"), draw((6, 6)), draw((5, 5), 1)
    before = run(model, source, target)[1]
    ids = target.input_ids.clone()
    ids[3] = (ids[3] + 1) % VOCAB
    after = run(model, source, replace(target, input_ids=ids))[1]
    assert torch.equal(before[:3], after[:3])
    assert (before[3:5] != after[3:5]).any(dim=1).all()
    ids = source.input_ids.clone()
    ids[5] = (ids[5] + 1) % VOCAB
    after = run(model, replace(source, input_ids=ids), target)[1]
    assert (before[:5] != after[:5]).any(dim=1).all()
    assert torch.equal(before[5:], after[5:])


@pytest.mark.parametrize("design", DESIGNS)
def test_parameters_are_counted_exactly(design: str) -> None:
    model = build(design)
    counted = count_parameters(model.config)
    built = dict.fromkeys(counted, 0)
    for name, parameter in model.named_parameters():
        part = name.split(".")[0]
        if "norm" in name and part != "encoder":
            part = "norms"
        built[name.split(".")[2] if part == "blocks" else part] += parameter.numel()
    assert counted == built


def test_the_encoder_has_the_roles_and_the_start_of_any_stack() -> None:
    model = build("of our own")
    names = dict(model.named_parameters())
    roles = {name: parameter_role(name, each) for name, each in names.items()}
    for name, role in roles.items():
        inner = name.removeprefix("encoder.")
        assert role == roles.get(inner, role)
    assert roles["encoder.embedding.norm.weight"] == "norm"
    assert roles["blocks.0.cross_attention_norms.input.weight"] == "norm"
    assert roles["blocks.0.cross_attention.q.weight"] == roles["encoder.blocks.0.attention.q.weight"] == "matrix"
    assert "encoder.embedding.token.weight" not in model.state_dict(), "the embedding is one for both"
    scaled = Transformer(model.config.model_copy(update={"output_init": "scaled", "hidden_size": 96, "num_layers": 8}))
    initialize(scaled, 0)
    for name, branches in (("blocks.0.cross_attention.o", 24), ("encoder.blocks.0.attention.o", 16)):
        deviation = scaled.get_submodule(name).weight.std().item()
        assert deviation == pytest.approx(0.02 / branches**0.5, rel=0.1)


def test_copies_share_nothing() -> None:
    model = build()
    other = copy.deepcopy(model)
    with torch.no_grad():
        other.embedding.token.weight.zero_()
    source = draw((3,))
    assert not torch.allclose(model.encode(source).hidden, other.encode(source).hidden)


def test_impossible_designs_are_refused() -> None:
    for values, message in (
        ({"causal": False}, "encoder: goes with a decoder, got causal False"),
        ({"position": NoPositions()}, "an encoder without positions"),
        ({"heads": (MaskedLMHead(),)}, "only causal_lm is supported"),
        ({"encoder": Encoder(num_heads=5)}, "encoder.num_heads: must divide hidden_size 24, got 5"),
        ({"encoder": Encoder(num_heads=1), "num_kv_heads": 2}, "must divide encoder.num_heads 1"),
        ({"encoder": Encoder(num_layers=1), "window": Window(size=2, layers=(1,))}, "window.layers"),
    ):
        with pytest.raises(ValueError, match=message):
            build(**values)


def test_a_missing_or_wrong_memory_is_an_error() -> None:
    model, target = build(), draw((3, 4))
    with pytest.raises(DataError, match="memory: is missing"):
        model(target)
    with pytest.raises(DataError, match="memory: is missing"):
        model(target, cache=Cache(model.config, 2))
    with pytest.raises(DataError, match="a source for each of 2 sequences, got 3"):
        model(target, memory=model.encode(draw((2, 2, 2))))
    decoder = build(encoder=None)
    with pytest.raises(ConfigError, match=r"model\.encoder: there is none"):
        decoder.encode(target)
    with pytest.raises(DataError, match="the design has no encoder"):
        decoder(target, memory=Memory(torch.zeros(7, 24), target))
