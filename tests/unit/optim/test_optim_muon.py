import pytest
import torch
from torch import nn

from groundup.config import Config, parse, to_json
from groundup.errors import ConfigError
from groundup.model.config import CausalLMHead, ClassificationHead, ModelConfig
from groundup.model.initialize import initialize, parameter_role
from groundup.model.transformer import Transformer
from groundup.optim import muon
from groundup.optim.adamw import AdamW
from groundup.optim.config import OptimizerConfig
from groundup.optim.muon import Muon, Orthogonal, orthogonalize


def make_model(seed: int = 0, **design: object) -> Transformer:
    design = {"hidden_size": 16, "num_layers": 2, "num_heads": 2, "intermediate_size": 40} | design
    heads = (CausalLMHead(), ClassificationHead(num_labels=3))
    model = Transformer(ModelConfig(vocab_size=30, causal=True, tie_embeddings=False, heads=heads, **design))
    initialize(model, seed)
    return model


def set_gradients(model: nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)


def names_of(model: nn.Module, group: dict) -> set[str]:
    return {name for name, parameter in model.named_parameters() if any(parameter is each for each in group["params"])}


def test_matrices_of_blocks_are_muons_and_all_else_is_adamws() -> None:
    model = make_model()
    config = Muon(learning_rate=0.5, others=0.1, weight_decay=0.2, betas=(0.8, 0.9), eps=1e-3)
    optimizer = config.build(model.named_parameters(), parameter_role)
    matrices, decayed, free = optimizer.param_groups
    expected = {
        f"blocks.{block}.{matrix}.weight"
        for block in range(2)
        for matrix in (
            "attention.q",
            "attention.k",
            "attention.v",
            "attention.o",
            "feed_forward.up",
            "feed_forward.down",
        )
    }
    assert names_of(model, matrices) == expected
    assert (matrices["lr"], matrices["weight_decay"]) == (0.5, 0.2)
    assert names_of(model, decayed) == {
        "embedding.token.weight",
        "embedding.token_type.weight",
        "embedding.position.weight",
        "pooler.weight",
        "heads.causal_lm.decoder.weight",
        "heads.classification.linear.weight",
    }
    for group in (decayed, free):
        assert (group["lr"], group["betas"], group["eps"], group["fused"]) == (0.05, (0.8, 0.9), 1e-3, True)
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.2, 0.0)
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(list(model.parameters()))


def test_decay_is_by_role() -> None:
    model = make_model()
    matrices, decayed, free = Muon(decay=("embedding",)).build(model.named_parameters(), parameter_role).param_groups
    assert matrices["weight_decay"] == 0.0
    assert all(name.startswith("embedding") for name in names_of(model, decayed))
    assert "pooler.weight" in names_of(model, free)


def test_a_changed_rate_is_that_of_the_parts() -> None:
    moves = []
    for factor in (0.0, 1.0, 2.0):
        model, before = make_model(), make_model()
        optimizer = Muon(learning_rate=1e-3, weight_decay=0.0).build(model.named_parameters(), parameter_role)
        for group in optimizer.param_groups:
            group["lr"] *= factor
        set_gradients(model, 1)
        optimizer.step()
        pairs = zip(model.parameters(), before.parameters(), strict=True)
        moves.append([(one - other).detach() for one, other in pairs])
    for none, single, double in zip(*moves, strict=True):
        assert not none.any() and single.any()
        torch.testing.assert_close(double, 2 * single, rtol=1e-3, atol=1e-7)


class Section(Config):
    optimizer: OptimizerConfig


def test_round_trip_through_the_union() -> None:
    for config in (
        Muon(learning_rate=3e-3, momentum=0.9, scale="shape", others=0.5, decay=("matrix",)),
        AdamW(learning_rate=3e-4, betas=(0.9, 0.98)),
    ):
        section = Section(optimizer=config)
        assert parse(Section, to_json(section)) == section
    with pytest.raises(ConfigError, match=r"optimizer\.momentum: unknown key.*it belongs to another kind"):
        parse(Section, {"optimizer": {"kind": "adamw", "momentum": 0.9}})


@pytest.mark.parametrize(
    "values",
    [
        {"learning_rate": 0.0},
        {"momentum": 1.0},
        {"iterations": 0},
        {"precision": "fp16"},
        {"scale": "none"},
        {"others": 0.0},
        {"betas": [0.9, 1.0]},
        {"decay": ["head"]},
    ],
)
def test_senseless_settings(values: dict) -> None:
    with pytest.raises(ConfigError, match=next(iter(values))):
        parse(Muon, values)


def test_without_a_matrix_to_train_it_is_an_error() -> None:
    model = make_model()
    model.blocks.requires_grad_(False)
    with pytest.raises(ConfigError, match=r"optimizer\.kind: finds no matrix of a block .*got 'muon'; choose adamw"):
        Muon().build(model.named_parameters(), parameter_role)


def test_matrices_alone_need_no_adamw() -> None:
    model = make_model()
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(parameter_role(name, parameter) == "matrix")
    (group,) = Muon().build(model.named_parameters(), parameter_role).param_groups
    assert len(group["params"]) == 12


@pytest.mark.parametrize("rows", [8, 20])
@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_singular_values_come_near_one_and_singular_vectors_stay(rows: int, precision: str) -> None:
    torch.manual_seed(0)
    left = torch.linalg.qr(torch.randn(3, rows, 8))[0] if rows > 8 else torch.linalg.qr(torch.randn(3, 8, 8))[0]
    right = torch.linalg.qr(torch.randn(3, 20, 8))[0]
    values = torch.logspace(-1.5, 1.0, 8)
    stack = (left * values) @ right.mT * 37.0
    found = orthogonalize(stack, precision=precision)
    assert found.dtype == torch.float32
    core = left.mT @ found @ right
    diagonal = core.diagonal(dim1=1, dim2=2)
    assert diagonal.min() > 0.6 and diagonal.max() < 1.25
    assert (core - torch.diag_embed(diagonal)).abs().max() < (0.05 if precision == "bf16" else 1e-4)
    assert torch.linalg.svdvals(stack).max() > 100  # the question was not answered beforehand
    once = left.mT @ orthogonalize(stack, 1, precision) @ right
    assert once.diagonal(dim1=1, dim2=2).min() < 0.3


def test_nothing_comes_of_nothing() -> None:
    assert not orthogonalize(torch.zeros(2, 4, 6)).any()


def test_the_cut_into_stacks_changes_nothing_but_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    results = []
    for size in (1, 700, 1 << 22):
        monkeypatch.setattr(muon, "_STACKED", size)
        model = make_model()
        optimizer = Muon(precision="fp32").build(model.named_parameters(), parameter_role)
        for step in range(3):
            set_gradients(model, step)
            optimizer.step()
        results.append([parameter.detach() for parameter in model.parameters()])
    for one, other, whole in zip(*results, strict=True):
        torch.testing.assert_close(one, whole, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(other, whole, rtol=1e-5, atol=1e-6)


def test_scales() -> None:
    for scale, shape, expected in (
        ("adamw", (8, 32), 0.2 * 32**0.5),
        ("adamw", (32, 8), 0.2 * 32**0.5),
        ("shape", (8, 32), 1.0),
        ("shape", (32, 8), 2.0),
    ):
        matrix = nn.Parameter(torch.zeros(shape))
        optimizer = Orthogonal(
            [{"params": [("m", matrix)], "weight_decay": 0.0}],
            lr=0.5,
            momentum=0.0,
            nesterov=False,
            iterations=5,
            precision="fp32",
            scale=scale,
        )
        matrix.grad = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        optimizer.step()
        size = torch.linalg.svdvals(matrix.detach()).mean() / 0.5
        assert expected * 0.8 < size < expected * 1.2, (scale, shape)


def test_adamws_scale_moves_matrices_about_as_far_as_adamw_does() -> None:
    """The point of `scale: adamw`: Liu et al. (2025) measured 0.2 to 0.4 for AdamW's move per unit of learning rate."""
    model, before = make_model(), make_model()
    optimizer = Muon(learning_rate=1e-3, weight_decay=0.0).build(model.named_parameters(), parameter_role)
    set_gradients(model, 0)
    optimizer.step()
    for name, parameter in model.named_parameters():
        if parameter_role(name, parameter) == "matrix":
            move = (parameter - dict(before.named_parameters())[name]).square().mean().sqrt() / 1e-3
            assert 0.1 < move < 0.4, name
