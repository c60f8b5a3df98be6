"""The whole stack: names, sequences that do not leak, filler, causality, heads, tying, and bad batches."""

from __future__ import annotations

import copy
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from groundup.errors import DataError
from groundup.model import dropout as dropout_module
from groundup.model.config import (
    CausalLMHead,
    ClassificationHead,
    Dropout,
    GatedFeedForward,
    HeadTransform,
    MaskedLMHead,
    ModelConfig,
    NextSentenceHead,
    PlainFeedForward,
    RelativeBias,
    RMSNormConfig,
    RotaryPositions,
    SinusoidalPositions,
    SpanHead,
    TokenHead,
    Window,
)
from groundup.model.initialize import initialize
from groundup.model.packed import Packed
from groundup.model.transformer import Transformer, check_packed

ALL_HEADS = (
    MaskedLMHead(),
    CausalLMHead(),
    NextSentenceHead(),
    ClassificationHead(num_labels=3),
    TokenHead(num_labels=5),
    SpanHead(),
)
DESIGNS = {
    "bert": {},
    "llama": {
        "position": RotaryPositions(),
        "norm": RMSNormConfig(),
        "norm_places": ("input", "final"),
        "feed_forward": GatedFeedForward(),
        "num_kv_heads": 2,
        "num_token_types": 0,
        "causal": True,
        "attention_bias": False,
        "feed_forward_bias": False,
    },
    "modernbert": {
        "position": RotaryPositions(),
        "norm_places": ("embedding", "input", "final"),
        "first_input_norm": False,
        "qk_norm": True,
        "feed_forward": GatedFeedForward(activation="gelu"),
        "num_token_types": 0,
        "window": Window(size=2, layers=(1,), base=50.0),
        "attention_output_bias": False,
    },
    "2017": {"position": SinusoidalPositions(), "norm_places": ("residual",), "num_token_types": 0},
    "sandwich": {"norm_places": ("embedding", "input", "output", "final"), "head_dim": 6},
    "t5 encoder": {
        "position": RelativeBias(num_buckets=8, max_distance=10),
        "norm": RMSNormConfig(),
        "norm_places": ("input", "final"),
        "attention_scale": 1.0,
        "num_token_types": 0,
    },
}


def build(design: str = "bert", seed: int = 0, **values: object) -> Transformer:
    settings = {"vocab_size": 40, "hidden_size": 32, "num_layers": 2, "num_heads": 4, "intermediate_size": 48}
    settings |= {"max_length": 16, "initializer_range": 0.2}
    model = Transformer(ModelConfig(**(settings | DESIGNS[design] | values)))
    initialize(model, seed)
    return model


def draw_sequences(lengths: tuple[int, ...] = (9, 4, 4, 1)) -> tuple[list[np.ndarray], list[np.ndarray]]:
    rng = np.random.default_rng(0)
    return [rng.integers(1, 40, n) for n in lengths], [rng.integers(0, 2, n) for n in lengths]


@pytest.mark.parametrize("design", DESIGNS)
def test_a_packed_sequence_is_computed_as_if_alone(design: str) -> None:
    model = build(design).eval()
    ids, types = draw_sequences()
    together = model(Packed.from_sequences(ids, types)).split([9, 4, 4, 1])
    for one, own_ids, own_types in zip(together, ids, types, strict=True):
        alone = model(Packed.from_sequences([own_ids], [own_types]))
        assert (one - alone).abs().max() < 1e-5
    # Negative control: were the boundaries lost, the numbers would differ.
    merged = model(replace(Packed.from_sequences(ids, types), lengths=(18,))).split([9, 4, 4, 1])
    assert (together[0] - merged[0]).abs().max() > 1e-2 or model.config.causal
    assert (together[1] - merged[1]).abs().max() > 1e-2


@pytest.mark.parametrize("design", DESIGNS)
def test_filler_changes_nothing(design: str) -> None:
    model = build(design)
    ids, types = draw_sequences()
    gradients, outputs = [], []
    for filler in (0, 5):
        model.zero_grad()
        model.eval()
        hidden = model(Packed.from_sequences(ids, types, filler=filler))[:18]
        hidden.square().sum().backward()
        outputs.append(hidden)
        gradients.append([parameter.grad.clone() for parameter in model.parameters()])
    assert len(hidden) == 18
    assert torch.allclose(outputs[0], outputs[1], atol=1e-6)
    for one, other in zip(*gradients, strict=True):
        assert (one - other).norm() <= 1e-4 * one.norm() + 1e-6


@pytest.mark.parametrize("design", ["bert", "llama"])
def test_only_causal_stacks_are_blind_to_the_future(design: str) -> None:
    model = build(design).eval()
    ids, types = draw_sequences((9, 4))
    before = model(Packed.from_sequences(ids, types))
    ids[0][5] = (ids[0][5] + 1) % 40
    after = model(Packed.from_sequences(ids, types))
    changed = (before - after).abs().amax(1) > 1e-6
    assert changed[5:9].all()
    assert not changed[9:].any()
    assert changed[:5].any() != model.config.causal


@pytest.mark.parametrize("design", DESIGNS)
def test_gradients_reach_every_parameter(design: str) -> None:
    model = build(design, heads=ALL_HEADS, tie_embeddings=False)
    ids, types = draw_sequences((16, 9, 4))
    packed = Packed.from_sequences(ids, types)
    hidden = model(packed)
    pooled = model.pool(hidden[packed.starts])
    outputs = [model.heads[kind](hidden) for kind in ("masked_lm", "causal_lm", "token", "span")]
    outputs += [model.heads[kind](pooled) for kind in ("classification", "next_sentence")]
    assert [tuple(each.shape) for each in outputs] == [(29, 40), (29, 40), (29, 5), (29, 2), (3, 3), (3, 2)]
    weight = torch.Generator().manual_seed(2)
    sum((each * torch.randn(each.shape, generator=weight)).sum() for each in outputs).backward()
    untouched = [name for name, parameter in model.named_parameters() if not parameter.grad.any()]
    # A key's bias adds the same to every score of a query, which softmax does not see.
    assert [name for name in untouched if not name.endswith("attention.k.bias")] == []


def test_the_names_are_those_that_checkpoints_hold() -> None:
    names = set(build(heads=ALL_HEADS, num_layers=1).state_dict())
    linear = {"weight", "bias"}
    expected = {"embedding.token.weight", "embedding.token_type.weight", "embedding.position.weight"}
    expected |= {f"embedding.norm.{each}" for each in linear}
    expected |= {f"blocks.0.attention.{matrix}.{each}" for matrix in "qkvo" for each in linear}
    expected |= {f"blocks.0.feed_forward.{matrix}.{each}" for matrix in ("up", "down") for each in linear}
    expected |= {
        f"blocks.0.{branch}_norms.residual.{each}" for branch in ("attention", "feed_forward") for each in linear
    }
    expected |= {f"pooler.{each}" for each in linear} | {"heads.masked_lm.bias"}
    expected |= {f"heads.masked_lm.{part}.{each}" for part in ("dense", "norm") for each in linear}
    for kind in ("next_sentence", "classification", "token", "span"):
        expected |= {f"heads.{kind}.linear.{each}" for each in linear}
    assert names == expected
    llama = set(build("llama").state_dict())
    assert {"blocks.1.feed_forward.gate.weight", "final_norm.weight"} <= llama
    assert not {name for name in llama if "bias" in name or "position" in name or "pooler" in name}
    assert "heads.masked_lm.decoder.weight" in build(heads=(MaskedLMHead(),), tie_embeddings=False).state_dict()


def test_a_tied_weight_is_one_storage_and_survives_copies() -> None:
    model = build(heads=(MaskedLMHead(),))
    for each in (model, copy.deepcopy(model), copy.deepcopy(model).double()):
        assert each.heads["masked_lm"].weight is each.embedding.token.weight
        assert [name for name, _ in each.named_parameters() if "decoder" in name] == []
    twin = copy.deepcopy(model)
    with torch.no_grad():
        twin.embedding.token.weight.zero_()
    assert model.embedding.token.weight.any()
    with torch.device("meta"):
        empty = Transformer(model.config)
    empty.load_state_dict(model.state_dict(), assign=True)
    assert empty.heads["masked_lm"].weight is empty.embedding.token.weight
    hidden = torch.randn(3, 32)
    assert torch.equal(empty.heads["masked_lm"](hidden), model.heads["masked_lm"](hidden))
    untied = build(heads=(MaskedLMHead(),), tie_embeddings=False)
    assert untied.heads["masked_lm"].weight is not untied.embedding.token.weight


def test_training_is_a_function_of_the_seed() -> None:
    model = build(heads=(ClassificationHead(num_labels=2, dropout=0.5),))
    packed = Packed.from_sequences(*draw_sequences())
    outputs = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        outputs.append(model.heads["classification"](model.pool(model(packed, rows=packed.starts))))
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[0], outputs[2])
    quiet = build(dropout=Dropout(embedding=0.0, attention=0.0, residual=0.0))
    assert torch.allclose(quiet(packed), quiet.eval()(packed), atol=1e-6)


COMPILED = """
import numpy as np, torch
from groundup.model.config import LearnedPositions, ModelConfig, RotaryPositions
from groundup.model.initialize import initialize
from groundup.model.packed import Packed
from groundup.model.transformer import Transformer
for position, causal in ((RotaryPositions(), True), (LearnedPositions(), False)):
    model = Transformer(ModelConfig(vocab_size=40, hidden_size=32, num_layers=2, position=position, causal=causal))
    initialize(model, 0)
    packed = Packed.from_sequences([np.arange(9), np.arange(4), np.arange(4)])
    packed.groups  # computed once a batch, outside what is compiled
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    compiled(packed).sum().backward()
    assert torch.allclose(compiled.eval()(packed), model.eval()(packed), atol=1e-6)
"""


@pytest.mark.slow
def test_the_stack_compiles_into_one_graph() -> None:
    """In a process of its own: the run-time checks of the tests cannot be compiled."""
    subprocess.run([sys.executable, "-c", COMPILED], check=True, timeout=300)


def test_bad_batches_are_named() -> None:
    config = build().config
    good = Packed.from_sequences([np.arange(16)])
    check_packed(config, good)
    cases = [
        (Packed.from_sequences([np.arange(17)]), "longer than the 16 positions of the model, got 17"),
        (Packed.from_sequences([np.array([3, 40])]), "input_ids: an id is outside 0 to 39, got 40"),
        (Packed.from_sequences([np.array([3, -1])]), "input_ids: an id is outside 0 to 39, got -1"),
        (Packed.from_sequences([np.array([3, 4])], [np.array([0, 2])]), "token_type_ids: an id is outside 0 to 1"),
        (replace(good, position_ids=good.position_ids + 1), "position_ids: an id is outside 0 to 15, got 16"),
    ]
    for packed, message in cases:
        with pytest.raises(DataError, match=message):
            check_packed(config, packed)


@pytest.mark.parametrize("choice", ["some", "first", "last"])
@pytest.mark.parametrize("name", DESIGNS)
def test_asked_rows_are_those_of_the_whole_run_and_so_are_their_gradients(name: str, choice: str) -> None:
    model = build(heads=(MaskedLMHead(),), **DESIGNS[name]).double().eval()
    packed = Packed.from_sequences([np.arange(1, 8), np.arange(3, 8), np.arange(2, 7)], filler=2)
    rows = {"some": torch.tensor([0, 3, 4, 9, 16]), "first": packed.starts, "last": packed.ends}[choice]
    found = []
    for hidden in (model(packed)[rows], model(packed, rows=rows)):
        model.zero_grad(set_to_none=True)
        (model.heads["masked_lm"](hidden).sin()).sum().backward()
        found.append((hidden.detach(), {name: each.grad.clone() for name, each in model.named_parameters()}))
    (whole, of_whole), (asked, of_asked) = found
    assert torch.allclose(whole, asked, atol=1e-12)
    for name, gradient in of_whole.items():
        assert torch.allclose(gradient, of_asked[name], atol=1e-10), name
    assert not torch.allclose(whole, model(packed, rows=rows.flip(0)), atol=1e-3)


@pytest.mark.parametrize("name", ["bert", "llama", "sandwich"])
def test_one_query_for_each_sequence_is_the_same_in_a_padded_copy(name: str) -> None:
    model = build(name).double().eval()
    packed = Packed.from_sequences([np.arange(1, 8), np.arange(3, 8), np.arange(2, 7)], filler=2)
    expected = model(packed)[packed.ends]
    for block in model.blocks:
        block.attention.backend = "padded"
    assert torch.allclose(model(packed, rows=packed.ends), expected, atol=1e-12)
    # Negative control: other rows of as many sequences are not taken for theirs.
    assert not torch.allclose(model(packed, rows=packed.ends - 1), expected, atol=1e-3)


@pytest.mark.parametrize("place", ["feed_forward", "final"])
@pytest.mark.parametrize("gate", [PlainFeedForward(), GatedFeedForward()])
def test_dropout_stands_where_it_is_named(
    place: str, gate: PlainFeedForward | GatedFeedForward, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dropout_module, "dropout", lambda hidden, p: hidden * (1 - p))
    none = {"embedding": 0.0, "attention": 0.0, "residual": 0.0}
    model = build(feed_forward=gate, dropout=Dropout(**none, **{place: 0.25}))
    whole, packed = build(feed_forward=gate, dropout=Dropout(**none)), Packed.from_sequences([np.arange(9)])
    whole.load_state_dict(model.state_dict())
    with torch.no_grad():
        expected = whole.eval()(packed)
        assert torch.equal(model.eval()(packed), expected)
        dropped = model.train()(packed)
        assert not torch.allclose(dropped, expected)
        if place == "final":
            assert torch.equal(dropped, expected * 0.75)
        else:
            for block in whole.blocks:
                block.feed_forward.down.weight *= 0.75
            assert torch.allclose(dropped, whole(packed), atol=1e-6)


def test_a_head_may_divide_by_the_root_of_the_width() -> None:
    plain, scaled = (build(heads=(CausalLMHead(scale_hidden=scale),), causal=True) for scale in (False, True))
    hidden = torch.randn(3, 32)
    assert torch.allclose(scaled.heads["causal_lm"](hidden), plain.heads["causal_lm"](hidden / 32**0.5), atol=1e-6)
    assert not torch.allclose(scaled.heads["causal_lm"](hidden), plain.heads["causal_lm"](hidden), atol=1e-3)


@pytest.mark.parametrize("transform", [None, HeadTransform(), HeadTransform(activation="relu", bias=False)])
@pytest.mark.parametrize("pooling", ["pooler", "first", "mean"])
def test_the_vector_of_a_sequence(pooling: str, transform: HeadTransform | None) -> None:
    head = ClassificationHead(num_labels=3, pooling=pooling, transform=transform)
    model = build(heads=(head,), qk_norm=True).eval()
    assert model.config.has_pooler == (pooling == "pooler")
    ids, types = draw_sequences()
    packed = Packed.from_sequences(ids, types, filler=5)
    hidden = model(packed)[: packed.num_tokens].split(list(packed.lengths))
    expected = torch.stack([part.mean(0) if pooling == "mean" else part[0] for part in hidden])
    if pooling == "pooler":
        expected = model.pooler(expected).tanh()
    assert (model.summarize(packed) - expected).abs().max() < 1e-6
    if transform is not None:
        part = model.heads["classification"].transform
        assert (part.dense.bias is not None) == transform.bias
        function = {"gelu": functional.gelu, "relu": functional.relu}[transform.activation]
        dense = functional.linear(expected, part.dense.weight, part.dense.bias)
        expected = functional.layer_norm(function(dense), (32,), part.norm.weight, part.norm.bias, 1e-12)
    linear = model.heads["classification"].linear
    logits = functional.linear(expected, linear.weight, linear.bias)
    assert (model.heads["classification"](model.summarize(packed)) - logits).abs().max() < 1e-5


def test_an_input_norm_that_is_nowhere_cannot_be_left_out() -> None:
    with pytest.raises(ValueError, match="first_input_norm: there are no input norms"):
        ModelConfig(vocab_size=3, first_input_norm=False)
