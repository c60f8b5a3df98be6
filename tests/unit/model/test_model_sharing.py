"""An embedding of another width, blocks passed several times, and the heads on single vectors: against plain torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from groundup.model import dropout as dropout_module
from groundup.model import linear
from groundup.model.cache import Cache
from groundup.model.config import (
    CausalLMHead,
    ClassificationHead,
    HeadTransform,
    LearnedPositions,
    MaskedLMHead,
    ModelConfig,
    MultipleChoiceHead,
    NextSentenceHead,
    ReplacedHead,
    SentenceOrderHead,
    Sharing,
    SinusoidalPositions,
    Window,
)
from groundup.model.estimate import count_parameters, estimate
from groundup.model.initialize import initialize, parameter_role
from groundup.model.packed import Packed
from groundup.model.transformer import Transformer

SMALL = {"vocab_size": 50, "hidden_size": 24, "num_heads": 3, "intermediate_size": 40, "max_length": 16}


def build(**values: Any) -> Transformer:
    model = Transformer(ModelConfig(**{**SMALL, "num_layers": 2, **values})).double()
    initialize(model, 0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)) * 0.1)
    return model.eval()


def draw() -> Packed:
    lengths = (9, 9, 4)
    return Packed.from_sequences([np.arange(n) + 3 for n in lengths], [np.arange(n) % 2 for n in lengths])


@pytest.mark.parametrize("position", [LearnedPositions(offset=2), SinusoidalPositions()])
def test_the_embedding_may_have_another_width(position: LearnedPositions | SinusoidalPositions) -> None:
    model, packed = build(embedding_size=10, position=position, heads=(MaskedLMHead(),)), draw()
    part = model.embedding
    added = part.position.embed(packed.position_ids)
    hidden = part.token.weight[packed.input_ids] * part.position.token_scale + added
    hidden = hidden + part.token_type.weight[packed.token_type_ids]
    hidden = functional.layer_norm(hidden, (10,), part.norm.weight, part.norm.bias, 1e-12)
    expected = hidden @ part.projection.weight.T + part.projection.bias
    assert hidden.shape == (22, 10) and expected.shape == (22, 24)
    assert torch.allclose(part(packed), expected, atol=1e-12)
    assert part.position.token_scale == (10**0.5 if position.kind == "sinusoidal" else 1.0)
    head, state = model.heads["masked_lm"], model(packed)
    dense = functional.gelu(state @ head.dense.weight.T + head.dense.bias)
    dense = functional.layer_norm(dense, (10,), head.norm.weight, head.norm.bias, 1e-12)
    assert torch.allclose(head(state), dense @ part.token.weight.T + head.bias, atol=1e-12)


def test_a_map_of_the_same_width_is_a_map_too() -> None:
    with_map, without = build(embedding_size=24), build()
    assert hasattr(with_map.embedding.projection, "weight") and not list(without.embedding.projection.parameters())


def copy_layers(model: Transformer) -> Transformer:
    """The same stack with a block of its own at every place."""
    config = model.config.model_copy(update={"sharing": None})
    plain = Transformer(config).double().eval()
    blocks = {
        f"blocks.{layer}.{name}": each
        for layer in range(config.num_layers)
        for name, each in model.blocks[model.config.block_of(layer)].state_dict().items()
    }
    others = {name: each for name, each in model.state_dict().items() if not name.startswith("blocks.")}
    plain.load_state_dict(blocks | others)
    return plain


@pytest.mark.parametrize(
    ("num_layers", "sharing", "layers"),
    [
        (4, Sharing(), (0, 0, 0, 0)),
        (4, Sharing(num_groups=2), (0, 0, 1, 1)),
        (6, Sharing(num_groups=2, group_size=3), (0, 1, 2, 3, 4, 5)),
        (6, Sharing(num_groups=2), (0, 0, 0, 1, 1, 1)),
        (8, Sharing(num_groups=2, group_size=2), (0, 1, 0, 1, 2, 3, 2, 3)),
        (5, Sharing(num_groups=3), (0, 0, 1, 1, 2)),
    ],
    ids=str,
)
def test_a_block_passed_several_times_is_as_many_equal_ones(
    num_layers: int, sharing: Sharing, layers: tuple[int, ...]
) -> None:
    model, packed = build(num_layers=num_layers, sharing=sharing), draw()
    assert model.layers == layers and len(model.blocks) == model.config.num_blocks
    plain = copy_layers(model)
    assert torch.allclose(model(packed), plain(packed), atol=1e-12)
    rows = torch.tensor([0, 3, 21])
    assert torch.allclose(model(packed, rows=rows), plain(packed)[rows], atol=1e-12)
    assert sum(count_parameters(model.config).values()) == sum(each.numel() for each in model.parameters())
    for module in (model, plain):
        module(packed).sin().sum().backward()
    for name, parameter in model.blocks.named_parameters():
        number, _, rest = name.partition(".")
        copies = [plain.blocks[at].get_parameter(rest).grad for at, block in enumerate(layers) if block == int(number)]
        assert torch.allclose(parameter.grad, sum(copies), atol=1e-10), name


def test_a_cache_holds_every_pass_of_a_block() -> None:
    model = build(num_layers=4, sharing=Sharing(num_groups=2), causal=True, heads=(CausalLMHead(),))
    cache = Cache(model.config, 1, dtype=torch.float64)
    ids = torch.arange(9) + 3
    steps = torch.cat([model(cache.pack([ids[at : at + 1]]), cache=cache) for at in range(9)])
    assert torch.allclose(steps, model(Packed.from_sequences([ids.numpy()])), atol=1e-12)


def test_a_group_of_a_rounded_quotient_is_that_of_the_published_models() -> None:
    config = ModelConfig(vocab_size=3, num_layers=18, sharing=Sharing(num_groups=14))
    assert [config.block_of(layer) for layer in range(18)] == [int(layer / (18 / 14)) for layer in range(18)]
    assert config.block_of(9) == 6 != 9 * 14 // 18


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"sharing": Sharing(num_groups=3)}, "sharing.num_groups: must be at most 2, .* got 3"),
        ({"sharing": Sharing(group_size=3)}, "sharing.group_size: must divide num_layers 2, got 3"),
        ({"sharing": Sharing(group_size=2, num_groups=2)}, "sharing.num_groups: must be at most 1"),
        ({"sharing": Sharing(), "window": Window(size=3, layers=(0,))}, "window.layers: a block that is passed"),
        (
            {"sharing": Sharing(), "first_input_norm": False, "norm_places": ("input",)},
            "first_input_norm: a block that is passed",
        ),
        ({"embedding_size": 8, "heads": (CausalLMHead(),)}, "tie_embeddings: causal_lm .* an embedding of 8"),
    ],
    ids=str,
)
def test_an_impossible_design_is_named(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ModelConfig(**{**SMALL, "num_layers": 2, **values})


PLAIN = HeadTransform(activation="tanh", norm=False, drop_input=True)
HEADS = {
    "next_sentence": (NextSentenceHead(), 2),
    "sentence_order": (SentenceOrderHead(dropout=0.25), 2),
    "multiple_choice": (MultipleChoiceHead(dropout=0.25), 1),
    "a choice after a transform": (MultipleChoiceHead(dropout=0.25, pooling="first", transform=PLAIN), 1),
    "a choice by the mean": (MultipleChoiceHead(pooling="mean", dropout=0.25), 1),
    "classification": (ClassificationHead(num_labels=5, dropout=0.25, pooling="first", transform=PLAIN), 5),
    "replaced": (ReplacedHead(transform=PLAIN), 1),
    "replaced, plain": (ReplacedHead(transform=None), 1),
}


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", HEADS)
def test_a_head_is_its_formula(name: str, training: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dropout_module, "dropout", lambda hidden, p: hidden * (1 - p))
    head, size = HEADS[name]
    model, packed = build(heads=(head,), dropout={"embedding": 0.0, "attention": 0.0, "residual": 0.0}), draw()
    state = model(packed)
    if head.kind == "replaced":
        vectors = expected = state
    else:
        vectors = model.train(training).summarize(packed, head.kind)
        expected = state[packed.starts]
        if head.pooling == "mean":
            expected = torch.stack([part.mean(0) for part in state.split(list(packed.lengths))])
        if head.pooling == "pooler":
            expected = (expected @ model.pooler.weight.T + model.pooler.bias).tanh()
        assert torch.allclose(vectors, expected, atol=1e-12)
    module = model.heads[head.kind].train(training)
    keep = 1 - getattr(head, "dropout", 0.0) * training
    if getattr(head, "transform", None) is not None:
        dense = module.transform.dense
        expected = ((expected * keep) @ dense.weight.T + dense.bias).tanh()
    logits = module(vectors)
    assert logits.shape == (len(expected), size)
    assert torch.allclose(logits, (expected * keep) @ module.linear.weight.T + module.linear.bias, atol=1e-12)


DESIGNS = {
    "albert": {"embedding_size": 10, "num_layers": 4, "sharing": Sharing(), "heads": (MaskedLMHead(),)},
    "untied": {"embedding_size": 10, "tie_embeddings": False, "heads": (MaskedLMHead(), SentenceOrderHead())},
    "electra": {"embedding_size": 10, "heads": (ReplacedHead(),)},
    "choices": {"heads": (MultipleChoiceHead(pooling="first", transform=PLAIN),)},
    "roberta": {"position": LearnedPositions(offset=2), "heads": (ClassificationHead(num_labels=5, transform=PLAIN),)},
}


@pytest.mark.parametrize("name", DESIGNS)
def test_costs_are_those_of_the_built_model(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    model, packed = build(**DESIGNS[name]).float(), draw()
    assert sum(count_parameters(model.config).values()) == sum(each.numel() for each in model.parameters())
    monkeypatch.setattr(linear, "product_library", lambda: "torch")
    kinds = [head.kind for head in model.config.heads]
    with FlopCounterMode(display=False) as counter, torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        if "masked_lm" in kinds or "replaced" in kinds:
            hidden = model(packed)
            for kind in kinds:
                if kind == "sentence_order":
                    model.heads[kind](model.pool(hidden[packed.starts]))
                else:
                    model.heads[kind](hidden)
        else:
            model.heads[kinds[0]](model.summarize(packed, kinds[0]))
    found = estimate(model.config, batch_tokens=22, lengths=packed.lengths)
    assert found.forward_flops_per_token * 22 == pytest.approx(counter.get_total_flops(), rel=1e-6)


def test_the_map_behind_the_embedding_starts_and_is_treated_as_a_matrix() -> None:
    model = Transformer(ModelConfig(**SMALL, embedding_size=200, heads=(ReplacedHead(),)))
    initialize(model, 0)
    roles = {name: parameter_role(name, each) for name, each in model.named_parameters()}
    assert roles["embedding.projection.weight"] == "matrix" and roles["embedding.projection.bias"] == "bias"
    assert roles["embedding.norm.weight"] == "norm" and roles["embedding.token.weight"] == "embedding"
    assert roles["heads.replaced.transform.dense.weight"] == "head"
    projection = model.embedding.projection
    assert 0.018 < projection.weight.std() < 0.022 and not projection.bias.any()
    assert not model.heads["replaced"].transform.dense.bias.any()
