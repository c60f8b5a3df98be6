"""Fresh weights: their distribution, and that each depends on the seed and its own name alone."""

from __future__ import annotations

import pytest
import torch

from groundup.model.config import ClassificationHead, MaskedLMHead, ModelConfig, SpanHead
from groundup.model.initialize import initialize, parameter_role
from groundup.model.transformer import Transformer


def build(seed: int, *heads: object) -> Transformer:
    model = Transformer(ModelConfig(vocab_size=300, hidden_size=64, num_layers=2, heads=heads))
    initialize(model, seed)
    return model


def test_distribution_by_role() -> None:
    model = build(0, MaskedLMHead(), ClassificationHead(num_labels=50))
    for name, parameter in model.named_parameters():
        role = parameter_role(name, parameter)
        if name.endswith("bias"):
            assert not parameter.any()
        elif role == "norm":
            assert (parameter == 1).all()
        else:
            values = parameter[1:] if name == "embedding.token.weight" else parameter
            assert abs(values.std().item() - 0.02) < 0.02 * 5 / (2 * values.numel()) ** 0.5, name
            assert abs(values.mean().item()) < 0.02 * 5 / values.numel() ** 0.5, name
    assert not model.embedding.token.weight[0].any()


def test_a_head_more_changes_no_other_weight() -> None:
    small, large = build(3, MaskedLMHead()), build(3, SpanHead(), ClassificationHead(num_labels=4), MaskedLMHead())
    ours, theirs = small.state_dict(), large.state_dict()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())
    assert len(theirs) > len(ours)
    other = build(4, MaskedLMHead()).state_dict()
    assert not torch.equal(ours["blocks.0.attention.q.weight"], other["blocks.0.attention.q.weight"])
    assert not torch.equal(ours["blocks.0.attention.q.weight"], ours["blocks.1.attention.q.weight"])


def test_only_named_weights_are_filled() -> None:
    model, fresh = build(0, SpanHead()), build(9, SpanHead())
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    initialize(model, 9, {"heads.span.linear.weight", "heads.span.linear.bias"})
    for name, tensor in model.state_dict().items():
        source = fresh.state_dict() if name.startswith("heads") else before
        assert torch.equal(tensor, source[name])


def test_every_parameter_has_its_role() -> None:
    roles = {name: parameter_role(name, each) for name, each in build(0, MaskedLMHead()).named_parameters()}
    expected = {
        "embedding.token.weight": "embedding",
        "embedding.position.weight": "embedding",
        "embedding.norm.weight": "norm",
        "embedding.norm.bias": "norm",
        "blocks.0.attention.q.weight": "matrix",
        "blocks.0.attention.q.bias": "bias",
        "blocks.1.attention_norms.residual.weight": "norm",
        "blocks.1.feed_forward_norms.residual.bias": "norm",
        "blocks.1.feed_forward.up.bias": "bias",
        "heads.masked_lm.dense.weight": "head",
        "heads.masked_lm.norm.weight": "norm",
        "heads.masked_lm.bias": "bias",
    }
    assert {name: roles[name] for name in expected} == expected
    assert set(roles.values()) == {"embedding", "matrix", "head", "bias", "norm"}


def test_matrices_that_write_into_the_stream_start_as_the_design_says() -> None:
    deviations = {}
    for kind in ("normal", "scaled", "zero"):
        model = Transformer(ModelConfig(vocab_size=50, hidden_size=64, num_layers=2, output_init=kind))
        initialize(model, 0)
        weights = dict(model.named_parameters())
        deviations[kind] = weights["blocks.1.feed_forward.down.weight"].std().item()
        assert weights["blocks.1.attention.o.weight"].std().item() == pytest.approx(deviations[kind], rel=0.05)
        assert weights["blocks.1.attention.q.weight"].std().item() == pytest.approx(0.02, rel=0.05)
    assert deviations["zero"] == 0.0
    assert deviations["scaled"] == pytest.approx(deviations["normal"] / 2)
