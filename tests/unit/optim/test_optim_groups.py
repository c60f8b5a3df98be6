import pytest
from torch import nn

from groundup.errors import ConfigError
from groundup.optim.groups import group_parameters


def role_of(name: str, parameter: nn.Parameter) -> str:
    if name.startswith("norm"):
        return "norm"
    return "embedding" if name.startswith("embedding") else "bias" if name.endswith("bias") else "matrix"


def make_model() -> nn.Module:
    return nn.ModuleDict({"embedding": nn.Embedding(5, 3), "linear": nn.Linear(3, 2), "norm": nn.LayerNorm(2)})


def names(group: dict) -> list[str]:
    return [name for name, _ in group["params"]]


def test_norms_and_biases_do_not_decay():
    decayed, free = group_parameters(
        make_model().named_parameters(), role_of, decay=("matrix", "embedding"), weight_decay=0.1
    )
    assert (names(decayed), decayed["weight_decay"]) == (["embedding.weight", "linear.weight"], 0.1)
    assert (names(free), free["weight_decay"]) == (["linear.bias", "norm.weight", "norm.bias"], 0.0)


def test_the_decaying_roles_are_a_value():
    decayed, free = group_parameters(make_model().named_parameters(), role_of, decay=("bias",), weight_decay=0.1)
    assert names(decayed) == ["linear.bias"]
    assert len(names(free)) == 4


def test_frozen_parameters_are_in_no_group_and_empty_groups_are_left_out():
    model = make_model()
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name == "linear.weight")
    (only,) = group_parameters(model.named_parameters(), role_of, decay=("matrix",), weight_decay=0.1)
    assert names(only) == ["linear.weight"]


def test_every_trainable_parameter_is_in_exactly_one_group():
    model = make_model()
    groups = group_parameters(model.named_parameters(), role_of, decay=("matrix",), weight_decay=0.1)
    assert sorted(name for group in groups for name in names(group)) == sorted(n for n, _ in model.named_parameters())


def test_nothing_to_train_is_an_error():
    with pytest.raises(ConfigError, match="nothing to train"):
        group_parameters(make_model().requires_grad_(False).named_parameters(), role_of, decay=(), weight_decay=0.1)


def test_an_unknown_role_is_an_error():
    with pytest.raises(ConfigError, match=r"embedding\.weight: .*unknown role, got 'gain'"):
        group_parameters(make_model().named_parameters(), lambda name, parameter: "gain", decay=(), weight_decay=0.1)
