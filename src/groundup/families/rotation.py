"""How far queries and keys are turned, wherever a published config.json says it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from groundup.errors import ConfigError
from groundup.families.values import Values
from groundup.model.config import LinearScaling, Llama3Scaling, RotaryPositions, RotaryScaling

_PLACES: Final = ("rope_parameters", "rope_scaling")
"""Where transformers 5 and earlier releases describe a rotation; before both, `rope_theta` alone did."""
_PLAIN: Final = frozenset({"partial_rotary_factor", "rope_theta", "rope_type", "type"})
_LLAMA3: Final = {"factor": "factor", "low": "low_freq_factor", "high": "high_freq_factor"}
_LENGTH: Final = "original_max_position_embeddings"
_SCALED: Final = {"default": (), "linear": ("factor",), "llama3": (*_LLAMA3.values(), _LENGTH)}
"""The rotations that are supported, and what each needs to know."""
ROTATION_SETTINGS: Final = frozenset({*_PLACES, _LENGTH, "partial_rotary_factor", "rope_theta"})


def read_rotation(values: Values, max_length: int, default_base: float = 1e4) -> RotaryPositions:
    """The base and the scaling. Where places disagree, releases of transformers differ in which they believe: refused.

    Args:
        values: a whole config.json.
        max_length: the positions of the model, which is the length before a scaling where that is not said.
        default_base: the base where none is said.
    """
    _refuse_part_of_a_head(values)
    found = {}
    if "rope_theta" in values.config:
        found["rope_theta"] = values.number("rope_theta", default_base, above=1.0)
    scalings = dict[str, RotaryScaling | None]()
    for key in _PLACES:
        parameters = values.config.get(key)
        if parameters is None:
            continue
        if not isinstance(parameters, Mapping):
            raise values.error(key, "must be a mapping, or null")
        inner = Values(parameters, f"{values.where}: {key}")
        if parameters:
            scalings[key] = read_scaling(inner, values.count(_LENGTH, max_length))
        if "rope_theta" in parameters:
            found[key] = inner.number("rope_theta", default_base, above=1.0)
    if len(set(found.values())) > 1:
        stated = " and ".join(f"{base:g} in {key}" for key, base in found.items())
        raise ConfigError(f"{values.where}: {next(iter(found))}", f"the base is {stated}", cure="say it once")
    one, other = (values.config.get(key) or {} for key in _PLACES)
    if one and other and one != other:
        raise values.error(_PLACES[1], f"contradicts {_PLACES[0]}", "remove one of the two")
    base = next(iter(found.values()), default_base)
    return RotaryPositions(base=base, scaling=next(iter(scalings.values()), None))


def read_scaling(inner: Values, length: int) -> RotaryScaling | None:
    """What a mapping of a rotation says beside its base; `length` is that before a scaling where it is not said."""
    kind = inner.config.get("rope_type") or inner.config.get("type") or "default"
    for key in ("rope_type", "type"):
        known = ", ".join(repr(name) for name in _SCALED)
        inner.require(key, tuple(_SCALED), f"this scaling of a rotation is not supported; {known} are")
        inner.require(key, (kind,), f"contradicts rope_type, which is {kind!r}")
    needed = _SCALED[kind]
    if unknown := sorted(inner.config.keys() - _PLAIN - set(needed)):
        raise inner.error(unknown[0], f"belongs to another rotation than {kind!r}")
    for key in needed:
        if key not in inner.config and key != _LENGTH:
            raise inner.error(key, f"is missing, which a rotation of the type {kind!r} needs")
    _refuse_part_of_a_head(inner)
    if not needed:
        return None
    if inner.number("factor", 1.0, above=0.0) < 1:
        raise inner.error("factor", "must be at least 1")
    if kind == "linear":
        return LinearScaling(factor=inner.number("factor", 1.0, above=0.0))
    numbers = {ours: inner.number(theirs, 1.0, above=0.0) for ours, theirs in _LLAMA3.items()}
    if numbers["high"] <= numbers["low"]:
        raise inner.error(_LLAMA3["high"], f"must be above {_LLAMA3['low']}, which is {numbers['low']:g}")
    return Llama3Scaling(**numbers, original_length=inner.count(_LENGTH, length))


def write_rotation(position: RotaryPositions) -> dict[str, Any]:
    """The keys of config.json: releases before 5 and other readers know other places than transformers 5 writes."""
    scaling = position.scaling
    parameters: dict[str, Any] = {"rope_theta": position.base, "rope_type": scaling.kind if scaling else "default"}
    if scaling is None:
        return {"rope_theta": position.base, "rope_parameters": parameters}
    if scaling.kind == "linear":
        parameters["factor"] = scaling.factor
    else:
        parameters |= {theirs: getattr(scaling, ours) for ours, theirs in _LLAMA3.items()}
        parameters[_LENGTH] = scaling.original_length
    return {"rope_theta": position.base, "rope_parameters": parameters, "rope_scaling": parameters}


def _refuse_part_of_a_head(values: Values) -> None:
    values.require("partial_rotary_factor", (1, 1.0), "a rotation of a part of each head is not supported")
