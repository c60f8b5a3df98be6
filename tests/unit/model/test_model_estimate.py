"""Estimates against the built model: parameters exactly, FLOPs as torch counts them, activations within a tenth."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from groundup.model import linear
from groundup.model.cache import Cache
from groundup.model.config import (
    BiaffineHead,
    CausalLMHead,
    ClassificationHead,
    Dropout,
    Encoder,
    GatedFeedForward,
    HeadTransform,
    LayerNormConfig,
    MaskedLMHead,
    ModelConfig,
    NextSentenceHead,
    PlainFeedForward,
    RMSNormConfig,
    RotaryPositions,
    SpanHead,
    TokenHead,
    Window,
)
from groundup.model.estimate import count_cached, count_parameters, estimate
from groundup.model.initialize import initialize
from groundup.model.packed import Packed
from groundup.model.transformer import Transformer

HEADS = [
    (),
    (MaskedLMHead(bias=False),),
    (CausalLMHead(),),
    (CausalLMHead(bias=True),),
    (MaskedLMHead(), NextSentenceHead(), ClassificationHead(num_labels=7), TokenHead(num_labels=9), SpanHead()),
    (
        MaskedLMHead(dense_bias=False),
        ClassificationHead(num_labels=7, pooling="mean", transform=HeadTransform()),
        TokenHead(num_labels=9, transform=HeadTransform(bias=False), chain=True),
        SpanHead(transform=HeadTransform()),
        BiaffineHead(num_labels=4, size=10),
    ),
]
PLACES = [("embedding", "residual"), ("input", "final"), ("input", "output", "residual")]
NORMS = [LayerNormConfig(), LayerNormConfig(bias=False), RMSNormConfig()]


def part_of(name: str) -> str:
    if "norm" in name and not name.startswith("heads"):
        return "norms"
    if name.startswith("blocks"):
        return name.split(".")[2]
    return name.split(".")[0]


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("heads", HEADS)
def test_parameters_are_exact(norm: LayerNormConfig | RMSNormConfig, heads: tuple) -> None:
    choices = itertools.product(
        PLACES, (PlainFeedForward(), GatedFeedForward()), (True, False), ((8, None), (2, 5)), (0, 3)
    )
    for places, feed_forward, has_bias, (num_kv_heads, head_dim), num_types in choices:
        config = ModelConfig(
            vocab_size=101,
            hidden_size=24,
            num_layers=2,
            num_heads=8,
            num_kv_heads=num_kv_heads,
            head_dim=head_dim,
            num_token_types=num_types,
            norm=norm,
            norm_places=places,
            feed_forward=feed_forward,
            attention_bias=has_bias,
            feed_forward_bias=not has_bias,
            tie_embeddings=has_bias,
            attention_output_bias=not has_bias if num_types else None,
            first_input_norm="input" not in places or has_bias,
            qk_norm=has_bias,
            heads=heads,
        )
        with torch.device("meta"):
            model = Transformer(config)
        built = dict.fromkeys(count_parameters(config), 0)
        for name, parameter in model.named_parameters():
            built[part_of(name)] += parameter.numel()
        assert count_parameters(config) == built


def test_bert_base_has_its_published_size() -> None:
    config = ModelConfig(
        vocab_size=30522,
        hidden_size=768,
        num_layers=12,
        num_heads=12,
        intermediate_size=3072,
        max_length=512,
        heads=(ClassificationHead(num_labels=2),),
    )
    # BertModel with its pooler has 109,482,240 parameters; the classifier adds 768 * 2 + 2.
    assert estimate(config, batch_tokens=1).num_parameters == 109_482_240 + 1538


def build(**values: object) -> Transformer:
    config = ModelConfig(vocab_size=500, hidden_size=64, num_layers=3, heads=(MaskedLMHead(),), **values)
    model = Transformer(config)
    initialize(model, 0)
    return model


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"feed_forward": GatedFeedForward(), "num_kv_heads": 2, "position": RotaryPositions()},
        {"norm_places": ("input", "final"), "norm": RMSNormConfig()},
    ],
)
def test_flops_are_those_that_torch_counts(values: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    model = build(**values, dropout=Dropout(embedding=0.0, attention=0.0, residual=0.0)).eval()
    lengths = (60, 30, 30, 8)
    packed = Packed.from_sequences([np.arange(n) for n in lengths])
    rows = torch.arange(0, 128, 4)
    # The counter knows no products of oneDNN, and attention only where it is made of plain products.
    monkeypatch.setattr(linear, "product_library", lambda: "torch")
    with FlopCounterMode(display=False) as counter, torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        model.heads["masked_lm"](model(packed, rows=rows))
    found = estimate(model.config, batch_tokens=128, lengths=lengths, target_fraction=0.25)
    assert found.forward_flops_per_token * 128 == pytest.approx(counter.get_total_flops(), rel=1e-6)
    assert found.training_flops_per_token == 3 * found.forward_flops_per_token


@pytest.mark.parametrize("pooling", ["pooler", "first", "mean"])
@pytest.mark.parametrize("transform", [None, HeadTransform()])
def test_flops_of_heads_are_those_that_torch_counts(
    pooling: str, transform: HeadTransform | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = ClassificationHead(num_labels=5, pooling=pooling, transform=transform)
    model = Transformer(ModelConfig(vocab_size=50, hidden_size=64, num_layers=2, heads=(head,))).eval()
    initialize(model, 0)
    packed = Packed.from_sequences([np.arange(n) for n in (30, 30, 4)])
    monkeypatch.setattr(linear, "product_library", lambda: "torch")
    with FlopCounterMode(display=False) as counter, torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        model.heads["classification"](model.summarize(packed))
    found = estimate(model.config, batch_tokens=64, lengths=packed.lengths)
    assert found.forward_flops_per_token * 64 == pytest.approx(counter.get_total_flops(), rel=1e-6)


def test_flops_of_spans_are_those_that_torch_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    head = BiaffineHead(num_labels=5, size=12)
    model = Transformer(ModelConfig(vocab_size=50, hidden_size=64, num_layers=2, heads=(head,))).eval()
    initialize(model, 0)
    packed = Packed.from_sequences([np.arange(n) for n in (30, 30, 4)])
    monkeypatch.setattr(linear, "product_library", lambda: "torch")
    with FlopCounterMode(display=False) as counter, torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        model.heads["biaffine"](model(packed), 30)
    found = estimate(model.config, batch_tokens=64, lengths=packed.lengths)
    assert found.forward_flops_per_token * 64 == pytest.approx(counter.get_total_flops(), rel=1e-6)


def test_flops_of_an_encoder_decoder_are_those_that_torch_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {"hidden_size": 64, "num_layers": 3, "num_kv_heads": 2, "norm_places": ("input", "final")}
    encoder = Encoder(num_layers=2, intermediate_size=96)
    config = ModelConfig(vocab_size=500, **values, causal=True, encoder=encoder, heads=(CausalLMHead(),))
    model = Transformer(config).eval()
    initialize(model, 0)
    lengths = (60, 30, 30, 8)
    packed = Packed.from_sequences([np.arange(n) for n in lengths])
    monkeypatch.setattr(linear, "product_library", lambda: "torch")
    # torch counts what the mask hides: attention of the decoder to itself is half of that.
    hidden = 4 * 3 * 64 * (sum(n * n for n in lengths) - sum(n * (n + 1) // 2 for n in lengths))
    for sources in (lengths, (20, 70, 70, 1)):
        source = Packed.from_sequences([np.arange(n) for n in sources])
        with FlopCounterMode(display=False) as counter, torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
            model.heads["causal_lm"](model(packed, memory=model.encode(source), rows=torch.arange(0, 128, 4)))
        found = estimate(config, batch_tokens=128, lengths=lengths, source_lengths=sources, target_fraction=0.25)
        assert found.forward_flops_per_token * 128 + hidden == pytest.approx(counter.get_total_flops(), rel=1e-6)
        as_long = estimate(config, batch_tokens=128, lengths=lengths, target_fraction=0.25)
        assert (found == as_long) == (sources == lengths)


def test_causal_attention_is_counted_to_the_diagonal() -> None:
    def flops(length: int, causal: bool, prefix: bool = False) -> float:
        heads = (CausalLMHead(prefix=prefix),)
        config = ModelConfig(vocab_size=9, hidden_size=8, num_layers=1, num_heads=2, causal=causal, heads=heads)
        return estimate(config, batch_tokens=1, lengths=[length]).forward_flops_per_token

    assert flops(10, False) - flops(10, True) == 4 * 8 * (10 - 5.5)
    assert flops(10, True, prefix=True) == flops(10, False), "a prefix may be of any length"


@pytest.mark.parametrize("causal", [False, True])
def test_a_window_is_counted_where_it_is(causal: bool) -> None:
    def flops(window: Window | None) -> float:
        config = ModelConfig(vocab_size=9, hidden_size=8, num_layers=3, num_heads=2, causal=causal, window=window)
        return estimate(config, batch_tokens=1, lengths=[10, 2]).forward_flops_per_token

    pairs = [(i, j) for length in (10, 2) for i in range(length) for j in range(length) if j <= i or not causal]
    unseen = sum(abs(i - j) > 3 for i, j in pairs)
    assert flops(None) - flops(Window(size=3, layers=(0, 2))) == pytest.approx(2 * 4 * 8 * unseen / 12)
    assert flops(None) == flops(Window(size=9))


def count_kept(model: Transformer, compute: Callable[[], torch.Tensor]) -> int:
    """Bytes that are kept for the way back, the weights aside."""
    parameters = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = compute().logsumexp(-1).sum()
    assert loss.requires_grad
    return sum(kept.values())


@pytest.mark.parametrize("attention_dropout", [0.0, 0.1])
@pytest.mark.parametrize("values", [{}, {"feed_forward": GatedFeedForward(), "norm_places": ("input", "final")}])
def test_activations_are_near_what_is_kept(values: dict, attention_dropout: float) -> None:
    model = build(**values, dropout=Dropout(attention=attention_dropout))
    lengths = (120, 60, 60, 16)
    packed = Packed.from_sequences([np.arange(n) for n in lengths])
    kept = count_kept(model, lambda: model.heads["masked_lm"](model(packed)))
    found = estimate(model.config, batch_tokens=256, lengths=lengths, is_fused=not attention_dropout)
    assert 0.85 < found.memory["activations"] / kept < 1.2


@pytest.mark.parametrize("attention_dropout", [0.0, 0.1])
def test_activations_of_an_encoder_decoder_are_near_what_is_kept(attention_dropout: float) -> None:
    dropout = Dropout(attention=attention_dropout)
    values = {"hidden_size": 64, "num_layers": 3, "num_token_types": 0, "causal": True, "encoder": Encoder()}
    model = Transformer(ModelConfig(vocab_size=500, **values, dropout=dropout, heads=(CausalLMHead(),)))
    initialize(model, 0)
    lengths, sources = (60, 60, 30, 8), (90, 90, 20, 120)
    packed, source = (Packed.from_sequences([np.arange(n) for n in each]) for each in (lengths, sources))
    kept = count_kept(model, lambda: model.heads["causal_lm"](model(packed, memory=model.encode(source))))
    options = {"batch_tokens": sum(lengths), "lengths": lengths, "is_fused": not attention_dropout}
    found = estimate(model.config, source_lengths=sources, **options).memory["activations"]
    assert 0.85 < found / kept < 1.2
    assert estimate(model.config, **options).memory["activations"] / kept < 0.85


def test_memory_of_weights_and_optimizer() -> None:
    found = estimate(build().config, batch_tokens=10)
    weights = 4 * found.num_parameters
    assert (found.memory["weights"], found.memory["gradients"]) == (weights, weights)
    assert found.memory["optimizer"] == 2 * weights
    assert found.total_memory == 4 * weights + found.memory["activations"]
    fewer = estimate(build().config, batch_tokens=10, optimizer_values=7)
    assert fewer.memory == found.memory | {"optimizer": 28}


def test_a_decoder_keeps_what_its_cache_holds() -> None:
    values = {"vocab_size": 9, "hidden_size": 24, "num_layers": 3, "num_heads": 6, "num_kv_heads": 2}
    decoder = ModelConfig(**values, causal=True)
    stores = [store for layer in Cache(decoder, 1, capacity=1).layers for store in (layer.keys, layer.values)]
    assert count_cached(decoder) == sum(store.numel() for store in stores) == 48
    assert count_cached(ModelConfig(**values)) is None
