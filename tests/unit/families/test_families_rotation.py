"""Where folders of Llama and its kin say how far queries and keys are turned, and what is refused there."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from groundup.errors import CheckpointError, ConfigError
from groundup.families.llama import LLAMA
from groundup.families.rotation import write_rotation
from groundup.model.config import LinearScaling, Llama3Scaling, RotaryPositions, RotaryScaling


def read(config: dict[str, Any]) -> RotaryPositions:
    return LLAMA.to_config(config, (), None, "config.json").position


LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
OTHERS = [
    {"type": "dynamic", "factor": 2.0},
    {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 4096},
    {"rope_type": "longrope", "short_factor": [1.0], "long_factor": [1.0]},
    {"rope_type": "llama-3"},
]


@pytest.mark.parametrize("key", ["rope_scaling", "rope_parameters"])
@pytest.mark.parametrize("parameters", OTHERS, ids=str)
def test_other_scalings_are_refused_wherever_they_stand(key: str, parameters: dict[str, Any]) -> None:
    kind = "type" if "type" in parameters else "rope_type"
    expected = (
        rf"config\.json: {key}: {kind}: this scaling of a rotation is not supported; 'default', 'linear', 'llama3' are"
    )
    with pytest.raises(ConfigError, match=expected):
        read({"rope_theta": 5e5} | {key: parameters | {"rope_theta": 500000.0}})


@pytest.mark.parametrize("key", ["rope_scaling", "rope_parameters"])
def test_a_scaled_rotation_from_every_place(key: str) -> None:
    base = {"rope_theta": 5e5, "max_position_embeddings": 131072}
    first = {**LLAMA3, "original_max_position_embeddings": 4096}
    assert read(base | {key: first}) == RotaryPositions(
        base=5e5, scaling=Llama3Scaling(factor=8.0, low=1.0, high=4.0, original_length=4096)
    )
    assert read(base | {key: LLAMA3}).scaling.original_length == 131072, "as transformers 5 does where it is not said"
    assert read(base | {key: LLAMA3, "original_max_position_embeddings": 512}).scaling.original_length == 512
    for kind in ("type", "rope_type"):
        linear = RotaryPositions(base=5e5, scaling=LinearScaling(factor=2.0))
        assert read(base | {key: {kind: "linear", "factor": 2}}) == linear
    both = {"rope_scaling": first | {"rope_theta": 5e5}, "rope_parameters": first | {"rope_theta": 5e5}}
    assert read(base | both) == read(base | {key: first})


@pytest.mark.parametrize("scaling", [LinearScaling(factor=3.5), Llama3Scaling(factor=8.0, low=0.5, original_length=99)])
def test_a_scaled_rotation_comes_back(scaling: RotaryScaling) -> None:
    position = RotaryPositions(base=500.0, scaling=scaling)
    written = write_rotation(position)
    assert written["rope_scaling"] == written["rope_parameters"], "older releases and newer ones read the same"
    assert read(written) == position


@pytest.mark.parametrize(
    ("parameters", "problem"),
    [
        ({"factor": 2.0}, "factor: belongs to another rotation than 'default'"),
        ({"type": "linear"}, "factor: is missing, which a rotation of the type 'linear' needs"),
        ({"type": "linear", "factor": 0.5}, "factor: must be at least 1"),
        ({"type": "linear", "factor": "2"}, "factor: must be a number above 0"),
        ({"type": "linear", "factor": 2.0, "low_freq_factor": 1.0}, "low_freq_factor: belongs to another rotation"),
        ({"type": "linear", "rope_type": "llama3"}, "type: contradicts rope_type, which is 'llama3'"),
        (LLAMA3 | {"high_freq_factor": 1.0}, "high_freq_factor: must be above low_freq_factor, which is 1"),
        (LLAMA3 | {"low_freq_factor": 0}, "low_freq_factor: must be a number above 0"),
        (LLAMA3 | {"original_max_position_embeddings": 0}, "original_max_position_embeddings: must be a whole number"),
        (LLAMA3 | {"beta_fast": 32}, "beta_fast: belongs to another rotation than 'llama3'"),
        (LLAMA3 | {"rope_type": 3}, "rope_type: this scaling of a rotation is not supported"),
    ],
    ids=str,
)
def test_a_scaling_that_is_not_whole(parameters: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=f"config.json: rope_scaling: {problem}"):
        read({"rope_scaling": parameters})


@pytest.mark.parametrize(
    ("rotation", "base"),
    [
        ({}, 1e4),
        ({"rope_theta": 500}, 500.0),
        ({"rope_parameters": None, "rope_scaling": None}, 1e4),
        ({"rope_parameters": {}, "rope_theta": 7.5}, 7.5),
        ({"rope_parameters": {"rope_theta": 500.0, "rope_type": "default"}}, 500.0),
        ({"rope_parameters": {"rope_type": "default"}}, 1e4),
        ({"rope_parameters": {"rope_type": "default"}, "rope_theta": 500.0}, 500.0),
        ({"rope_parameters": {"rope_theta": 500.0, "rope_type": "default"}, "rope_theta": 500}, 500.0),
        ({"rope_parameters": {"rope_theta": 500.0, "partial_rotary_factor": 1.0}}, 500.0),
        ({"rope_scaling": {"type": "default"}, "rope_theta": 500.0}, 500.0),
        ({"rope_scaling": {"rope_type": "default", "rope_theta": 500.0}}, 500.0),
    ],
    ids=str,
)
def test_the_base_of_the_rotation_from_every_place(rotation: dict[str, Any], base: float) -> None:
    assert read(rotation) == RotaryPositions(base=base)


@pytest.mark.parametrize(
    ("rotation", "problem"),
    [
        (
            {"rope_parameters": {"rope_theta": 1e4}},
            "rope_theta: the base is 500000 in rope_theta and 10000 in rope_parameters; say it once",
        ),
        (
            {"rope_parameters": {"rope_theta": 5e5}, "rope_scaling": {"type": "default", "rope_theta": 1e4}},
            "rope_theta: the base is 500000 in rope_theta and 500000 in rope_parameters and 10000 in rope_scaling",
        ),
        (
            {"rope_parameters": {"rope_theta": 5e5}, "rope_scaling": {"type": "default"}},
            "rope_scaling: contradicts rope_parameters",
        ),
        ({"rope_parameters": [5e5]}, "rope_parameters: must be a mapping, or null"),
        ({"rope_parameters": {"rope_theta": "5e5"}}, "rope_parameters: rope_theta: must be a number above 1"),
        ({"rope_parameters": {"partial_rotary_factor": 0.25}}, "rope_parameters: partial_rotary_factor: a rotation of"),
        ({"rope_parameters": {"full_attention": {}}}, "rope_parameters: full_attention: belongs to another rotation"),
    ],
    ids=str,
)
def test_places_that_disagree_about_the_rotation(rotation: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=f"config.json: {problem}"):
        read({"rope_theta": 5e5} | rotation)


def read_one(name: str, tensor: torch.Tensor, **config: object) -> tuple[str, ...]:
    tensors = {"embed_tokens.weight": torch.ones(3, 2), name: tensor}
    return LLAMA.read_map(config, tensors.keys()).read(tensors, "file").unused


@pytest.mark.parametrize("base", [1e4, 5e5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_frequencies_of_older_releases_are_those_of_the_base(base: float, dtype: torch.dtype) -> None:
    name = "layers.11.self_attn.rotary_emb.inv_freq"
    frequencies = 1.0 / (base ** (torch.arange(0, 128, 2).float() / 128))
    assert read_one(name, frequencies.to(dtype), rope_theta=base) == ()
    parameters = {"rope_type": "default", "rope_theta": base}
    assert read_one(name, frequencies.to(dtype), rope_parameters=parameters) == ()
    wrong = (frequencies / 2, frequencies.flip(0), frequencies[1:], frequencies[None])
    for other in (*[each.to(dtype) for each in wrong], torch.ones(64, dtype=torch.int64)):
        with pytest.raises(CheckpointError, match=r"rotary_emb\.inv_freq' holds other values"):
            read_one(name, other, rope_theta=base)
    with pytest.raises(CheckpointError, match="holds other values"):
        read_one(name, frequencies.to(dtype), rope_theta=1.1 * base)
